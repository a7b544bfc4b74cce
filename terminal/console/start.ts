/**
 * Start of the console: one login, and the lines that the configuration names. Wires; must not talk to anyone itself.
 */
import { existsSync, unlinkSync } from 'node:fs';
import path from 'node:path';
import type { Clock, Random } from '../kernel/ports.js';
import type { Currency } from '../kernel/units.js';
import type { TerminalPort } from '../runtime/port.js';
import { Dialogue } from './dialogue.js';
import type { Language } from './grammar.js';
import { Login } from './login.js';
import { openSerialLine } from './serial-line.js';
import type { Schedule } from './session.js';
import { type OpenLine, openSocketLine } from './socket-line.js';

/** For a forgotten PIN: whoever may write the data folder creates this file there and restarts the box. */
const resetFileName = 'reset-pin';

export interface ConsoleParts {
  readonly port: TerminalPort;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly schedule: Schedule;
  /** In which currency amounts are typed; asked at each line, since the host's rules say it. */
  readonly currency: () => Currency;
  readonly language: Language;
  /** A technician who types nothing for so long is logged out, milliseconds. */
  readonly idleMs: number;
  /** Where the Unix socket is made; null: none. A file `reset-pin` beside it asks for a new first PIN. */
  readonly socketFile: string | null;
  readonly serial: { readonly path: string; readonly baud: number } | null;
  /** The serial line opened or went away. */
  readonly onSerialState: (open: boolean, detail: string) => void;
  /** A bug met while a command ran; the owner decides whether to stop. Holds nothing typed. */
  readonly onBug: (error: unknown) => void;
}

export interface RunningConsole {
  /** The PIN drawn at this first start, to be shown once and kept nowhere; null when there was one already. */
  readonly firstPin: string | null;
  /** Tells the technicians and closes every line. */
  close(): Promise<void>;
}

/**
 * Starts the technician console. Resolves when its socket listens; a serial port that is not there is waited for.
 * @throws TerminalError config.invalid, device.busy or device.failed for the socket; store.* when the PIN cannot be stored
 */
export async function startConsole(parts: ConsoleParts): Promise<RunningConsole> {
  const { port, random, clock, schedule, idleMs, onBug } = parts;
  const login = new Login({ port, random, clock });
  const lines: OpenLine[] = [];
  const dialogue = (where: 'serial' | 'socket') => (): Dialogue =>
    new Dialogue({ port, login, currency: parts.currency, languageDefault: parts.language, where });
  if (parts.socketFile !== null) {
    lines.push(await openSocketLine({ file: parts.socketFile, dialogue: dialogue('socket'), schedule, idleMs, onBug }));
  }
  const resetFile = parts.socketFile === null ? null : path.join(path.dirname(parts.socketFile), resetFileName);
  if (resetFile !== null && existsSync(resetFile)) {
    login.reset();
    unlinkSync(resetFile);
  }
  // Drawn after the socket stands: a start that fails there has not used up the first PIN unseen.
  const firstPin = await login.drawFirstPin().catch(async (error: unknown) => {
    for (const line of lines) await line.close();
    throw error;
  });
  if (parts.serial) {
    lines.push(
      openSerialLine({
        ...parts.serial,
        dialogue: dialogue('serial'),
        schedule,
        idleMs,
        onBug,
        onState: parts.onSerialState,
      }),
    );
  }
  return {
    firstPin,
    close: async () => {
      for (const line of lines) await line.close();
    },
  };
}
