/**
 * What an answer to reset says (ISO/IEC 7816-3 §8.2; of a card in a field, PC/SC part 3 §3.1.3.2.3): contacts or field, storage
 * or processor, and the protocol that the reader speaks with it. Pure. Must not know any card by its name.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { isStorageCard } from '../tag/type2.js';

/** T=0 moves a command and its answer one after the other, T=1 whole blocks. */
export type CardProtocol = 'T0' | 'T1';

export interface Atr {
  /** T of each protocol offered (0…15), in their order; [0] where none is named. */
  readonly protocols: readonly number[];
  /** A view, 0…15 bytes. */
  readonly historical: Bytes;
}

const atrBytesMax = 33;
/** T=15 names no protocol: its bytes hold for all of them. */
const globalBytes = 15;

/**
 * Takes an answer to reset apart and checks it.
 * @returns its parts, or `input.truncated`, `input.tooLong` (more than 33 bytes, or bytes left over), `input.malformed` (not 3B or
 * 3F at its beginning, a wrong check byte)
 */
export function decodeAtr(bytes: Bytes): Result<Atr, DecodeError> {
  if (bytes.length > atrBytesMax) return decodeError('input.tooLong', atrBytesMax, 'answer to reset');
  if (bytes.length < 2) return decodeError('input.truncated', bytes.length, 'answer to reset');
  if (bytes[0] !== 0x3b && bytes[0] !== 0x3f) return decodeError('input.malformed', 0, 'neither convention');
  const historicalCount = (bytes[1] ?? 0) & 0x0f;
  const protocols: number[] = [];
  let present = (bytes[1] ?? 0) >> 4;
  let at = 2;
  while (present !== 0) {
    // TA, TB, TC and TD, each where its bit is set; TD says what follows and for which protocol.
    for (let bit = 1; bit < 8; bit <<= 1) if ((present & bit) !== 0) at += 1;
    if ((present & 8) === 0) break;
    const next = bytes[at];
    if (next === undefined) return decodeError('input.truncated', at, 'interface bytes');
    protocols.push(next & 0x0f);
    present = next >> 4;
    at += 1;
  }
  // Only a card that offers T=0 alone has no check byte.
  const hasCheck = protocols.some((protocol) => protocol !== 0);
  const end = at + historicalCount + (hasCheck ? 1 : 0);
  if (bytes.length < end) return decodeError('input.truncated', bytes.length, 'historical bytes');
  if (bytes.length > end) return decodeError('input.tooLong', end, 'behind the answer to reset');
  if (hasCheck && bytes.subarray(1).reduce((sum, byte) => sum ^ byte, 0) !== 0)
    return decodeError('input.malformed', end - 1, 'check byte');
  const offered = protocols.filter((protocol) => protocol !== globalBytes);
  return ok({
    protocols: offered.length === 0 ? [0] : offered,
    historical: bytes.subarray(at, at + historicalCount),
  });
}

/**
 * contact: lies in a slot. storage: in a field, without commands of its own. processor: in a field, with commands. unknown: the
 * answer to reset is against the standard, so that nothing follows from it.
 */
export type CardKind = 'contact' | 'storage' | 'processor' | 'unknown';

/** A reader makes the answer to reset of a card in its field by one rule: 3B 8n 80 01, then n historical bytes. */
export function cardKind(atr: Bytes): CardKind {
  if (isStorageCard(atr)) return 'storage';
  const isMadeByReader = atr[0] === 0x3b && (atr[1] ?? 0) >> 4 === 8 && atr[2] === 0x80 && atr[3] === 0x01;
  if (isMadeByReader) return 'processor';
  return decodeAtr(atr).ok ? 'contact' : 'unknown';
}

/** The protocol that pcscd chooses of those offered: T=1 where it is among them. T=0 where the bytes say nothing. */
export function protocolOf(atr: Bytes): CardProtocol {
  const decoded = decodeAtr(atr);
  return decoded.ok && decoded.value.protocols.includes(1) ? 'T1' : 'T0';
}
