/**
 * Login: the technician's PIN, its first drawing, its change and the lock-out. Keeps only a salted hash.
 * Must not show or log a PIN, and must not use the wall clock: setting it can neither shorten nor lengthen a lock.
 */
import { scrypt, timingSafeEqual } from 'node:crypto';
import { type Bytes, decodeHex, toHex } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { Clock, Random } from '../kernel/ports.js';
import type { TerminalPort } from '../runtime/port.js';

/** Settings that login owns. */
export const pinSetting = 'console.pin';
export const lockSetting = 'console.lock';

/** What can be a PIN at all: 6 to 12 ASCII digits. */
const pinForm = /^[0-9]{6,12}$/;
const firstPinDigits = 8;
/** Wrong tries that are free; from this one on each try locks. */
export const wrongTriesMax = 5;
const lockFirstMs = 30_000;
const lockMostMs = 3_600_000;
const saltBytes = 16;
const hashBytes = 32;
/** scrypt cost (RFC 7914): 16 MB and about 50 ms a try on a small box. */
const cost = { N: 16_384, r: 8, p: 1 } as const;

export type LoginAnswer =
  | { readonly result: 'accepted'; readonly mustChange: boolean }
  | { readonly result: 'refused'; readonly code: 'access.denied' }
  | { readonly result: 'refused'; readonly code: 'access.locked'; readonly remainingMs: number };

export interface LoginParts {
  readonly port: Pick<TerminalPort, 'setting' | 'setSetting' | 'recordAudit'>;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}

interface StoredPin {
  readonly salt: Bytes;
  readonly hash: Bytes;
  readonly mustChange: boolean;
}
interface StoredLock {
  /** Wrong tries since the last right one; time does not forgive them. */
  readonly failures: number;
}

const hashPin = (pin: string, salt: Bytes): Promise<Bytes> =>
  new Promise((resolve, reject) => {
    scrypt(pin, salt, hashBytes, cost, (error, key) => (error ? reject(error) : resolve(new Uint8Array(key))));
  });

/** How long a lock after `failures` wrong tries lasts, milliseconds: 30 s at the fifth, doubled with each more, at most 1 h. */
export function lockMs(failures: number): number {
  return failures < wrongTriesMax ? 0 : Math.min(lockMostMs, lockFirstMs * 2 ** Math.min(20, failures - wrongTriesMax));
}

/** True for what must not be a PIN: wrong length, other than ASCII digits, all alike, or one run up or down (9 and 0 are neighbours). */
export function isWeakPin(pin: string): boolean {
  if (!pinForm.test(pin)) return true;
  const steps = new Set<number>();
  for (let at = 1; at < pin.length; at++) steps.add((pin.charCodeAt(at) - pin.charCodeAt(at - 1) + 10) % 10);
  const [only] = steps;
  return steps.size === 1 && (only === 0 || only === 1 || only === 9);
}

function drawPin(random: Random): string {
  for (;;) {
    let pin = '';
    while (pin.length < firstPinDigits) {
      // 250 is the largest multiple of ten in a byte: what lies above would favour small digits.
      for (const byte of random.bytes(16)) if (byte < 250 && pin.length < firstPinDigits) pin += String(byte % 10);
    }
    if (!isWeakPin(pin)) return pin;
  }
}

