/**
 * Shows that the sync client sends what the reducer says, authorises beside it without sending a record twice, and
 * tells the right one each answer. How: an outbox in memory, a host whose answers the test holds back, a clock of numbers.
 */
import t from 'tap';
import type { TransactionId } from '../../terminal/kernel/ports.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { monotonicMs, wallMs } from '../../terminal/kernel/units.js';
import type { InquiryResponse } from '../protocol/inquiry.js';
import type { SmartTapResponse } from '../protocol/smart-tap.js';
import {
  type AuthoriseResponse,
  type Directives,
  offlineLimitsDefault,
  type RecordAnswer,
  type RecordsResponse,
  type SessionResponse,
  type Watermark,
} from '../protocol/sync.js';
import { batchCharactersMax, createSyncClient, type SyncClientOptions, type SyncStatus } from './client.js';
import type { HostFailure, HostPort, HostResult } from './host-port.js';
import type { SettledAnswer } from './outbox-port.js';
import { acceptedAnswer, idOf, MemoryOutbox, refusedAnswer, watermarkAt } from './sim/memory-outbox.js';

const lost: HostFailure = { code: 'host.noAnswer', detail: '', httpStatus: null, retryAfterMs: null };
const session = { terminalProof: '11'.repeat(16), encryptionKey: '22'.repeat(16), macKey: '33'.repeat(16) };
const directives: Directives = {
  merchants: ['M1'],
  version: 7,
  merchant: 'M',
  location: 'L',
  rules: {
    version: 1,
    currency: 'CNY',
    earnPoints: 1,
    earnPerMinor: 100,
    spendMinor: 100,
    spendPerPoints: 100,
    couponPartial: false,
  },
  offline: offlineLimitsDefault,
  blocked: [],
  credentialKey: null,
  allowances: [],
  catalogueVersion: 2,
  catalogue: { since: 0, products: [], gone: [] },
};

/** One call that the host holds until the test answers it. */
interface Held<Answer> {
  readonly ids: readonly string[];
  answer(result: HostResult<Answer>): void;
}

function build(more: Partial<SyncClientOptions> = {}, queued = 0) {
  let nowMs = 1_000;
  const timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const outbox = new MemoryOutbox();
  outbox.queue(queued);
  const batches: Held<RecordsResponse>[] = [];
  const authorisations: Held<AuthoriseResponse>[] = [];
  const sessions: Held<SessionResponse>[] = [];
  const inquiries: Held<InquiryResponse>[] = [];
  const signatures: Held<SmartTapResponse>[] = [];
  const fetches: Held<Directives>[] = [];
  const newestSeen: (readonly TransactionId[])[] = [];
  const hold = <Answer>(list: Held<Answer>[], ids: readonly string[]) =>
    new Promise<HostResult<Answer>>((answer) => list.push({ ids, answer }));
  const idOfBody = (body: string) => outbox.unsent.find((record) => record.body === body)?.transactionId ?? '';
  const host: HostPort = {
    sendRecords: (_records, ids, newest) => {
      newestSeen.push(newest);
      return hold(batches, ids);
    },
    authorise: (record) => hold(authorisations, [idOfBody(record.body)]),
    openSession: () => hold(sessions, []),
    inquire: () => hold(inquiries, []),
    signSmartTap: () => hold(signatures, []),
    directives: () => hold(fetches, []),
    bell: () => Promise.resolve(err(lost)),
    requestAllowance: () => Promise.resolve(err(lost)),
    raiseEpoch: () => Promise.resolve(err(lost)),
    renew: () => Promise.resolve(err(lost)),
  };
  const answers: SettledAnswer[] = [];
  const statuses: SyncStatus[] = [];
  const stored: Directives[] = [];
  const client = createSyncClient({
    outbox,
    host,
    bellWaitMs: 0,
    clock: { monotonicMs: () => monotonicMs(nowMs), wallMs: () => wallMs(nowMs) },
    schedule: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        const at = timers.indexOf(timer);
        if (at >= 0) timers.splice(at, 1);
      };
    },
    random: { bytes: () => Uint8Array.of(0x80, 0, 0, 0) },
    limits: { pageSize: 4, backOffMinMs: 1_000, backOffMaxMs: 60_000, pollMs: 60_000 },
    directivesHeld: () => stored.at(-1) ?? null,
    onDirectives: (each) => void stored.push(each),
    onAnswer: (each) => void answers.push(each),
    onStatus: (each) => void statuses.push(each),
    ...more,
  });
  return {
    client,
    outbox,
    host,
    batches,
    authorisations,
    sessions,
    inquiries,
    signatures,
    fetches,
    newestSeen,
    answers,
    statuses,
    stored,
    timers,
    advance: (ms: number) => {
      nowMs += ms;
      for (const timer of timers.filter(({ atMs }) => atMs <= nowMs)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.run();
      }
    },
  };
}
type World = ReturnType<typeof build>;

