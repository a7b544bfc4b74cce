/**
 * Printer status: what an ESC/POS printer answers to DLE EOT 1, 2 and 4, at once, and to GS r 1, once it has printed. Pure.
 * Bits as in Epson's ESC/POS reference, "Status Transmission".
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';

/** In the order in which they are asked for. */
export const statusKinds = ['printer', 'offline', 'paper'] as const;
export type StatusKind = (typeof statusKinds)[number];
const numbers: Readonly<Record<StatusKind, number>> = { printer: 1, offline: 2, paper: 4 };

/** What keeps a printer from printing, the first that a person should see to. */
export type PrinterTrouble = 'coverOpen' | 'paperOut' | 'failed';

export interface PrinterStatus {
  /** Null: it prints. */
  readonly trouble: PrinterTrouble | null;
  readonly paperLow: boolean;
}

/** DLE EOT n. */
export const askStatus = (kind: StatusKind): Bytes => Uint8Array.of(0x10, 0x04, numbers[kind]);

/** Bits 0, 4 and 7 are fixed so that such an answer is told from all others; bit 1 with them. */
export const isStatusByte = (byte: number): boolean => (byte & 0x93) === 0x12;
/** GS r 1: bits 4 and 7 are off. */
export const isPrintedByte = (byte: number): boolean => (byte & 0x90) === 0;
/** Whether the paper had ended when that answer was sent. */
export const saysPaperOut = (byte: number): boolean => (byte & 0x0c) !== 0;

const bit = (byte: number, number: number): boolean => (byte & (1 << number)) !== 0;

/** Reads the three answers, each an isStatusByte. */
export function readStatus(answers: Readonly<Record<StatusKind, number>>): PrinterStatus {
  const { offline, paper, printer } = answers;
  const paperLow = bit(paper, 2) || bit(paper, 3);
  const isPaperOut = bit(paper, 5) || bit(paper, 6) || bit(offline, 5);
  if (bit(offline, 2)) return { trouble: 'coverOpen', paperLow };
  if (isPaperOut) return { trouble: 'paperOut', paperLow };
  return { trouble: bit(offline, 6) || bit(printer, 3) ? 'failed' : null, paperLow };
}
