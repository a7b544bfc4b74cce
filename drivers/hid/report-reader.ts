/**
 * How reports become events: one reader for scanners in HID POS mode, one for those that type as a keyboard, one for stripe
 * readers, one for keypads. Holds the state between two reports; must not talk to a device.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { DeviceEvent } from '../contract/driver.js';
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
import { decodeStripeReport, type StripeLayout } from '../protocols/magnetic-stripe/stripe-report.js';
import { type AroundCode, scannedText } from '../protocols/scan-line/scanned-text.js';

type WithoutDevice<T> = T extends unknown ? Omit<T, 'device'> : never;
/** An event but for the device's name. */
export type HidInput = WithoutDevice<
  Extract<DeviceEvent, { readonly type: 'codeScanned' | 'stripeRead' | 'numberKeyed' }>
>;

export interface ReadInputs {
  readonly inputs: readonly HidInput[];
  readonly dropped: number;
}

export interface ReportReader {
  read(report: Bytes): ReadInputs;
  /** A code has begun and not ended: silence will decide. */
  readonly isOpen: boolean;
  /** Nothing followed for the gap. */
  gap(): ReadInputs;
  /** The device went away: half a code goes with it. @returns codes dropped */
  end(): number;
}

export function posReader(layout: ScanLayout): ReportReader {
  let join = emptyJoin;
  const gap = (): ReadInputs => {
    const step = endOfScanGap(join);
    join = step.state;
    return { inputs: [], dropped: step.dropped };
  };
  return {
    read: (report) => {
      const step = readScanReport(layout, join, report);
      join = step.state;
      const { code } = step;
      const scanned = code ? [{ type: 'codeScanned' as const, code: code.text, aim: code.aim || null }] : [];
      return { inputs: scanned, dropped: step.dropped };
    },
    get isOpen() {
      return join.isOpen;
    },
    gap,
    end: () => gap().dropped,
  };
}

export function keyboardReader(layout: KeyReportLayout, rules: TypingRules, around: AroundCode): ReportReader {
  const scanned = (text: string): readonly HidInput[] => {
    const read = scannedText(text, around);
    return read ? [{ type: 'codeScanned', ...read }] : [];
  };
  return typingReader(layout, rules, scanned);
}

/** Numbers of 1…20 digits that Enter ends; whatever else is keyed drops the number. */
export function keypadReader(layout: KeyReportLayout): ReportReader {
  const isNumber = (text: string): boolean => /^[0-9]{1,20}$/.test(text);
  return typingReader(layout, { layout: 'us', end: 'enter' }, (text) =>
    isNumber(text) ? [{ type: 'numberKeyed', digits: text }] : null,
  );
}

/** One report is one swipe. */
export function stripeReader(layout: StripeLayout): ReportReader {
  const nothing: ReadInputs = { inputs: [], dropped: 0 };
  return {
    read: (report) => {
      const swipe = decodeStripeReport(layout, report);
      if (!swipe.ok) return { inputs: [], dropped: 1 };
      return swipe.value ? { inputs: [{ type: 'stripeRead', tracks: swipe.value }], dropped: 0 } : nothing;
    },
    isOpen: false,
    gap: () => nothing,
    end: () => 0,
  };
}

/** @param meaning of a typed text; null: it means nothing and is counted as dropped */
function typingReader(
  layout: KeyReportLayout,
  rules: TypingRules,
  meaning: (text: string) => readonly HidInput[] | null,
): ReportReader {
  let state = nothingTyped;
  const read = ({ codes, dropped }: TypingStep): ReadInputs => {
    const meant = codes.map(meaning);
    return {
      inputs: meant.flatMap((inputs) => inputs ?? []),
      dropped: dropped + meant.filter((inputs) => inputs === null).length,
    };
  };
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
