/**
 * Tags at the counter: how a tag is named towards the host, its UID, and what its NDEF message says.
 * Pure; shared by box and host. Must not prove anything: drivers/protocols/sun does.
 */
import { type Bytes, decodeUtf8, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { type Dialogue, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';
import { decodeNdef } from '../ndef/ndef.js';

/** NXP's tags have UIDs of 7 bytes; one of 4 may be drawn anew at each tap and names nothing. */
export const tagUidBytes = 7;

/**
 * A tag's id, 8 bytes in hex: the first bytes of SHA-256("shouli tag 1 <kind> <uid>"). A tag that proves itself (`sun`) and
 * a bare UID (`uid`) never have one id: what is bound to the first is not had by a copy of its UID.
 */
export const tagId = (crypto: Pick<Crypto, 'sha256'>, kind: 'sun' | 'uid', uid: string): string =>
  toHex(crypto.sha256(utf8(`shouli tag 1 ${kind} ${uid}`)).subarray(0, 8));

/** GET DATA of PC/SC part 3 §3.2.2.1.3: the reader's own command, answered without asking the tag. */
export function readUid(): Dialogue<Bytes> {
  return {
    send: encodeCommand({ cla: 0xff, ins: 0xca, p1: 0, p2: 0, data: new Uint8Array(0), answerBytesMax: 256 }),
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return { end: dialogueFault(split.error.code, null, split.error.detail) };
      const { data, status } = split.value;
      if (status !== 0x9000) return { end: dialogueFault('card.noApplication', status, statusText(status)) };
      if (data.length !== tagUidBytes)
        return { end: dialogueFault('card.noApplication', status, `a UID of ${data.length} bytes`) };
      return { end: ok(data.slice()) };
    },
  };
}

const format = { wellKnown: 1 } as const;
const type = { uri: 0x55, text: 0x54 } as const;
/** NFC Forum URI record §3.2.2, as far as tags with addresses go. */
const uriPrefixes = ['', 'http://www.', 'https://www.', 'http://', 'https://'];

/**
 * The address or text in a message's first record.
 * @returns null where it is neither; `input.…` with its offset where the message or the record is against the rules
 */
export function saidBy(message: Bytes): Result<string | null, DecodeError> {
  const decoded = decodeNdef(message);
  if (!decoded.ok) return decoded;
  const [record] = decoded.value;
  if (!record || record.tnf !== format.wellKnown || record.type.length !== 1) return ok(null);
  const { payload } = record;
  const at = payload.byteOffset - message.byteOffset;
  const [first] = payload;
  if (record.type[0] === type.uri) {
    if (first === undefined) return decodeError('input.truncated', at, 'an address without its prefix');
    const prefix = uriPrefixes[first];
    if (prefix === undefined) return ok(null);
    const rest = decodeUtf8(payload.subarray(1));
    return rest.ok ? ok(prefix + rest.value) : rest;
  }
  if (record.type[0] !== type.text) return ok(null);
  if (first === undefined) return decodeError('input.truncated', at, 'a text without its language');
  // Bit 7: UTF-16, which no membership tag needs; bits 0 to 5: the length of the language's name.
  if ((first & 0xc0) !== 0) return ok(null);
  if (1 + first > payload.length) return decodeError('input.truncated', at, 'the language’s name');
  return decodeUtf8(payload.subarray(1 + first));
}
