/**
 * Shows the driver on the real path: its own child process, nfc-pcsc, pcscd and a virtual reader, with each of them
 * killed, frozen, missing or lying, and the card torn away. How: one private pcscd with vpcd for the file; every wait is
 * for an event. USB unplugging cannot be had with virtual readers; a fake child shows it in pcsc-driver.test.ts.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Bytes, concat, equalBytes, hex, toHex } from '../../terminal/kernel/bytes.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent, Schedule } from '../contract/driver.js';
import type { ApduLink } from '../contract/transport.js';
import { openPcscRig } from '../sim/pcscd.js';
import { type CardScript, createVirtualCard, type VirtualCard, virtualAtr, vpcdPorts } from '../sim/vpcd.js';
import { type Frame, readerFrames } from './frames.js';
import type { PcscOptions } from './options.js';
import { PcscDriver } from './pcsc-driver.js';
import { spawnReaderChild } from './reader-process.js';

t.setTimeout(900_000);

const select = hex('00A40400');
const timeout = durationMs(5_000);
const waitMaxMs = 20_000;
const schedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};
const echo = (command: Bytes) => concat(command, hex('9000'));
const never = () => new Promise<Bytes>(() => {});

async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + waitMaxMs;
  for (;;) {
    const seen = look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${waitMaxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A driver on the real child, with its events. */
function openDriver(t: Test, options: Partial<PcscOptions> = {}) {
  const events: DeviceEvent[] = [];
  const driver = new PcscDriver({ clock: nativeClock, schedule, options: { virtualReaders: true, ...options } });
  t.teardown(() => driver.stop());
  const status = (device: string) => driver.statuses().find((row) => row.device === device);
  const links = () => events.flatMap((event): ApduLink[] => (event.type === 'cardPresented' ? [event.link] : []));
  return {
    driver,
    events,
    status,
    start: () => driver.start((event) => events.push(event)),
    ready: () => until('a ready reader', () => status('reader-1')?.state === 'ready'),
    /** The link of the card with this ATR, its nth presentation. */
    linkOf: (atr: Bytes, nth = 1) =>
      until('a card', () => links().filter((link) => equalBytes(link.atr, atr))[nth - 1]),
    starts: () => status('pcsc')?.counters['processStarts'] ?? 0,
  };
}
/** Puts a card with an ATR of its own into the field: pcscd may still report the one before. */
async function insert(
  t: Test,
  respond: CardScript['respond'],
  slot: 0 | 1 = 0,
): Promise<{ phone: VirtualCard; atr: Bytes }> {
  const atr = virtualAtr(new Uint8Array(randomBytes(4)));
  const phone = createVirtualCard({ script: { atr, respond }, port: vpcdPorts[slot] });
  t.teardown(() => phone.remove());
  await phone.insert();
  return { phone, atr };
}

const isAlive = (pid: number): boolean => {
  // A zombie has ended; only its parent has not looked yet.
  const stat = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') Z';
  return !/\) [ZX]/.test(stat);
};

