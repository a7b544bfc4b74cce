/**
 * Shows that the shipped printer driver passes the conformance suite over the real serial library and over real sockets, and
 * that a slip comes out whole there, at most once, whatever the printer does. How: a printer written from the command
 * reference alone on a pseudo-terminal and on a TCP port; and behind the driver's ports, with a clock that moves when told.
 */
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import iconv from 'iconv-lite';
import t from 'tap';
import { nativeClock } from '../../terminal/kernel/native.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { DeviceSupervisor } from '../../terminal/runtime/device-supervisor.js';
import { driverConformance } from '../contract/conformance.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';
import { ManualTime } from '../sim/manual-time.js';
import { openPtyPair } from '../sim/pty.js';
import { printerOnPort, printerOnPty, SimulatedReceiptPrinter } from '../sim/receipt-printer.js';
import { ReceiptPrinterDriver, slipsWaitingMax } from './printer-driver.js';
import { openSerialTransport } from './serial-transport.js';
import { openTcpTransport, readAddress } from './tcp-transport.js';

const loadEncode = async () => (text: string) => new Uint8Array(iconv.encode(text, 'gb18030'));
const native = {
  loadEncode,
  clock: nativeClock,
  schedule: (delayMs: number, run: () => void) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  },
};
const options = { paths: [], addresses: [], baud: 9_600, cut: true, answers: true };
const receipt = ['好味道餐厅', '合计 TOTAL            CNY 300.00'];
const feed = ['', '', '', ''];

async function openSerialRig() {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-printer-'));
  const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
  let pair = await openPtyPair(...paths);
  let far = printerOnPty(pair.device);
  const driver = new ReceiptPrinterDriver(
    'serial',
    { ...options, paths: [pair.line] },
    { ...native, open: (line) => openSerialTransport(line, 9_600), exists: existsSync, isSimulated: () => true },
  );
  const pullOut = async () => {
    await far.close();
    await pair.close();
  };
  return {
    driver,
    printer: () => far.printer,
    plug: {
      pullOut,
      putBack: async () => {
        pair = await openPtyPair(...paths);
        far = printerOnPty(pair.device);
      },
    },
    close: pullOut,
  };
}

async function openNetworkRig() {
  let far = await printerOnPort();
  const { address } = far;
  const driver = new ReceiptPrinterDriver(
    'tcp',
    { ...options, addresses: [address] },
    { ...native, open: openTcpTransport, exists: () => true, isSimulated: () => true },
  );
  return {
    driver,
    printer: () => far.printer,
    plug: {
      pullOut: () => far.close(),
      putBack: async () => {
        far = await printerOnPort(Number(address.split(':')[1]));
      },
    },
    close: () => far.close(),
  };
}

for (const [name, open] of [
  ['a serial line', openSerialRig],
  ['a socket', openNetworkRig],
] as const) {
  t.test(`conformance over ${name}`, async (t) => driverConformance(t, ['plug'], open));
  t.test(`a slip over ${name}`, async (t) => {
    const rig = await open();
    await rig.driver.start(() => {});
    t.match(await rig.driver.print(null, receipt, 'https://shop.example/'), { printed: 'whole' });
    t.same(rig.printer().slips, [[...receipt, '[QR https://shop.example/]', ...feed]]);
    t.same(rig.printer().unknown, []);
    rig.printer().body.coverOpen = true;
    t.match(await rig.driver.print(null, receipt, null), { printed: 'nothing', error: { code: 'device.coverOpen' } });
    t.equal(rig.printer().slips.length, 1);
    await rig.driver.stop();
    await rig.close();
  });
}

t.test('addresses', async (t) => {
  t.same(readAddress('192.168.1.50:9100'), { host: '192.168.1.50', port: 9_100 });
  t.same(readAddress('[fd00::1]:9100'), { host: 'fd00::1', port: 9_100 });
  for (const wrong of ['', 'printer', ':9100', 'a:0', 'a:65536', 'fd00::1:9100', 'a b:1'])
    t.equal(readAddress(wrong), null);
  t.match(await openTcpTransport('nowhere'), { ok: false, error: { code: 'device.failed' } });
  const far = await printerOnPort();
  await far.close();
  t.match(await openTcpTransport(far.address), { ok: false, error: { code: 'device.absent' } });
});

type Fault = 'die' | 'pull' | 'refuse' | 'hang';

