/**
 * What a GSM modem says (3GPP TS 27.005, 27.007, V.250): lines and the prompt out of its bytes, and what each line means.
 * Pure. Must not wait for anything.
 */
import { type Bytes, decodeHex } from '../../../terminal/kernel/bytes.js';

/** A PDU in hex with its head is shorter. */
export const lineCharactersMax = 512;

export type Said = { readonly kind: 'line'; readonly text: string } | { readonly kind: 'prompt' };

/** Takes lines and `> ` out of bytes split anywhere; a line that is too long is dropped whole. */
export class AnswerReader {
  #line = '';
  #tooLong = false;

  push(chunk: Bytes): readonly Said[] {
    const said: Said[] = [];
    for (const byte of chunk) {
      if (byte === 0x0a || byte === 0x0d) {
        if (this.#line !== '' && !this.#tooLong) said.push({ kind: 'line', text: this.#line });
        this.#line = '';
        this.#tooLong = false;
      } else if (this.#line === '>' && byte === 0x20) {
        said.push({ kind: 'prompt' });
        this.#line = '';
      } else if (this.#line.length >= lineCharactersMax) this.#tooLong = true;
      else this.#line += String.fromCharCode(byte);
    }
    return said;
  }
}

/** How a command ends; null: this line ends none. `code` −1: an error without a number. */
export function readEnd(line: string): { readonly ok: true } | { readonly ok: false; readonly code: number } | null {
  if (line === 'OK') return { ok: true };
  const [, code] = /^\+CM[SE] ERROR: ([0-9]{1,4})$/.exec(line) ?? [];
  if (code !== undefined) return { ok: false, code: Number(code) };
  return line === 'ERROR' || /^\+CM[SE] ERROR/.test(line) ? { ok: false, code: -1 } : null;
}

export interface ListedMessage {
  /** Where it lies on the SIM or in the modem. */
  readonly index: number;
  /** Of the length that its head line says; null: no such line came, and nobody knows what lies there. */
  readonly pdu: Bytes | null;
}

/**
 * The messages of an answer to AT+CMGL=4: each head line `+CMGL: index,…,length` with its PDU, of `length` octets behind the
 * address of the centre. Other words of the modem may stand between the two.
 */
export function readList(lines: readonly string[]): readonly ListedMessage[] {
  const found: { readonly index: number; readonly length: number; pdu: Bytes | null }[] = [];
  for (const line of lines) {
    const [, index, length] = /^\+CMGL: ?([0-9]{1,4}),.*,([0-9]{1,3})$/.exec(line) ?? [];
    const last = found.at(-1);
    if (index !== undefined) found.push({ index: Number(index), length: Number(length), pdu: null });
    else if (last?.pdu === null) {
      const pdu = decodeHex(line);
      if (pdu.ok && pdu.value.length === 1 + (pdu.value[0] ?? 0) + last.length) last.pdu = pdu.value;
    }
  }
  return found.map(({ index, pdu }) => ({ index, pdu }));
}

export interface ConditionText {
  readonly network: 'home' | 'roaming' | 'searching' | 'denied' | 'none';
  /** −113…−51, in steps of 2; null: it does not know. */
  readonly signalDbm: number | null;
}
/** `stat` of +CREG (TS 27.007 §7.2); 4 is "unknown", taken for none. */
const networks = ['none', 'home', 'searching', 'denied', 'none', 'roaming'] as const;

/** The answers to AT+CSQ and AT+CREG?; null: neither is one. */
export function readCondition(signal: readonly string[], network: readonly string[]): ConditionText | null {
  const [, level] = signal.map((line) => /^\+CSQ: ?([0-9]{1,2}),[0-9]{1,2}$/.exec(line)).find((found) => found) ?? [];
  const [, stat] = network.map((line) => /^\+CREG: ?[0-9],([0-9])(?:,.*)?$/.exec(line)).find((found) => found) ?? [];
  const registered = networks[Number(stat)];
  if (level === undefined || registered === undefined) return null;
  return { network: registered, signalDbm: Number(level) > 31 ? null : 2 * Number(level) - 113 };
}

/** A message has come (`+CMTI: "SM",3`). */
export const isArrival = (line: string): boolean => line.startsWith('+CMTI:');

/** What a failed AT+CMGS means (TS 27.005 §3.2.5). later: certainly not taken, to be tried again. */
export function meaningOf(code: number): 'later' | 'unsure' | 'refused' {
  // Network out of order, temporary failure, congestion; SIM missing, locked, busy, failing; no network service.
  if ([38, 41, 42, 47, 310, 311, 312, 313, 314, 315, 316, 317, 318, 331].includes(code)) return 'later';
  // Network time-out, unknown error, and an error without a number: it may have gone out.
  return [-1, 332, 500].includes(code) ? 'unsure' : 'refused';
}
