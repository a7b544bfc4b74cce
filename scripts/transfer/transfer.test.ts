/**
 * Shows the whole procedure of docs/replacing-a-box.md with shipped terminals and a shipped host over real TLS: a box is
 * replaced with what it had not sent; a lost box is found later; a cloned box and one whose disk went back come home; a
 * damaged database is taken in from what salvage found; and what no file and no box may do. No record is lost or counted twice.
 */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { loadConfig } from '../../config/load.js';
import { openTestHost, type TestHost } from '../../host-sync/server/sim/running-host.js';
import type { AmountMinor } from '../../terminal/kernel/units.js';
import { type RunningTerminal, startTerminal } from '../../terminal/main.js';
import type { SaleCommand, SaleView } from '../../terminal/runtime/port.js';
import { exportSalvage } from '../../terminal/store/salvage.js';
import { openAdminClient } from '../host/admin-client.js';
import { exportBox, importBox, reenrolBox, resumeBox } from './box.js';
import { recordsOf, salvagedRecords, takeIn } from './take-in.js';
import { openTransferKey, readTransfer, transferRequest } from './transfer-file.js';

const patienceMs = 20_000;
const quiet = { onBytes: () => {} };
type Row = Readonly<Record<string, unknown>>;

async function until<T>(what: string, look: () => Promise<T | null | false> | T | null | false): Promise<T> {
  for (let waited = 0; waited < patienceMs; waited += 10) {
    const seen = await look();
    if (seen) return seen;
    await wait(10);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** A port that nobody listens on. */
async function deadPort(): Promise<number> {
  const server = createServer().listen(0);
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

interface Shop {
  readonly host: TestHost;
  readonly fingerprint: string;
  readonly coupon: string;
  folder(name: string): string;
  /** Starts the box of that folder; `code`: to enrol with. */
  start(folder: string, options?: { readonly code?: string; readonly offline?: boolean }): Promise<RunningTerminal>;
  enrolCode(replaces?: string): Promise<string>;
}

async function openShop(t: Test): Promise<Shop> {
  const root = mkdtempSync(path.join(tmpdir(), 'shouli-transfer-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const host = await openTestHost(t, { merchant: '小店', location: 'counter', currency: 'CNY' });
  const { authority } = await host.run<{ authority: string }>('status');
  const coupon = await host.run<{ code: string }>('coupon.issue', {
    ...{ holder: 'host', member: null, currency: 'CNY', amountMinor: 30_000 },
  });
  const nobody = await deadPort();
  const running = new Set<RunningTerminal>();
  t.teardown(async () => {
    for (const box of running) await box.stop();
  });
  const start: Shop['start'] = async (folder, { code, offline = false } = {}) => {
    const codeFile = path.join(folder, 'code');
    if (code !== undefined) writeFileSync(codeFile, code);
    const loaded = loadConfig(`
[console]
socket = false
[localApi]
enabled = false
[sync]
hostUrl = "https://localhost:${offline ? nobody : host.running.port}"
authorityFingerprint = "${authority}"
enrolmentCodeFile = "${codeFile}"
`);
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
    const box = await startTerminal({
      ...{
        dataFolder: folder,
        config: loaded.value,
        simulated: false,
        version: 'test',
        bootstrapFile: '',
        drivers: [],
      },
      crashed: (error) => t.fail('a bug', { error }),
    });
    const stop = box.stop;
    const kept = {
      ...box,
      stop: async () => {
        if (running.delete(kept)) await stop();
      },
    };
    running.add(kept);
    // Until it has rules it sells nothing; one that is waiting for something else says so in its test.
    if (code !== undefined) await until('rules', () => box.terminal.status().directivesVersion !== null);
    return kept;
  };
  return {
    ...{ host, fingerprint: authority, coupon: coupon.code, start },
    folder: (name) => {
      const folder = path.join(root, name);
      mkdirSync(folder, { mode: 0o700 });
      return folder;
    },
    enrolCode: async (replaces) => {
      const drawn = await host.run<{ code: string }>('enrolment.draw', { name: 'till', replaces: replaces ?? null });
      return drawn.code;
    },
  };
}

let references = 0;
async function sell({ terminal }: RunningTerminal, wish: Partial<SaleCommand> = {}): Promise<SaleView> {
  references += 1;
  const started = await terminal.startSale({
    ...{ command: { service: 'plainSale' }, purchase: { amountMinor: 1_000 as AmountMinor } },
    ...{ reference: `r-${references}`, clerk: 'anna', origin: 'till', ...wish },
  });
  if (!started.ok) throw new Error(JSON.stringify(started.error));
  const ended = await terminal.saleEnded(started.value.transactionId, patienceMs);
  if (ended?.phase !== 'ended') throw new Error('the sale did not end');
  return ended;
}
const sellAccepted = async (t: Test, box: RunningTerminal, wish: Partial<SaleCommand> = {}): Promise<SaleView> => {
  const sale = await sell(box, wish);
  t.match(sale.outcome, { result: 'accepted' });
  return sale;
};

const idOf = (box: RunningTerminal): string => box.terminal.status().terminalId ?? '';
const drained = (box: RunningTerminal) =>
  until('an empty queue', () => {
    const { queue, sync } = box.terminal.status();
    return queue.unsent === 0 && sync.state === 'online';
  });
const told = (box: RunningTerminal, code: string) =>
  until(`${code} at the box`, () => box.terminal.status().sync.lastError?.code === code);
/** A box that knows that nobody answers decides by itself. */
const alone = (box: RunningTerminal) => told(box, 'host.unreachable');
const refusedStart = async ({ terminal }: RunningTerminal) => {
  const started = await terminal.startSale({
    ...{ command: { service: 'plainSale' }, purchase: { amountMinor: 100 as AmountMinor } },
    ...{ reference: null, clerk: 'anna', origin: 'till' },
  });
  return started.ok ? null : started.error.code;
};
const letters = async ({ host }: Shop) =>
  (await host.run<{ rows: readonly Row[] }>('deadLetter.list', { standing: 'open' })).rows;
const sound = async (t: Test, { host }: Shop): Promise<void> => {
  const { ledger, store } = await host.run<{ ledger: { problems: readonly string[] }; store: readonly string[] }>(
    'verify',
  );
  t.same([...ledger.problems, ...store], [], 'the ledger adds up');
};
/** How many records of the terminal the host holds. */
const held = async ({ host }: Shop, terminalId: string): Promise<number> => {
  const { rows } = await host.run<{ rows: readonly Row[] }>('terminal.list');
  return Number(rows.find(({ id }) => id === terminalId)?.['recordsHeld']);
};

function ask(folder: string): { readonly file: string; readonly confirm: string } {
  const { text, fingerprint } = transferRequest(openTransferKey(path.join(folder, 'keys')));
  const file = path.join(folder, 'request');
  writeFileSync(file, text);
  return { file, confirm: fingerprint };
}

t.test('a box is replaced, with sales, an allowance and a queue that its host had not seen', async (t) => {
  const shop = await openShop(t);
  const [old, fresh] = [shop.folder('old'), shop.folder('new')];
  let box = await shop.start(old, { code: await shop.enrolCode() });
  const terminalId = idOf(box);
  await sellAccepted(t, box);
  await shop.host.run('allowance.setPolicy', { couponMinorMax: 20_000, sharePercent: 100 });
  t.match(await shop.host.run('allowance.grant', { terminalId, code: shop.coupon }), { granted: 1 });
  await until('the slice', () => box.terminal.offline().allowances.length === 1);
  await drained(box);
  await box.stop();

  box = await shop.start(old, { offline: true });
  await alone(box);
  await sellAccepted(t, box);
  const spent = await sellAccepted(t, box, { command: { service: 'couponHost' }, code: shop.coupon });
  t.match(spent.outcome, { authority: 'allowance' });
  t.equal(box.terminal.status().queue.unsent, 4, 'a sale and a spend wait, each with its consumption record');
  const out = shop.folder('out');
  mkdirSync(path.join(fresh, 'keys'), { mode: 0o700 });
  const busy = path.join(out, 'too-early');
  await t.rejects(exportBox(old, ask(fresh).file, busy, { confirm: ask(fresh).confirm, ...quiet }), {
    code: 'config.invalid',
  });
  await box.stop();

  const replacement = await shop.start(fresh, { code: await shop.enrolCode(terminalId) });
  t.equal(idOf(replacement), terminalId, 'it is the same terminal');
  t.match(replacement.terminal.status(), { epoch: 2 });
  t.same(replacement.terminal.offline().allowances, [], 'and may not spend what the old one may have spent');
  await replacement.stop();
  const { file, confirm } = ask(fresh);
  const target = path.join(old, 'export');
  await t.rejects(exportBox(old, file, target, { confirm: null, ...quiet }), {
    code: 'access.denied',
    detail: confirm,
  });
  t.notOk(existsSync(target));
  t.match(await exportBox(old, file, target, { confirm, ...quiet }), { terminalId, epoch: 1, gauges: { unsent: 4 } });
  t.match(await exportBox(old, file, target, { confirm, ...quiet }), { gauges: { unsent: 4 } }, 'again, the same');
  const silenced = await shop.start(old, { offline: true });
  t.equal(
    await refusedStart(silenced),
    'terminal.replaced',
    'the old box sells nothing any more, without a network too',
  );
  await silenced.stop();

  t.match(await importBox(fresh, target, () => {}), { terminalId, epoch: 1, gauges: { unsent: 4 } });
  const taken = await shop.start(fresh);
  await drained(taken);
  t.match(taken.terminal.status(), { terminalId, epoch: 3 });
  t.ok(taken.terminal.sale(spent.transactionId), 'it knows the old sales, for undoing');
  // What the running box does by itself every minute.
  taken.terminal.upkeep();
  await until('the slice came home', async () => {
    const { rows } = await shop.host.run<{ rows: readonly Row[] }>('allowance.list');
    return rows[0]?.['state'] === 'released';
  });
  t.match(await shop.host.run('coupon.show', { code: shop.coupon }), { balanceMinor: 29_000 });
  t.match(await shop.host.run('offline.show'), { risk: { borne: {} } });
  const undone = await sellAccepted(t, taken, {
    ...{ command: { service: 'void', original: spent.transactionId }, purchase: undefined as never },
  });
  t.ok(undone);
  await drained(taken);
  t.match(await shop.host.run('coupon.show', { code: shop.coupon }), { balanceMinor: 30_000 });
  t.same(await letters(shop), []);
  await sound(t, shop);

  t.equal(await resumeBox(old), true);
  const stubborn = await shop.start(old);
  await told(stubborn, 'terminal.replaced');
  t.equal(await refusedStart(stubborn), 'terminal.replaced', 'the host has given its place away');
});

t.test('a lost box was replaced without its records; found again, the host takes them in', async (t) => {
  const shop = await openShop(t);
  const [lost, fresh] = [shop.folder('lost'), shop.folder('new')];
  let box = await shop.start(lost, { code: await shop.enrolCode() });
  const terminalId = idOf(box);
  await shop.host.run('allowance.setPolicy', { couponMinorMax: 20_000, sharePercent: 100 });
  await shop.host.run('allowance.grant', { terminalId, code: shop.coupon });
  await until('the slice', () => box.terminal.offline().allowances.length === 1);
  await box.stop();
  box = await shop.start(lost, { offline: true });
  await alone(box);
  await sellAccepted(t, box);
  await sellAccepted(t, box, { command: { service: 'couponHost' }, code: shop.coupon });
  await box.stop();

  const replacement = await shop.start(fresh, { code: await shop.enrolCode(terminalId) });
  await sellAccepted(t, replacement);
  await drained(replacement);
  await replacement.stop();
  t.match(await shop.host.run('allowance.writeOffAll', { terminalId, by: 'owner' }), { written: 1 });
  t.match(await shop.host.run('coupon.show', { code: shop.coupon }), { balanceMinor: 30_000 }, 'nobody has to wait');

  const forBox = ask(fresh);
  const wrong = path.join(lost, 'export-for-box');
  await exportBox(lost, forBox.file, wrong, { confirm: forBox.confirm, ...quiet });
  await t.rejects(
    importBox(fresh, wrong, () => {}),
    { code: 'config.invalid', detail: /take-in/ },
  );

  const hostFolder = shop.host.dataFolder;
  const hostKey = openTransferKey(path.join(hostFolder, 'keys'));
  const request = transferRequest(hostKey);
  const requestFile = path.join(lost, 'host-request');
  writeFileSync(requestFile, request.text);
  const target = path.join(lost, 'export');
  await exportBox(lost, requestFile, target, { confirm: request.fingerprint, ...quiet });
  const into = path.join(lost, 'unpacked');
  const { authority: authorityPem } = shop.host;
  const manifest = await readTransfer(target, into, { key: hostKey, authorityPem }, () => {});
  t.match(manifest, { terminalId, unsent: 4 });
  const client = openAdminClient(hostFolder);
  t.teardown(() => client.close());
  const options = { by: 'owner', onRecords: () => {} };
  const give = () => takeIn(client.call, terminalId, recordsOf(path.join(into, 'terminal.db'), false), options);
  const before = await held(shop, terminalId);
  t.same(await give(), { terminalId, accepted: 4, refused: 0, waiting: 0 });
  t.equal(await held(shop, terminalId), before + 4);
  t.same(await give(), { terminalId, accepted: 4, refused: 0, waiting: 0 }, 'the same answers');
  t.equal(await held(shop, terminalId), before + 4, 'and nothing twice');
  t.match(await shop.host.run('coupon.show', { code: shop.coupon }), { balanceMinor: 30_000 });
  t.match(
    await shop.host.run('offline.show'),
    { risk: { borne: { CNY: 1_000 } } },
    'named: the slice had been written off',
  );
  await sound(t, shop);
});

t.test('a file is for one reader, of one terminal, and whole', async (t) => {
  const shop = await openShop(t);
  const [old, fresh, other] = [shop.folder('old'), shop.folder('new'), shop.folder('other')];
  const box = await shop.start(old, { code: await shop.enrolCode() });
  const terminalId = idOf(box);
  await sellAccepted(t, box);
  await box.stop();
  for (const [folder, code] of [
    [fresh, await shop.enrolCode(terminalId)],
    [other, await shop.enrolCode()],
  ] as const)
    await (await shop.start(folder, { code })).stop();
  const target = path.join(old, 'export');
  const forOther = ask(other);
  await exportBox(old, forOther.file, target, { confirm: forOther.confirm, ...quiet });
  await t.rejects(
    importBox(fresh, target, () => {}),
    { code: 'config.invalid', detail: /request comes first/ },
  );
  const forNew = ask(fresh);
  await t.rejects(
    importBox(fresh, target, () => {}),
    { code: 'access.denied', detail: /another request/ },
  );
  await t.rejects(
    importBox(other, target, () => {}),
    { code: 'access.denied', detail: new RegExp(terminalId) },
  );

  await exportBox(old, forNew.file, target, { confirm: forNew.confirm, ...quiet });
  const bytes = readFileSync(target);
  const damaged = path.join(old, 'damaged');
  for (const at of [0, 9, 20, 50, 60, 80, 200, Math.floor(bytes.length / 2), bytes.length - 1]) {
    const copy = Buffer.from(bytes);
    copy.writeUInt8(copy.readUInt8(at) ^ 1, at);
    writeFileSync(damaged, copy);
    await t.rejects(
      importBox(fresh, damaged, () => {}),
      { name: 'TerminalError' },
      `byte ${at}`,
    );
  }
  for (const length of [0, 1, 47, 48, 79, 100, bytes.length - 1]) {
    writeFileSync(damaged, bytes.subarray(0, length));
    await t.rejects(
      importBox(fresh, damaged, () => {}),
      { name: 'TerminalError' },
      `${length} bytes`,
    );
  }
  const still = await shop.start(fresh);
  t.match(still.terminal.status(), { terminalId, epoch: 2 }, 'the new box is as it was');
  await still.stop();
  await importBox(fresh, target, () => {});
  await t.rejects(
    importBox(fresh, target, () => {}),
    { code: 'config.invalid', detail: /request comes first/ },
  );
});

t.test(
  'a cloned box: the fork is held, the true one comes back by its own export, the copy’s sales count too',
  async (t) => {
    const shop = await openShop(t);
    const [original, copy] = [shop.folder('original'), shop.folder('copy')];
    let box = await shop.start(original, { code: await shop.enrolCode() });
    const terminalId = idOf(box);
    await sellAccepted(t, box);
    await drained(box);
    await box.stop();
    cpSync(original, copy, { recursive: true });

    const clone = await shop.start(copy, { offline: true });
    await sellAccepted(t, clone);
    await sellAccepted(t, clone);
    await clone.stop();
    box = await shop.start(original);
    await sellAccepted(t, box);
    await drained(box);
    const online = await shop.start(copy);
    await until('quarantine', async () => {
      const { rows } = await shop.host.run<{ rows: readonly Row[] }>('terminal.list');
      return rows[0]?.['state'] === 'quarantined';
    });
    t.ok(online.terminal.status().queue.unsent > 0, 'nothing is thrown away at the box');
    await box.stop();
    await online.stop();

    // The true one: a new key in its own place, and a new epoch. The copy's key is worth nothing any more.
    t.equal((await reenrolBox(original)).terminalId, terminalId);
    box = await shop.start(original, { code: await shop.enrolCode(terminalId) });
    t.match(box.terminal.status(), { terminalId, epoch: 3 });
    await sellAccepted(t, box);
    const released = await shop.host.run<Row>('terminal.release', { terminalId, by: 'owner', applyForks: true });
    t.match(released, { refused: 0, waiting: 0 });
    await until('all answered', async () => (await box.terminal.syncNow()) && box.terminal.status().queue.unsent === 0);

    const stopped = await shop.start(copy);
    await told(stopped, 'terminal.replaced');
    t.equal(await refusedStart(stopped), 'terminal.replaced');
    await stopped.stop();
    const hostKey = openTransferKey(path.join(shop.host.dataFolder, 'keys'));
    const request = transferRequest(hostKey);
    writeFileSync(path.join(copy, 'request'), request.text);
    const target = path.join(copy, 'export');
    await exportBox(copy, path.join(copy, 'request'), target, { confirm: request.fingerprint, ...quiet });
    const into = path.join(copy, 'unpacked');
    await readTransfer(target, into, { key: hostKey, authorityPem: shop.host.authority }, () => {});
    const client = openAdminClient(shop.host.dataFolder);
    t.teardown(() => client.close());
    const options = { by: 'owner', onRecords: () => {} };
    t.match(await takeIn(client.call, terminalId, recordsOf(path.join(into, 'terminal.db'), true), options), {
      ...{ refused: 0, waiting: 0 },
    });
    t.equal(await held(shop, terminalId), 2 * 5, 'one before, the true one’s two, the copy’s two, and none twice');
    t.same(await letters(shop), []);
    await sound(t, shop);
  },
);

t.test('a box whose disk went back finds out, and sells again when a person has looked', async (t) => {
  const shop = await openShop(t);
  const folder = shop.folder('box');
  const snapshot = shop.folder('snapshot');
  let box = await shop.start(folder, { code: await shop.enrolCode() });
  const terminalId = idOf(box);
  await sellAccepted(t, box);
  await drained(box);
  await box.stop();
  cpSync(folder, snapshot, { recursive: true });
  box = await shop.start(folder);
  await sellAccepted(t, box);
  await sellAccepted(t, box);
  await drained(box);
  await box.stop();

  const back = await shop.start(snapshot, { offline: true });
  await sellAccepted(t, back);
  await back.stop();
  box = await shop.start(snapshot);
  await until('it knows', () => box.terminal.audit(5).some(({ action }) => action === 'this box went back in time'));
  t.equal(await refusedStart(box), 'terminal.restored');
  t.match(
    box.terminal.audit(5).map(({ action }) => action),
    ['this box went back in time'],
  );
  await shop.host.run('terminal.release', { terminalId, by: 'owner', applyForks: true });
  await until('a new epoch', () => box.terminal.status().epoch !== 1);
  await sellAccepted(t, box);
  await until('all answered', async () => (await box.terminal.syncNow()) && box.terminal.status().queue.unsent === 0);
  t.same(await letters(shop), []);
  await sound(t, shop);
});

t.test('a damaged database: what salvage finds is taken in', async (t) => {
  const shop = await openShop(t);
  const old = shop.folder('old');
  let box = await shop.start(old, { code: await shop.enrolCode() });
  const terminalId = idOf(box);
  await sellAccepted(t, box);
  await drained(box);
  await box.stop();
  box = await shop.start(old, { offline: true });
  await sellAccepted(t, box);
  await sellAccepted(t, box);
  await box.stop();
  const file = path.join(old, 'salvaged');
  t.match(exportSalvage(path.join(old, 'terminal.db'), file), { rows: 6, unreadable: 0 });
  // The row of the second record was in a page that could not be read: its hash is missing, and so is its follower's place.
  const lines = readFileSync(file, 'utf8').trim().split('\n');
  const second = JSON.parse(lines[1] ?? '') as { body: string };
  lines[1] = JSON.stringify({ number: null, hash: null, body: second.body });
  writeFileSync(file, `${lines.join('\n')}\n`);
  const client = openAdminClient(shop.host.dataFolder);
  t.teardown(() => client.close());
  const envelopes = [];
  for await (const record of salvagedRecords(file)) envelopes.push(record.envelope);
  t.equal(envelopes.length, 6);
  const options = { by: 'owner', onRecords: () => {} };
  const before = await held(shop, terminalId);
  t.same(await takeIn(client.call, terminalId, envelopes, options), {
    terminalId,
    accepted: 6,
    refused: 0,
    waiting: 0,
  });
  t.equal(await held(shop, terminalId), before + 4, 'the first sale was there already');
  await sound(t, shop);
});
