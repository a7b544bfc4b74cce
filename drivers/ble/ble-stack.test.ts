/**
 * Shows the Bluetooth driver on the whole path but the radio: the shipped child, the unmodified noble, and below them a
 * controller in software with a virtual scanner and a virtual phone. How: noble's HCI socket is replaced by one that
 * speaks H4; adapter, links and devices are taken away and brought back; every wait is for an event.
 */
import { readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { loadConfig } from '../../config/load.js';
import { type Bytes, concat, hex, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeClock, nativeCrypto } from '../../terminal/kernel/native.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent, Schedule } from '../contract/driver.js';
import type { ApduLink } from '../contract/transport.js';
import { tapSignedBytes } from '../protocols/member/credential.js';
import { grantSession } from '../protocols/member/proof.js';
import {
  decodePresentAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  mutualCommand,
  openSession,
  presentCommand,
  selectCommand,
  signCommand,
  transcriptOf,
} from '../protocols/member/session.js';
import { bindRefusals, openBleStack } from '../sim/ble/ble-stack.js';
import { type PhoneAnswers, VirtualBlePhone, VirtualBleScanner } from '../sim/ble/peripherals.js';
import { SimulatedPhone } from '../sim/phone/phone.js';
import { newMembership, newPhoneState, VolatileMemory, withMembership } from '../sim/phone/phone-state.js';
import { BleDriver, type BleOptions } from './ble-driver.js';
import { spawnBluetoothChild } from './bluetooth-process.js';

t.setTimeout(300_000);

const waitMaxMs = 15_000;
const timeout = durationMs(5_000);
const scannerAddress = 'c0:11:22:33:44:55';
const options: BleOptions = {
  scanners: [scannerAddress],
  adapter: '',
  phones: true,
  phoneRssiMin: -55,
  idleGapMs: 300,
  gattTimeoutMs: 1_000,
  heartbeatMs: 2_000,
  restartDelayMaxMs: 10_000,
};
const schedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};
const vectors = JSON.parse(
  readFileSync(new URL('../protocols/member/vectors/member.json', import.meta.url), 'utf8'),
) as Readonly<Record<string, string>>;

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}
const echo: PhoneAnswers = (command) => concat(command, hex('9000'));

