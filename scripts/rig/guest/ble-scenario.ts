/**
 * Bluetooth in a real kernel: the unmodified noble with its own HCI socket over the kernel's Bluetooth, below which a
 * controller in software speaks through /dev/vhci.
 */
import { execFile } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { BleDriver } from '../../../drivers/ble/ble-driver.js';
import { type Air, HciController } from '../../../drivers/sim/ble/hci-controller.js';
import { VirtualBlePhone, VirtualBleScanner } from '../../../drivers/sim/ble/peripherals.js';
import { concat, hex } from '../../../terminal/kernel/bytes.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import { check, DriverWatch, type Scenario, shell, until } from './scenario.js';

const scannerAddress = 'c0:11:22:33:44:55';
/** Create an LE controller; the kernel answers with its number. */
const vendorPacket = 0xff;

/** A controller plugged in through /dev/vhci; each read and each write is one packet. */
class VhciController {
  // A read that waits would keep the controller plugged in after its file was closed.
  readonly #file = openSync('/dev/vhci', constants.O_RDWR | constants.O_NONBLOCK);
  readonly #timer: NodeJS.Timeout;
  readonly #controller: HciController;
  #isOpen = true;
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
        else this.#controller.receive(new Uint8Array(packet.subarray(0, length)));
      }
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
    }
  }

  pullOut(): void {
    this.#isOpen = false;
    clearInterval(this.#timer);
    this.#controller.close();
    closeSync(this.#file);
  }
}

/** Switches an adapter on: ioctl HCIDEVUP, which Node has no word for. */
async function switchOn(controller: VhciController): Promise<void> {
  await promisify(execFile)('python3', [
    '-c',
    'import fcntl, socket; s = socket.socket(socket.AF_BLUETOOTH, socket.SOCK_RAW, socket.BTPROTO_HCI)\n' +
      `try: fcntl.ioctl(s.fileno(), 0x400448c9, ${await controller.number})\n` +
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
            phones: true,
            phoneRssiMin: -55,
            idleGapMs: 2_000,
            gattTimeoutMs: 20_000,
            heartbeatMs: 2_000,
            restartDelayMaxMs: 2_000,
          },
        }),
      );
      let controller = new VhciController(air);
      await switchOn(controller);
      await watch.start();
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
      phone.vanish();
      // noble's call to the kernel waits for the other end and holds the whole process up: that is what heartbeats are for.
      scanner.vanish();
      await watch.state('ble-scanner-1', 'absent');
      scanner.isDeaf = true;
      scanner.isAdvertising = true;
      await watch.state('ble-scanner-1', 'opening');
      const deafMs = await rig.measured(async () => {
        await until('the process to be replaced', () => (watch.row('ble')?.state ?? '') !== 'ready');
        scanner.isDeaf = false;
        await watch.state('ble-scanner-1', 'ready');
      });
      rig.note(`a scanner that fell asleep when it was called: in service ${deafMs} ms later`);
      controller.pullOut();
      await watch.state('ble', 'absent');
      // The system switches an adapter on when it is plugged in, which takes this emulated one long.
      const onMs = await rig.measured(async () => {
        controller = new VhciController(air);
        await switchOn(controller);
      });
      const upMs = await rig.measured(() => watch.state('ble', 'ready'));
      const linkMs = await rig.measured(() => watch.state('ble-scanner-1', 'ready'));
      rig.note(
        `switched on ${onMs} ms after replug; adapter in service ${upMs} ms later, its scanner linked ${linkMs} ms after that`,
      );
      await until('a listener', () => scanner.isListenedTo);
      scanner.send('AGAIN\r');
      await until('a code after the replug', () => watch.codes().at(-1) === 'AGAIN');
      await watch.driver.stop();
      controller.pullOut();
    },
  },
];
