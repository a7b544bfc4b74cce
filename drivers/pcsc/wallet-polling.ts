/**
 * Enhanced contactless polling: what a reader is told so that an iPhone shows the shop's pass by itself, as rows by reader.
 * Pure. Unverified on hardware, and no driver sends it yet; without it a pass is read once its owner has opened it.
 */
import { type Bytes, concat, hex, uintBE } from '../../terminal/kernel/bytes.js';
import type { VasMode } from '../protocols/vas/session.js';

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

/** 6A 01 00 00 mode ‖ CRC_A: seven bytes, which no card answers; phones want it every 100…250 ms. */
export function pollingFrame(mode: VasMode): Bytes {
  const body = concat(hex('6a010000'), uintBE(frameMode[mode], 1));
  return concat(body, crcA(body));
}

interface PollingRow {
  /** Part of the reader's name, lower case. */
  readonly name: string;
  /** The reader's own commands, in order; the last carries the frame, and its time-out is the good outcome. */
  readonly commands: (frame: Bytes) => readonly Bytes[];
}

/** ACR122U API §6.1, Direct Transmit: FF 00 00 00 Lc, then a command of the PN532 inside. */
const direct = (command: Bytes): Bytes => concat(hex('ff000000'), uintBE(command.length, 1), command);

/**
 * PN532 User Manual §7: RFConfiguration (32, item 05: give up on a target at once), InListPassiveTarget (4A, one of type A: the
 * look between two frames), WriteRegister (08, CIU_BitFraming 633D: whole bytes), InCommunicateThru (42) with the frame.
 */
const pollingRows: readonly PollingRow[] = [
  {
    name: 'acr122',
    commands: (frame) => [
      direct(hex('d43205ff0100')),
      direct(hex('d44a0100')),
      direct(hex('d408633d00')),
      direct(concat(hex('d442'), frame)),
    ],
  },
];

/** @returns the commands that send one frame, or null for a reader that is not known to be able to */
export function pollingCommands(readerName: string, mode: VasMode): readonly Bytes[] | null {
  const lower = readerName.toLowerCase();
  return pollingRows.find((row) => lower.includes(row.name))?.commands(pollingFrame(mode)) ?? null;
}