t.test('on pcscd with virtual readers', async (t) => {
  const rig = await openPcscRig();
  t.teardown(() => rig.close());
  t.comment(`loopback acknowledges at once: ${rig.quickAck}`);

  await t.test('conformance', async (t) => {
    driverConformance(t, rig.owned ? ['card', 'plug'] : ['card'], async () => {
      const { driver } = openDriver(t);
      let inField: VirtualCard | null = null;
      return {
        driver,
        card: {
          insert: async (answers) => {
            const { phone, atr } = await insert(t, (command) => answers(command));
            inField = phone;
            return atr;
          },
          remove: async () => inField?.remove(),
        },
        plug: { pullOut: () => rig.stop('kill'), putBack: () => rig.start() },
        close: async () => inField?.remove(),
      };
    });
  });

  await t.test('a card torn before it acted, and after', async (t) => {
    const { start, linkOf } = openDriver(t);
    await start();
    for (const [when, acted] of [
      ['before', 1],
      ['after', 2],
    ] as const) {
      const { phone, atr } = await insert(t, echo);
      const link = await linkOf(atr);
      t.ok((await link.transmit(select, timeout)).ok);
      phone.tearAt(1, when);
      const torn = await link.transmit(select, timeout);
      t.equal(!torn.ok && torn.error.code, 'device.cardRemoved', when);
      t.equal(phone.commandsSeen, acted, `${when}: the card acted on so many commands`);
    }
  });

  await t.test('the longest commands and answers pass whole, and two slots do not mix', async (t) => {
    const { start, linkOf } = openDriver(t);
    await start();
    const first = await insert(t, (command) => concat(command, hex('9000')), 0);
    const second = await insert(t, (command) => concat(command, hex('9001')), 1);
    const links = [await linkOf(first.atr), await linkOf(second.atr)];
    const long = new Uint8Array(65_000).fill(0x5a);
    long.set(hex('00D600000000'), 0);
    for (let round = 0; round < 20; round++) {
      const command = round % 5 === 0 ? long : concat(select, new Uint8Array([round]));
      const outcomes = await Promise.all(links.map((link) => link.transmit(command, timeout)));
      const tails = outcomes.map((outcome) => (outcome.ok ? toHex(outcome.value.subarray(-2)) : outcome.error.code));
      t.strictSame(tails, ['9000', '9001'], `round ${round}`);
      t.ok(outcomes.every((outcome) => outcome.ok && outcome.value.length === command.length + 2));
    }
    await Promise.all([first.phone.remove(), second.phone.remove()]);
  });

  await t.test('a card with a broken ATR is counted, and the next card works', async (t) => {
    const { start, status, linkOf } = openDriver(t);
    await start();
    const broken = createVirtualCard({ script: { atr: hex('0102'), respond: echo } });
    await broken.insert();
    await until('the failure', () => status('reader-1')?.counters['failures'] === 1);
    t.equal(status('reader-1')?.state, 'ready');
    await broken.remove();
    const whole = await insert(t, echo);
    t.ok((await (await linkOf(whole.atr)).transmit(select, timeout)).ok);
    await whole.phone.remove();
  });

  await t.test('a command that never comes back costs the child; then the reader serves again', async (t) => {
    const { start, linkOf, starts, ready } = openDriver(t, { answerGraceMs: 50 });
    await start();
    const stuck = await insert(t, never);
    const late = await (await linkOf(stuck.atr)).transmit(select, durationMs(50));
    t.equal(!late.ok && late.error.code, 'device.timedOut');
    await until('another child', () => starts() === 2);
    await stuck.phone.remove();
    await ready();
    const { phone, atr } = await insert(t, echo);
    t.ok((await (await linkOf(atr)).transmit(select, timeout)).ok);
    await phone.remove();
  });

  await t.test('a child that is killed or frozen is replaced, and its card is presented again', async (t) => {
    const { driver, start, linkOf, starts } = openDriver(t, { heartbeatMs: 200 });
    await start();
    const { phone, atr } = await insert(t, echo);
    await linkOf(atr);
    process.kill(driver.childPid ?? 0, 'SIGKILL');
    t.ok((await (await linkOf(atr, 2)).transmit(select, timeout)).ok, 'after SIGKILL');
    process.kill(driver.childPid ?? 0, 'SIGSTOP');
    t.ok((await (await linkOf(atr, 3)).transmit(select, timeout)).ok, 'after SIGSTOP');
    t.equal(starts(), 3);
    await phone.remove();
  });

  await t.test('no byte of an exchange reaches events, states or counters', async (t) => {
    const { driver, start, linkOf, events } = openDriver(t);
    await start();
    const canary = hex('C0FFEE5EC2E7');
    const { phone, atr } = await insert(t, (command) => concat(command, canary, hex('9000')));
    const link = await linkOf(atr);
    await link.transmit(concat(select, canary), timeout);
    phone.tearAt(1, 'after');
    const torn = await link.transmit(concat(select, canary), timeout);
    await until('the removal', () => events.some((event) => event.type === 'cardRemoved' && event.linkId === link.id));
    const said = JSON.stringify([
      torn,
      driver.statuses(),
      events.filter((event) => event.type !== 'cardPresented'),
    ]).toLowerCase();
    for (const form of [toHex(canary), [...canary].join(','), Buffer.from(canary).toString('base64').toLowerCase()])
      t.notOk(said.includes(form), form);
  });

  await t.test(
    'pcscd that is not there is said so at once, without spinning, and taken up when it comes',
    { skip: !rig.owned },
    async (t) => {
      await rig.stop();
      const { start, status, ready, starts } = openDriver(t, { heartbeatMs: 200 });
      await start();
      t.equal(status('pcsc')?.state, 'absent');
      t.match(status('pcsc')?.error?.detail, /pcscd is not running/);
      await rig.start();
      await ready();
      t.equal(starts(), 1, 'the same child waited');
    },
  );

  await t.test('pcscd that ends again and again is taken up each time', { skip: !rig.owned }, async (t) => {
    const { start, ready, linkOf, status } = openDriver(t);
    await start();
    for (let round = 0; round < 3; round++) {
      await rig.stop(round % 2 === 0 ? 'kill' : 'terminate');
      await until('the loss', () => status('reader-1')?.state === 'absent');
      t.match(status('reader-1')?.error?.detail, /pcscd/, 'the reason is pcscd, not the reader');
      const before = Date.now();
      await rig.start();
      await ready();
      t.comment(`back in service ${Date.now() - before} ms after pcscd was started`);
      const { phone, atr } = await insert(t, echo);
      t.ok((await (await linkOf(atr)).transmit(select, timeout)).ok, `round ${round}`);
      await phone.remove();
    }
  });
});

