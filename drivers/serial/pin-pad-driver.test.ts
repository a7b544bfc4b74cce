/**
 * Shows that the PIN pad driver passes the conformance suite on a pseudo-terminal through the real serial library, that the block
 * which comes over it opens with the issuer's key and the right card number alone, and that every entry has one defined end: torn
 * frames, noise, wrong bytes, a pad of another make, one that hangs, starts anew, is pulled, answers late or uses a key again. How:
 * a pad written from docs/protocols/pin-pad.md alone, on the line and behind the driver's ports with a clock that moves when told.
 */
import { appendFileSync, existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { type Bytes, concat, equalBytes, hex, readUintBE, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeCrypto as crypto, nativeClock, nativeRandom } from '../../terminal/kernel/native.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent, PinEnd } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import { initialKey, transactionKey, workingKey } from '../protocols/dukpt/dukpt.js';
import { KeySerials } from '../protocols/pin-pad/key-serials.js';
import { decodePinBlock4 } from '../protocols/pinblock/pinblock.js';
import { ManualTime } from '../sim/manual-time.js';
import { padOnPty, type SimulatedPadSetup, SimulatedPinPad } from '../sim/pin-pad.js';
import { openPtyPair } from '../sim/pty.js';
import { namedLines } from './line-driver.js';
import { PinPadDriver } from './pin-pad-driver.js';
import { answerTimeoutMs, marginMs, triesMax } from './pin-pad-talk.js';
import { openSerialTransport } from './serial-transport.js';

const schedule = (delayMs: number, run: () => void) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};
const initialKeyId = hex('1234567890123456');
const initial = initialKey(crypto, hex('fedcba9876543210f1f1f1f1f1f1f1f1'), initialKeyId);
const setup: SimulatedPadSetup = {
  crypto,
  random: nativeRandom,
  schedule,
  initialKey: initial,
  initialKeyId,
  counter: 0,
};
const pan = '5413330089090014';
const otherPan = '5500005555555559';
const asked = { device: null, pan, timeoutS: 30 };

/** The issuer's side: the key of this serial number, and the block under it. */
function openBlock(end: PinEnd | null, forPan: string) {
  if (end?.result !== 'entered') throw new Error(`no PIN: ${end?.result}`);
  if (!equalBytes(end.keySerialNumber.subarray(0, 8), initialKeyId)) throw new Error('not this pad');
  const counter = readUintBE(end.keySerialNumber.subarray(8));
  const transaction = transactionKey(crypto, initial, initialKeyId, counter);
  return decodePinBlock4(crypto, workingKey(crypto, transaction, 'pin', initialKeyId, counter), end.pinBlock, forPan);
}

async function openPtyRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-pinpad-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let pair = await openPtyPair(...paths);
  let far = padOnPty(pair.device, setup);
  const lines = namedLines([pair.line]);
  const driver = new PinPadDriver('serial', 'generic', {
    ...{ clock: nativeClock, schedule, random: nativeRandom, keySerials: new KeySerials(), wanted: () => lines },
    ...{ open: (line) => openSerialTransport(line, 9_600), exists: existsSync, isSimulated: () => true },
  });
  const pullOut = async () => {
    far.close();
    await pair.close();
  };
  return {
    ...{ driver, device: paths[1] },
    pad: () => far.pad,
    plug: {
      pullOut,
      putBack: async () => {
        pair = await openPtyPair(...paths);
        far = padOnPty(pair.device, { ...setup, counter: far.pad.counter });
      },
    },
    close: pullOut,
  };
}

t.test('conformance on a pseudo-terminal', async (t) => driverConformance(t, ['plug'], openPtyRig));

