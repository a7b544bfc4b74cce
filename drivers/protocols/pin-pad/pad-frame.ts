/**
 * Frames of a PIN pad: STX, 1…256 printable characters and FS, ETX, LRC (XOR from behind STX to ETX), docs/protocols/pin-pad.md.
 * What was read is wiped as soon as it was handed over: an encrypted PIN block may stand in it. Pure; must not know what a frame says.
 */
import { type Bytes, concat, utf8 } from '../../../terminal/kernel/bytes.js';
import { assert } from '../../../terminal/kernel/result.js';

const stx = 0x02;
const etx = 0x03;
const fs = 0x1c;
/** Longest body of a frame, in characters. */
export const padBodyLengthMax = 256;

const isBodyByte = (byte: number): boolean => (byte >= 0x20 && byte <= 0x7e) || byte === fs;

/** @param body 1…256 printable ASCII characters and FS: what this program itself wrote */
export function encodePadFrame(body: string): Bytes {
  const bytes = utf8(body);
  assert(bytes.length > 0 && bytes.length <= padBodyLengthMax && bytes.every(isBodyByte), 'a body of a pad’s frame');
  const ended = concat(bytes, Uint8Array.of(etx));
  return concat(Uint8Array.of(stx), ended, Uint8Array.of(ended.reduce((lrc, byte) => lrc ^ byte, 0)));
}

/** Reads any split of the stream. Noise between frames is passed over; STX begins anew wherever it comes, but as an LRC. */
export class PadFrameReader {
  readonly #body = new Uint8Array(padBodyLengthMax);
  #length = 0;
  #at: 'between' | 'body' | 'lrc' = 'between';
  #dropped = 0;

  /**
   * @param take is given the body of each sound frame, a view that is wiped when it returns
   * @returns frames that were cut, overlong, or wrong by their LRC
   */
  push(chunk: Bytes, take: (body: Bytes) => void): number {
    this.#dropped = 0;
    for (const byte of chunk) {
      if (this.#at === 'lrc') this.#end(byte, take);
      else if (byte === stx) this.#begin();
      else if (this.#at === 'body') this.#add(byte);
    }
    return this.#dropped;
  }

  /** Half a frame goes. */
  forget(): void {
    this.#body.fill(0);
    this.#length = 0;
    this.#at = 'between';
  }

  #begin(): void {
    if (this.#at === 'body') this.#drop();
    this.#at = 'body';
  }

  #add(byte: number): void {
    if (byte === etx) this.#at = 'lrc';
    else if (isBodyByte(byte) && this.#length < padBodyLengthMax) this.#body[this.#length++] = byte;
    else this.#drop();
  }

  #end(lrc: number, take: (body: Bytes) => void): void {
    const body = this.#body.subarray(0, this.#length);
    if (body.length > 0 && body.reduce((sum, byte) => sum ^ byte, etx) === lrc) {
      take(body);
      this.forget();
    } else this.#drop();
  }

  #drop(): void {
    this.#dropped += 1;
    this.forget();
  }
}
