/**
 * What a simulated phone remembers, in one JSON file that is always whole: written beside, flushed, renamed, flushed.
 * The file holds keys in clear, as a simulated secure element; it is readable by its owner only. Each membership has all that
 * is a merchant's for itself: keys, use counter, card, coupons, results.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, resolve } from 'node:path';
import { z } from 'zod';
import { toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { parseJson } from '../../../terminal/kernel/json.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { packageMerchantsMax, packageStateSchema } from './package-state.js';

export const membershipsMax = 16;
export const couponsMax = 100;
export const resultsMax = 20;
/** Cards that were ever issued to a membership: an old coupon message must not bring an old balance back. */
export const issuedCardsMax = 256;
export const useCounterMax = 0xffffffff;

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${2 * bytes}}$`));
export const phoneNumberPattern = /^\+?[0-9]{3,15}$/;

const couponSchema = z.strictObject({
  code: z.string().regex(/^SLC[0-9]{13}$/),
  /** As the message said; the host or the card's record knows better. */
  balanceMinor: z.int().min(0),
  currency: z.string().regex(/^[A-Z]{3}$/),
  expiresAtSeconds: z.int().min(0),
  holder: z.enum(['host', 'card']),
});
const resultSchema = z.strictObject({
  outcome: z.enum(['accepted', 'refused', 'unknown']),
  points: z.int().min(0).nullable(),
  couponMinor: z.int().min(0).nullable(),
  currency: z.string().nullable(),
  text: z.string(),
});

const membershipSchema = z.strictObject({
  merchantId: z.string().regex(/^[0-9A-Za-z]{1,16}$/),
  merchantPublicKey: hexOf(33),
  token: z.string().length(16),
  /** Sent again, word for word, when the same registration message comes again. */
  answer: z.string().max(160),
  memberKeyId: hexOf(8),
  memberKey: hexOf(16),
  /** The scalar of the phone's own P-256 key; it never leaves. null: of a phone that knew no credentials. */
  signingKey: hexOf(32).nullable().default(null),
  /** What the merchant's newest package brought; null: none. */
  credential: hexOf(127).nullable().default(null),
  /** The one before it, for a phone that is told to show what has ended. */
  formerCredential: hexOf(127).nullable().default(null),
  /** One for both keys of this membership; other merchants' taps do not show in it. */
  useCounter: z.int().min(0).max(useCounterMax),
  card: z.strictObject({ keyId: hexOf(8), key: hexOf(16), slots: z.tuple([hexOf(96), hexOf(96)]) }).nullable(),
  coupons: z.array(couponSchema).max(couponsMax),
  issuedCardKeyIds: z.array(hexOf(8)).max(issuedCardsMax),
  results: z.array(resultSchema).max(resultsMax),
  /** The last exchange, for a phone that is told to replay it. */
  recorded: z
    .strictObject({
      ...{ phoneNonce: hexOf(16), counter: z.int(), proof: hexOf(16), localProof: hexOf(16) },
      signature: hexOf(64).nullable().default(null),
    })
    .nullable(),
});
export type Membership = z.infer<typeof membershipSchema>;

const stateSchema = z.strictObject({
  version: z.literal(2),
  number: z.string().regex(phoneNumberPattern),
  /** In the order in which they were joined; one for each merchant. */
  memberships: z
    .array(membershipSchema)
    .max(membershipsMax)
    .refine((all) => new Set(all.map(({ merchantId }) => merchantId)).size === all.length, 'one for each merchant'),
  /** One for each merchant that ever sent a package; it outlives the membership. */
  packages: z.array(packageStateSchema).max(packageMerchantsMax).default([]),
});
export type PhoneState = z.infer<typeof stateSchema>;
export type PhoneCoupon = z.infer<typeof couponSchema>;
export type PhoneResult = z.infer<typeof resultSchema>;

/** What a registration gives a membership; the rest is empty at first. */
export type NewMembership = Pick<
  Membership,
  'merchantId' | 'merchantPublicKey' | 'token' | 'answer' | 'memberKeyId' | 'memberKey'
> &
  Partial<Pick<Membership, 'signingKey'>>;
export const newMembership = (registered: NewMembership): Membership => ({
  ...{ signingKey: null, credential: null, formerCredential: null },
  ...registered,
  ...{ useCounter: 0, card: null, coupons: [], issuedCardKeyIds: [], results: [], recorded: null },
});

/** A phone out of its box: a number, no membership. Throws when the number is not 3 to 15 digits. */
export const newPhoneState = (number: string): PhoneState => stateSchema.parse({ version: 2, number, memberships: [] });

export const membershipOf = (state: PhoneState, merchantId: string): Membership | null =>
  state.memberships.find((each) => each.merchantId === merchantId) ?? null;

/** The state with that merchant's membership replaced, or added behind the others. */
export function withMembership(state: PhoneState, next: Membership): PhoneState {
  const { memberships } = state;
  const isKnown = membershipOf(state, next.merchantId) !== null;
  const replaced = memberships.map((each) => (each.merchantId === next.merchantId ? next : each));
  return { ...state, memberships: isKnown ? replaced : [...memberships, next] };
}

/** Where the phone's memory is kept: `save` returns when the new state would survive a power cut. */
export interface PhoneMemory {
  readonly state: PhoneState;
  save(next: PhoneState): void;
}

/** A phone that forgets everything with its process. */
export class VolatileMemory implements PhoneMemory {
  constructor(public state: PhoneState) {}
  save(next: PhoneState): void {
    this.state = next;
  }
}

/** Writes a file so that it is old or new and never mixed, also after a power cut. */
export function writeWhole(path: string, text: string, mode: number): void {
  const beside = `${path}.new`;
  const file = openSync(beside, 'w', mode);
  try {
    const bytes = utf8(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(beside, path);
  const folder = openSync(dirname(resolve(path)), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

export class FileMemory implements PhoneMemory {
  private constructor(
    private readonly path: string,
    public state: PhoneState,
  ) {}

  /** Makes a new file. Throws when there is one already: a phone is not lost by a repeated command. */
  static create(path: string, state: PhoneState): FileMemory {
    closeSync(openSync(path, 'wx', 0o600));
    const memory = new FileMemory(path, state);
    memory.save(state);
    return memory;
  }

  /** Throws where the file is missing, not a phone's, or of a phone that knew one merchant only. */
  static open(path: string): FileMemory {
    const json = parseJson(readFileSync(path, 'utf8'));
    if (!json.ok) throw new Error(`${path}: ${json.error.code} at ${json.error.offset}`);
    if (z.looseObject({ version: z.literal(1) }).safeParse(json.value).success)
      throw new Error(`${path}: of a version that knew one membership only; make the phone anew and register it again`);
    const state = stateSchema.safeParse(json.value);
    if (!state.success) throw new Error(`${path}: not a phone's state (${state.error.issues[0]?.path.join('.')})`);
    return new FileMemory(path, state.data);
  }

  save(next: PhoneState): void {
    writeWhole(this.path, `${JSON.stringify(next, null, 1)}\n`, 0o600);
    this.state = next;
  }
}

/**
 * Takes a phone's file for this process, so that no second one raises the same counter; an abstract socket, which the
 * kernel drops with its holder. Rejects when another process has it. @returns how to let it go
 */
export function lockPhone(path: string): Promise<() => void> {
  const name = toHex(nativeCrypto.sha256(utf8(resolve(path)))).slice(0, 32);
  const server = createServer((socket) => socket.destroy());
  return new Promise((done, reject) => {
    server.once('error', () => reject(new Error(`${path} is in use by another phone process`)));
    server.listen(`\0shouli-phone-${name}`, () => done(() => server.close()));
    server.unref();
  });
}