/** Lets every promise that is settled run its reactions. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
/** A watermark that does not go back, for tests that are not about it. */
const farAhead = 1_000;
const batchOf = (answers: readonly RecordAnswer[]): HostResult<RecordsResponse> =>
  ok({ answers: [...answers], watermark: watermarkAt(farAhead), directivesVersion: 7 });
const authorisedWith = (answer: RecordAnswer): HostResult<AuthoriseResponse> =>
  ok({ answer, watermark: watermarkAt(farAhead), session, reservedForMs: 30_000 });
const acceptAll = (held: Held<RecordsResponse> | undefined) =>
  held?.answer(batchOf(held.ids.map((id) => acceptedAnswer(id as TransactionId))));
/** Distinct bodies, so that a fake host can tell which record it was sent. */
const queueOne = (world: World, name: string): TransactionId =>
  world.outbox.queue(1, `{"name":"${name}"}`)[0] as TransactionId;

/** A client that has started, fetched its directives and rests. */
async function rested(more: Partial<SyncClientOptions> = {}): Promise<World> {
  const world = build(more);
  world.client.start();
  world.fetches.shift()?.answer(ok(directives));
  await settle();
  return world;
}

t.test('a backlog drains in slices, two at a time, then directives are stored and the box rests online', async (t) => {
  const world = build({}, 10);
  world.client.start();
  t.equal(world.client.status().state, 'sending');
  t.equal(world.batches.length, 1, 'the second a moment later');
  for (const underWay of [[4, 4], [4, 2], [2]]) {
    world.advance(0);
    t.same(
      world.batches.map(({ ids }) => ids.length),
      underWay,
    );
    acceptAll(world.batches.shift());
    await settle();
  }
  t.equal(world.outbox.unsentCount(), 0);
  t.equal(world.answers.length, 10);
  t.ok(world.answers.every(({ knownToSale }) => !knownToSale));
  world.fetches.shift()?.answer(ok(directives));
  await settle();
  t.same(world.stored, [directives]);
  t.equal(world.client.status().state, 'online');
  t.ok(world.client.reachable());
  t.same(
    world.statuses.map(({ state }) => state),
    ['sending', 'online'],
    'told once each',
  );
});

t.test('two batches take different records, and may be answered in either order', async (t) => {
  const world = build({}, 10);
  world.client.start();
  world.advance(0);
  t.same(
    world.batches.map(({ ids }) => ids),
    [[1, 2, 3, 4].map(idOf), [5, 6, 7, 8].map(idOf)],
  );
  acceptAll(world.batches.pop());
  await settle();
  t.equal(world.outbox.settled.size, 4);
  world.advance(0);
  t.same(world.batches.at(-1)?.ids, [9, 10].map(idOf));
  t.same(world.newestSeen, [[], [], [idOf(farAhead)]], 'it names what it saw answered last');
  acceptAll(world.batches.pop());
  acceptAll(world.batches.pop());
  await settle();
  t.equal(world.outbox.settled.size, 10);
});

