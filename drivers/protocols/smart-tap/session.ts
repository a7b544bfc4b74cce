/**
 * The terminal's side of Google Smart Tap 2.1: negotiate a channel with the merchant's key, get what the phone holds for
 * this collector (docs/protocols/smart-tap.md). Pure, sans-I/O. Must not judge what a pass may do.
 */
import { type Bytes, concat, equalBytes, hex } from '../../../terminal/kernel/bytes.js';
import type { DecodeError, Result } from '../../../terminal/kernel/result.js';
import { ok } from '../../../terminal/kernel/result.js';
import { type Dialogue, type DialogueError, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';
import {
  bundleBytesMax,
  type ChannelKeys,
  type Collector,
  channelKeys,
  openBundle,
  type SessionFace,
  type SmartTapCrypto,
  signedBytes,
  type TerminalSecrets,
} from './channel.js';
import {
  decodeNegotiateAnswer,
  decodeServiceAnswer,
  decodeServiceObjects,
  decodeSmartTapSelected,
  encodeNegotiate,
  encodeServiceRequest,
  type ServiceObject,
  type ServiceType,
  type SessionWord,
} from './records.js';

const smartTapAid = hex('a000000476d0000111');
const instruction = { negotiate: 0x53, get: 0x50, more: 0xc0 } as const;
/** The first request of a kind has this sequence; one that the phone asked to be sent again has two more. */
const firstSequence = 1;
const retryStep = 2;
const retriesMax = 1;
/** Most parts of one answer, and its most bytes: a bundle and the records around it. */
const partsMax = 48;
const answerBytesMax = bundleBytesMax + 256;

export interface SmartTapRequest {
  readonly crypto: SmartTapCrypto;
  readonly collector: Collector;
  readonly secrets: TerminalSecrets;
  readonly wanted: ServiceType;
}
/** A session whose signature and channel keys are the host's: the box holds neither long-term nor ephemeral private key. */
export interface HeldRequest {
  readonly collector: Pick<Collector, 'collectorId' | 'keyVersion'>;
  readonly secrets: SessionFace;
  /** DER, over `signedBytes` with the nonce that the phone gave at its selection. */
  readonly signature: Bytes;
  readonly wanted: ServiceType;
}
/** What such a session gathers; nothing of it was verified here. */
export interface HeldBundle {
  /** The device's ephemeral key, 33 bytes. */
  readonly deviceKey: Bytes;
  /** 1…heldBundleBytesMax. */
  readonly bundle: Bytes;
}
/** Largest bundle that is held back: it travels in a record. A pass is some hundred bytes. */
export const heldBundleBytesMax = 2_048;

/** One session: its face, its signature, and what becomes of the bundle once the phone's key is known; null: no such key. */
interface Session<T> extends HeldRequest {
  readonly openerFor: (deviceKey: Bytes) => ((bundle: Bytes) => Result<T, DialogueError>) | null;
}

const command = (ins: number, data: Bytes): Bytes =>
  encodeCommand({ cla: 0x90, ins, p1: 0, p2: 0, data, answerBytesMax: 256 });
const fail = (code: Parameters<typeof dialogueFault>[0], status: number | null, detail: string): Dialogue<never> => ({
  end: dialogueFault(code, status, detail),
});
const failDecoding = (error: DecodeError, status: number): Dialogue<never> =>
  fail(error.code, status, `byte ${error.offset}: ${error.detail}`);

const status = { done: 0x9000, noPass: 0x9001, preSigned: 0x9002, moreData: 0x9100, mustChoose: 0x9302 } as const;

/** What a status word other than the good ones means; the first byte groups them. */
function refusal(word: number): Dialogue<never> {
  if (word === status.noPass) return fail('pass.none', word, statusText(word));
  if (word === status.mustChoose) return fail('pass.mustChoose', word, statusText(word));
  switch (word >> 8) {
    case 0x92:
    case 0x93:
      return fail('pass.walletBusy', word, statusText(word));
    case 0x94:
    case 0x95:
      return fail('pass.refusedTerminal', word, statusText(word));
    default:
      return fail('card.unreadable', word, statusText(word));
  }
}
const asksAgain = (word: number): boolean => word >> 8 === 0x92;

/** Is this the phone's word on our request? Its sequence has gone on from ours, and the session is ours. */
function checkSession(
  { secrets }: Pick<HeldRequest, 'secrets'>,
  sequence: number,
  word: SessionWord,
): Result<null, DialogueError> {
  if (!equalBytes(word.id, secrets.sessionId)) return dialogueFault('card.exchangeForged', null, 'session id');
  if (word.sequence <= sequence) return dialogueFault('card.exchangeForged', null, 'session sequence');
  switch (word.status) {
    case 0x01:
      return ok(null);
    case 0x08:
    case 0x09:
      return dialogueFault('pass.walletBusy', null, `session status ${word.status}`);
    case 0x05:
    case 0x06:
      return dialogueFault('pass.refusedTerminal', null, `session status ${word.status}`);
    default:
      return dialogueFault('card.unreadable', null, `session status ${word.status}`);
  }
}

/** Selects Smart Tap itself. @returns the device's nonce, or `card.noApplication`, `input.…` */
export function selectSmartTap(): Dialogue<Bytes> {
  const send = encodeCommand({ cla: 0, ins: 0xa4, p1: 4, p2: 0, data: smartTapAid, answerBytesMax: 256 });
  return {
    send,
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return failDecoding(split.error, 0);
      const { data, status: word } = split.value;
      if (word !== status.done) return fail('card.noApplication', word, statusText(word));
      const nonce = decodeSmartTapSelected(data);
      return nonce.ok ? { end: nonce } : failDecoding(nonce.error, word);
    },
  };
}

