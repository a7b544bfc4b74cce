/**
 * Shows that the shipped module driver passes the conformance suite over the real serial library and a pseudo-terminal, and
 * that over a line that loses, changes and repeats bytes each command is done at most once and answered in the end. How: a
 * member's device written from docs/protocols/phone.md alone, on the line and behind a lossy one whose clock moves when told.
 */
import { constants, existsSync, mkdtempSync, openSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ReadStream } from 'node:tty';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { ok } from '../../terminal/kernel/result.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { driverConformance } from '../contract/conformance.js';
import type { ApduLink } from '../contract/transport.js';
import { ManualTime } from '../sim/manual-time.js';
import { type ModuleAnswers, ModulePhone } from '../sim/module-phone.js';
import { openPtyPair } from '../sim/pty.js';
import { ModuleDriver } from './module-driver.js';
import { openSerialTransport } from './serial-transport.js';

const native = {
  clock: nativeClock,
  schedule: (delayMs: number, run: () => void) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
const everyNative = (ms: number, run: () => void) => {
  const timer = setInterval(run, ms);
  return () => clearInterval(timer);
};
const atrOf = (session: number): Bytes => {
  const body = concat(hex('888001'), utf8('SER1'), hex(session.toString(16).padStart(8, '0')));
  return concat(hex('3b'), body, Uint8Array.of(body.reduce((check, byte) => check ^ byte, 0)));
};

async function openRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-module-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let pair = await openPtyPair(...paths);
  let phone: ModulePhone | null = null;
  let session = 0x10;
  const attach = () => {
    const file = openSync(pair.device, constants.O_RDWR | constants.O_NOCTTY);
    const stream = new ReadStream(file);
    stream.on('data', (chunk: Buffer) => phone?.hear(chunk));
    stream.on('error', () => {});
    return { file, stream };
  };
  let far = attach();
  const pullOut = async () => {
    phone?.leave();
    far.stream.destroy();
    await pair.close();
  };
  return {
    driver: new ModuleDriver(
      { paths: [pair.line], baud: 9_600 },
      { ...native, open: (line) => openSerialTransport(line, 9_600), exists: existsSync, isSimulated: () => true },
    ),
    card: {
      insert: async (answers: ModuleAnswers) => {
        phone = new ModulePhone(++session, answers, {
          send: (bytes) => writeSync(far.file, bytes),
          every: everyNative,
        });
        return atrOf(session);
      },
      remove: async () => phone?.leave(),
    },
    plug: {
      pullOut,
      putBack: async () => {
        pair = await openPtyPair(...paths);
        far = attach();
      },
    },
    close: pullOut,
  };
}

driverConformance(t, ['card', 'plug'], openRig);

