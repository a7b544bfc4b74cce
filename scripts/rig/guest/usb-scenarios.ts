/**
 * USB in a real kernel: a CCID reader with a card below pcscd, and a serial adapter below serialport.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { PcscDriver } from '../../../drivers/pcsc/pcsc-driver.js';
import { nothingAround } from '../../../drivers/protocols/scan-line/scanned-text.js';
import { SerialScannerDriver } from '../../../drivers/serial/scanner-driver.js';
import { openSerialTransport } from '../../../drivers/serial/serial-transport.js';
import { lookAtLines } from '../../../drivers/serial/tty-sysfs.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import { check, DriverWatch, type Rig, type Scenario, shell, until } from './scenario.js';

const select = Uint8Array.of(0x00, 0xa4, 0x04, 0x00, 0x00);
const patience = durationMs(20_000);
const bus = 'xhci.0';

/** Always into the same socket: QEMU makes the serial number out of it. */
async function plugReader(rig: Rig): Promise<void> {
  await rig.host.ask({ ask: 'plug', driver: 'usb-ccid', id: 'reader', words: { bus, port: '3' } });
  await rig.host.ask({
    ask: 'plug',
    driver: 'ccid-card-passthru',
    id: 'slot',
    words: { chardev: 'card', bus: 'reader.0' },
  });
  await rig.host.ask({ ask: 'card', what: 'attach' });
}

export const usbScenarios: readonly Scenario[] = [
  {
    name: 'USB CCID reader: pcscd, card in and out, pulled out in mid-command, put back',
    run: async (rig) => {
      mkdirSync('/run/pcscd', { recursive: true });
      const pcscd = spawn('/usr/sbin/pcscd', ['--foreground'], { stdio: 'ignore' });
      await until('pcscd', () => existsSync('/run/pcscd/pcscd.comm'));
      const watch = new DriverWatch(new PcscDriver(shell));
      await watch.start();
      await plugReader(rig);
      await watch.state('reader-1', 'ready');
      rig.note(watch.row('reader-1')?.description ?? '');
      await rig.host.ask({ ask: 'card', what: 'insert' });
      const first = await until('the card', () => watch.links()[0]);
      const answer = await first.transmit(select, patience);
      check(answer.ok && answer.value.length === select.length + 2, 'the card did not answer');
      await rig.host.ask({ ask: 'card', what: 'remove' });
      await until('the removal', () => watch.events.some((event) => event.type === 'cardRemoved'));
      await rig.host.ask({ ask: 'card', what: 'insert' });
      const second = await until('the second card', () => watch.links()[1]);
      await rig.host.ask({ ask: 'card', what: 'mute' });
      const torn = second.transmit(select, patience);
      const awayMs = await rig.measured(async () => {
        await rig.host.ask({ ask: 'unplug', id: 'reader' });
        await watch.state('reader-1', 'absent');
      });
      const outcome = await torn;
      check(!outcome.ok, 'a command ended well without its reader');
      rig.note(`unplugged in mid-command: ${outcome.error.code}, absent after ${awayMs} ms`);
      await rig.host.ask({ ask: 'card', what: 'speak' });
      const backMs = await rig.measured(async () => {
        await plugReader(rig);
        await watch.state('reader-1', 'ready');
      });
      rig.note(`in service ${backMs} ms after replug, as ${watch.row('reader-1')?.description}`);
      await rig.host.ask({ ask: 'card', what: 'insert' });
      const third = await until('the third card', () => watch.links()[2]);
      check((await third.transmit(select, patience)).ok, 'the card did not answer after the replug');
      await watch.driver.stop();
      await rig.host.ask({ ask: 'unplug', id: 'reader' });
      pcscd.kill();
    },
  },
  {
    name: 'USB serial scanner: found by its lasting name, half a code at the pull, put back',
    run: async (rig) => {
      const plug = () =>
        rig.host.ask({
          ask: 'plug',
          driver: 'usb-serial',
          id: 'line',
          words: { chardev: 'serial', bus, serial: 'RIG1', 'always-plugged': true },
        });
      const path = '/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_RIG1-if00-port0';
      const watch = new DriverWatch(
        new SerialScannerDriver(
          { paths: [path], ignoredPaths: [], baud: 9_600, idleGapMs: 2_000, ...nothingAround },
          {
            ...shell,
            open: openSerialTransport,
            look: lookAtLines,
            exists: existsSync,
            isSimulated: () => false,
          },
        ),
      );
      await watch.start();
      check(watch.row('scanner-1')?.state === 'absent', 'a line that is not there is absent');
      await plug();
      await watch.state('scanner-1', 'ready');
      await rig.host.ask({ ask: 'serial', text: '4006381333931\r\n' });
      await until('the code', () => watch.codes()[0] === '4006381333931');
      await rig.host.ask({ ask: 'serial', text: 'HALF' });
      const awayMs = await rig.measured(async () => {
        await rig.host.ask({ ask: 'unplug', id: 'line' });
        await watch.state('scanner-1', 'absent');
      });
      const backMs = await rig.measured(async () => {
        await plug();
        await watch.state('scanner-1', 'ready');
      });
      rig.note(`absent ${awayMs} ms after the pull, in service ${backMs} ms after replug`);
      await rig.host.ask({ ask: 'serial', text: '6901234567892\r\n' });
      await until('the second code', () => watch.codes()[1]);
      check(watch.codes()[1] === '6901234567892', `the half code got into the next one: ${watch.codes()[1]}`);
      await watch.driver.stop();
      await rig.host.ask({ ask: 'unplug', id: 'line' });
    },
  },
];
