/**
 * Key serial numbers that pads have used since the start: for each initial key the transaction counter only rises, so that no
 * key encrypts twice (ANSI X9.24-1 annex A, X9.24-3 §6). A number that comes again is a broken pad, or an answer played back. Pure.
 */
import { type Bytes, readUintBE, toHex } from '../../../terminal/kernel/bytes.js';

/** Initial keys known at once: pads, and what they were loaded anew with since the start. */
export const initialKeysMax = 64;

/** fresh: to be used. reused: this key or a later one was used before. unfit: no such number, or one initial key too many. */
export type KeySerialVerdict = 'fresh' | 'reused' | 'unfit';

/** Transaction counters of TDEA DUKPT have 21 bits, 10 of them set at most; those of AES DUKPT 32 and 16. */
const tdea = { bytes: 10, counterBits: 21, setMax: 10 } as const;
const aes = { bytes: 12, counterBits: 32, setMax: 16 } as const;

function split(serial: Bytes): { readonly initialKey: string; readonly counter: number } | null {
  const form = [tdea, aes].find(({ bytes }) => bytes === serial.length);
  if (!form) return null;
  const last = readUintBE(serial.subarray(-4));
  const counter = last % 2 ** form.counterBits;
  const rest = (last - counter) / 2 ** form.counterBits;
  let set = 0;
  for (let bits = counter; bits > 0; bits = Math.floor(bits / 2)) set += bits % 2;
  if (set < 1 || set > form.setMax) return null;
  return { initialKey: `${form.bytes} ${toHex(serial.subarray(0, -4))} ${rest}`, counter };
}

export class KeySerials {
  readonly #last = new Map<string, number>();

  /** Remembers a number that a pad has used, also one that nobody waits for any more. */
  take(serial: Bytes): KeySerialVerdict {
    const parts = split(serial);
    if (!parts) return 'unfit';
    const last = this.#last.get(parts.initialKey);
    if (last === undefined && this.#last.size >= initialKeysMax) return 'unfit';
    if (last !== undefined && parts.counter <= last) return 'reused';
    this.#last.set(parts.initialKey, parts.counter);
    return 'fresh';
  }
}
