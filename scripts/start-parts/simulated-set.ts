/**
 * The simulated set: a virtual reader in pcscd, a member's phone as a process of its own, a scanner, a receipt printer, a
 * customer's display and a gate's relay on pseudo-terminals. Everything behind them is the shipped driver code.
 */
import { appendFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { displayOnPty } from '../../drivers/sim/line-display.js';
import { openPcscRig } from '../../drivers/sim/pcscd.js';
import { FileMemory, newPhoneState } from '../../drivers/sim/phone/phone-state.js';
import { openPtyPair } from '../../drivers/sim/pty.js';
import { printerOnPty } from '../../drivers/sim/receipt-printer.js';
import { relayBoardOnPty, SimulatedRelayBoard } from '../../drivers/sim/relay-board.js';
import { keepRunning } from './keep.js';
import { startProcess } from './process.js';
import { StartRefused } from './refusal.js';

export interface SimulatedSet {
  /** Socket by which the phone is told what to do (PhoneControl). */
  readonly phoneControl: string;
  /** The line that the scanner driver opens. */
  readonly scannerLine: string;
  /** The line that the printer driver opens; what stands on the paper is in `setPaths().paper`. */
  readonly printerLine: string;
  /** The line that the display driver opens; what it shows is in `setPaths().shown`. */
  readonly displayLine: string;
  /** The line that the relay driver opens; when the relay was on is in `setPaths().gate`. */
  readonly relayLine: string;
  /** Scans a code, as a scanner with a CR LF suffix does. */
  scan(code: string): void;
  stop(): Promise<void>;
}

export interface SimulatedSetOptions {
  readonly dataFolder: string;
  /** The member's number. */
  readonly number: string;
  /** Where the host's message adapter puts what it sends, and takes what it gets. */
  readonly hostMessages: string;
  /** How long another simulated set on this machine is waited for. */
  readonly waitMs: number;
  /** Another simulated set is being waited for. */
  readonly onWaiting?: () => void;
  readonly onRestart?: (which: string, how: string) => void;
  readonly onGivenUp?: (which: string, why: string) => void;
}

/** Where the simulated printer's blade went through. */
const blade = `${'- '.repeat(8)}✂${' -'.repeat(8)}`;
/** A wait that takes longer than this is told. */
const quietWaitMs = 1_000;

/** Where the parts of a set are inside a data folder; scripts/shouli finds them there. */
export const setPaths = (dataFolder: string) => ({
  phoneControl: path.join(dataFolder, 'set', 'phone.sock'),
  phoneState: path.join(dataFolder, 'set', 'phone.json'),
  /** The driver's end and the simulated scanner's end. */
  scannerLine: path.join(dataFolder, 'set', 'scanner-line'),
  scanner: path.join(dataFolder, 'set', 'scanner'),
  printerLine: path.join(dataFolder, 'set', 'printer-line'),
  printer: path.join(dataFolder, 'set', 'printer'),
  /** The simulated printer's slips as text, each cut off by a line. */
  paper: path.join(dataFolder, 'set', 'paper.txt'),
  displayLine: path.join(dataFolder, 'set', 'display-line'),
  display: path.join(dataFolder, 'set', 'display'),
  /** What the simulated display shows now. */
  shown: path.join(dataFolder, 'set', 'display.txt'),
  relayLine: path.join(dataFolder, 'set', 'relay-line'),
  relay: path.join(dataFolder, 'set', 'relay'),
  /** Each change of the simulated relays, with its time. */
  gate: path.join(dataFolder, 'set', 'relay.txt'),
});

export async function startSimulatedSet(options: SimulatedSetOptions): Promise<SimulatedSet> {
  const { dataFolder, hostMessages, number } = options;
  const paths = setPaths(dataFolder);
  mkdirSync(path.dirname(paths.phoneState), { recursive: true, mode: 0o700 });
  const patience = setTimeout(() => options.onWaiting?.(), quietWaitMs);
  const rig = await openPcscRig(options.waitMs)
    .catch((error: Error) => {
      throw new StartRefused(error.message, 3);
    })
    .finally(() => clearTimeout(patience));
  const stops: (() => Promise<void>)[] = [() => rig.close()];
  const stop = async (): Promise<void> => {
    for (const end of stops.splice(0).reverse()) await end();
  };
  try {
    if (!existsSync(paths.phoneState)) FileMemory.create(paths.phoneState, newPhoneState(number));
    const words = ['--state', paths.phoneState, '--port', String(rig.ports[0]), '--control', paths.phoneControl];
    const messages = ['--in', path.join(hostMessages, 'out'), '--out', path.join(hostMessages, 'in')];
    const start = () =>
      startProcess('phone', 'scripts/phone.js', ['serve', ...words, ...messages], path.join(dataFolder, 'phone.log'));
    const phone = keepRunning(await start(), {
      start,
      onRestart: options.onRestart ?? (() => {}),
      onGivenUp: options.onGivenUp ?? (() => {}),
      nowMs: () => performance.now(),
      pause: (ms) => wait(ms),
    });
    stops.push(() => phone.stop());
    const pty = await openPtyPair(paths.scannerLine, paths.scanner);
    stops.push(() => pty.close());
    const printing = await openPtyPair(paths.printerLine, paths.printer);
    stops.push(() => printing.close());
    const printer = printerOnPty(printing.device, {}, (slip) =>
      appendFileSync(paths.paper, `${slip.join('\n')}\n${blade}\n`),
    );
    stops.push(() => printer.close());
    const showing = await openPtyPair(paths.displayLine, paths.display);
    stops.push(() => showing.close());
    const display = displayOnPty(showing.device, (lines) => writeFileSync(paths.shown, `${lines.join('\n')}\n`));
    stops.push(() => display.close());
    const switching = await openPtyPair(paths.relayLine, paths.relay);
    stops.push(() => switching.close());
    const board = relayBoardOnPty(
      switching.device,
      new SimulatedRelayBoard('lcus', (change) =>
        appendFileSync(paths.gate, `${new Date().toISOString()}  relay ${change}\n`),
      ),
    );
    stops.push(() => board.close());
    return {
      phoneControl: paths.phoneControl,
      scannerLine: pty.line,
      printerLine: printing.line,
      displayLine: showing.line,
      relayLine: switching.line,
      scan: (code) => appendFileSync(pty.device, `${code}\r\n`),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