async function until<T>(what: string, look: () => T | null | undefined | false): Promise<T> {
  const deadline = Date.now() + waitMaxMs;
  for (;;) {
    const seen = look();
    if (seen !== null && seen !== undefined && seen !== false) return seen;
    if (Date.now() > deadline) throw new Error(`${what} did not come within ${waitMaxMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** @param words further arguments of the child */
function open(t: Test, changes: Partial<BleOptions> = {}, words: readonly string[] = []) {
  const stack = openBleStack();
  const { childSetup } = stack;
  const driver = new BleDriver({
    clock: nativeClock,
    schedule,
    options: { ...options, ...changes },
    spawn: () => spawnBluetoothChild({ ...childSetup, words: [...(childSetup.words ?? []), ...words] }),
  });
  const events: DeviceEvent[] = [];
  t.teardown(async () => {
    await driver.stop();
    await stack.close();
  });
  const row = (device: string) => driver.statuses().find((status) => status.device === device);
  return {
    stack,
    driver,
    events,
    row,
    start: () => driver.start((event) => events.push(event)),
    state: (device: string, state: string) => until(`${device} ${state}`, () => row(device)?.state === state),
    codes: () => events.flatMap((event) => (event.type === 'codeScanned' ? [event.code] : [])),
    links: () => events.flatMap((event): ApduLink[] => (event.type === 'cardPresented' ? [event.link] : [])),
    removals: () => events.flatMap((event) => (event.type === 'cardRemoved' ? [event.linkId] : [])),
  };
}

t.test('no adapter, then one, then none, then one again', async (t) => {
  const { stack, start, row, state, codes } = open(t);
  const scanner = new VirtualBleScanner(scannerAddress);
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  await start();
  t.match(row('ble'), { state: 'absent', error: { code: 'device.absent', detail: 'no Bluetooth adapter' } });
  await stack.plugIn();
  await state('ble-scanner-1', 'ready');
  await until('a listener', () => scanner.isListenedTo);
  scanner.send('4006381333931\r\n');
  await until('the code', () => codes().length === 1);
  await stack.pullOut();
  await state('ble-scanner-1', 'absent');
  t.match(row('ble')?.error?.code, 'device.absent');
  const backAt = performance.now();
  await stack.plugIn();
  await state('ble-scanner-1', 'ready');
  t.comment(`in service again after ${Math.round(performance.now() - backAt)} ms`);
  await until('a listener', () => scanner.isListenedTo);
  scanner.send('6901234567892\r');
  await until('the code', () => codes().length === 2);
  t.strictSame(codes(), ['4006381333931', '6901234567892']);
});

t.test('an adapter that is in use or blocked is named as that, and taken once it is free', async (t) => {
  const { stack, start, row, state, codes } = open(t);
  const scanner = new VirtualBleScanner(scannerAddress);
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  stack.takeAway(bindRefusals.inUse);
  await stack.plugIn();
  await start();
  await until('the reason', () => row('ble')?.error?.code === 'device.busy');
  stack.takeAway(bindRefusals.blocked);
  await until('the other reason', () => /rfkill unblock/.test(row('ble')?.error?.detail ?? ''));
  t.equal(row('ble')?.error?.code, 'device.denied');
  stack.takeAway(bindRefusals.taken);
  await until('the first again', () => row('ble')?.error?.code === 'device.busy');
  stack.takeAway(null);
  await state('ble-scanner-1', 'ready');
  await until('a listener', () => scanner.isListenedTo);
  for (const code of ['1', '2']) scanner.send(`${code}\r`);
  await until('the codes', () => codes().length >= 2);
  t.strictSame(codes(), ['1', '2'], 'each once');
});

t.test('the adapter that the configuration means, under whatever number it returns', async (t) => {
  const { stack, driver, row, state } = open(t, {}, ['0A12:0001']);
  await stack.plugIn();
  await driver.start(() => {});
  await until('the reason', () => row('ble')?.error?.detail === 'no Bluetooth adapter 0A12:0001');
  t.equal(row('ble')?.state, 'absent', 'another one is not taken');
  await stack.pullOut();
  await stack.plugIn({ name: 'hci1', usb: ['0a12', '0001'] });
  await state('ble', 'ready');
  t.match(row('ble')?.description, 'hci1 (0a12:0001)');
  await stack.pullOut();
  await state('ble', 'absent');
  await stack.plugIn({ name: 'hci2', usb: ['0a12', '0001'] });
  await state('ble', 'ready');
  t.match(row('ble')?.description, 'hci2 (0a12:0001)');
});

t.test('codes in pieces, many in a row, and half a code when the link goes', async (t) => {
  const { stack, start, state, codes, row } = open(t);
  const scanner = new VirtualBleScanner(scannerAddress, 23);
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  await stack.plugIn();
  await start();
  await state('ble-scanner-1', 'ready');
  t.equal(row('ble-scanner-1')?.counters['mtu'], 23);
  const many = Array.from({ length: 500 }, (_, index) => `CODE-${index}-${'x'.repeat(index % 60)}`);
  for (const code of many) scanner.send(`${code}\r`);
  await until('500 codes', () => codes().length === 500);
  t.strictSame(codes(), many);
  scanner.send('HALF-A-CO');
  scanner.vanish();
  await state('ble-scanner-1', 'absent');
  await until('the drop', () => row('ble-scanner-1')?.counters['dropped'] === 1);
  scanner.isAdvertising = true;
  await state('ble-scanner-1', 'ready');
  scanner.send('DE\r');
  await until('the next code', () => codes().length === 501);
  t.equal(codes().at(-1), 'DE', 'the half before is not in it');
});

t.test('a scanner that nobody configured is named and never connected', async (t) => {
  const { driver, stack, start, state, codes } = open(t);
  const stranger = new VirtualBleScanner('c0:de:c0:de:c0:de');
  stranger.isAdvertising = true;
  stack.air.add(stranger);
  await stack.plugIn();
  await start();
  await state('ble', 'ready');
  const [found] = await until('it to be listed', () => driver.unclaimed().length > 0 && driver.unclaimed());
  t.match(found, { bus: 'ble', place: 'c0:de:c0:de:c0:de', why: /connected when named/ });
  const read = loadConfig((found?.configuration ?? []).join('\n'));
  t.same(read.ok && read.value.bluetooth.scanners, [scannerAddress, 'c0:de:c0:de:c0:de'], 'claimed by these lines');
  t.equal(stranger.connections, 0);
  t.strictSame(codes(), []);
});

t.test('a peer that never answers a step costs its time-out, not the process; it is tried again', async (t) => {
  const { stack, start, state, row, driver } = open(t, { gattTimeoutMs: 300 });
  const scanner = new VirtualBleScanner(scannerAddress);
  scanner.server.muteRequests.add(0x12);
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  await stack.plugIn();
  await start();
  await state('ble-scanner-1', 'failing');
  t.match(row('ble-scanner-1')?.error, { code: 'device.timedOut', detail: /^subscribe/ });
  scanner.server.muteRequests.clear();
  await state('ble-scanner-1', 'ready');
  t.ok(scanner.connections > 1);
  t.equal(driver.statuses()[0]?.state, 'ready', 'the adapter was in service all the time');
});

t.test(
  'a scanner that is heard and does not answer the call is called again, and the adapter stays in service',
  async (t) => {
    const { stack, start, state, row, links } = open(t, { gattTimeoutMs: 300 });
    const scanner = new VirtualBleScanner(scannerAddress);
    scanner.isDeaf = true;
    scanner.isAdvertising = true;
    stack.air.add(scanner);
    await stack.plugIn();
    await start();
    await until('two calls', () => row('ble-scanner-1')?.counters['failures'] === 2);
    t.match(row('ble-scanner-1')?.error, { code: 'device.timedOut', detail: /^connect/ });
    const phone = new VirtualBlePhone('40:00:00:00:00:01', echo);
    phone.isAdvertising = true;
    stack.air.add(phone);
    await until('a phone meanwhile', () => links().length === 1);
    scanner.isDeaf = false;
    await state('ble-scanner-1', 'ready');
    t.equal(scanner.connections, 1);
    t.equal(row('ble')?.state, 'ready');
  },
);

t.test('a member’s phone: a whole tap by the terminal’s own session, as over NFC', async (t) => {
  const { stack, start, state, links } = open(t);
  const merchantId = vectors['merchantId'] ?? '';
  const membership = newMembership({
    merchantId,
    merchantPublicKey: vectors['merchantPublic'] ?? '',
    token: vectors['token'] ?? '',
    answer: vectors['keyMessage'] ?? '',
    memberKeyId: vectors['memberKeyId'] ?? '',
    memberKey: vectors['memberKey'] ?? '',
    signingKey: vectors['phonePrivate'] ?? '',
  });
  const memory = new VolatileMemory(
    withMembership(newPhoneState('13800138000'), { ...membership, credential: vectors['credential'] ?? '' }),
  );
  const member = new SimulatedPhone({ memory });
  const phone = new VirtualBlePhone('40:00:00:00:00:01', (command) => member.respond(command), 23);
  phone.isAdvertising = true;
  stack.air.add(phone);
  await stack.plugIn();
  await start();
  await state('ble-phone', 'ready');
  const link = await until('the phone', () => links()[0]);
  const ask = async (command: Bytes): Promise<Bytes> => value(await link.transmit(command, timeout));
  const terminalNonce = hex(vectors['terminalNonce'] ?? '');
  const context = hex((vectors['debit'] as unknown as { readonly context: string }).context);
  t.equal(toHex(await ask(selectCommand(nativeCrypto, 'M1002'))), '6a82', 'another merchant learns nothing');
  const selected = value(decodeSelectAnswer(await ask(selectCommand(nativeCrypto, merchantId))));
  t.equal(toHex(selected.memberKeyId), vectors['memberKeyId']);
  const presented = value(decodePresentAnswer(await ask(presentCommand('member', terminalNonce, context))));
  const transcript = transcriptOf(selected, presented, { key: 'member', terminalNonce, context });
  const signed = value(decodeSignAnswer(await ask(signCommand())));
  t.equal(toHex(signed.credential), vectors['credential'], 'the longest answer of a tap, in 11 fragments');
  const own = hex(vectors['phonePublic'] ?? '');
  t.ok(nativeCrypto.verifyP256(own, tapSignedBytes(transcript, presented.proof), signed.signature));
  const grant = grantSession(nativeCrypto, hex(vectors['memberKey'] ?? ''), transcript);
  const opened = openSession(nativeCrypto, grant, transcript, await ask(mutualCommand(grant)));
  t.ok(opened.ok, 'both sides proved themselves');
});

t.test('a scanner that wants encryption gets it; one that refuses to pair is shown as failing', async (t) => {
  const { stack, start, state, row, codes } = open(t, { gattTimeoutMs: 500 });
  const scanner = new VirtualBleScanner(scannerAddress);
  scanner.server.needsEncryption = true;
  scanner.isAdvertising = true;
  stack.air.add(scanner);
  await stack.plugIn();
  await start();
  await state('ble-scanner-1', 'ready');
  t.equal(row('ble-scanner-1')?.counters['encrypted'], 1);
  scanner.send('1\r');
  await until('the code', () => codes().length === 1);
  scanner.pairing = 'refuse';
  scanner.vanish();
  scanner.isAdvertising = true;
  await state('ble-scanner-1', 'failing');
  t.equal(row('ble-scanner-1')?.counters['encrypted'], 0);
});

t.test('a phone: commands of every length, at every ATT_MTU, and the same phone only once it has left', async (t) => {
  const { stack, start, state, links, removals, row } = open(t);
  await stack.plugIn();
  await start();
  await state('ble-phone', 'ready');
  for (const [index, mtu] of [23, 185, 517].entries()) {
    const phone = new VirtualBlePhone(`4${index}:00:00:00:00:01`, echo, mtu);
    phone.isAdvertising = true;
    stack.air.add(phone);
    const link = await until('the link', () => links()[index]);
    for (const length of [4, 5, 18, 19, 200, 261, 2_000]) {
      const command = new Uint8Array(length).fill(length % 251);
      const answer = await link.transmit(command, timeout);
      t.equal(answer.ok && toHex(answer.value), `${toHex(command)}9000`, `${length} bytes at ATT_MTU ${mtu}`);
    }
    await link.close();
    await until('the removal', () => removals().includes(link.id));
    if (mtu === 517) {
      await until('its being heard again', () => !phone.isConnected);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      t.equal(links().length, 3, 'still here: not presented again');
    }
    phone.vanish();
  }
  t.equal(row('ble-phone')?.counters['connections'], 3);
});

t.test('a phone that is far away, and two that are near, are not taken', async (t) => {
  const { stack, start, state, links, row } = open(t);
  const far = new VirtualBlePhone('40:00:00:00:00:01', echo);
  const [one, other] = [new VirtualBlePhone('41:00:00:00:00:01', echo), new VirtualBlePhone('42:00:00:00:00:01', echo)];
  far.rssi = -80;
  far.isAdvertising = true;
  stack.air.add(far);
  await stack.plugIn();
  await start();
  await state('ble-phone', 'ready');
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.equal(far.connections, 0);
  far.vanish();
  const busy = new VirtualBlePhone('43:00:00:00:00:01', echo);
  busy.isAdvertising = true;
  stack.air.add(busy);
  await until('the first link', () => links().length === 1);
  for (const phone of [one, other]) {
    phone.isAdvertising = true;
    stack.air.add(phone);
  }
  await until('a crowd', () => (row('ble-phone')?.counters['crowded'] ?? 0) > 0);
  busy.vanish();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.equal(one.connections + other.connections, 0, 'neither of two');
  other.vanish();
  await until('the one that stays', () => links().length === 2);
  t.equal(one.connections, 1);
});

t.test('conformance, through child, noble and HCI', async (t) => {
  driverConformance(t, ['scan', 'plug'], async () => {
    const stack = openBleStack();
    const scanner = new VirtualBleScanner(scannerAddress);
    scanner.isAdvertising = true;
    stack.air.add(scanner);
    await stack.plugIn();
    return {
      driver: new BleDriver({
        clock: nativeClock,
        schedule,
        options: { ...options, phones: false },
        spawn: stack.spawn,
      }),
      scan: async (code) => {
        await until('a listener', () => scanner.isListenedTo);
        scanner.send(`${code}\r\n`);
      },
      plug: { pullOut: () => stack.pullOut(), putBack: () => stack.plugIn() },
      close: () => stack.close(),
    };
  });
  driverConformance(t, ['card', 'plug'], async () => {
    const stack = openBleStack();
    await stack.plugIn();
    let phone: VirtualBlePhone | null = null;
    let number = 0;
    const atrOf = (address: string): Bytes => {
      const body = concat(hex('8a8001'), utf8('BLE1'), hex(address.replaceAll(':', '')));
      return concat(hex('3b'), body, Uint8Array.of(body.reduce((check, byte) => check ^ byte, 0)));
    };
    return {
      driver: new BleDriver({
        clock: nativeClock,
        schedule,
        options: { ...options, scanners: [] },
        spawn: stack.spawn,
      }),
      card: {
        insert: async (answers) => {
          phone = new VirtualBlePhone(`40:00:00:00:00:0${++number}`, answers);
          phone.isAdvertising = true;
          stack.air.add(phone);
          return atrOf(phone.address);
        },
        remove: async () => phone?.vanish(),
      },
      plug: { pullOut: () => stack.pullOut(), putBack: () => stack.plugIn() },
      close: () => stack.close(),
    };
  });
});
