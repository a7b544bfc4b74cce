/**
 * Frames of a PIN pad in HID reports: fixed-size reports of a vendor-defined usage page, each a length byte, so many bytes of the
 * stream, and zeros (docs/protocols/pin-pad.md). Pure; must not know what a frame is.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { decodeReportDescriptor } from '../hid-pos/report-descriptor.js';

/** Usage pages FF00…FFFF are the makers' own (USB HID usage tables §3). */
const vendorPageFirst = 0xff00;
/** Generic desktop. */
const desktop = { page: 0x01, keyboard: 0x06, keypad: 0x07 } as const;
/** Bytes of a report without its id: room for length and something, and a length of one byte. */
const reportBytesMin = 8;
const reportBytesMax = 256;

/** Bytes of one report each way, without the id byte. */
export interface PadReportLayout {
  /** 1…255; 0: reports have no id byte. */
  readonly reportId: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
}

/** Null where the descriptor is of no such pad: nothing vendor-defined that goes both ways, or something that types. */
export function padReportLayout(descriptor: Bytes): PadReportLayout | null {
  const read = decodeReportDescriptor(descriptor);
  if (!read.ok) return null;
  const { applications, inputBits, inputs, outputBits } = read.value;
  const types = applications.some(
    ({ page, usage }) => page === desktop.page && (usage === desktop.keyboard || usage === desktop.keypad),
  );
  if (types) return null;
  for (const { application, bitOffset, count, fieldBits, reportId } of inputs) {
    if (!application || application.page < vendorPageFirst || fieldBits !== 8 || bitOffset !== 0) continue;
    const outputBytes = (outputBits.get(reportId) ?? 0) / 8;
    const isWhole = inputBits.get(reportId) === 8 * count;
    if (isWhole && isReport(count) && isReport(outputBytes)) return { reportId, inputBytes: count, outputBytes };
  }
  return null;
}
const isReport = (bytes: number): boolean =>
  Number.isInteger(bytes) && bytes >= reportBytesMin && bytes <= reportBytesMax;

/** Reports as they are written, with the id byte first, which is 0 where reports have none. */
export function encodePadReports({ outputBytes, reportId }: PadReportLayout, bytes: Bytes): readonly Bytes[] {
  const reports: Bytes[] = [];
  for (let at = 0; at < bytes.length; at += outputBytes - 1) {
    const part = bytes.subarray(at, at + outputBytes - 1);
    const padding = new Uint8Array(outputBytes - 1 - part.length);
    reports.push(concat(Uint8Array.of(reportId, part.length), part, padding));
  }
  return reports;
}

/** The bytes of the stream in one report as it is read (a view); null: a report of another kind or one that is wrong. */
export function decodePadReport({ inputBytes, reportId }: PadReportLayout, report: Bytes): Bytes | null {
  const idBytes = reportId === 0 ? 0 : 1;
  const length = report[idBytes] ?? 0;
  const isRight = report.length === idBytes + inputBytes && (idBytes === 0 || report[0] === reportId);
  if (!isRight || length === 0 || length >= inputBytes) return null;
  return report.subarray(idBytes + 1, idBytes + 1 + length);
}
