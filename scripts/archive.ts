/**
 * The backup archive: named files, encrypted and authenticated as one AES-256-GCM stream under a recovery key.
 * Form: docs/decisions/backup.md. Must not know what is in it; nothing read from an archive counts before its tag fits.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { TerminalError } from '../terminal/kernel/errors.js';

const magic = Buffer.from('SHOULIB1', 'latin1');
const keyIdBytes = 8;
const saltBytes = 16;
const headerBytes = magic.length + keyIdBytes + saltBytes;
const tagBytes = 16;
const chunkBytes = 1_048_576;
export const recoveryKeyBytes = 32;
export const entriesMax = 1_000;
const nameBytesMax = 200;
/** GCM may cipher at most 2^36−32 bytes under one key and nonce (NIST SP 800-38D §5.2.1.1). */
const contentBytesMax = 2 ** 36 - 65_536;

/** One file to be archived. `name` is relative, with `/`. */
export interface ArchiveSource {
  readonly name: string;
  readonly file: string;
}

const damaged = (detail: string): TerminalError => new TerminalError('store.corrupt', `backup: ${detail}`);

/** At most four segments of plain characters: no absolute path, no `..`, nothing hidden, nothing that a shell would read. */
export const isEntryName = (name: string): boolean =>
  name.length <= nameBytesMax && /^[0-9A-Za-z][0-9A-Za-z._-]*(?:\/[0-9A-Za-z][0-9A-Za-z._-]*){0,3}$/.test(name);

interface StreamKeys {
  readonly key: Buffer;
  readonly nonce: Buffer;
}
/** Key and nonce of one archive: HKDF-SHA256 over a fresh salt, so that no two archives ever share them. */
function streamKeys(recoveryKey: Buffer, salt: Buffer): StreamKeys {
  const derived = Buffer.from(hkdfSync('sha256', recoveryKey, salt, 'shouli backup 1', 44));
  return { key: derived.subarray(0, 32), nonce: derived.subarray(32) };
}
const recoveryKeyId = (key: Buffer): Buffer =>
  createHash('sha256').update('shouli recovery key 1').update(key).digest().subarray(0, keyIdBytes);

function writeAll(handle: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
}

/** nameLength(2) name mode-free size(6). A name length of 0 ends the archive. */
function entryHeader(name: string, sizeBytes: number): Buffer {
  const nameBytes = Buffer.from(name, 'utf8');
  const header = Buffer.alloc(2 + nameBytes.length + 6);
  header.writeUInt16BE(nameBytes.length, 0);
  nameBytes.copy(header, 2);
  header.writeUIntBE(sizeBytes, 2 + nameBytes.length, 6);
  return header;
}

function copyInto(source: ArchiveSource, put: (bytes: Uint8Array) => void, onBytes: (count: number) => void): void {
  const handle = openSync(source.file, 'r');
  try {
    const sizeBytes = fstatSync(handle).size;
    put(entryHeader(source.name, sizeBytes));
    const chunk = Buffer.allocUnsafe(chunkBytes);
    for (let left = sizeBytes; left > 0; ) {
      const count = readSync(handle, chunk, 0, Math.min(chunkBytes, left), null);
      if (count === 0) throw new TerminalError('store.failed', `${source.name} became shorter while it was read`);
      put(chunk.subarray(0, count));
      onBytes(count);
      left -= count;
    }
  } finally {
    closeSync(handle);
  }
}

const noPreamble = Buffer.alloc(0);
/**
 * Writes an archive of 0600, whole or not at all. An existing file is replaced. Names must pass isEntryName and be unique.
 * `preamble` goes before it, authenticated with it. Throws `input.outOfRange`, `store.failed`; system errors as they are.
 */
export function writeArchive(
  target: string,
  recoveryKey: Buffer,
  sources: readonly ArchiveSource[],
  onBytes: (count: number) => void = () => {},
  preamble: Buffer = noPreamble,
): void {
  const names = new Set(sources.map(({ name }) => name));
  if (sources.length > entriesMax || names.size !== sources.length || ![...names].every(isEntryName))
    throw new TerminalError('input.outOfRange', 'entries of the archive');
  if (sources.reduce((sum, { file }) => sum + statSync(file).size, 0) > contentBytesMax)
    throw new TerminalError('input.tooLong', 'more than 64 GiB in one archive');
  const salt = randomBytes(saltBytes);
  const header = Buffer.concat([preamble, magic, recoveryKeyId(recoveryKey), salt]);
  const { key, nonce } = streamKeys(recoveryKey, salt);
  const temporary = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  const handle = openSync(temporary, 'wx', 0o600);
  try {
    const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(header);
    const put = (bytes: Uint8Array): void => writeAll(handle, cipher.update(bytes));
    writeAll(handle, header);
    for (const source of sources) copyInto(source, put, onBytes);
    put(Buffer.alloc(2));
    writeAll(handle, cipher.final());
    writeAll(handle, cipher.getAuthTag());
    fsyncSync(handle);
    renameSync(temporary, target);
  } finally {
    closeSync(handle);
    rmSync(temporary, { force: true });
  }
  flushFolderOf(target);
}

