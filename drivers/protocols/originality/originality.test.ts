/**
 * Shows that a maker's signature over a chip's UID is proved: NXP's published one, and ones made here on the same curves.
 * Every flipped bit of UID, signature and key is refused, a point off the curve among them.
 */
import t from 'tap';
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import { chipCurves, nativeChipCrypto } from '../../../terminal/kernel/native-chip.js';
import { isChipGenuine, type MakerKey, makerKeys, signatureBytes } from './originality.js';

/** NXP AN12196 §9.2: NTAG 424 DNA. */
const published = {
  uid: hex('04518dfaa96180'),
  signature: hex(
    'd1940d17cfeda4bff80359ab975f9f6514313e8f90c1d3caaf5941ad744a1cdf9a83f883cafe0fe95d1939b1b7e47113993324473b785d21',
  ),
};

/** A chip of a maker of our own: nobody but NXP can sign by its key. */
function ownChip(curve: MakerKey['curve'], uid: Bytes) {
  const { secretKey } = chipCurves[curve].keygen(new Uint8Array(chipCurves[curve].lengths.seed ?? 0).fill(7));
  return {
    maker: { curve, publicKey: chipCurves[curve].getPublicKey(secretKey, false) },
    signature: chipCurves[curve].sign(uid, secretKey, { prehash: false, lowS: false }),
  };
}

function* flipped(bytes: Bytes): Generator<Bytes> {
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const changed = bytes.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    yield changed;
  }
}

const verdict = (maker: MakerKey, uid: Bytes, signature: Bytes): boolean | string => {
  const proved = isChipGenuine(nativeChipCrypto, maker, uid, signature);
  return proved.ok ? proved.value : proved.error.code;
};

t.test('the published signature is proved by the key of its family only', (t) => {
  t.equal(verdict(makerKeys.ntag424, published.uid, published.signature), true);
  t.equal(verdict(makerKeys.ntag21x, published.uid, published.signature.subarray(0, 32)), false);
  t.equal(verdict(makerKeys.ntag424, hex('04518dfaa96181'), published.signature), false, "another chip's");
  t.end();
});

t.test('the constants of both families are points of their curves', (t) => {
  for (const { curve, publicKey } of Object.values(makerKeys)) {
    t.ok(chipCurves[curve].utils.isValidPublicKey(publicKey, false), curve);
    const { BASE, Fn } = chipCurves[curve].Point;
    t.ok(
      BASE.multiplyUnsafe(Fn.ORDER - 1n)
        .add(BASE)
        .is0(),
      `${curve}: the order is the order`,
    );
  }
  t.end();
});

t.test('on both curves every flipped bit and every truncation is refused', (t) => {
  const uid = hex('04a1b2c3d4e5f6');
  for (const curve of ['secp128r1', 'secp224r1'] as const) {
    const { maker, signature } = ownChip(curve, uid);
    t.equal(verdict(maker, uid, signature), true, `${curve}: as signed`);
    t.equal(signature.length, signatureBytes[curve]);
    for (const changed of flipped(signature)) t.equal(verdict(maker, uid, changed), false, `${curve}: signature`);
    for (const changed of flipped(uid)) t.equal(verdict(maker, changed, signature), false, `${curve}: UID`);
    for (const publicKey of flipped(maker.publicKey))
      t.equal(verdict({ curve, publicKey }, uid, signature), false, `${curve}: key off the curve`);
    for (let length = 0; length < signature.length; length++)
      t.equal(verdict(maker, uid, signature.subarray(0, length)), 'input.truncated');
    for (let length = 0; length < uid.length; length++)
      t.equal(verdict(maker, uid.subarray(0, length), signature), 'input.truncated');
    t.equal(verdict(maker, uid, hex(`${'00'.repeat(signature.length)}`)), false, 'zeros');
    t.equal(verdict(maker, uid, hex(`${'ff'.repeat(signature.length)}`)), false, 'numbers beyond the order');
    t.equal(verdict(maker, uid, hex(`${'00'.repeat(signature.length + 1)}`)), 'input.tooLong');
  }
  t.end();
});
