/**
 * Reserve: a file of real blocks beside the database, given up so that a sale whose value may have moved can still be
 * written to its end when the disk is full. Must not be counted on twice: no sale begins until it stands again.
 */
import { closeSync, fsyncSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import type { ErrorCode } from '../kernel/errors.js';

/** More than the largest outcome needs: its records (64 KiB each), its row, and the pages they touch. */
export const reserveBytes = 1_048_576;
const chunkBytes = 65_536;

export interface Reserve {
  /** Makes sure that it stands, writing it again where there is room now. @returns null, or why not: store.full, store.failed */
  stand(): ErrorCode | null;
  /** Gives its blocks back to the file system. */
  release(): void;
}

/** A database in memory has no disk to run out of. */
export const noReserve: Reserve = { stand: () => null, release: () => undefined };

/** `file`: where it lies. It is looked at once here, and then only after it was released. */
export function openReserve(file: string): Reserve {
  let stands = statSync(file, { throwIfNoEntry: false })?.size === reserveBytes;
  return {
    stand: () => {
      if (stands) return null;
      const trouble = writeReserve(file);
      stands = trouble === null;
      return trouble;
    },
    release: () => {
      stands = false;
      rmSync(file, { force: true });
    },
  };
}

function writeReserve(file: string): ErrorCode | null {
  let descriptor: number | null = null;
  try {
    descriptor = openSync(file, 'w', 0o600);
    // Not zeros: some file systems keep those without giving them blocks.
    const chunk = Buffer.alloc(chunkBytes, 'shouli reserve ');
    for (let written = 0; written < reserveBytes; ) {
      written += writeSync(descriptor, chunk, 0, Math.min(chunk.length, reserveBytes - written));
    }
    fsyncSync(descriptor);
    closeSync(descriptor);
    return null;
  } catch (cause) {
    if (descriptor !== null) closeSync(descriptor);
    const code = cause instanceof Error && 'code' in cause ? cause.code : null;
    if (code !== 'EROFS') rmSync(file, { force: true });
    return code === 'ENOSPC' || code === 'EDQUOT' ? 'store.full' : 'store.failed';
  }
}
