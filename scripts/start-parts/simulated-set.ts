/**
 * The simulated set: a virtual reader in pcscd, a member's phone as a process of its own, and a scanner on a
 * pseudo-terminal. Everything behind them is the shipped driver code.
 */
import { appendFileSync, existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { openPcscRig, type PcscRig } from '../../drivers/sim/pcscd.js';
import { PhoneControl } from '../../drivers/sim/phone/control.js';
import { FileMemory, newPhoneState } from '../../drivers/sim/phone/phone-state.js';
import { openPtyPair } from '../../drivers/sim/pty.js';
import { type Running, startProcess } from './process.js';

export interface SimulatedSet {
  readonly rig: PcscRig;
  readonly phone: PhoneControl;
  readonly phoneProcess: Running<unknown>;
  /** The line that the scanner driver opens. */
  readonly scannerLine: string;
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
}

export async function startSimulatedSet(options: SimulatedSetOptions): Promise<SimulatedSet> {
  const { dataFolder, hostMessages, number } = options;
  const folder = path.join(dataFolder, 'set');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const rig = await openPcscRig();
  try {
    const control = path.join(folder, 'phone.sock');
    const state = path.join(folder, 'phone.json');
    if (!existsSync(state)) FileMemory.create(state, newPhoneState(number));
    const words = ['--state', state, '--port', String(rig.ports[0])];
    const messages = ['--in', path.join(hostMessages, 'out'), '--out', path.join(hostMessages, 'in')];
    const phoneProcess = await startProcess(
      'phone',
      'scripts/phone.js',
      ['serve', ...words, '--control', control, ...messages],
      path.join(dataFolder, 'phone.log'),
    );
    const phone = await PhoneControl.open(control);
    const pty = await openPtyPair(path.join(folder, 'scanner-line'), path.join(folder, 'scanner'));
    return {
      rig,
      phone,
      phoneProcess,
      scannerLine: pty.line,
      scan: (code) => appendFileSync(pty.device, `${code}\r\n`),
      stop: async () => {
        phone.close();
        await phoneProcess.stop();
        await pty.close();
        await rig.close();
      },
    };
  } catch (error) {
    await rig.close();
    throw error;
  }
}
