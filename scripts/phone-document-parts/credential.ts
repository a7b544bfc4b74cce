// The part of the worked example that is about a box without its host: the phone that got a credential with its content signs a tap,
// and the box's code holds both against the merchant's key. Private keys and days are fixed; signatures are those of RFC 6979.
import {
  credentialUse,
  encodeUnsigned,
  judgeSignedTap,
  type SignedTap,
} from '../../drivers/protocols/member/credential.js';
import { merchantTag } from '../../drivers/protocols/member/layout.js';
import type { Transcript } from '../../drivers/protocols/member/proof.js';
import { type Bytes, concat, hex } from '../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { block, row, value } from './rows.js';

/** The phone's own key of the example, and what it is by. */
export const phonePrivate = hex('0000000000000000000000000000000000000000000000000000000000005555');
export const phonePublic = hex('03569ed92c428c0cdd05e68ec5470f671355b167c359221f02a0821ffff8aee26d');
const signerPrivate = hex('0000000000000000000000000000000000000000000000000000000000004444');
const signer = hex('02a85b3aad6f3a346d85523141cb434e1caf4c642b2b3cc952cb07a635cb6a1df1');
/** 2026-11-27 to 2026-12-28. */
const [firstDay, lastDay] = [20_784, 20_815];
const signature = hex(
  '66728e063fa4d43cd2013027edeaa7c15fcc03daba6f9ec23dadf397affca4a956dd0e3d251848c6969aae26db111fe250124a63d47f7d72745a20c20c1d8c04',
);

/** Whose credential it is. */
export interface CredentialMember {
  readonly merchantId: string;
  readonly memberKeyId: Bytes;
  readonly cardKeyId: Bytes;
}

/** The credential that the example's package brings. */
export const exampleCredential = ({ merchantId, memberKeyId, cardKeyId }: CredentialMember): Bytes =>
  concat(
    encodeUnsigned({
      ...{ merchantTag: merchantTag(nativeCrypto, merchantId), memberKeyId, publicKey: phonePublic },
      ...{ firstDay, lastDay, uses: credentialUse.hostHeld | credentialUse.card, cardKeyId },
    }),
    signature,
  );

/** Rows about the merchant's side, for the section in which the package is made. */
export const credentialRows = (member: CredentialMember): readonly string[] => [
  row('credential’s key', signerPrivate),
  row('its public key', signer),
  row('credential', exampleCredential(member)),
];

/** What the box makes of a tap and what was signed; throws where it does not hold. */
export function signedTapRows(
  member: CredentialMember,
  transcript: Transcript,
  proof: Bytes,
  signed: SignedTap,
): string {
  const { merchantId, memberKeyId } = member;
  const nowMs = lastDay * 86_400_000;
  const asked = { signer, merchantId, memberKeyId, transcript, proof, use: 'hostHeld', nowMs } as const;
  value(judgeSignedTap(nativeCrypto, signed, asked));
  return block(row('phone’s key', phonePrivate), row('signature', signed.signature));
}
