/**
 * Message spool: the folders between the host's file messages and what carries them, one carrier for one spool. A message
 * that goes out is at most once in a carrier's hands; one that comes in is on disk before anybody acknowledges it.
 * Must not know how messages are carried.
 */
import { createHash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { TerminalError } from '../../terminal/kernel/errors.js';
import type { Clock } from '../../terminal/kernel/ports.js';
import {
  decodeMessageFile,
  encodeMessageFile,
  type MessageFile,
  messageFileBytesMax,
  numberPattern,
  textLengthMax,
} from './message-file.js';

/** Kept in sent/, unsure/ and unsent/, each; the oldest go first. */
export const keptMessagesMax = 1_000;
/** Parts that wait for the rest of their message, of all senders and of one. */
export const waitingPartsMax = 1_000;
export const waitingPartsOfOneMax = 64;
/** How long a part waits, and how long a message that comes again is known as the same one. */
export const memoryMs = 24 * 3_600_000;
const extension = '.sms';

/** sent: the network took it. unsure: nobody knows, and it is not sent again. unsent: the network has not taken it. */
export type SendEnd = 'sent' | 'unsure' | 'unsent';
const folders = ['in', 'out', 'done', 'bad', 'sending', 'sent', 'unsure', 'unsent', 'parts'] as const;

/** How the caller's side writes files for its owner alone. */
export interface SpoolFiles {
  ensureFolder(folder: string): void;
  /** Whole or not at all, and on disk when it returns. */
  write(file: string, content: string): void;
  flushFolder(folder: string): void;
}

export interface ArrivedPart {
  readonly from: string;
  readonly to: string;
  readonly text: string;
  /** Null: the message is whole. */
  readonly place: { readonly reference: number; readonly total: number; readonly sequence: number } | null;
}

export class MessageSpool {
  constructor(
    private readonly root: string,
    private readonly files: SpoolFiles,
    private readonly clock: Pick<Clock, 'wallMs'>,
  ) {
    for (const name of folders) files.ensureFolder(path.join(root, name));
    // A carrier that ended in mid-sending: nobody knows what became of these.
    for (const name of this.#list('sending')) this.#move(name, 'sending', 'unsure');
  }

  /** The next message to send, now in the carrier's hands; null where none waits. Throws `device.failed`. */
  claim(): MessageFile | null {
    for (const name of this.#list('out')) {
      this.#move(name, 'out', 'sending');
      const message = this.#read('sending', name);
      if (message) return message;
      this.#settleFile(name, 'unsent', 'not a message file');
    }
    return null;
  }

  /** Puts a message back that certainly was not sent, no part of it. */
  giveBack(id: string): void {
    this.#move(`${id}${extension}`, 'sending', 'out');
  }

  settle(id: string, end: SendEnd, reason: string): void {
    this.#settleFile(`${id}${extension}`, end, reason);
  }

  /**
   * Takes what came in; durable when it returns. The same message again within a day is taken once.
   * `full`: no room now, to be sent again. `unfit`: no message that the host could take. Throws `device.failed`.
   */
  receive(part: ArrivedPart): 'stored' | 'repeated' | 'full' | 'unfit' {
    const { from, to, text, place } = part;
    const fits = numberPattern.test(from) && numberPattern.test(to) && text !== '' && text.length <= textLengthMax;
    if (!fits || decodeMessageFile('x', Buffer.from(encodeMessageFile(part)))?.text !== text) return 'unfit';
    try {
      return place && place.total > 1 ? this.#receivePart(part, place) : this.#store(part);
    } catch (error) {
      throw failure(error);
    }
  }

  #receivePart(part: ArrivedPart, place: NonNullable<ArrivedPart['place']>): 'stored' | 'repeated' | 'full' | 'unfit' {
    const names = this.#freshParts();
    const sender = `${part.from.replace('+', 'p')}-`;
    const set = `${sender}${place.reference}-${place.total}-`;
    const own = `${set}${place.sequence}${extension}`;
    const kept = names.includes(own) ? this.#read('parts', own) : null;
    if (kept && kept.text !== part.text)
      // The sender has begun anew under this reference; the rest of the older message never came.
      for (const name of names) if (name.startsWith(set)) rmSync(path.join(this.root, 'parts', name), { force: true });
    if (!kept && names.length >= waitingPartsMax) return 'full';
    const ofOne = names.filter((name) => name.startsWith(sender) && !name.startsWith(set));
    // A sender who never ends what he begins loses the oldest of it, and stops nobody else.
    if (!kept && ofOne.length >= waitingPartsOfOneMax) this.#dropOldest(ofOne);
    if (kept?.text !== part.text) this.files.write(path.join(this.root, 'parts', own), encodeMessageFile(part));
    const texts: string[] = [];
    for (let sequence = 1; sequence <= place.total; sequence++) {
      const found = this.#read('parts', `${set}${sequence}${extension}`);
      if (!found) return kept ? 'repeated' : 'stored';
      texts.push(found.text);
    }
    const text = texts.join('');
    const end = text.length > textLengthMax ? 'unfit' : this.#store({ ...part, text });
    for (let sequence = 1; sequence <= place.total; sequence++)
      rmSync(path.join(this.root, 'parts', `${set}${sequence}${extension}`), { force: true });
    this.files.flushFolder(path.join(this.root, 'parts'));
    return end;
  }

  #dropOldest(names: readonly string[]): void {
    const [oldest] = [...names].sort((a, b) => this.#modifiedMs(a) - this.#modifiedMs(b));
    if (oldest !== undefined) rmSync(path.join(this.root, 'parts', oldest), { force: true });
  }

  /** Names of the parts that still may be completed; the others go. */
  #freshParts(): readonly string[] {
    const oldest = this.clock.wallMs() - memoryMs;
    const names = this.#list('parts');
    const ages = new Map(names.map((name) => [name, this.#modifiedMs(name)]));
    for (const [name, atMs] of ages) if (atMs < oldest) rmSync(path.join(this.root, 'parts', name), { force: true });
    return names.filter((name) => (ages.get(name) ?? 0) >= oldest);
  }

  #modifiedMs(name: string): number {
    return statSync(path.join(this.root, 'parts', name)).mtimeMs;
  }

  /** Writes a whole message for the host; its name begins with the time and ends with what makes it the same message. */
  #store(message: { readonly from: string; readonly to: string; readonly text: string }): 'stored' | 'repeated' {
    const content = encodeMessageFile(message);
    const mark = createHash('sha256').update(content).digest('hex').slice(0, 32);
    const nowMs = this.clock.wallMs();
    const isKnown = (['in', 'done', 'bad'] as const).some((folder) =>
      this.#list(folder).some((name) => {
        const [, at = '', own = ''] = /^([0-9]{1,15})-([0-9a-f]{32})\.sms$/.exec(name) ?? [];
        return own === mark && Number(at) > nowMs - memoryMs;
      }),
    );
    if (isKnown) return 'repeated';
    this.files.write(path.join(this.root, 'in', `${nowMs}-${mark}${extension}`), content);
    return 'stored';
  }

  #settleFile(name: string, end: SendEnd, reason: string): void {
    if (end !== 'sent')
      this.files.write(path.join(this.root, end, `${name.slice(0, -extension.length)}.reason`), `${reason}\n`);
    this.#move(name, 'sending', end);
    const kept = this.#list(end);
    for (const old of kept.slice(0, Math.max(0, kept.length - keptMessagesMax))) {
      rmSync(path.join(this.root, end, old), { recursive: true, force: true });
      rmSync(path.join(this.root, end, `${old.slice(0, -extension.length)}.reason`), { force: true });
    }
  }

  #move(name: string, from: (typeof folders)[number], to: (typeof folders)[number]): void {
    try {
      renameSync(path.join(this.root, from, name), path.join(this.root, to, name));
      this.files.flushFolder(path.join(this.root, to));
      this.files.flushFolder(path.join(this.root, from));
    } catch (error) {
      throw failure(error);
    }
  }

  #list(folder: (typeof folders)[number]): string[] {
    try {
      return readdirSync(path.join(this.root, folder))
        .filter((name) => name.endsWith(extension))
        .sort();
    } catch (error) {
      throw failure(error);
    }
  }

  #read(folder: (typeof folders)[number], name: string): MessageFile | null {
    const file = path.join(this.root, folder, name);
    const status = lstatSync(file, { throwIfNoEntry: false });
    if (!status?.isFile() || status.size > messageFileBytesMax) return null;
    return decodeMessageFile(name.slice(0, -extension.length), readFileSync(file));
  }
}

const failure = (error: unknown): TerminalError =>
  error instanceof TerminalError
    ? error
    : new TerminalError('device.failed', `message folder: ${(error as NodeJS.ErrnoException).code ?? 'unknown'}`);
