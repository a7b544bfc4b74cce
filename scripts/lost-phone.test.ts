/**
 * Shows a lost phone from end to end (row P1): a real host and a real box, simulated phones held to the box's reader, a line between
 * the two that can be cut. Before the block the phone earns, also without the network; after it the host refuses at once, and the
 * box alone after one sync; what was earned late is settled; and another phone goes on with points, coupons and the card's money.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { loadConfig } from '../config/load.js';
import { SimulatedPhone } from '../drivers/sim/phone/phone.js';
import { newPhoneState, VolatileMemory } from '../drivers/sim/phone/phone-state.js';
import type { CouponView, MemberView } from '../host-sync/server/host.js';
import { openTestHost, type TestHost } from '../host-sync/server/sim/running-host.js';
import type { AmountMinor } from '../terminal/kernel/units.js';
import { type RunningTerminal, startTerminal } from '../terminal/main.js';
import type { SaleView } from '../terminal/runtime/port.js';
import { ReaderDouble } from '../terminal/sim/reader-double.js';

t.setTimeout(180_000);
const patienceMs = 20_000;
const number = '13800000001';
const schedule = (delayMs: number, run: () => void): (() => void) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

async function until<T>(what: string, look: () => Promise<T | null | false> | T | null | false): Promise<T> {
  for (let waited = 0; waited < patienceMs; waited += 20) {
    const seen = await look();
    if (seen) return seen;
    await wait(20);
  }
  throw new Error(`waited in vain for ${what}`);
}

/** The line between box and host. */
class Line {
  up = true;
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((near) => {
    if (!this.up) return near.destroy();
    const far = connect(this.hostPort, '127.0.0.1');
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
    return undefined;
  });
  constructor(private readonly hostPort: number) {}
  async listen(): Promise<number> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    return (this.#server.address() as AddressInfo).port;
  }
  cut(): void {
    this.up = false;
    for (const socket of this.#sockets) socket.destroy();
  }
  close(): void {
    this.cut();
    this.#server.close();
  }
}

interface Shop {
  readonly host: TestHost;
  readonly box: RunningTerminal;
  readonly reader: ReaderDouble;
  readonly line: Line;
}

async function openShop(t: Test): Promise<Shop> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-lost-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const host = await openTestHost(t, { schedule, messageLookMs: 100 });
  const line = new Line(host.running.port);
  const port = await line.listen();
  const { authority } = await host.run<{ authority: string }>('status');
  const { code } = await host.run<{ code: string }>('enrolment.draw', { name: 'till' });
  mkdirSync(path.join(folder, 'box'), { mode: 0o700 });
  const codeFile = path.join(folder, 'code');
  writeFileSync(codeFile, code);
  const loaded = loadConfig(`
[console]
socket = false
[localApi]
enabled = false
[sync]
hostUrl = "https://localhost:${port}"
authorityFingerprint = "${authority}"
enrolmentCodeFile = "${codeFile}"
`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const reader = new ReaderDouble(schedule);
  const box = await startTerminal({
    ...{
      dataFolder: path.join(folder, 'box'),
      config: loaded.value,
      simulated: false,
      version: 'test',
      bootstrapFile: '',
    },
    drivers: [reader],
    crashed: (error) => t.fail('a bug', { error }),
  });
  t.teardown(async () => {
    line.close();
    await box.stop();
  });
  await until('rules', () => box.terminal.status().directivesVersion !== null);
  return { host, box, reader, line };
}

interface Held {
  readonly phone: SimulatedPhone;
  readonly memory: VolatileMemory;
}
function newPhone(ownNumber = number): Held {
  const memory = new VolatileMemory(newPhoneState(ownNumber));
  return { memory, phone: new SimulatedPhone({ memory }) };
}
/** The phone takes its messages until this holds. */
async function hears({ host }: Shop, held: Held, what: string, holds: () => unknown): Promise<void> {
  const folder = (name: string): string => path.join(host.dataFolder, 'messages', name);
  await until(what, () => {
    held.phone.handleMessages(folder('out'), folder('in'));
    return Boolean(holds());
  });
}

let references = 0;
/** A sale of 10.00 by this phone, which is held to the reader. */
async function tap({ box, reader }: Shop, { phone }: Held): Promise<SaleView['outcome']> {
  references += 1;
  const started = await box.terminal.startSale({
    ...{ command: { service: 'pointsEarn' }, purchase: { amountMinor: 1_000 as AmountMinor } },
    ...{ reference: `r-${references}`, clerk: 'anna', origin: 'till' },
  });
  if (!started.ok) throw new Error(JSON.stringify(started.error));
  const link = reader.tap(phone);
  const ended = await box.terminal.saleEnded(started.value.transactionId, patienceMs);
  if (ended?.phase !== 'ended') throw new Error('the sale did not end');
  reader.remove(link);
  return ended.outcome;
}
const drained = ({ box }: Shop) =>
  until('an empty queue', async () => {
    await box.terminal.syncNow();
    return box.terminal.status().queue.unsent === 0;
  });

t.test('a lost phone is blocked, and another takes over', async (t) => {
  const shop = await openShop(t);
  const { host, box, line } = shop;
  const memberNow = () => host.run<MemberView>('member.show', { who: number });
  const old = newPhone();
  await host.run('member.register', { phone: number, name: '张三' });
  await hears(shop, old, 'the registration', () => old.memory.state.memberships[0]);
  await until('the member', async () => (await host.admin('member.show', { who: number })).status === 200);
  const coupon = await host.run<{ code: string }>('coupon.issue', {
    ...{ holder: 'host', member: number, currency: 'CNY', amountMinor: 5_000 },
  });
  const card = await host.run<{ code: string }>('coupon.issue', {
    ...{ holder: 'card', member: number, currency: 'CNY', amountMinor: 20_000 },
  });
  await hears(shop, old, 'the card', () => old.memory.state.memberships[0]?.card);
  t.match(await tap(shop, old), { result: 'accepted', authority: 'host', points: 10 });
  t.match(await memberNow(), { points: 10 });

  const before = box.terminal.status().directivesVersion;
  line.cut();
  t.match(
    await tap(shop, old),
    { result: 'accepted', authority: 'box', points: 10 },
    'without the network, before the block',
  );
  await wait(20);
  const lost = await host.run<{ keys: string[]; coupons: string[] }>('member.lost', { who: number });
  t.same(lost.coupons, [card.code]);
  await wait(20);
  t.match(await tap(shop, old), { result: 'accepted', authority: 'box' }, 'a box that has not heard yet cannot know');

  line.up = true;
  await drained(shop);
  t.match(
    await memberNow(),
    { points: 20 },
    'what was earned before the block counts, what was earned after it does not',
  );
  const letters = await host.run<{ rows: { kind: string; code: string }[] }>('deadLetter.list');
  t.match(letters.rows, [{ kind: 'pointsEarn', code: 'credential.blocked' }], 'and a person sees it');
  t.match(await tap(shop, old), { result: 'refused', code: 'credential.blocked' }, 'the host refuses at once');
  await until('the directives of that sync', () => box.terminal.status().directivesVersion !== before);
  line.cut();
  t.match(await tap(shop, old), { result: 'refused', code: 'credential.blocked' }, 'and so does the box alone');

  line.up = true;
  const next = newPhone();
  await hears(shop, next, 'the new registration', () => next.memory.state.memberships[0]);
  await hears(shop, next, 'its content', () => next.memory.state.packages[0]?.content);
  t.match(
    next.memory.state.memberships[0]?.coupons,
    [{ code: coupon.code, balanceMinor: 5_000 }],
    'coupons come by themselves',
  );
  await until('the line', async () => {
    await box.terminal.syncNow();
    return box.terminal.status().sync.state === 'online';
  });
  t.match(await tap(shop, next), { result: 'accepted', authority: 'host', points: 10, balances: { points: 30 } });
  const taken = await host.run<{ code: string }>('coupon.takeOver', { code: card.code });
  t.match(await host.run<CouponView>('coupon.show', { code: taken.code }), { holder: 'host', balanceMinor: 20_000 });
  await hears(shop, next, 'the coupon', () =>
    next.memory.state.memberships[0]?.coupons.some(({ code }) => code === taken.code),
  );
  t.match(await memberNow(), { points: 30 });
  t.match(await host.run('verify'), { ledger: { problems: [] }, store: [] });
});