/** Printers behind the driver's ports, and a clock that moves when told. A fault strikes once the slip itself is written. */
function openFeigned(
  names: readonly string[],
  more: Partial<typeof options> = {},
  load: typeof loadEncode = loadEncode,
  bus: 'serial' | 'tcp' = 'serial',
) {
  const time = new ManualTime();
  const faults = new Map<string, Fault>();
  const far = new Map(
    names.map((name) => {
      const line = { heard: (_chunk: Uint8Array): void => {}, closed: (_error: DeviceError): void => {} };
      return [name, { line, printer: new SimulatedReceiptPrinter((bytes) => line.heard(bytes)) }] as const;
    }),
  );
  const at = (name: string) => {
    const found = far.get(name);
    if (!found) throw new Error(name);
    return found;
  };
  const open = async (name: string) => {
    const { line, printer } = at(name);
    const transport: ByteTransport = {
      write: async (bytes) => {
        const fault = bytes.length > 3 ? faults.get(name) : undefined;
        if (fault === 'refuse') return err({ code: 'device.failed', detail: 'cannot be written' });
        if (fault === 'hang') return new Promise(() => {});
        if (fault === 'die') printer.body.mute = true;
        printer.feed(fault === 'pull' ? bytes.subarray(0, bytes.length / 2) : bytes);
        if (fault === 'pull') line.closed({ code: 'device.closed', detail: 'pulled' });
        return ok(undefined);
      },
      onData: (listener) => {
        line.heard = listener;
      },
      onClosed: (listener) => {
        line.closed = listener;
      },
      close: async () => {},
    };
    return ok(transport);
  };
  const driver = new ReceiptPrinterDriver(
    bus,
    { ...options, [bus === 'serial' ? 'paths' : 'addresses']: names, ...more },
    { ...{ loadEncode: load, open, exists: () => true }, ...time, isSimulated: () => false },
  );
  return {
    ...{ driver, faults, time },
    start: () => driver.start(() => {}),
    settle: async () => {
      for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
    },
    at: (name: string) => at(name).printer,
    mute: () => {
      for (const { printer } of far.values()) printer.body.mute = true;
    },
    states: () => driver.statuses().map(({ device, error, state }) => `${device} ${state} ${error?.code ?? ''}`.trim()),
  };
}

t.test('paper and cover are seen while nothing is printed, and that they are well again', async (t) => {
  const { at, driver, settle, start, states, time } = openFeigned(['/a']);
  await start();
  await settle();
  t.same(states(), ['printer-1 ready']);
  at('/a').body.paper = 'low';
  time.advance(5_000);
  await settle();
  t.same(states(), ['printer-1 ready']);
  t.match(driver.statuses()[0]?.counters, { paperLow: 1 });
  at('/a').body.paper = 'out';
  time.advance(5_000);
  await settle();
  t.same(states(), ['printer-1 ready device.paperOut']);
  Object.assign(at('/a').body, { paper: 'there', coverOpen: true });
  time.advance(5_000);
  await settle();
  t.same(states(), ['printer-1 ready device.coverOpen']);
  at('/a').body.coverOpen = false;
  time.advance(5_000);
  await settle();
  t.same(states(), ['printer-1 ready']);
  await driver.stop();
});

t.test('the next printer takes over only where certainly nothing was printed', async (t) => {
  const { at, driver, settle, start, time } = openFeigned(['/a', '/b']);
  await start();
  at('/a').body.paper = 'out';
  t.match(await driver.print(null, receipt, null), { printed: 'whole', device: 'printer-2' });
  t.same([at('/a').slips, at('/b').slips], [[], [[...receipt, ...feed]]]);
  t.match(await driver.print('printer-1', receipt, null), { printed: 'nothing', error: { code: 'device.paperOut' } });
  Object.assign(at('/a').body, { paper: 'there', linesLeft: 1 });
  const printing = driver.print(null, receipt, null);
  await settle();
  time.advance(20_000);
  t.match(await printing, { printed: 'unknown', device: 'printer-1', error: { code: 'device.paperOut' } });
  t.equal(at('/b').slips.length, 1, 'the other one does not print it again');
  t.match(driver.statuses()[0], {
    state: 'ready',
    error: { code: 'device.paperOut' },
    counters: { slips: 0, unsure: 1 },
  });
  await driver.stop();
});

for (const [fault, says, code] of [
  ['die', 'says nothing any more', 'device.timedOut'],
  ['pull', 'is pulled', 'device.closed'],
  ['refuse', 'cannot be written to', 'device.failed'],
  ['hang', 'never takes the bytes', 'device.timedOut'],
] as const)
  t.test(`a printer that ${says} while it prints: nobody knows, and it is not printed again`, async (t) => {
    const { at, driver, faults, settle, start, time } = openFeigned(['/a', '/b']);
    await start();
    await settle();
    faults.set('/a', fault);
    const printing = driver.print(null, receipt, null);
    // The slip's own time, then that of the status that is asked for after it.
    for (let step = 0; step < 3; step++) {
      await settle();
      time.advance(20_000);
    }
    t.match(await printing, { printed: 'unknown', device: 'printer-1', error: { code } });
    faults.clear();
    for (let step = 0; step < 5; step++) {
      await settle();
      time.advance(5_000);
    }
    t.ok(at('/a').slips.length + at('/b').slips.length <= 1);
    t.same(at('/b').slips, []);
    t.match(driver.statuses()[0]?.counters, { slips: 0, unsure: 1 });
    await driver.stop();
  });

