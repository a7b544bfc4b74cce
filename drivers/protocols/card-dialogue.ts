/**
 * A dialogue with a card, sans-I/O: the next command and what its answer leads to, or the end. Whoever has the link runs it.
 * Pure; must not know any protocol.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { ErrorCode } from '../../terminal/kernel/errors.js';
import { err, type Result } from '../../terminal/kernel/result.js';

/** Why a dialogue came to nothing. `detail` holds no byte of the exchange. */
export interface DialogueError {
  readonly code: ErrorCode;
  /** The card's status word; null when something else was wrong. */
  readonly status: number | null;
  readonly detail: string;
}

export type Dialogue<T> =
  | { readonly send: Bytes; readonly next: (answer: Bytes) => Dialogue<T> }
  | { readonly end: Result<T, DialogueError> };

export const dialogueFault = (code: ErrorCode, status: number | null, detail: string) =>
  err<DialogueError>({ code, status, detail });

/** A status word as a fault's detail shows it. */
export const statusText = (status: number): string => `status ${status.toString(16).padStart(4, '0').toUpperCase()}`;
