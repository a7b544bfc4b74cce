// Shows that the simulated phone takes the packages that an independent implementation (protocols/member/vectors/make.py) made from
// the document and says what that one says of them; and that each section out of its documented form makes a package wrong.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Bytes, concat, hex, uintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import {
  encodePackageContent,
  formatPackagePart,
  packagePartCount,
  rawSignature,
  sealPackage,
  signedBytes,
} from '../../protocols/member/package.js';
import { handleMessage } from './phone-messages.js';
import { membershipOf, newPhoneState, type PhoneState } from './phone-state.js';

interface PackageVector {
  readonly parts: readonly string[];
  readonly have: string;
}
const vectors = JSON.parse(
  readFileSync(new URL('../../protocols/member/vectors/member.json', import.meta.url), 'utf8'),
) as Readonly<
  Record<
    | 'memberKey'
    | 'memberKeyId'
    | 'ephemeralPrivate'
    | 'phonePrivate'
    | 'credential'
    | 'registrationMessage'
    | 'couponMessage'
    | 'signerPrivate'
    | 'signerPublic',
    string
  >
> & {
  readonly packageFull: PackageVector & { readonly needThird: string; readonly needAllButLast: string };
  readonly packageErase: PackageVector & { readonly kept: string };
  readonly packageForfeit: PackageVector;
};
const { packageFull, packageErase, packageForfeit } = vectors;
const none = { bytes: (): Bytes => new Uint8Array(0) };

function registered(): PhoneState {
  const draws = [hex(vectors.memberKey), hex(vectors.ephemeralPrivate), hex(vectors.phonePrivate)];
  const chance = { bytes: (): Bytes => draws.shift() ?? new Uint8Array(0) };
  return handleMessage(newPhoneState('13800138000'), vectors.registrationMessage, chance).state;
}
const withCard = (state: PhoneState): PhoneState => handleMessage(state, vectors.couponMessage, none).state;

/** Hands messages to the phone in turn: its end, and each answer. */
function all(start: PhoneState, messages: readonly string[]) {
  let state = start;
  let outcome = '';
  const said = messages.map((message) => {
    const handled = handleMessage(state, message, none);
    ({ state, outcome } = handled);
    return handled.answer;
  });
  return { state, outcome, said };
}
const packageOf = (state: PhoneState) => state.packages[0];

t.test('the full package is shown and confirmed', async (t) => {
  const done = all(registered(), packageFull.parts);
  t.equal(done.outcome, 'packageApplied');
  t.same(done.said, [...new Array<null>(packageFull.parts.length - 1).fill(null), packageFull.have]);
  t.match(packageOf(done.state), { version: 1, signer: vectors.signerPublic, incoming: null });
  t.same(packageOf(done.state)?.content, {
    merchantName: '面包店',
    rules: { version: 3, currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 100, spendPerPoints: 100 },
    coupons: [
      {
        code: 'SLC0000000000043',
        balanceMinor: 5_000,
        currency: 'CNY',
        expiresAtSeconds: 1_893_456_000,
        limit: 'cake',
      },
      { code: 'SLC0000000000044', balanceMinor: 100, currency: 'CNY', expiresAtSeconds: 0, limit: '' },
    ],
    offers: [{ title: '半价', text: 'Cake 蛋糕', expiresAtSeconds: 1_893_456_000 }],
    leftOut: { coupons: 0, offers: 2 },
    credential: vectors.credential,
  });
});

t.test('what is missing is asked for as the independent implementation asks', async (t) => {
  const lost = all(
    registered(),
    packageFull.parts.filter((_, at) => at !== 2),
  );
  t.equal(lost.said.at(-1), packageFull.needThird);
  const whole = all(lost.state, packageFull.parts.slice(2, 3));
  t.same([whole.outcome, whole.said], ['packageApplied', [packageFull.have]]);
  t.same(all(registered(), packageFull.parts.slice(-1)).said, [packageFull.needAllButLast], 'the last part first');
});

