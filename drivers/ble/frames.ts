/**
 * The frames between the box and its Bluetooth child, as rows. `peer` is numbered by the child and means one address in
 * its life; `exchange` is numbered by the box.
 */
import { apduBytesMax } from '../contract/transport.js';
import {
  bytes,
  errorCode,
  type FrameOf,
  frameCodec,
  lifeRows,
  text,
  uint8,
  uint32,
} from '../supervised/frame-codec.js';

/** Longest attribute value (Bluetooth Core 5.4, Vol 3, Part F, 3.2.9). */
const valueBytesMax = 512;
/** What a peer offers, as bits of `offers`. */
export const offers = { uart: 1, member: 2 } as const;
/** Signal strength in dBm as 0…255. */
export const rssiOffset = 128;

const rows = {
  ...lifeRows,
  // to the child
  /** What to look for: these addresses (lower case, one space between them), and phones or not. */
  watch: [0x02, { gattTimeoutMs: uint32, phones: uint8, addresses: text }],
  /** Connects and subscribes to the one service in `offers`. Ends in peerOpened or peerClosed. */
  connect: [0x03, { peer: uint32, offers: uint8 }],
  disconnect: [0x04, { peer: uint32 }],
  transmit: [0x05, { peer: uint32, exchange: uint32, command: bytes(4, apduBytesMax) }],
  // from the child
  /** The adapter is on. */
  serviceUp: [0x82, { adapter: text }],
  /** `label` is the address, a space, and the name that it advertises. */
  peerSeen: [0x84, { peer: uint32, offers: uint8, rssi: uint8, label: text }],
  peerOpened: [0x85, { peer: uint32, mtu: uint32 }],
  /** The link is encrypted from now on. */
  peerSecured: [0x86, { peer: uint32 }],
  peerClosed: [0x87, { peer: uint32, code: errorCode, detail: text }],
  received: [0x88, { peer: uint32, data: bytes(0, valueBytesMax) }],
  answer: [0x8a, { exchange: uint32, answer: bytes(2, apduBytesMax) }],
  failed: [0x8b, { exchange: uint32, code: errorCode, detail: text }],
} as const;

export type BleFrame = FrameOf<typeof rows>;
export const bleFrames = frameCodec(1, rows);
