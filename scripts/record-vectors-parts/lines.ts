/**
 * Sessions of devices on lines of bytes: each simulated device at the far end of a pseudo-terminal, or of a socket, and the
 * unmodified serialport between it and the driver.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Driver } from '../../drivers/contract/driver.js';
import { modemOnPty } from '../../drivers/sim/gsm-modem.js';
import { displayOnPty } from '../../drivers/sim/line-display.js';
import { padOnPty } from '../../drivers/sim/pin-pad.js';
import { openPtyPair, type PtyPair } from '../../drivers/sim/pty.js';
import { printerOnPort, printerOnPty, type SimulatedReceiptPrinter } from '../../drivers/sim/receipt-printer.js';
import { relayBoardOnPty, SimulatedRelayBoard } from '../../drivers/sim/relay-board.js';
import { encodeMessageFile } from '../../host-sync/spool/message-file.js';
import { MessageSpool } from '../../host-sync/spool/message-spool.js';
import { spoolFiles } from '../../host-sync/spool/spool-files.js';
import { hex } from '../../terminal/kernel/bytes.js';
import { nativeClock, nativeCrypto, nativeRandom } from '../../terminal/kernel/native.js';
import { shell, until } from '../rig/guest/scenario.js';
import { shipped, type Vector } from './session.js';

/** A test card's number (ISO/IEC 7812-1), nobody's. */
export const testPan = '5413330089090014';
const overPty = 'over a pseudo-terminal, unmodified serialport 13.0.0, Debian 12.';
/** Longer than a printer that lies idle is left alone. */
const idleMs = 5_300;

