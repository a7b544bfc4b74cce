/**
 * Shows what the serial scanner driver does with lines that come, go, move, hang and refuse, each for itself. How: a bus of
 * feigned USB lines behind the driver's ports, and a clock that moves when told. scanner-driver.test.ts shows the same
 * driver on the real library.
 */
import { EventEmitter } from 'node:events';
import t from 'tap';
import { type Bytes, utf8 } from '../../terminal/kernel/bytes.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { DeviceEvent } from '../contract/driver.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { type AroundCode, nothingAround } from '../protocols/scan-line/scanned-text.js';
import { ManualTime } from '../sim/manual-time.js';
import { linesMax } from './line-driver.js';
import { SerialScannerDriver } from './scanner-driver.js';
import { openSerialTransport } from './serial-transport.js';
import type { UsbLine } from './tty-sysfs.js';

/** USB lines by device file, as one moment sees them. */
class FeignedBus {
  readonly #lines = new Map<string, UsbLine>();
  readonly opens: string[] = [];
  readonly #readers = new Map<string, (chunk: Bytes) => void>();
  readonly refusals = new Map<string, DeviceError>();
  /** Device files whose opening never ends. */
  readonly hanging = new Set<string>();

  plug(name: string, serial: string, socket = `1-${name}:1.0`): void {
    const path = `/dev/${name}`;
    const ids = { vendorId: '0c2e', productId: '0caa' };
    this.#lines.set(path, { path, lastingPath: null, ...ids, serial, name: 'Scanner', socket });
  }
  pull(name: string): void {
    this.#lines.delete(`/dev/${name}`);
  }
  type(name: string, text: string): void {
    this.#readers.get(`/dev/${name}`)?.(utf8(text));
  }
  readonly look = (): readonly UsbLine[] => [...this.#lines.values()];
  readonly exists = (path: string): boolean => this.#lines.has(path);
  readonly open = async (path: string): Promise<Result<ByteTransport, DeviceError>> => {
    this.opens.push(path);
    if (this.hanging.has(path)) return new Promise(() => {});
    const refusal = this.refusals.get(path);
    if (refusal) return err(refusal);
    return ok({
      write: async () => ok(undefined),
      onData: (listener) => {
        this.#readers.set(path, listener);
      },
      onClosed: () => {},
      close: async () => {},
    });
  };
}

async function openDriver(paths: readonly string[] = [], around: AroundCode = nothingAround) {
  const bus = new FeignedBus();
  const time = new ManualTime();
  const events: DeviceEvent[] = [];
  const driver = new SerialScannerDriver(
    { paths, ignoredPaths: [], baud: 9_600, idleGapMs: 100, ...around },
    { ...{ open: bus.open, look: bus.look, exists: bus.exists }, ...time, isSimulated: () => false },
  );
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    ...{ bus, time, events, driver },
    start: () => driver.start((event) => events.push(event)),
    look: async () => {
      time.advance(1_000);
      await settle();
    },
    rows: () => driver.statuses().map(({ device, identity, state }) => `${device} ${identity} ${state}`),
    codes: () => events.flatMap((event) => (event.type === 'codeScanned' ? [`${event.device} ${event.code}`] : [])),
  };
}

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

t.test('plugged in after the start, out, and in at another socket under another name: one device', async (t) => {
  const { bus, start, look, rows, codes, driver } = await openDriver();
  await start();
  t.same(rows(), []);
  bus.plug('ttyACM0', 'S1');
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:S1 ready']);
  bus.type('ttyACM0', 'ONE\r');
  bus.pull('ttyACM0');
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:S1 absent']);
  bus.plug('ttyACM0', 'S2');
  bus.plug('ttyACM3', 'S1', '2-1.4:1.0');
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:S1 ready', 'scanner-2 0c2e:0caa:S2 ready']);
  bus.type('ttyACM3', 'TWO\r');
  bus.type('ttyACM0', 'THREE\r');
  t.same(codes(), ['scanner-1 ONE', 'scanner-1 TWO', 'scanner-2 THREE']);
  await driver.stop();
});

