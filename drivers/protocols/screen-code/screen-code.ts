/**
 * Rotating screen codes: what a member's page shows and a scanner reads, good for about a minute and once. Pure.
 * `SLR`, handle(9 digits), one-time code(8 digits: RFC 6238 with HMAC-SHA-256, steps of 30 s), GS1 check digit.
 * docs/protocols/screen-code.md. Must not know who shows one, nor remember what was used.
 */
import { type Bytes, concat, uintBE } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { checkDigit, hasCheckDigit } from '../gs1/check-digits.js';

export const stepSeconds = 30;
/** Steps before and after the present one that still count: a slow clerk, a phone's clock that is a little off. */
export const stepsBefore = 2;
export const stepsAfter = 1;
export const seedBytes = 32;
const codePattern = /^SLR([0-9]{9})[0-9]{9}$/;

/** The step that a time falls into. `atMs`: milliseconds since 1970, UTC. */
export const stepAt = (atMs: number): number => Math.floor(atMs / (stepSeconds * 1_000));

/** What is authenticated for a step: 8 bytes, big-endian (RFC 4226 §5.2). */
export const stepBytes = (step: number): Bytes => concat(new Uint8Array(2), uintBE(step, 6));

/** Eight digits of an HMAC (RFC 4226 §5.3, by its last byte also of a longer one as RFC 6238 says). */
export function oneTimeDigits(mac: Bytes): string {
  const at = (mac.at(-1) ?? 0) & 0x0f;
  const [a = 0, b = 0, c = 0, d = 0] = mac.subarray(at, at + 4);
  const value = (((a & 0x7f) << 24) | (b << 16) | (c << 8) | d) >>> 0;
  return String(value % 100_000_000).padStart(8, '0');
}

/** The code's text of a handle (9 digits) and a step's HMAC. */
export function screenCode(handle: string, mac: Bytes): string {
  const digits = `${handle}${oneTimeDigits(mac)}`;
  return `SLR${digits}${checkDigit(digits)}`;
}

/** The handle in a code's text; null: it is no screen code, or was read wrong. */
export function handleOf(code: string): string | null {
  const [, handle] = codePattern.exec(code) ?? [];
  return handle !== undefined && hasCheckDigit(code.slice(3)) ? handle : null;
}

/** Is this the code of that seed (32 bytes) at one of these times, within the steps that count? */
export function screenCodeHolds(
  crypto: Pick<Crypto, 'hmacSha256'>,
  seed: Bytes,
  code: string,
  timesMs: readonly number[],
): boolean {
  const handle = handleOf(code);
  if (handle === null) return false;
  let holds = false;
  for (const atMs of timesMs) {
    const now = stepAt(atMs);
    // All of them each time: which step it was is nobody's business.
    for (let step = Math.max(0, now - stepsBefore); step <= now + stepsAfter; step++)
      if (screenCode(handle, crypto.hmacSha256(seed, stepBytes(step))) === code) holds = true;
  }
  return holds;
}