t.test('what each of two batches brought is named until a request that named both is answered', async (t) => {
  const world = build({}, 14);
  const answerFirst = async (newest: number): Promise<void> => {
    const held = world.batches.shift();
    const answers = (held?.ids ?? []).map((id) => acceptedAnswer(id as TransactionId));
    held?.answer(ok({ answers, watermark: { ...watermarkAt(newest), recordsHeld: 4 }, directivesVersion: 7 }));
    await settle();
    world.advance(0);
  };
  world.client.start();
  world.advance(0);
  await answerFirst(4);
  t.same(world.newestSeen, [[], [], [4].map(idOf)]);
  // This may be the word of a host that was restored since, and holds nothing of the first: its count tells nothing.
  await answerFirst(8);
  t.same(world.newestSeen.at(-1), [4, 8].map(idOf), 'such a host is found out by the next request');
  await answerFirst(12);
  await answerFirst(14);
  t.equal(world.outbox.unsentCount(), 0);
  world.outbox.queue(1);
  world.client.recordsQueued();
  world.fetches.shift()?.answer(ok(directives));
  await settle();
  t.same(world.newestSeen.at(-1), [12, 14].map(idOf));
});

t.test('where answers cannot be stored, the other batch is void, and all goes again', async (t) => {
  const world = build({}, 10);
  world.client.start();
  world.advance(0);
  world.outbox.failing = true;
  acceptAll(world.batches.shift());
  await settle();
  world.outbox.failing = false;
  t.same(world.batches[0]?.ids, [5, 6, 7, 8].map(idOf), 'it was under way');
  t.equal(world.client.status().lastError?.code, 'store.failed');
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.outbox.settled.size, 0);
  world.advance(1_000);
  for (const ids of [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
    [9, 10],
  ]) {
    world.advance(0);
    t.same(world.batches[0]?.ids, ids.map(idOf));
    acceptAll(world.batches.shift());
    await settle();
  }
  t.equal(world.outbox.settled.size, 10);
});

t.test('where one batch fails, the other is void: its records go again, and who waited may ask anew', async (t) => {
  const world = build({}, 8);
  world.client.start();
  world.advance(0);
  const waiting = world.client.authorise(idOf(6), 5_000);
  t.equal(world.authorisations.length, 0, 'the second batch holds it');
  const [first, second] = world.batches.splice(0);
  first?.answer(err(lost));
  await settle();
  const again = world.client.authorise(idOf(5), 5_000);
  t.equal(world.authorisations.length, 1, 'its batch is void');
  world.authorisations[0]?.answer(err(lost));
  await again;
  acceptAll(second);
  t.same(await waiting, { kind: 'silent', code: 'host.noAnswer' });
  t.equal(world.outbox.settled.size, 0, 'nothing of a void batch is taken');
  world.advance(1_000);
  t.same(world.batches[0]?.ids, [1, 2, 3, 4].map(idOf));
});

t.test('the second slice heeds what happened since the first went out', async (t) => {
  const second = async (happens: (world: World) => unknown): Promise<readonly string[]> => {
    const world = build({}, 8);
    world.client.start();
    await happens(world);
    world.advance(0);
    return world.batches[1]?.ids ?? [];
  };
  t.same(await second(() => {}), [5, 6, 7, 8].map(idOf));
  const asked = (world: World) => void world.client.authorise(idOf(5), 5_000);
  t.same(await second(asked), [6, 7, 8].map(idOf), 'it is being asked about');
  const postponed = async (world: World) => {
    const answer = world.client.authorise(idOf(5), 5_000);
    const later = { outcome: 'later', transactionId: idOf(5), code: 'host.busy', retryAfterMs: 4_000 } as const;
    world.authorisations.shift()?.answer(authorisedWith(later));
    await answer;
  };
  t.same(await second(postponed), [6, 7, 8].map(idOf), 'it has to wait');
  const reversal = (world: World) => {
    const [queued] = world.outbox.queue(1);
    const last = world.outbox.unsent.pop();
    if (last) world.outbox.unsent.unshift(last);
    world.client.recordsQueued();
    t.equal(queued, idOf(9));
  };
  t.same(await second(reversal), [9, 5, 6, 7].map(idOf), 'a reversal goes first');
});

t.test('a queued record leaves at once; a batch by characters stays within its bound', async (t) => {
  const world = await rested();
  world.outbox.queue(3, 'x'.repeat(batchCharactersMax / 2));
  world.client.recordsQueued();
  t.equal(world.batches.length, 1);
  t.equal(world.batches[0]?.ids.length, 2);
});

