/**
 * Context: what applying a record needs besides facts: cryptography, time as data, the merchant's policy.
 * Types and defaults only; must not read a clock or hold a key.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import type { HeldPass } from '../../protocol/record.js';
import type { Rules } from '../../protocol/sync.js';

/** Simulated sales never mix with real ledgers: a store is one or the other for life. */
export type Realm = 'real' | 'simulated';

/** Wraps keys for storage and opens them for one computation. Synchronous; must authenticate what it opens. */
export interface KeyVault {
  wrap(plain: Bytes): Bytes;
  unwrap(wrapped: Bytes): Bytes;
}

/** Lifetime points decide the tier: the last whose threshold is reached. */
export interface Tier {
  readonly name: string;
  readonly earnedPointsMin: number;
  /** Points by rule × this ÷ 10,000, rounded down; 10,000: no bonus. 10,000…1,000,000. */
  readonly multiplierBasisPoints: number;
}
export const tierDefault: Tier = { name: 'member', earnedPointsMin: 0, multiplierBasisPoints: 10_000 };

/** What the merchant chooses besides the rules. */
export interface Policy {
  /** How long a reservation waits for its completion, 10 s … 24 h. */
  readonly reservationMs: number;
  /** How long after its replacement a version of rules or catalogue is still posted as the box computed it, 0 … 90 days. */
  readonly versionGraceMs: number;
  /** Most points that a clerk may type on one earn. */
  readonly typedPointsMax: number;
  /** Months of consumption are counted in this offset from UTC, −720…840 minutes. */
  readonly utcOffsetMinutes: number;
  /** Do boxes get the site key, so that card-held coupons pay offline? */
  readonly siteKeyOnBoxes: boolean;
  /** Does a rotating code from the member's page pay with points and coupons, or only earn? Online in either case. */
  readonly screenCodeSpends: boolean;
  /** May a pass in a wallet spend points and host-held coupons, with the host asked? */
  readonly passesSpend: boolean;
  /** May the message of a secure tag spend points and host-held coupons, with the host asked? */
  readonly tagsSpend: boolean;
  /** Does a phone number typed at the counter earn points? It never spends. */
  readonly phoneEarns: boolean;
  /** Most that one top-up pays in, minor units; 0: there are none. */
  readonly topUpMaxMinor: number;
  /** Most that a coupon may hold behind a top-up, minor units. */
  readonly topUpBalanceMaxMinor: number;
  /** How long a phone's credential counts, 1…90 days; 0: none are given, and boxes take none. */
  readonly credentialDays: number;
}
export const policyDefault: Policy = {
  reservationMs: 10 * 60_000,
  versionGraceMs: 7 * 86_400_000,
  typedPointsMax: 100_000,
  utcOffsetMinutes: 480,
  siteKeyOnBoxes: false,
  screenCodeSpends: false,
  passesSpend: false,
  tagsSpend: false,
  phoneEarns: true,
  topUpMaxMinor: 100_000,
  topUpBalanceMaxMinor: 500_000,
  credentialDays: 30,
};

/** What a pass said that the host opened, or why it does not open. */
export type PassOpening =
  | {
      readonly ok: true;
      readonly passId: string;
      /** The answer's name, as it follows from what was opened. */
      readonly answer: string;
      readonly answeredAtMs: number;
      /** For which terminal alone it was made; null: an answer of the phone's own, bound to none. */
      readonly terminalId: string | null;
    }
  /** `pass.none`, `card.unreadable`: an answer of the right channel without a pass, or with nothing that can be read. */
  | { readonly ok: false; readonly code: 'pass.unknownKey' | 'pass.forged' | 'pass.none' | 'card.unreadable' };
/** Opens a pass that a box held back, with the merchant's keys. Pure: the same answer comes to the same. */
export type OpenPass = (pass: HeldPass) => PassOpening;

/** What a secure tag's message proved, or why it does not hold. */
export type TagOpening =
  | { readonly ok: true; readonly tagId: string; readonly counter: number }
  | { readonly ok: false; readonly code: 'tag.wrongKey' | 'tag.forged' | 'tag.lrpMode' };
/** Proves a tag's message with the merchant's keys. Pure: the same address comes to the same. */
export type OpenTag = (address: string) => TagOpening;
/** What reads credentials that only the host can read. */
export type Openers = Pick<ApplyContext, 'openPass' | 'openTag'>;

export interface ApplyContext {
  readonly crypto: Crypto;
  readonly unwrap: KeyVault['unwrap'];
  readonly openPass: OpenPass;
  readonly openTag: OpenTag;
  /** The site's key for card-held coupons, 16 bytes. */
  readonly siteKey: Bytes;
  readonly realm: Realm;
  /** The host's own merchant by the id that agreements name it by. */
  readonly ownMerchant: string;
  /** The host's wall clock for this decision, one value for the whole batch. */
  readonly nowMs: number;
  readonly policy: Policy;
  readonly tiers: readonly Tier[];
  /** The rules in force; null until some are published. */
  readonly rules: Rules | null;
  readonly catalogueVersion: number;
  /** True when the box waits for the answer: what is refused then is no dead letter, since nothing was given. */
  readonly asked: boolean;
  /** True when nothing else is in the same decision. */
  readonly isAlone: boolean;
}
