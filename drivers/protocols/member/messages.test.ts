// Shows that the merchant's messages have exactly the documented form and length, that a phone's answer is read only in its one
// form (each truncation, each changed character), and that base64url has one text for each value.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import { decodeBase64Url, encodeBase64Url } from './base64url.js';
import {
  couponMessageCharactersMax,
  formatCardCoupon,
  formatHostCoupon,
  formatRegistration,
  oneMessageCharactersMax,
  parseKeyMessage,
  registrationToken,
  registrationTokenPattern,
} from './messages.js';

const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Record<
  string,
  string
>;
const text = (name: string): string => vectors[name] ?? '?';
const vector = (name: string): Bytes => hex(text(name));
const coupon = {
  merchantId: 'M1001',
  couponCode: 'SLC0000000000042',
  balanceMinor: 30_000,
  currency: 'CNY' as const,
  expiresAtSeconds: 1_893_456_000,
};
/** The characters of the GSM 7-bit basic alphabet that take one septet and stand in ASCII (3GPP TS 23.038 §6.2.1). */
const gsmSeptets = /^[A-Za-z0-9 @$_!"#%&'()*+,\-./:;<=>?]*$/;

t.test('the merchant’s messages', async (t) => {
  t.equal(formatRegistration(text('merchantId'), text('token'), vector('merchantPublic')), text('registrationMessage'));
  t.equal(formatCardCoupon(coupon, vector('issuedCard')), text('couponMessage'));
  const host = {
    merchantId: 'M1001',
    couponCode: 'SLC0000000000043',
    balanceMinor: 5_000,
    currency: 'CNY' as const,
    expiresAtSeconds: 0,
  };
  t.equal(formatHostCoupon(host), text('hostCouponMessage'));
  const longest = {
    ...coupon,
    merchantId: 'A'.repeat(16),
    balanceMinor: amountMinorMax,
    expiresAtSeconds: 9_999_999_999,
  };
  const messages = [
    [formatRegistration('A'.repeat(16), text('token'), vector('merchantPublic')), oneMessageCharactersMax],
    [text('keyMessage'), oneMessageCharactersMax],
    [text('signingKeyMessage'), oneMessageCharactersMax],
    [formatHostCoupon(longest), oneMessageCharactersMax],
    [formatCardCoupon(longest, vector('issuedCard')), couponMessageCharactersMax],
  ] as const;
  for (const [message, max] of messages) {
    t.ok(message.length <= max, `${message.length} characters of ${max}`);
    t.match(message, gsmSeptets);
  }
  t.throws(() => formatRegistration('a b', text('token'), vector('merchantPublic')));
  t.throws(() => formatRegistration('M1', text('token'), vector('merchantPublic').subarray(1)));
  t.throws(() => formatHostCoupon({ ...coupon, balanceMinor: -1 }));
  t.throws(() => formatHostCoupon({ ...coupon, balanceMinor: 1.5 }));
  t.throws(() => formatHostCoupon({ ...coupon, couponCode: 'SLC1' }));
  for (const merchantId of ['', 'a b', 'A'.repeat(17), 'é'])
    t.throws(() => formatHostCoupon({ ...coupon, merchantId }));
  t.same([formatHostCoupon(longest).length, formatCardCoupon(longest, vector('issuedCard')).length], [75, 290]);
});

t.test('a token has its form whatever was drawn', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (random) =>
      registrationTokenPattern.test(registrationToken(random)),
    ),
  );
});

t.test('the phone’s answer', async (t) => {
  const good = text('keyMessage');
  t.same(parseKeyMessage(good), { ok: true, value: { token: text('token'), wrappedKey: vector('wrappedKey') } });
  for (let length = 0; length < good.length; length++)
    t.notOk(parseKeyMessage(good.slice(0, length)).ok, `cut to ${length}`);
  for (const more of [' ', 'A', '=', '\n']) t.notOk(parseKeyMessage(good + more).ok, 'nothing follows');
  t.match(parseKeyMessage('A'.repeat(161)), { error: { code: 'input.tooLong', offset: 160 } });
  t.match(parseKeyMessage(text('registrationMessage')), { error: { code: 'input.malformed', offset: 0 } });
  t.match(parseKeyMessage(good.replace('7Q', '7U')), { error: { code: 'input.malformed', offset: 12 } });
  t.match(parseKeyMessage(`${good.slice(0, 28)}_${good.slice(29)}`), {
    error: { code: 'input.malformed', offset: 28 },
  });
  t.match(parseKeyMessage(`${good.slice(0, 29)}=${good.slice(30)}`), {
    error: { code: 'input.malformed', offset: 29 },
  });
  for (let at = 0; at < good.length; at++) {
    for (const other of ['A', 'b', '０', '\0', '\ud800']) {
      const changed = good.slice(0, at) + other + good.slice(at + 1);
      const parsed = parseKeyMessage(changed);
      if (parsed.ok) t.equal(`SHOULI1 KEY ${parsed.value.token} ${encodeBase64Url(parsed.value.wrappedKey)}`, changed);
    }
  }
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (noise) => !parseKeyMessage(noise).ok));
});

t.test('the answer of a phone that can sign fills one message', async (t) => {
  const good = text('signingKeyMessage');
  t.equal(good.length, oneMessageCharactersMax);
  t.same(parseKeyMessage(good), { ok: true, value: { token: text('token'), wrappedKey: vector('wrappedKeys') } });
  for (let length = 0; length < good.length; length++)
    t.notOk(parseKeyMessage(good.slice(0, length)).ok, `cut to ${length}`);
});

t.test('base64url', async (t) => {
  // RFC 4648 §10, without padding.
  const published = { '': '', Zg: 'f', Zm8: 'fo', Zm9v: 'foo', Zm9vYg: 'foob', Zm9vYmE: 'fooba', Zm9vYmFy: 'foobar' };
  for (const [encoded, plain] of Object.entries(published)) {
    t.equal(encodeBase64Url(Buffer.from(plain)), encoded);
    t.same(decodeBase64Url(encoded, plain.length), { ok: true, value: new Uint8Array(Buffer.from(plain)) });
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70 }), (bytes) => {
      const encoded = encodeBase64Url(bytes);
      const decoded = decodeBase64Url(encoded, bytes.length);
      return (
        encoded === Buffer.from(bytes).toString('base64url') && decoded.ok && toHex(decoded.value) === toHex(bytes)
      );
    }),
  );
  t.match(decodeBase64Url('Zh', 1), { error: { code: 'input.malformed', offset: 1 } }, 'unused bits must be zero');
  t.match(decodeBase64Url('Z', 1), { error: { code: 'input.truncated' } });
  t.match(decodeBase64Url('Zg=', 1), { error: { code: 'input.tooLong' } });
});
