/**
 * Relay board: the commands that switch one relay of a serial relay board on and off, a row for each make. Pure. Must not know
 * what hangs on the relay, nor how long it is on.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { assert } from '../../../terminal/kernel/result.js';

/**
 * lcus: the "LCUS" boards of LC Technology and their copies, 1 to 8 relays behind a CH340: A0, relay, 01 or 00, and the sum of
 * the three modulo 256. From the sellers' pages, which agree on it. What the boards answer to a lone FF, if anything,
 * published programs do not agree on: it is never asked.
 * kmtronic: KMTronic's USB boards of 1, 2, 4 or 8 relays: FF, relay, 01 or 00, without a sum; from the maker's page.
 */
export type RelayBoard = 'lcus' | 'kmtronic';

/** Relays of one board, counted from 1. */
export const relayChannelsMax = 8;

const rows: Readonly<Record<RelayBoard, { readonly start: number; readonly hasSum: boolean }>> = {
  lcus: { start: 0xa0, hasSum: true },
  kmtronic: { start: 0xff, hasSum: false },
};

function encode(board: RelayBoard, channel: number, state: 0 | 1): Bytes {
  assert(
    Number.isInteger(channel) && channel >= 1 && channel <= relayChannelsMax,
    `a relay from 1 to ${relayChannelsMax}, not ${channel}`,
  );
  const { start, hasSum } = rows[board];
  const command = [start, channel, state];
  return Uint8Array.of(...command, ...(hasSum ? [(start + channel + state) & 0xff] : []));
}

/** @param channel 1…relayChannelsMax */
export const encodeRelayOn = (board: RelayBoard, channel: number): Bytes => encode(board, channel, 1);

/**
 * The command twice: the first may be swallowed as the rest of one that broke off, the second then stands whole. Off twice is
 * off.
 * @param channel 1…relayChannelsMax
 */
export function encodeRelayOff(board: RelayBoard, channel: number): Bytes {
  const command = encode(board, channel, 0);
  return concat(command, command);
}
