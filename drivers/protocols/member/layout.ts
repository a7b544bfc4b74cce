/**
 * Layout of the member application: identifiers, lengths, instruction bytes and key derivation labels, in one place.
 * The outsider's text of the same is docs/protocols/phone.md. Pure constants and the context's encoding.
 */
import { type Bytes, concat, hex, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert } from '../../../terminal/kernel/result.js';

/** A merchant as phones know it: 1 to 16 ASCII letters and digits. */
export const merchantIdPattern = /^[0-9A-Za-z]{1,16}$/;

/** What every application identifier begins with, proprietary class (ISO/IEC 7816-5 §8.2.1.4): F0 "SHOULI" 01. */
const applicationFamily = hex('f053484f554c4901');
const merchantTagBytes = 8;

/** What stands for a merchant where every byte counts: the first 8 bytes of SHA-256("shouli merchant 1 " ‖ merchantId). */
export function merchantTag(crypto: Pick<Crypto, 'sha256'>, merchantId: string): Bytes {
  assert(merchantIdPattern.test(merchantId), 'a merchant id has its form');
  return crypto.sha256(utf8(`shouli merchant 1 ${merchantId}`)).slice(0, merchantTagBytes);
}

/**
 * The application identifier of one merchant's membership, 16 bytes (the longest that ISO/IEC 7816-4 §8.2.1.2 allows): the
 * family ‖ the merchant's tag. A merchant id out of its form is a bug and throws.
 */
export const applicationIdOf = (crypto: Pick<Crypto, 'sha256'>, merchantId: string): Bytes =>
  concat(applicationFamily, merchantTag(crypto, merchantId));
export const applicationVersion = 1;

/** Instructions. Class 80 plain, class 84 under secure messaging. */
export const instruction = {
  present: 0x10,
  mutual: 0x12,
  sign: 0x14,
  readRecords: 0x20,
  writeSlot: 0x30,
  result: 0x40,
} as const;
/** P1 of PRESENT and the key named in a proof. */
export const keySelector = { member: 0x00, card: 0x01 } as const;
export type KeyName = keyof typeof keySelector;

export const nonceBytes = 16;
export const keyIdBytes = 8;
export const contextBytes = 40;
export const proofBytes = 16;
export const recordBytes = 96;
/** SELECT answer: version(1) flags(1) memberKeyId(8) cardKeyId(8, zeros without a card record) phoneNonce(16). */
export const selectAnswerBytes = 34;
export const flagHasCardRecord = 0x01;

/** What the phone is asked to prove for: one letter in the context, shown to the member where there is a screen. */
export const operationByte = {
  earn: 0x45, // 'E'
  spend: 0x53, // 'S'
  coupon: 0x43, // 'C'
  cardDebit: 0x44, // 'D'
  cardCredit: 0x52, // 'R'
  identify: 0x49, // 'I'
  topUp: 0x54, // 'T'
  inquire: 0x51, // 'Q'
} as const;
export type Operation = keyof typeof operationByte;

export interface PresentationContext {
  /** 16 bytes of the transaction's UUID. */
  readonly transactionId: Bytes;
  /** The 6 bytes behind `t-`. */
  readonly terminal: Bytes;
  readonly operation: Operation;
  readonly amountMinor: number;
  /** ISO 4217 letters. */
  readonly currency: string;
  readonly points: number;
}

/** What a phone proves for when it asks what it may spend, beside an id of its own: nothing is sold, in no currency (ISO 4217). */
export const inquiryShown = { operation: 'inquire', amountMinor: 0, currency: 'XXX', points: 0 } as const;

/** 40 bytes: transaction(16) terminal(6) operation(1) amount(6) currency(3) points(6) zeros(2). */
export function encodeContext(context: PresentationContext): Bytes {
  return concat(
    context.transactionId,
    context.terminal,
    uintBE(operationByte[context.operation], 1),
    uintBE(context.amountMinor, 6),
    utf8(context.currency),
    uintBE(context.points, 6),
    new Uint8Array(2),
  );
}

/** Class bytes: plain, and under secure messaging. */
export const plainClass = 0x80;
export const secureClass = 0x84;
/** Most command and answer pairs in one secure session; then a new SELECT is needed. */
export const secureMessagesMax = 256;

/** Status words of the application (ISO/IEC 7816-4 §5.6), named by what they say here. */
export const statusWord = {
  done: 0x9000,
  wrongLength: 0x6700,
  notAuthenticated: 0x6982,
  counterUsedUp: 0x6983,
  outOfOrder: 0x6985,
  secureMessagingBroken: 0x6988,
  wrongData: 0x6a80,
  noApplication: 0x6a82,
  noCardRecord: 0x6a83,
  wrongParameters: 0x6a86,
  noSuchKey: 0x6a88,
  unknownInstruction: 0x6d00,
  unknownClass: 0x6e00,
} as const;

/** RESULT's first byte. */
export const resultOutcome = { accepted: 0x00, refused: 0x01, unknown: 0x02 } as const;
export type ResultOutcome = keyof typeof resultOutcome;
/** Longest text of a RESULT in bytes of UTF-8. */
export const resultTextBytesMax = 48;

/** Labels of key derivation and proofs: the first byte of each CMAC input keeps them apart. */
export const label = {
  encryptionKey: 0x01,
  macKey: 0x02,
  cardKey: 0x03,
  recordKey: 0x04,
  issueEncryptionKey: 0x05,
  issueMacKey: 0x06,
  localKey: 0x07,
  packageEncryptionKey: 0x08,
  packageMacKey: 0x09,
  issueMac: 0x49,
  packageMac: 0x6d,
  packagePartMac: 0x70,
  packageHave: 0x48,
  packageKept: 0x4b,
  packageNeed: 0x4e,
  phoneProof: 0x50,
  localProof: 0x55,
  phoneConfirm: 0x51,
  terminalProof: 0x54,
  secureCommand: 0x43,
  secureAnswer: 0x52,
} as const;
