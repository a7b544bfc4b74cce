/**
 * A message's file: the form in which messages wait on disk (docs/protocols/phone.md). Must not open a file.
 */
import { decodeUtf8 } from '../../terminal/kernel/bytes.js';

/** Longest text: a message of several parts; longest number: E.164 with a plus. */
export const textLengthMax = 1_000;
export const numberPattern = /^\+?[0-9]{3,15}$/;
export const messageFileBytesMax = 4_096;

export interface MessageFile {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** One file's content; null when it is not a message. One line feed at the very end does not belong to the text. */
export function decodeMessageFile(id: string, content: Uint8Array): MessageFile | null {
  if (content.length > messageFileBytesMax) return null;
  const text = decodeUtf8(content);
  const match = text.ok ? /^from: ([^\n]{1,20})\nto: ([^\n]{1,20})\n\n([\s\S]*?)\n?$/.exec(text.value) : null;
  const [, from = '', to = '', body = ''] = match ?? [];
  const fits = numberPattern.test(from) && numberPattern.test(to) && body.length >= 1 && body.length <= textLengthMax;
  return fits ? { id, from, to, text: body } : null;
}

/** The content of a message's file. */
export const encodeMessageFile = (message: {
  readonly from: string;
  readonly to: string;
  readonly text: string;
}): string => `from: ${message.from}\nto: ${message.to}\n\n${message.text}\n`;
