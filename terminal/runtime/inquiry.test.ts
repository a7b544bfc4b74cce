/**
 * Shows balances by a tap on the whole box while no sale is open: display, till's event, phone; what says nothing of a member
 * leaves no trace; and a sale that begins at any moment of it has the tap, or a new one, and its own course. With the shipped
 * terminal and store, simulated phones behind a reader double, and a host and a clock moved by hand.
 */
import t from 'tap';
import { operationByte } from '../../drivers/protocols/member/layout.js';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import { newMembership, newPhoneState, VolatileMemory, withMembership } from '../../drivers/sim/phone/phone-state.js';
import { must, openWorld } from '../../host-sync/server/sim/world.js';
import { type Bytes, hex, toHex } from '../kernel/bytes.js';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, directives, openBox, until } from '../sim/box-double.js';
import { inquiryDeadlineMs } from './inquiry-desk.js';
import { endShownMs } from './member-display.js';
import type { InquiryView } from './port.js';
import { quietAfterSaleMs } from './terminal.js';

const earn = { service: 'pointsEarn' } as const;
const inquiries = (box: BoxDouble): readonly InquiryView[] =>
  box.events.flatMap(({ event }) => (event.type === 'inquiry' ? [event.inquiry] : []));
const answered = (box: BoxDouble, count = 1) => until('the balances', () => inquiries(box).length === count);
/** Lets everything that is under way come to rest. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('a tap shows the balances on display, at the till and on the phone; nothing is recorded', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('13800138000');
  box.reader.tap(phone);
  await answered(box);
  t.match(inquiries(box), [
    { result: 'known', tier: 'member', points: 1_000, coupons: [{ codeEnd: '0128', balanceMinor: 3_000 }] },
  ]);
  t.same(box.printer.texts.at(-1), ['积分 POINTS     1000', '卡券 COUPONS   30.00']);
  await until('the result on the phone', () => phone.show().memberships[0]?.results.length);
  t.match(phone.show().memberships[0]?.results, [
    { outcome: 'accepted', points: 1_000, couponMinor: 3_000, currency: 'CNY' },
  ]);
  t.same(box.reader.signals, ['hold', 'done']);
  t.same(box.reader.commands, ['select', 'present', 'mutual', 'result']);
  t.same([box.kinds, box.store.unsentCount(), box.store.sales(5, null), box.printed], [[], 0, [], []]);
  const [asked] = box.host.inquired;
  t.match(asked?.credential, { method: 'tap', key: 'member' });
  t.notMatch(JSON.stringify(box.events), /terminalProof|encryptionKey|macKey/, 'no key leaves the desk');
  box.time.advance(endShownMs);
  t.same(box.printer.texts.at(-1), ['好味道餐厅', '欢迎光临 WELCOME']);
  t.same(box.crashes, []);
});

t.test('with the real host behind the box: balances of the ledger, and the same phone earns afterwards', async (t) => {
  const world = await openWorld();
  t.teardown(() => world.close());
  const { terminalId } = await world.box();
  const phone = await world.phone('13800138000');
  const issue = { holder: 'host', memberCode: phone.memberCode, amountMinor: 4_200, expiresAtMs: null } as const;
  must(await world.host.coupons.issue({ ...issue, currency: 'CNY' }));
  const registration = {
    ...{ merchantId: 'M1', merchantPublicKey: '02'.repeat(33), token: '0'.repeat(16), answer: '' },
    ...{ memberKeyId: toHex(phone.keyId), memberKey: toHex(phone.key) },
  };
  const state = withMembership(newPhoneState('13800138000'), newMembership(registration));
  const memory = new VolatileMemory(state);
  const inHand = new SimulatedPhone({ memory });
  const box = await openBox(t, { bare: true });
  box.store.setIdentity({ terminalId, epoch: 1 });
  box.store.setDirectives(directives);
  box.terminal.setWaiting(null);
  box.host.inquire = async (request) => {
    const answer = await world.host.inquire(terminalId, request);
    return answer.ok ? answer.value : null;
  };
  const link = box.reader.tap(inHand);
  await answered(box);
  t.match(inquiries(box), [{ result: 'known', points: 0, coupons: [{ holder: 'host', balanceMinor: 4_200 }] }]);
  await until('the result on the phone', () => inHand.show().memberships[0]?.results.length);
  t.match(
    inHand.show().memberships[0]?.results,
    [{ outcome: 'accepted', points: 0, couponMinor: 4_200 }],
    'in a session of its key',
  );
  const { transactionId } = await box.start(earn);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  const [record] = box.records;
  t.match(record, { kind: 'pointsEarn', credential: { method: 'tap', counter: 2 } });
  const [sent] = box.store.journal(2, null).slice(-1);
  const records = [{ body: sent?.body ?? '', previousHash: sent?.previousHash ?? '', attempt: 1, sentAtWallMs: 0 }];
  const told = must(await world.host.intake(terminalId, { records, newestSeen: [] }));
  t.match(
    told.answers,
    [{ outcome: 'accepted', balances: { points: 300 } }],
    'the host takes the tap behind the inquiry',
  );
  box.reader.remove(link);
  box.time.advance(quietAfterSaleMs);
  box.reader.tap(inHand);
  await answered(box, 2);
  t.match(inquiries(box)[1], { result: 'known', points: 300 });
});

t.test('what the phone proves is the inquiry’s alone', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380');
  const seen: Bytes[] = [];
  const respond = phone.respond.bind(phone);
  phone.respond = (command) => {
    seen.push(command);
    return respond(command);
  };
  box.reader.tap(phone);
  await answered(box);
  const present = seen.find((command) => command[1] === 0x10);
  t.equal(present?.[5 + 16 + 16 + 6], operationByte.inquire);
  t.same(
    [...(present ?? []).slice(5 + 16 + 16 + 6 + 1, 5 + 56)],
    [...hex('000000000000'), 0x58, 0x58, 0x58, ...hex('0000000000000000')],
  );
});

t.test('without the host, or with a host that does not answer or refuses, it is said so', async (t) => {
  const box = await openBox(t);
  box.host.up = false;
  const phone = box.host.phone('1380');
  const link = box.reader.tap(phone);
  await answered(box);
  t.same(inquiries(box), [{ result: 'refused', code: 'host.unreachable' }]);
  t.same(box.printer.texts.at(-1), ['余额查询 BALANCE', '暂无法查询 NOT NOW']);
  t.equal(phone.show().memberships[0]?.useCounter, 0, 'nothing was proved in vain');
  t.equal(box.reader.signals.at(-1), 'refused');
  box.reader.remove(link);

  box.host.up = true;
  box.host.decideInquiry = () => null;
  const again = box.reader.tap(phone);
  await until('the question', () => box.host.inquired.length === 1);
  box.time.advance(inquiryDeadlineMs);
  await answered(box, 2);
  t.match(inquiries(box)[1], { code: 'host.noAnswer' });
  box.reader.remove(again);

  box.host.decideInquiry = () => ({ outcome: 'refused', code: 'credential.blocked' });
  box.reader.tap(phone);
  await answered(box, 3);
  t.match(inquiries(box)[2], { code: 'credential.blocked' });
  t.same(phone.show().memberships[0]?.results, []);
});

t.test('a card of somebody else, and a box that must not ask, are passed over in silence', async (t) => {
  const box = await openBox(t);
  box.reader.tap(new SimulatedPhone({ memory: new VolatileMemory(newPhoneState('1390')) }));
  await settle();
  t.same([inquiries(box), box.reader.signals, box.host.inquired], [[], [], []]);
  const off = await openBox(t, { options: { tapInquiry: false } });
  off.reader.tap(off.host.phone('1380'));
  off.reader.scan('SLR123456789461192462');
  await settle();
  t.same([inquiries(off), off.reader.commands, off.host.inquired], [[], [], []]);
  const waiting = await openBox(t);
  waiting.terminal.setWaiting({ code: 'terminal.restored', detail: '' });
  waiting.reader.tap(waiting.host.phone('1380'));
  await settle();
  t.same(waiting.reader.commands, []);
});

t.test('a phone that leaves in mid-inquiry leaves nothing behind', async (t) => {
  const box = await openBox(t);
  const held = box.reader.holdAt('present');
  const link = box.reader.tap(box.host.phone('1380'));
  await held.reached;
  box.reader.remove(link);
  held.release();
  await settle();
  t.same(inquiries(box), []);
  box.reader.tap(box.host.phone('1381'));
  await answered(box);
  t.match(inquiries(box), [{ result: 'known' }], 'the next one is served');
});

t.test('a scanned rotating code asks; a static one, a coupon’s and a product ask nothing', async (t) => {
  const box = await openBox(t);
  box.reader.scan('SLR123456789461192462');
  await answered(box);
  t.match(box.host.inquired, [{ credential: { method: 'screenCode', code: 'SLR123456789461192462' } }]);
  t.match(inquiries(box), [{ result: 'known' }]);
  box.reader.scan('SLM1234567890128');
  t.same(inquiries(box)[1], { result: 'refused', code: 'credential.tooWeak' });
  box.reader.scan('SLC1234567890128', '6901234567892');
  await settle();
  t.equal(box.host.inquired.length, 1);
  t.equal(inquiries(box).length, 2);
});

t.test('a sale that begins at any moment of an inquiry has the same tap', async (t) => {
  /** Brings an inquiry to that moment; gives back how to let it go on. */
  const moments: Readonly<Record<string, (box: BoxDouble, tap: () => void) => Promise<() => void>>> = {
    'the phone is being asked': async (box, tap) => {
      const held = box.reader.holdAt('present');
      tap();
      await held.reached;
      return held.release;
    },
    'the host is being asked': async (box, tap) => {
      const release = box.host.hold();
      tap();
      await until('the question', () => box.host.inquired.length === 1);
      return release;
    },
    'the phone is being told': async (box, tap) => {
      const held = box.reader.holdAt('mutual');
      tap();
      await held.reached;
      return held.release;
    },
    'it is over': async (box, tap) => {
      tap();
      await answered(box);
      await settle();
      return () => {};
    },
  };
  for (const [moment, reach] of Object.entries(moments))
    await t.test(moment, async (t) => {
      const box = await openBox(t);
      const phone = box.host.phone('1380');
      const goOn = await reach(box, () => box.reader.tap(phone));
      const shown = inquiries(box).length;
      const { transactionId } = await box.start(earn);
      t.match(box.terminal.sale(transactionId), { phase: /waiting|working/ });
      goOn();
      const sale = await box.ended(transactionId);
      t.match(sale.outcome, { result: 'accepted', points: 300 });
      t.equal(inquiries(box).length, shown, 'what was still to come of the inquiry is dropped');
      t.same(box.kinds, ['pointsEarn', 'consumption']);
      t.same(box.printer.texts.at(-1), ['交易成功 ACCEPTED', '积分 POINTS     +300']);
      await until('the result', () => phone.show().memberships[0]?.results.at(-1)?.points === 1_300);
      t.same(box.crashes, []);
    });
});

