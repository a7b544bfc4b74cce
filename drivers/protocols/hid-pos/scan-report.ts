/**
 * Scan reports: input reports of a HID POS scanner to whole codes. A scan longer than one report is joined; what is cut,
 * overlong, contradicts itself or holds bytes that no code has is counted and dropped, never used in part. Pure.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { codeBytesMax, isCodeByte } from '../scan-line/scan-line.js';
import type { ScanLayout } from './scan-layout.js';

/** Longest code, and a CR LF that the scanner was told to add. */
const joinedBytesMax = codeBytesMax + 2;

/** One report's part of a scan. */
export interface ScanPiece {
  readonly data: Bytes;
  /** AIM symbology identifier (ISO/IEC 15424) such as `]C1`; empty where the scanner gives none. */
  readonly aim: string;
  readonly isContinued: boolean;
}

export interface ScanCode {
  /** 1…256 characters of printable ASCII and GS (FNC1 within GS1 data). */
  readonly text: string;
  readonly aim: string;
}

export interface ScanJoin {
  readonly data: Bytes;
  readonly aim: string;
  /** A scan has begun and its last report has not come. */
  readonly isOpen: boolean;
  /** The rest of this scan is dropped. */
  readonly isSpoilt: boolean;
}
export const emptyJoin: ScanJoin = { data: new Uint8Array(0), aim: '', isOpen: false, isSpoilt: false };
const spoiltJoin: ScanJoin = { ...emptyJoin, isOpen: true, isSpoilt: true };

export interface ScanStep {
  readonly state: ScanJoin;
  readonly code: ScanCode | null;
  /** Scans dropped in this step. */
  readonly dropped: number;
}

const nothing = (state: ScanJoin): ScanStep => ({ state, code: null, dropped: 0 });
const droppedScan: ScanStep = { state: emptyJoin, code: null, dropped: 1 };

/**
 * Reads one input report as hidraw gives it.
 * @returns null for another report of the device; `input.truncated` or `input.outOfRange` with the byte offset
 */
export function decodeScanReport(layout: ScanLayout, report: Bytes): Result<ScanPiece | null, DecodeError> {
  if (report.length === 0 || (layout.reportId !== 0 && report[0] !== layout.reportId)) return ok(null);
  if (report.length < layout.reportBytes)
    return decodeError('input.truncated', report.length, `report of ${layout.reportBytes} bytes wanted`);
  const field = report.slice(layout.dataAt, layout.dataAt + layout.dataBytes);
  const length = layout.lengthAt === null ? withoutPadding(field) : (report[layout.lengthAt] ?? 0);
  if (length > field.length) return decodeError('input.outOfRange', layout.lengthAt ?? 0, 'longer than its field');
  const { continuedAt } = layout;
  return ok({
    data: field.subarray(0, length),
    aim: identifier(layout.aimAt.map((at) => report[at] ?? 0)),
    isContinued: continuedAt !== null && ((report[continuedAt.byte] ?? 0) & continuedAt.mask) !== 0,
  });
}

function withoutPadding(field: Bytes): number {
  let length = field.length;
  while (length > 0 && field[length - 1] === 0) length -= 1;
  return length;
}

/** `]`, a letter and a letter or digit; empty for anything else. */
function identifier(bytes: readonly number[]): string {
  const text = String.fromCharCode(...bytes);
  return /^\][A-Za-z][0-9A-Za-z]$/.test(text) ? text : '';
}

/** Takes the next report. @returns the code that it completes, and the state to go on from */
export function readScanReport(layout: ScanLayout, state: ScanJoin, report: Bytes): ScanStep {
  const decoded = decodeScanReport(layout, report);
  // Whether a bad report was a scan's last is unknown: silence decides, or the next last one.
  if (!decoded.ok) return nothing(spoiltJoin);
  const piece = decoded.value;
  if (piece === null) return nothing(state);
  const isSpoilt =
    state.isSpoilt ||
    (state.isOpen && piece.aim !== state.aim) ||
    state.data.length + piece.data.length > joinedBytesMax;
  if (piece.isContinued)
    return nothing(
      isSpoilt ? spoiltJoin : { data: concat(state.data, piece.data), aim: piece.aim, isOpen: true, isSpoilt: false },
    );
  return isSpoilt ? droppedScan : finish(concat(state.data, piece.data), piece.aim);
}

/** The whole scan without the line end that a scanner may be set to add. */
function finish(data: Bytes, aim: string): ScanStep {
  let length = data.length;
  while (length > 0 && (data[length - 1] === 0x0d || data[length - 1] === 0x0a)) length -= 1;
  if (length === 0) return nothing(emptyJoin);
  const code = data.subarray(0, length);
  if (length > codeBytesMax || !code.every(isCodeByte)) return droppedScan;
  return { state: emptyJoin, code: { text: String.fromCharCode(...code), aim }, dropped: 0 };
}

/** Nothing followed for the idle gap: half a scan is dropped. */
export function endOfScanGap(state: ScanJoin): ScanStep {
  return state.isOpen ? droppedScan : nothing(emptyJoin);
}
