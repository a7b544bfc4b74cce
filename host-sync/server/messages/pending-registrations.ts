/**
 * Pending registrations: who was sent a registration message and until when its answer counts; one file, always whole.
 * Holds hashes of tokens only. Must not know how messages travel.
 */
import { createHash } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { decodeUtf8 } from '../../../terminal/kernel/bytes.js';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import { parseJson } from '../../../terminal/kernel/json.js';
import { plainText } from '../../protocol/record.js';
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from '../pki/key-files.js';
import { numberPattern } from './port.js';

/** Most that wait at once: 64 KiB of file at about 200 bytes each. */
export const pendingMax = 300;

const pendingSchema = z.strictObject({
  /** SHA-256 of the token in hex. */
  tokenHash: z.string().regex(/^[0-9a-f]{64}$/),
  phone: z.string().regex(numberPattern),
  name: plainText(64),
  expiresAtMs: z.int().min(0),
  /** Absent in what older hosts have stored: the host's own. */
  merchantId: z
    .string()
    .regex(/^[0-9A-Za-z]{1,16}$/)
    .optional(),
  /** Set when the answer was taken; kept until it expires, so that the same answer seen again ends the same. */
  answerHash: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .nullable(),
});
export type PendingRegistration = z.infer<typeof pendingSchema>;
const fileSchema = z.array(pendingSchema).max(pendingMax);

export const hashText = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

export interface PendingRegistrations {
  /** Remembers a registration durably and forgets expired ones. @returns false when pendingMax wait already */
  add(
    registration: {
      readonly token: string;
      readonly phone: string;
      readonly name: string;
      readonly expiresAtMs: number;
      readonly merchantId?: string;
    },
    nowMs: number,
  ): boolean;
  /** The registration of this token that has not expired; null where there is none. */
  find(token: string, nowMs: number): PendingRegistration | null;
  /** Its answer was taken: from now on only the same answer is. */
  markAnswered(token: string, answer: string): void;
  waiting(nowMs: number): number;
}

/** Opens `<folder>/registrations.json`. Throws `config.invalid` when it is damaged. */
export function openPendingRegistrations(folder: string): PendingRegistrations {
  ensurePrivateFolder(folder);
  const file = path.join(folder, 'registrations.json');
  const content = readPrivateFile(file);
  const text = content && decodeUtf8(content);
  const json = text?.ok ? parseJson(text.value) : null;
  const known = content ? fileSchema.safeParse(json?.ok ? json.value : null) : null;
  if (known && !known.success)
    throw new TerminalError(
      'config.invalid',
      'registrations.json is damaged: remove it and send the registrations again',
    );
  let pending: readonly PendingRegistration[] = known?.data ?? [];
  const save = (next: readonly PendingRegistration[]): void => {
    writePrivateFile(file, JSON.stringify(next));
    pending = next;
  };
  return {
    add: ({ token, ...rest }, nowMs) => {
      const open = pending.filter((one) => one.expiresAtMs > nowMs);
      if (open.length >= pendingMax) return false;
      save([...open, { tokenHash: hashText(token), ...rest, answerHash: null }]);
      return true;
    },
    find: (token, nowMs) => {
      const hash = hashText(token);
      return pending.find((one) => one.tokenHash === hash && one.expiresAtMs > nowMs) ?? null;
    },
    markAnswered: (token, answer) => {
      const hash = hashText(token);
      save(pending.map((one) => (one.tokenHash === hash ? { ...one, answerHash: hashText(answer) } : one)));
    },
    waiting: (nowMs) => pending.filter((one) => one.expiresAtMs > nowMs && one.answerHash === null).length,
  };
}
