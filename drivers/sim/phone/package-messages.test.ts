// Shows that a content package reaches the phone whole or not at all: parts lost, doubled, in any order, cut, with any bit flipped,
// a power cut between any two steps, an old version, another merchant's, a wrong signer; and that an erasure leaves nothing that
// old messages bring back, and never takes a card with money. The host's codec makes the messages, the phone's own reads them.
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import { formatHostCoupon, formatRegistration, oneMessageCharactersMax } from '../../protocols/member/messages.js';
import {
  type EraseContent,
  encodePackageContent,
  type FullContent,
  formatPackagePart,
  packageContentBytesMax,
  packagePartCount,
  packagePartsMax,
  parsePackageAnswer,
  rawSignature,
  sealPackage,
  signedBytes,
  verifyPackageAnswer,
} from '../../protocols/member/package.js';
import { realChance } from './phone-crypto.js';
import { handleMessage } from './phone-messages.js';
import { membershipOf, newPhoneState, type PhoneState, withMembership } from './phone-state.js';

const token = 'ABCDEFGHJKMNPQRS';
const merchant = nativeKeyAgreement.generateKeyPair();
const signer = nativeKeyAgreement.generateKeyPair();
const handle = (state: PhoneState, text: string) => handleMessage(state, text, realChance);
const registered = handle(newPhoneState('13800138000'), formatRegistration('M1', token, merchant.publicKey)).state;

const full = (coupons: number, offers = 1): FullContent => ({
  kind: 'full',
  merchantName: '面包店',
  rules: { version: 3, currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 100, spendPerPoints: 100 },
  coupons: Array.from({ length: coupons }, (_, at) => ({
    couponNumber: 40 + at,
    balanceMinor: 30_000 + at,
    currency: 'CNY' as const,
    expiresAtSeconds: 1_893_456_000,
    limit: [{ kind: 'none' as const }, { kind: 'category' as const, category: 'cake' }, { kind: 'products' as const }][
      at % 3
    ] ?? {
      kind: 'none' as const,
    },
  })),
  offers: Array.from({ length: offers }, () => ({
    title: '半价 half price',
    text: 'Cake 蛋糕',
    expiresAtSeconds: 1_893_456_000,
  })),
  leftOut: { coupons: 0, offers: 2 },
  credential: null,
});

interface How {
  readonly merchantId?: string;
  readonly key?: Bytes;
  readonly by?: typeof signer;
  /** Says that this one signs, whoever does. */
  readonly named?: Bytes;
  readonly keyId?: string;
}

function parts(
  state: PhoneState,
  version: number,
  content: FullContent | EraseContent,
  how: How = {},
): readonly string[] {
  const registration = membershipOf(state, 'M1');
  if (!registration) throw new Error('registered');
  const { merchantId = registration.merchantId, by = signer, named = by.publicKey } = how;
  const key = how.key ?? hex(registration.memberKey);
  const head = { merchantId, version, memberKeyId: hex(how.keyId ?? registration.memberKeyId), signer: named };
  const bytes = encodePackageContent(head, content);
  const signature = rawSignature(nativeWalletCrypto.signP256(by.privateKey, signedBytes(bytes)));
  const sealed = sealPackage(nativeCrypto, key, head, realChance.bytes(16), bytes, signature);
  return Array.from({ length: packagePartCount(sealed.length) }, (_, at) =>
    formatPackagePart(nativeCrypto, key, head, sealed, at + 1),
  );
}

/** Hands texts to the phone in turn. */
function all(state: PhoneState, texts: readonly string[]) {
  const said: (string | null)[] = [];
  let last = handle(state, texts[0] ?? '');
  said.push(last.answer);
  for (const text of texts.slice(1)) {
    last = handle(last.state, text);
    said.push(last.answer);
  }
  return { ...last, said };
}
const packageOf = (state: PhoneState) => state.packages.find(({ merchantId }) => merchantId === 'M1');

/** The answer as the host reads it, verified. */
function heard(state: PhoneState, answer: string | null) {
  const parsed = parsePackageAnswer(answer ?? '');
  if (!parsed.ok) return null;
  const key = hex(membershipOf(state, 'M1')?.memberKey ?? '00');
  return verifyPackageAnswer(nativeCrypto, key, parsed.value) ? parsed.value : 'forged';
}

