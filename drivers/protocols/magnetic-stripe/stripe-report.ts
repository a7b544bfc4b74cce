/**
 * Reports of HID stripe readers that decode the tracks themselves and are no keyboard: where the tracks are by the report
 * descriptor, and what a swipe holds. Rows of usages: the standard page 8E (USB HID usage tables for magnetic stripe readers),
 * and MagTek's own (USB swipe reader manual 99875191, §4). Pure.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeReportDescriptor, type InputSpan, type Usage } from '../hid-pos/report-descriptor.js';
import { decodeTrack, type TrackNumber } from './track.js';

interface StripeUsages {
  readonly application: Usage;
  /** A byte each, 0: read without an error; none where the page has no such thing. */
  readonly status: readonly number[];
  readonly length: readonly number[];
  readonly data: readonly number[];
}
const standard: StripeUsages = {
  application: { page: 0x8e, usage: 0x01 },
  status: [],
  length: [0x11, 0x12, 0x13],
  data: [0x21, 0x22, 0x23],
};
const magTek: StripeUsages = {
  application: { page: 0xff00, usage: 0x01 },
  status: [0x20, 0x21, 0x22],
  length: [0x28, 0x29, 0x2a],
  data: [0x30, 0x31, 0x32],
};

interface TrackPlace {
  readonly statusAt: number | null;
  readonly lengthAt: number;
  readonly dataAt: number;
  readonly dataBytes: number;
}
/** Byte positions count from the report's first byte, its id included where there is one. */
export interface StripeLayout {
  /** 1…255; 0: reports have no id byte. */
  readonly reportId: number;
  readonly reportBytes: number;
  /** Tracks 1, 2, 3; null where the reader has none. */
  readonly tracks: readonly (TrackPlace | null)[];
}

/** Tracks 1, 2, 3 without sentinels; null: not on the card, or not readable. */
export type Tracks = readonly [string | null, string | null, string | null];

/**
 * @param isMagTek the vendor's own usages mean this only on its own devices
 * @returns null where the descriptor is of no such reader, or does not say where the tracks are
 */
export function stripeLayout(descriptor: Bytes, isMagTek: boolean): StripeLayout | null {
  const read = decodeReportDescriptor(descriptor);
  if (!read.ok) return null;
  for (const row of isMagTek ? [standard, magTek] : [standard]) {
    const spans = read.value.inputs.filter(
      ({ application }) => application?.page === row.application.page && application.usage === row.application.usage,
    );
    const first = find(spans, row, row.data[1] ?? 0) ?? find(spans, row, row.data[0] ?? 0);
    if (!first) continue;
    const here = spans.filter(({ reportId }) => reportId === first.reportId);
    const idBytes = first.reportId === 0 ? 0 : 1;
    const at = (span: InputSpan): number => idBytes + span.bitOffset / 8;
    const tracks = row.data.map((usage, index): TrackPlace | null => {
      const data = find(here, row, usage);
      const length = find(here, row, row.length[index] ?? 0);
      const status = find(here, row, row.status[index] ?? 0);
      if (!data || !length) return null;
      return { statusAt: status ? at(status) : null, lengthAt: at(length), dataAt: at(data), dataBytes: data.count };
    });
    const reportBytes = idBytes + Math.ceil((read.value.inputBits.get(first.reportId) ?? 0) / 8);
    if (tracks.some((place) => place !== null)) return { reportId: first.reportId, reportBytes, tracks };
  }
  return null;
}

const find = (spans: readonly InputSpan[], row: StripeUsages, usage: number): InputSpan | undefined =>
  spans.find(
    (span) =>
      usage !== 0 &&
      span.page === row.application.page &&
      span.usage === usage &&
      span.fieldBits === 8 &&
      span.bitOffset % 8 === 0,
  );

/**
 * One report is one swipe. A track that the reader could not read, or that is not sound, is null.
 * @returns null for another report of the device; input.truncated, or input.malformed where no track is sound
 */
export function decodeStripeReport(layout: StripeLayout, report: Bytes): Result<Tracks | null, DecodeError> {
  if (report.length === 0 || (layout.reportId !== 0 && report[0] !== layout.reportId)) return ok(null);
  if (report.length < layout.reportBytes) return decodeError('input.truncated', report.length, 'report cut short');
  const trackOf = (number: TrackNumber): string | null => {
    const place = layout.tracks[number - 1];
    if (!place || (place.statusAt !== null && report[place.statusAt] !== 0)) return null;
    const length = report[place.lengthAt] ?? 0;
    if (length > place.dataBytes) return null;
    const data = decodeTrack(String.fromCharCode(...report.subarray(place.dataAt, place.dataAt + length)), number);
    return data.ok ? data.value : null;
  };
  const tracks: Tracks = [trackOf(1), trackOf(2), trackOf(3)];
  return tracks.some((data) => data !== null)
    ? ok(tracks)
    : decodeError('input.malformed', 0, 'no track could be read');
}
