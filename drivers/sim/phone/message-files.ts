/**
 * Short messages as files: `<id>.sms` in a folder, written beside and renamed, so that a reader sees it whole or not.
 * The form is in docs/protocols/phone.md. Must not know what a message says.
 */
import { readdirSync, readFileSync, renameSync, statSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { decodeUtf8 } from '../../../terminal/kernel/bytes.js';
import { phoneNumberPattern, writeWhole } from './phone-state.js';

/** Largest message file in bytes, and most files looked at in one go. */
export const messageFileBytesMax = 4_096;
export const messageFilesMax = 1_000;
const idPattern = /^[0-9A-Za-z][0-9A-Za-z._-]{0,99}$/;
/** What comes behind a message's id to name its answer. */
const answerMark = '-answer';

export interface ShortMessage {
  /** 1 to 100 letters, digits, dots, hyphens and underscores. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** Reads one file's text; null when it is not a message. One line feed at the very end does not belong to the text. */
export function readMessage(id: string, content: string): ShortMessage | null {
  const match = /^from: ([^\n]*)\nto: ([^\n]*)\n\n([\s\S]*?)\n?$/.exec(content);
  const [, from = '', to = '', text = ''] = match ?? [];
  return phoneNumberPattern.test(from) && phoneNumberPattern.test(to) ? { id, from, to, text } : null;
}

const isGone = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** 'gone': another phone that shares the folder has taken it. */
function readFileOf(folder: string, name: string): ShortMessage | 'bad' | 'gone' {
  const path = join(folder, name);
  try {
    if (statSync(path).size > messageFileBytesMax) return 'bad';
    const content = decodeUtf8(readFileSync(path));
    return (content.ok ? readMessage(name.slice(0, -4), content.value) : null) ?? 'bad';
  } catch (error) {
    if (isGone(error)) return 'gone';
    throw error;
  }
}

/**
 * Messages for one number, in the order of their names. What is not a message (too large, not UTF-8, another form) is
 * set aside as `<name>.bad`, so that it is neither lost nor read for ever.
 */
export function messagesFor(folder: string, number: string): readonly ShortMessage[] {
  const names = readdirSync(folder).filter((name) => name.endsWith('.sms') && idPattern.test(name.slice(0, -4)));
  const found: ShortMessage[] = [];
  for (const name of names.sort().slice(0, messageFilesMax)) {
    const message = readFileOf(folder, name);
    if (message === 'bad') renameSync(join(folder, name), join(folder, `${name}.bad`));
    else if (message !== 'gone' && message.to === number) found.push(message);
  }
  return found;
}

/** Answers a message: `<id>-answer.sms` in a folder, durably. The same answer again writes the same file again. */
export function putAnswer(folder: string, message: ShortMessage, text: string): void {
  const path = join(folder, `${message.id}${answerMark}.sms`);
  writeWhole(path, `from: ${message.to}\nto: ${message.from}\n\n${text}\n`, 0o644);
}

/** The message is a person's to read: kept as `<id>.sms.read`, where no phone looks at it again. Nothing when it is gone. */
export function keepMessage(folder: string, id: string): void {
  try {
    renameSync(join(folder, `${id}.sms`), join(folder, `${id}.sms.read`));
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}

/** The message has been dealt with. Does nothing when it is gone. */
export function removeMessage(folder: string, id: string): void {
  try {
    unlinkSync(join(folder, `${id}.sms`));
  } catch (error) {
    if (!isGone(error)) throw error;
  }
}
