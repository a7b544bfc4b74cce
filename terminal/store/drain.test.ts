/**
 * Shows that more undos than the client may hold, each behind the plain sale that it undoes, leave the box. By a store in
 * memory, the shipped client on a clock of numbers, and a host that puts off what undoes a sale it does not have.
 */
import t from 'tap';
import { createSyncClient } from '../../host-sync/client/client.js';
import type { HostPort } from '../../host-sync/client/host-port.js';
import { holdsMax } from '../../host-sync/client/sync-state.js';
import type { RecordAnswer } from '../../host-sync/protocol/sync.js';
import { nativeCrypto } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import { ok } from '../kernel/result.js';
import { monotonicMs, wallMs } from '../kernel/units.js';
import { openTerminalStore } from './open.js';
import { acceptedAnswer, fixtureStart, fixtureTerminal, plainSale, undo } from './sale-fixtures.js';

const pageSize = 500;
const never = () => new Promise<never>(() => undefined);
/** Lets every promise that is settled run its reactions. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A host in memory. It puts off what refers to a record that it does not hold. */
function openHost() {
  const held = new Set<string>();
  const count = { later: 0 };
  const answerTo = (body: string): RecordAnswer => {
    const { transactionId, original } = JSON.parse(body) as { transactionId: TransactionId; original?: string };
    if (original !== undefined && !held.has(original)) {
      count.later++;
      return { outcome: 'later', transactionId, code: 'host.busy', retryAfterMs: 5_000 };
    }
    held.add(transactionId);
    return acceptedAnswer(transactionId);
  };
  const sendRecords: HostPort['sendRecords'] = (records) => {
    const answers = records.map(({ body }) => answerTo(body));
    const newest = answers.at(-1)?.transactionId ?? null;
    const watermark = { epoch: 1, sequence: held.size, hash: 'ab'.repeat(32), recordsHeld: held.size, newest };
    return Promise.resolve(ok({ answers, watermark: { ...watermark, wentBack: false }, directivesVersion: 1 }));
  };
  const port: HostPort = {
    ...{ sendRecords, directives: never, bell: never, authorise: never, openSession: never, inquire: never },
    ...{ signSmartTap: never, requestAllowance: never, raiseEpoch: never, renew: never },
  };
  return { port, count, held };
}

t.test('more undos than may be held drain with the plain sales that they undo', async (t) => {
  const store = openTerminalStore({ file: ':memory:', crypto: nativeCrypto });
  t.teardown(() => store.close());
  store.setIdentity({ terminalId: fixtureTerminal, epoch: 1 });
  const undone = holdsMax + 100;
  for (let serial = 1; serial <= 2 * undone; serial += 2) {
    const sale = plainSale(serial);
    for (const step of [sale, undo(serial + 1, sale, serial % 4 === 1 ? null : 100, 'accepted')])
      store.persist(step.sale, step.records, fixtureStart);
  }
  t.equal(store.unsentCount(), 2 * undone);

  const host = openHost();
  let nowMs = 1_000;
  let timers: { readonly atMs: number; readonly run: () => void }[] = [];
  const client = createSyncClient({
    outbox: store,
    host: host.port,
    bellWaitMs: 0,
    clock: { monotonicMs: () => monotonicMs(nowMs), wallMs: () => wallMs(fixtureStart + nowMs) },
    schedule: (delayMs, run) => {
      const timer = { atMs: nowMs + delayMs, run };
      timers.push(timer);
      return () => {
        timers = timers.filter((one) => one !== timer);
      };
    },
    random: { bytes: () => Uint8Array.of(0x80, 0, 0, 0) },
    limits: { pageSize, backOffMinMs: 1_000, backOffMaxMs: 60_000, pollMs: 60_000 },
    directivesHeld: () => null,
    onDirectives: () => undefined,
    onAnswer: () => undefined,
    onStatus: () => undefined,
  });
  client.start();
  // Each step answers what is under way, and runs the timer that is due next.
  for (let step = 0; store.unsentCount() > 0 && step < 200; step++) {
    await settled();
    const due = timers.sort((a, b) => a.atMs - b.atMs).shift();
    if (due) nowMs = Math.max(nowMs, due.atMs);
    due?.run();
  }
  t.equal(store.unsentCount(), 0);
  t.equal(host.count.later, 0, 'what is undone goes first');
  t.equal(host.held.size, 2 * undone);
  client.stop();
});
