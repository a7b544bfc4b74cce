// Shows that the phone registers and takes coupons from the merchant's messages, in folders of files, once whatever is repeated;
// that the host opens what it answers; and that foreign, forged, replayed and malformed messages leave it as it was.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../../../terminal/kernel/native.js';
import { type CardRecord, encodeCardRecord } from '../../protocols/member/card-record.js';
import { memberKeyId, sealIssuedCard, unwrapMemberKey } from '../../protocols/member/key-exchange.js';
import {
  couponMessageHead,
  formatCardCoupon,
  formatHostCoupon,
  formatRegistration,
  parseKeyMessage,
} from '../../protocols/member/messages.js';
import { cardKey, recordKey } from '../../protocols/member/proof.js';
import { messageFileBytesMax, messagesFor, readMessage } from './message-files.js';
import { SimulatedPhone } from './phone.js';
import { realChance } from './phone-crypto.js';
import { handleMessage } from './phone-messages.js';
import { couponsMax, membershipsMax, newPhoneState, type PhoneState, VolatileMemory } from './phone-state.js';

const vectors = JSON.parse(
  readFileSync(new URL('../../protocols/member/vectors/member.json', import.meta.url), 'utf8'),
) as Record<string, string>;
const text = (name: string): string => vectors[name] ?? '?';
const vector = (name: string): Bytes => hex(text(name));
const merchant = nativeKeyAgreement.generateKeyPair();
const token = 'ABCDEFGHJKMNPQRS';
const siteKey = new Uint8Array(16).fill(7);
const fresh = newPhoneState('13800138000');
const handle = (state: PhoneState, message: string) => handleMessage(state, message, realChance);

function registered() {
  const handled = handle(fresh, formatRegistration('M1', token, merchant.publicKey));
  const parsed = parseKeyMessage(handled.answer ?? '');
  if (!parsed.ok) throw new Error('the answer has its form');
  const key = unwrapMemberKey(nativeKeyAgreement, merchant, parsed.value.token, parsed.value.wrappedKey);
  if (!key.ok) throw new Error('the answer opens');
  return {
    state: handled.state,
    answer: handled.answer,
    memberKey: key.value.memberKey,
    publicKey: key.value.publicKey,
  };
}

/** A card-held coupon's message for the phone that holds `memberKey`. */
function cardMessage(memberKey: Bytes, cardKeyId: Bytes, balanceMinor: number, merchantId = 'M1'): string {
  const coupon = {
    merchantId,
    couponCode: 'SLC0000000000042',
    balanceMinor,
    currency: 'CNY' as const,
    expiresAtSeconds: 0,
  };
  const record: CardRecord = {
    cardKeyId,
    couponNumber: 42,
    counter: 1,
    balanceMinor,
    currency: 'CNY',
    expiresAtSeconds: 0,
    lastTransactionId: new Uint8Array(16),
    lastTerminal: new Uint8Array(6),
    lastKind: 'issue',
    lastAmountMinor: balanceMinor,
    limitCategory: '',
  };
  const card = {
    cardKeyId,
    cardKey: cardKey(nativeCrypto, siteKey, cardKeyId),
    record: encodeCardRecord(nativeCrypto, recordKey(nativeCrypto, siteKey, cardKeyId), record),
  };
  return formatCardCoupon(
    coupon,
    sealIssuedCard(nativeCrypto, memberKey, couponMessageHead(coupon, 'C'), realChance.bytes(16), card),
  );
}

t.test('the vectors of an independent implementation', async (t) => {
  const drawn = [vector('memberKey'), vector('ephemeralPrivate'), vector('phonePrivate')];
  const chance = { bytes: () => drawn.shift() ?? new Uint8Array(0) };
  const handled = handleMessage(fresh, text('registrationMessage'), chance);
  t.equal(handled.answer, text('signingKeyMessage'));
  t.equal(handled.state.memberships[0]?.memberKeyId, text('memberKeyId'));
  const issued = handle(handled.state, text('couponMessage'));
  t.equal(issued.outcome, 'cardIssued');
  t.same(issued.state.memberships[0]?.card, {
    keyId: text('cardKeyId'),
    key: text('cardKey'),
    slots: [text('record1'), '00'.repeat(96)],
  });
  t.equal(handle(issued.state, text('hostCouponMessage')).outcome, 'couponKept');
});