t.test(
  'a printer that never answers: failing by default, printed on unseen where the configuration says so',
  async (t) => {
    const asked = openFeigned(['/a']);
    asked.mute();
    await asked.start();
    const printing = asked.driver.print(null, receipt, null);
    for (let step = 0; step < 3; step++) {
      await asked.settle();
      asked.time.advance(1_000);
    }
    t.match(await printing, { printed: 'nothing', error: { code: 'device.timedOut' } });
    t.same([asked.states(), asked.at('/a').slips], [['printer-1 ready device.timedOut'], []]);
    await asked.driver.stop();

    const told = openFeigned(['/a'], { answers: false });
    told.mute();
    await told.start();
    t.match(await told.driver.print(null, receipt, null), { printed: 'sent', device: 'printer-1' });
    t.same(told.at('/a').slips, [[...receipt, ...feed]]);
    await told.driver.stop();
  },
);

for (const bus of ['tcp', 'serial'] as const)
  t.test(`a printer over ${bus} that answered and falls silent, until it answers again`, async (t) => {
    const { at, driver, settle, start, states, time } = openFeigned(['/a'], {}, loadEncode, bus);
    const name = bus === 'tcp' ? 'network-printer-1' : 'printer-1';
    const pass = async (seconds: number) => {
      for (let second = 0; second < seconds; second++) {
        await settle();
        time.advance(1_000);
      }
      await settle();
    };
    await start();
    await pass(1);
    at('/a').body.mute = true;
    const told: string[] = [];
    for (let second = 0; second < 30; second++) {
      await pass(1);
      if (told.at(-1) !== states()[0]) told.push(states()[0] ?? '');
    }
    // A socket is opened anew once: what then says nothing may be a printer that never does, and is left open.
    const silent = `${name} ready device.timedOut`;
    const anew = [`${name} ready`, `${name} absent device.timedOut`, `${name} ready`, silent];
    t.same(told, bus === 'tcp' ? anew : [`${name} ready`, silent]);
    t.equal(driver.statuses()[0]?.counters['opened'], bus === 'tcp' ? 2 : 1);
    at('/a').body.mute = false;
    await pass(6);
    t.same(states(), [`${name} ready`]);
    t.match(await driver.print(null, receipt, null), { printed: 'whole' });
    await driver.stop();
  });

t.test('slips come out in the order in which they were asked for, and only so many wait', async (t) => {
  const { at, driver, settle, start } = openFeigned(['/a']);
  await start();
  await settle();
  const ends = await Promise.all(
    Array.from({ length: slipsWaitingMax + 2 }, (_, number) => driver.print(null, [String(number)], null)),
  );
  t.same(
    at('/a').slips.map(([line]) => line),
    Array.from({ length: slipsWaitingMax }, (_, number) => String(number)),
  );
  t.match(ends.slice(slipsWaitingMax), [
    { printed: 'nothing', error: { code: 'device.busy' } },
    { printed: 'nothing', error: { code: 'device.busy' } },
  ]);
  await driver.stop();
  t.match(await driver.print(null, receipt, null), { printed: 'nothing' }, 'stopped');
});

t.test('no printer, and one that is disabled', async (t) => {
  const none = openFeigned([]);
  await none.start();
  t.equal(await none.driver.print(null, receipt, null), null);
  const { at, driver, settle, start } = openFeigned(['/a']);
  await start();
  driver.serve('/a', false);
  t.match(await driver.print(null, receipt, null), { printed: 'nothing', device: 'printer-1' });
  driver.serve('/a', true);
  await settle();
  t.same(at('/a').slips, [], 'what was not printed does not come out later');
  await driver.stop();
});

t.test('a character set that cannot be loaded is said so, and nothing ends by it', async (t) => {
  const { driver, start } = openFeigned(['/a'], {}, () => Promise.reject(new Error('no such file\nstack')));
  await start();
  t.match(await driver.print(null, receipt, null), { printed: 'nothing', error: { code: 'device.driverMissing' } });
  await driver.stop();
});

t.test(
  'under the supervisor a printer without paper stays served, says why, and prints as soon as there is some',
  async (t) => {
    const { at, driver, settle, time } = openFeigned(['/a']);
    const told: string[] = [];
    const supervisor = new DeviceSupervisor({
      ...{ drivers: [driver], disabled: [], ...time },
      onEvent: (event) => {
        if (event.type === 'deviceStateChanged')
          told.push(`${event.status.state} ${event.status.error?.code ?? ''}`.trim());
      },
    });
    await supervisor.start();
    await settle();
    at('/a').body.paper = 'out';
    for (let second = 0; second < 60; second += 5) {
      time.advance(5_000);
      await settle();
    }
    t.match(supervisor.statuses(), [{ state: 'ready', error: { code: 'device.paperOut' }, counters: { restarts: 0 } }]);
    t.match(await driver.print(null, receipt, null), { printed: 'nothing', error: { code: 'device.paperOut' } });
    at('/a').body.paper = 'there';
    t.match(await driver.print(null, receipt, null), { printed: 'whole' });
    time.advance(5_000);
    await settle();
    t.match(supervisor.statuses(), [{ state: 'ready', error: null }]);
    t.same(told, ['ready', 'ready device.paperOut', 'ready']);
    await supervisor.stop();
  },
);
