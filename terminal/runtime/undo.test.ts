/**
 * Shows void and refund of sales of every kind, twice and over their amount too, the right to type points, and receipts:
 * one that is no copy, later ones that are, and the mark of a simulated sale. On the shipped terminal and store.
 */
import t from 'tap';
import { TerminalError } from '../kernel/errors.js';
import type { AmountMinor, Points } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import { refusal } from '../sim/host-double.js';
import type { ServiceCommand } from './port.js';

const minor = (amount: number): AmountMinor => amount as AmountMinor;
const refund = (original: string, amount: number): ServiceCommand => ({
  service: 'refund',
  original,
  amountMinor: minor(amount),
});

async function earned(box: BoxDouble, reference: string): Promise<string> {
  const { transactionId } = await box.start({ service: 'pointsEarn' }, { reference });
  box.reader.tap(box.host.phone('1380'));
  await box.ended(transactionId);
  return transactionId;
}

t.test('a void undoes a sale once', async (t) => {
  const box = await openBox(t);
  const original = await earned(box, 'S-1');
  const undone = await box.start({ service: 'void', original: 'S-1' }, { reference: 'V-1' });
  t.match((await box.ended(undone.transactionId)).outcome, { result: 'accepted', coveredMinor: 30_000 });
  t.match(box.records.at(-1), { kind: 'void', original, reference: 'V-1' });
  t.equal(box.kinds.filter((kind) => kind === 'consumption').length, 1, 'an undo is no purchase');
  t.match(box.terminal.sale('S-1'), { voided: true });

  t.match(await box.refused({ service: 'void', original: 'S-1' }), { code: 'original.notVoidable' });
  t.match(await box.refused({ service: 'void', original }), { code: 'original.notVoidable' });
  t.match(await box.refused(refund('S-1', 1)), { code: 'refund.tooLarge' });
  t.match(
    await box.refused({ service: 'void', original: 'V-1' }),
    { code: 'original.notVoidable' },
    'no void of a void',
  );
  t.match(await box.start({ service: 'void', original: 'S-1' }, { reference: 'V-1' }), {
    transactionId: undone.transactionId,
  });
  t.equal(box.kinds.filter((kind) => kind === 'void').length, 1);
});

t.test('refunds come to the amount of the sale and no further', async (t) => {
  const box = await openBox(t);
  await earned(box, 'S-1');
  for (const [amount, code] of [
    [30_001, 'refund.tooLarge'],
    [0, 'refund.tooLarge'],
    [-1, 'refund.tooLarge'],
  ] as const)
    t.match(await box.refused(refund('S-1', amount)), { code }, `${amount} of 30000`);
  const part = await box.start(refund('S-1', 20_000));
  t.match((await box.ended(part.transactionId)).outcome, { result: 'accepted', coveredMinor: 20_000 });
  t.match(box.terminal.sale('S-1'), { refundedMinor: 20_000 });
  t.match(await box.refused(refund('S-1', 20_000)), { code: 'refund.tooLarge' }, 'the same again');
  t.match(await box.refused(refund('S-1', 10_001)), { code: 'refund.tooLarge' });
  t.match(await box.refused({ service: 'void', original: 'S-1' }), { code: 'original.notVoidable' });
  const rest = await box.start(refund('S-1', 10_000));
  await box.ended(rest.transactionId);
  t.match(await box.refused(refund('S-1', 1)), { code: 'refund.tooLarge' });
  t.same(
    box.records.flatMap((record) => (record.kind === 'refund' ? [record.amountMinor] : [])),
    [20_000, 10_000],
  );
});

t.test('the host’s refusal of an undo is its outcome, now and later', async (t) => {
  const box = await openBox(t);
  await earned(box, 'S-1');
  box.host.decide = (record) => refusal(record.transactionId, 'original.notVoidable');
  const no = await box.start({ service: 'void', original: 'S-1' });
  const outcome = { result: 'refused', code: 'original.notVoidable' };
  t.match((await box.ended(no.transactionId)).outcome, outcome);
  t.match(box.terminal.sale(no.transactionId)?.outcome, outcome);
  t.match(box.terminal.sale('S-1')?.outcome, { result: 'accepted' });
});

t.test('what was never accepted, or is not known here, is not undone', async (t) => {
  const box = await openBox(t);
  await box.start({ service: 'pointsEarn' }, { reference: 'S-1' });
  t.match(await box.refused({ service: 'void', original: 'S-1' }), { code: 'sale.busy' });
  await box.terminal.cancelSale('S-1');
  t.match(await box.refused({ service: 'void', original: 'S-1' }), { code: 'original.unknown' });
  t.match(await box.refused({ service: 'void', original: 'nobody' }), { code: 'original.unknown' });
  t.match(await box.refused(refund("x' OR 1=1 --", 1)), { code: 'original.unknown' });
  t.same(box.kinds, []);
});

t.test('money goes back to the card that paid and to no other', async (t) => {
  const box = await openBox(t);
  const phone = box.host.phone('1380', 30_000);
  const paid = await box.start({ service: 'couponCard' }, { purchase: { amountMinor: minor(10_000) } });
  box.reader.tap(phone);
  t.match((await box.ended(paid.transactionId)).outcome, { coveredMinor: 10_000 });
  const undone = await box.start({ service: 'void', original: paid.transactionId });
  t.match(undone, { service: 'cardCredit', phase: 'waiting', totalMinor: 10_000 });
  box.reader.tap(box.host.phone('1381', 30_000));
  t.match((await box.ended(undone.transactionId)).outcome, { result: 'refused', code: 'card.another' });
  const again = await box.start({ service: 'void', original: paid.transactionId });
  box.reader.tap(phone);
  t.match((await box.ended(again.transactionId)).outcome, { result: 'accepted', balances: { couponMinor: 30_000 } });
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 30_000);
  t.match(await box.refused({ service: 'void', original: paid.transactionId }), { code: /original|refund/ });
});

