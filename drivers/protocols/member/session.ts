/**
 * The terminal's side of a tap: one function makes each command, one reads its answer (docs/protocols/phone.md).
 * Pure, sans-I/O; the caller moves the bytes. Must not decide what is sold, nor hold a key longer than a value lives.
 *
 * Order: SELECT → PRESENT → (SIGN) → [MUTUAL → (READ RECORDS | WRITE SLOT)* → RESULT]; what stands in brackets needs a grant; SIGN is for a box without its host.
 */
import { ByteReader, type Bytes, concat, equalBytes, hex, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import type { ErrorCode } from '../../../terminal/kernel/errors.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, err, ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinorMax, pointsMax } from '../../../terminal/kernel/units.js';
import { encodeCommand, splitAnswer } from './apdu.js';
import { credentialBytes, type SignedTap, signatureBytes } from './credential.js';
import {
  applicationIdOf,
  applicationVersion,
  contextBytes,
  flagHasCardRecord,
  instruction,
  type KeyName,
  keyIdBytes,
  keySelector,
  nonceBytes,
  plainClass,
  proofBytes,
  type ResultOutcome,
  recordBytes,
  resultOutcome,
  resultTextBytesMax,
  selectAnswerBytes,
  statusWord,
} from './layout.js';
import { type Grant, phoneConfirm, type Transcript } from './proof.js';
import {
  newSecureChannel,
  openAnswer,
  type PendingAnswer,
  type SecureAnswer,
  type SecureChannel,
  sealCommand,
} from './secure-messaging.js';

type SessionCrypto = Pick<Crypto, 'aesCmac' | 'aesCbcEncrypt' | 'aesCbcDecrypt'>;

/** Why an answer was not what the step needs. `code` is a row of the error table; `detail` holds no byte of the exchange. */
export interface AnswerError {
  readonly code: ErrorCode;
  /** The phone's status word; null when the answer was wrong in another way. */
  readonly status: number | null;
  readonly detail: string;
  /** Set when the phone refused within the session: it goes on from here. null: the session, if any, is over. */
  readonly channel: SecureChannel | null;
}

const fault = (code: ErrorCode, status: number | null, detail: string, channel: SecureChannel | null = null) =>
  err<AnswerError>({ code, status, detail, channel });

/** What each status word means to the sale. Everything else is an unreadable card: tap again. */
const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  [statusWord.noApplication]: 'card.noApplication',
  [statusWord.notAuthenticated]: 'card.refusedTerminal',
  [statusWord.counterUsedUp]: 'credential.blocked',
  [statusWord.noCardRecord]: 'card.absent',
  [statusWord.noSuchKey]: 'card.absent',
  [statusWord.outOfOrder]: 'card.unreadable',
  [statusWord.secureMessagingBroken]: 'card.exchangeForged',
};
const refusedWith = (status: number, channel: SecureChannel | null = null) =>
  fault(
    codeOfStatus[status] ?? 'card.unreadable',
    status,
    `status ${status.toString(16).padStart(4, '0').toUpperCase()}`,
    channel,
  );

/** The data of a plain answer with status 9000 and exactly `length` bytes. */
function plainData(answer: Bytes, length: number): Result<Bytes, AnswerError> {
  const split = splitAnswer(answer);
  if (!split.ok) return fault(split.error.code, null, split.error.detail);
  const { data, status } = split.value;
  if (status !== statusWord.done) return refusedWith(status);
  if (data.length < length) return fault('input.truncated', status, `${length} bytes wanted, ${data.length} came`);
  if (data.length > length) return fault('input.tooLong', status, `${length} bytes wanted, ${data.length} came`);
  return ok(data);
}

/** What the phone said of itself in SELECT. */
export interface Selected {
  /** It carries a card-held coupon: a card key and two record slots. */
  readonly hasCardRecord: boolean;
  readonly memberKeyId: Bytes;
  /** null where `hasCardRecord` is false. */
  readonly cardKeyId: Bytes | null;
  /** Good for one PRESENT. */
  readonly phoneNonce: Bytes;
}

/** SELECT by name of one merchant's membership: 00 A4 04 00 10 AID(16) 00 (ISO/IEC 7816-4 §11.1.1). */
export const selectCommand = (crypto: Pick<Crypto, 'sha256'>, merchantId: string): Bytes =>
  encodeCommand({
    cla: 0x00,
    ins: 0xa4,
    p1: 0x04,
    p2: 0x00,
    data: applicationIdOf(crypto, merchantId),
    answerBytesMax: 256,
  });

/** @returns what the phone said, or `card.noApplication`, `input.unsupported` (version), another code of the mapping. */
export function decodeSelectAnswer(answer: Bytes): Result<Selected, AnswerError> {
  const data = plainData(answer, selectAnswerBytes);
  if (!data.ok) return data;
  const [version = 0, flags = 0] = data.value;
  if (version !== applicationVersion)
    return fault('input.unsupported', statusWord.done, `application version ${version}`);
  const hasCardRecord = (flags & flagHasCardRecord) !== 0;
  const idsAt = 2;
  const noncesAt = idsAt + 2 * keyIdBytes;
  return ok({
    hasCardRecord,
    memberKeyId: data.value.slice(idsAt, idsAt + keyIdBytes),
    cardKeyId: hasCardRecord ? data.value.slice(idsAt + keyIdBytes, noncesAt) : null,
    phoneNonce: data.value.slice(noncesAt, noncesAt + nonceBytes),
  });
}

