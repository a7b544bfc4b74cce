/**
 * Passes as credentials: how a pass is named towards the host, and how one answer of it is named, whoever opens it.
 * Pure; shared by box and host. Must not decrypt anything.
 */
import { type Bytes, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';

export type WalletName = 'apple' | 'google';

/**
 * A pass's id, 8 bytes in hex: the first bytes of SHA-256("shouli pass 1 <wallet> <issuer> <number>"). `issuer` is the pass
 * type id, or the collector id in digits; `number` what the pass says. The number itself stays on the box.
 */
export const passId = (crypto: Pick<Crypto, 'sha256'>, wallet: WalletName, issuer: string, number: string): string =>
  toHex(crypto.sha256(utf8(`shouli pass 1 ${wallet} ${issuer} ${number}`)).subarray(0, 8));

/** One answer's name, 16 bytes in hex: the first bytes of the SHA-256 of what the phone sent, or of the session's signed bytes. */
export const answerName = (crypto: Pick<Crypto, 'sha256'>, answer: Bytes): string =>
  toHex(crypto.sha256(answer).subarray(0, 16));
