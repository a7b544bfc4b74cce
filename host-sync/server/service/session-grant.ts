/**
 * Session grant: what the host hands to a terminal for a tap that it has verified. Pure; must not verify anything itself.
 */
import { grantSession, type Transcript } from '../../../drivers/protocols/member/proof.js';
import { type Bytes, toHex } from '../../../terminal/kernel/bytes.js';
import type { SessionGrant } from '../../protocol/sync.js';
import type { ApplyContext } from '../ledger/context.js';

/** Computed anew each time. Never stored or logged. */
export function sessionGrant(
  { crypto }: Pick<ApplyContext, 'crypto'>,
  key: Bytes,
  transcript: Transcript,
): SessionGrant {
  const { terminalProof, keys } = grantSession(crypto, key, transcript);
  return {
    terminalProof: toHex(terminalProof),
    encryptionKey: toHex(keys.encryptionKey),
    macKey: toHex(keys.macKey),
  };
}
