/**
 * What a HID device is, by its report descriptor, and where a bar code scanner's reports hold a scan (USB HID Point of
 * Sale Usage Tables 1.02, usage page 0x8C, section 3). Pure; must not know vendors: their layouts are given.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { decodeReportDescriptor, type InputSpan, type ReportDescriptor, type Usage } from './report-descriptor.js';

/** Byte positions count from the report's first byte, its id included where there is one. */
export interface ScanLayout {
  /** 1…255; 0: reports have no id byte. */
  readonly reportId: number;
  /** Shortest whole report, in bytes. */
  readonly reportBytes: number;
  /** The byte that says how many data bytes count; null: the data ends before its trailing NULs. */
  readonly lengthAt: number | null;
  /** The three bytes of the AIM symbology identifier (ISO/IEC 15424), or none. */
  readonly aimAt: readonly number[];
  readonly dataAt: number;
  readonly dataBytes: number;
  /** More of the same scan follows in the next report; null: a report is always a whole scan. */
  readonly continuedAt: { readonly byte: number; readonly mask: number } | null;
}

/**
 * Id 2, length, identifier, 56 data bytes, maker's symbology, reserved, continued flag in bit 0: published alike for
 * Access-IS readers and by programs for Honeywell's.
 */
export const layoutWithAim: ScanLayout = {
  reportId: 2,
  reportBytes: 64,
  lengthAt: 1,
  aimAt: [2, 3, 4],
  dataAt: 5,
  dataBytes: 56,
  continuedAt: { byte: 63, mask: 1 },
};

/** The same report without the identifier: data from byte 2. Published for Newland and Unitech readers. */
export const layoutWithoutAim: ScanLayout = { ...layoutWithAim, aimAt: [], dataAt: 2 };

export type HidRole =
  | { readonly role: 'scanner'; readonly layout: ScanLayout }
  /** Says that it is a bar code scanner, but neither its descriptor nor the usual layout tells where a scan is. */
  | { readonly role: 'scannerOfUnknownLayout' }
  /** Types keys, alone or beside other things. */
  | { readonly role: 'keyboard' }
  | { readonly role: 'other' };

const scannerPage = 0x8c;
const barCodeScanner: Usage = { page: scannerPage, usage: 0x02 };
const keyboards: readonly Usage[] = [
  { page: 0x01, usage: 0x06 },
  { page: 0x01, usage: 0x07 },
];
const byteCount: Usage = { page: 0x01, usage: 0x3b };
const symbologyIdentifiers = [0xfb, 0xfc, 0xfd].map((usage): Usage => ({ page: scannerPage, usage }));
const decodedData: Usage = { page: scannerPage, usage: 0xfe };
const dataContinued: Usage = { page: scannerPage, usage: 0xff };

const isSame = (a: Usage | null, b: Usage): boolean => a !== null && a.page === b.page && a.usage === b.usage;

/**
 * Takes any bytes. A descriptor that cannot be read is `other`. A device that can type is a keyboard, whatever else it is.
 * @param usual the layout where the descriptor declares a scanner but names no data field
 */
export function hidRole(descriptor: Bytes, usual: ScanLayout): HidRole {
  const read = decodeReportDescriptor(descriptor);
  if (!read.ok) return { role: 'other' };
  const { applications } = read.value;
  if (applications.some((used) => keyboards.some((keyboard) => isSame(used, keyboard)))) return { role: 'keyboard' };
  if (!applications.some((used) => isSame(used, barCodeScanner))) return { role: 'other' };
  const layout = declaredLayout(read.value) ?? (fits(read.value, usual) ? usual : null);
  return layout === null ? { role: 'scannerOfUnknownLayout' } : { role: 'scanner', layout };
}

const fits = ({ inputBits }: ReportDescriptor, layout: ScanLayout): boolean =>
  inputBits.get(layout.reportId) === 8 * (layout.reportBytes - 1);

/** The layout that the descriptor itself declares; null where no field is Decoded Data in whole bytes. */
function declaredLayout({ inputs, inputBits }: ReportDescriptor): ScanLayout | null {
  const ofScanner = inputs.filter((span) => isSame(span.application, barCodeScanner));
  const data = ofScanner.find((span) => isSame(span, decodedData) && isWholeBytes(span));
  if (!data) return null;
  const { reportId } = data;
  const idBytes = reportId === 0 ? 0 : 1;
  const here = ofScanner.filter((span) => span.reportId === reportId);
  const byteOf = (span: InputSpan): number => idBytes + Math.floor(span.bitOffset / 8);
  const length = here.find((span) => isSame(span, byteCount) && isWholeBytes(span) && span.count === 1);
  const continued = here.find((span) => isSame(span, dataContinued));
  return {
    reportId,
    reportBytes: idBytes + Math.ceil((inputBits.get(reportId) ?? 0) / 8),
    lengthAt: length ? byteOf(length) : null,
    aimAt: identifierBytes(here, byteOf),
    dataAt: byteOf(data),
    dataBytes: data.count,
    continuedAt: continued ? { byte: byteOf(continued), mask: 1 << (continued.bitOffset % 8) } : null,
  };
}

/** Three fields of a byte each, or one field of three; anything else is no identifier. */
function identifierBytes(spans: readonly InputSpan[], byteOf: (span: InputSpan) => number): readonly number[] {
  const found = symbologyIdentifiers.flatMap((wanted) => {
    const span = spans.find((candidate) => isSame(candidate, wanted) && isWholeBytes(candidate));
    return span ? Array.from({ length: Math.min(span.count, 3) }, (_, index) => byteOf(span) + index) : [];
  });
  return found.length === 3 ? found : [];
}

const isWholeBytes = (span: InputSpan): boolean => span.fieldBits === 8 && span.bitOffset % 8 === 0;
