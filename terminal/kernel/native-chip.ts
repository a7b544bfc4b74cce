/**
 * The kernel's port for chip makers' signatures, by @noble/curves: Node hashes the message or does not know the curve.
 * Apart from native.ts so that only who reads tags loads it.
 */
import { type ECDSA, ecdsa, weierstrass } from '@noble/curves/abstract/weierstrass.js';
import { sha256 } from '@noble/hashes/sha2.js';
import type { ChipCrypto, ChipCurve } from './ports.js';

/** The curves themselves: tests sign on them. */
export const chipCurves: Readonly<Record<ChipCurve, ECDSA>> = {
  // The hash serves only the drawing of nonces in signing; messages go in as they are.
  secp128r1: ecdsa(
    weierstrass({
      p: 0xfffffffdffffffffffffffffffffffffn,
      n: 0xfffffffe0000000075a30d1b9038a115n,
      h: 1n,
      a: 0xfffffffdfffffffffffffffffffffffcn,
      b: 0xe87579c11079f43dd824993c2cee5ed3n,
      Gx: 0x161ff7528b899b2d0c28607ca52c5b86n,
      Gy: 0xcf5ac8395bafeb13c02da292dded7a83n,
    }),
    sha256,
  ),
  secp224r1: ecdsa(
    weierstrass({
      p: 0xffffffffffffffffffffffffffffffff000000000000000000000001n,
      n: 0xffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3dn,
      h: 1n,
      a: 0xfffffffffffffffffffffffffffffffefffffffffffffffffffffffen,
      b: 0xb4050a850c04b3abf54132565044b0b7d7bfd8ba270b39432355ffb4n,
      Gx: 0xb70e0cbd6bb4bf7f321390b94a03c1d356c21122343280d6115c1d21n,
      Gy: 0xbd376388b5f723fb4c22dfe6cd4375a05a07476444d5819985007e34n,
    }),
    sha256,
  ),
};

export const nativeChipCrypto: ChipCrypto = {
  verifyUnhashed: (curve, publicKey, message, signature) => {
    const { lengths } = chipCurves[curve];
    if (publicKey.length !== lengths.publicKeyUncompressed || signature.length !== lengths.signature) return false;
    try {
      return chipCurves[curve].verify(signature, message, publicKey, { prehash: false, lowS: false });
    } catch {
      return false;
    }
  },
};
