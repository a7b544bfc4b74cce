/**
 * Plays every recording in this folder through the shipped driver again and compares what the driver makes of it: the same
 * codes and cards, in the same order, and each command's answer. How: the driver on a transport that gives the recorded bytes
 * at their recorded times, under a clock that moves when told. A recording from `device record` on the console, put into this
 * folder, is a test.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { type Bytes, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { ok } from '../../terminal/kernel/result.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { BleDriver, type BleOptions } from '../ble/ble-driver.js';
import { bleFrames, offers } from '../ble/frames.js';
import { bleOptions } from '../ble/options.js';
import type { DeviceEvent, Driver } from '../contract/driver.js';
import { decodeRecording, type RecordedLine, type Recording } from '../contract/recording.js';
import type { ApduLink } from '../contract/transport.js';
import { hidScannerOptionsDefault } from '../hid/device-rules.js';
import { HidScannerDriver } from '../hid/scanner-driver.js';
import { type Frame, readerFrames } from '../pcsc/frames.js';
import { PcscDriver } from '../pcsc/pcsc-driver.js';
import { nothingAround } from '../protocols/scan-line/scanned-text.js';
import { SerialScannerDriver } from '../serial/scanner-driver.js';
import { ManualTime } from '../sim/manual-time.js';

const folder = fileURLToPath(new URL('../../../drivers/vectors', import.meta.url));
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A driver with the recorded device behind it. */
interface Stage {
  readonly driver: Driver;
  /** Gives the driver what it got. */
  feed(bytes: Bytes): void;
  /** Has the driver send what it sent; absent for drivers that only read. */
  send?(bytes: Bytes, link: ApduLink | null): void;
}

function serialStage(time: ManualTime): Stage {
  let feed: (chunk: Bytes) => void = () => {};
  const driver = new SerialScannerDriver(
    { paths: ['/dev/recorded'], ignoredPaths: [], baud: 9_600, idleGapMs: 100, ...nothingAround },
    {
      ...time,
      ...{ look: () => [], exists: () => true, isSimulated: () => true },
      open: async () =>
        ok({
          write: async () => ok(undefined),
          onData: (listener) => {
            feed = listener;
          },
          onClosed: () => {},
          close: async () => {},
        }),
    },
  );
  return { driver, feed: (bytes) => feed(bytes) };
}

function hidStage(time: ManualTime, { identity, lines }: Recording): Stage {
  let feed: (report: Bytes) => void = () => {};
  const [vendorId = '', productId = '', serial = ''] = identity.split(/[:@]/);
  const descriptor = lines.find(({ moment }) => moment === 'about')?.bytes ?? new Uint8Array(0);
  const device = {
    ...{ path: '/dev/hidraw0', instance: '1', vendorId, productId, serial, name: 'recorded', socket: '1' },
    descriptor,
  };
  const driver = new HidScannerDriver(hidScannerOptionsDefault, {
    ...time,
    look: () => [device],
    silence: () => ok(undefined),
    open: async () =>
      ok({
        onReport: (listener) => {
          feed = listener;
        },
        onClosed: () => {},
        close: async () => {},
      }),
  });
  return { driver, feed: (bytes) => feed(bytes) };
}

function framesOf(bytes: Bytes): readonly Frame[] {
  const frames = readerFrames.stream().push(bytes);
  if (!frames.ok) throw new Error(`no frame: ${frames.error.code}`);
  return frames.value;
}

function pcscStage(time: ManualTime): Stage {
  let toBox: (chunk: Bytes) => void = () => {};
  let ended: (how: string) => void = () => {};
  const sent: Extract<Frame, { type: 'transmit' }>[] = [];
  /** Recorded number of an exchange to the one that it has now. */
  const exchanges = new Map<number, number>();
  const say = (frame: Frame): void => toBox(readerFrames.encode(frame));
  const driver = new PcscDriver({
    ...time,
    options: { virtualReaders: true },
    spawn: () => {
      setImmediate(() => {
        say({ type: 'hello', version: readerFrames.version });
        say({ type: 'serviceUp' });
        say({ type: 'looked' });
      });
      return {
        pid: null,
        write: (bytes) => {
          for (const frame of framesOf(bytes)) {
            if (frame.type === 'ping') say({ type: 'pong', nonce: frame.nonce });
            if (frame.type === 'transmit') sent.push(frame);
          }
        },
        onData: (listener) => {
          toBox = listener;
        },
        onEnded: (listener) => {
          ended = listener;
        },
        kill: () => queueMicrotask(() => ended('ended by SIGKILL')),
      };
    },
  });
  return {
    driver,
    feed: (bytes) => {
      for (const frame of framesOf(bytes))
        say('exchange' in frame ? { ...frame, exchange: exchanges.get(frame.exchange) ?? frame.exchange } : frame);
    },
    send: (bytes, link) => {
      for (const frame of framesOf(bytes)) {
        if (frame.type !== 'transmit') continue;
        const before = sent.length;
        void link?.transmit(frame.command, durationMs(60_000));
        const now = sent[before];
        if (!now || toHex(now.command) !== toHex(frame.command))
          throw new Error('the command did not reach the reader');
        exchanges.set(frame.exchange, now.exchange);
      }
    },
  };
}

