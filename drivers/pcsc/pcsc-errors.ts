/**
 * What a PC/SC failure means for the box: result codes of pcsclite.h as they appear in the library's messages. Pure.
 * Must not let anything but the library's own sentence through: no command, no answer.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import type { DeviceError, DeviceErrorCode } from '../contract/transport.js';

/** Result codes (pcsclite.h) by what they mean. Every other one is `device.failed`. */
const meanings: ReadonlyMap<number, DeviceErrorCode> = new Map([
  [0x8010_0003, 'device.closed'], // SCARD_E_INVALID_HANDLE
  [0x8010_0009, 'device.closed'], // SCARD_E_UNKNOWN_READER
  [0x8010_000a, 'device.timedOut'], // SCARD_E_TIMEOUT
  [0x8010_000b, 'device.busy'], // SCARD_E_SHARING_VIOLATION
  [0x8010_000c, 'device.cardRemoved'], // SCARD_E_NO_SMARTCARD
  [0x8010_000f, 'device.unsupported'], // SCARD_E_PROTO_MISMATCH: what an unreadable ATR ends in
  [0x8010_0013, 'device.closed'], // SCARD_F_COMM_ERROR: pcscd has gone in mid-call
  [0x8010_0016, 'device.cardRemoved'], // SCARD_E_NOT_TRANSACTED: what a phone leaving the field looks like
  [0x8010_0017, 'device.closed'], // SCARD_E_READER_UNAVAILABLE
  [0x8010_001d, 'device.closed'], // SCARD_E_NO_SERVICE
  [0x8010_001e, 'device.closed'], // SCARD_E_SERVICE_STOPPED
  [0x8010_002f, 'device.cardRemoved'], // SCARD_E_COMM_ERROR
  [0x8010_0065, 'device.unsupported'], // SCARD_W_UNSUPPORTED_CARD
  [0x8010_0066, 'device.cardRemoved'], // SCARD_W_UNRESPONSIVE_CARD
  [0x8010_0067, 'device.cardRemoved'], // SCARD_W_UNPOWERED_CARD
  [0x8010_0068, 'device.cardRemoved'], // SCARD_W_RESET_CARD: its session is gone
  [0x8010_0069, 'device.cardRemoved'], // SCARD_W_REMOVED_CARD
  [0x8010_006a, 'device.denied'], // SCARD_W_SECURITY_VIOLATION: polkit
]);

/** Takes nfc-pcsc's errors, which carry the library's own one as `previous`. */
export function readPcscError(error: unknown): DeviceError {
  const inner = error instanceof Error && 'previous' in error ? error.previous : error;
  const sentence = inner instanceof Error ? inner.message : 'unknown failure';
  const code = /0x([0-9a-f]{8})/i.exec(sentence)?.[1];
  const meaning = code === undefined ? undefined : meanings.get(Number.parseInt(code, 16));
  return { code: meaning ?? 'device.failed', detail: printable(sentence) };
}
