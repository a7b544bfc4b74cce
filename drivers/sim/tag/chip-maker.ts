/**
 * The maker of simulated chips: a key pair on NTAG21x's curve, of which everybody can read the secret here, and the signature
 * that it puts into a chip. Must not be accepted by any but a simulated box, to which its public key is handed.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { chipCurves } from '../../../terminal/kernel/native-chip.js';

const curve = chipCurves.secp128r1;
const { secretKey } = curve.keygen(new Uint8Array(curve.lengths.seed ?? 0).fill(0x51));

export const simulatedMaker = { curve: 'secp128r1', publicKey: curve.getPublicKey(secretKey, false) } as const;

/** 32 bytes for a UID of 7 bytes, which is signed as it is (NTAG21x data sheet §8.8). */
export const signChip = (uid: Bytes): Bytes => curve.sign(uid, secretKey, { prehash: false, lowS: false });
