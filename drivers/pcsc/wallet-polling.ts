/**
 * Enhanced contactless polling: the frame that an iPhone takes for a sign to show the shop's pass by itself. Pure.
 * Which readers can send it, reader-models.ts says; without it a pass is read once its owner has opened it.
 */
import { type Bytes, concat, hex, uintBE } from '../../terminal/kernel/bytes.js';
import type { VasMode } from '../protocols/vas/session.js';

/** How often phones want it, in milliseconds: between 100 and 250. */
export const pollEveryMs = 200;

/** The frame's last byte before its CRC: the same modes as in get data. */
const frameMode: Readonly<Record<VasMode, number>> = {
  vasOrPayment: 0x00,
  vasAndPayment: 0x01,
  vasOnly: 0x02,
  paymentOnly: 0x03,
};

/** CRC_A of ISO/IEC 14443-3 §6.2.4, low byte first. */
export function crcA(bytes: Bytes): Bytes {
  let crc = 0x6363;
  for (const byte of bytes) {
    let mixed = (byte ^ crc) & 0xff;
    mixed = (mixed ^ (mixed << 4)) & 0xff;
    crc = ((crc >> 8) ^ (mixed << 8) ^ (mixed << 3) ^ (mixed >> 4)) & 0xffff;
  }
  return new Uint8Array([crc & 0xff, crc >> 8]);
}

/** 6A 01 00 00 mode ‖ CRC_A: seven bytes, which no card answers. */
export function pollingFrame(mode: VasMode): Bytes {
  const body = concat(hex('6a010000'), uintBE(frameMode[mode], 1));
  return concat(body, crcA(body));
}