/** The one dialogue behind the other. */
function then<A, B>(first: Dialogue<A>, second: (value: A) => Dialogue<B>): Dialogue<B> {
  if (!('end' in first)) return { send: first.send, next: (answer) => then(first.next(answer), second) };
  return first.end.ok ? second(first.end.value) : { end: first.end };
}

/**
 * Reads the passes after a selection that said `google`. `deviceNonce` is from there; null selects Smart Tap itself first.
 * @returns the service objects (never empty), or `pass.none`, `pass.mustChoose`, `pass.walletBusy` (after one retry),
 * `pass.refusedTerminal`, `pass.forged`, `card.exchangeForged` (session, sequence, a key off the curve), `input.…`
 */
export function readServiceObjects(
  request: SmartTapRequest,
  deviceNonce: Bytes | null,
): Dialogue<readonly ServiceObject[]> {
  if (deviceNonce === null) return then(selectSmartTap(), (nonce) => readServiceObjects(request, nonce));
  const { crypto, collector, secrets } = request;
  const signed = signedBytes(secrets, deviceNonce, collector.collectorId);
  const signature = crypto.signP256(collector.privateKey, signed);
  const openerFor = (deviceKey: Bytes) => {
    const keys = channelKeys(crypto, secrets, deviceKey, signed, signature);
    return keys && ((bundle: Bytes) => openServiceObjects(crypto, keys, bundle));
  };
  return negotiate({ ...request, signature, openerFor }, 0);
}

/**
 * Gathers the sealed bundle of a session that the host has signed, after a selection that gave the nonce it signed.
 * @returns what the host opens, or what readServiceObjects fails with where no key is needed to see it; `input.tooLong` also
 * for a bundle that no record would hold
 */
export function holdServiceObjects(request: HeldRequest): Dialogue<HeldBundle> {
  const openerFor = (deviceKey: Bytes) => (bundle: Bytes) =>
    bundle.length > heldBundleBytesMax
      ? dialogueFault('input.tooLong', null, 'record bundle to hold back')
      : ok({ deviceKey, bundle });
  return negotiate({ ...request, openerFor }, 0);
}