t.test('a phone that never answers the inquiry costs the sale one command’s time, no more', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380');
  phone.hold();
  const link = box.reader.tap(phone);
  await until('the command', () => box.reader.commands.length === 1);
  const { transactionId } = await box.start(earn);
  box.time.advance(2_000);
  await settle();
  t.same(box.reader.commands, ['select', 'select'], 'the sale asks the same phone anew');
  box.reader.remove(link);
  box.reader.tap(box.host.phone('1381'));
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
});

t.test('a cancelled sale during an inquiry leaves the box ready for both', async (t) => {
  const box = await openBox(t);
  const held = box.reader.holdAt('present');
  const link = box.reader.tap(box.host.phone('1380'));
  await held.reached;
  const { transactionId } = await box.start(earn);
  t.ok((await box.terminal.cancelSale(transactionId)).ok);
  held.release();
  await settle();
  t.same(inquiries(box), []);
  box.reader.remove(link);
  box.time.advance(quietAfterSaleMs);
  box.reader.tap(box.host.phone('1380'));
  await answered(box);
  t.match(inquiries(box), [{ result: 'known' }]);
  t.same(box.crashes, []);
});

t.test('a phone that trembles at the edge behind its sale does not take the result from the display', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380');
  const { transactionId } = await box.start({ service: 'pointsSpend', points: 5_000 as Points });
  box.reader.tap(phone);
  await box.ended(transactionId);
  const { length } = box.printer.texts;
  box.time.advance(quietAfterSaleMs - 1);
  box.reader.remove(box.reader.tap(phone));
  await settle();
  t.same([inquiries(box), box.printer.texts.length], [[], length]);
  box.time.advance(1);
  box.reader.tap(phone);
  await answered(box);
});
