/**
 * Scan lines: bytes of a serial scanner to codes. A code ends with CR or LF; what is too long, cut short or holds bytes
 * that cannot be a code is counted and dropped, never used in part. Pure.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';

/** Longest code in bytes. */
export const codeBytesMax = 256;

export interface ScanLineState {
  /** Characters of the code that is being read. */
  readonly partial: string;
  /** The rest of this line is dropped: it was too long or held a byte that no code has. */
  readonly spoilt: boolean;
}
export const emptyLine: ScanLineState = { partial: '', spoilt: false };

export interface ScanLineStep {
  readonly state: ScanLineState;
  readonly codes: readonly string[];
  /** Lines dropped in this step. */
  readonly dropped: number;
}

const isEnd = (byte: number): boolean => byte === 0x0d || byte === 0x0a;
/** Printable ASCII, and GS (FNC1 within GS1 data), which the code's reader may use and never shows. */
export const isCodeByte = (byte: number): boolean => (byte >= 0x20 && byte <= 0x7e) || byte === 0x1d;

/** Takes any split of the stream. @returns whole codes of 1…256 characters in order, and the state to go on from */
export function readScanLine(state: ScanLineState, chunk: Bytes): ScanLineStep {
  let { partial, spoilt } = state;
  const codes: string[] = [];
  let dropped = 0;
  for (const byte of chunk) {
    if (isEnd(byte)) {
      if (spoilt) dropped += 1;
      else if (partial !== '') codes.push(partial);
      partial = '';
      spoilt = false;
    } else if (!spoilt && isCodeByte(byte) && partial.length < codeBytesMax) {
      partial += String.fromCharCode(byte);
    } else {
      partial = '';
      spoilt = true;
    }
  }
  return { state: { partial, spoilt }, codes, dropped };
}

/** Nothing followed for the idle gap: half a code is dropped. */
export function endOfGap(state: ScanLineState): ScanLineStep {
  const dropped = state.spoilt || state.partial !== '' ? 1 : 0;
  return { state: emptyLine, codes: [], dropped };
}
