/**
 * Transports: the two shapes in which every bus moves bytes. A simulated device stands behind the same shapes.
 * Must hold no protocol; a transport moves bytes and reports what became of them.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { printable } from '../../terminal/kernel/redaction.js';
import type { Result } from '../../terminal/kernel/result.js';
import type { DurationMs } from '../../terminal/kernel/units.js';

/** What can go wrong with a device. Codes are rows of terminal/kernel/errors.ts. */
export type DeviceErrorCode =
  | 'device.absent'
  | 'device.busy'
  | 'device.denied'
  | 'device.cardRemoved'
  | 'device.timedOut'
  | 'device.closed'
  | 'device.failed'
  | 'device.unsupported'
  | 'device.paperOut'
  | 'device.coverOpen'
  /** A card with contacts in a reader that is configured as a field, or the other way round. */
  | 'device.wrongSlot'
  /** A PIN pad has spent its keys. */
  | 'device.keysSpent'
  /** A PIN pad gave a key serial number that was used before. */
  | 'device.keyReused'
  /** The library that the driver needs cannot be loaded on this machine. */
  | 'device.driverMissing';

export interface DeviceError {
  readonly code: DeviceErrorCode;
  /** For the technician; holds no byte of a command or an answer. */
  readonly detail: string;
}

/** What a library that could not be loaded means: the device is out of reach, and the reason is the library's. */
export function cannotLoad(library: string, error: unknown): DeviceError {
  const why = error instanceof Error ? (error.message.split('\n')[0] ?? '') : 'unknown';
  return { code: 'device.driverMissing', detail: printable(`${library} cannot be loaded: ${why}`) };
}

/** Longest command and answer: an extended APDU with its status word (ISO/IEC 7816-3 §12.1.3). */
export const apduBytesMax = 65_546;

/** One card in one field, from the moment it was presented until it leaves. A new presentation is a new link. */
export interface ApduLink {
  /** Unique in this process; a link of an earlier presentation never comes back. */
  readonly id: string;
  readonly atr: Bytes;
  /**
   * Sends one command APDU and gives the answer with its status word (2…apduBytesMax bytes). One at a time: a second
   * call before the first ended is `device.busy`. After `device.cardRemoved` or `device.closed` the link is dead.
   * With `device.timedOut` or `device.cardRemoved` nobody knows whether the card acted on the command.
   */
  transmit(command: Bytes, timeout: DurationMs): Promise<Result<Bytes, DeviceError>>;
  /**
   * Sends a card its own command, which is no APDU, past what the reader knows of it, and gives the card's answer without a
   * status word. Absent: no way through this reader is known, or it has refused too often. `device.unsupported`: the reader
   * refuses; `device.failed`: the card gave no answer; else as `transmit`, with which it shares the turn.
   */
  passThrough?(command: Bytes, timeout: DurationMs): Promise<Result<Bytes, DeviceError>>;
  /** Lets the card go. Never rejects; safe to call twice. */
  close(): Promise<void>;
}

/** A port that moves bytes both ways with no framing of its own (serial line, pseudo-terminal, socket). */
export interface ByteTransport {
  /** Writes all bytes, resolving when the device has them. */
  write(bytes: Bytes): Promise<Result<void, DeviceError>>;
  /** At most one listener each. Chunks come as they were read: split anywhere, joined anyhow. */
  onData(listener: (chunk: Bytes) => void): void;
  onClosed(listener: (error: DeviceError) => void): void;
  close(): Promise<void>;
}