/** The id of the key that PRESENT would use; null where the phone has no such key. */
export const keyIdOf = (selected: Selected, key: KeyName): Bytes | null =>
  key === 'member' ? selected.memberKeyId : selected.cardKeyId;

/** What the phone proved. */
export interface Presented {
  /** The phone's use counter, 1…2^32−1; it rises at every PRESENT. */
  readonly counter: number;
  readonly proof: Bytes;
  /** For a box that holds the key's local form and cannot reach its host. */
  readonly localProof: Bytes;
}

/** Use counter, proof, local proof. */
const presentAnswerBytes = 4 + 2 * proofBytes;

/** PRESENT: 80 10 key 00 38 terminalNonce(16) context(40) 24. `context` is encodeContext's. */
export function presentCommand(key: KeyName, terminalNonce: Bytes, context: Bytes): Bytes {
  assert(
    terminalNonce.length === nonceBytes && context.length === contextBytes,
    'nonce and context have their lengths',
  );
  const data = concat(terminalNonce, context);
  const p1 = keySelector[key];
  return encodeCommand({
    cla: plainClass,
    ins: instruction.present,
    p1,
    p2: 0,
    data,
    answerBytesMax: presentAnswerBytes,
  });
}

/** @returns counter and proofs, or `card.absent` (no such key), `card.unreadable` (select again), … */
export function decodePresentAnswer(answer: Bytes): Result<Presented, AnswerError> {
  const data = plainData(answer, presentAnswerBytes);
  if (!data.ok) return data;
  const reader = new ByteReader(data.value);
  const counter = reader.uint(4);
  if (!counter.ok || counter.value === 0)
    return fault('input.outOfRange', statusWord.done, 'a use counter starts at 1');
  const proofsAt = 4;
  return ok({
    counter: counter.value,
    proof: data.value.slice(proofsAt, proofsAt + proofBytes),
    localProof: data.value.slice(proofsAt + proofBytes),
  });
}

/** SIGN: 80 14 00 00 00: the phone's credential, and its signature over this tap. */
export const signCommand = (): Bytes =>
  encodeCommand({
    ...{ cla: plainClass, ins: instruction.sign, p1: 0, p2: 0, data: new Uint8Array(0) },
    answerBytesMax: 256,
  });

/** @returns credential and signature, unverified, or `credential.missing` (the phone has none, or knows no SIGN), `card.unreadable`, … */
export function decodeSignAnswer(answer: Bytes): Result<SignedTap, AnswerError> {
  const data = plainData(answer, credentialBytes + signatureBytes);
  if (data.ok)
    return ok({ credential: data.value.slice(0, credentialBytes), signature: data.value.slice(credentialBytes) });
  const { status, detail } = data.error;
  const hasNone = status === statusWord.noSuchKey || status === statusWord.unknownInstruction;
  return hasNone ? fault('credential.missing', status, detail) : data;
}

/** All that both sides have said so far: what proofs and session keys are made over. The phone must have that key. */
export function transcriptOf(
  selected: Selected,
  presented: Presented,
  asked: { readonly key: KeyName; readonly terminalNonce: Bytes; readonly context: Bytes },
): Transcript {
  const keyId = keyIdOf(selected, asked.key);
  assert(keyId !== null, 'the phone has the key that was asked for');
  return { ...asked, keyId, phoneNonce: selected.phoneNonce, counter: presented.counter };
}

/** The host's session grant, as it travels (lower-case hex, checked by its schema), as bytes. */
export const grantFromHex = (grant: {
  readonly terminalProof: string;
  readonly encryptionKey: string;
  readonly macKey: string;
}): Grant => ({
  terminalProof: hex(grant.terminalProof),
  keys: { encryptionKey: hex(grant.encryptionKey), macKey: hex(grant.macKey) },
});

/** MUTUAL: 80 12 00 00 10 terminalProof(16) 10. */
export function mutualCommand(grant: Grant): Bytes {
  assert(grant.terminalProof.length === proofBytes, 'a terminal proof has 16 bytes');
  const answerBytesMax = proofBytes;
  return encodeCommand({
    cla: plainClass,
    ins: instruction.mutual,
    p1: 0,
    p2: 0,
    data: grant.terminalProof,
    answerBytesMax,
  });
}

/**
 * Verifies the phone's confirmation and opens the secure session.
 * @returns the channel, or `card.refusedTerminal`, `credential.wrongProof` (the phone does not hold the session keys), …
 */
export function openSession(
  crypto: SessionCrypto,
  grant: Grant,
  transcript: Transcript,
  answer: Bytes,
): Result<SecureChannel, AnswerError> {
  const data = plainData(answer, proofBytes);
  if (!data.ok) return data;
  if (!equalBytes(phoneConfirm(crypto, grant.keys.macKey, transcript), data.value))
    return fault('credential.wrongProof', statusWord.done, 'confirmation');
  return ok(newSecureChannel(grant.keys));
}

