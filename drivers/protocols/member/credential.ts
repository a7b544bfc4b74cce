/**
 * The phone's credential: who a phone is by a merchant's P-256 signature, and what the phone signs at a tap with the key that the
 * credential names, for a box that cannot ask its host. docs/protocols/phone.md, "The credential". Pure; must not read a clock.
 */
import { ByteReader, type Bytes, concat, equalBytes, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, type DecodeError, decodeError, err, ok, type Result } from '../../../terminal/kernel/result.js';
import { keyIdBytes, merchantTag, proofBytes } from './layout.js';
import { type Transcript, transcriptBytes } from './proof.js';

/** ECDSA P-256 with SHA-256 as r ‖ s. */
export const signatureBytes = 64;
/** version(1) tag(8) memberKeyId(8) publicKey(33) notBefore(2) notAfter(2) uses(1) cardKeyId(8). */
const unsignedBytes = 63;
export const credentialBytes = unsignedBytes + signatureBytes;
const credentialVersion = 1;
const publicKeyBytes = 33;
/** Days since 1970-01-01 UTC: to 2149. */
export const dayMax = 0xffff;
const dayMs = 86_400_000;
/** The UTC day of a time, counted from 1970-01-01. */
export const dayOf = (atMs: number): number => Math.floor(atMs / dayMs);

/**
 * What a credential is good for, as bits. hostHeld: spend what the host holds, out of a box's slice or on a floor limit. card: pay
 * from the card that it names.
 */
export const credentialUse = { hostHeld: 0x01, card: 0x02 } as const;
export type CredentialUse = keyof typeof credentialUse;
const usesMax = credentialUse.hostHeld | credentialUse.card;

export interface PhoneCredential {
  /** merchantTag of the membership's merchant, 8 bytes. */
  readonly merchantTag: Bytes;
  readonly memberKeyId: Bytes;
  /** The phone's own, compressed. */
  readonly publicKey: Bytes;
  /** The first and the last UTC day on which it counts, 0…dayMax. */
  readonly firstDay: number;
  readonly lastDay: number;
  /** Bits of credentialUse. */
  readonly uses: number;
  /** The one card that it may pay from; null: none. */
  readonly cardKeyId: Bytes | null;
}

const noCard = new Uint8Array(keyIdBytes);

/** The 63 bytes that a signature follows. Values out of their range are a bug of the caller and throw. */
export function encodeUnsigned(credential: PhoneCredential): Bytes {
  const { merchantTag: tag, memberKeyId, publicKey, firstDay, lastDay, uses, cardKeyId } = credential;
  assert(tag.length === keyIdBytes && memberKeyId.length === keyIdBytes, 'tag and key id have their lengths');
  assert(publicKey.length === publicKeyBytes, 'a compressed public key has 33 bytes');
  assert(firstDay <= lastDay && lastDay <= dayMax && uses <= usesMax, 'days and uses are in range');
  assert((cardKeyId !== null) === ((uses & credentialUse.card) !== 0), 'a card is named where one may be used');
  const days = concat(uintBE(firstDay, 2), uintBE(lastDay, 2));
  const head = concat(uintBE(credentialVersion, 1), tag, memberKeyId, publicKey);
  return concat(head, days, uintBE(uses, 1), cardKeyId ?? noCard);
}

/** What the merchant signs. */
export const credentialSignedBytes = (unsigned: Bytes): Bytes => concat(utf8('shouli credential 1 '), unsigned);

/**
 * Reads a credential of 127 bytes; its signature is not verified here.
 * @returns it and its signature, or `input.truncated`, `input.tooLong`, `input.unsupported` (version), `input.malformed`
 */
