/**
 * APDUs: command encoding and answer splitting, ISO/IEC 7816-4 §5.1–5.2, short and extended lengths.
 * Pure. Must not know any instruction or the meaning of a status word.
 */
import { type Bytes, concat, uintBE } from '../../../terminal/kernel/bytes.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** Longest data field of a command (Nc, two-byte length). */
export const commandDataBytesMax = 65_535;
/** Longest data field of an answer (Ne, two-byte length where 0000 means 65,536). */
export const answerDataBytesMax = 65_536;

export interface CommandApdu {
  readonly cla: number;
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  /** 0…commandDataBytesMax bytes. */
  readonly data: Bytes;
  /** Most data bytes wanted in the answer (Ne), 0…answerDataBytesMax; 0: none, and no Le field is sent. */
  readonly answerBytesMax: number;
}

/**
 * Encodes cases 1 to 4 of ISO/IEC 7816-4 §5.2, short where it fits, extended otherwise. Values outside their range are
 * a bug of the caller and throw.
 */
export function encodeCommand(command: CommandApdu): Bytes {
  const { data, answerBytesMax: ne } = command;
  assert(data.length <= commandDataBytesMax, 'command data fits its length field');
  assert(Number.isInteger(ne) && ne >= 0 && ne <= answerDataBytesMax, 'answer length fits its field');
  const header = concat(...[command.cla, command.ins, command.p1, command.p2].map((value) => uintBE(value, 1)));
  const extended = data.length > 255 || ne > 256;
  const lengthBytes = extended ? 2 : 1;
  const lc = data.length === 0 ? new Uint8Array(0) : uintBE(data.length, lengthBytes);
  // The largest answer length is written as zeros: 00 for 256, 0000 for 65,536.
  const le = ne === 0 ? new Uint8Array(0) : uintBE(ne % (extended ? 65_536 : 256), lengthBytes);
  // One zero byte announces extended lengths; a command without any length field has none to announce.
  return concat(header, extended ? uintBE(0, 1) : new Uint8Array(0), lc, data, le);
}

export interface AnswerApdu {
  readonly data: Bytes;
  /** SW1 ‖ SW2 as one number, 0x6000…0x9FFF where the card keeps to the standard. */
  readonly status: number;
}

/** Splits an answer (§5.1). @returns data and status, `input.truncated` under 2 bytes, `input.tooLong` over 65,538. */
export function splitAnswer(answer: Bytes): Result<AnswerApdu, DecodeError> {
  if (answer.length < 2) return decodeError('input.truncated', answer.length, 'an answer has at least its status word');
  if (answer.length > answerDataBytesMax + 2) return decodeError('input.tooLong', answerDataBytesMax + 2, 'answer');
  const end = answer.length - 2;
  return ok({ data: answer.subarray(0, end), status: ((answer[end] ?? 0) << 8) | (answer[end + 1] ?? 0) });
}