/** A command to send and the half-open session that its answer completes. */
export interface SealedStep {
  readonly command: Bytes;
  readonly pending: PendingAnswer;
}

/** Opens an answer and asks for status 9000. A refusal inside the session leaves the session usable (`error.channel`). */
function secureData(crypto: SessionCrypto, pending: PendingAnswer, answer: Bytes): Result<SecureAnswer, AnswerError> {
  const opened = openAnswer(crypto, pending, answer);
  if (!opened.ok) {
    const { code, status, detail } = opened.error;
    // A bare status word is not authenticated, so it only explains why the session is over.
    return status === null || status === statusWord.done ? fault(code, status, detail) : refusedWith(status);
  }
  const { status, channel } = opened.value;
  return status === statusWord.done ? opened : refusedWith(status, channel);
}

const noData = new Uint8Array(0);

/** READ RECORDS: both slots of the card record. */
export const readRecordsCommand = (crypto: SessionCrypto, channel: SecureChannel): SealedStep =>
  sealCommand(crypto, channel, { ins: instruction.readRecords, p1: 0, p2: 0, data: noData });

/** The two slots of 96 bytes, whole or torn: the record's own MAC tells (card-record.ts). */
export interface RecordsRead {
  readonly slots: readonly [Bytes, Bytes];
  readonly channel: SecureChannel;
}

/** @returns both slots and the next channel, or `card.absent`, `card.exchangeForged`, … */
export function decodeRecordsAnswer(
  crypto: SessionCrypto,
  pending: PendingAnswer,
  answer: Bytes,
): Result<RecordsRead, AnswerError> {
  const opened = secureData(crypto, pending, answer);
  if (!opened.ok) return opened;
  const { data, channel, status } = opened.value;
  if (data.length !== 2 * recordBytes)
    return fault(data.length < 2 * recordBytes ? 'input.truncated' : 'input.tooLong', status, 'two slots', channel);
  return ok({ slots: [data.slice(0, recordBytes), data.slice(recordBytes)], channel });
}

/** WRITE SLOT: stores 96 bytes in slot 0 or 1. Without its good answer nobody knows: read the records again. */
export function writeSlotCommand(
  crypto: SessionCrypto,
  channel: SecureChannel,
  slot: 0 | 1,
  record: Bytes,
): SealedStep {
  assert(record.length === recordBytes, 'a record has 96 bytes');
  return sealCommand(crypto, channel, { ins: instruction.writeSlot, p1: slot, p2: 0, data: record });
}

/** What the member is told at the end: outcome, balances (null: not known, never zero in its place) and a short text. */
export interface TapResult {
  readonly outcome: ResultOutcome;
  readonly points: number | null;
  readonly couponMinor: number | null;
  /** ISO 4217 letters of the coupon's balance; null where that is null. */
  readonly currency: string | null;
  /** Cut at the last whole character within 48 bytes of UTF-8. */
  readonly text: string;
}

const unknownBalance = new Uint8Array(6).fill(0xff);
const balanceBytes = (balance: number | null, max: number): Bytes => {
  assert(balance === null || balance <= max, 'a balance is in its range');
  return balance === null ? unknownBalance : uintBE(balance, 6);
};

/** The longest whole-character start of the text within resultTextBytesMax bytes of UTF-8. */
function cutText(text: string): Bytes {
  let cut: Bytes = noData;
  for (const character of text) {
    const longer = concat(cut, utf8(character));
    if (longer.length > resultTextBytesMax) break;
    cut = longer;
  }
  return cut;
}

/** RESULT's plaintext: outcome(1) points(6) couponBalance(6) currency(3) textLength(1) text(0…48). */
export function encodeResult(result: TapResult): Bytes {
  const text = cutText(result.text);
  assert(result.currency === null || /^[A-Z]{3}$/.test(result.currency), 'a currency has three letters');
  return concat(
    uintBE(resultOutcome[result.outcome], 1),
    balanceBytes(result.points, pointsMax),
    balanceBytes(result.couponMinor, amountMinorMax),
    result.currency === null ? new Uint8Array(3) : utf8(result.currency),
    uintBE(text.length, 1),
    text,
  );
}

/** RESULT: the last step; what the phone shows its owner. */
export const resultCommand = (crypto: SessionCrypto, channel: SecureChannel, result: TapResult): SealedStep =>
  sealCommand(crypto, channel, { ins: instruction.result, p1: 0, p2: 0, data: encodeResult(result) });

/** The answer of WRITE SLOT or RESULT: done. @returns the next channel, or `card.absent`, `card.exchangeForged`, … */
export function decodeDoneAnswer(
  crypto: SessionCrypto,
  pending: PendingAnswer,
  answer: Bytes,
): Result<SecureChannel, AnswerError> {
  const opened = secureData(crypto, pending, answer);
  if (!opened.ok) return opened;
  const { data, channel, status } = opened.value;
  return data.length === 0 ? ok(channel) : fault('input.tooLong', status, 'no data is expected', channel);
}
