/**
 * Proofs, session keys and diversified keys of the member application, for whoever holds a key (host, or a site key's box).
 * Pure; the phone's side is written independently in drivers/sim. docs/protocols/phone.md gives the same in prose.
 */
import { type Bytes, concat, equalBytes, uintBE } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { type KeyName, keySelector, label } from './layout.js';

/** What phone and terminal said in SELECT and PRESENT; every proof covers all of it. Lengths as in layout.ts. */
export interface Transcript {
  readonly key: KeyName;
  readonly keyId: Bytes;
  readonly terminalNonce: Bytes;
  readonly phoneNonce: Bytes;
  /** The phone's use counter, 4 bytes on the wire. */
  readonly counter: number;
  readonly context: Bytes;
}

export interface SessionKeys {
  readonly encryptionKey: Bytes;
  readonly macKey: Bytes;
}

/** The 85 bytes that all proofs of one tap cover. */
export const transcriptBytes = (t: Transcript): Bytes =>
  concat(uintBE(keySelector[t.key], 1), t.keyId, t.terminalNonce, t.phoneNonce, uintBE(t.counter, 4), t.context);
/** CMAC(key, label ‖ data), 16 bytes: the one way this application derives a key or makes a proof. */
export const labelled = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, which: keyof typeof label, data: Bytes): Bytes =>
  crypto.aesCmac(key, concat(uintBE(label[which], 1), data));

/** 16 bytes: CMAC(key, 50 ‖ transcript). */
export const phoneProof = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, t: Transcript): Bytes =>
  labelled(crypto, key, 'phoneProof', transcriptBytes(t));
/** 16 bytes: CMAC(key, 54 ‖ transcript): shows the phone that the other side knows the key too. */
export const terminalProof = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, t: Transcript): Bytes =>
  labelled(crypto, key, 'terminalProof', transcriptBytes(t));
/** 16 bytes: CMAC(macKey, 51 ‖ transcript): the phone has accepted the terminal's proof and holds the same session keys. */
export const phoneConfirm = (crypto: Pick<Crypto, 'aesCmac'>, macKey: Bytes, t: Transcript): Bytes =>
  labelled(crypto, macKey, 'phoneConfirm', transcriptBytes(t));

/** A member's key as one terminal alone can verify it: CMAC(key, 07 ‖ terminal(6)). A lost box opens no other. */
export const localKey = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, terminal: Bytes): Bytes =>
  labelled(crypto, key, 'localKey', terminal);
/** 16 bytes: CMAC(localKey, 55 ‖ transcript): what a box that holds only the local key verifies without its host. */
export const localProof = (crypto: Pick<Crypto, 'aesCmac'>, local: Bytes, t: Transcript): Bytes =>
  labelled(crypto, local, 'localProof', transcriptBytes(t));

export const verifyPhoneProof = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, t: Transcript, proof: Bytes): boolean =>
  equalBytes(phoneProof(crypto, key, t), proof);

/** AES-128 session keys of one tap: CMAC(key, 01 ‖ transcript) encrypts, CMAC(key, 02 ‖ transcript) authenticates. */
export function sessionKeys(crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, t: Transcript): SessionKeys {
  const transcript = transcriptBytes(t);
  return {
    encryptionKey: labelled(crypto, key, 'encryptionKey', transcript),
    macKey: labelled(crypto, key, 'macKey', transcript),
  };
}

/** What opens a mutually authenticated session on the terminal's side. Never stored or logged. */
export interface Grant {
  readonly terminalProof: Bytes;
  readonly keys: SessionKeys;
}

/** What whoever holds the key (host, or a site key's box) hands to the terminal once the phone's proof has been verified. */
export const grantSession = (crypto: Pick<Crypto, 'aesCmac'>, key: Bytes, t: Transcript): Grant => ({
  terminalProof: terminalProof(crypto, key, t),
  keys: sessionKeys(crypto, key, t),
});

/** The card key issued to one card of a site: CMAC(siteKey, 03 ‖ cardKeyId). The phone holds it. */
export const cardKey = (crypto: Pick<Crypto, 'aesCmac'>, siteKey: Bytes, cardKeyId: Bytes): Bytes =>
  labelled(crypto, siteKey, 'cardKey', cardKeyId);
/** The key that authenticates one card's records: CMAC(siteKey, 04 ‖ cardKeyId). Never leaves host and box. */
export const recordKey = (crypto: Pick<Crypto, 'aesCmac'>, siteKey: Bytes, cardKeyId: Bytes): Bytes =>
  labelled(crypto, siteKey, 'recordKey', cardKeyId);