export function decodeCredential(
  bytes: Bytes,
): Result<{ readonly credential: PhoneCredential; readonly signature: Bytes }, DecodeError> {
  if (bytes.length < credentialBytes) return decodeError('input.truncated', bytes.length, 'credential');
  if (bytes.length > credentialBytes) return decodeError('input.tooLong', credentialBytes, 'credential');
  if (bytes[0] !== credentialVersion) return decodeError('input.unsupported', 0, `credential version ${bytes[0]}`);
  const daysAt = 1 + 2 * keyIdBytes + publicKeyBytes;
  const reader = new ByteReader(bytes.subarray(daysAt));
  const [firstDay, lastDay, uses] = [reader.uint(2), reader.uint(2), reader.uint(1)];
  if (!firstDay.ok || !lastDay.ok || !uses.ok) return decodeError('input.truncated', daysAt, 'days');
  if (firstDay.value > lastDay.value) return decodeError('input.malformed', daysAt, 'it ends before it begins');
  const cardAt = daysAt + 5;
  const card = bytes.slice(cardAt, unsignedBytes);
  const mayCard = (uses.value & credentialUse.card) !== 0;
  if (uses.value > usesMax) return decodeError('input.malformed', cardAt - 1, 'unknown uses');
  if (mayCard === equalBytes(card, noCard)) return decodeError('input.malformed', cardAt, 'card and uses do not agree');
  const credential = {
    merchantTag: bytes.slice(1, 1 + keyIdBytes),
    memberKeyId: bytes.slice(1 + keyIdBytes, 1 + 2 * keyIdBytes),
    publicKey: bytes.slice(1 + 2 * keyIdBytes, daysAt),
    firstDay: firstDay.value,
    lastDay: lastDay.value,
    uses: uses.value,
    cardKeyId: mayCard ? card : null,
  };
  return ok({ credential, signature: bytes.slice(unsignedBytes) });
}

/** What the phone signs at a tap: all that was said, and its proof, so that nobody puts another proof in that one's place. */
export const tapSignedBytes = (transcript: Transcript, proof: Bytes): Bytes => {
  assert(proof.length === proofBytes, 'a proof has its length');
  return concat(utf8('shouli tap 1 '), transcriptBytes(transcript), proof);
};

/** What the phone answers to SIGN: 127 bytes and 64. */
export interface SignedTap {
  readonly credential: Bytes;
  readonly signature: Bytes;
}

/** What a tap's credential is held against. */
export interface CredentialQuestion {
  /** The host's credential key, compressed. */
  readonly signer: Bytes;
  /** Whose membership was selected, and the key id that the phone named for it. */
  readonly merchantId: string;
  readonly memberKeyId: Bytes;
  readonly transcript: Transcript;
  readonly proof: Bytes;
  readonly use: CredentialUse;
  /** The box's time, one that it trusts. */
  readonly nowMs: number;
}

/**
 * Did the holder of a good credential sign this very tap?
 * @returns null: yes. `credential.forged`: not by this merchant for this membership, or not a credential. `credential.outOfTime`.
 * `credential.tooWeak`: not for this use or card. `credential.wrongProof`: the tap's signature is not by the key that it names.
 */
export function judgeSignedTap(
  crypto: Pick<Crypto, 'sha256' | 'verifyP256'>,
  { credential: bytes, signature }: SignedTap,
  question: CredentialQuestion,
): Result<
  PhoneCredential,
  'credential.forged' | 'credential.outOfTime' | 'credential.tooWeak' | 'credential.wrongProof'
> {
  const decoded = decodeCredential(bytes);
  if (!decoded.ok) return err('credential.forged');
  const { credential, signature: bySigner } = decoded.value;
  const { signer, merchantId, memberKeyId, transcript, proof, use, nowMs } = question;
  const isOurs =
    crypto.verifyP256(signer, credentialSignedBytes(bytes.slice(0, unsignedBytes)), bySigner) &&
    equalBytes(credential.merchantTag, merchantTag(crypto, merchantId)) &&
    equalBytes(credential.memberKeyId, memberKeyId);
  if (!isOurs) return err('credential.forged');
  const today = dayOf(nowMs);
  if (today < credential.firstDay || today > credential.lastDay) return err('credential.outOfTime');
  const isFor =
    (credential.uses & credentialUse[use]) !== 0 &&
    (use !== 'card' || (credential.cardKeyId !== null && equalBytes(credential.cardKeyId, transcript.keyId)));
  if (!isFor) return err('credential.tooWeak');
  if (!crypto.verifyP256(credential.publicKey, tapSignedBytes(transcript, proof), signature))
    return err('credential.wrongProof');
  return ok(credential);
}