/** A scanner; what phones exchange has no stage yet. */
function bleStage(time: ManualTime, { identity }: Recording): Stage {
  const peer = 1;
  let toBox: (chunk: Bytes) => void = () => {};
  let ended: (how: string) => void = () => {};
  const say = (frame: Parameters<typeof bleFrames.encode>[0]): void => toBox(bleFrames.encode(frame));
  const defaults = Object.fromEntries(
    bleOptions.map((option) => [option.key, option.default]),
  ) as unknown as BleOptions;
  const driver = new BleDriver({
    ...time,
    options: { ...defaults, scanners: [identity] },
    spawn: () => {
      setImmediate(() => {
        say({ type: 'hello', version: bleFrames.version });
        say({ type: 'serviceUp', adapter: 'hci0' });
        say({ type: 'peerSeen', peer, offers: offers.uart, rssi: 0, label: identity });
        say({ type: 'peerOpened', peer, mtu: 23 });
      });
      return {
        pid: null,
        write: (bytes) => {
          const frames = bleFrames.stream().push(bytes);
          for (const frame of frames.ok ? frames.value : [])
            if (frame.type === 'ping') say({ type: 'pong', nonce: frame.nonce });
        },
        onData: (listener) => {
          toBox = listener;
        },
        onEnded: (listener) => {
          ended = listener;
        },
        kill: () => queueMicrotask(() => ended('ended by SIGKILL')),
      };
    },
  });
  return { driver, feed: (data) => say({ type: 'received', peer, data }) };
}

const stages: Readonly<Record<string, (time: ManualTime, recording: Recording) => Stage>> = {
  'serial-scanner': serialStage,
  'hid-scanner': hidStage,
  pcsc: pcscStage,
  ble: bleStage,
};

const said = (lines: readonly RecordedLine[]): readonly string[] =>
  lines.flatMap(({ moment, bytes }) =>
    moment === 'code' || moment === 'card' || moment === 'cardGone' ? [`${moment} ${toHex(bytes)}`] : [],
  );

function eventText(event: DeviceEvent): readonly string[] {
  if (event.type === 'codeScanned') return [`code ${toHex(utf8(event.code))}`];
  if (event.type === 'cardPresented') return [`card ${toHex(event.link.atr)}`];
  return event.type === 'cardRemoved' ? ['cardGone '] : [];
}

/** Plays a recording. @returns what the driver reported, and every answer that its link gave */
async function play(recording: Recording): Promise<{ events: readonly string[]; answers: readonly string[] }> {
  const time = new ManualTime();
  const open = stages[recording.driver];
  if (!open) throw new Error(`no stage for the driver ${recording.driver}: add one here`);
  const stage = open(time, recording);
  const events: string[] = [];
  const answers: string[] = [];
  let link: ApduLink | null = null;
  await stage.driver.start((event) => {
    events.push(...eventText(event));
    if (event.type !== 'cardPresented') return;
    const { transmit } = event.link;
    link = Object.assign(event.link, {
      transmit: async (...words: Parameters<ApduLink['transmit']>) => {
        const answer = await transmit.apply(event.link, words);
        answers.push(answer.ok ? toHex(answer.value) : answer.error.code);
        return answer;
      },
    });
  });
  let atMs = 0;
  for (const line of recording.lines) {
    time.advance(line.atMs - atMs);
    atMs = line.atMs;
    if (line.moment === 'in') stage.feed(line.bytes);
    if (line.moment === 'out') stage.send?.(line.bytes, link);
    await settle();
  }
  await stage.driver.stop();
  return { events, answers };
}

const recordings = readdirSync(folder)
  .filter((name) => name.endsWith('.rec'))
  .map((name) => {
    const read = decodeRecording(new Uint8Array(readFileSync(path.join(folder, name))));
    if (!read.ok) throw new Error(`${name}: ${read.error.detail} at ${read.error.offset}`);
    return { name, recording: read.value };
  });

t.test('every recording gives the same again', async (t) => {
  for (const { name, recording } of recordings) {
    const { events, answers } = await play(recording);
    t.same(events, said(recording.lines), name);
    const recorded = recording.lines.flatMap(({ moment, bytes }) =>
      moment === 'in' && recording.driver === 'pcsc'
        ? framesOf(bytes).flatMap((frame) => (frame.type === 'answer' ? [toHex(frame.answer)] : []))
        : [],
    );
    t.same(answers, recorded, `${name}: answers`);
    t.ok(events.length > 0, `${name} says something`);
  }
});

t.test('every driver that is played has one', async (t) => {
  t.same([...new Set(recordings.map(({ recording }) => recording.driver))].sort(), Object.keys(stages).sort());
});

t.test('a driver that made something else of the bytes would be found', async (t) => {
  for (const { name, recording } of recordings) {
    const at = recording.lines.findIndex(({ moment, bytes }) => moment === 'in' && bytes.length > 10);
    const lines = recording.lines.map((line, index) =>
      index === at && recording.driver !== 'pcsc'
        ? { ...line, bytes: line.bytes.map((byte) => (byte >= 0x30 && byte <= 0x38 ? byte + 1 : byte)) }
        : line,
    );
    const changed = recording.driver === 'pcsc' ? lines.filter(({ moment }) => moment !== 'in') : lines;
    const played = await play({ ...recording, lines: changed }).catch(() => ({ events: ['failed'] }));
    t.notSame(played.events, said(recording.lines), name);
  }
});
