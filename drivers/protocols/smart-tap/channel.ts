/**
 * The channel of a Smart Tap session: what the terminal signs, the keys both sides derive, and opening a sealed bundle.
 * Pure (docs/protocols/smart-tap.md). Must not know records or commands.
 */
import { type Bytes, concat, equalBytes, uintBE } from '../../../terminal/kernel/bytes.js';
import type { Crypto, KeyAgreement, KeyPair, WalletCrypto } from '../../../terminal/kernel/ports.js';
import { assert, ok, type Result } from '../../../terminal/kernel/result.js';
import { type DialogueError, dialogueFault } from '../card-dialogue.js';

export type SmartTapCrypto = Pick<Crypto, 'hmacSha256'> &
  Pick<KeyAgreement, 'sharedSecret' | 'hkdfSha256'> &
  Pick<WalletCrypto, 'signP256' | 'aesCtr' | 'inflate'>;

export const smartTapNonceBytes = 32;
export const pointBytes = 33;
const collectorBytes = 4;
const ivBytes = 12;
const hmacBytes = 32;
/** Largest bundle as it travels, and once inflated. A pass is some hundred bytes. */
export const bundleBytesMax = 8_192;
export const inflatedBytesMax = 32_768;

/** What the merchant has from Google: the collector id (a decimal number, 1…2^32−1) and a key of his own with its version. */
export interface Collector {
  readonly collectorId: number;
  /** 0…2^32−1. */
  readonly keyVersion: number;
  /** P-256, 32 bytes. */
  readonly privateKey: Bytes;
}

/** What the terminal has drawn for one session. */
export interface TerminalSecrets {
  /** 32 fresh bytes. */
  readonly nonce: Bytes;
  /** 8 fresh bytes. */
  readonly sessionId: Bytes;
  readonly ephemeral: KeyPair;
}
/** Of these what the phone gets to see: all that a box knows of a session that its host signs and opens. */
export type SessionFace = Pick<TerminalSecrets, 'nonce' | 'sessionId'> & {
  readonly ephemeral: Pick<KeyPair, 'publicKey'>;
};

/** The collector id as records and signature carry it. */
export const collectorIdBytes = (collectorId: number): Bytes => uintBE(collectorId, collectorBytes);

/** terminal nonce(32) ‖ device nonce(32) ‖ collector(4) ‖ terminal's ephemeral key(33): what the merchant's key signs. */
export function signedBytes(
  secrets: Pick<SessionFace, 'nonce' | 'ephemeral'>,
  deviceNonce: Bytes,
  collectorId: number,
): Bytes {
  assert(
    secrets.nonce.length === smartTapNonceBytes && deviceNonce.length === smartTapNonceBytes,
    'nonces of 32 bytes',
  );
  return concat(secrets.nonce, deviceNonce, collectorIdBytes(collectorId), secrets.ephemeral.publicKey);
}

export interface ChannelKeys {
  readonly encryptionKey: Bytes;
  readonly macKey: Bytes;
}

/** @returns the session's keys; null when the phone's key is no point of the curve */
export function channelKeys(
  crypto: SmartTapCrypto,
  secrets: Pick<TerminalSecrets, 'ephemeral'>,
  deviceKey: Bytes,
  signed: Bytes,
  signature: Bytes,
): ChannelKeys | null {
  const secret = crypto.sharedSecret(secrets.ephemeral.privateKey, deviceKey);
  if (!secret) return null;
  const keys = crypto.hkdfSha256(secret, deviceKey, concat(signed, signature), 16 + hmacBytes);
  return { encryptionKey: keys.slice(0, 16), macKey: keys.slice(16) };
}

const flag = { encrypted: 0x01, compressed: 0x02 } as const;

/**
 * Opens a record bundle: flags(1) ‖ iv(12) ‖ ciphertext ‖ HMAC(32). The HMAC is verified before anything is decrypted, and
 * what is inflated has its bound. A bundle that is not encrypted is refused: anybody could have written it.
 * @returns the message inside, or `input.truncated`, `input.tooLong`, `input.unsupported` (flags), `pass.forged`
 */
export function openBundle(crypto: SmartTapCrypto, keys: ChannelKeys, bundle: Bytes): Result<Bytes, DialogueError> {
  if (bundle.length > bundleBytesMax) return dialogueFault('input.tooLong', null, 'record bundle');
  const [flags = 0] = bundle;
  if (bundle.length === 0 || bundle.length < 1 + ivBytes + hmacBytes)
    return dialogueFault('input.truncated', null, 'record bundle');
  if ((flags & ~(flag.encrypted | flag.compressed)) !== 0 || (flags & flag.encrypted) === 0)
    return dialogueFault('input.unsupported', null, 'record bundle flags');
  const macAt = bundle.length - hmacBytes;
  if (!equalBytes(crypto.hmacSha256(keys.macKey, bundle.subarray(1, macAt)), bundle.subarray(macAt)))
    return dialogueFault('pass.forged', null, 'bundle HMAC');
  const counter = concat(bundle.subarray(1, 1 + ivBytes), new Uint8Array(4));
  const plain = crypto.aesCtr(keys.encryptionKey, counter, bundle.subarray(1 + ivBytes, macAt));
  if ((flags & flag.compressed) === 0) return ok(plain);
  const inflated = crypto.inflate(plain, inflatedBytesMax);
  return inflated ? ok(inflated) : dialogueFault('input.tooLong', null, 'bundle does not inflate within its bound');
}
