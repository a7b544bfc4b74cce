/**
 * Two pseudo-terminals side by side: one for a shipped driver, one for the bare serialport library, each with its far end. What
 * a driver on a line costs is held against the other.
 */
import { constants, openSync } from 'node:fs';
import path from 'node:path';
import { SerialPort } from 'serialport';
import { openPtyPair, type PtyPair } from '../../drivers/sim/pty.js';

/** A pseudo-terminal has no speed; this is what is asked for. */
const baudRate = 9_600;

export interface BesideBare {
  /** The line that a driver opens, by its path. */
  readonly line: string;
  readonly port: SerialPort;
  /** Far ends, by path. */
  readonly farOf: { readonly driver: string; readonly raw: string };
  close(): Promise<void>;
}

/** Why there are no pseudo-terminals here; null: there can be. */
export async function ptyProblem(folder: string): Promise<string | null> {
  try {
    const pair = await openPtyPair(path.join(folder, 'try'), path.join(folder, 'try-far'));
    await pair.close();
    return null;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Opens the far end of a line for reading and writing, as nobody's terminal. */
export const openFar = (device: string): number => openSync(device, constants.O_RDWR | constants.O_NOCTTY);

/** Opens both in `folder`, and the library's port on its own. */
export async function openBesideBare(folder: string): Promise<BesideBare> {
  const open = (name: string): Promise<PtyPair> =>
    openPtyPair(path.join(folder, name), path.join(folder, `${name}-far`));
  const pairs = { driver: await open('driver'), raw: await open('raw') };
  const port = new SerialPort({ path: pairs.raw.line, baudRate, lock: true, autoOpen: false });
  await new Promise<void>((resolve, reject) => port.open((error) => (error ? reject(error) : resolve())));
  port.on('error', () => {});
  return {
    line: pairs.driver.line,
    port,
    farOf: { driver: pairs.driver.device, raw: pairs.raw.device },
    close: async () => {
      await new Promise<void>((resolve) => port.close(() => resolve()));
      await Promise.all([pairs.driver.close(), pairs.raw.close()]);
    },
  };
}
