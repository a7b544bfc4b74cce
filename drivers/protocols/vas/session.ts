/**
 * Asking an Apple wallet for passes: get data for one pass type after the other, in one selection (docs/protocols/vas.md).
 * Pure, sans-I/O. Must not open an answer: whoever holds the merchant's key does, here or at the host.
 */
import { type Bytes, concat, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import { assert, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeTlv, encodeTlv, findTlv } from '../ber-tlv/ber-tlv.js';
import { type Dialogue, type DialogueError, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';
import { passAnswerBytesMax } from './pass-answer.js';

/** What the reader is for: the low bits of 9F26's last byte. */
export const vasMode = { vasOrPayment: 0x00, vasAndPayment: 0x01, vasOnly: 0x02, paymentOnly: 0x03 } as const;
export type VasMode = keyof typeof vasMode;
const moreFollow = 0x80;
/** 9F26's second byte: value-added services are supported. */
const supportsVas = 0x80;
/** Most pass types asked for in one tap, and the longest sign-up address. */
export const passTypesMax = 8;
export const urlBytesMax = 64;

const tag = {
  version: 0x9f22,
  passType: 0x9f25,
  capabilities: 0x9f26,
  nonce: 0x9f28,
  url: 0x9f29,
  filter: 0x9f2b,
  template: 0x70,
  token: 0x9f2a,
  answer: 0x9f27,
} as const;
/** P2 of GET DATA: `url` shows the sign-up notice and brings no pass. */
const protocol = { url: 0x00, full: 0x01 } as const;

export interface VasRequest {
  readonly protocol: keyof typeof protocol;
  readonly mode: VasMode;
  /** SHA-256 of the pass type id. */
  readonly typeHash: Bytes;
  /** Asks for another pass type after this one. */
  readonly moreFollow: boolean;
  /** https address of a signed sign-up document, 1…64 bytes; null: none. Must be there for `url`. */
  readonly url: string | null;
  /** 4 bytes; null: none. */
  readonly nonce?: Bytes | null;
  /** As the pass's issuer gave it; null: none. */
  readonly filter?: Bytes | null;
}

/** GET DATA: 80 CA 01 P2 Lc {9F22, 9F25, 9F26, [9F28], [9F29], [9F2B]} 00. */
export function getDataCommand(request: VasRequest): Bytes {
  const { url, nonce = null, filter = null } = request;
  const urlBytes = url === null ? null : utf8(url);
  assert(request.typeHash.length === 32, 'a pass type is named by its SHA-256');
  assert(urlBytes === null || (urlBytes.length >= 1 && urlBytes.length <= urlBytesMax), 'an address of 1…64 bytes');
  assert(request.protocol === 'full' || urlBytes !== null, 'URL mode has its address');
  const last = vasMode[request.mode] | (request.moreFollow ? moreFollow : 0);
  const optional = (of: number, value: Bytes | null): Bytes[] => (value ? [encodeTlv(of, value)] : []);
  return encodeCommand({
    cla: 0x80,
    ins: 0xca,
    p1: 0x01,
    p2: protocol[request.protocol],
    data: concat(
      encodeTlv(tag.version, uintBE(0x0100, 2)),
      encodeTlv(tag.passType, request.typeHash),
      encodeTlv(tag.capabilities, new Uint8Array([0, supportsVas, 0, last])),
      ...optional(tag.nonce, nonce),
      ...optional(tag.url, urlBytes),
      ...optional(tag.filter, filter),
    ),
    answerBytesMax: 256,
  });
}

/** What the phone said to one GET DATA. */
export type VasAnswer =
  | { readonly said: 'pass'; readonly sealed: Bytes }
  /** URL mode was taken note of. */
  | { readonly said: 'noted' }
  | { readonly said: 'noPass' | 'locked' | 'mustChoose' };

const status = { done: 0x9000, locked: 0x6287, mustChoose: 0x6984, noPass: 0x6a83 } as const;

/** @returns what was said, or `card.unreadable` (any other status), `input.…` */
export function decodeGetDataAnswer(asked: VasRequest['protocol'], answer: Bytes): Result<VasAnswer, DialogueError> {
  const split = splitAnswer(answer);
  if (!split.ok) return dialogueFault(split.error.code, null, split.error.detail);
  const { data, status: word } = split.value;
  if (word === status.noPass) return ok({ said: 'noPass' });
  if (word === status.locked) return ok({ said: 'locked' });
  if (word === status.mustChoose) return ok({ said: 'mustChoose' });
  if (word !== status.done) return dialogueFault('card.unreadable', word, statusText(word));
  if (asked === 'url') return ok({ said: 'noted' });
  const decoded = decodeTlv(data);
  if (!decoded.ok)
    return dialogueFault(decoded.error.code, word, `byte ${decoded.error.offset}: ${decoded.error.detail}`);
  const template = findTlv(decoded.value, tag.template);
  const sealed = template && findTlv(template.children, tag.answer)?.value;
  if (!template || !sealed || decoded.value.length !== 1 || !findTlv(template.children, tag.token))
    return dialogueFault('input.malformed', word, 'not a pass answer');
  if (sealed.length > passAnswerBytesMax) return dialogueFault('input.tooLong', word, 'pass answer');
  return ok({ said: 'pass', sealed });
}

/** A pass type as it is asked for, in the merchant's order. */
export interface WantedPass {
  readonly typeHash: Bytes;
  readonly url: string | null;
}
/** A sealed answer and the pass type that it answers. */
export interface SealedPass {
  readonly typeHash: Bytes;
  readonly sealed: Bytes;
}

/**
 * Asks for each pass type until one answers; with `all`, for every one of them. Comes after a selection that said `apple`.
 * @returns the sealed answers (never empty), or `pass.none`, `pass.locked`, `pass.mustChoose`, …
 */
export function askForPasses(
  wanted: readonly WantedPass[],
  how: { readonly mode: VasMode; readonly all: boolean },
): Dialogue<readonly SealedPass[]> {
  assert(wanted.length >= 1 && wanted.length <= passTypesMax, 'one to eight pass types');
  return ask(wanted, how, [], null);
}

function ask(
  wanted: readonly WantedPass[],
  how: { readonly mode: VasMode; readonly all: boolean },
  found: readonly SealedPass[],
  hindered: 'locked' | 'mustChoose' | null,
): Dialogue<readonly SealedPass[]> {
  const [next, ...rest] = wanted;
  if (!next || (found.length > 0 && !how.all)) {
    if (found.length > 0) return { end: ok(found) };
    return { end: dialogueFault(hindered ? `pass.${hindered}` : 'pass.none', null, 'no pass') };
  }
  const { typeHash, url } = next;
  const send = getDataCommand({ protocol: 'full', mode: how.mode, typeHash, url, moreFollow: rest.length > 0 });
  return {
    send,
    next: (answer) => {
      const decoded = decodeGetDataAnswer('full', answer);
      if (!decoded.ok) return { end: decoded };
      const said = decoded.value;
      if (said.said === 'pass') return ask(rest, how, [...found, { typeHash, sealed: said.sealed }], hindered);
      if (said.said === 'locked' || said.said === 'mustChoose') return ask(rest, how, found, hindered ?? said.said);
      return ask(rest, how, found, hindered);
    },
  };
}

/** Shows the sign-up notice for this pass type and brings nothing. */
export function offerSignUp(typeHash: Bytes, url: string, mode: VasMode): Dialogue<'noted'> {
  const asked = { protocol: 'url', mode, typeHash, url, moreFollow: false } as const;
  return {
    send: getDataCommand(asked),
    next: (answer) => {
      const decoded = decodeGetDataAnswer('url', answer);
      return { end: decoded.ok ? ok('noted') : decoded };
    },
  };
}
