/**
 * Secure messaging of the member application: AES-128-CBC, then CMAC, over one numbered command and answer at a time.
 * Pure; a channel is a value, and every step gives the next one. Must not know what the messages mean.
 */
import { type Bytes, concat, equalBytes, uintBE } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, err, ok, type Result } from '../../../terminal/kernel/result.js';
import { encodeCommand, splitAnswer } from './apdu.js';
import { label, secureClass, secureMessagesMax } from './layout.js';
import type { SessionKeys } from './proof.js';

type SecureCrypto = Pick<Crypto, 'aesCmac' | 'aesCbcEncrypt' | 'aesCbcDecrypt'>;
type Direction = 'secureCommand' | 'secureAnswer';

const blockBytes = 16;
const macBytes = 16;

/** A session between two messages: the next command carries number `sequence`. Use each value once. */
export interface SecureChannel {
  readonly keys: SessionKeys;
  /** 0…secureMessagesMax − 1; secureMessagesMax: used up. */
  readonly sequence: number;
}

/** A session whose command is on its way: only the answer of the same number fits. */
export interface PendingAnswer {
  readonly keys: SessionKeys;
  readonly sequence: number;
}

/** A secure answer that did not come whole: the session is over, and nobody knows whether the phone acted. */
export interface SecureAnswerError {
  readonly code: 'input.truncated' | 'input.tooLong' | 'card.exchangeForged';
  /** The plain status word where the phone gave nothing else, unauthenticated; null: it gave more. */
  readonly status: number | null;
  readonly detail: string;
}

export interface SecureAnswer {
  /** Authenticated, like the data. */
  readonly status: number;
  readonly data: Bytes;
  readonly channel: SecureChannel;
}

/** ISO/IEC 9797-1 padding method 2: 80, then zeros to a whole block; at least one byte is added. */
function pad(data: Bytes): Bytes {
  const padded = new Uint8Array((Math.floor(data.length / blockBytes) + 1) * blockBytes);
  padded.set(data);
  padded[data.length] = 0x80;
  return padded;
}

function unpad(padded: Bytes): Bytes | null {
  let end = padded.length - 1;
  while (end >= 0 && padded[end] === 0) end--;
  return end >= 0 && padded[end] === 0x80 && padded.length - end <= blockBytes ? padded.subarray(0, end) : null;
}

/** E(encryptionKey, direction ‖ zeros(11) ‖ sequence(4)): never the same twice under one key, and not to be foreseen. */
function initialVector(crypto: SecureCrypto, keys: SessionKeys, direction: Direction, sequence: number): Bytes {
  const nonce = concat(uintBE(label[direction], 1), new Uint8Array(11), uintBE(sequence, 4));
  return crypto.aesCbcEncrypt(keys.encryptionKey, new Uint8Array(blockBytes), nonce);
}

function mac(
  crypto: SecureCrypto,
  keys: SessionKeys,
  direction: Direction,
  sequence: number,
  header: Bytes,
  ciphertext: Bytes,
): Bytes {
  const head = concat(uintBE(label[direction], 1), uintBE(sequence, 4), header);
  return crypto.aesCmac(keys.macKey, concat(head, ciphertext));
}

/** The channel that MUTUAL opened: its first command is number 0. */
export const newSecureChannel = (keys: SessionKeys): SecureChannel => ({ keys, sequence: 0 });

/** Can this session carry one more command? */
export const hasRoom = (channel: SecureChannel): boolean => channel.sequence < secureMessagesMax;

export interface SecureCommand {
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  readonly data: Bytes;
}

/** The command APDU: 84 INS P1 P2 Lc ‖ ciphertext ‖ MAC(16) ‖ Le. The channel must have room. */
export function sealCommand(
  crypto: SecureCrypto,
  channel: SecureChannel,
  command: SecureCommand,
): { readonly command: Bytes; readonly pending: PendingAnswer } {
  assert(hasRoom(channel), 'the secure session has room for a command');
  const { keys, sequence } = channel;
  const iv = initialVector(crypto, keys, 'secureCommand', sequence);
  const ciphertext = crypto.aesCbcEncrypt(keys.encryptionKey, iv, pad(command.data));
  const header = concat(...[secureClass, command.ins, command.p1, command.p2].map((value) => uintBE(value, 1)));
  const data = concat(ciphertext, mac(crypto, keys, 'secureCommand', sequence, header, ciphertext));
  const { ins, p1, p2 } = command;
  return {
    command: encodeCommand({ cla: secureClass, ins, p1, p2, data, answerBytesMax: 256 }),
    pending: { keys, sequence },
  };
}

/**
 * Opens an answer: MAC first, over the number of its own command, so that a forged, repeated, reordered or cut answer is
 * refused before anything is decrypted.
 * @returns status, data and the next channel; or `card.exchangeForged`, `input.truncated`, `input.tooLong`
 */
export function openAnswer(
  crypto: SecureCrypto,
  pending: PendingAnswer,
  answer: Bytes,
): Result<SecureAnswer, SecureAnswerError> {
  const split = splitAnswer(answer);
  if (!split.ok) {
    const code = split.error.code === 'input.tooLong' ? 'input.tooLong' : 'input.truncated';
    return err({ code, status: null, detail: split.error.detail });
  }
  const { data, status } = split.value;
  const forged = (detail: string) =>
    err({ code: 'card.exchangeForged' as const, status: data.length === 0 ? status : null, detail });
  if (data.length < blockBytes + macBytes || data.length % blockBytes !== 0) return forged('not a sealed answer');
  const ciphertext = data.subarray(0, data.length - macBytes);
  const { keys, sequence } = pending;
  const expected = mac(crypto, keys, 'secureAnswer', sequence, uintBE(status, 2), ciphertext);
  if (!equalBytes(expected, data.subarray(data.length - macBytes))) return forged('wrong MAC');
  const iv = initialVector(crypto, keys, 'secureAnswer', sequence);
  const plain = unpad(crypto.aesCbcDecrypt(keys.encryptionKey, iv, ciphertext));
  if (plain === null) return forged('wrong padding');
  return ok({ status, data: plain, channel: { keys, sequence: sequence + 1 } });
}