t.test('a whole package in order: shown, confirmed, applied once', async (t) => {
  const texts = parts(registered, 1, full(5));
  t.ok(texts.length > 3);
  for (const text of texts) t.ok(text.length <= oneMessageCharactersMax && /^[A-Za-z0-9 /_-]+$/.test(text));
  const done = all(registered, texts);
  t.equal(done.outcome, 'packageApplied');
  t.match(packageOf(done.state), {
    version: 1,
    signer: toHex(signer.publicKey),
    incoming: null,
    content: {
      merchantName: '面包店',
      rules: { version: 3, currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 100, spendPerPoints: 100 },
      offers: [{ title: '半价 half price', text: 'Cake 蛋糕' }],
      leftOut: { coupons: 0, offers: 2 },
    },
  });
  t.match(packageOf(done.state)?.content?.coupons, [
    { code: 'SLC0000000000040', balanceMinor: 30_000, limit: null },
    { limit: 'cake' },
    { limit: '' },
    {},
    {},
  ]);
  t.same(
    membershipOf(done.state, 'M1')?.coupons.map(({ code }) => code),
    ['SLC0000000000040', 'SLC0000000000041', 'SLC0000000000042', 'SLC0000000000043', 'SLC0000000000044'],
  );
  t.same(
    done.said.slice(0, -1),
    texts.slice(1).map(() => null),
    'one answer, at the end',
  );
  t.match(heard(done.state, done.answer), { word: 'HAVE', version: 1, merchantId: 'M1' });
  const again = all(done.state, texts);
  t.same(again.state, done.state);
  t.same(again.outcome, 'packageKnown');
  t.equal(again.answer, done.answer, 'the last part is confirmed again');
});

t.test('the largest package has all its parts, one byte more none', async (t) => {
  const head = {
    merchantId: 'A'.repeat(16),
    version: 0xffffffff,
    memberKeyId: new Uint8Array(8),
    signer: signer.publicKey,
  };
  const seal = (length: number) =>
    sealPackage(nativeCrypto, new Uint8Array(16), head, new Uint8Array(16), new Uint8Array(length), new Uint8Array(64));
  const sealed = seal(packageContentBytesMax);
  t.equal(packagePartCount(sealed.length), packagePartsMax);
  for (let part = 1; part <= packagePartsMax; part++)
    t.ok(formatPackagePart(nativeCrypto, new Uint8Array(16), head, sealed, part).length <= oneMessageCharactersMax);
  t.throws(() => seal(packageContentBytesMax + 1));
});

t.test('parts in any order and any number of times come to the same', async () => {
  const texts = parts(registered, 1, full(5));
  const wanted = packageOf(all(registered, texts).state);
  fc.assert(
    fc.property(
      fc.shuffledSubarray([...texts.keys()], { minLength: texts.length }),
      fc.array(fc.nat({ max: texts.length - 1 }), { maxLength: 6 }),
      (order, doubled) => {
        const { state } = all(
          registered,
          [...doubled, ...order].map((at) => texts[at] ?? ''),
        );
        return JSON.stringify(packageOf(state)) === JSON.stringify(wanted);
      },
    ),
    { numRuns: 60 },
  );
});

t.test('each part lost: the phone asks for exactly that one, and resumes with it', async (t) => {
  const texts = parts(registered, 1, full(5));
  for (const [lost, text] of texts.entries()) {
    const rest = texts.filter((one) => one !== text);
    const before = all(registered, rest);
    t.equal(before.outcome, 'packagePartKept');
    t.equal(packageOf(before.state)?.version, 0, 'nothing is shown before it is whole');
    t.same(membershipOf(before.state, 'M1')?.coupons, []);
    const answer = heard(before.state, before.answer);
    if (lost === texts.length - 1) t.equal(before.answer, null, 'the last part is the merchant’s to repeat');
    else t.match(answer, { word: 'NEED', version: 1, missing: 2 ** lost });
    const after = handle(before.state, text);
    t.equal(after.outcome, 'packageApplied');
  }
});

t.test('each part cut anywhere or with any bit flipped changes nothing', async (t) => {
  const texts = parts(registered, 1, full(3));
  const [first = '', ...rest] = texts;
  const begun = handle(registered, first).state;
  for (const text of rest) {
    for (let length = 0; length < text.length; length++) t.equal(handle(begun, text.slice(0, length)).state, begun);
    for (let at = 0; at < text.length; at++)
      for (let bit = 0; bit < 7; bit++) {
        const flipped = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << bit)) + text.slice(at + 1);
        if (handle(begun, flipped).state !== begun) t.fail(`bit ${bit} of ${at} in ${text}`);
      }
  }
});