/** Something at pcscd's place that takes connections and never answers: libpcsclite waits or spins in it for good. */
async function openImpostor(): Promise<{ path: string; server: Server }> {
  const path = join(tmpdir(), `shouli-impostor-${process.pid}.sock`);
  const server = createServer((socket) => socket.on('error', () => {}));
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return { path, server };
}

t.test('escape commands without a card: refused by this driver, which costs no card', async (t) => {
  const rig = await openPcscRig();
  t.teardown(() => rig.close());
  const frames: Frame[] = [];
  const child = spawnReaderChild();
  t.teardown(() => child.kill());
  const stream = readerFrames.stream();
  child.onData((chunk) => {
    const read = stream.push(chunk);
    if (read.ok) frames.push(...read.value);
  });
  child.onEnded(() => {});
  await until('the first look', () => frames.some((frame) => frame.type === 'looked'));
  const [field] = frames.flatMap((frame) =>
    frame.type === 'readerAdded' && frame.name.endsWith('00 00') ? [frame] : [],
  );
  // Each is sent only when the one before has ended; one too many is dropped, so they are sent until it is known.
  const refused = await until('the refusal', () => {
    child.write(readerFrames.encode({ type: 'escape', reader: field?.reader ?? 0, commands: [hex('E00000290102')] }));
    return frames.find((frame) => frame.type === 'escapeFailed');
  });
  t.match(refused, { reader: field?.reader, code: 'device.denied', detail: /SCardControl/ });
  const { atr } = await insert(t, echo);
  const card = await until('the card', () => frames.find((frame) => frame.type === 'cardPresented'));
  t.ok(card.type === 'cardPresented' && equalBytes(card.atr, atr), 'a card after it is connected as ever');
  const presented = card.type === 'cardPresented' ? card.card : 0;
  child.write(readerFrames.encode({ type: 'transmit', card: presented, exchange: 1, command: select }));
  const answer = await until('the answer', () => frames.find((frame) => frame.type === 'answer'));
  t.match(answer, { exchange: 1 });
});

t.test('a child that hangs in native code is killed and replaced, and a stop still ends', async (t) => {
  const { path, server } = await openImpostor();
  t.teardown(() => server.close());
  const before = process.env['PCSCLITE_CSOCK_NAME'];
  process.env['PCSCLITE_CSOCK_NAME'] = path;
  const { driver, start, status, starts } = openDriver(t, { heartbeatMs: 200 });
  const started = start();
  await until('a second child', () => starts() >= 2);
  t.match(status('pcsc')?.error?.detail, /does not answer/);
  await started;
  const pid = driver.childPid;
  await driver.stop();
  if (pid !== null) await until('the end of the child', () => !isAlive(pid));
  if (before === undefined) delete process.env['PCSCLITE_CSOCK_NAME'];
  else process.env['PCSCLITE_CSOCK_NAME'] = before;
  t.equal(driver.childPid, null);
});

t.test('the child ends with the box, also when the box is killed and the child hangs in native code', async (t) => {
  const { path, server } = await openImpostor();
  t.teardown(() => server.close());
  for (const [what, socketPath] of [
    ['waiting for pcscd', `${path}.missing`],
    ['hanging', path],
  ] as const) {
    const program = `
      import { PcscDriver } from ${JSON.stringify(new URL('./pcsc-driver.js', import.meta.url).href)};
      import { nativeClock } from ${JSON.stringify(new URL('../../terminal/kernel/native.js', import.meta.url).href)};
      const schedule = (delayMs, run) => { const timer = setTimeout(run, delayMs); return () => clearTimeout(timer); };
      const driver = new PcscDriver({ clock: nativeClock, schedule, options: { heartbeatMs: 60000 } });
      void driver.start(() => {});
      console.log(driver.childPid);`;
    const box = spawn(process.execPath, ['--input-type=module', '--eval', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { PATH: process.env['PATH'], PCSCLITE_CSOCK_NAME: socketPath },
    });
    const pid = Number(
      await new Promise<string>((resolve) => box.stdout.once('data', (chunk: Buffer) => resolve(String(chunk)))),
    );
    t.ok(isAlive(pid), `${what}: the child runs`);
    if (what === 'hanging') {
      // The addon being mapped is the last that is seen before native code takes the thread for good.
      await until('the native library', () => readFileSync(`/proc/${pid}/maps`, 'utf8').includes('pcsclite.node'));
    }
    box.kill('SIGKILL');
    await until('the end of the child', () => !isAlive(pid));
    t.notOk(isAlive(pid), `${what}: and ends`);
  }
});