/**
 * The passes in a bundle under its channel's keys, whoever opens it.
 * @returns never none; or `pass.none`, `pass.forged`, `input.…`
 */
export function openServiceObjects(
  crypto: SmartTapCrypto,
  keys: ChannelKeys,
  bundle: Bytes,
): Result<readonly ServiceObject[], DialogueError> {
  const message = openBundle(crypto, keys, bundle);
  if (!message.ok) return message;
  const objects = decodeServiceObjects(message.value);
  if (!objects.ok)
    return dialogueFault(objects.error.code, status.done, `byte ${objects.error.offset}: ${objects.error.detail}`);
  return objects.value.length > 0 ? objects : dialogueFault('pass.none', status.done, 'no service object');
}

function negotiate<T>(session: Session<T>, retries: number): Dialogue<T> {
  const { collector, secrets, signature } = session;
  const sequence = firstSequence + retries * retryStep;
  return {
    send: command(instruction.negotiate, encodeNegotiate(secrets, collector, signature, sequence)),
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return failDecoding(split.error, 0);
      const { data, status: word } = split.value;
      if (asksAgain(word) && retries < retriesMax) return negotiate(session, retries + 1);
      if (word !== status.done && word !== status.preSigned) return refusal(word);
      const negotiated = decodeNegotiateAnswer(data);
      if (!negotiated.ok) return failDecoding(negotiated.error, word);
      const { session: said, deviceKey } = negotiated.value;
      const checked = checkSession(session, sequence, said);
      if (!checked.ok) return { end: checked };
      const opener = session.openerFor(deviceKey);
      if (!opener) return fail('card.exchangeForged', word, 'device key off the curve');
      return get(session, opener, said.sequence + 1, 0);
    },
  };
}

type Opener<T> = (bundle: Bytes) => Result<T, DialogueError>;

function get<T>(session: Session<T>, opener: Opener<T>, sequence: number, retries: number): Dialogue<T> {
  if (sequence > 0xff) return fail('card.exchangeForged', null, 'session sequence');
  const { collector, secrets, wanted } = session;
  const data = encodeServiceRequest(secrets.sessionId, sequence, collector.collectorId, wanted);
  return gather(session, opener, { sequence, retries }, command(instruction.get, data), []);
}

interface Asked {
  readonly sequence: number;
  readonly retries: number;
}
function gather<T>(
  session: Session<T>,
  opener: Opener<T>,
  asked: Asked,
  send: Bytes,
  parts: readonly Bytes[],
): Dialogue<T> {
  return {
    send,
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return failDecoding(split.error, 0);
      const { data, status: word } = split.value;
      if (asksAgain(word) && parts.length === 0 && asked.retries < retriesMax)
        return get(session, opener, asked.sequence + retryStep, asked.retries + 1);
      const isMore = word === status.moreData;
      if (!isMore && word !== status.done && word !== status.preSigned) return refusal(word);
      const all = [...parts, data];
      const bytes = all.reduce((sum, part) => sum + part.length, 0);
      if (bytes > answerBytesMax || all.length > partsMax) return fail('input.tooLong', word, 'answer in parts');
      if (isMore) return gather(session, opener, asked, command(instruction.more, new Uint8Array(0)), all);
      return finish(session, opener, asked.sequence, concat(...all));
    },
  };
}

function finish<T>(session: Session<T>, opener: Opener<T>, sequence: number, data: Bytes): Dialogue<T> {
  const answer = decodeServiceAnswer(data);
  if (!answer.ok) return failDecoding(answer.error, status.done);
  const { session: said, bundle } = answer.value;
  const checked = checkSession(session, sequence, said);
  if (!checked.ok) return { end: checked };
  return bundle ? { end: opener(bundle) } : fail('pass.none', status.done, 'no bundle');
}