t.test('over the real serial library: block and card number, cancelled, and pulled in mid-entry', async (t) => {
  const rig = await openPtyRig();
  const events: DeviceEvent[] = [];
  await rig.driver.start((event) => events.push(event));
  rig.pad().pin = '739164';
  const end = await rig.driver.askPin(asked);
  t.match(openBlock(end, pan), { ok: true, value: '739164' });
  t.match(openBlock(end, otherPan), { ok: false }, 'fault 24: a swapped card number is found');
  t.match(end, { device: 'pinpad-1', pinBlock: { length: 16 }, keySerialNumber: { length: 12 } });
  const { mood } = rig.pad();
  const { cable } = mood;
  let dripping = Promise.resolve();
  mood.cable = (frame) => {
    // Noise, the frame with a wrong LRC, then the frame itself, a byte at a time.
    const spoilt = frame.with(-1, (frame.at(-1) ?? 0) ^ 0x55);
    dripping = dripping.then(async () => {
      appendFileSync(rig.device, concat(utf8('\u0003~~'), spoilt));
      for (const byte of frame) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        appendFileSync(rig.device, Uint8Array.of(byte));
      }
    });
    return new Uint8Array(0);
  };
  t.match(openBlock(await rig.driver.askPin(asked), pan), { ok: true, value: '739164' }, 'byte by byte');
  t.match(rig.driver.statuses()[0]?.counters, { asked: 2, entered: 2, noise: 2 });
  mood.cable = cable;
  rig.pad().pin = null;
  const entering = rig.driver.askPin(asked);
  while (!rig.pad().prompt) await new Promise((resolve) => setTimeout(resolve, 5));
  rig.driver.cancelPin(null);
  t.same(await entering, { result: 'cancelled', device: 'pinpad-1' });
  t.equal(rig.pad().prompt, null, 'the pad asks no more');
  const torn = rig.driver.askPin(asked);
  while (!rig.pad().prompt) await new Promise((resolve) => setTimeout(resolve, 5));
  await rig.plug.pullOut();
  t.match(await torn, { result: 'unknown', error: { code: 'device.closed' } });
  await rig.plug.putBack();
  while (rig.driver.statuses()[0]?.state !== 'ready') await new Promise((resolve) => setTimeout(resolve, 5));
  rig.pad().pin = '1234';
  t.match(openBlock(await rig.driver.askPin(asked), pan), { ok: true, value: '1234' });
  t.ok(
    events.every(({ type }) => type === 'deviceStateChanged'),
    'no event carries anything of an entry',
  );
  await rig.driver.stop();
  await rig.close();
});

type Pieces = (frame: Bytes) => readonly Bytes[];
const whole: Pieces = (frame) => [frame];

