/**
 * Shows what a box with the site key offers on a card, with real CMACs: over random cards and bills the balance never
 * rises and the counter rises by one; forged, torn and foreign slots are refused; expiry, category, caps and the
 * counter's end each refuse with their code.
 */
import fc from 'fast-check';
import t from 'tap';
import {
  type CardRecord,
  currentSlot,
  decodeCardRecord,
  encodeCardRecord,
  verifyCardRecord,
} from '../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../drivers/protocols/member/proof.js';
import { type Bill, transactionIdBytes } from '../../host-sync/protocol/record.js';
import { type Bytes, equalBytes, hex } from '../kernel/bytes.js';
import { nativeCrypto } from '../kernel/native.js';
import { type AmountMinor, amountMinorMax, wallMs } from '../kernel/units.js';
import { type CardReading, couponCodeOf, offerFromCard } from './card-offer.js';
import { at, ids, requestFor } from './core-fixtures.js';
import type { SiteOffer } from './event.js';
import type { SaleRequest } from './sale.js';

const siteKey = hex('000102030405060708090a0b0c0d0e0f');
const cardKeyId = hex('c0c1c2c3c4c5c6c7');
const key = recordKey(nativeCrypto, siteKey, cardKeyId);
const terminalId = 't-0123456789ab';
const cents = (value: number): AmountMinor => value as AmountMinor;

const card = (changes: Partial<CardRecord> = {}): CardRecord => ({
  cardKeyId,
  couponNumber: 17,
  counter: 5,
  balanceMinor: 30_000,
  currency: 'CNY',
  expiresAtSeconds: 0,
  lastTransactionId: new Uint8Array(16),
  lastTerminal: new Uint8Array(6),
  lastKind: 'issue',
  lastAmountMinor: 0,
  limitCategory: '',
  ...changes,
});
const slot = (changes: Partial<CardRecord> = {}): Bytes => encodeCardRecord(nativeCrypto, key, card(changes));
const emptySlot = new Uint8Array(96);

const bill = (totalMinor: number, lines: Bill['lines'] = []): Bill => ({
  currency: 'CNY',
  totalMinor,
  lines,
  catalogueVersion: null,
});
const line = (amountMinor: number): Bill['lines'][number] => ({
  code: 'C1',
  name: 'Cake',
  quantity: 1,
  unitPriceMinor: amountMinor,
  priceSource: 'catalogue',
  amountMinor,
});
const sale = (what: Bill, terms: Partial<SaleRequest['terms']> = {}): SaleRequest => {
  const request = requestFor({ name: 'couponCard' }, { bill: what });
  return { ...request, terms: { ...request.terms, siteDailyMaxMinor: cents(amountMinorMax), ...terms } };
};
const reading = (slots: readonly [Bytes, Bytes], changes: Partial<CardReading> = {}): CardReading => ({
  siteKey,
  cardKeyId,
  slots,
  terminalId,
  atWallMs: at.atWallMs,
  clockDoubtful: false,
  spentTodayMinor: cents(0),
  categories: [],
  ...changes,
});
const offer = (request: SaleRequest, what: CardReading): SiteOffer => offerFromCard(nativeCrypto, request, what);
const codeOf = (made: SiteOffer): string => (made.offer === 'pays' ? 'pays' : made.code);
const writtenBy = (made: SiteOffer): CardRecord => {
  if (made.offer !== 'pays') throw new Error(made.code);
  const record = decodeCardRecord(hex(made.write.record));
  if (!record.ok) throw new Error(record.error.detail);
  return record.value;
};

