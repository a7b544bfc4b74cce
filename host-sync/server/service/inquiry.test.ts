/**
 * Shows what the host tells a box of a member who tapped without a sale: balances to who proves, nothing to who only shows; that
 * nothing of an inquiry is good twice, whichever box repeats it, and that it stands in the way of no sale. On a real store.
 */
import t from 'tap';
import { inquiryShown, type Operation } from '../../../drivers/protocols/member/layout.js';
import { verifyPhoneProof } from '../../../drivers/protocols/member/proof.js';
import { screenCode, stepAt, stepBytes } from '../../../drivers/protocols/screen-code/screen-code.js';
import { hex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { monotonicMs } from '../../../terminal/kernel/units.js';
import { type InquiryResponse, inquiryCouponsMax, inquiryResponseSchema } from '../../protocol/inquiry.js';
import type { Credential } from '../../protocol/record.js';
import { transcriptOf } from '../ledger/credential.js';
import { earn } from '../sim/sales.js';
import { type Box, inWorld, type LooseDraft, must, newId, type Phone, said, type World } from '../sim/world.js';
import { usesPerMemberMax } from './inquiry.js';
import { InquiryRate, inquiriesPerWindowMax, inquiryWindowMs, refusedPerWindowMax } from './inquiry-rate.js';

const number = '13800000000';
const { currency } = inquiryShown;
const proved = (phone: Phone, box: Box, id: TransactionId, operation: Operation = 'inquire') =>
  phone.tap(box, id, operation, 0, 0, currency);

/** Asks with a fresh tap, unless told with what. */
async function ask(world: World, box: Box, phone: Phone, credential?: Credential): Promise<InquiryResponse> {
  const transactionId = newId();
  const asked = { transactionId, credential: credential ?? proved(phone, box, transactionId) };
  return inquiryResponseSchema.parse(must(await world.host.inquire(box.terminalId, asked)));
}
const code = (answer: InquiryResponse): string => (answer.outcome === 'refused' ? answer.code : answer.outcome);
const alarms = async (world: World): Promise<readonly string[]> =>
  (await world.host.alarms()).rows.map((alarm) => alarm.code);

inWorld(t, 'balances, and no record of them', async (t, { world, box }) => {
  const phone = await world.phone(number);
  t.match(await ask(world, box, phone), { outcome: 'known', points: 0, tier: 'member', coupons: [], couponsMore: 0 });
  t.equal(said(await box.tell(earn(box, phone, 30_000))), 'accepted');
  const issue = (more: object) =>
    world.host.coupons.issue({
      ...{ holder: 'host', memberCode: phone.memberCode, currency: 'CNY', amountMinor: 5_000, expiresAtMs: null },
      ...more,
    } as Parameters<typeof world.host.coupons.issue>[0]);
  const late = must(await issue({ expiresAtMs: world.clock.nowMs + 2_000, limitCategory: 'cake' }));
  const soon = must(await issue({ expiresAtMs: world.clock.nowMs + 1_000, limitProducts: ['6901234567892'] }));
  const onCard = must(await issue({ holder: 'card', amountMinor: 30_000 }));
  const blocked = must(await issue({}));
  must(await world.host.coupons.setState(blocked.code, 'blocked'));
  const held = (await world.host.terminals.get(box.terminalId))?.recordsHeld;
  const answer = await ask(world, box, phone);
  const end = (coupon: { readonly code: string }): string => coupon.code.slice(-4);
  t.match(answer, { outcome: 'known', points: 300, pointsOwed: 0 });
  t.same(answer.outcome === 'known' && answer.coupons, [
    {
      ...{ codeEnd: end(soon), holder: 'host', balanceMinor: 5_000, currency: 'CNY' },
      ...{ expiresAtMs: world.clock.nowMs + 1_000, limitCategory: null, limitProducts: 1 },
    },
    {
      ...{ codeEnd: end(late), holder: 'host', balanceMinor: 5_000, currency: 'CNY' },
      ...{ expiresAtMs: world.clock.nowMs + 2_000, limitCategory: 'cake', limitProducts: null },
    },
    {
      ...{ codeEnd: end(onCard), holder: 'card', balanceMinor: 30_000, currency: 'CNY' },
      ...{ expiresAtMs: null, limitCategory: null, limitProducts: null },
    },
  ]);
  t.notMatch(JSON.stringify(answer), /SL[MC]|13800000000/, 'no code that pays, no number, no name');
  t.equal((await world.host.terminals.get(box.terminalId))?.recordsHeld, held);
  world.clock.nowMs += 2_000;
  t.match(await ask(world, box, phone), { coupons: [{ codeEnd: end(onCard) }] }, 'what is over is not shown');
  for (let n = 0; n < inquiryCouponsMax + 2; n++) must(await issue({}));
  const many = await ask(world, box, phone);
  t.match(many, { couponsMore: 3 });
  t.equal(many.outcome === 'known' && many.coupons.length, inquiryCouponsMax);
});

inWorld(t, 'the session that comes with it is of this tap', async (t, { world, box }) => {
  const phone = await world.phone(number);
  const transactionId = newId();
  const credential = proved(phone, box, transactionId);
  const answer = must(await world.host.inquire(box.terminalId, { transactionId, credential }));
  t.match(answer, { session: { terminalProof: /^[0-9a-f]{32}$/, encryptionKey: /^[0-9a-f]{32}$/ } });
  const other = transcriptOf(credential, new Uint8Array(40));
  t.notOk(
    verifyPhoneProof(nativeCrypto, phone.key, other, hex(credential.proof)),
    'the proof covers the inquiry alone',
  );
});

inWorld(t, 'a tap is good for one inquiry, at its own box, and for nothing else', async (t, { world, box }) => {
  const phone = await world.phone(number);
  const other = await world.box('stolen');
  const transactionId = newId();
  const credential = proved(phone, box, transactionId);
  const asked = { transactionId, credential };
  t.equal(code(must(await world.host.inquire(other.terminalId, asked))), 'credential.wrongProof', 'another box');
  t.equal(code(must(await world.host.inquire(box.terminalId, asked))), 'known');
  t.equal(code(must(await world.host.inquire(box.terminalId, asked))), 'credential.replayed', 'again');
  world.clock.nowMs += 365 * 86_400_000;
  t.equal(code(must(await world.host.inquire(box.terminalId, asked))), 'credential.replayed', 'a year later');
  t.same([...new Set(await alarms(world))].sort(), ['credential.replayed', 'credential.wrongProof']);
  const sold = { ...earn(box, phone, 30_000), transactionId, credential } as LooseDraft;
  t.equal(said(await box.tell(sold)), 'credential.wrongProof', 'it sells nothing');
  const forSale = phone.tap(box, transactionId, 'earn', 0, 0, currency);
  t.equal(code(await ask(world, box, phone, forSale)), 'credential.wrongProof', 'nor does a sale’s tap ask');
});

inWorld(t, 'the counters of inquiries and of sales do not stand in each other’s way', async (t, { world, box }) => {
  const phone = await world.phone(number);
  const waiting = box.record(earn(box, phone, 10_000));
  t.equal(code(await ask(world, box, phone)), 'known');
  t.equal(said((await box.send(waiting)).answers[0]), 'accepted', 'an earlier earn comes later than the inquiry');
  t.equal(said(await box.tell(earn(box, phone, 10_000))), 'accepted');
  const older = newId();
  const early = proved(phone, box, older);
  t.equal(code(await ask(world, box, phone)), 'known');
  t.equal(
    code(must(await world.host.inquire(box.terminalId, { transactionId: older, credential: early }))),
    'credential.replayed',
  );
});

inWorld(t, 'who only shows something learns nothing, nor whether there is such a member', async (t, { world, box }) => {
  const phone = await world.phone(number);
  for (const credential of [
    { method: 'memberCode', code: phone.memberCode },
    { method: 'phoneNumber', number },
    { method: 'phoneNumber', number: '13999999999' },
    { method: 'couponCode', code: 'SLC1234567890128' },
    { method: 'tagUid', tagId: '00'.repeat(8) },
  ] as const)
    t.equal(code(await ask(world, box, phone, credential)), 'credential.tooWeak', credential.method);
});

inWorld(t, 'a blocked key, an unknown one, a box that is held', async (t, { world, box }) => {
  const phone = await world.phone(number);
  const { keyId } = proved(phone, box, newId());
  must(await world.host.members.setKeyState(keyId, 'blocked'));
  t.equal(code(await ask(world, box, phone)), 'credential.blocked');
  const stranger = Object.assign(Object.create(Object.getPrototypeOf(phone)), phone, { keyId: new Uint8Array(8) });
  t.equal(code(await ask(world, box, stranger)), 'credential.unknown');
  must(await world.host.terminals.revoke(box.terminalId, 'stolen'));
  const transactionId = newId();
  const credential = proved(phone, box, transactionId);
  t.match(await world.host.inquire(box.terminalId, { transactionId, credential }), {
    ok: false,
    error: { code: 'host.quarantined' },
  });
});

inWorld(t, 'a rotating code is used up, but for one sale at the same box', async (t, { world, box }) => {
  const phone = await world.phone(number);
  const other = await world.box('other');
  const drawn = await world.host.pages.drawCode(number);
  const [{ handle, seed } = { handle: '', seed: '' }] = must(
    await world.host.pages.open(number, drawn?.code ?? ''),
  ).codes;
  const now = (): Credential => ({
    method: 'screenCode',
    code: screenCode(handle, nativeCrypto.hmacSha256(hex(seed), stepBytes(stepAt(world.clock.nowMs)))),
  });
  const earnWith = async (at: Box, credential: Credential): Promise<string> =>
    said(await at.tell({ ...earn(at, phone, 10_000), credential } as LooseDraft));
  const shown = now();
  t.equal(code(await ask(world, box, phone, shown)), 'known');
  t.equal(code(await ask(world, box, phone, shown)), 'credential.replayed');
  t.equal(code(await ask(world, other, phone, shown)), 'credential.replayed');
  t.equal(await earnWith(other, shown), 'credential.replayed', 'photographed and carried away');
  t.equal(await earnWith(box, shown), 'accepted', 'the sale that follows needs no new code');
  t.equal(await earnWith(box, shown), 'credential.replayed');
  world.clock.nowMs += 30_000;
  const next = now();
  t.equal(await earnWith(box, next), 'accepted');
  t.equal(code(await ask(world, box, phone, next)), 'credential.replayed', 'a sale uses it up for inquiries too');

  const uses = async (): Promise<number> =>
    world.store.count('inquiryUse', { lookup: 'memberId', value: phone.memberCode });
  for (let n = 0; n < usesPerMemberMax + 5; n++) {
    world.clock.nowMs += inquiryWindowMs;
    t.equal(code(await ask(world, box, phone, now())), 'known');
  }
  t.equal(await uses(), usesPerMemberMax, 'what is remembered of one member has a bound');
});

inWorld(t, 'a box that asks too often is answered no more, and alarmed of once', async (t, { world, box }) => {
  const phone = await world.phone(number);
  for (let n = 0; n < inquiriesPerWindowMax; n++) t.equal(code(await ask(world, box, phone)), 'known');
  t.equal(code(await ask(world, box, phone)), 'access.rateLimited');
  t.equal(code(await ask(world, box, phone)), 'access.rateLimited');
  t.same(await alarms(world), ['access.rateLimited']);
  t.equal(code(await ask(world, await world.box('other'), phone)), 'known', 'the others go on');
  world.clock.nowMs += inquiryWindowMs;
  t.equal(code(await ask(world, box, phone)), 'known');
});

t.test('refusals count sooner: trying out is not answered long', async (t) => {
  const rate = new InquiryRate();
  const now = monotonicMs(0);
  for (let n = 0; n < refusedPerWindowMax; n++) {
    t.equal(rate.ask('t', now), 'may');
  }
  t.equal(rate.ask('t', now), 'first');
  t.equal(rate.ask('t', now), 'again');
  t.equal(rate.ask('t', monotonicMs(inquiryWindowMs)), 'may');
  for (let n = 1; n < refusedPerWindowMax; n++) rate.notRefused('t', now);
  for (let n = 1; n < refusedPerWindowMax; n++) t.equal(rate.ask('t', monotonicMs(inquiryWindowMs)), 'may');
  t.equal(
    rate.ask('t', monotonicMs(inquiryWindowMs)),
    'first',
    'what an earlier window asked frees nothing in this one',
  );
});

inWorld(t, 'asking many at once tries out no more than one after the other', async (t, { world, box }) => {
  const credential: Credential = { method: 'screenCode', code: 'SLR123456789012345678' };
  const answers = await Promise.all(
    Array.from({ length: inquiriesPerWindowMax }, () =>
      world.host.inquire(box.terminalId, { transactionId: newId(), credential }),
    ),
  );
  const codes = answers.map((answer) => code(must(answer)));
  t.equal(codes.filter((one) => one === 'credential.unknown').length, refusedPerWindowMax);
  t.same(await alarms(world), ['access.rateLimited']);
});

inWorld(t, 'a counter shows the memberships of its own merchant alone', async (t, { world, box }) => {
  const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
  must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, keys));
  const cafe = await world.box('cafe till', 'CAFE');
  const phone = await world.phone(number);
  t.equal(said(await box.tell(earn(box, phone, 30_000))), 'accepted');
  t.equal(code(await ask(world, cafe, phone)), 'credential.unknown', 'nothing of what the shop’s member has');
  const atCafe = await world.phone(number, 'CAFE');
  t.equal(said(await cafe.tell(earn(cafe, atCafe, 1_000))), 'accepted');
  t.match(await ask(world, cafe, phone), { outcome: 'known', points: 10 }, 'the person’s membership here');
  t.match(await ask(world, box, phone), { outcome: 'known', points: 300 });
  const id = newId();
  const tapped = proved(phone, cafe, id);
  const again = { transactionId: id, credential: tapped };
  t.equal(must(await world.host.inquire(cafe.terminalId, again)).outcome, 'known');
  t.equal(code(must(await world.host.inquire(cafe.terminalId, again))), 'credential.replayed');
});