t.test('what surrounds a code comes off, its symbol is said, and half a code before silence is dropped', async (t) => {
  const around = { prefixes: ['~'], suffixes: ['#'] };
  const { bus, start, events, time, driver } = await openDriver([], around);
  bus.plug('ttyACM0', 'S1');
  await start();
  bus.type('ttyACM0', '~]C10109506000134352#\r4006381333931\r~#\r~40063');
  time.advance(100);
  bus.type('ttyACM0', ']E04006381333931\r');
  t.same(
    events.flatMap((event) => (event.type === 'codeScanned' ? [[event.aim, event.code]] : [])),
    [
      [']C1', '0109506000134352'],
      [null, '4006381333931'],
      [']E0', '4006381333931'],
    ],
  );
  t.match(driver.statuses()[0]?.counters, { codes: 3, dropped: 1 });
  await driver.stop();
});

t.test(
  '100 scans a second with noise between them, in pieces: each code once, in order, every spoilt one counted',
  async (t) => {
    const { bus, start, codes, time, driver } = await openDriver();
    bus.plug('ttyACM0', 'S1');
    await start();
    const sent = Array.from({ length: 1_000 }, (_, number) => String(4_006_381_000_000 + number));
    for (const [number, code] of sent.entries()) {
      const noise = number % 10 === 0 ? `\u0000\u001b${code.slice(0, 5)}\r` : '';
      const line = `${noise}${code}\r`;
      const cut = number % (line.length - 1);
      bus.type('ttyACM0', line.slice(0, cut));
      time.advance(5);
      bus.type('ttyACM0', line.slice(cut));
      time.advance(5);
    }
    t.same(
      codes(),
      sent.map((code) => `scanner-1 ${code}`),
    );
    t.match(driver.statuses()[0]?.counters, { codes: 1_000, dropped: 100 });
    await driver.stop();
  },
);

t.test('two devices that swap their names between two looks are not mixed up', async (t) => {
  const { bus, start, look, codes, driver } = await openDriver();
  bus.plug('ttyACM0', 'S1');
  bus.plug('ttyACM1', 'S2');
  await start();
  bus.plug('ttyACM0', 'S2');
  bus.plug('ttyACM1', 'S1');
  await look();
  bus.type('ttyACM0', 'B\r');
  bus.type('ttyACM1', 'A\r');
  t.same(codes(), ['scanner-2 B', 'scanner-1 A']);
  await driver.stop();
});

t.test('a line that hangs while it is opened holds up neither the others, nor the start, nor the stop', async (t) => {
  const { bus, start, look, rows, time, driver } = await openDriver();
  bus.plug('ttyACM0', 'HANGS');
  bus.hanging.add('/dev/ttyACM0');
  const starting = start();
  await new Promise<void>((resolve) => setImmediate(resolve));
  bus.plug('ttyACM1', 'S1');
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:HANGS absent', 'scanner-2 0c2e:0caa:S1 ready']);
  time.advance(1_000);
  await starting;
  t.equal(bus.opens.filter((path) => path === '/dev/ttyACM0').length, 1, 'tried once, not again while it hangs');
  await driver.stop();
});

t.test('held: left alone, its coming and going seen, and served again when told', async (t) => {
  const { bus, start, look, rows, codes, driver } = await openDriver();
  driver.serve('0c2e:0caa:S1', false);
  bus.plug('ttyACM0', 'S1');
  await start();
  t.same([rows(), bus.opens], [['scanner-1 0c2e:0caa:S1 disabled'], []], 'held before it was ever seen');
  bus.pull('ttyACM0');
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:S1 absent']);
  bus.plug('ttyACM7', 'S1');
  await look();
  t.same([rows(), bus.opens], [['scanner-1 0c2e:0caa:S1 disabled'], []]);
  driver.serve('0c2e:0caa:S1', true);
  await look();
  t.same(rows(), ['scanner-1 0c2e:0caa:S1 ready']);
  bus.type('ttyACM7', 'HAL');
  driver.serve('0c2e:0caa:S1', false);
  bus.type('ttyACM7', 'F\r');
  t.same(codes(), [], 'half a code ends with the service');
  await driver.stop();
});

