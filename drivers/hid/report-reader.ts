/**
 * How a scanner's reports become codes: one reader for scanners in HID POS mode, one for those that type as a keyboard.
 * Holds the state between two reports; must not talk to a device.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { KeyReportLayout } from '../protocols/hid-keyboard/key-report.js';
import {
  endOfTypingGap,
  isTyping,
  nothingTyped,
  readTypedReport,
  type TypingRules,
  type TypingStep,
} from '../protocols/hid-keyboard/typed-code.js';
import type { ScanLayout } from '../protocols/hid-pos/scan-layout.js';
import { emptyJoin, endOfScanGap, readScanReport } from '../protocols/hid-pos/scan-report.js';
import { type AroundCode, type ScannedText, scannedText } from '../protocols/scan-line/scanned-text.js';

export interface ReadCodes {
  readonly codes: readonly ScannedText[];
  readonly dropped: number;
}

export interface ReportReader {
  read(report: Bytes): ReadCodes;
  /** A code has begun and not ended: silence will decide. */
  readonly isOpen: boolean;
  /** Nothing followed for the gap. */
  gap(): ReadCodes;
  /** The device went away: half a code goes with it. @returns codes dropped */
  end(): number;
}

export function posReader(layout: ScanLayout): ReportReader {
  let join = emptyJoin;
  const gap = (): ReadCodes => {
    const step = endOfScanGap(join);
    join = step.state;
    return { codes: [], dropped: step.dropped };
  };
  return {
    read: (report) => {
      const step = readScanReport(layout, join, report);
      join = step.state;
      return { codes: step.code ? [{ code: step.code.text, aim: step.code.aim || null }] : [], dropped: step.dropped };
    },
    get isOpen() {
      return join.isOpen;
    },
    gap,
    end: () => gap().dropped,
  };
}

export function keyboardReader(layout: KeyReportLayout, rules: TypingRules, around: AroundCode): ReportReader {
  let state = nothingTyped;
  const read = ({ codes, dropped }: TypingStep): ReadCodes => ({
    codes: codes.flatMap((text) => scannedText(text, around) ?? []),
    dropped,
  });
  return {
    read: (report) => {
      const step = readTypedReport(layout, rules, state, report);
      state = step.state;
      return read(step);
    },
    get isOpen() {
      return isTyping(state);
    },
    gap: () => {
      const step = endOfTypingGap(rules, state);
      state = step.state;
      return read(step);
    },
    end: () => {
      const dropped = isTyping(state) ? 1 : 0;
      state = nothingTyped;
      return dropped;
    },
  };
}
