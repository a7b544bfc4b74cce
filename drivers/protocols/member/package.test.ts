// Shows that the host's codec of content packages makes, byte for byte, what an independent implementation made from the document
// (vectors/make.py), reads that one's answers, and refuses what has no place in a package. Fixed values; bounds at their edges.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Bytes, concat, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import {
  type EraseContent,
  encodePackageContent,
  type FullContent,
  formatPackagePart,
  isPackageAnswer,
  packageContentBytesMax,
  packagePartBytes,
  packagePartCount,
  packagePartsMax,
  parsePackageAnswer,
  rawSignature,
  sealPackage,
  verifyPackageAnswer,
} from './package.js';

type PackageVector = Readonly<Record<'iv' | 'content' | 'signature' | 'sealed' | 'have', string>> & {
  readonly version: number;
  readonly parts: readonly string[];
};
const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Readonly<
  Record<
    'merchantId' | 'memberKeyId' | 'memberKey' | 'cardKeyId' | 'credential' | 'signerPrivate' | 'signerPublic',
    string
  >
> & {
  readonly packageFull: PackageVector & { readonly needThird: string; readonly needAllButLast: string };
  readonly packageErase: PackageVector & { readonly kept: string };
  readonly packageForfeit: PackageVector;
};
const { merchantId, packageFull, packageErase, packageForfeit } = vectors;
const memberKey = hex(vectors.memberKey);
const headOf = (version: number) => ({
  merchantId,
  version,
  memberKeyId: hex(vectors.memberKeyId),
  signer: hex(vectors.signerPublic),
});

const full: FullContent = {
  kind: 'full',
  merchantName: '面包店',
  rules: { version: 3, currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 100, spendPerPoints: 100 },
  coupons: [
    {
      couponNumber: 43,
      balanceMinor: 5_000,
      currency: 'CNY',
      expiresAtSeconds: 1_893_456_000,
      limit: { kind: 'category', category: 'cake' },
    },
    { couponNumber: 44, balanceMinor: 100, currency: 'CNY', expiresAtSeconds: 0, limit: { kind: 'products' } },
  ],
  offers: [{ expiresAtSeconds: 1_893_456_000, title: '半价', text: 'Cake 蛋糕' }],
  leftOut: { coupons: 0, offers: 2 },
  credential: hex(vectors.credential),
};
const erase = (...forfeitedCards: readonly Bytes[]): EraseContent => ({ kind: 'erase', forfeitedCards });

for (const [name, vector, content] of [
  ['a full package', packageFull, full],
  ['an erasure', packageErase, erase()],
  ['an erasure with a forfeited card', packageForfeit, erase(hex(vectors.cardKeyId))],
] as const)
  t.test(`${name}: content, seal and parts are the independent ones`, async (t) => {
    const head = headOf(vector.version);
    const bytes = encodePackageContent(head, content);
    t.equal(toHex(bytes), vector.content);
    const sealed = sealPackage(nativeCrypto, memberKey, head, hex(vector.iv), bytes, hex(vector.signature));
    t.equal(toHex(sealed), vector.sealed);
    t.equal(packagePartCount(sealed.length), vector.parts.length);
    t.same(
      vector.parts.map((_, at) => formatPackagePart(nativeCrypto, memberKey, head, sealed, at + 1)),
      vector.parts,
    );
  });

t.test('the independent answers are read and are the phone’s', async (t) => {
  const answers = [
    [packageFull.have, { word: 'HAVE', version: 1 }],
    [packageFull.needThird, { word: 'NEED', version: 1, missing: 0b100 }],
    [packageFull.needAllButLast, { word: 'NEED', version: 1, missing: 0b111111 }],
    [packageErase.kept, { word: 'KEPT', version: 2, cardKeyId: vectors.cardKeyId }],
    [packageErase.have, { word: 'HAVE', version: 2 }],
    [packageForfeit.have, { word: 'HAVE', version: 3 }],
  ] as const;
  for (const [text, wanted] of answers) {
    t.ok(isPackageAnswer(text));
    const read = parsePackageAnswer(text);
    if (!read.ok) {
      t.fail(text);
      continue;
    }
    t.match(read.value, { merchantId, ...wanted });
    t.ok(verifyPackageAnswer(nativeCrypto, memberKey, read.value), text);
    t.notOk(verifyPackageAnswer(nativeCrypto, new Uint8Array(16), read.value), 'by another key');
  }
  const upper = packageErase.kept.replace(vectors.cardKeyId, vectors.cardKeyId.toUpperCase());
  t.match(parsePackageAnswer(upper), { error: { code: 'input.malformed' } }, 'hex digits are lower case');
  t.notOk(isPackageAnswer(packageFull.parts[0] ?? ''));
});

t.test('a signature in DER is laid out as r ‖ s, short and long integers alike', async (t) => {
  const short = new Uint8Array(31).fill(0x7f);
  const long = new Uint8Array(32).fill(0x80);
  const body = concat(hex('021f'), short, hex('022100'), long);
  t.same(rawSignature(concat(hex('30'), Uint8Array.of(body.length), body)), concat(hex('00'), short, long));
  t.throws(() => rawSignature(concat(hex('30'), Uint8Array.of(body.length), body, hex('00'))), 'nothing follows');
  const own = rawSignature(nativeWalletCrypto.signP256(hex(vectors.signerPrivate), utf8('any')));
  t.equal(own.length, 64);
  t.equal(toHex(nativeWalletCrypto.publicKeyOf(hex(vectors.signerPrivate)) ?? hex('')), vectors.signerPublic);
});

t.test('the sizes that the document states', async (t) => {
  const seal = (bytes: number) =>
    sealPackage(nativeCrypto, memberKey, headOf(1), new Uint8Array(16), new Uint8Array(bytes), new Uint8Array(64));
  t.equal(packageContentBytesMax, 2111);
  t.equal(packagePartsMax * packagePartBytes, 2208);
  t.equal(packagePartCount(seal(packageContentBytesMax).length), packagePartsMax);
  t.throws(() => seal(packageContentBytesMax + 1));
  const shortest = encodePackageContent({ ...headOf(1), merchantId: 'M' }, erase());
  t.equal(packagePartCount(seal(shortest.length).length), 3, 'no package has fewer parts');
  const longest = { ...headOf(0xffffffff), merchantId: 'A'.repeat(16) };
  const part = formatPackagePart(nativeCrypto, memberKey, longest, seal(packageContentBytesMax), 31);
  t.equal(part.length, 160, 'and one message holds a part of the longest names');
  for (const version of [0, 0x1_0000_0000]) t.throws(() => encodePackageContent(headOf(version), full));
  for (const balanceMinor of [-1, 0.5, 1_000_000_000_000])
    t.throws(() =>
      encodePackageContent(headOf(1), { ...full, coupons: full.coupons.map((one) => ({ ...one, balanceMinor })) }),
    );
  const title = (bytes: number) => ({
    ...full,
    offers: [{ title: 'x'.repeat(bytes), text: '', expiresAtSeconds: 0 }],
  });
  t.doesNotThrow(() => encodePackageContent(headOf(1), title(255)));
  t.throws(() => encodePackageContent(headOf(1), title(256)));
});
