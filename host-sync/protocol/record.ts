/**
 * Records: what a terminal tells the host, one immutable body each, with its identity and place in the chain.
 * Pure; shared by both ends. Must not know transport, storage or who decides.
 */
import { z } from 'zod';
import { type Bytes, concat, decodeUtf8, hex, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { parseJson } from '../../terminal/kernel/json.js';
import type { Crypto, TransactionId } from '../../terminal/kernel/ports.js';
import { type DecodeError, decodeError, ok, type Result } from '../../terminal/kernel/result.js';
import { amountMinorMax, currencies, pointsMax, quantityMax } from '../../terminal/kernel/units.js';
import { sessionTokenSchema } from './smart-tap.js';

export const protocolVersion = 1;
/** A stored body is at most this many bytes of UTF-8. */
export const bodyBytesMax = 65_536;
export const billLinesMax = 500;

const hexOf = (bytes: number) =>
  z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`), `${bytes} bytes in lower-case hex`);
export const transactionIdSchema = z
  .string()
  .regex(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/, 'a UUID version 7')
  .transform((id) => id as TransactionId);
export const amountSchema = z.int().min(0).max(amountMinorMax);
export const pointsSchema = z.int().min(0).max(pointsMax);
export const currencySchema = z.enum(Object.keys(currencies) as [keyof typeof currencies]);
/** Text that people read: 1…lengthMax characters, no control characters. */
export const plainText = (lengthMax: number) =>
  z
    .string()
    .min(1)
    .max(lengthMax)
    .regex(/^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$/, 'no control characters');
export const terminalIdSchema = z.string().regex(/^t-[0-9a-f]{12}$/);
export const productCodeSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,48}$/, '1 to 48 printable ASCII characters without spaces');
export const couponCodeSchema = z.string().regex(/^SLC[0-9]{13}$/);
export const memberCodeSchema = z.string().regex(/^SLM[0-9]{13}$/);
/** A rotating screen code: handle, one-time code, check digit (docs/protocols/screen-code.md). */
export const screenCodeSchema = z.string().regex(/^SLR[0-9]{18}$/);
/** A member's phone number, as it was registered; fewer digits are no member's. */
export const phoneNumberSchema = z.string().regex(/^\+?[0-9]{5,15}$/);
export const referenceSchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,64}$/, '1 to 64 printable ASCII characters without spaces');
export const clerkSchema = plainText(32);

export const billLineSchema = z.strictObject({
  /** The catalogue's product code, or null where the till sold something the catalogue does not know. */
  code: productCodeSchema.nullable(),
  name: plainText(120),
  quantity: z.int().min(1).max(quantityMax),
  unitPriceMinor: amountSchema,
  /** `override`: the till's own price, not the catalogue's. */
  priceSource: z.enum(['catalogue', 'override']),
  amountMinor: amountSchema,
});

export const billSchema = z.strictObject({
  currency: currencySchema,
  totalMinor: amountSchema,
  /** Empty where the clerk keyed a total only. */
  lines: z.array(billLineSchema).max(billLinesMax),
  /** The catalogue that priced the lines; null where none did. */
  catalogueVersion: z.int().min(0).nullable(),
});
export type Bill = z.infer<typeof billSchema>;

/** How the member was known, as evidence that the host checks. */
export const credentialSchema = z.discriminatedUnion('method', [
  z.strictObject({
    /** The member's phone or card over its own application (docs/protocols/phone.md). */
    method: z.literal('tap'),
    /** Which of its keys proved: the member's own, or the card key issued with a card-held coupon. */
    key: z.enum(['member', 'card']),
    keyId: hexOf(8),
    terminalNonce: hexOf(16),
    phoneNonce: hexOf(16),
    /** The phone's own use counter, covered by the proof; it must rise. */
    counter: z.int().min(1).max(0xffffffff),
    proof: hexOf(16),
  }),
  /** A member code from a screen or printed card: identifies, never spends points. */
  z.strictObject({ method: z.literal('memberCode'), code: memberCodeSchema }),
  /** A coupon's code from a screen: bears the coupon. */
  z.strictObject({ method: z.literal('couponCode'), code: couponCodeSchema }),
  /** A rotating code from the member's page: good for about a minute, once. */
  z.strictObject({ method: z.literal('screenCode'), code: screenCodeSchema }),
  /** A member's phone number, typed at the counter: anybody may know it. */
  z.strictObject({ method: z.literal('phoneNumber'), number: phoneNumberSchema }),
  z.strictObject({
    /** A pass in a phone's wallet that the box opened with the merchant's key (docs/decisions/wallet-passes.md). */
    method: z.literal('walletPass'),
    wallet: z.enum(['apple', 'google']),
    /** Names the pass; made of wallet, issuer and the pass's number. */
    passId: hexOf(8),
    /** Names this one answer of the phone: it counts once. */
    answer: hexOf(16),
    /** When the phone made it, by its own clock; null where the answer is bound to the box's own session instead. */
    answeredAtMs: z.int().min(0).nullable(),
  }),
  z.strictObject({
    /** A pass in Apple's wallet that the box could not open: the host holds the key. */
    method: z.literal('sealedPass'),
    /** The pass type id. */
    issuer: z.string().regex(/^[\x21-\x7e]{1,128}$/),
    answer: hexOf(16),
    /** The answer as the phone sent it, in hex. */
    sealed: z.string().regex(/^([0-9a-f]{2}){56,120}$/),
  }),
  z.strictObject({
    /** A pass in Google's wallet, out of a session that the host signed and alone can open (docs/protocols/smart-tap.md). */
    method: z.literal('sealedSmartTap'),
    answer: hexOf(16),
    /** The session's token, as the host gave it to this terminal. */
    token: sessionTokenSchema,
    /** The device's ephemeral key, compressed. */
    deviceKey: hexOf(33),
    /** The record bundle as the phone sent it, in hex. */
    bundle: z.string().regex(/^([0-9a-f]{2}){1,2048}$/),
  }),
  z.strictObject({
    /** A secure unique message: the address that an NTAG 424 gave at this tap, proved by the host alone (docs/protocols/tags.md). */
    method: z.literal('sunTag'),
    address: z.string().regex(/^[\x21-\x7e]{1,256}$/),
  }),
  /** The bare UID of a tag: identifies, proves nothing. Its id is made of the UID, which stays on the box. */
  z.strictObject({ method: z.literal('tagUid'), tagId: hexOf(8) }),
]);
export type Credential = z.infer<typeof credentialSchema>;
export type TapCredential = Extract<Credential, { method: 'tap' }>;
/** What a tag in the field gives: its message, the member code that is written on it, or its UID. */
export type TagCredential = Extract<Credential, { method: 'sunTag' | 'memberCode' | 'tagUid' }>;
/** A pass that was held back: only the host can open it. */
export type HeldPass = Extract<Credential, { method: 'sealedPass' | 'sealedSmartTap' }>;
export type PassCredential = Extract<Credential, { method: 'walletPass' }> | HeldPass;

/**
 * A scanned or typed code as a credential, by its first letters, or a typed phone number; null: it is none. Check digits are
 * not looked at. What a scanner read must be told from a product first: digits alone would pass for a phone number.
 */
export function credentialOfCode(code: string): Exclude<Credential, TapCredential> | null {
  if (phoneNumberSchema.safeParse(code).success) return { method: 'phoneNumber', number: code };
  if (code.startsWith('SLM')) return { method: 'memberCode', code };
  if (code.startsWith('SLC')) return { method: 'couponCode', code };
  return code.startsWith('SLR') ? { method: 'screenCode', code } : null;
}

const base = {
  version: z.literal(protocolVersion),
  transactionId: transactionIdSchema,
  terminalId: terminalIdSchema,
  epoch: z.int().min(1).max(0x7fffffff),
  sequence: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  atWallMs: z.int().min(0),
  /** True when the box could not trust its clock: the time is a lower bound at best. */
  clockDoubtful: z.boolean(),
  simulated: z.boolean(),
  clerk: clerkSchema,
};
const sale = {
  /** The till's own reference; null for a sale from console or command barcode. */
  reference: referenceSchema.nullable(),
  bill: billSchema,
};

/** A sale without a member, or whose member part was none: nothing moves, the host keeps it as a sale. */
const plainSaleSchema = z.strictObject({ ...base, kind: z.literal('plainSale'), ...sale });
/** Points earned on a bill. `points` is what the box computed by `rulesVersion`, or what the clerk typed (`typed`). */
const pointsEarnSchema = z.strictObject({
  ...base,
  kind: z.literal('pointsEarn'),
  ...sale,
  credential: credentialSchema,
  rulesVersion: z.int().min(0),
  points: pointsSchema,
  typed: z.boolean(),
});
/**
 * How the box decided a spend without the host: out of an allowance that it holds, or on the merchant's floor limit.
 * Absent: the host reserves, and a completion follows. Set: accepted for good at the counter, posted at once at the host.
 */
const offlineBase = {
  coveredMinor: z.int().min(1).max(amountMinorMax),
  /**
   * The phone's signature over this tap, r ‖ s, where the box verified the tap by its credential: by it the host holds the spend
   * against the member even if the proof is worthless. Absent: the box had none.
   */
  signature: hexOf(64).optional(),
};
export const offlineSchema = z.discriminatedUnion('by', [
  z.strictObject({ by: z.literal('allowance'), allowanceId: transactionIdSchema, ...offlineBase }),
  z.strictObject({ by: z.literal('floor'), ...offlineBase }),
]);
export type OfflineDecision = z.infer<typeof offlineSchema>;
/** Points pay `coveredMinor` of the bill; the rest is paid otherwise. Reserved at the host, posted by a completion. */
const pointsSpendSchema = z.strictObject({
  ...base,
  kind: z.literal('pointsSpend'),
  ...sale,
  credential: credentialSchema,
  rulesVersion: z.int().min(0),
  points: z.int().min(1).max(pointsMax),
  coveredMinor: amountSchema,
  offline: offlineSchema.optional(),
});
/** A host-held coupon pays for the eligible lines. Reserved at the host, posted by a completion. */
const couponDeductSchema = z.strictObject({
  ...base,
  kind: z.literal('couponDeduct'),
  ...sale,
  credential: credentialSchema,
  /** Which of the member's coupons; null lets the host take the only or oldest one that fits. */
  couponCode: couponCodeSchema.nullable(),
  /** May the coupon pay a part when its balance is below the price? */
  partial: z.boolean(),
  offline: offlineSchema.optional(),
});
/** Both slots of the card's record as read (docs/protocols/phone.md); whoever holds the record key tells which is current. */
export const cardSlotsSchema = hexOf(192);
/** One record to stand in one slot, authenticated by the host or by a site key on the box. */
export const cardWriteSchema = z.strictObject({ slot: z.union([z.literal(0), z.literal(1)]), record: hexOf(96) });
export type CardWrite = z.infer<typeof cardWriteSchema>;
/** A card-held coupon pays up to `amountMinor`, the price of what it may pay for. */
const cardDebitSchema = z.strictObject({
  ...base,
  kind: z.literal('cardDebit'),
  ...sale,
  credential: credentialSchema,
  partial: z.boolean(),
  amountMinor: z.int().min(1).max(amountMinorMax),
  slots: cardSlotsSchema,
  /** Set when a site key on the box authenticated it offline; null: the host is asked to. */
  write: cardWriteSchema.nullable(),
});
/** Gives a voided or refunded amount back to the card. Always authorised by the host. */
const cardCreditSchema = z.strictObject({
  ...base,
  kind: z.literal('cardCredit'),
  reference: referenceSchema.nullable(),
  credential: credentialSchema,
  original: transactionIdSchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
  slots: cardSlotsSchema,
});
/** A coupon as a clerk may name it: by its code, or by the last digits that a refusal listed. */
export const namedCouponSchema = z.string().regex(/^(SLC[0-9]{13}|[0-9]{4})$/, 'SLC and 13 digits, or the last 4');
/** Money is paid in for a host-held coupon. Reserved at the host, posted by a completion; without the host it is not made. */
const topUpSchema = z.strictObject({
  ...base,
  kind: z.literal('topUp'),
  reference: referenceSchema.nullable(),
  credential: credentialSchema,
  /** Which of the member's coupons; null: the only one that can be topped up. */
  coupon: namedCouponSchema.nullable(),
  currency: currencySchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
});
/** Money is paid in for the coupon on the card: its record is written. Always authorised by the host. */
const cardTopUpSchema = z.strictObject({
  ...base,
  kind: z.literal('cardTopUp'),
  reference: referenceSchema.nullable(),
  credential: credentialSchema,
  currency: currencySchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
  slots: cardSlotsSchema,
});
/** A whole top-up of a card is taken from it again and its money paid back. Always authorised by the host. */
const cardTopUpVoidSchema = z.strictObject({
  ...base,
  kind: z.literal('cardTopUpVoid'),
  reference: referenceSchema.nullable(),
  credential: credentialSchema,
  original: transactionIdSchema,
  currency: currencySchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
  slots: cardSlotsSchema,
});
/** A whole top-up is taken out again and its money paid back. Reserved at the host, posted by a completion. */
const topUpVoidSchema = z.strictObject({
  ...base,
  kind: z.literal('topUpVoid'),
  reference: referenceSchema.nullable(),
  original: transactionIdSchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
});
/** The box's word on a reserved transaction. `cardUnknown`: torn away and not seen again; the card's next record tells. */
const completionSchema = z.strictObject({
  ...base,
  kind: z.literal('completion'),
  original: transactionIdSchema,
  outcome: z.enum(['accepted', 'cardUnknown']),
  /** Of a host-held coupon: what the sale was told that it pays. A host that was restored may have reserved another amount. */
  coveredMinor: amountSchema.optional(),
});
/** Undo a transaction that got no final word, whether or not the host has seen it: a tombstone where it has not. */
const reversalSchema = z.strictObject({
  ...base,
  kind: z.literal('reversal'),
  original: transactionIdSchema,
  reason: z.enum(['noAnswer', 'cancelled', 'timedOut', 'interrupted', 'cardNotWritten']),
});
/** Undo a whole accepted sale. */
const voidSchema = z.strictObject({
  ...base,
  kind: z.literal('void'),
  reference: referenceSchema.nullable(),
  original: transactionIdSchema,
});
/** Give back a part of an accepted sale; all refunds of one sale are at most its amount. */
const refundSchema = z.strictObject({
  ...base,
  kind: z.literal('refund'),
  reference: referenceSchema.nullable(),
  original: transactionIdSchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
});
/** The terminal stops spending an allowance and gives back what it has not spent, signed with its device key. */
const allowanceReleaseSchema = z.strictObject({
  ...base,
  kind: z.literal('allowanceRelease'),
  allowanceId: transactionIdSchema,
  /** In the allowance's own unit: points or minor units. */
  remaining: z.int().min(0).max(amountMinorMax),
  reason: z.enum(['expired', 'recalled', 'blocked', 'returned']),
  /** RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 §8.2) over `releaseBytes`, hex. */
  signature: z.string().regex(/^([0-9a-f]{2}){32,1024}$/),
});
/** What a release's signature covers. */
export const releaseBytes = (terminalId: string, allowanceId: string, remaining: number): Bytes =>
  utf8(`shouli allowance release 1 ${terminalId} ${allowanceId} ${remaining}`);
/** One accepted purchase as the member's features are made from (consumption record 消费特征信息). */
const consumptionSchema = z.strictObject({
  ...base,
  kind: z.literal('consumption'),
  sale: transactionIdSchema,
  /** The e-payment business id 电子支付业务ID: key id of a tapped phone, or the code shown; null without a member. */
  businessId: z
    .string()
    .regex(/^[0-9A-Za-z]{1,32}$/)
    .nullable(),
  amountMinor: amountSchema,
  currency: currencySchema,
  category: plainText(32),
  location: plainText(64),
  merchant: plainText(64),
});

export const recordSchema = z.discriminatedUnion('kind', [
  plainSaleSchema,
  pointsEarnSchema,
  pointsSpendSchema,
  couponDeductSchema,
  cardDebitSchema,
  cardCreditSchema,
  topUpSchema,
  topUpVoidSchema,
  cardTopUpSchema,
  cardTopUpVoidSchema,
  completionSchema,
  reversalSchema,
  voidSchema,
  refundSchema,
  allowanceReleaseSchema,
  consumptionSchema,
]);
export type RecordBody = z.infer<typeof recordSchema>;
export type RecordKind = RecordBody['kind'];
export type RecordOf<Kind extends RecordKind> = Extract<RecordBody, { kind: Kind }>;

/** Where a record stands: the terminal, its epoch (raised when its history had to begin anew) and the gapless sequence. */
export interface Position {
  readonly terminalId: string;
  readonly epoch: number;
  readonly sequence: number;
}
type WithoutPosition<Body> = Body extends RecordBody ? Omit<Body, 'version' | keyof Position> : never;
/** A record before the store has given it its place. */
export type RecordDraft = WithoutPosition<RecordBody>;

/**
 * In which order the queue empties: lower first, and by sequence within each. No void or refund goes before what it undoes,
 * which is of a lower class or has a lower sequence: the host would put it off, and enough of them would fill the line.
 */
export const sendClass: Readonly<Record<RecordKind, 0 | 1 | 2>> = {
  reversal: 0,
  pointsEarn: 1,
  pointsSpend: 1,
  couponDeduct: 1,
  cardDebit: 1,
  cardCredit: 1,
  topUp: 1,
  topUpVoid: 1,
  cardTopUp: 1,
  cardTopUpVoid: 1,
  completion: 1,
  allowanceRelease: 1,
  plainSale: 2,
  void: 2,
  refund: 2,
  consumption: 2,
};

/** The body's bytes: these are stored, hashed and resent verbatim; nothing re-encodes them. */
export function encodeRecord(draft: RecordDraft, position: Position): Bytes {
  return utf8(JSON.stringify({ version: protocolVersion, ...position, ...draft }));
}

/** Reads a body from outside. @returns the record, or an input error with its offset (0 where a field is wrong). */
export function decodeRecord(body: Bytes): Result<RecordBody, DecodeError> {
  if (body.length > bodyBytesMax) return decodeError('input.tooLong', bodyBytesMax, `body over ${bodyBytesMax} bytes`);
  const text = decodeUtf8(body);
  if (!text.ok) return text;
  const json = parseJson(text.value, { lengthMax: bodyBytesMax, depthMax: 8 });
  if (!json.ok) return json;
  const parsed = recordSchema.safeParse(json.value);
  if (parsed.success) return ok(parsed.data);
  const issue = parsed.error.issues[0];
  return decodeError(
    'input.malformed',
    0,
    `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'does not fit'}`.slice(0, 200),
  );
}

/** A record's identity: SHA-256 of its body. */
export const bodyDigest = (crypto: Pick<Crypto, 'sha256'>, body: Bytes): Bytes => crypto.sha256(body);

/** The hash that the first record of an epoch follows. */
export const genesisHash = (crypto: Pick<Crypto, 'sha256'>, terminalId: string, epoch: number): Bytes =>
  crypto.sha256(utf8(`shouli chain ${terminalId} ${epoch}`));

/** hash(n) = SHA-256(hash(n−1) ‖ SHA-256(body n)). Both 32 bytes. */
export const chainHash = (crypto: Pick<Crypto, 'sha256'>, previous: Bytes, digest: Bytes): Bytes =>
  crypto.sha256(concat(previous, digest));

/** A UUID as its 16 bytes, and back. */
export const transactionIdBytes = (id: TransactionId): Bytes => hex(id.replaceAll('-', ''));
export function transactionIdFromBytes(bytes: Bytes): TransactionId {
  const digits = toHex(bytes);
  const [a, b, c, d] = [digits.slice(0, 8), digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20)];
  return `${a}-${b}-${c}-${d}-${digits.slice(20)}` as TransactionId;
}
