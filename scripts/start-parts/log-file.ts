/**
 * The log file of a started process: appended to, and turned over to `<file>.1` when it is full. Must not read it.
 */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';

/** Size at which a log is turned over; two of them are kept, the one being written and the one before. */
export const logBytesMax = 10_000_000;

export interface LogFile {
  write(text: string): void;
  close(): void;
}

/** Opens a log (0600) at its end. A log that cannot be written never stops what is logged: the text is dropped. */
export function openLogFile(file: string, bytesMax = logBytesMax): LogFile {
  let descriptor: number | null = openSync(file, 'a', 0o600);
  let size = fstatSync(descriptor).size;
  return {
    write: (text) => {
      if (descriptor === null) return;
      try {
        if (size >= bytesMax) {
          closeSync(descriptor);
          descriptor = null;
          renameSync(file, `${file}.1`);
          descriptor = openSync(file, 'a', 0o600);
          size = 0;
        }
        size += writeSync(descriptor, text);
      } catch {
        // A full disk: the box itself says so by store.full.
      }
    },
    close: () => {
      if (descriptor !== null) closeSync(descriptor);
      descriptor = null;
    },
  };
}
