/**
 * Shows what a scanned text is taken for: own codes only with their check digit, command barcodes only as printed, and
 * nothing hostile as a product.
 */
import fc from 'fast-check';
import t from 'tap';
import { checkDigit } from '../../drivers/protocols/gs1/check-digits.js';
import { classifyCode } from './codes.js';

const withCheck = (digits: string): string => digits + String(checkDigit(digits));

t.test('check digits, GS1 General Specifications §7.9', (t) => {
  t.equal(checkDigit('629104150021'), 3);
  t.equal(checkDigit('400638133393'), 1, 'EAN-13 4006381333931');
  t.equal(checkDigit('7351353'), 7, 'EAN-8 73513537');
  t.end();
});

t.test('member and coupon codes, and each single wrong digit', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 999_999_999_999 }),
      fc.nat(12),
      fc.integer({ min: 1, max: 9 }),
      (n, at, add) => {
        const digits = withCheck(String(n).padStart(12, '0'));
        if (classifyCode(`SLM${digits}`).kind !== 'member') throw new Error('member');
        if (classifyCode(`SLC${digits}`).kind !== 'coupon') throw new Error('coupon');
        const wrong = digits.slice(0, at) + String((Number(digits[at]) + add) % 10) + digits.slice(at + 1);
        if (classifyCode(`SLM${wrong}`).kind !== 'unreadable') throw new Error(`${wrong} for ${digits}`);
      },
    ),
  );
  t.equal(classifyCode('SLR123456789461192462').kind, 'member', 'a rotating code (RFC 6238 appendix B at 59 s)');
  t.equal(classifyCode('SLR123456789461192463').kind, 'unreadable');
  t.equal(classifyCode('SLM12').kind, 'product', 'another length is somebody else’s code');
  t.end();
});

t.test('commands', (t) => {
  const command = (text: string) => {
    const scanned = classifyCode(text);
    return scanned.kind === 'command' ? scanned.barcode : scanned.kind;
  };
  t.same(command('SL!CANCEL'), { command: 'cancel' });
  t.same(command('SL!PLAIN'), { command: 'plain' });
  t.same(command('SL!EARN'), { command: 'earn' });
  t.same(command('SL!COUPON'), { command: 'coupon' });
  t.same(command('SL!CARD'), { command: 'couponCard' });
  t.same(command('SL!REMOVE'), { command: 'removeLast' });
  t.same(command('SL!SPEND 500'), { command: 'spend', points: 500 });
  t.same(command('SL!SPEND500'), { command: 'spend', points: 500 });
  t.same(command('SL!QTY 3'), { command: 'quantity', quantity: 3 });
  for (const text of [
    'SL!',
    'SL!earn',
    'SL!EARN ',
    'SL!SPEND',
    'SL!SPEND 0',
    'SL!SPEND -5',
    'SL!SPEND 1e3',
    'SL!SPEND １',
    'SL!SPEND 9999999999',
    'SL!QTY 0',
    'SL!QTY 100000',
    'SL!__proto__',
    'SL!constructor',
    'SL!toString',
  ])
    t.equal(command(text), 'unreadable', text);
  t.end();
});

t.test('products are 1 to 48 printable ASCII characters without spaces', (t) => {
  t.same(classifyCode('6901234567892'), { kind: 'product', code: '6901234567892', marks: null, weighed: null });
  t.equal(classifyCode("'); DROP TABLE product;--").kind, 'unreadable', 'spaces');
  t.equal(classifyCode("';DROP/**/TABLE--").kind, 'product', 'text like any other: it is bound, never pasted');
  for (const text of [
    '',
    ' ',
    'a b',
    'a\nb',
    '\u001dA',
    'A\u0000',
    '\u001b[2J',
    '１２',
    'é',
    'a\u202eb',
    'x'.repeat(49),
  ])
    t.equal(classifyCode(text).kind, 'unreadable', JSON.stringify(text));
  t.end();
});

t.test('any text is taken for something, and a product only where it is one', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 256 }), (text) => {
      const scanned = classifyCode(text);
      return scanned.kind !== 'product' || /^[\x21-\x7e]{1,48}$/.test(scanned.code);
    }),
  );
  t.pass('100 texts');
  t.end();
});

t.test('command barcodes that undo a sale name it and the amount', (t) => {
  t.same(classifyCode('SL!VOID till-1'), { kind: 'command', barcode: { command: 'void', original: 'till-1' } });
  t.same(classifyCode('SL!REFUND 1250 till-1'), {
    kind: 'command',
    barcode: { command: 'refund', original: 'till-1', amountMinor: 1_250 },
  });
  for (const bad of ['SL!VOID', 'SL!VOID ', 'SL!REFUND 0 x', 'SL!REFUND -1 x', 'SL!REFUND 12.5 x', 'SL!REFUND 1250'])
    t.equal(classifyCode(bad).kind, 'unreadable', bad);
  t.end();
});

t.test('a symbol that says what it is, is that or is refused', (t) => {
  const found = (text: string, aim: string | null = null) => {
    const scanned = classifyCode(text, { aim, weighedForms: ['21IIIIIVVVVVC'] });
    return scanned.kind === 'product' ? scanned.code : scanned.kind;
  };
  const gtin = '06901234567892';
  t.equal(found(`01${gtin}1726123110L1`, ']C1'), '6901234567892');
  t.equal(found(`01${gtin}10L1\u001d21S`), '6901234567892', 'a separator says it too');
  t.equal(found(`https://example.cn/01/${gtin}/21/S`, ']Q1'), '6901234567892');
  t.equal(found('0000073513537', ']E0'), '0000073513537', 'a number goes on as scanned');
  t.equal(found('6901234567892', ']C0'), '6901234567892');
  t.equal(found('6901234567893', ']E0'), 'unreadable');
  t.equal(found('6901234567893'), '6901234567893', 'a merchant’s own number');
  t.equal(found(`01${gtin}`.replace('2', '3'), ']C1'), 'unreadable');
  t.equal(found('00106141411234567897', ']C1'), 'unreadable', 'a pallet');
  t.equal(found('https://pay.example/x'), 'unreadable');
  t.equal(found('SLM1234567890128', ']Q1'), 'member');
  t.match(classifyCode(withCheck('211234500999'), { aim: ']E0', weighedForms: ['21IIIIIVVVVVC'] }), {
    code: withCheck('211234500999'),
    weighed: { item: '2112345', priceMinor: 999 },
  });
  t.match(classifyCode(withCheck('211234500999')), { weighed: null });
  t.end();
});
