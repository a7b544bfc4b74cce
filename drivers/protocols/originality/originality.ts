/**
 * NXP's originality signature: was the chip made by NXP (NTAG21x data sheet §8.8 and READ_SIG §10.8, NXP AN12196 §9.2)?
 * Pure. It is static and can be copied to a chip that plays this one: the finding is `chip genuine` and nothing more.
 */
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import type { ChipCrypto, ChipCurve } from '../../../terminal/kernel/ports.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** One family of chips: the maker's public key, uncompressed. */
export interface MakerKey {
  readonly curve: ChipCurve;
  readonly publicKey: Bytes;
}

export const makerKeys: Readonly<Record<'ntag21x' | 'ntag424', MakerKey>> = {
  ntag21x: { curve: 'secp128r1', publicKey: hex('04494e1a386d3d3cfe3dc10e5de68a499b1c202db5b132393e89ed19fe5be8bc61') },
  ntag424: {
    curve: 'secp224r1',
    publicKey: hex(
      '048a9b380af2ee1b98dc417fecc263f8449c7625cece82d9b916c992da209d68422b81ec20b65a66b5102a61596af3379200599316a00a1410',
    ),
  },
};

/** READ_SIG of NTAG21x, to the chip itself: the answer is the signature alone. */
export const readSigCommand = hex('3c00');

const uidBytes = 7;
/** r ‖ s, by curve. */
export const signatureBytes: Readonly<Record<ChipCurve, number>> = { secp128r1: 32, secp224r1: 56 };

/**
 * @param uid 7 bytes, signed as they are, not hashed
 * @returns whether the maker signed this UID, or `input.truncated`, `input.tooLong` where a length is wrong
 */
export function isChipGenuine(
  crypto: ChipCrypto,
  maker: MakerKey,
  uid: Bytes,
  signature: Bytes,
): Result<boolean, DecodeError> {
  const length = signatureBytes[maker.curve];
  for (const [name, bytes, wanted] of [
    ['UID', uid, uidBytes],
    ['signature', signature, length],
  ] as const) {
    if (bytes.length < wanted) return decodeError('input.truncated', bytes.length, name);
    if (bytes.length > wanted) return decodeError('input.tooLong', wanted, name);
  }
  return ok(crypto.verifyUnhashed(maker.curve, maker.publicKey, uid, signature));
}