t.test('a power cut between any two steps: remembered or not, answered or not, the same end', async (t) => {
  const texts = parts(registered, 1, full(5));
  for (let cut = 0; cut < texts.length; cut++)
    for (const remembered of [false, true]) {
      let state = registered;
      let answer: string | null = null;
      for (const [at, text] of texts.entries()) {
        // The phone remembers, answers, takes the message away: cut off, the message is there again.
        if (at === cut && remembered) state = JSON.parse(JSON.stringify(handle(state, text).state)) as PhoneState;
        const handled = handle(state, text);
        state = handled.state;
        answer = handled.answer;
      }
      t.equal(packageOf(state)?.version, 1);
      t.match(heard(state, answer), { word: 'HAVE', version: 1 });
    }
});

t.test('only newer ones count, and a newer one takes an unfinished one’s place', async (t) => {
  const [one, two, three] = [1, 2, 3].map((version) => parts(registered, version, full(version))) as [
    readonly string[],
    readonly string[],
    readonly string[],
  ];
  const second = all(registered, two).state;
  const replayed = all(second, one);
  t.same(replayed.state, second);
  t.match(heard(second, replayed.answer), { word: 'HAVE', version: 2 }, 'says what it has');
  const unfinished = all(second, three.slice(1)).state;
  const four = parts(registered, 4, full(1));
  const newer = all(unfinished, four);
  t.equal(newer.outcome, 'packageApplied');
  t.equal(all(all(second, four.slice(1)).state, three).outcome, 'packageKnown', 'not back to an older unfinished one');
  const mixed = parts(registered, 3, full(3));
  const together = all(second, [...three.slice(0, 2), ...mixed.slice(2)]);
  t.equal(together.outcome, 'packageForged', 'parts of two makings of one version are not one');
  t.equal(packageOf(together.state)?.incoming, null);
  t.equal(all(together.state, mixed).outcome, 'packageApplied', 'and the phone is not stuck with them');
});

t.test('another merchant’s, another phone’s, another signer’s', async (t) => {
  const content = full(2);
  const key = new Uint8Array(16).fill(9);
  t.equal(all(registered, parts(registered, 1, content, { merchantId: 'M2' })).outcome, 'notRegistered');
  t.equal(all(newPhoneState('13800138000'), parts(registered, 1, content)).outcome, 'notRegistered');
  const strange = all(registered, parts(registered, 1, content, { key }));
  t.match(strange, { outcome: 'packageDamaged', state: registered });
  for (const how of [
    { named: merchant.publicKey },
    { named: concat(Uint8Array.of(2), new Uint8Array(32).fill(0xff)) },
    { keyId: '0102030405060708' },
  ]) {
    const forged = all(registered, parts(registered, 1, content, how));
    t.equal(forged.outcome, 'packageForged');
    t.match(packageOf(forged.state), { version: 0, signer: null, incoming: null, content: null });
  }
  const first = all(registered, parts(registered, 1, content)).state;
  const other = nativeKeyAgreement.generateKeyPair();
  const turned = all(first, parts(registered, 2, content, { by: other }));
  t.equal(turned.outcome, 'packageForged', 'who has the member key alone changes nothing');
  t.match(packageOf(turned.state), { version: 1, signer: toHex(signer.publicKey) });
});

t.test('a new registration drops an unfinished package of the old key and goes on counting', async (t) => {
  const first = all(registered, parts(registered, 5, full(1))).state;
  const half = all(first, parts(first, 6, full(3)).slice(0, 2)).state;
  const again = handle(half, formatRegistration('M1', 'ZZZZZZZZZZZZZZZZ', merchant.publicKey)).state;
  t.equal(all(again, parts(first, 6, full(3))).outcome, 'packageDamaged', 'sealed for the old key');
  t.equal(all(again, parts(again, 5, full(3))).outcome, 'packageKnown');
  t.equal(all(again, parts(again, 7, full(3))).outcome, 'packageApplied');
});

const loaded = (balanceMinor: number): PhoneState => {
  const record = Buffer.alloc(96);
  record[0] = 1;
  record.writeUInt32BE(1, 15);
  record.writeUIntBE(balanceMinor, 19, 6);
  record.write('CNY', 25, 'latin1');
  const card = { keyId: 'c0c1c2c3c4c5c6c7', key: '00'.repeat(16), slots: [record.toString('hex'), '00'.repeat(96)] };
  const member = membershipOf(registered, 'M1');
  if (!member) throw new Error('registered');
  return withMembership(registered, { ...member, card: card as (typeof member)['card'] });
};