t.test('C7(a) offline: a 100.00 cake on a 300.00 card', (t) => {
  const made = offer(sale(bill(10_000)), reading([slot(), emptySlot]));
  t.match(made, {
    offer: 'pays',
    coveredMinor: 10_000,
    write: { slot: 1 },
    balances: { couponMinor: 20_000, couponCode: 'SLC0000000000017', currency: 'CNY', points: null },
  });
  const record = writtenBy(made);
  t.match(record, { counter: 6, balanceMinor: 20_000, lastKind: 'debit', lastAmountMinor: 10_000, couponNumber: 17 });
  t.ok(equalBytes(record.lastTransactionId, transactionIdBytes(ids.transaction)));
  t.ok(equalBytes(record.lastTerminal, hex('0123456789ab')));
  t.equal(couponCodeOf(9_999_999_999_999), 'SLC9999999999999');
  t.end();
});

t.test(
  'over any card and bill: balance falls by what is covered, counter rises by one, the other slot is written',
  (t) => {
    const amount = fc.oneof(fc.integer({ min: 0, max: 50_000 }), fc.integer({ min: 0, max: amountMinorMax }));
    fc.assert(
      fc.property(
        fc.record({ counter: fc.integer({ min: 2, max: 0xffffffff }), balanceMinor: amount, older: fc.boolean() }),
        fc.constantFrom(0 as const, 1 as const),
        amount,
        fc.boolean(),
        amount,
        (held, where, totalMinor, couponPartial, siteDailyMax) => {
          const current = slot({ counter: held.counter, balanceMinor: held.balanceMinor });
          const other = held.older ? slot({ counter: held.counter - 1, balanceMinor: amountMinorMax }) : emptySlot;
          const slots: readonly [Bytes, Bytes] = where === 0 ? [current, other] : [other, current];
          const request = sale(bill(totalMinor), { siteDailyMaxMinor: cents(siteDailyMax) });
          const rules = { ...request.terms.rules, couponPartial };
          const made = offer({ ...request, terms: { ...request.terms, rules } }, reading(slots));
          if (made.offer === 'refuses') {
            const pays = totalMinor > 0 && totalMinor <= Math.min(held.balanceMinor, siteDailyMax);
            if (pays && held.counter < 0xffffffff) throw new Error(`refused ${made.code} what it should pay`);
            if (made.balances?.couponMinor !== held.balanceMinor) throw new Error('a refusal says what is on the card');
            return;
          }
          const record = writtenBy(made);
          if (record.counter !== held.counter + 1) throw new Error('counter');
          if (record.balanceMinor !== held.balanceMinor - made.coveredMinor || made.coveredMinor < 1)
            throw new Error('balance');
          if (made.coveredMinor > Math.min(totalMinor, siteDailyMax)) throw new Error('too much');
          if (made.coveredMinor < totalMinor && !couponPartial) throw new Error('a part, though not allowed');
          if (made.write.slot === where) throw new Error('the only whole record would be overwritten');
          const bytes = hex(made.write.record);
          if (!verifyCardRecord(nativeCrypto, key, cardKeyId, bytes)) throw new Error('not authenticated');
          const after: [Bytes, Bytes] = [slots[0], slots[1]];
          after[made.write.slot] = bytes;
          const now = currentSlot(after, (one) => verifyCardRecord(nativeCrypto, key, cardKeyId, one));
          if (now?.slot !== made.write.slot) throw new Error('what was written is not current');
        },
      ),
      { numRuns: 500 },
    );
    t.pass('500 cards');
    t.end();
  },
);

