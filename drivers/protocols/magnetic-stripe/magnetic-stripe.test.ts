/**
 * Shows that a swipe is read whole or not at all: sentinels, LRC and Luhn digit, each truncation and flipped bit of a report,
 * and that nothing that is said of a card holds its number.
 */
import fc from 'fast-check';
import t from 'tap';
import { concat } from '../../../terminal/kernel/bytes.js';
import { keyboardDescriptor, scannerDescriptor } from '../hid-pos/hid-pos-fixtures.js';
import {
  magTekDescriptor,
  magTekReport,
  standardReport,
  standardStripeDescriptor,
  testCard,
  wholeTracks,
  withLrc,
} from './stripe-fixtures.js';
import { decodeStripeReport, stripeLayout } from './stripe-report.js';
import { cardOfTrack, decodeTrack, describeSwipe, hasLuhnDigit, lrcOf, maskedNumber } from './track.js';

const track = (text: string, number: 1 | 2 | 3): string => {
  const read = decodeTrack(text, number);
  return read.ok ? read.value : `${read.error.code} at ${read.error.offset}`;
};

t.test('tracks: sentinels, characters, length and LRC', async (t) => {
  t.equal(track(wholeTracks[0], 1), testCard.track1);
  t.equal(track(withLrc(wholeTracks[1], 2), 2), testCard.track2);
  t.equal(lrcOf(';1=?', 2), '8', '11 ^ 1 ^ 13 ^ 15, by hand');
  t.equal(track(';1=?9', 2), 'input.outOfRange at 4');
  t.equal(track(';1=?;;', 2), 'input.tooLong at 5');
  t.equal(track('', 2), 'input.truncated at 0');
  t.equal(track(';?', 2), 'input.truncated at 1');
  t.equal(track(';12', 2), 'input.truncated at 3');
  t.equal(track('%12?', 2), 'input.malformed at 0');
  t.equal(track(';1A?', 2), 'input.malformed at 2');
  t.equal(track('%a?', 1), 'input.malformed at 1');
  t.equal(track('+123?', 3), '123');
  t.equal(track(`;${'1'.repeat(38)}?`, 2), '1'.repeat(38));
  t.equal(track(`;${'1'.repeat(39)}?`, 2), 'input.tooLong at 40');
});

t.test('an LRC finds every changed character', async (t) => {
  const whole = withLrc(wholeTracks[1], 2);
  fc.assert(
    fc.property(fc.integer({ min: 1, max: whole.length - 3 }), fc.nat(15), (at, value) => {
      const character = String.fromCharCode(0x30 + value);
      const changed = whole.slice(0, at) + character + whole.slice(at + 1);
      return changed === whole || !decodeTrack(changed, 2).ok;
    }),
  );
  t.pass('100 changes');
});

t.test('a bank card’s fields, and cards that are none', async (t) => {
  const card = { pan: testCard.pan, expiry: '3012', serviceCode: '201', name: null };
  t.same(cardOfTrack(testCard.track2, 2), card);
  t.same(cardOfTrack(testCard.track1, 1), { ...card, name: 'TEST/CARD' });
  t.same(cardOfTrack('4111111111111111===', 2), { ...card, expiry: null, serviceCode: null });
  for (const other of ['4111111111111112=3012201', '4111111111111111=3013201', '1234', '', '4111111111111111=30'])
    t.equal(cardOfTrack(other, 2), null, 'none');
  for (const pan of ['4111111111111111', '5500005555555559', '340000000000009', '6240008631401148'])
    t.equal(hasLuhnDigit(pan), true);
  fc.assert(
    fc.property(fc.nat(15), fc.integer({ min: 1, max: 9 }), (at, add) => {
      const digit = String((Number(testCard.pan[at]) + add) % 10);
      return !hasLuhnDigit(testCard.pan.slice(0, at) + digit + testCard.pan.slice(at + 1));
    }),
  );
});

t.test('what is said of a swipe: never the number, never what is behind it', async (t) => {
  t.equal(maskedNumber('4111111111111111'), '411111******1111');
  t.equal(maskedNumber('13800138000'), '*********00');
  t.equal(maskedNumber('1234'), '****');
  const said = describeSwipe([testCard.track1, testCard.track2, null]);
  t.equal(said, `411111******1111  1: ${testCard.track1.length}  2: ${testCard.track2.length}  3: -`);
  t.equal(describeSwipe([null, '12345678', null]), '1: -  2: 8  3: -', 'a member card of the shop’s own');
});

t.test('reports of the standard page and of MagTek’s', async (t) => {
  for (const [descriptor, report, isMagTek] of [
    [standardStripeDescriptor, standardReport(), false],
    [magTekDescriptor, magTekReport(), true],
  ] as const) {
    const layout = stripeLayout(descriptor, isMagTek);
    if (!layout) throw new Error('no layout');
    t.match(decodeStripeReport(layout, report), { value: [testCard.track1, testCard.track2, null] });
    for (let cut = 1; cut < report.length; cut += 7)
      t.match(decodeStripeReport(layout, report.subarray(0, cut)), { error: { code: 'input.truncated' } });
  }
  const layout = stripeLayout(magTekDescriptor, true);
  if (!layout) throw new Error('no layout');
  t.match(decodeStripeReport(layout, magTekReport(wholeTracks, [1, 0, 0])), { value: [null, testCard.track2, null] });
  t.match(decodeStripeReport(layout, magTekReport(wholeTracks, [1, 1, 1])), { error: { code: 'input.malformed' } });
  const overlong = magTekReport();
  overlong[4] = 255;
  t.match(decodeStripeReport(layout, overlong), { value: [testCard.track1, null, null] });
  t.equal(stripeLayout(magTekDescriptor, false), null, 'another vendor’s usages mean something else');
  for (const other of [keyboardDescriptor, scannerDescriptor]) t.equal(stripeLayout(other, true), null);
});

t.test('any descriptor and any report: no throw, nothing but sound tracks', async (t) => {
  const layout = stripeLayout(magTekDescriptor, true);
  if (!layout) throw new Error('no layout');
  fc.assert(
    fc.property(
      fc.nat(8 * magTekReport().length - 1),
      fc.nat(8 * magTekDescriptor.length - 1),
      (bit, descriptorBit) => {
        const report = concat(
          magTekReport(wholeTracks.map((each, index) => (index < 2 ? withLrc(each, index === 0 ? 1 : 2) : each))),
        );
        report[bit >> 3] = (report[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const descriptor = concat(magTekDescriptor);
        descriptor[descriptorBit >> 3] = (descriptor[descriptorBit >> 3] ?? 0) ^ (1 << (descriptorBit & 7));
        stripeLayout(descriptor, true);
        const read = decodeStripeReport(layout, report);
        if (!read.ok) return true;
        const [first, second] = read.value ?? [null, null];
        return (first === null || first === testCard.track1) && (second === null || second === testCard.track2);
      },
    ),
    { numRuns: 2_000 },
  );
  t.pass('2,000 flipped bits');
});