t.test('authorise sends the record alone, keeps it out of batches, and settles it as known to the sale', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'spend');
  const other = queueOne(world, 'earn');
  const answer = world.client.authorise(id, 5_000);
  world.client.recordsQueued();
  t.same(world.batches[0]?.ids, [other], 'the batch leaves it out');
  world.authorisations[0]?.answer(authorisedWith(refusedAnswer(id, 'points.tooFew')));
  const result = await answer;
  t.match(result, {
    kind: 'answered',
    answer: { outcome: 'refused', code: 'points.tooFew' },
    session,
    reservedForMs: 30_000,
  });
  t.equal(world.outbox.settled.get(id)?.knownToSale, true);
  t.same(world.answers, [], 'its answer goes to the caller alone');
});

t.test(
  'an authorisation without answer is silent, and its record waits a second for the reversal to pass it',
  async (t) => {
    const world = await rested();
    const id = queueOne(world, 'spend');
    const answer = world.client.authorise(id, 5_000);
    world.authorisations[0]?.answer(err(lost));
    t.same(await answer, { kind: 'silent', code: 'host.noAnswer' });
    t.notOk(world.client.reachable());
    world.outbox.unsent.unshift({
      ...(world.outbox.unsent[0] as never as object),
      transactionId: 'reversal' as TransactionId,
    } as never);
    world.advance(500);
    await settle();
    t.same(world.batches[0]?.ids, ['reversal'], 'the reversal goes first, alone');
  },
);

t.test('`later` to an authorisation is silence with its code, held as long as the host said', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'spend');
  const answer = world.client.authorise(id, 5_000);
  world.authorisations[0]?.answer(
    authorisedWith({ outcome: 'later', transactionId: id, code: 'host.busy', retryAfterMs: 4_000 }),
  );
  t.same(await answer, { kind: 'silent', code: 'host.busy' });
  world.advance(3_000);
  t.equal(world.batches.length, 0);
  world.advance(1_000);
  t.same(world.batches[0]?.ids, [id]);
});

t.test('a record that a batch holds already is not sent again: its answer is waited for', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'earn');
  world.client.recordsQueued();
  const answer = world.client.authorise(id, 5_000);
  t.equal(world.authorisations.length, 0);
  acceptAll(world.batches.shift());
  t.match(await answer, { kind: 'answered', answer: { outcome: 'accepted', transactionId: id }, session: null });
  t.equal(world.outbox.settled.get(id)?.knownToSale, true);
  t.same(world.answers, []);
});

t.test('waiting for a batch ends at the deadline; the late answer is then one that nobody waited for', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'earn');
  world.client.recordsQueued();
  const answer = world.client.authorise(id, 800);
  world.advance(800);
  t.same(await answer, { kind: 'silent', code: 'host.noAnswer' });
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.answers[0]?.transactionId, id);
  t.equal(world.answers[0]?.knownToSale, false);
});

t.test('a failed batch ends the waiting, and the record may be authorised anew', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'earn');
  world.client.recordsQueued();
  const waiting = world.client.authorise(id, 5_000);
  world.batches.shift()?.answer(err(lost));
  t.same(await waiting, { kind: 'silent', code: 'host.noAnswer' });
  const again = world.client.authorise(id, 5_000);
  t.equal(world.authorisations.length, 1, 'the batch that failed holds it no longer');
  world.authorisations[0]?.answer(authorisedWith(acceptedAnswer(id)));
  t.equal((await again).kind, 'answered');
  t.ok(world.client.reachable(), 'and proves the host is back');
});

t.test('the same record is never authorised twice at once, an unknown one not at all', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'spend');
  t.equal(world.client.authorise(id, 5_000), world.client.authorise(id, 5_000));
  t.equal(world.authorisations.length, 1);
  t.same(await world.client.authorise('gone' as TransactionId, 5_000), { kind: 'silent', code: 'host.noAnswer' });
});

