/**
 * Stages of the drivers on lines of bytes that hold no conversation over several steps: scanners, displays, relays; and of
 * printers. A line is open when the recording says so, and gives the recorded bytes.
 */
import iconv from 'iconv-lite';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import type { Driver } from '../../contract/driver.js';
import type { ByteTransport, DeviceError } from '../../contract/transport.js';
import { nothingAround } from '../../protocols/scan-line/scanned-text.js';
import { CustomerDisplayDriver } from '../../serial/display-driver.js';
import type { LinePorts } from '../../serial/line-driver.js';
import { ReceiptPrinterDriver } from '../../serial/printer-driver.js';
import { RelayDriver } from '../../serial/relay-driver.js';
import { SerialScannerDriver } from '../../serial/scanner-driver.js';
import { jsonOf, type OpenStage, orderOf, type Playing, type Stage, settingsOf, settle } from './stage.js';

export const recordedPath = '/dev/recorded';
/** A line is looked for every second, at another moment than in the recording. */
const lookMs = 2_000;
const lookStepMs = 10;

/** The line of a recording: what a driver opens it by, and what plays it. */
export function recordedLine({ recording, time }: Playing): {
  readonly ports: LinePorts;
  readonly plays: Pick<Stage['plays'], 'in' | 'opened' | 'closed'>;
} {
  let feed: (chunk: Bytes) => void = () => {};
  let end: (error: DeviceError) => void = () => {};
  let open: (() => void) | null = null;
  const transport: ByteTransport = {
    write: async () => ok(undefined),
    onData: (listener) => {
      feed = listener;
    },
    onClosed: (listener) => {
      end = listener;
    },
    close: async () => {},
  };
  // A recording that does not say when its line was opened was begun on an open one.
  const isOpenAtOnce = !recording.lines.some(({ moment }) => moment === 'opened');
  const opening = (): Promise<Result<ByteTransport, DeviceError>> =>
    new Promise((resolve) => {
      open = () => resolve(ok(transport));
      if (isOpenAtOnce) open();
    });
  return {
    ports: { clock: time.clock, schedule: time.schedule, open: opening, exists: () => true, isSimulated: () => true },
    plays: {
      // A copy: a PIN pad's driver wipes what it has read.
      in: (bytes) => feed(bytes.slice()),
      opened: async () => {
        for (let waitedMs = 0; !open && waitedMs < lookMs; waitedMs += lookStepMs) {
          time.advance(lookStepMs);
          await settle();
        }
        open?.();
        open = null;
      },
      closed: () => end({ code: 'device.closed', detail: 'as recorded' }),
    },
  };
}

/** What every line may be ordered, and what this driver may be. */
export function obeying(driver: Driver, obey: (order: ReturnType<typeof orderOf>) => unknown): Stage['plays'] {
  return {
    order: (bytes) => {
      const order = orderOf(bytes);
      if ('serve' in order) driver.serve(recordedPath, order.serve);
      else void obey(order);
    },
  };
}

const encode = (text: string): Uint8Array => new Uint8Array(iconv.encode(text, 'gb18030'));
const loadEncode = async () => encode;

const scannerStage: OpenStage = (playing) => {
  const { plays, ports } = recordedLine(playing);
  const settings = settingsOf(playing.recording, { baud: 9_600, idleGapMs: 100, ...nothingAround });
  const driver = new SerialScannerDriver(
    { ...settings, paths: [recordedPath], ignoredPaths: [] },
    { ...ports, look: () => [] },
  );
  return { driver, identity: recordedPath, plays: { ...plays, ...obeying(driver, () => {}) } };
};

const printerStage =
  (bus: 'serial' | 'tcp'): OpenStage =>
  (playing) => {
    const { plays, ports } = recordedLine(playing);
    const settings = settingsOf(playing.recording, { baud: 9_600, cut: true, answers: true });
    const driver = new ReceiptPrinterDriver(
      bus,
      { ...settings, paths: [recordedPath], addresses: [recordedPath] },
      { ...ports, loadEncode },
    );
    const obey = obeying(driver, (order) => 'print' in order && driver.print(null, order.print.lines, order.print.qr));
    return { driver, identity: recordedPath, plays: { ...plays, ...obey } };
  };

const displayStage: OpenStage = (playing) => {
  const { plays, ports } = recordedLine(playing);
  const settings = settingsOf(playing.recording, { baud: 9_600, chinese: true, commands: 'cd5220' as const });
  const driver = new CustomerDisplayDriver({ ...settings, paths: [recordedPath] }, { ...ports, loadEncode });
  // What it had been told before the line was opened.
  const { lines } = playing.recording;
  const opened = lines.findIndex(({ moment }) => moment === 'opened');
  const told = lines.slice(opened + 1).find(({ moment }) => moment === 'order');
  const first = told && (jsonOf(told) as { readonly show?: readonly [string, string] });
  if (opened >= 0 && first?.show) driver.display.show(first.show);
  const obey = obeying(driver, (order) => 'show' in order && driver.display.show(order.show));
  return { driver, identity: recordedPath, plays: { ...plays, ...obey } };
};

const relayStage: OpenStage = (playing) => {
  const { plays, ports } = recordedLine(playing);
  const settings = settingsOf(playing.recording, { baud: 9_600, board: 'lcus' as const, channel: 1, pulseMs: 1_000 });
  const driver = new RelayDriver({ ...settings, paths: [recordedPath] }, ports);
  const obey = obeying(driver, (order) => 'pulse' in order && driver.pulse(null));
  return { driver, identity: recordedPath, plays: { ...plays, ...obey } };
};

export const lineStages = {
  'serial-scanner': scannerStage,
  'serial-printer': printerStage('serial'),
  'network-printer': printerStage('tcp'),
  'serial-display': displayStage,
  'serial-relay': relayStage,
} as const satisfies Readonly<Record<string, OpenStage>>;
