/**
 * Bluetooth in a real kernel: the unmodified noble with its own HCI socket over the kernel's Bluetooth, below which a
 * controller in software speaks through /dev/vhci.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { BleDriver } from '../../../drivers/ble/ble-driver.js';
import { packetType } from '../../../drivers/sim/ble/h4.js';
import { type Air, HciController } from '../../../drivers/sim/ble/hci-controller.js';
import { VirtualBlePhone, VirtualBleScanner } from '../../../drivers/sim/ble/peripherals.js';
import { concat, hex } from '../../../terminal/kernel/bytes.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import { check, DriverWatch, type Scenario, shell, until } from './scenario.js';

const nobleFile = createRequire(import.meta.url).resolve('@abandonware/noble');
const scannerAddress = 'c0:11:22:33:44:55';
/** HCI_Reset: the first is the kernel's own, when it sets the controller up; the next is of whoever took it. */
const resetCommand = 0x0c03;
/** Create an LE controller; the kernel answers with its number. */
const vendorPacket = 0xff;

/** A controller plugged in through /dev/vhci; each read and each write is one packet. */
class VhciController {
  // A read that waits would keep the controller plugged in after its file was closed.
  readonly #file = openSync('/dev/vhci', constants.O_RDWR | constants.O_NONBLOCK);
  readonly #timer: NodeJS.Timeout;
  readonly #controller: HciController;
  #isOpen = true;
  readonly #pluggedAt = performance.now();
  #lastCommandMs = 0;
  /** From plugging in until the kernel had set it up, and until the box's process took it, both in ms. */
  readonly taken: { setUpMs: number; takenMs: number }[] = [];
  #resets = 0;
  #numbered: (number: number) => void = () => {};
  /** The kernel's number of this adapter: another one while the one before is still in somebody's hands. */
  readonly number = new Promise<number>((resolve) => {
    this.#numbered = resolve;
  });

  constructor(air: Air) {
    this.#controller = new HciController(air, (packet) => {
      if (this.#isOpen) writeSync(this.#file, packet);
    });
    writeSync(this.#file, Uint8Array.of(vendorPacket, 0));
    this.#timer = setInterval(() => this.#readOn(), 2);
  }

  #readOn(): void {
    const packet = Buffer.alloc(1_100);
    try {
      for (;;) {
        const length = readSync(this.#file, packet);
        if (packet[0] === vendorPacket) this.#numbered(packet.readUInt16LE(2));
        else {
          this.#note(packet);
          this.#controller.receive(new Uint8Array(packet.subarray(0, length)));
        }
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }

  #note(packet: Buffer): void {
    if (packet[0] !== packetType.command) return;
    const ms = Math.round(performance.now() - this.#pluggedAt);
    if (packet.readUInt16LE(1) === resetCommand && ++this.#resets > 1)
      this.taken.push({ setUpMs: this.#lastCommandMs, takenMs: ms });
    this.#lastCommandMs = ms;
  }

  pullOut(): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#controller.close();
    closeSync(this.#file);
  }
}

/** Switches an adapter on (HCIDEVUP) or off (HCIDEVDOWN), as bluetoothd would: ioctls, which Node has no word for. */
async function switchTo(controller: VhciController, position: 'on' | 'off'): Promise<void> {
  await promisify(execFile)('python3', [
    '-c',
    'import fcntl, socket; s = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI)\n' +
      `try: fcntl.ioctl(s.fileno(), ${position === 'on' ? 0x400448c9 : 0x400448ca}, ${await controller.number})\n` +
      'except OSError as e:\n  if e.errno != 114: raise',
  ]);
}

export const bleScenarios: readonly Scenario[] = [
  {
    name: 'Bluetooth: the kernel’s HCI socket, a scanner and a phone, controller pulled out and put back',
    run: async (rig) => {
      const air: Air = new Set();
      const scanner = new VirtualBleScanner(scannerAddress);
      scanner.isAdvertising = true;
      air.add(scanner);
      const watch = new DriverWatch(
        new BleDriver({
          ...shell,
          options: {
            scanners: [scannerAddress],
            adapter: '',
            phones: true,
            phoneRssiMin: -55,
            idleGapMs: 2_000,
            gattTimeoutMs: 20_000,
            heartbeatMs: 10_000,
            restartDelayMaxMs: 2_000,
          },
        }),
      );
      let controller = new VhciController(air);
      await switchTo(controller, 'on');
      await watch.start();
      await watch.refused('ble', 'device.busy');
      await switchTo(controller, 'off');
      await watch.state('ble-scanner-1', 'ready');
      await until('a listener', () => scanner.isListenedTo);
      scanner.send('4006381333931\r');
      await until('the code', () => watch.codes()[0] === '4006381333931');
      const phone = new VirtualBlePhone('40:00:00:00:00:01', (command) => concat(command, hex('9000')));
      phone.isAdvertising = true;
      air.add(phone);
      const link = await until('the phone', () => watch.links()[0]);
      const answer = await link.transmit(new Uint8Array(261), durationMs(20_000));
      check(answer.ok && answer.value.length === 263, 'the phone did not answer');
      // A scanner that fell asleep when it was called costs the others nothing: the phone's link goes on meanwhile.
      scanner.vanish();
      await watch.state('ble-scanner-1', 'absent');
      scanner.isDeaf = true;
      scanner.isAdvertising = true;
      await watch.state('ble-scanner-1', 'opening');
      let slowestMs = 0;
      for (let exchange = 0; exchange < 50; exchange += 1) {
        const ms = await rig.measured(async () => {
          const during = await link.transmit(new Uint8Array(20), durationMs(2_000));
          check(during.ok && during.value.length === 22, 'the phone’s link did not go on');
        });
        slowestMs = Math.max(slowestMs, ms);
      }
      check(watch.row('ble-scanner-1')?.state === 'opening', 'the scanner was not being called any more');
      check(watch.row('ble')?.state === 'ready', 'the adapter went out of service');
      rig.note(`while a sleeping scanner was called: 50 exchanges with the phone, the slowest ${slowestMs} ms`);
      scanner.isDeaf = false;
      await watch.state('ble-scanner-1', 'ready');
      phone.vanish();
      controller.pullOut();
      await watch.state('ble', 'absent');
      controller = new VhciController(air);
      const upMs = await rig.measured(() => watch.state('ble', 'ready'));
      const linkMs = await rig.measured(() => watch.state('ble-scanner-1', 'ready'));
      const { setUpMs, takenMs } = controller.taken.at(-1) ?? { setUpMs: Number.NaN, takenMs: Number.NaN };
      // Of that, what any program with this library takes in this emulated machine before its first line.
      const loadMs = await rig.measured(async () => {
        await promisify(execFile)(process.execPath, ['-e', `require(${JSON.stringify(nobleFile)}); process.exit(0)`]);
      });
      rig.note(`a process that only loads noble takes ${loadMs} ms here`);
      rig.note(
        `replug: set up by the kernel after ${setUpMs} ms, taken by the box after ${takenMs} ms, in service after ${upMs} ms, ` +
          `its scanner linked ${linkMs} ms after that`,
      );
      await until('a listener', () => scanner.isListenedTo);
      scanner.send('AGAIN\r');
      await until('a code after the replug', () => watch.codes().at(-1) === 'AGAIN');
      await watch.driver.stop();
      controller.pullOut();
    },
  },
];