/** A pad behind the driver's ports, and a clock that moves when told. */
async function openFeigned(t: { teardown(run: () => unknown): void }, counter = 0, keySerials = new KeySerials()) {
  const time = new ManualTime();
  const line = {
    pieces: whole,
    written: [] as Bytes[],
    given: [] as Bytes[],
    hear: (_chunk: Bytes): void => {},
    closed: (_error: DeviceError): void => {},
    write: null as Result<void, DeviceError> | 'hangs' | null,
  };
  const pad = new SimulatedPinPad({ ...setup, schedule: time.schedule, counter }, (frame) => {
    for (const piece of line.pieces(frame)) queueMicrotask(() => give(piece));
  });
  const give = (piece: Bytes): void => {
    const chunk = piece.slice();
    line.given.push(chunk);
    line.hear(chunk);
  };
  const names = namedLines(['/dev/pad']);
  const driver = new PinPadDriver('serial', 'generic', {
    ...{ ...time, random: nativeRandom, keySerials, wanted: () => names, exists: () => true, isSimulated: () => true },
    open: async () =>
      ok({
        write: async (bytes) => {
          line.written.push(bytes.slice());
          if (line.write === 'hangs') return new Promise(() => {});
          if (line.write) return line.write;
          pad.feed(bytes);
          return ok(undefined);
        },
        onData: (listener) => {
          line.hear = listener;
        },
        onClosed: (listener) => {
          line.closed = listener;
        },
        close: async () => {},
      }),
  });
  t.teardown(() => driver.stop());
  await driver.start(() => {});
  const turn = async () => {
    for (let i = 0; i < 20; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  /** Lets so much time pass, as long as nothing has come of the entry. */
  const pass = async (ms: number) => {
    time.advance(ms);
    await turn();
  };
  return { driver, pad, line, time, turn, pass, give, row: () => driver.statuses()[0] };
}

/** What became of a promise so far. */
function watch(ending: Promise<PinEnd | null> | undefined): { end: PinEnd | null | undefined } {
  const seen: { end: PinEnd | null | undefined } = { end: undefined };
  void ending?.then((end) => {
    seen.end = end;
  });
  return seen;
}

t.test('an answer torn at every byte, with noise before it, is the same answer', async (t) => {
  for (let cut = 0; cut <= 90; cut++) {
    const rig = await openFeigned(t);
    rig.line.pieces = (frame) => [utf8('~\u0003n'), frame.subarray(0, cut), frame.subarray(cut)];
    rig.pad.pin = '2580';
    t.match(openBlock(await rig.driver.askPin(asked), pan), { ok: true, value: '2580' }, `cut at ${cut}`);
    t.ok(
      rig.line.given.every((chunk) => chunk.every((byte) => byte === 0)),
      'and what came is wiped',
    );
    await rig.driver.stop();
  }
});

t.test('any flipped bit of the answer: no PIN, a defined end, and the next entry is well', async (t) => {
  for (let bit = 0; bit < 8 * 84; bit += 5) {
    const rig = await openFeigned(t);
    rig.pad.mood.cable = (frame) => {
      if (frame.length < 60) return frame;
      const flipped = frame.slice();
      const at = (bit >> 3) % frame.length;
      flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
      return flipped;
    };
    const entry = watch(rig.driver.askPin({ ...asked, timeoutS: 5 }));
    await rig.turn();
    rig.pad.key('2580');
    await rig.turn();
    t.equal(entry.end, undefined, 'not taken');
    await rig.pass(5_000 + marginMs);
    t.match(entry.end, { result: 'unknown', error: { code: 'device.timedOut' } });
    rig.pad.mood.cable = (frame) => frame;
    rig.pad.pin = '1111';
    t.match(openBlock(await rig.driver.askPin(asked), pan), { ok: true, value: '1111' });
    t.match(rig.row(), { state: 'ready', error: null });
    await rig.driver.stop();
  }
});

t.test('a call that is lost is said again, and the member is asked once', async (t) => {
  const rig = await openFeigned(t);
  rig.pad.mood.mute = true;
  const entry = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.mood.mute = false;
  const { cable } = rig.pad.mood;
  rig.pad.mood.cable = (frame) => frame.with(3, 0x20);
  await rig.pass(answerTimeoutMs);
  t.match(rig.pad.prompt, { pan, seconds: 30 }, 'asked, but its saying so was lost');
  rig.pad.mood.cable = cable;
  await rig.pass(answerTimeoutMs);
  t.equal(rig.pad.heard.length, 2, 'said again');
  await rig.pass(25_000);
  rig.pad.key('4711');
  await rig.turn();
  t.match(openBlock(entry.end ?? null, pan), { ok: true, value: '4711' });
  t.match(rig.row()?.counters, { asked: 1, entered: 1, noise: 1, strange: 0, late: 0 });
});

t.test('a pad that hangs: not answering is known in seconds, later after its time and a margin', async (t) => {
  const rig = await openFeigned(t);
  rig.pad.mood.mute = true;
  const silent = watch(rig.driver.askPin(asked));
  await rig.pass(triesMax * answerTimeoutMs - 1);
  t.equal(silent.end, undefined);
  await rig.pass(1);
  t.match(silent.end, { result: 'unknown', error: { code: 'device.timedOut' } });
  t.match(rig.row(), { state: 'ready', error: { code: 'device.timedOut' } });
  rig.pad.mood.mute = false;
  const hangs = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.mood.mute = true;
  await rig.pass(30_000 + marginMs - 1);
  t.equal(hangs.end, undefined);
  await rig.pass(1);
  t.match(hangs.end, { result: 'unknown', error: { code: 'device.timedOut' } });
  rig.pad.mood.mute = false;
  const refused = err<DeviceError>({ code: 'device.failed', detail: 'cannot be written' });
  for (const write of ['hangs', refused] as const) {
    rig.line.write = write;
    const unwritten = watch(rig.driver.askPin(asked));
    await rig.turn();
    await rig.pass(triesMax * answerTimeoutMs);
    t.match(unwritten.end, {
      result: 'unknown',
      error: { code: write === 'hangs' ? 'device.timedOut' : 'device.failed' },
    });
  }
  rig.line.write = null;
  rig.pad.pin = '1234';
  t.match(await rig.driver.askPin(asked), { result: 'entered' });
  t.match(rig.row(), { state: 'ready', error: null });
});

t.test('the pad’s own ends: nobody keyed, the cancel key, no keys left', async (t) => {
  const rig = await openFeigned(t);
  const alone = watch(rig.driver.askPin(asked));
  await rig.turn();
  await rig.pass(30_000);
  t.same(alone.end, { result: 'timedOut', device: 'pinpad-1' });
  const unwilling = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.pressCancel();
  await rig.turn();
  t.same(unwilling.end, { result: 'cancelled', device: 'pinpad-1' });
  const spent = await openFeigned(t, 0xffff_0000);
  spent.pad.pin = '1234';
  t.same(await spent.driver.askPin(asked), { result: 'noKeys', device: 'pinpad-1' });
  t.match(spent.row(), { state: 'ready', error: { code: 'device.keysSpent' } });
});

t.test('one at a time, and only what a pad can be asked', async (t) => {
  const rig = await openFeigned(t);
  const first = watch(rig.driver.askPin(asked));
  await rig.turn();
  t.match(await rig.driver.askPin(asked), { result: 'failed', error: { code: 'device.busy' } });
  t.match(rig.row(), { state: 'ready', error: null }, 'which is no trouble of the pad');
  rig.pad.key('1234');
  await rig.turn();
  t.match(first.end, { result: 'entered' });
  const calls = rig.line.written.length;
  for (const wrong of [
    { pan: '1234567' },
    { pan: '1'.repeat(20) },
    { pan: '54133300890900\u001c' },
    { timeoutS: 4 },
    { timeoutS: 256 },
    { timeoutS: 5.5 },
  ])
    t.match(await rig.driver.askPin({ ...asked, ...wrong }), {
      result: 'failed',
      error: { code: 'device.unsupported' },
    });
  t.equal(rig.line.written.length, calls, 'nothing was written');
  t.equal(await rig.driver.askPin({ ...asked, device: 'pinpad-2' }), null);
  rig.driver.serve('/dev/pad', false);
  t.match(await rig.driver.askPin(asked), { result: 'failed', device: 'pinpad-1', error: { code: 'device.absent' } });
});

t.test('cancel: also where the member was faster, and where the pad does not hear it', async (t) => {
  const rig = await openFeigned(t);
  const keySerials = () => rig.pad.counter;
  const raced = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.key('1234');
  rig.driver.cancelPin('pinpad-1');
  await rig.turn();
  t.same(raced.end, { result: 'cancelled', device: 'pinpad-1' }, 'the block is nobody’s');
  t.equal(keySerials(), 1, 'although a key was used');
  const deaf = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.mood.mute = true;
  rig.driver.cancelPin('pinpad-2');
  rig.driver.cancelPin(null);
  rig.driver.cancelPin(null);
  await rig.pass(triesMax * answerTimeoutMs);
  t.match(deaf.end, { result: 'unknown', error: { code: 'device.timedOut' } });
  rig.driver.cancelPin(null);
  rig.pad.mood.mute = false;
  const early = watch(rig.driver.askPin(asked));
  rig.driver.cancelPin(null);
  await rig.turn();
  t.match(early.end, { result: 'cancelled' }, 'before the pad has said that it asks');
});

t.test('a late answer is never taken for the next entry', async (t) => {
  const rig = await openFeigned(t);
  const kept: Bytes[] = [];
  rig.pad.mood.cable = (frame) => {
    if (frame.length > 60) kept.push(frame);
    return frame.length > 60 ? new Uint8Array(0) : frame;
  };
  const first = watch(rig.driver.askPin({ ...asked, timeoutS: 5 }));
  await rig.turn();
  rig.pad.key('1234');
  await rig.pass(5_000 + marginMs);
  t.match(first.end, { result: 'unknown' });
  rig.pad.mood.cable = (frame) => frame;
  const second = watch(rig.driver.askPin(asked));
  await rig.turn();
  for (const frame of kept) rig.give(frame);
  await rig.turn();
  t.equal(second.end, undefined, 'the block of the first');
  t.match(rig.row()?.counters, { late: 2 }, 'and what it said to being called off');
  rig.pad.key('9876');
  await rig.turn();
  t.match(openBlock(second.end ?? null, pan), { ok: true, value: '9876' });
  for (const frame of kept) rig.give(frame);
  t.match(rig.row()?.counters, { late: 3, entered: 1 }, 'nor between two entries');
});

t.test(
  'a key serial number that comes again, or falls, is refused; also over another cable and a new line',
  async (t) => {
    const keySerials = new KeySerials();
    const rig = await openFeigned(t, 0, keySerials);
    rig.pad.pin = '1234';
    t.match(await rig.driver.askPin(asked), { result: 'entered' });
    t.match(await rig.driver.askPin(asked), { result: 'entered' });
    rig.pad.mood.stuckCounter = true;
    t.match(await rig.driver.askPin(asked), { result: 'failed', error: { code: 'device.keyReused' } });
    t.match(rig.row(), { state: 'ready', error: { code: 'device.keyReused' }, counters: { asked: 3, entered: 2 } });
    rig.driver.serve('/dev/pad', false);
    rig.driver.serve('/dev/pad', true);
    await rig.pass(1_000);
    t.match(await rig.driver.askPin(asked), { error: { code: 'device.keyReused' } }, 'replugging helps nobody');
    const fallen = await openFeigned(t, 0, keySerials);
    fallen.pad.pin = '1234';
    t.match(await fallen.driver.askPin(asked), { result: 'failed', error: { code: 'device.keyReused' } });
    rig.pad.mood.stuckCounter = false;
    t.match(await rig.driver.askPin(asked), { result: 'entered' }, 'one that rises again is taken');
    t.match(rig.row(), { error: null });
  },
);

t.test('a pad that speaks otherwise, one that starts anew, one that is pulled or let go in mid-entry', async (t) => {
  const rig = await openFeigned(t);
  rig.pad.mood.foreign = true;
  const strange = watch(rig.driver.askPin(asked));
  await rig.turn();
  await rig.pass(triesMax * answerTimeoutMs);
  t.match(strange.end, { result: 'unknown', error: { code: 'device.unsupported' } });
  // Three calls, and the cancel at the end.
  t.match(rig.row()?.counters, { strange: triesMax + 1 });
  rig.pad.mood.foreign = false;
  const restarted = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.restart();
  await rig.turn();
  t.match(restarted.end, { result: 'unknown', error: { code: 'device.closed' } });
  t.match(rig.row(), { state: 'ready', error: null }, 'a start is nothing to see to');
  rig.pad.mood.mute = true;
  const early = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.pad.mood.mute = false;
  rig.pad.restart();
  await rig.pass(answerTimeoutMs);
  t.ok(rig.pad.prompt, 'one that was off when it was called hears of it at the next try');
  rig.line.closed({ code: 'device.closed', detail: 'pulled' });
  await rig.turn();
  t.match(early.end, { result: 'unknown', error: { code: 'device.closed' } });
  t.match(rig.row(), { state: 'absent' });
  await rig.pass(1_000);
  t.match(rig.row(), { state: 'ready' });
  const held = watch(rig.driver.askPin(asked));
  await rig.turn();
  rig.driver.serve('/dev/pad', false);
  await rig.turn();
  t.match(held.end, { result: 'unknown', error: { code: 'device.closed' } });
  t.match(rig.row(), { state: 'disabled' });
  t.equal(rig.pad.prompt, null, 'told to stop before the line was closed');
});

t.test('sensitive; no status and no detail holds anything of card, block or serial number', async (t) => {
  const rig = await openFeigned(t);
  rig.pad.pin = '739164';
  const end = await rig.driver.askPin(asked);
  if (end?.result !== 'entered') throw new Error('no PIN');
  const text = JSON.stringify(rig.driver.statuses());
  t.match(rig.row(), { sensitive: true, counters: { asked: 1, entered: 1 } });
  for (const secret of ['739164', pan, toHex(end.pinBlock), toHex(end.keySerialNumber)])
    t.notOk(text.toLowerCase().includes(secret));
  t.notOk(
    rig.line.written.some((bytes) => toHex(bytes).includes(toHex(utf8('739164')))),
    'the cable never has the PIN',
  );
});
