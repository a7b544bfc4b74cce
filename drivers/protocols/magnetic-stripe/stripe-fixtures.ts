/**
 * Descriptors, cards and reports for tests of stripe readers, built from the published usages; none was captured from a
 * device. The numbers are the schemes' public test numbers.
 */
import { type Bytes, concat, utf8 } from '../../../terminal/kernel/bytes.js';
import { lrcOf } from './track.js';

const bytes = (...all: readonly number[]): Bytes => new Uint8Array(all);
const byteFields = (usages: readonly number[], count: number): Bytes =>
  concat(...usages.map((usage) => bytes(0x09, usage, 0x95, count, 0x81, 0x02)));
const trackBytes = 110;

/** Page 8E, no report id: lengths, then tracks. */
export const standardStripeDescriptor: Bytes = concat(
  bytes(0x05, 0x8e, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08),
  byteFields([0x11, 0x12, 0x13], 1),
  byteFields([0x21, 0x22, 0x23], trackBytes),
  bytes(0xc0),
);

/** MagTek's: status, lengths, the card's encoding, tracks. */
export const magTekDescriptor: Bytes = concat(
  bytes(0x06, 0x00, 0xff, 0x09, 0x01, 0xa1, 0x01, 0x15, 0x00, 0x26, 0xff, 0x00, 0x75, 0x08),
  byteFields([0x20, 0x21, 0x22, 0x28, 0x29, 0x2a, 0x38], 1),
  byteFields([0x30, 0x31, 0x32], trackBytes),
  bytes(0xc0),
);

export const testCard = {
  pan: '4111111111111111',
  track1: 'B4111111111111111^TEST/CARD^30122010000000000001',
  track2: '4111111111111111=30122010000000000001',
} as const;

export const wholeTracks: readonly [string, string, string] = [`%${testCard.track1}?`, `;${testCard.track2}?`, ''];
export const withLrc = (track: string, number: 1 | 2): string => track + lrcOf(track, number);

const data = (text: string): Bytes => concat(utf8(text), new Uint8Array(trackBytes - text.length));
export const standardReport = (tracks: readonly string[] = wholeTracks): Bytes =>
  concat(bytes(...tracks.map(({ length }) => length)), ...tracks.map(data));
export const magTekReport = (tracks: readonly string[] = wholeTracks, status: readonly number[] = [0, 0, 0]): Bytes =>
  concat(bytes(...status, ...tracks.map(({ length }) => length), 0), ...tracks.map(data));