function parseStored(text: string | null): Record<string, unknown> | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** One login for all lines of a box, so that a lock on one is a lock on all. */
export class Login {
  readonly #parts: LoginParts;
  #lockedUntilMs: number;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(parts: LoginParts) {
    this.#parts = parts;
    // A restart cannot tell how long the box was off without the wall clock, so a standing lock begins anew, in full.
    this.#lockedUntilMs = parts.clock.monotonicMs() + lockMs(this.#lock().failures);
  }

  /** Draws and stores the first PIN where there is none. @returns it, to be shown once, or null when there was one already */
  async drawFirstPin(): Promise<string | null> {
    if (this.#parts.port.setting(pinSetting) !== null) return null;
    const pin = drawPin(this.#parts.random);
    await this.#store(pin, true);
    this.#parts.port.recordAudit('box', 'console.firstPinDrawn', '');
    return pin;
  }

  /** Forgets PIN and lock, so that the next first PIN is drawn. For whoever holds the box's data folder anyway. */
  reset(): void {
    const { port } = this.#parts;
    port.setSetting(pinSetting, null);
    port.setSetting(lockSetting, null);
    this.#lockedUntilMs = this.#parts.clock.monotonicMs();
    port.recordAudit('box', 'console.pinReset', '');
  }

  /** Milliseconds until tries are allowed again; 0 when they are. */
  lockRemainingMs(): number {
    return Math.max(0, this.#lockedUntilMs - this.#parts.clock.monotonicMs());
  }

  /**
   * Tries a PIN for `actor`. The try is stored as a wrong one before it is checked, so that cutting the power wins none.
   * While locked nothing is checked. What cannot be a PIN (line noise) is refused alike, but not counted.
   * @throws TerminalError when the box cannot store the try
   */
  attempt(pin: string, actor: string): Promise<LoginAnswer> {
    return this.#inTurn(() => this.#attempt(pin, actor));
  }

  /** Replaces the PIN by `next`. @returns null, or `access.pinWeak` (also for the old PIN again) */
  change(current: string, next: string, actor: string): Promise<ErrorCode | null> {
    return this.#inTurn(async () => {
      if (isWeakPin(next) || next === current) return 'access.pinWeak';
      await this.#store(next, false);
      this.#parts.port.recordAudit(actor, 'console.pinChanged', '');
      return null;
    });
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #attempt(pin: string, actor: string): Promise<LoginAnswer> {
    const { port, clock } = this.#parts;
    const remainingMs = this.lockRemainingMs();
    if (remainingMs > 0) return { result: 'refused', code: 'access.locked', remainingMs };
    if (!pinForm.test(pin)) return { result: 'refused', code: 'access.denied' };
    const failures = this.#lock().failures + 1;
    port.setSetting(lockSetting, JSON.stringify({ failures } satisfies StoredLock));
    const stored = this.#pin();
    const given = await hashPin(pin, stored?.salt ?? new Uint8Array(saltBytes));
    if (stored && timingSafeEqual(given, stored.hash)) {
      port.setSetting(lockSetting, null);
      port.recordAudit(actor, 'console.login', '');
      return { result: 'accepted', mustChange: stored.mustChange };
    }
    const lasts = lockMs(failures);
    this.#lockedUntilMs = clock.monotonicMs() + lasts;
    port.recordAudit(
      actor,
      lasts > 0 ? 'console.locked' : 'console.loginFailed',
      `wrong tries ${failures}, locked for ${lasts / 1000} s`,
    );
    return { result: 'refused', code: 'access.denied' };
  }

  async #store(pin: string, mustChange: boolean): Promise<void> {
    const salt = this.#parts.random.bytes(saltBytes);
    const hash = await hashPin(pin, salt);
    this.#parts.port.setSetting(
      pinSetting,
      JSON.stringify({ version: 1, salt: toHex(salt), hash: toHex(hash), mustChange }),
    );
  }

  #pin(): StoredPin | null {
    const stored = parseStored(this.#parts.port.setting(pinSetting));
    if (!stored || typeof stored['salt'] !== 'string' || typeof stored['hash'] !== 'string') return null;
    const salt = decodeHex(stored['salt']);
    const hash = decodeHex(stored['hash']);
    if (!salt.ok || !hash.ok || hash.value.length !== hashBytes) return null;
    return { salt: salt.value, hash: hash.value, mustChange: stored['mustChange'] !== false };
  }

  #lock(): StoredLock {
    const text = this.#parts.port.setting(lockSetting);
    if (text === null) return { failures: 0 };
    const failures = parseStored(text)?.['failures'];
    // Damaged or edited: taken as the fifth wrong try, never as none.
    return { failures: Number.isSafeInteger(failures) && Number(failures) >= 0 ? Number(failures) : wrongTriesMax };
  }
}