function flushFolderOf(file: string): void {
  const folder = openSync(path.dirname(path.resolve(file)), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Plain bytes of the stream, in any portion, off the front. */
class PlainReader {
  #ready = Buffer.alloc(0);
  #left: number;
  readonly #decipher;
  constructor(
    private readonly handle: number,
    recoveryKey: Buffer,
    preambleBytes: number,
  ) {
    const sizeBytes = fstatSync(handle).size;
    if (sizeBytes < preambleBytes + headerBytes + tagBytes + 2) throw damaged('too short');
    const authentic = this.#file(preambleBytes + headerBytes, 0);
    const header = authentic.subarray(preambleBytes);
    if (!header.subarray(0, magic.length).equals(magic))
      throw new TerminalError('input.unsupported', 'this is not a Shouli backup');
    if (!header.subarray(magic.length, magic.length + keyIdBytes).equals(recoveryKeyId(recoveryKey)))
      throw new TerminalError('access.denied', 'the backup was made under another recovery key');
    const { key, nonce } = streamKeys(recoveryKey, header.subarray(magic.length + keyIdBytes));
    this.#decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: tagBytes }).setAAD(authentic);
    this.#decipher.setAuthTag(this.#file(tagBytes, sizeBytes - tagBytes));
    this.#left = sizeBytes - preambleBytes - headerBytes - tagBytes;
  }

  #file(length: number, position: number): Buffer {
    const bytes = Buffer.alloc(length);
    for (let at = 0; at < length; ) {
      const count = readSync(this.handle, bytes, at, length - at, position + at);
      if (count === 0) throw damaged('cut');
      at += count;
    }
    return bytes;
  }

  /** 1 to `most` bytes; throws at the end. */
  some(most: number): Buffer {
    if (this.#ready.length === 0) {
      if (this.#left === 0) throw damaged('ends too early');
      const chunk = Buffer.allocUnsafe(Math.min(chunkBytes, this.#left));
      const position = fstatSync(this.handle).size - tagBytes - this.#left;
      const count = readSync(this.handle, chunk, 0, chunk.length, position);
      if (count === 0) throw damaged('cut');
      this.#left -= count;
      this.#ready = this.#decipher.update(chunk.subarray(0, count));
    }
    const taken = this.#ready.subarray(0, most);
    this.#ready = this.#ready.subarray(taken.length);
    return taken;
  }

  exactly(length: number): Buffer {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      const part = this.some(left);
      parts.push(part);
      left -= part.length;
    }
    return Buffer.concat(parts);
  }

  /** Nothing may be left, and the tag must fit. */
  finish(): void {
    if (this.#left > 0 || this.#ready.length > 0) throw damaged('bytes behind the end');
    try {
      this.#decipher.final();
    } catch {
      throw damaged('it was changed or damaged');
    }
  }
}

function extractOne(reader: PlainReader, folder: string, name: string, onBytes: (count: number) => void): void {
  const sizeBytes = reader.exactly(6).readUIntBE(0, 6);
  const target = path.join(folder, name);
  mkdirSync(path.dirname(target), { recursive: true, mode: 0o700 });
  const handle = openSync(target, 'wx', 0o600);
  try {
    for (let left = sizeBytes; left > 0; ) {
      const part = reader.some(left);
      writeAll(handle, part);
      onBytes(part.length);
      left -= part.length;
    }
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/**
 * Unpacks into a new folder (0700), which is removed again unless every byte was authentic. @returns the names
 * Throws `input.unsupported` (no backup), `access.denied` (another key), `store.corrupt` (cut, changed); system errors.
 */
export function readArchive(
  source: string,
  recoveryKey: Buffer,
  folder: string,
  onBytes: (count: number) => void = () => {},
  preambleBytes = 0,
): readonly string[] {
  const handle = openSync(source, 'r');
  let made = false;
  try {
    const reader = new PlainReader(handle, recoveryKey, preambleBytes);
    mkdirSync(folder, { mode: 0o700 });
    made = true;
    const names: string[] = [];
    for (;;) {
      const nameBytes = reader.exactly(2).readUInt16BE(0);
      if (nameBytes === 0) break;
      if (nameBytes > nameBytesMax || names.length >= entriesMax) throw damaged('entry');
      const name = reader.exactly(nameBytes).toString('utf8');
      if (!isEntryName(name) || names.includes(name)) throw damaged('entry name');
      extractOne(reader, folder, name, onBytes);
      names.push(name);
    }
    reader.finish();
    return names;
  } catch (error) {
    if (made) rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    closeSync(handle);
  }
}