t.test('an erasure: everything of the membership goes, confirmed, and nothing old brings it back', async (t) => {
  const erase: EraseContent = { kind: 'erase', forfeitedCards: [] };
  const old = parts(registered, 1, full(3));
  const shown = all(loaded(0), old).state;
  const texts = parts(registered, 2, erase);
  const gone = all(shown, texts);
  t.equal(gone.outcome, 'membershipErased');
  t.same(gone.state.memberships, []);
  t.notOk(JSON.stringify(gone.state).includes(membershipOf(registered, 'M1')?.memberKey ?? '?'), 'the key is gone');
  t.match(packageOf(gone.state), { version: 2, content: null, incoming: null });
  t.match(heard(registered, gone.answer), { word: 'HAVE', version: 2 }, 'made before the key went');
  t.equal(all(gone.state, texts).answer, gone.answer, 'asked again, the same answer');
  for (const replay of [
    ...old,
    formatRegistration('M1', token, merchant.publicKey),
    formatRegistration('M1', 'ZZZZZZZZZZZZZZZZ', nativeKeyAgreement.generateKeyPair().publicKey),
  ])
    t.match(handle(gone.state, replay), { state: gone.state, answer: null }, replay.slice(0, 20));
  const back = handle(gone.state, formatRegistration('M1', 'ZZZZZZZZZZZZZZZZ', merchant.publicKey));
  t.equal(back.outcome, 'registered', 'the merchant may invite again');
  t.equal(all(back.state, parts(back.state, 2, full(1))).outcome, 'packageKnown', 'the count goes on');
  t.equal(all(back.state, parts(back.state, 3, full(1))).outcome, 'packageApplied');
});

t.test('a card with money stays, unless the host has blocked that very card', async (t) => {
  const state = loaded(500);
  const kept = all(state, parts(registered, 1, { kind: 'erase', forfeitedCards: [hex('0000000000000001')] }));
  t.equal(kept.outcome, 'cardInUse');
  t.same(kept.state.memberships, state.memberships);
  t.match(heard(registered, kept.answer), { word: 'KEPT', version: 1, cardKeyId: 'c0c1c2c3c4c5c6c7' });
  const forfeited = parts(registered, 2, { kind: 'erase', forfeitedCards: [hex('c0c1c2c3c4c5c6c7')] });
  t.equal(all(kept.state, forfeited).outcome, 'membershipErased');
});

t.test('answers are read in their one form, and only by who holds the key', async (t) => {
  const done = all(registered, parts(registered, 1, full(1)));
  const answers = [
    done.answer ?? '',
    all(registered, parts(registered, 1, full(3)).slice(1)).answer ?? '',
    all(loaded(1), parts(registered, 1, { kind: 'erase', forfeitedCards: [] })).answer ?? '',
  ];
  t.same(
    answers.map((answer) => answer.split(' ')[1]),
    ['HAVE', 'NEED', 'KEPT'],
  );
  for (const answer of answers) {
    t.notSame(heard(registered, answer), 'forged');
    for (let length = 0; length < answer.length; length++) t.notOk(parsePackageAnswer(answer.slice(0, length)).ok);
    for (let at = 0; at < answer.length; at++)
      for (let bit = 0; bit < 7; bit++) {
        const flipped =
          answer.slice(0, at) + String.fromCharCode(answer.charCodeAt(at) ^ (1 << bit)) + answer.slice(at + 1);
        const read = heard(registered, flipped);
        if (read !== null && read !== 'forged') t.fail(`bit ${bit} of ${at} in ${answer}`);
      }
  }
  const [, need = ''] = answers;
  t.notOk(parsePackageAnswer(need.replace(/ [0-9a-f]{8} /, ' 00000000 ')).ok, 'nothing is missing');
  t.notOk(parsePackageAnswer(`${need} `).ok);
  t.notOk(parsePackageAnswer((done.answer ?? '').replace(' 1 ', ' 4294967296 ')).ok);
  t.notOk(parsePackageAnswer('x'.repeat(200)).ok);
  t.equal(
    all(registered, [
      formatHostCoupon({
        merchantId: 'M1',
        couponCode: 'SLC0000000000001',
        balanceMinor: 1,
        currency: 'CNY',
        expiresAtSeconds: 0,
      }),
    ]).outcome,
    'couponKept',
  );
});