t.test('a reversed record is settled without leaving work for a person', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'spend');
  world.client.recordsQueued();
  world.batches.shift()?.answer(batchOf([refusedAnswer(id, 'record.reversed')]));
  await settle();
  t.equal(world.outbox.settled.get(id)?.knownToSale, true);
});

t.test('a store that fails loses nothing: the records are sent again', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'earn');
  world.client.recordsQueued();
  world.outbox.failing = true;
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.client.status().lastError?.code, 'store.failed');
  world.outbox.failing = false;
  world.advance(60_000);
  t.same(world.batches[0]?.ids, [id]);
  acceptAll(world.batches.shift());
  await settle();
  t.ok(world.outbox.settled.has(id));
});

t.test('a round that a failing store ended takes no later answer for its own: the records go again', async (t) => {
  const world = await rested();
  const [batched, asked] = [queueOne(world, 'earn'), queueOne(world, 'spend')];
  const waiting = world.client.authorise(asked, 5_000);
  world.client.recordsQueued();
  t.same(world.batches[0]?.ids, [batched]);
  world.outbox.failing = true;
  world.authorisations[0]?.answer(authorisedWith(acceptedAnswer(asked)));
  t.match(await waiting, { kind: 'answered' }, 'the sale has its word, the store not yet');
  world.outbox.failing = false;
  t.equal(world.client.status().lastError?.code, 'store.failed');
  acceptAll(world.batches.shift());
  await settle();
  t.notOk(world.outbox.settled.has(batched), 'an answer of the round before');
  world.advance(60_000);
  t.same(world.batches[0]?.ids, [batched, asked]);
  acceptAll(world.batches.shift());
  await settle();
  t.ok(world.outbox.settled.has(batched) && world.outbox.settled.has(asked));
});

t.test('syncNow resolves when its round is over, with what came of it', async (t) => {
  const world = await rested();
  const good = world.client.syncNow();
  world.fetches.shift()?.answer(ok({ ...directives, catalogue: null }));
  t.equal((await good).state, 'online');
  t.equal(world.stored.length, 1, 'nothing new is not stored');
  const bad = world.client.syncNow();
  world.fetches.shift()?.answer(err(lost));
  t.match(await bad, { state: 'offline', lastError: { code: 'host.noAnswer' }, nextAttemptInMs: 500 });
});

t.test('stop drops what is under way; a start begins anew', async (t) => {
  const world = await rested();
  const id = queueOne(world, 'earn');
  world.client.recordsQueued();
  const waiting = world.client.authorise(id, 5_000);
  const round = world.client.syncNow();
  world.client.stop();
  t.same(await waiting, { kind: 'silent', code: 'host.unreachable' });
  t.equal((await round).state, 'offline');
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.outbox.settled.size, 0, 'the late answer is nobody’s');
  t.notOk(world.client.reachable());
  world.client.start();
  t.same(world.batches[0]?.ids, [id]);
});

t.test('stop from within a callback starts nothing more, and drops what went out before it', async (t) => {
  const world: World = await rested({ onAnswer: () => world.client.stop() });
  world.outbox.queue(5);
  world.client.recordsQueued();
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.client.status().state, 'offline');
  t.equal(world.outbox.settled.size, 4);
  acceptAll(world.batches.shift());
  await settle();
  t.equal(world.batches.length, 0);
  t.same(
    world.outbox.unsent.map(({ transactionId }) => transactionId),
    [idOf(5)],
  );
});

t.test('before enrolment all is silent; afterwards the queue leaves', async (t) => {
  const world = build({ host: null }, 2);
  world.client.start();
  t.equal(world.client.status().state, 'notEnrolled');
  t.same(await world.client.authorise(world.outbox.unsent[0]?.transactionId as TransactionId, 100), {
    kind: 'silent',
    code: 'host.unreachable',
  });
  world.client.enrolled(world.host);
  t.equal(world.batches[0]?.ids.length, 2);
});