t.test('registration', async (t) => {
  const { state, answer, memberKey } = registered();
  t.equal(toHex(memberKey), state.memberships[0]?.memberKey);
  t.equal(toHex(memberKeyId(nativeCrypto, 'M1', token)), state.memberships[0]?.memberKeyId);
  const again = handle(state, formatRegistration('M1', token, merchant.publicKey));
  t.same(
    [again.outcome, again.answer, again.state],
    ['registrationRepeated', answer, state],
    'the same answer, the same key',
  );
  const anew = handle(state, formatRegistration('M1', '0000000000000000', merchant.publicKey));
  t.equal(anew.outcome, 'registered');
  t.not(anew.state.memberships[0]?.memberKey, state.memberships[0]?.memberKey, 'a new token makes a new key');
  const other = nativeKeyAgreement.generateKeyPair();
  t.same(handle(state, formatRegistration('M1', '0000000000000000', other.publicKey)), {
    outcome: 'anotherMerchantKey',
    state,
    answer: null,
  });
  const offCurve = formatRegistration('M1', token, Uint8Array.from([2, ...new Uint8Array(32).fill(0xff)]));
  t.same(handle(fresh, offCurve), { outcome: 'malformed', state: fresh, answer: null });
});

t.test('coupons', async (t) => {
  const { state, memberKey } = registered();
  const [first, second] = [hex('0000000000000001'), hex('0000000000000002')];
  const message = cardMessage(memberKey, first, 30_000);
  t.equal(handle(fresh, message).outcome, 'notRegistered');
  const issued = handle(state, message);
  t.equal(issued.outcome, 'cardIssued');
  t.equal(handle(issued.state, message).outcome, 'issuedBefore', 'an old message does not bring the balance back');
  t.equal(handle(issued.state, cardMessage(memberKey, second, 100)).outcome, 'cardInUse', 'money is not written over');
  const empty = handle(state, cardMessage(memberKey, first, 0));
  const replaced = handle(empty.state, cardMessage(memberKey, second, 100));
  t.equal(replaced.outcome, 'cardIssued');
  t.equal(handle(replaced.state, cardMessage(memberKey, first, 0)).outcome, 'issuedBefore');
  t.equal(handle(state, message.replace('30000', '90000')).outcome, 'notSealedForThisPhone');
  t.equal(handle(state, cardMessage(new Uint8Array(16), first, 1)).outcome, 'notSealedForThisPhone');
  t.equal(handle(state, message.replace(' C ', ' H ')).outcome, 'malformed');
  const host = formatHostCoupon({
    merchantId: 'M1',
    couponCode: 'SLC0000000000001',
    balanceMinor: 1,
    currency: 'CNY',
    expiresAtSeconds: 0,
  });
  const kept = handle(handle(state, host).state, host);
  t.equal(kept.state.memberships[0]?.coupons.length, 1, 'the same coupon is kept once');
  let full = state;
  for (let n = 0; n < couponsMax; n++)
    full = handle(full, host.replace('0000000000001', String(n).padStart(13, '0'))).state;
  t.equal(handle(full, host.replace('0000000000001', '9999999999999')).outcome, 'memoryFull');
});

t.test('memberships of several merchants', async (t) => {
  const { state, memberKey } = registered();
  const second = nativeKeyAgreement.generateKeyPair();
  const invitation = formatRegistration('M2', token, second.publicKey);
  const asked: string[] = [];
  const owner = (says: boolean) => (merchantId: string) => {
    asked.push(merchantId);
    return says;
  };
  t.same(handleMessage(state, invitation, realChance, owner(false)), { outcome: 'notAgreed', state, answer: null });
  const joined = handleMessage(state, invitation, realChance, owner(true));
  t.equal(joined.outcome, 'registered');
  t.same(asked, ['M2', 'M2']);
  t.equal(handleMessage(joined.state, invitation, realChance, owner(false)).outcome, 'registrationRepeated');
  const anew = formatRegistration('M2', '0000000000000000', second.publicKey);
  t.equal(handleMessage(joined.state, anew, realChance, owner(false)).outcome, 'registered');
  t.equal(asked.length, 2, 'asked once for each merchant that is new');
  const parsed = parseKeyMessage(joined.answer ?? '');
  if (!parsed.ok) throw new Error('the answer has its form');
  t.notOk(unwrapMemberKey(nativeKeyAgreement, merchant, token, parsed.value.wrappedKey).ok, 'sealed for M2 alone');
  const secondKey = unwrapMemberKey(nativeKeyAgreement, second, token, parsed.value.wrappedKey);
  if (!secondKey.ok) throw new Error('the answer opens');
  t.same(joined.state.memberships[0], state.memberships[0], 'the first is as it was');
  t.not(joined.state.memberships[1]?.memberKeyId, state.memberships[0]?.memberKeyId, 'one token, two ids');
  // The key of a merchant is fixed for that merchant alone.
  t.equal(handle(joined.state, formatRegistration('M2', token, merchant.publicKey)).outcome, 'anotherMerchantKey');

  // Coupons go to the membership that their message names, and only with its key.
  const cardKeyId = hex('00000000000000aa');
  const forSecond = cardMessage(secondKey.value.memberKey, cardKeyId, 500, 'M2');
  t.equal(handle(joined.state, forSecond.replace(' M2 ', ' M1 ')).outcome, 'notSealedForThisPhone');
  t.equal(handle(joined.state, cardMessage(memberKey, cardKeyId, 500, 'M2')).outcome, 'notSealedForThisPhone');
  t.equal(handle(joined.state, forSecond.replace(' M2 ', ' M3 ')).outcome, 'notRegistered');
  let both = handle(joined.state, forSecond).state;
  both = handle(both, cardMessage(memberKey, hex('00000000000000bb'), 700)).state;
  t.same(
    both.memberships.map(({ card }) => card?.keyId),
    ['00000000000000bb', '00000000000000aa'],
    'money on the card of one is no hindrance to the other',
  );
  const hosted = (merchantId: string, couponCode: string) =>
    formatHostCoupon({ merchantId, couponCode, balanceMinor: 1, currency: 'CNY', expiresAtSeconds: 0 });
  both = handle(both, hosted('M1', 'SLC0000000000001')).state;
  both = handle(both, hosted('M2', 'SLC0000000000001')).state;
  both = handle(both, hosted('M2', 'SLC0000000000002')).state;
  t.same(
    both.memberships.map(({ coupons }) => coupons.map(({ code }) => code)),
    [
      ['SLC0000000000042', 'SLC0000000000001'],
      ['SLC0000000000042', 'SLC0000000000001', 'SLC0000000000002'],
    ],
  );
  t.same(handle(both, hosted('M3', 'SLC0000000000003')), { outcome: 'notRegistered', state: both, answer: null });

  let full = state;
  for (let n = 2; n <= membershipsMax; n++)
    full = handle(full, formatRegistration(`N${n}`, token, merchant.publicKey)).state;
  t.equal(full.memberships.length, membershipsMax);
  t.same(handle(full, invitation), { outcome: 'memoryFull', state: full, answer: null });
  t.equal(handle(full, formatRegistration('N5', '0'.repeat(16), merchant.publicKey)).outcome, 'registered');
});

