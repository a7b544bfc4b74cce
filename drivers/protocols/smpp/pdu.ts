/**
 * SMPP 3.4 protocol data units (issue 1.2): header, command ids, statuses, and their way out of a stream of bytes.
 * Pure. Must not hold a connection or know when a unit is sent.
 */
import { type Bytes, concat, readUintBE, uintBE } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** §5.1.2.1. A response is its request with the highest bit set. */
export const commandIds = {
  genericNack: 0x80000000,
  submit: 0x00000004,
  deliver: 0x00000005,
  unbind: 0x00000006,
  bindTransceiver: 0x00000009,
  enquireLink: 0x00000015,
} as const;
export const responseBit = 0x80000000;
export const isResponse = (command: number): boolean => command >= responseBit;
export const responseTo = (command: number): number => command + responseBit;

/** §5.1.3, those that this side says or tells apart. */
export const statuses = {
  ok: 0x00,
  invalidCommand: 0x03,
  wrongBindState: 0x04,
  systemError: 0x08,
  queueFull: 0x14,
  throttled: 0x58,
  /** Receiver: temporary, permanent, and "refused, try no more". */
  temporary: 0x64,
  rejected: 0x66,
} as const;

export const headerBytes = 16;
/** Longest unit: a message payload of 64 KiB with all the rest. */
export const pduBytesMax = 70_000;
export const sequenceMax = 0x7fffffff;

export interface Pdu {
  readonly command: number;
  readonly status: number;
  /** 1…sequenceMax; a response has its request's. */
  readonly sequence: number;
  readonly body: Bytes;
}

/** The bytes of a unit (§3.2). */
export const encodePdu = ({ command, status, sequence, body }: Pdu): Bytes =>
  concat(uintBE(headerBytes + body.length, 4), uintBE(command, 4), uintBE(status, 4), uintBE(sequence, 4), body);

/** Takes units out of a stream, however it is split. After an error the stream has no frame any more: close it. */
export class PduReader {
  #waiting: Bytes = new Uint8Array(0);

  /** @returns the units that are whole now; `input.malformed` or `input.tooLong` for a length that cannot be */
  push(chunk: Bytes): Result<readonly Pdu[], DecodeError> {
    let rest = this.#waiting.length === 0 ? chunk : concat(this.#waiting, chunk);
    const units: Pdu[] = [];
    while (rest.length >= 4) {
      const length = readUintBE(rest.subarray(0, 4));
      if (length < headerBytes) return decodeError('input.malformed', 0, `unit of ${length} bytes`);
      if (length > pduBytesMax) return decodeError('input.tooLong', 0, `unit of ${length} bytes`);
      if (rest.length < length) break;
      const word = (at: number): number => readUintBE(rest.subarray(at, at + 4));
      units.push({ command: word(4), status: word(8), sequence: word(12), body: rest.slice(headerBytes, length) });
      rest = rest.subarray(length);
    }
    this.#waiting = rest.slice();
    return ok(units);
  }
}
