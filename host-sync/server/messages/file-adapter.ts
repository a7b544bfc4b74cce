/**
 * Messages as files: out/<id>.sms for phones, in/*.sms from them; taken ones go to done/, wrong ones to bad/ with a reason.
 * The form is in docs/protocols/phone.md. Must not know what a text says.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, lstatSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { Clock } from '../../../terminal/kernel/ports.js';
import { printable } from '../../../terminal/kernel/redaction.js';
import { decodeMessageFile, encodeMessageFile, messageFileBytesMax } from '../../spool/message-file.js';
import { ensurePrivateFolder, flushFolder, writePrivateFile } from '../pki/key-files.js';
import {
  type Handling,
  type IncomingMessage,
  type MessagePort,
  numberPattern,
  type Schedule,
  textLengthMax,
} from './port.js';

/** Most files taken in one look; the rest waits for the next. */
export const filesPerLookMax = 200;
/** Kept in done/ and in bad/; the oldest go first. */
export const keptFilesMax = 1_000;
const extension = '.sms';
const namePattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$/;

export interface FileMessagesOptions {
  /** Holds out/, in/, done/ and bad/; made where absent. */
  readonly folder: string;
  /** The merchant's own number: sender of what goes out, addressee of what comes in. */
  readonly ownNumber: string;
  readonly schedule: Schedule;
  readonly lookEveryMs: number;
  readonly clock: Pick<Clock, 'wallMs'>;
}

class FileMessages implements MessagePort {
  readonly counters = { sent: 0, taken: 0, rejected: 0 };
  #cancel: (() => void) | null = null;
  #looking: Promise<void> = Promise.resolve();
  #stopped = false;
  /** The time in the last name given, and how many before it had the same. */
  #named = { atMs: 0, serial: 0 };
  constructor(private readonly options: FileMessagesOptions) {
    for (const name of ['out', 'in', 'done', 'bad'] as const) ensurePrivateFolder(this.#folder(name));
  }

  #folder(name: 'out' | 'in' | 'done' | 'bad'): string {
    return path.join(this.options.folder, name);
  }

  async send(message: { readonly to: string; readonly text: string }): Promise<string> {
    if (!numberPattern.test(message.to) || message.text.length > textLengthMax)
      throw new TerminalError('device.failed', 'not a message that can be sent');
    const id = this.#nextId();
    try {
      writePrivateFile(
        path.join(this.#folder('out'), `${id}${extension}`),
        encodeMessageFile({ ...message, from: this.options.ownNumber }),
      );
    } catch (error) {
      throw new TerminalError('device.failed', `message folder: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
    }
    this.counters.sent++;
    return id;
  }

  /** Names sort by time, and within a millisecond in turn, so that a phone reads in the order of sending. */
  #nextId(): string {
    const atMs = Math.max(this.options.clock.wallMs(), this.#named.atMs);
    const serial = atMs === this.#named.atMs ? this.#named.serial + 1 : 0;
    this.#named = { atMs, serial };
    return `${atMs}-${String(serial).padStart(6, '0')}-${randomBytes(6).toString('hex')}`;
  }

  start(handler: (message: IncomingMessage) => Promise<Handling>): void {
    const look = (): void => {
      this.#looking = this.#lookOnce(handler).then(() => {
        if (!this.#stopped) this.#cancel = this.options.schedule(this.options.lookEveryMs, look);
      });
    };
    look();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel?.();
    await this.#looking;
  }

  async #lookOnce(handler: (message: IncomingMessage) => Promise<Handling>): Promise<void> {
    let taken = 0;
    for (const name of this.#waiting()) {
      if (this.#stopped || taken >= filesPerLookMax) return;
      try {
        await this.#take(name, handler);
        // Only what went through counts: files that cannot be taken must not stand before those that can.
        taken++;
      } catch {
        // The file stays where it is and is tried at the next look; a full disk or database is not the message's fault.
      }
    }
  }

  /** Incoming files by name; none while the folder is away: a gateway's mount that is gone must not end the host. */
  #waiting(): readonly string[] {
    try {
      return readdirSync(this.#folder('in'))
        .filter((name) => name.endsWith(extension))
        .sort();
    } catch {
      return [];
    }
  }

  async #take(name: string, handler: (message: IncomingMessage) => Promise<Handling>): Promise<void> {
    const id = name.slice(0, -extension.length);
    const message = this.#read(id, name);
    const handling: Handling = message ? await handler(message) : { outcome: 'rejected', reason: 'not a message file' };
    const target = handling.outcome === 'done' ? 'done' : 'bad';
    if (handling.outcome === 'rejected') {
      this.counters.rejected++;
      writePrivateFile(
        path.join(this.#folder('bad'), `${this.#safeName(id)}.reason`),
        `${printable(handling.reason)}\n`,
      );
    } else this.counters.taken++;
    this.#setAside(name, target, this.#safeName(id));
    flushFolder(this.#folder(target));
    flushFolder(this.#folder('in'));
    this.#prune(target);
  }

  /** A folder among the messages is set aside too; it cannot be put over one of its name. */
  #setAside(name: string, target: 'done' | 'bad', id: string): void {
    const aside = path.join(this.#folder(target), `${id}${extension}`);
    if (lstatSync(aside, { throwIfNoEntry: false })?.isDirectory()) rmSync(aside, { recursive: true, force: true });
    renameSync(path.join(this.#folder('in'), name), aside);
  }

  #safeName(id: string): string {
    return namePattern.test(id) ? id : `unnamed-${Buffer.from(id, 'utf8').toString('hex').slice(0, 40)}`;
  }

  #read(id: string, name: string): IncomingMessage | null {
    const file = path.join(this.#folder('in'), name);
    const status = lstatSync(file);
    // A link could point at a key: only plain files are messages.
    if (!status.isFile() || status.size > messageFileBytesMax || !namePattern.test(id)) return null;
    const message = decodeMessageFile(id, readFileSync(file));
    return message?.to === this.options.ownNumber ? message : null;
  }

  #prune(target: 'done' | 'bad'): void {
    const folder = this.#folder(target);
    const names = readdirSync(folder).filter((name) => name.endsWith(extension));
    for (const name of names.sort().slice(0, Math.max(0, names.length - keptFilesMax))) {
      rmSync(path.join(folder, name), { recursive: true, force: true });
      const reason = path.join(folder, `${name.slice(0, -extension.length)}.reason`);
      if (existsSync(reason)) rmSync(reason, { force: true });
    }
  }
}

/** Opens the message folder. Looks for incoming files at once and then every `lookEveryMs`. */
export const openFileMessages = (options: FileMessagesOptions): MessagePort => new FileMessages(options);
