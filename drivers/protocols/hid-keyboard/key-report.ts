/**
 * Keyboard reports to keys: which keys went down between two input reports of a keyboard (Device Class Definition for HID
 * 1.11, appendix B.1 and C). Pure; must not know what a key means.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { decodeReportDescriptor } from '../hid-pos/report-descriptor.js';

const keyboardPage = 0x07;
const firstModifier = 0xe0;
/** Modifiers, one byte reserved, six keys: what every keyboard also offers to a BIOS. */
const bootReportBytes = 8;
const keysAt = 2;
/** 01…03 are errors, such as too many keys at once (Usage Tables 1.4, page 07). */
const firstKey = 0x04;
const errorLast = 0x03;

export interface KeyReportLayout {
  /** 1…255; 0: reports have no id byte. */
  readonly reportId: number;
}

export interface HeldKeys {
  readonly shift: boolean;
  readonly control: boolean;
  readonly altGr: boolean;
  /** Alt, or the key of a window system: a combination that is no character. */
  readonly other: boolean;
}
/** Keys that went down, in the report's order. */
export interface KeyStrokes {
  readonly held: HeldKeys;
  readonly usages: readonly number[];
}

/** Where a descriptor has the keys of a boot keyboard; null where it has none, or others only. */
export function keyReportLayout(descriptor: Bytes): KeyReportLayout | null {
  const read = decodeReportDescriptor(descriptor);
  if (!read.ok) return null;
  const modifiers = read.value.inputs.find(
    ({ page, usage, bitOffset, fieldBits }) =>
      page === keyboardPage && usage === firstModifier && bitOffset === 0 && fieldBits === 1,
  );
  if (!modifiers || read.value.inputBits.get(modifiers.reportId) !== bootReportBytes * 8) return null;
  return { reportId: modifiers.reportId };
}

/**
 * Compares a report with the keys that were down before it.
 * @returns null for another report of the device, a short one, or one that says that keys were lost
 */
export function readKeyReport(
  layout: KeyReportLayout,
  down: ReadonlySet<number>,
  report: Bytes,
): { readonly strokes: KeyStrokes; readonly down: ReadonlySet<number> } | 'other' | 'lost' {
  if (layout.reportId !== 0 && report[0] !== layout.reportId) return 'other';
  const body = layout.reportId === 0 ? report : report.subarray(1);
  if (body.length < bootReportBytes) return 'lost';
  const modifiers = body[0] ?? 0;
  const keys = [...body.subarray(keysAt, bootReportBytes)].filter((usage) => usage !== 0);
  if (keys.some((usage) => usage <= errorLast)) return 'lost';
  const has = (...bits: readonly number[]): boolean => bits.some((bit) => (modifiers & (1 << bit)) !== 0);
  return {
    down: new Set(keys),
    strokes: {
      held: { control: has(0, 4), shift: has(1, 5), other: has(2, 3, 7), altGr: has(6) },
      usages: [...new Set(keys)].filter((usage) => usage >= firstKey && !down.has(usage)),
    },
  };
}
