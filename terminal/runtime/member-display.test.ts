/**
 * Shows that the customer's display follows a sale of the shipped terminal, goes back to the merchant's name by itself, and
 * learns a new name while no sale is open. With a display double and a clock moved by hand.
 */
import t from 'tap';
import { ManualTime } from '../../drivers/sim/manual-time.js';
import { openBox } from '../sim/box-double.js';
import { endShownMs, MemberDisplay } from './member-display.js';

t.test('a sale, step by step', async (t) => {
  const box = await openBox(t);
  const { texts } = box.printer;
  const { transactionId } = await box.start({ service: 'pointsEarn' });
  t.same(texts.at(-1), ['合计 TOTAL    300.00', '请出示手机 TAP PHONE']);
  box.reader.tap(box.host.phone('1380'));
  await box.ended(transactionId);
  t.same(texts.at(-1), ['交易成功 ACCEPTED', '积分 POINTS     +300']);
  const ended = texts.length;
  box.time.advance(endShownMs - 1);
  t.equal(texts.length, ended);
  box.time.advance(1);
  t.same(texts.at(-1), ['好味道餐厅', '欢迎光临 WELCOME']);
});

t.test('the next sale takes the display at once, and is not swept away by the end of the one before', async (t) => {
  const box = await openBox(t);
  await box.start({ service: 'plainSale' });
  await box.start({ service: 'pointsEarn' });
  box.time.advance(endShownMs);
  t.same(box.printer.texts.at(-1), ['合计 TOTAL    300.00', '请出示手机 TAP PHONE']);
});

t.test('a merchant’s name that comes later', async (t) => {
  const box = await openBox(t);
  const time = new ManualTime();
  let name = '';
  const shown: (readonly [string, string])[] = [];
  box.printer.display.show = (text) => void shown.push(text);
  const display = new MemberDisplay([box.printer], time.schedule, () => name);
  display.show(null);
  display.refresh();
  name = '好味道餐厅';
  display.refresh();
  display.refresh();
  t.same(shown, [
    ['', '欢迎光临 WELCOME'],
    ['好味道餐厅', '欢迎光临 WELCOME'],
  ]);
  display.stop();
});