export async function onPty(use: (pair: PtyPair, folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-record-'));
  try {
    const pair = await openPtyPair(path.join(folder, 'line'), path.join(folder, 'device'));
    await use(pair, folder).finally(() => pair.close());
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** What it takes from a person: something to write on, the roll's end, a new roll. */
async function slips(driver: Driver, device: string, printer: SimulatedReceiptPrinter): Promise<void> {
  await driver.print?.(
    device,
    ['受理 Shouli', '奶油蛋糕        100.00', '合计            100.00'],
    'https://example.org/r/1',
  );
  printer.body.paper = 'out';
  await driver.print?.(device, ['not printed'], null);
  printer.body.paper = 'low';
  await wait(idleMs);
  await driver.print?.(device, ['积分 Points: 100'], null);
}

export const lineVectors: readonly Vector[] = [
  {
    name: 'serial-scanner',
    remark: [
      'A product’s code in two pieces, half a code that is dropped, a member’s (a test code), each with the',
      `suffix CR LF: simulated scanner ${overPty}`,
    ],
    make: (keep) =>
      onPty((pair) =>
        keep(shipped('serial-scanner', `[scanners]\npaths = ["${pair.line}"]\n`), 'scanner-1', async (seen) => {
          writeFileSync(pair.device, '690123');
          await wait(20);
          writeFileSync(pair.device, '4567892\r\n');
          await seen.come('codeScanned', 1);
          writeFileSync(pair.device, 'half a c');
          await wait(500);
          writeFileSync(pair.device, 'SLM1234567890128\r\n');
          await seen.come('codeScanned', 2);
        }),
      ),
  },
  {
    name: 'serial-printer',
    remark: [
      'A slip with Chinese and a QR code, a second that finds no paper, the answer of the idle printer, a third on',
      `a roll that is nearly out: simulated ESC/POS printer ${overPty}`,
    ],
    make: (keep) =>
      onPty(async (pair) => {
        const { close, printer } = printerOnPty(pair.device);
        const driver = shipped('serial-printer', `[printers]\npaths = ["${pair.line}"]\n`);
        await keep(driver, 'printer-1', () => slips(driver, 'printer-1', printer));
        await close();
      }),
  },
  {
    name: 'network-printer',
    remark: [
      'The same slips as of the serial printer: simulated ESC/POS printer on a TCP port of this machine, node:net.',
    ],
    make: async (keep) => {
      const { address, close, printer } = await printerOnPort();
      const driver = shipped('network-printer', `[printers]\naddresses = ["${address}"]\n`);
      await keep(driver, 'network-printer-1', () => slips(driver, 'network-printer-1', printer));
      await close();
    },
  },
  {
    name: 'serial-display',
    remark: [
      'The opening of the line, a text in Chinese and one in ASCII, the cable pulled out and put back: simulated CD5220 display',
      overPty,
    ],
    make: (keep) =>
      onPty(async (pair) => {
        const { close, display } = displayOnPty(pair.device);
        let leave = close;
        const toml = `[displays]\npaths = ["${pair.line}"]\nchinese = true\n`;
        const driver = shipped('serial-display', toml);
        await keep(driver, 'display-1', async () => {
          // Told while the empty text is still being written, it would take that one's place.
          await until('the empty text', () => (driver.statuses()[0]?.counters['shown'] ?? 0) > 0);
          driver.display?.show(['奶油蛋糕', '合计      100.00']);
          await until('the first text', () => display.lines[1]?.endsWith('100.00'));
          driver.display?.show(['Points      300', 'Thank you']);
          await until('the second text', () => display.lines[1] === 'Thank you');
          await close();
          await pair.close();
          await until('its going', () => driver.statuses()[0]?.state === 'absent');
          const again = await openPtyPair(pair.line, pair.device);
          const back = displayOnPty(again.device);
          await until('the second text again', () => back.display.lines[1] === 'Thank you');
          leave = () => back.close().then(() => again.close());
        });
        await leave();
      }),
  },
  {
    name: 'serial-relay',
    remark: [
      'Off at the opening of the line, two openings of a gate, the board let go by order and taken up again: simulated LCUS board',
      overPty,
    ],
    make: (keep) =>
      onPty(async (pair) => {
        const { close } = relayBoardOnPty(pair.device, new SimulatedRelayBoard());
        const driver = shipped('serial-relay', `[relays]\npaths = ["${pair.line}"]\npulseMs = 500\n`);
        await keep(driver, 'relay-1', async () => {
          for (let times = 0; times < 2; times++) await driver.pulse?.('relay-1');
          driver.serve(pair.line, false);
          driver.serve(pair.line, true);
          await until('its return', () => driver.statuses()[0]?.state === 'ready');
          await driver.pulse?.('relay-1');
        });
        await close();
      }),
  },
  {
    name: 'serial-modem',
    remark: [
      'Preparing, a message that comes, one sent, one in two parts, one that the network refuses, one whose fate nobody knows,',
      `network and signal asked for: simulated GSM modem ${overPty}`,
    ],
    make: (keep) =>
      onPty(async (pair, folder) => {
        const { close, modem } = modemOnPty(pair.device);
        const messages = path.join(folder, 'messages');
        const spool = new MessageSpool(messages, spoolFiles, nativeClock);
        const driver = shipped('serial-modem', `[modems]\npaths = ["${pair.line}"]\n`, () => spool);
        const write = (id: string, text: string) =>
          writeFileSync(
            path.join(messages, 'out', `${id}.sms`),
            encodeMessageFile({ from: '10690000', to: '13800138000', text }),
          );
        const ended = (count: number) =>
          until('the messages', () => {
            const { sent = 0, unsent = 0, unsure = 0 } = driver.statuses()[0]?.counters ?? {};
            return sent + unsent + unsure >= count;
          });
        await keep(driver, 'modem-1', async () => {
          modem.arrive('+8613800138000', '注册');
          await until('the message', () => driver.statuses()[0]?.counters['received'] === 1);
          write('m1', 'Your code is 123456.');
          await ended(1);
          write('m2', `受理会员注册：${'请回复本短信。'.repeat(12)}`);
          await ended(2);
          modem.mood.sends.push(28);
          write('m3', 'refused');
          await ended(3);
          modem.mood.sends.push('bareOk');
          write('m4', 'nobody knows');
          await ended(4);
          await driver.askCondition?.('modem-1');
        });
        close();
      }),
  },
  {
    name: 'serial-pinpad',
    remark: [
      'An entry, one that the member calls off, one that the box calls off, one that outlives its time; test card, test',
      `keys: simulated pad of the generic model, AES DUKPT, ${overPty}`,
    ],
    make: (keep) =>
      onPty(async (pair) => {
        const { close, pad } = padOnPty(pair.device, padSetup(1));
        const driver = shipped('serial-pinpad', `[pinPads]\npaths = ["${pair.line}"]\n`);
        await keep(driver, 'pinpad-1', () => entries(driver, 'pinpad-1', pad));
        close();
      }),
  },
];

/** A pad with a test key. */
export const padSetup = (counter: number) => ({
  ...{ crypto: nativeCrypto, random: nativeRandom, schedule: shell.schedule, counter },
  ...{ initialKey: new Uint8Array(16).fill(7), initialKeyId: hex('1234567890123456') },
});

type Pad = ReturnType<typeof padOnPty>['pad'];

export async function entries(driver: Driver, device: string, pad: Pad): Promise<void> {
  const ask = (timeoutS: number) => driver.askPin?.({ device, pan: testPan, timeoutS });
  const prompted = () => until('the prompt', () => pad.prompt);
  const keyed = ask(30);
  await prompted();
  pad.key('2580');
  await keyed;
  const cancelled = ask(30);
  await prompted();
  pad.pressCancel();
  await cancelled;
  const calledOff = ask(30);
  await prompted();
  driver.cancelPin?.(device);
  await calledOff;
  const late = ask(5);
  await prompted();
  await late;
}
