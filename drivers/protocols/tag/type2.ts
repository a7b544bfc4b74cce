/**
 * Type 2 tags (NFC Forum Type 2 Tag 1.1 §2–§6; NTAG21x) behind a PC/SC reader: known by their ATR, read in blocks of 16 bytes
 * with the reader's READ BINARY (PC/SC part 3 §3.2.2.1.8). Pure, sans-I/O. Must not know what the message says.
 */
import { type Bytes, concat, equalBytes, hex } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { type Dialogue, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';

export interface Type2Tag {
  /** 7 bytes. */
  readonly uid: Bytes;
  /** The NDEF message; null where the tag holds none. */
  readonly message: Bytes | null;
}

/** A storage card's ATR up to its name: `80 4F 0C` and PC/SC's own registered identifier (PC/SC part 3 §3.1.3.2.3.2). */
const storageCard = hex('3b8f8001804f0ca000000306');
const storageAtrBytes = 20;

/** Is it a card without commands of its own, like a Type 2 tag or a MIFARE Classic? */
export const isStorageCard = (atr: Bytes): boolean =>
  atr.length === storageAtrBytes && equalBytes(atr.subarray(0, storageCard.length), storageCard);
/** Behind the standard's byte (03: ISO 14443A part 3): 00 03, MIFARE Ultralight, as which readers name every Type 2 tag. */
export const isType2 = (atr: Bytes): boolean => isStorageCard(atr) && equalBytes(atr.slice(12, 15), hex('030003'));

const blockBytes = 16;
const pageBytes = 4;
const firstDataPage = 4;
const cascadeTag = 0x88;

function readBlock(page: number, then: (block: Bytes) => Dialogue<Type2Tag>): Dialogue<Type2Tag> {
  return {
    send: encodeCommand({ cla: 0xff, ins: 0xb0, p1: 0, p2: page, data: new Uint8Array(0), answerBytesMax: blockBytes }),
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return { end: dialogueFault(split.error.code, null, split.error.detail) };
      const { data, status } = split.value;
      if (status !== 0x9000)
        return { end: dialogueFault('card.unreadable', status, `page ${page}: ${statusText(status)}`) };
      if (data.length !== blockBytes) {
        const code = data.length < blockBytes ? 'input.truncated' : 'input.tooLong';
        return { end: dialogueFault(code, status, `page ${page}: ${data.length} bytes`) };
      }
      return then(data);
    },
  };
}

/**
 * Reads UID and NDEF message.
 * @returns the tag; `card.unreadable` (a block is refused), `input.…` (check bytes, container or lengths against the standard)
 */
export function readType2(): Dialogue<Type2Tag> {
  return readBlock(0, (block) => {
    const at = (offset: number): number => block[offset] ?? 0;
    const check = (from: number, to: number, seed: number): number =>
      block.subarray(from, to).reduce((sum, byte) => sum ^ byte, seed);
    if (check(0, 4, cascadeTag) !== 0 || check(4, 9, 0) !== 0)
      return { end: dialogueFault('input.malformed', null, 'check bytes of the UID') };
    const uid = concat(block.subarray(0, 3), block.subarray(4, 8));
    // The capability container: E1, version, size of the data area in 8 bytes, access (high nibble: reading).
    if (at(12) !== 0xe1) return { end: ok({ uid, message: null }) };
    if (at(13) >> 4 !== 1) return { end: dialogueFault('input.unsupported', null, 'mapping version') };
    if (at(15) >> 4 !== 0) return { end: dialogueFault('card.unreadable', null, 'the tag is not open for reading') };
    return readOn(uid, new Uint8Array(0), at(14) * 8);
  });
}

function readOn(uid: Bytes, area: Bytes, size: number): Dialogue<Type2Tag> {
  const found = findNdef(area, size);
  if (!found.ok)
    return { end: dialogueFault(found.error.code, null, `byte ${found.error.offset}: ${found.error.detail}`) };
  if (found.value !== 'more') return { end: ok({ uid, message: found.value }) };
  const page = firstDataPage + area.length / pageBytes;
  // One byte names a page: what lies behind needs the tag's own sector select, which no membership tag needs.
  if (page > 0xff) return { end: dialogueFault('input.tooLong', null, 'more pages than can be read') };
  return readBlock(page, (block) => readOn(uid, concat(area, block).slice(0, size), size));
}

const tlv = { empty: 0x00, ndef: 0x03, end: 0xfe } as const;

/**
 * The NDEF message among the TLVs at the beginning of a data area of `size` bytes, of which `area` has been read.
 * @returns the message, null (there is none), or 'more' (read on); `input.truncated` where a length goes past the tag
 */
export function findNdef(area: Bytes, size: number): Result<Bytes | null | 'more', DecodeError> {
  for (let at = 0; at < size; ) {
    const kind = area[at];
    if (kind === undefined) return ok('more');
    if (kind === tlv.end) return ok(null);
    if (kind === tlv.empty) {
      at += 1;
      continue;
    }
    const isLong = area[at + 1] === 0xff;
    const from = at + (isLong ? 4 : 2);
    if (from > size) return decodeError('input.truncated', at, 'a TLV without its length');
    if (from > area.length) return ok('more');
    const length = isLong ? (area[at + 2] ?? 0) * 256 + (area[at + 3] ?? 0) : (area[at + 1] ?? 0);
    if (isLong && length < 0xff) return decodeError('input.malformed', at, 'three bytes for a short length');
    if (from + length > size) return decodeError('input.truncated', at, `${length} bytes past the tag's end`);
    if (kind !== tlv.ndef) {
      at = from + length;
      continue;
    }
    if (length === 0) return ok(null);
    return ok(from + length > area.length ? 'more' : area.slice(from, from + length));
  }
  return ok(null);
}
