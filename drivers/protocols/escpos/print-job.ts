/**
 * Print job: lines of text and a QR code to the bytes of an ESC/POS receipt printer. Pure.
 * Commands as in Epson's ESC/POS reference: ESC @, GS a, FS &, ESC a, GS ( k functions 165 to 181, ESC d, GS V.
 */
import { type Bytes, concat, utf8 } from '../../../terminal/kernel/bytes.js';

const esc = 0x1b;
const fs = 0x1c;
const gs = 0x1d;
const lineFeed = 0x0a;

/** One slip of paper. */
export interface PrintJob {
  /** Each at most as wide as the paper; padded by spaces where it stands in the middle. */
  readonly lines: readonly string[];
  /** Content of a QR code under the lines, 1…qrBytesMax bytes of UTF-8; null: none. */
  readonly qr: string | null;
}

/** Most lines of a job: 500 bill lines at four each, and what stands around them. */
export const jobLinesMax = 2_200;
/** A QR code of version 10 at correction level M; larger modules than that do not fit a 58 mm roll. */
export const qrBytesMax = 213;

/** Text to the printer's own character set; a control character never comes here. */
export type TextEncode = (text: string) => Bytes;

/** Begins anew: defaults, no status sent unasked, Chinese characters on. */
export const resetPrinter: Bytes = Uint8Array.of(esc, 0x40, gs, 0x61, 0, fs, 0x26);
/** Asks for the paper sensor once all before it has been printed (GS r 1). */
export const askWhenPrinted: Bytes = Uint8Array.of(gs, 0x72, 1);

const centre = Uint8Array.of(esc, 0x61, 1);
const left = Uint8Array.of(esc, 0x61, 0);
const feed = Uint8Array.of(esc, 0x64, 4);
/** Feeds to the blade and leaves one point standing; a printer without a blade feeds alone. */
const cut = Uint8Array.of(gs, 0x56, 0x42, 0);

const qrFunction = (number: number, ...parameters: readonly number[]): Bytes => {
  const length = 2 + parameters.length;
  return Uint8Array.of(gs, 0x28, 0x6b, length & 0xff, length >> 8, 0x31, number, ...parameters);
};
const qrModules = 6;

/** Model 2, level M, centred: functions 165, 167, 169, 180, 181. */
function qrCode(content: string): Bytes {
  const data = utf8(content);
  if (data.length === 0 || data.length > qrBytesMax) throw new RangeError(`a QR code of ${data.length} bytes`);
  return concat(
    centre,
    qrFunction(0x41, 0x32, 0),
    qrFunction(0x43, qrModules),
    qrFunction(0x45, 0x31),
    qrFunction(0x50, 0x30, ...data),
    qrFunction(0x51, 0x30),
    left,
  );
}

/**
 * The whole job from reset to cut. A control character in a line is printed as `?`: nothing that came from outside can be a
 * command. Lines over jobLinesMax are a bug. @throws RangeError where the job is beyond its bounds
 */
export function encodeJob({ lines, qr }: PrintJob, encode: TextEncode, cuts: boolean): Bytes {
  if (lines.length > jobLinesMax) throw new RangeError(`${lines.length} lines`);
  const text = lines.flatMap((line) => [encode(line.replace(/[\p{Cc}\p{Cs}]/gu, '?')), Uint8Array.of(lineFeed)]);
  return concat(resetPrinter, ...text, ...(qr === null ? [] : [qrCode(qr)]), feed, ...(cuts ? [cut] : []));
}
