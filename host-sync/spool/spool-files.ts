/**
 * Files of a message spool on a box: for their owner alone, whole or not at all, on disk when written.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import path from 'node:path';
import type { SpoolFiles } from './message-spool.js';

function flushFolder(folder: string): void {
  const handle = openSync(folder, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

export const spoolFiles: SpoolFiles = {
  ensureFolder: (folder) => void mkdirSync(folder, { recursive: true, mode: 0o700 }),
  flushFolder,
  write: (file, content) => {
    const handle = openSync(`${file}.new`, 'w', 0o600);
    try {
      const bytes = Buffer.from(content, 'utf8');
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(`${file}.new`, file);
    flushFolder(path.dirname(file));
  },
};
