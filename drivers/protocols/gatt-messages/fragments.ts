/**
 * Messages over GATT: a command or an answer cut into attribute values and joined again (docs/protocols/phone.md,
 * "Over Bluetooth"). Pure; knows the length of a value, not what a message means.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

const headerBytes = 2;
const lastFlag = 0x80;
const fragmentsMax = 128;
/** What a value may hold with the smallest ATT_MTU, 23 (Bluetooth Core 5.4, Vol 3, Part F, 3.2.8). */
export const valueBytesMin = 20;
/** Longest message: so it fits also with the smallest ATT_MTU. */
export const messageBytesMax = fragmentsMax * (valueBytesMin - headerBytes);

/**
 * @param exchange 0…255, the same in a command and its answer
 * @param message 1…messageBytesMax bytes
 * @param valueBytesMax what one value may hold: ATT_MTU − 3, at least valueBytesMin
 */
export function encodeFragments(exchange: number, message: Bytes, valueBytesMax: number): readonly Bytes[] {
  assert(message.length >= 1 && message.length <= messageBytesMax, 'a message of 1…messageBytesMax bytes');
  assert(valueBytesMax >= valueBytesMin, 'a value of at least 20 bytes');
  const pieceBytes = valueBytesMax - headerBytes;
  const count = Math.ceil(message.length / pieceBytes);
  return Array.from({ length: count }, (_, index) =>
    concat(
      Uint8Array.of(exchange, index + (index === count - 1 ? lastFlag : 0)),
      message.subarray(index * pieceBytes, (index + 1) * pieceBytes),
    ),
  );
}

export interface FragmentJoin {
  readonly exchange: number;
  readonly parts: readonly Bytes[];
}
export const nothingJoined: FragmentJoin = { exchange: 0, parts: [] };

export interface JoinStep {
  readonly state: FragmentJoin;
  /** The message that this fragment completes. */
  readonly message: { readonly exchange: number; readonly bytes: Bytes } | null;
}

/**
 * Takes the next value. Fragment 0 begins anew; any other one must follow the one before.
 * @returns `input.truncated`, `input.tooLong` or `input.malformed` with the offset in the value; go on from nothingJoined
 */
export function joinFragment(state: FragmentJoin, value: Bytes): Result<JoinStep, DecodeError> {
  if (value.length <= headerBytes) return decodeError('input.truncated', value.length, 'a fragment without content');
  const exchange = value[0] ?? 0;
  const position = value[1] ?? 0;
  const index = position % lastFlag;
  const before = index === 0 ? [] : state.parts;
  if (index !== before.length || (index > 0 && exchange !== state.exchange))
    return decodeError('input.malformed', 1, `fragment ${index} where ${state.parts.length} was due`);
  const parts = [...before, value.slice(headerBytes)];
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  if (length > messageBytesMax) return decodeError('input.tooLong', headerBytes, 'a message over its bound');
  if (position < lastFlag) return ok({ state: { exchange, parts }, message: null });
  return ok({ state: nothingJoined, message: { exchange, bytes: concat(...parts) } });
}