t.test('a card with money stops an erasure, until it is named', async (t) => {
  const start = all(withCard(registered()), packageFull.parts).state;
  const kept = all(start, packageErase.parts);
  t.same([kept.outcome, kept.said], ['cardInUse', [null, null, packageErase.kept]]);
  t.same(kept.state, start, 'nothing has changed');
  const gone = all(kept.state, packageForfeit.parts);
  t.same([gone.outcome, gone.said], ['membershipErased', [null, null, packageForfeit.have]]);
  t.equal(membershipOf(gone.state, 'M1001'), null);
  t.same(all(gone.state, packageForfeit.parts.slice(-1)).said, [packageForfeit.have], 'said again');
  const empty = all(registered(), packageErase.parts);
  t.same([empty.outcome, empty.said], ['membershipErased', [null, null, packageErase.have]]);
});

const section = (type: number, ...values: readonly Bytes[]): Bytes => {
  const bytes = concat(...values);
  return concat(uintBE(type, 1), uintBE(bytes.length, 2), bytes);
};

/** A package of version 1, sealed and signed as it should be, with these sections behind its head. */
function withSections(kind: 'full' | 'erase', ...sections: readonly Bytes[]): readonly string[] {
  const key = hex(vectors.memberKey);
  const memberKeyId = hex(vectors.memberKeyId);
  const head = { merchantId: 'M1001', version: 1, memberKeyId, signer: hex(vectors.signerPublic) };
  const fixed = encodePackageContent(head, { kind: 'erase', forfeitedCards: [] });
  const content = concat(hex(kind === 'full' ? '0101' : '0102'), fixed.subarray(2), ...sections);
  const signature = rawSignature(nativeWalletCrypto.signP256(hex(vectors.signerPrivate), signedBytes(content)));
  const sealed = sealPackage(nativeCrypto, key, head, new Uint8Array(16), content, signature);
  return Array.from({ length: packagePartCount(sealed.length) }, (_, at) =>
    formatPackagePart(nativeCrypto, key, head, sealed, at + 1),
  );
}
const outcome = (...how: Parameters<typeof withSections>): string => all(registered(), withSections(...how)).outcome;
const coupon = (number: number, balance: number, currency = 'CNY', limit = '00'): Bytes =>
  section(3, uintBE(number, 6), uintBE(balance, 6), utf8(currency), new Uint8Array(5), hex(limit));
const rules = (currency: string): Bytes => section(2, new Uint8Array(4), utf8(currency), new Uint8Array(24));

t.test('a section out of its form makes the whole package wrong', async (t) => {
  const name = section(1, utf8('x'));
  const good = [name, rules('CNY'), coupon(9_999_999_999_999, 999_999_999_999), section(4, new Uint8Array(6))];
  t.equal(outcome('full', ...good, section(5, new Uint8Array(4)), section(6, new Uint8Array(127))), 'packageApplied');
  for (const [what, wrong] of Object.entries({
    'rules too short': section(2, new Uint8Array(30)),
    'rules without a currency': rules('cny'),
    'a coupon too short': section(3, new Uint8Array(20)),
    'a number of 14 digits': coupon(10_000_000_000_000, 1),
    'a balance of 13 digits': coupon(1, 1_000_000_000_000),
    'a coupon without a currency': coupon(1, 1, 'C1Y'),
    'an offer without a title’s length': section(4, new Uint8Array(5)),
    'a title over the end': section(4, new Uint8Array(5), hex('02'), utf8('x')),
    'left out too long': section(5, new Uint8Array(5)),
    'a credential too short': section(6, new Uint8Array(126)),
    'a length over the end': hex('010002ff'),
    'half a header': hex('0100'),
  })) {
    const done = all(registered(), withSections('full', wrong));
    t.same([done.outcome, packageOf(done.state)?.version, done.said.at(-1)], ['packageForged', 0, null], what);
  }
  t.equal(outcome('erase', section(7, new Uint8Array(7))), 'packageForged', 'half a card key id');
});

t.test('what a later merchant may say, and what is of the other kind, is passed over', async (t) => {
  t.equal(outcome('full', section(1, utf8('x')), section(7, hex('00')), section(200, hex('0102'))), 'packageApplied');
  t.equal(outcome('erase', section(3, hex('00')), section(200)), 'membershipErased');
  t.equal(outcome('full', section(1, hex('ff'))), 'packageApplied', 'a name that is not UTF-8');
  const later = all(
    registered(),
    withSections('full', coupon(1, 1, 'CNY', '0378'), section(1, utf8('a')), section(1, utf8('b'))),
  );
  t.match(packageOf(later.state)?.content, { merchantName: 'b', coupons: [{ limit: '' }] }, 'a limit, without a name');
});