t.test('a session is asked for beside everything else and tells whether the host is there', async (t) => {
  const world = await rested();
  const request = {
    key: 'card',
    keyId: '',
    terminalNonce: '',
    phoneNonce: '',
    counter: 1,
    proof: '',
    context: '',
  } as const;
  const granted = world.client.openSession(request, 1_000);
  world.sessions.shift()?.answer(ok({ outcome: 'granted', session }));
  t.match(await granted, { ok: true, value: { outcome: 'granted' } });
  const missed = world.client.openSession(request, 1_000);
  world.sessions.shift()?.answer(err(lost));
  t.match(await missed, { ok: false, error: { code: 'host.noAnswer' } });
  t.notOk(world.client.reachable());
});

t.test('an inquiry is asked for beside everything else, and its failure says nothing of the host', async (t) => {
  const world = await rested();
  const credential = { method: 'screenCode', code: 'SLR123456789461192462' } as const;
  const request = { transactionId: '019c0000-0000-7000-8000-000000000001' as TransactionId, credential };
  const refused = world.client.inquire(request, 1_000);
  world.inquiries.shift()?.answer(ok({ outcome: 'refused', code: 'access.rateLimited' }));
  t.match(await refused, { ok: true, value: { code: 'access.rateLimited' } });
  const missed = world.client.inquire(request, 1_000);
  world.inquiries.shift()?.answer(err(lost));
  t.match(await missed, { ok: false, error: { code: 'host.noAnswer' } });
  t.ok(world.client.reachable(), 'the sale that comes next asks the host as ever');
  world.client.stop();
  t.match(await world.client.inquire(request, 1_000), { ok: false });
  t.equal(world.inquiries.length, 0, 'a host that is not there is not asked');
});

t.test(
  'a session with a wallet is signed for beside everything else, and silence says nothing of the host',
  async (t) => {
    const world = await rested();
    const request = { collectorId: 1, terminalNonce: '00'.repeat(32), deviceNonce: '00'.repeat(32) };
    const refused = world.client.signSmartTap(request, 500);
    world.signatures.shift()?.answer(ok({ outcome: 'refused', code: 'pass.unknownKey' }));
    t.match(await refused, { ok: true, value: { code: 'pass.unknownKey' } });
    const missed = world.client.signSmartTap(request, 500);
    world.signatures.shift()?.answer(err(lost));
    t.match(await missed, { ok: false, error: { code: 'host.noAnswer' } });
    t.ok(world.client.reachable());
    world.client.stop();
    t.match(await world.client.signSmartTap(request, 500), { ok: false });
    t.equal(world.signatures.length, 0);
  },
);

t.test('a host restored from a backup is sent again what it lost, settled or not, and is told of once', async (t) => {
  const told: unknown[] = [];
  const world = build({ onRegression: (to) => void told.push(to) }, 3);
  const answer = async (watermark: Watermark, outcome: 'accepted' | 'later') => {
    const sent = world.batches.at(-1);
    const answers = (sent?.ids ?? []).map((id): RecordAnswer => {
      const transactionId = id as TransactionId;
      if (outcome === 'accepted') return acceptedAnswer(transactionId);
      return { outcome, transactionId, code: 'host.busy', retryAfterMs: 1_000 };
    });
    sent?.answer(ok({ answers, watermark, directivesVersion: 7 }));
    await settle();
  };
  world.client.start();
  await answer(watermarkAt(3), 'accepted');
  world.fetches[0]?.answer(ok(directives));
  await settle();
  t.equal(world.outbox.unsentCount(), 0);
  world.outbox.queue(1);
  world.client.recordsQueued();
  t.same(world.newestSeen.at(-1), [idOf(3)], 'it names the record that it saw answered last');
  await answer({ ...watermarkAt(1), wentBack: true }, 'later');
  t.same(told, [{ ...watermarkAt(1), wentBack: true }]);
  t.same(world.batches.at(-1)?.ids, [idOf(2), idOf(3)], 'what the host lost goes at once, what it was asked later');
  t.same(world.newestSeen.at(-1), [idOf(1)], 'from here on the restored host is the measure');
  await answer(watermarkAt(3), 'accepted');
  world.fetches.at(-1)?.answer(ok(directives));
  await settle();
  world.advance(1_000);
  await answer(watermarkAt(4), 'accepted');
  t.equal(world.outbox.unsentCount(), 0);
  t.equal(told.length, 1);
});
