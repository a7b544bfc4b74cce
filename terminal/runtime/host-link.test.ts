/**
 * Shows that a box sells nothing before its host knows it, finds its own way there, also after a restore, and takes an
 * answer that came before a restart for what it is. With the shipped link over real TLS to a hand-made host on loopback;
 * its retries are moved by hand.
 */
import { existsSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createAuthority, serve, type TestServer } from '../../host-sync/client/sim/authority.js';
import { hex } from '../kernel/bytes.js';
import { nativeCrypto, nativeRandom } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import { wallMs } from '../kernel/units.js';
import { BoxDouble, directives, terminalId } from '../sim/box-double.js';
import { markRestored } from '../store/backup.js';
import { openTerminalStore } from '../store/open.js';
import { HostConnection, type HostLinkOptions } from './host-link.js';
import type { Refusal } from './port.js';

const authority = createAuthority('Test authority');
const pair = authority.issue({ name: 'host', names: ['localhost', '127.0.0.1'] });
const code = '7K2M-0000-ABCD-WXYZ';
const plain = { service: 'plainSale' } as const;
const pollMs = 5;
const deadlineMs = 20_000;

/** Real sockets take real time: looks again until it is so. */
async function eventually(what: string, condition: () => unknown): Promise<void> {
  for (let waited = 0; waited < deadlineMs; waited += pollMs) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  throw new Error(`waited in vain for ${what}`);
}

interface FakeHost extends TestServer {
  readonly seen: string[];
  /** Requests to these paths are refused with 503. */
  readonly down: Set<string>;
}

/** A host that enrols, begins epochs, gives directives, and answers nothing else. */
async function fakeHost(t: Test): Promise<FakeHost> {
  const seen: string[] = [];
  const down = new Set<string>();
  const chain = { ...pair, certificatePem: pair.certificatePem + authority.certificatePem };
  const host = await serve(authority, chain, { rejectUnauthorized: false });
  const previous = { epoch: 1, sequence: 0, hash: '00'.repeat(32), recordsHeld: 0, newest: null, wentBack: false };
  host.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const path = (request.url ?? '').split('?')[0] ?? '';
      seen.push(path);
      const body = text === '' ? {} : (JSON.parse(text) as Record<string, string>);
      const answers: Readonly<Record<string, () => unknown>> = {
        '/v1/enrol': () => ({
          ...{ terminalId, epoch: 1, siteKey: 'a5'.repeat(16), authority: authority.certificatePem },
          certificate: authority.sign(body['request'] ?? '', terminalId),
        }),
        '/v1/epoch': () => ({ epoch: 2, previous }),
        '/v1/directives': () => directives,
      };
      const answer = down.has(path) ? undefined : answers[path];
      response.writeHead(answer ? 200 : 503).end(JSON.stringify(answer?.() ?? { code: 'host.busy', detail: '' }));
    });
  });
  t.teardown(() => host.close());
  return { ...host, seen, down };
}

function connect(t: Test, folder: string, box: BoxDouble, changes: Partial<HostLinkOptions> = {}) {
  const waits: (Refusal | null)[] = [];
  const connection = new HostConnection({
    ...{ store: box.store, clock: box.clock, schedule: box.time.schedule, random: nativeRandom },
    onStatus: () => box.terminal.syncChanged(),
    onWaiting: (refusal) => {
      waits.push(refusal);
      box.terminal.setWaiting(refusal);
    },
    options: {
      ...{ keysFolder: join(folder, 'keys'), realm: 'real', hostUrl: '', authorityFile: '', authorityFingerprint: '' },
      ...{ enrolmentCodeFile: '', bootstrapFile: join(folder, 'bootstrap.json') },
      ...{ connectTimeoutMs: 5_000, silenceTimeoutMs: 5_000, requestTimeoutMs: 10_000 },
      limits: { pageSize: 100, backOffMinMs: 1_000, backOffMaxMs: 60_000, pollMs: 60_000 },
      ...changes,
    },
  });
  t.teardown(() => connection.stop());
  return { connection, waits };
}

async function bareBox(t: Test, file?: string): Promise<BoxDouble> {
  const box = new BoxDouble({ bare: true, ...(file === undefined ? {} : { file }) });
  t.teardown(() => box.close());
  await box.terminal.start();
  return box;
}

/** What the embedded host leaves for a box that is new. */
function leaveBootstrap(folder: string, host: TestServer): void {
  const port = Number(new URL(host.origin).port);
  const authorityFingerprint = authority.fingerprint.replaceAll(':', '').toLowerCase();
  writeFileSync(join(folder, 'bootstrap.json'), JSON.stringify({ code, authorityFingerprint, port }));
}

t.test('a box without a code sells nothing; it tries again and enrols when there is one', async (t) => {
  const folder = t.testdir();
  const host = await fakeHost(t);
  const box = await bareBox(t);
  const { connection, waits } = connect(t, folder, box);
  await connection.start();
  t.match(waits, [{ code: 'terminal.notEnrolled' }]);
  t.match(await box.refused(plain), { code: 'terminal.notEnrolled', detail: /draw one at the host/ });
  t.match(connection.status(), { state: 'notEnrolled', lastError: { code: 'terminal.notEnrolled' } });
  t.notOk(connection.reachable());
  t.equal(connection.siteKey, null);

  leaveBootstrap(folder, host);
  box.time.advance(4_999);
  t.same(host.seen, [], 'not before it is time');
  box.time.advance(1);
  await eventually('directives', () => box.store.directives());
  t.same(waits.slice(1), [null]);
  t.same(host.seen.slice(0, 2), ['/v1/enrol', '/v1/directives']);
  t.same(box.store.identity(), { terminalId, epoch: 1 });
  t.same(connection.siteKey, hex('a5'.repeat(16)));
  t.notOk(existsSync(join(folder, 'bootstrap.json')), 'the code does not lie about');
  t.match((await box.start(plain)).outcome, { result: 'accepted' });
  t.match(box.terminal.status(), { terminalId, stopped: null, merchant: directives.merchant });
});

