/**
 * What stands where a card has its answer to reset (ISO/IEC 7816-3, 8.2) for a link that is no card: historical bytes that
 * name the way and the device. Pure.
 */
import { type Bytes, concat, utf8 } from '../../terminal/kernel/bytes.js';

/** @param way 4 ASCII characters @param device what tells it from others now, at most 11 bytes */
export function linkAtr(way: string, device: Bytes): Bytes {
  const historical = concat(utf8(way), device);
  const body = concat(Uint8Array.of(0x80 | historical.length, 0x80, 0x01), historical);
  return concat(Uint8Array.of(0x3b), body, Uint8Array.of(body.reduce((check, byte) => check ^ byte, 0)));
}
