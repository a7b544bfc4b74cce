/**
 * Assurance: how much a credential says about who is at the counter, and how much each operation needs. One table, by which
 * box and host judge alike; docs/assurance.md is rendered from it. Pure. Must not know who a credential names.
 */
import type { Credential } from './record.js';

/**
 * The levels, weakest first.
 * shown: something that anybody could copy: a code on a screen or on paper, a phone number, a tag's UID.
 * fresh: what counts once and only near its time, but is bound neither to this box nor to this sale: a wallet's pass, a
 * rotating code, a tag's message.
 * proven: a key proved over this very sale: the member's own application.
 */
export const assuranceLevels = ['shown', 'fresh', 'proven'] as const;
export type Assurance = (typeof assuranceLevels)[number];

/** By which means each level comes. A new method does not compile until it has its level. */
export const assuranceOfMethod: Readonly<Record<Credential['method'], Assurance>> = {
  memberCode: 'shown',
  couponCode: 'shown',
  phoneNumber: 'shown',
  tagUid: 'shown',
  screenCode: 'fresh',
  walletPass: 'fresh',
  sealedPass: 'fresh',
  sealedSmartTap: 'fresh',
  sunTag: 'fresh',
  tap: 'proven',
};
export const assuranceOf = (credential: Credential): Assurance => assuranceOfMethod[credential.method];

export interface Need {
  /** With the host answering. */
  readonly online: Assurance;
  /** With the host answering, where the merchant opts in for this method (`policy --passes-spend`, `--screen-code-spends`, `--tags-spend`); null: no choice. */
  readonly optedIn: Assurance | null;
  /** Without the host; null: never. */
  readonly offline: Assurance | null;
}

/** What each operation needs. A coupon's own code is a bearer paper and pays with that coupon whatever stands here. */
export const needs = {
  identify: { online: 'shown', optedIn: null, offline: 'shown' },
  earnPoints: { online: 'shown', optedIn: null, offline: 'shown' },
  spendPoints: { online: 'proven', optedIn: 'fresh', offline: 'proven' },
  hostCoupon: { online: 'proven', optedIn: 'fresh', offline: 'proven' },
  /** Money is paid in for it: nothing can be taken by it, so any word on whose coupon it is will do. */
  topUpHost: { online: 'shown', optedIn: null, offline: null },
  cardCoupon: { online: 'proven', optedIn: null, offline: 'proven' },
  /** The card is written: it has to be there, and prove. */
  topUpCard: { online: 'proven', optedIn: null, offline: null },
  inquire: { online: 'fresh', optedIn: null, offline: null },
} as const satisfies Readonly<Record<string, Need>>;
export type Operation = keyof typeof needs;

/**
 * What a box without its host verifies a tap by. credential: the phone signed it with the key that the merchant's credential names.
 * localKey: the member's key in the form that this box alone holds, with a slice. siteKey: the site's key on the box, for cards.
 */
export type OfflineProof = 'credential' | 'localKey' | 'siteKey';

/**
 * By what a tap must be verified before a box without its host gives something for it: all of any one row. None: at the sync is
 * soon enough. `credentialOnly`: as the merchant's limits say it. Only the site key opens a card's record, so it never drops out.
 */
export const offlineProofs = {
  earnPoints: { usual: [[]], credentialOnly: [[]] },
  spendPoints: { usual: [['localKey'], ['credential']], credentialOnly: [['credential']] },
  hostCoupon: { usual: [['localKey'], ['credential']], credentialOnly: [['credential']] },
  cardCoupon: { usual: [['siteKey']], credentialOnly: [['siteKey', 'credential']] },
} as const satisfies Partial<
  Record<Operation, Record<'usual' | 'credentialOnly', readonly (readonly OfflineProof[])[]>>
>;

/** Is a tap that was verified by these good for the operation without the host? */
export function isProvenOffline(
  operation: keyof typeof offlineProofs,
  proofs: readonly OfflineProof[],
  credentialOnly: boolean,
): boolean {
  const rows: readonly (readonly OfflineProof[])[] =
    offlineProofs[operation][credentialOnly ? 'credentialOnly' : 'usual'];
  return rows.some((row) => row.every((proof) => proofs.includes(proof)));
}

/** `maybe`: with the host answering, which knows whether the merchant opted in. */
export type Situation = 'online' | 'optedIn' | 'maybe' | 'offline';

/** Is the credential strong enough for the operation? */
export function isStrongEnough(operation: Operation, credential: Credential, situation: Situation): boolean {
  const need: Need = needs[operation];
  const least =
    situation === 'offline' ? need.offline : situation === 'online' ? need.online : (need.optedIn ?? need.online);
  return least !== null && assuranceLevels.indexOf(assuranceOf(credential)) >= assuranceLevels.indexOf(least);
}