t.test('noise leaves the phone as it was', async (t) => {
  const { state } = registered();
  for (const message of [
    formatRegistration('M1', token, merchant.publicKey),
    formatRegistration('M1001', '0'.repeat(16), merchant.publicKey),
    text('couponMessage').replace('M1001', 'M1'),
    text('hostCouponMessage').replace('M1001', 'M1'),
  ]) {
    for (let length = 0; length < message.length - 1; length++) {
      const handled = handle(state, message.slice(0, length));
      t.equal(handled.state, state, `cut to ${length}`);
    }
  }
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 100 }),
      (noise) => handle(state, `SHOULI1 ${noise}`).state === state,
    ),
  );
});

t.test('message files', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'messages-'));
  const out = mkdtempSync(join(tmpdir(), 'answers-'));
  t.teardown(() => [folder, out].forEach((path) => void rmSync(path, { recursive: true })));
  const put = (name: string, content: string | Bytes) => writeFileSync(join(folder, name), content);
  put('1.sms', `from: 1069001\nto: 13800138000\n\n${formatRegistration('M1', token, merchant.publicKey)}\n`);
  put('2.sms', `from: 1069001\nto: 13900139000\n\n${text('hostCouponMessage')}\n`);
  put('3.sms', 'to: 13800138000\n\nno sender');
  put('4.sms', Uint8Array.of(0xff, 0xfe));
  put('5.sms', `from: 1069001\nto: 13800138000\n\n${'x'.repeat(messageFileBytesMax)}`);
  put('6.sms.new', 'half a');
  put('7.sms', `from: 1069001\nto: 13800138000\n\n${text('hostCouponMessage').replace('M1001', 'M1')}`);
  put('8.sms', 'from: 1069001\nto: 13800138000\n\n验证码 123456');
  const memory = new VolatileMemory(fresh);
  const phone = new SimulatedPhone({ memory });
  t.same(phone.handleMessages(folder, out), [
    { id: '1', outcome: 'registered' },
    { id: '7', outcome: 'couponKept' },
    { id: '8', outcome: 'notForThisApplication' },
  ]);
  t.same(readdirSync(folder).sort(), ['2.sms', '3.sms.bad', '4.sms.bad', '5.sms.bad', '6.sms.new', '8.sms.read']);
  t.match(readFileSync(join(folder, '8.sms.read'), 'utf8'), /验证码 123456/, 'what is for its owner can be read');
  t.same(readdirSync(out), ['1-answer.sms']);
  const [answer] = messagesFor(out, '1069001');
  t.match(answer, { from: '13800138000', to: '1069001', text: memory.state.memberships[0]?.answer });
  t.same(phone.handleMessages(folder, out), [], 'nothing is handled twice');
  t.equal(readMessage('x', 'from: 1\nto: 2\n\n')?.id, undefined, 'numbers have three digits or more');
  t.equal(readMessage('x', 'from: 111\nto: 222\n\na\n\nb\n')?.text, 'a\n\nb');
});