t.test('forged, torn and foreign slots', (t) => {
  const good = slot();
  const refused = (slots: readonly [Bytes, Bytes]): string => codeOf(offer(sale(bill(10_000)), reading(slots)));
  t.equal(refused([emptySlot, emptySlot]), 'card.recordInvalid');
  for (let at = 0; at < 96; at++) {
    const forged = Uint8Array.from(good);
    forged[at] = (forged[at] ?? 0) ^ 0x80;
    t.equal(refused([forged, emptySlot]), 'card.recordInvalid', `byte ${at} changed`);
    t.equal(refused([good.subarray(0, at), emptySlot]), 'card.recordInvalid', `cut at ${at}`);
  }
  const torn = Uint8Array.from([...slot({ counter: 6, balanceMinor: 1 }).subarray(0, 60), ...emptySlot.subarray(60)]);
  t.equal(writtenBy(offer(sale(bill(10_000)), reading([good, torn]))).counter, 6, 'the torn slot is written over');
  const otherId = hex('dddddddddddddddd');
  const foreign = encodeCardRecord(
    nativeCrypto,
    recordKey(nativeCrypto, siteKey, otherId),
    card({ cardKeyId: otherId }),
  );
  t.equal(refused([foreign, emptySlot]), 'card.recordInvalid', 'copied from another card');
  const renamed = encodeCardRecord(nativeCrypto, key, card({ cardKeyId: otherId }));
  t.equal(refused([renamed, emptySlot]), 'card.recordInvalid', 'names another card');
  const elsewhere = encodeCardRecord(nativeCrypto, recordKey(nativeCrypto, hex('ff'.repeat(16)), cardKeyId), card());
  t.equal(refused([elsewhere, emptySlot]), 'card.recordInvalid', 'of another site');
  t.end();
});

t.test('expiry binds by a sound clock only', (t) => {
  const expiresAtSeconds = 1_790_000_000;
  const slots: readonly [Bytes, Bytes] = [slot({ expiresAtSeconds }), emptySlot];
  const when = (atMs: number, clockDoubtful: boolean): string =>
    codeOf(offer(sale(bill(10_000)), reading(slots, { atWallMs: wallMs(atMs), clockDoubtful })));
  t.equal(when(expiresAtSeconds * 1000 - 1, false), 'pays');
  t.equal(when(expiresAtSeconds * 1000, false), 'coupon.expired');
  t.equal(when(expiresAtSeconds * 1000, true), 'pays');
  t.end();
});

t.test('limited to a category: only its lines count', (t) => {
  const slots: readonly [Bytes, Bytes] = [slot({ limitCategory: 'cake', balanceMinor: 5_000 }), emptySlot];
  const lines = [line(3_000), line(4_000), line(1_000)];
  const limited = (categories: CardReading['categories'], what = bill(8_000, lines)): SiteOffer =>
    offer(sale(what), reading(slots, { categories }));
  t.match(limited(['cake', 'tea', 'cake']), { offer: 'pays', coveredMinor: 4_000 });
  t.equal(codeOf(limited(['cake', 'cake', null])), 'coupon.balanceTooLow');
  t.equal(codeOf(limited(['tea', null, 'Cake'])), 'coupon.notForProduct');
  t.equal(codeOf(limited([])), 'coupon.notForProduct', 'a box that knows no categories pays nothing');
  t.equal(codeOf(limited([], bill(3_000))), 'coupon.notForProduct', 'a keyed amount has no category');
  t.end();
});

t.test('caps and ends', (t) => {
  const slots: readonly [Bytes, Bytes] = [slot(), emptySlot];
  const capped = (spent: number): string =>
    codeOf(
      offer(
        sale(bill(10_000), { siteDailyMaxMinor: cents(20_000) }),
        reading(slots, { spentTodayMinor: cents(spent) }),
      ),
    );
  t.equal(capped(10_000), 'pays', 'to the last cent');
  t.equal(capped(10_001), 'card.siteLimit');
  t.equal(codeOf(offer(sale(bill(1), { siteDailyMaxMinor: cents(0) }), reading(slots))), 'card.siteLimit');
  t.equal(codeOf(offer(sale(bill(30_001)), reading(slots))), 'coupon.balanceTooLow');
  t.equal(codeOf(offer(sale({ ...bill(1), currency: 'JPY' }), reading(slots))), 'coupon.notForProduct');
  t.equal(codeOf(offer(sale(bill(1)), reading([slot({ counter: 0xffffffff }), emptySlot]))), 'card.recordInvalid');
  const empty: readonly [Bytes, Bytes] = [slot({ balanceMinor: 0 }), emptySlot];
  t.equal(codeOf(offer(sale(bill(1)), reading(empty))), 'coupon.balanceTooLow', 'nothing left');
  t.end();
});