/** A driver whose one line passes everything through `spoil`, both ways. */
async function openLossy(spoil: (bytes: Bytes) => readonly Bytes[]) {
  const time = new ManualTime();
  const phones: ModulePhone[] = [];
  let toBox: (chunk: Bytes) => void = () => {};
  const links: ApduLink[] = [];
  const removed: string[] = [];
  const driver = new ModuleDriver(
    { paths: ['/a'], baud: 9_600 },
    {
      ...time,
      open: async () =>
        ok({
          write: async (bytes) => {
            await null;
            for (const piece of spoil(bytes)) for (const phone of phones) phone.hear(piece);
            return ok(undefined);
          },
          onData: (listener) => {
            toBox = listener;
          },
          onClosed: () => {},
          close: async () => {},
        }),
      exists: () => true,
      isSimulated: () => true,
    },
  );
  const every = (ms: number, run: () => void): (() => void) => {
    let cancel = time.schedule(ms, function again() {
      run();
      cancel = time.schedule(ms, again);
    });
    return () => cancel();
  };
  await driver.start((event) => {
    if (event.type === 'cardPresented') links.push(event.link);
    if (event.type === 'cardRemoved') removed.push(event.linkId);
  });
  const turns = async (forMs: number): Promise<void> => {
    for (let at = 0; at < forMs; at += 50) {
      time.advance(50);
      for (let turn = 0; turn < 5; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  return {
    ...{ driver, links, removed, time, turns },
    touch: (session: number, answers: ModuleAnswers) => {
      const phone = new ModulePhone(session, answers, {
        send: (bytes) => {
          for (const piece of spoil(bytes)) toBox(piece);
        },
        every,
      });
      phones.push(phone);
      return phone;
    },
    counters: () => driver.statuses()[0]?.counters,
  };
}
const whole = (bytes: Bytes): readonly Bytes[] => [bytes];
const minute = durationMs(60_000);

t.test(
  'a device is taken when heard twice, two at once never, and after goodbye not until it was silent',
  async (t) => {
    const { counters, driver, links, removed, touch, turns } = await openLossy(whole);
    const one = touch(1, (command) => command);
    await turns(200);
    t.equal(links.length, 0, 'heard once');
    await turns(100);
    t.equal(links.length, 1);
    await links[0]?.close();
    t.same(removed, [links[0]?.id]);
    touch(1, (command) => command);
    await turns(2_000);
    t.equal(links.length, 1, 'the same touch is served once');
    one.leave();
    const [two, three] = [touch(2, (command) => command), touch(3, (command) => command)];
    await turns(2_000);
    t.equal(links.length, 1, 'two at once: neither');
    t.ok((counters()?.['crowded'] ?? 0) > 0);
    three.leave();
    await turns(1_500);
    t.equal(links.length, 2, 'one went away');
    two.leave();
    await turns(3_000);
    t.equal(removed.length, 2, 'and so did the other');
    await driver.stop();
  },
);

t.test('a device that takes long says so, one that has gone does not', async (t) => {
  const { driver, links, touch, turns } = await openLossy(whole);
  let answer: (bytes: Bytes) => void = () => {};
  const slow = touch(1, () => new Promise((resolve) => (answer = resolve)));
  await turns(500);
  const first = links[0]?.transmit(hex('00a40400'), minute);
  await turns(10_000);
  answer(hex('9000'));
  await turns(100);
  t.same(await first, ok(hex('9000')));
  t.equal(slow.done.length, 1, 'asked often, done once');
  const second = links[0]?.transmit(hex('00b00000'), minute);
  slow.leave();
  await turns(5_000);
  t.match(await second, { ok: false, error: { code: 'device.cardRemoved' } });
  await driver.stop();
});

t.test('over a line that loses, changes and repeats: each command at most once, in order', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.integer({ min: 0, max: 99 })), async (chance) => {
      const next = (): number => chance.next().value as number;
      const { driver, links, touch, turns } = await openLossy((bytes) => {
        const luck = next();
        if (luck < 8) return [];
        if (luck < 14) return [bytes, bytes];
        if (luck >= 20) return [bytes];
        const changed = bytes.slice();
        changed[luck % changed.length] = (changed[luck % changed.length] ?? 0) ^ (1 << (luck % 8));
        return [changed];
      });
      const phone = touch(7, (command) => concat(command, hex('9000')));
      await turns(2_000);
      const [link] = links;
      const answered: Bytes[] = [];
      for (let number = 0; link && number < 8; number++) {
        const command = concat(hex('80ca0000'), Uint8Array.of(number), new Uint8Array(number * 40));
        const asked = link.transmit(command, minute);
        let isOver = false;
        void asked.then(() => {
          isOver = true;
        });
        for (let second = 0; second < 60 && !isOver; second++) await turns(1_000);
        const answer = await asked;
        if (!answer.ok) break;
        answered.push(answer.value.slice(0, -2));
      }
      const done = phone.done.map((command) => command[4]);
      t.same(done, [...new Set(done)], 'nothing is done twice');
      t.same(
        done,
        [...done].sort((a, b) => (a ?? 0) - (b ?? 0)),
      );
      t.same(
        answered.map((command) => command[4]),
        done.slice(0, answered.length),
        'each answer is that command’s',
      );
      await driver.stop();
      phone.leave();
    }),
    { numRuns: 40, seed: 20_261_128 },
  );
});
