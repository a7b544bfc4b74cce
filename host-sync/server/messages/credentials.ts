/**
 * Phones' credentials at the host: makes one for a phone that can sign, keeps it beside the phone's key, and makes another when
 * that one nears its end or says something else (docs/protocols/phone.md, "The credential"). Must not send anything.
 */
import {
  credentialBytes,
  credentialSignedBytes,
  credentialUse,
  dayMax,
  dayOf,
  decodeCredential,
  encodeUnsigned,
  type PhoneCredential,
} from '../../../drivers/protocols/member/credential.js';
import { merchantTag } from '../../../drivers/protocols/member/layout.js';
import { rawSignature } from '../../../drivers/protocols/member/package.js';
import { type Bytes, concat, equalBytes, hex } from '../../../terminal/kernel/bytes.js';
import type { Crypto, KeyPair, WalletCrypto } from '../../../terminal/kernel/ports.js';
import type { Policy } from '../ledger/context.js';
import { put } from '../ledger/facts.js';
import type { CouponView, MemberView } from '../service/types.js';
import type { HostStore } from '../storage/port.js';

const dayMs = 86_400_000;
/** It counts from this many days before its issue: a box's clock may be a little behind this host's at midnight. */
const daysBehind = 1;

export interface CredentialParts {
  readonly store: HostStore;
  readonly crypto: Pick<Crypto, 'sha256' | 'verifyP256'>;
  readonly signP256: WalletCrypto['signP256'];
  readonly signer: KeyPair;
}

/** When another one is due: when a third of its days from its issue is left, but not on the day of its issue. */
export function renewalOf(credential: Bytes): number {
  const decoded = decodeCredential(credential);
  if (!decoded.ok) return 0;
  const { firstDay, lastDay } = decoded.value.credential;
  const issueDay = firstDay + daysBehind;
  return Math.max(issueDay + 1, lastDay - Math.ceil((lastDay - issueDay) / 3)) * dayMs;
}

/** The card in the member's phone: the newest that is not blocked. */
function cardOf(coupons: readonly CouponView[]): Bytes | null {
  const cards = coupons.filter(({ holder, state }) => holder === 'card' && state === 'active');
  const newest = [...cards].sort((a, b) => b.issuedAtMs - a.issuedAtMs)[0]?.cardKeyId;
  return newest ? hex(newest) : null;
}

/** Is the one that is kept still what would be made now, and far enough from its end or no nearer to it than another one? */
function isGood({ crypto, signer }: CredentialParts, kept: Bytes, wanted: PhoneCredential, nowMs: number): boolean {
  const decoded = decodeCredential(kept);
  if (!decoded.ok) return false;
  const { credential, signature } = decoded.value;
  const { firstDay, lastDay } = credential;
  const isLater = firstDay !== wanted.firstDay || lastDay !== wanted.lastDay;
  if (nowMs >= renewalOf(kept) && isLater) return false;
  const isSame = equalBytes(encodeUnsigned({ ...wanted, firstDay, lastDay }), kept.subarray(0, -signature.length));
  // A merchant that shortens the life means those that are out as well.
  const isShort = lastDay <= wanted.lastDay && firstDay <= wanted.firstDay;
  const signed = credentialSignedBytes(kept.slice(0, -signature.length));
  return isSame && isShort && crypto.verifyP256(signer.publicKey, signed, signature);
}

/** The credential for this phone, made where it is due, kept before it is given. null: the phone cannot sign, or the merchant gives none. */
export async function credentialFor(
  parts: CredentialParts,
  { merchant }: Pick<MemberView, 'merchant'>,
  keyId: string,
  coupons: readonly CouponView[],
  policy: Pick<Policy, 'credentialDays' | 'siteKeyOnBoxes'>,
  nowMs: number,
): Promise<Bytes | null> {
  const { store, crypto, signP256, signer } = parts;
  if (policy.credentialDays === 0) return null;
  const today = dayOf(nowMs);
  const cardKeyId = policy.siteKeyOnBoxes ? cardOf(coupons) : null;
  return store.transact(
    (need) => void need.get('memberKey', keyId),
    (facts) => {
      const key = facts.get('memberKey', keyId);
      if (key?.kind !== 'phone' || key.state !== 'active' || key.publicKey.length === 0) return null;
      // A clock that no credential can name: what the phone has stands, and nothing is signed.
      if (today < daysBehind || today > dayMax) return key.credential.length > 0 ? key.credential : null;
      const wanted: PhoneCredential = {
        merchantTag: merchantTag(crypto, merchant),
        memberKeyId: hex(keyId),
        publicKey: key.publicKey,
        firstDay: today - daysBehind,
        lastDay: Math.min(today + policy.credentialDays, dayMax),
        uses: credentialUse.hostHeld | (cardKeyId ? credentialUse.card : 0),
        cardKeyId,
      };
      if (key.credential.length === credentialBytes && isGood(parts, key.credential, wanted, nowMs))
        return key.credential;
      const unsigned = encodeUnsigned(wanted);
      const signature = rawSignature(signP256(signer.privateKey, credentialSignedBytes(unsigned)));
      const credential = concat(unsigned, signature);
      facts.write([put('memberKey', { ...key, credential })]);
      return credential;
    },
  );
}