t.test('points are typed only by clerks who may', async (t) => {
  const box = await openBox(t);
  const typed = { service: 'pointsEarn', typedPoints: 77 as Points } as const;
  t.match(await box.refused(typed), { code: 'sale.notAllowed' });
  const { transactionId } = await box.start(typed, { clerk: 'boss' });
  box.reader.tap(box.host.phone('1380'));
  t.match((await box.ended(transactionId)).outcome, { points: 77 });
  t.match(box.records[0], { kind: 'pointsEarn', points: 77, typed: true, clerk: 'boss' });
  const everybody = await openBox(t, { options: { typedPointsClerks: ['*'] } });
  t.match(await everybody.start(typed), { phase: 'waiting' });
  const nobody = await openBox(t, { options: { typedPointsClerks: [] } });
  t.match(await nobody.refused(typed, { clerk: '*' }), { code: 'sale.notAllowed' });
});

t.test('the first receipt is no copy, every later one is; also where the sale ended at once', async (t) => {
  const box = await openBox(t);
  const first = await box.start({ service: 'plainSale' }, { reference: 'P-1' });
  t.match(first, { phase: 'ended', outcome: { result: 'accepted' } });
  t.notMatch(first.receipt.join('\n'), /COPY/);
  t.same(box.printed, [first.receipt]);
  for (const later of [
    box.terminal.sale('P-1'),
    box.terminal.sales(1, null)[0],
    await box.terminal.saleEnded('P-1', 1),
    await box.start({ service: 'plainSale' }, { reference: 'P-1' }),
  ])
    t.match(later?.receipt.join('\n'), /副本 COPY/);
  t.equal(box.printed.length, 1, 'looking prints nothing');
  t.notMatch(first.receipt.join('\n'), /SIMULATED/);
});

t.test('a copy is printed when asked for; what did not come out is written down, and the sale stands', async (t) => {
  const box = await openBox(t);
  const first = await box.start({ service: 'plainSale' }, { reference: 'P-1' });
  t.match(await box.terminal.printCopy('P-1'), { ok: true, value: { printed: 'whole' } });
  t.match(await box.terminal.printCopy(first.transactionId), { ok: true });
  t.equal(box.printed.length, 3);
  for (const copy of box.printed.slice(1)) t.match(copy.join('\n'), /副本 COPY/);
  t.match(await box.terminal.printCopy('P-9'), { ok: false, error: { code: 'sale.unknown' } });
  const open = await box.start({ service: 'pointsEarn' }, { reference: 'P-2' });
  t.match(await box.terminal.printCopy('P-2'), { ok: false, error: { code: 'sale.busy' } });
  await box.terminal.cancelSale(open.transactionId);
  await box.ended(open.transactionId);

  box.printer.fails = { printed: 'unknown', device: 'printer-1', error: { code: 'device.paperOut', detail: '' } };
  const torn = await box.start({ service: 'plainSale' }, { reference: 'P-3' });
  t.match(torn, { outcome: { result: 'accepted' } });
  const noted = () => box.terminal.audit(5).find(({ action }) => action === 'receipt.unknown');
  await until('the audit', noted);
  t.match(noted(), { actor: 'printer-1', detail: `${torn.transactionId} device.paperOut ` });
  t.match(await box.terminal.printCopy('P-3'), { ok: true, value: { printed: 'unknown' } });

  box.printer.fails = { printed: 'nothing', device: null, error: { code: 'device.absent', detail: 'unplugged' } };
  box.store.appendAudit = () => {
    throw new TerminalError('store.full', 'the test says so');
  };
  t.match(await box.start({ service: 'plainSale' }, { reference: 'P-4' }), { outcome: { result: 'accepted' } });
  await until('the slip', () => box.terminal.status().sale === null);
  t.same(box.crashes, [], 'a slip that did not come out ends nothing');
});

t.test('a simulated sale says so on its view, its record and its receipt', async (t) => {
  const box = await openBox(t, { options: { simulated: true } });
  const sale = await box.start({ service: 'plainSale' });
  t.equal(sale.simulated, true);
  t.match(sale.receipt.join('\n'), /模拟 SIMULATED/);
  t.same(
    box.records.map(({ simulated }) => simulated),
    [true, true],
  );
  t.equal(box.terminal.status().simulated, true);
});

t.test('a void or refund that the host refuses leaves the sale as it was', async (t) => {
  const box = await openBox(t);
  await earned(box, 'S-1');
  const { decide } = box.host;
  for (const command of [{ service: 'void', original: 'S-1' } as const, refund('S-1', 10_000)]) {
    box.host.decide = (record) => refusal(record.transactionId, 'original.notVoidable');
    const { transactionId } = await box.start(command);
    t.match((await box.ended(transactionId)).outcome, { result: 'refused', code: 'original.notVoidable' });
    t.match(box.terminal.sale('S-1'), { voided: false, refundedMinor: 0 });
  }
  box.host.decide = decide;
  const undone = await box.start({ service: 'void', original: 'S-1' });
  t.match((await box.ended(undone.transactionId)).outcome, { result: 'accepted' }, 'it can be undone later');
});