t.test('a code without anything to know the host by is a configuration error, and so is the wrong realm', async (t) => {
  const folder = t.testdir({ code });
  const host = await fakeHost(t);
  const box = await bareBox(t);
  const blind = connect(t, folder, box, { enrolmentCodeFile: join(folder, 'code'), hostUrl: host.origin });
  await blind.connection.start();
  t.match(blind.waits, [{ code: 'config.invalid', detail: /authorityFingerprint/ }]);
  t.same(host.seen, [], 'the code is shown to nobody');
  const noFile = connect(t, folder, box, { enrolmentCodeFile: join(folder, 'none'), hostUrl: host.origin });
  await noFile.connection.start();
  t.match(noFile.waits, [{ code: 'config.invalid' }]);

  leaveBootstrap(folder, host);
  const right = connect(t, folder, box);
  await right.connection.start();
  t.same(right.waits, [null]);
  const wrong = connect(t, folder, box, { realm: 'simulated' });
  await wrong.connection.start();
  t.match(wrong.waits, [{ code: 'record.wrongRealm' }]);
  t.match(await box.refused(plain), { code: 'record.wrongRealm' }, 'simulated and real never mix');
});

t.test('an enrolled box sells at once, also where its host is away', async (t) => {
  const folder = t.testdir();
  const host = await fakeHost(t);
  const box = await bareBox(t);
  leaveBootstrap(folder, host);
  const first = connect(t, folder, box);
  await first.connection.start();
  await eventually('directives', () => box.store.directives());
  await first.connection.stop();
  await host.close();

  box.terminal.setWaiting({ code: 'terminal.notEnrolled', detail: '' });
  const later = connect(t, folder, box);
  await later.connection.start();
  t.same(later.waits, [null], 'nobody need be asked who it is');
  await eventually('the failed contact', () => !later.connection.reachable());
  t.match(later.connection.status(), { state: 'offline', lastError: { code: 'host.unreachable' } });
  t.match((await box.start(plain)).outcome, { result: 'accepted' });
});

t.test('directives that do not say whose memberships are accepted are fetched anew at the same version', async (t) => {
  const folder = t.testdir();
  const host = await fakeHost(t);
  const box = await bareBox(t);
  leaveBootstrap(folder, host);
  const first = connect(t, folder, box);
  await first.connection.start();
  await eventually('directives', () => box.store.directives()?.merchants.length);
  await first.connection.stop();

  const { merchants: _merchants, ...former } = directives;
  box.store.setDirectives(former as typeof directives);
  t.match(box.store.directives(), { version: directives.version, merchants: [] });
  await connect(t, folder, box).connection.start();
  await eventually('the merchants', () => box.store.directives()?.merchants.length);
  t.same(box.store.directives()?.merchants, directives.merchants);
});

t.test('a restored box waits until its host has begun a new epoch', async (t) => {
  const folder = t.testdir();
  const file = join(folder, 'box.db');
  const host = await fakeHost(t);
  const before = new BoxDouble({ bare: true, file });
  leaveBootstrap(folder, host);
  const enrolled = connect(t, folder, before);
  await enrolled.connection.start();
  await eventually('directives', () => before.store.directives());
  await enrolled.connection.stop();
  before.close();
  markRestored(file, wallMs(1_790_000_000_000));

  const box = await bareBox(t, file);
  host.down.add('/v1/epoch');
  const { connection, waits } = connect(t, folder, box);
  await connection.start();
  t.match(waits, [{ code: 'terminal.restored' }]);
  t.match(await box.refused(plain), { code: 'terminal.restored' });
  t.same(box.store.identity(), { terminalId, epoch: 1 });
  t.notOk(connection.reachable(), 'and nothing is sent under the old epoch');
  t.notOk(host.seen.includes('/v1/records'));

  host.down.clear();
  box.time.advance(5_000);
  await eventually('the new epoch', () => waits.length === 2);
  t.same(waits[1], null);
  t.same(box.store.identity(), { terminalId, epoch: 2 });
  t.match((await box.start(plain)).outcome, { result: 'accepted' });
  t.match(box.records[0], { epoch: 2, sequence: 1 });
  await connection.stop();
  box.close();

  const again = openTerminalStore({ file, crypto: nativeCrypto });
  t.teardown(() => again.close());
  t.equal(again.setting('restored'), null, 'the mark is gone for good');
});

t.test('an answer that came before a restart is the answer, not silence', async (t) => {
  const folder = t.testdir();
  const box = new BoxDouble({});
  t.teardown(() => box.close());
  await box.terminal.start();
  const { transactionId } = await box.start({ service: 'pointsEarn' });
  box.reader.tap(box.host.phone('1380'));
  await box.ended(transactionId);
  const { connection } = connect(t, folder, box);
  await connection.start();
  t.match(await connection.authorise(transactionId, 1_000), {
    kind: 'answered',
    answer: { outcome: 'accepted', transactionId, pointsPosted: 300 },
    session: null,
  });
  const unknown = '01900000-0000-7000-8000-000000000001' as TransactionId;
  t.same(await connection.authorise(unknown, 1_000), { kind: 'silent' });
});
