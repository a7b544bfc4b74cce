/**
 * Shows how scans make a purchase: quantities for the next product only, the last line taken off, the bound, and that a
 * scan which adds nothing is said to have been refused, so that nothing leaves the shop unpaid by a silent scanner.
 */
import fc from 'fast-check';
import t from 'tap';
import { billLinesMax } from '../../host-sync/protocol/record.js';
import { classifyCode } from './codes.js';
import { type Basket, type BasketWish, emptyBasket, scanInto } from './scan-basket.js';

const scan = (texts: readonly string[], from: Basket = emptyBasket): readonly [Basket, BasketWish] => {
  let step: readonly [Basket, BasketWish] = [from, { wish: 'none' }];
  for (const text of texts) step = scanInto(step[0], classifyCode(text));
  return step;
};

t.test('products and quantities', (t) => {
  t.same(scan(['A', 'SL!QTY 3', 'B', 'C'])[0].lines, [
    { code: 'A', quantity: 1 },
    { code: 'B', quantity: 3 },
    { code: 'C', quantity: 1 },
  ]);
  t.same(scan(['SL!QTY 3', 'SL!QTY 5', 'A'])[0].lines, [{ code: 'A', quantity: 5 }], 'the last quantity counts');
  t.same(scan(['A', 'A'])[0].lines.length, 2, 'the same product twice is two lines');
  t.end();
});

t.test('taking off and starting again', (t) => {
  t.same(scan(['A', 'B', 'SL!REMOVE'])[0].lines, [{ code: 'A', quantity: 1 }]);
  t.same(scan(['SL!REMOVE'])[0], emptyBasket);
  t.same(
    scan(['SL!QTY 3', 'SL!REMOVE', 'A'])[0].lines,
    [{ code: 'A', quantity: 1 }],
    'a quantity is forgotten with it',
  );
  t.same(scan(['A', 'SL!QTY 3', 'SL!CANCEL']), [emptyBasket, { wish: 'cancel' }]);
  t.end();
});

t.test('what the scan asks for', (t) => {
  t.same(scan(['A', 'SL!EARN'])[1], { wish: 'start', barcode: { command: 'earn' } });
  t.same(scan(['A', 'SL!SPEND 5'])[1], { wish: 'start', barcode: { command: 'spend', points: 5 } });
  t.same(scan(['A', 'SL!EARN'])[0].lines.length, 1, 'the basket stays until the sale is taken');
  t.same(scan(['A', 'B\u0000'])[1], { wish: 'refused' }, 'not readable');
  t.same(scan(['SLM0000000000000'])[1], { wish: 'none' }, 'a member is no product');
  t.end();
});

t.test('a full basket takes no more and says so', (t) => {
  const full = scan(Array.from({ length: billLinesMax }, () => 'A'))[0];
  t.equal(full.lines.length, billLinesMax);
  const [after, wish] = scan(['B'], full);
  t.equal(after, full);
  t.same(wish, { wish: 'refused' });
  t.end();
});

t.test('no order of scans breaks its bounds or changes what was there', (t) => {
  const text = fc.constantFrom(
    'A',
    'B',
    'SL!QTY 2',
    'SL!QTY 99999',
    'SL!REMOVE',
    'SL!CANCEL',
    'SL!EARN',
    'SL!bad',
    '\u0000',
  );
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), (texts) => {
      let basket: Basket = emptyBasket;
      for (const one of texts) {
        const before = JSON.stringify(basket);
        const [after] = scanInto(basket, classifyCode(one));
        if (JSON.stringify(basket) !== before) throw new Error('changed in place');
        if (Math.abs(after.lines.length - basket.lines.length) > 1 && one !== 'SL!CANCEL') throw new Error('jumped');
        basket = after;
      }
      if (basket.lines.some(({ quantity }) => quantity < 1 || quantity > 99_999)) throw new Error('quantity');
    }),
  );
  t.pass('100 orders');
  t.end();
});
