/**
 * Result: what a function gives when its input comes from outside and may be wrong.
 * Must not be used for bugs (those assert) or for business refusals (those are domain values).
 */
export type Result<T, E> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: E };

export const ok = <T>(value: T): { readonly ok: true; readonly value: T } => ({ ok: true, value });
export const err = <E>(error: E): { readonly ok: false; readonly error: E } => ({ ok: false, error });

/** What a decoder answers to bad bytes: an error code of the table in errors.ts and the byte offset where it was seen. */
export interface DecodeError {
  readonly code: 'input.truncated' | 'input.malformed' | 'input.tooLong' | 'input.outOfRange' | 'input.unsupported';
  readonly offset: number;
  readonly detail: string;
}

export const decodeError = (
  code: DecodeError['code'],
  offset: number,
  detail: string,
): { readonly ok: false; readonly error: DecodeError } => err({ code, offset, detail });

/** Narrow to never: a union that has grown does not compile until its reader has decided. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** A broken invariant is a bug: stop, restart, recover. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${invariant}`);
}
