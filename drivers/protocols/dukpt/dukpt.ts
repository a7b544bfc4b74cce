/**
 * AES DUKPT (ANSI X9.24-3:2017), AES-128: the initial key, the transaction key of a counter, and working keys. Pure; for the
 * simulated PIN pad and for tests. A box derives nothing of it: a real PIN pad keeps its keys.
 */
import { type Bytes, concat, uintBE } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert } from '../../../terminal/kernel/result.js';

type Aes = Pick<Crypto, 'aesCbcEncrypt'>;

/** Key usage indicators of derivation data (§6.3.2, table 1). */
const usage = { initial: 0x8001, chain: 0x8000, pin: 0x1000, macGeneration: 0x2000, dataEncryption: 0x3000 } as const;
export type WorkingKey = 'pin' | 'macGeneration' | 'dataEncryption';
const aes128 = { algorithm: 2, bits: 128 } as const;
const zeroBlock = new Uint8Array(16);

/** Bits that a counter may have set: so many encryptions make a key at most. */
const bitsMax = 16;
const counterMax = 0xffff_ffff;

/** One block; ECB is CBC from zero. Key and block of 16 bytes. */
export const aesBlock = (crypto: Aes, key: Bytes, block: Bytes): Bytes => crypto.aesCbcEncrypt(key, zeroBlock, block);

const derive = (crypto: Aes, key: Bytes, use: number, last: Bytes): Bytes =>
  aesBlock(
    crypto,
    key,
    concat(Uint8Array.of(1, 1), uintBE(use, 2), uintBE(aes128.algorithm, 2), uintBE(aes128.bits, 2), last),
  );

/** @param initialKeyId 8 bytes; @returns the pad's initial key, 16 bytes */
export function initialKey(crypto: Aes, baseKey: Bytes, initialKeyId: Bytes): Bytes {
  assert(initialKeyId.length === 8, 'an initial key id of 8 bytes');
  return derive(crypto, baseKey, usage.initial, initialKeyId);
}

/** 1…4,294,967,295 with at most 16 bits set. */
export function isUsableCounter(counter: number): boolean {
  if (!Number.isInteger(counter) || counter < 1 || counter > counterMax) return false;
  let bits = 0;
  for (let rest = counter; rest > 0; rest = Math.floor(rest / 2)) bits += rest % 2;
  return bits <= bitsMax;
}

/** The next counter that may be used; null: the key is spent. */
export function nextCounter(counter: number): number | null {
  for (let next = counter + 1; next <= counterMax; ) {
    if (isUsableCounter(next)) return next;
    // Adding the lowest bit that is set carries over it: nothing between has fewer bits.
    let lowest = 1;
    while (Math.floor(next / lowest) % 2 === 0) lowest *= 2;
    next += lowest;
  }
  return null;
}

/** The key of one transaction: the counter's bits are consumed from the most significant one (§6.5.1). */
export function transactionKey(crypto: Aes, initial: Bytes, initialKeyId: Bytes, counter: number): Bytes {
  assert(isUsableCounter(counter), 'a counter that may be used');
  let key = initial;
  let soFar = 0;
  for (let bit = 0x8000_0000; bit >= 1; bit /= 2) {
    if (Math.floor(counter / bit) % 2 === 0) continue;
    soFar += bit;
    key = derive(crypto, key, usage.chain, concat(initialKeyId.subarray(4), uintBE(soFar, 4)));
  }
  return key;
}

export const workingKey = (
  crypto: Aes,
  transaction: Bytes,
  kind: WorkingKey,
  initialKeyId: Bytes,
  counter: number,
): Bytes => derive(crypto, transaction, usage[kind], concat(initialKeyId.subarray(4), uintBE(counter, 4)));

/** Key serial number: initial key id(8) ‖ counter(4). */
export const keySerialNumber = (initialKeyId: Bytes, counter: number): Bytes =>
  concat(initialKeyId, uintBE(counter, 4));
