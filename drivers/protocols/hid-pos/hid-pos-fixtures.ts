/**
 * Report descriptors and reports for tests of HID POS code: built item by item, so that each says what it declares.
 * Layouts as makers' public manuals and programs describe them; none was captured from a device here.
 */
import { type Bytes, concat, hex, utf8 } from '../../../terminal/kernel/bytes.js';

const item = (prefix: number, ...data: readonly number[]): Bytes => new Uint8Array([prefix, ...data]);
const usagePage = (page: number): Bytes => (page < 0x100 ? item(0x05, page) : item(0x06, page & 0xff, page >> 8));
const usage = (value: number): Bytes => item(0x09, value);
const application = item(0xa1, 0x01);
const logical = item(0xa1, 0x02);
const end = item(0xc0);
const reportId = (id: number): Bytes => item(0x85, id);
const fields = (bits: number, count: number): Bytes => concat(item(0x75, bits), item(0x95, count));
const variable = item(0x81, 0x02);
const array = item(0x81, 0x00);
const constant = item(0x81, 0x03);
/** Data, variable, buffered bytes: flags of two bytes. */
const buffered = item(0x82, 0x02, 0x01);
const output = item(0x91, 0x02);

const identifiers = concat(fields(8, 3), usage(0xfb), usage(0xfc), usage(0xfd), variable);
const data56 = concat(item(0x95, 56), usage(0xfe), buffered);

/**
 * A scanner as Access-IS (LSR118 manual, appendix B) and programs for Honeywell's describe the report; collections, vendor
 * fields, a trigger and a vendor report as in a descriptor published with a descriptor parser, model unnamed.
 */
export const scannerDescriptor: Bytes = concat(
  usagePage(0x8c),
  usage(0x02),
  application,
  usage(0x12),
  logical,
  reportId(2),
  item(0x15, 0x00),
  item(0x26, 0xff, 0x00),
  fields(8, 1),
  usagePage(0x01),
  usage(0x3b),
  variable,
  usagePage(0x8c),
  identifiers,
  data56,
  usagePage(0xff66),
  fields(8, 2),
  usage(0x09),
  usage(0x00),
  variable,
  usagePage(0x8c),
  item(0x25, 0x01),
  fields(1, 8),
  usage(0xff),
  variable,
  end,
  usage(0x14),
  logical,
  reportId(4),
  fields(1, 8),
  usage(0x00),
  usage(0x5f),
  output,
  end,
  usagePage(0xffff),
  usage(0x01),
  logical,
  reportId(0xf0),
  fields(8, 63),
  usage(0x02),
  variable,
  end,
  end,
);

/** No length, no id byte, data of 20 bytes before the identifier, and a flag that is not in bit 0. */
export const otherLayoutDescriptor: Bytes = concat(
  usagePage(0x8c),
  usage(0x02),
  application,
  fields(8, 20),
  usage(0xfe),
  variable,
  item(0x95, 1),
  usage(0xfb),
  variable,
  usage(0xfc),
  variable,
  usage(0xfd),
  variable,
  fields(1, 3),
  constant,
  fields(1, 1),
  usage(0xff),
  variable,
  fields(1, 4),
  constant,
  end,
);

/** Says what it is and how long report 2 is, but names no field. */
export const mutePosDescriptor: Bytes = concat(
  usagePage(0x8c),
  usage(0x02),
  application,
  reportId(2),
  usagePage(0xff00),
  fields(8, 63),
  usage(0x01),
  variable,
  end,
);

/** As mutePosDescriptor, with a report of another length than the usual one. */
export const strangePosDescriptor: Bytes = concat(
  usagePage(0x8c),
  usage(0x02),
  application,
  reportId(2),
  usagePage(0xff00),
  fields(8, 20),
  usage(0x01),
  variable,
  end,
);

/** A boot keyboard (Device Class Definition for HID 1.11, appendix B.1). */
export const keyboardDescriptor: Bytes = concat(
  usagePage(0x01),
  usage(0x06),
  application,
  usagePage(0x07),
  item(0x19, 0xe0),
  item(0x29, 0xe7),
  item(0x15, 0x00),
  item(0x25, 0x01),
  fields(1, 8),
  variable,
  fields(8, 1),
  constant,
  item(0x19, 0x00),
  item(0x29, 0x65),
  item(0x25, 0x65),
  fields(8, 6),
  array,
  end,
);

/** Types as well as it scans. */
export const keyboardAndScannerDescriptor: Bytes = concat(scannerDescriptor, keyboardDescriptor);

/** A report of scannerDescriptor's layout: text of at most 56 bytes. */
export function scanReport(text: string | Bytes, { aim = ']E0', isContinued = false } = {}): Bytes {
  const bytes = typeof text === 'string' ? utf8(text) : text;
  const report = new Uint8Array(64);
  report.set([2, bytes.length, ...utf8(aim)]);
  report.set(bytes, 5);
  report[61] = 0x64;
  report[63] = isContinued ? 1 : 0;
  return report;
}

/** The reports of a scan of any length: every one but the last full and marked as continued. */
export function scanReports(text: string, aim = ']E0'): readonly Bytes[] {
  const reports: Bytes[] = [];
  for (let at = 0; at < text.length; at += 56)
    reports.push(scanReport(text.slice(at, at + 56), { aim, isContinued: at + 56 < text.length }));
  return reports;
}

/** Two reports of 56 and 4 bytes after the example in the Access-IS LSR118 manual, appendix B.1.1, which prints not all data. */
export const manualExample: readonly Bytes[] = [
  concat(
    hex('02385d5130'),
    utf8('M1GATHERGOOD/MICHAEL YABCDEF LHRDURAK 3542 052Y003D23  '.padEnd(56, 'X')),
    hex('730001'),
  ),
  concat(hex('02045d5130'), utf8('1234'), new Uint8Array(52), hex('730000')),
];
