/**
 * Frames of a serial PIN pad: STX, 1…256 printable characters and FS, ETX, LRC (XOR from behind STX to ETX). One row per
 * model says how it is asked and what its answers mean; the generic row is this project's own, docs/protocols/pin-pad.md.
 * A pad gives an encrypted PIN block and its key serial number, never a PIN. Pure.
 */
import { type Bytes, concat, decodeHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

const stx = 0x02;
const etx = 0x03;
const fs = '\u001c';
export const padTextLengthMax = 256;

export function encodePadFrame(text: string): Bytes {
  const body = concat(utf8(text), Uint8Array.of(etx));
  return concat(Uint8Array.of(stx), body, Uint8Array.of(body.reduce((lrc, byte) => lrc ^ byte, 0)));
}

export interface PadReadState {
  /** Behind STX, up to what has come; null: between frames. */
  readonly text: string | null;
  /** ETX has come: the next byte is the LRC. */
  readonly isEnding: boolean;
}
export const betweenFrames: PadReadState = { text: null, isEnding: false };

export interface PadReadStep {
  readonly state: PadReadState;
  readonly texts: readonly string[];
  /** Frames that were cut, overlong, or wrong by their LRC. */
  readonly dropped: number;
}

/** Takes any split of the stream. Noise between frames is passed over; STX begins anew wherever it comes, but as an LRC. */
export function readPadFrames(from: PadReadState, chunk: Bytes): PadReadStep {
  let { text, isEnding } = from;
  const texts: string[] = [];
  let dropped = 0;
  for (const byte of chunk) {
    if (text !== null && isEnding) {
      const body = encodePadFrame(text);
      if (byte === body[body.length - 1] && text !== '') texts.push(text);
      else dropped += 1;
      text = null;
      isEnding = false;
    } else if (byte === stx) {
      if (text !== null) dropped += 1;
      text = '';
    } else if (text !== null && byte === etx) {
      isEnding = true;
    } else if (text !== null) {
      const isText = (byte >= 0x20 && byte <= 0x7e) || byte === 0x1c;
      if (isText && text.length < padTextLengthMax) text += String.fromCharCode(byte);
      else {
        text = null;
        dropped += 1;
      }
    }
  }
  return { state: { text, isEnding }, texts, dropped };
}

export interface PinAsked {
  /** 8…19 digits: the block is bound to it. */
  readonly pan: string;
  /** 5…255 s. */
  readonly timeoutS: number;
}
export type PinAnswer =
  /** Key serial number 10 or 12 bytes, block 8 (format 0) or 16 (format 4). */
  | { readonly result: 'entered'; readonly keySerialNumber: Bytes; readonly pinBlock: Bytes }
  | { readonly result: 'cancelled' | 'timedOut' | 'noKeys' };

interface PadModel {
  readonly model: string;
  readonly ask: (asked: PinAsked) => string;
  readonly answer: (text: string) => Result<PinAnswer, DecodeError>;
}

const outcomes: Readonly<Record<string, 'cancelled' | 'timedOut' | 'noKeys'>> = {
  '01': 'cancelled',
  '02': 'timedOut',
  '03': 'noKeys',
};

export const padModels: readonly PadModel[] = [
  {
    model: 'generic',
    ask: ({ pan, timeoutS }) => ['PE', pan, String(timeoutS)].join(fs),
    answer: (text) => {
      const [command, outcome = '', serial = '', block = '', ...more] = text.split(fs);
      if (command !== 'PE' || more.length > 0) return decodeError('input.unsupported', 0, 'no answer to a PIN entry');
      const failed = Object.hasOwn(outcomes, outcome) ? outcomes[outcome] : undefined;
      if (failed && serial === '' && block === '') return ok({ result: failed });
      if (outcome !== '00') return decodeError('input.unsupported', 3, 'outcome of a PIN entry');
      const keySerialNumber = decodeHex(serial);
      const pinBlock = decodeHex(block);
      const isSound =
        keySerialNumber.ok &&
        pinBlock.ok &&
        [10, 12].includes(keySerialNumber.value.length) &&
        [8, 16].includes(pinBlock.value.length);
      if (!isSound) return decodeError('input.malformed', 6, 'key serial number and block');
      return ok({ result: 'entered', keySerialNumber: keySerialNumber.value, pinBlock: pinBlock.value });
    },
  },
];