t.test('refused and missing are told apart, and each is tried again', async (t) => {
  const { bus, start, look, rows, driver } = await openDriver(['/dev/serial/by-id/a', '/dev/ttyACM0']);
  bus.plug('ttyACM0', 'S1');
  bus.refusals.set('/dev/ttyACM0', { code: 'device.denied', detail: 'Permission denied' });
  await start();
  t.same(rows(), ['scanner-1 /dev/serial/by-id/a absent', 'scanner-2 /dev/ttyACM0 failing']);
  bus.refusals.clear();
  bus.plug('serial/by-id/a', 'S2');
  await look();
  t.same(
    rows().map((row) => row.split(' ')[2]),
    ['ready', 'ready'],
  );
  await driver.stop();
});

t.test('rows are bounded; a new scanner takes the row of one that is gone', async (t) => {
  const { bus, start, look, rows, driver } = await openDriver();
  for (let at = 0; at < linesMax + 2; at++) bus.plug(`ttyACM${at}`, `${at}`);
  await start();
  t.equal(rows().length, linesMax);
  bus.pull('ttyACM3');
  await look();
  await look();
  t.equal(rows().length, linesMax);
  t.match(rows()[3], /^scanner-4 0c2e:0caa:8 ready$/);
  await driver.stop();
});

t.test('a late error of the library is no exception: its close says the same', async (t) => {
  class Port extends EventEmitter {
    isOpen = true;
    open(done: (error: Error | null) => void): void {
      ports.push(this);
      done(null);
    }
  }
  const ports: Port[] = [];
  const opened = await openSerialTransport('/dev/null', 9_600, async () => ({ SerialPort: Port }) as never);
  t.ok(opened.ok);
  const closed: unknown[] = [];
  if (opened.ok) opened.value.onClosed((error) => closed.push(error));
  ports[0]?.emit('error', new Error('reading error'));
  ports[0]?.emit('close', new Error('bad file descriptor'));
  t.same(closed, [{ code: 'device.closed', detail: 'bad file descriptor' }]);
});

t.test('a device that takes no bytes holds one thread, however often it is written to and opened', async (t) => {
  const drains: (() => void)[] = [];
  class Port extends EventEmitter {
    isOpen = true;
    open = (done: (error: Error | null) => void): void => done(null);
    write = (_bytes: Buffer, done: (error: Error | null) => void): void => done(null);
    port = { drain: () => new Promise<void>((resolve) => drains.push(resolve)) };
    close = (done: () => void): void => done();
  }
  const open = () => openSerialTransport('/dev/zero', 9_600, async () => ({ SerialPort: Port }) as never);
  const first = await open();
  if (!first.ok) throw new Error('it opens');
  const ended: unknown[] = [];
  for (let write = 0; write < 5; write++) {
    void first.value.write(utf8('x')).then((written) => ended.push(written.ok));
    if (write < 2) await settled();
  }
  await settled();
  t.equal(drains.length, 1);
  await first.value.close();
  t.match(await open(), { ok: false, error: { code: 'device.busy', detail: /does not take/ } });
  drains[0]?.();
  await settled();
  t.same([drains.length, ended], [2, [true]], 'what was written meanwhile is waited for once, together');
  drains[1]?.();
  await settled();
  t.same(ended, [true, true, true, true, true]);
  t.ok((await open()).ok);
});

t.test('a library that cannot be loaded is said so; it is no exception', async (t) => {
  const opened = await openSerialTransport('/dev/null', 9_600, () =>
    Promise.reject(new Error('Cannot find module bindings.node\nstack')),
  );
  t.match(opened, { ok: false, error: { code: 'device.driverMissing' } });
  t.equal(!opened.ok && opened.error.detail, 'serialport cannot be loaded: Cannot find module bindings.node');
});
