// A box without its host and a phone with the merchant's credential: it spends out of a slice whose key the box does not hold, on a
// floor limit and from a card, and each thing that is wrong with tap or credential is refused by its code. The shipped terminal,
// store and policy, the simulated phone, P-256 by Node; what the record carries is what the host verifies at the sync.
import t from 'tap';
import {
  credentialSignedBytes,
  credentialUse,
  dayOf,
  encodeUnsigned,
  type PhoneCredential,
  tapSignedBytes,
} from '../../drivers/protocols/member/credential.js';
import { encodeContext, merchantTag } from '../../drivers/protocols/member/layout.js';
import { localKey, verifyPhoneProof } from '../../drivers/protocols/member/proof.js';
import type { PhoneEvent } from '../../drivers/sim/phone/phone.js';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import { signP256 } from '../../drivers/sim/phone/phone-crypto.js';
import { type Membership, newPhoneState, VolatileMemory, withMembership } from '../../drivers/sim/phone/phone-state.js';
import { type TapCredential, transactionIdBytes } from '../../host-sync/protocol/record.js';
import {
  type Allowance,
  allowanceBytes,
  type Directives,
  offlineLimitsDefault,
} from '../../host-sync/protocol/sync.js';
import { type Bytes, concat, hex, toHex } from '../kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeRandom } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, openBox, directives as plain, terminalId, until } from '../sim/box-double.js';
import { siteKey } from '../sim/host-double.js';
import { drawLocalKeys, drawSigner } from '../sim/simulator/keys.js';

const dayMs = 86_400_000;
const number = '13800138000';
const signer = nativeKeyAgreement.generateKeyPair();
const own = nativeKeyAgreement.generateKeyPair();
const authority = drawSigner(nativeRandom);
const keys = drawLocalKeys(nativeRandom);
const slice = '01890000-0000-7000-8000-000000000001' as TransactionId;
const coupon = 'SLC0000000000017';
const spend = { service: 'pointsSpend', points: 200 as Points } as const;
const purchase = { amountMinor: 5_000 as never };

interface Wish {
  /** Of the directives, over what a merchant has that gives credentials. */
  readonly directives?: Partial<Directives>;
  readonly credentialOnly?: boolean;
  /** The member's key comes with the slice. */
  readonly withKey?: boolean;
  readonly siteKey?: boolean;
}

/** A box without its host that holds 500 points of the member. */
async function away(t: Parameters<typeof openBox>[0], wish: Wish = {}): Promise<BoxDouble> {
  const box = await openBox(t, wish.siteKey ? { siteKey } : {});
  box.host.up = false;
  box.host.proofHolds = (...words) => (words[0] === '' ? null : keys.proofHolds(...words));
  hand(box, wish);
  return box;
}

function hand(box: BoxDouble, { directives = {}, credentialOnly = false, withKey = false }: Wish): void {
  const { memberKeyId, memberKey } = box.host.membership(number);
  const local = localKey(nativeCrypto, hex(memberKey), hex(terminalId.slice(2)));
  const now = box.clock.wallMs();
  const unsigned: Omit<Allowance, 'signature'> = {
    ...{ id: slice, terminalId, memberCode: 'SLM0000000000017', grantedAtMs: now, expiresAtMs: now + dayMs },
    holds: { unit: 'points', points: 500 },
    keys: [{ keyId: memberKeyId, localKey: toHex(local) }],
  };
  const allowance = { ...unsigned, signature: toHex(authority.sign(allowanceBytes(unsigned))) };
  const { allowances: _, ...rest } = plain;
  const held = {
    ...rest,
    ...{ allowances: [allowance], credentialKey: toHex(signer.publicKey) },
    offline: { ...offlineLimitsDefault, credentialOnly },
    ...directives,
  };
  const { directives: taken } = keys.take(held as Directives, terminalId, authority.publicKey);
  // A slice names the member's key ids; without the key itself the box has nothing of its own to verify the phone by.
  const bare = taken.allowances.map((grant) => ({ ...grant, sealedKeys: '' }));
  box.store.setDirectives(withKey ? taken : { ...taken, allowances: bare });
}

interface Shown {
  readonly change?: Partial<PhoneCredential>;
  readonly by?: Bytes;
  readonly balanceMinor?: number;
  readonly merchantId?: string;
}
/** The member's phone, with a credential for today and a fortnight. */
function phoneOf(box: BoxDouble, { change = {}, by = signer.privateKey, balanceMinor, merchantId = 'M1' }: Shown = {}) {
  const member: Membership = box.host.membership(number, balanceMinor ?? null, merchantId);
  const today = dayOf(box.clock.wallMs());
  const unsigned = encodeUnsigned({
    ...{ merchantTag: merchantTag(nativeCrypto, 'M1'), memberKeyId: hex(member.memberKeyId), publicKey: own.publicKey },
    ...{ firstDay: today, lastDay: today + 14 },
    ...{ uses: member.card ? 3 : 1, cardKeyId: member.card && hex(member.card.keyId) },
    ...change,
  });
  const credential = toHex(concat(unsigned, signP256(by, credentialSignedBytes(unsigned))));
  return held({ ...member, signingKey: toHex(own.privateKey), credential });
}
function held(membership: Membership) {
  const memory = new VolatileMemory(withMembership(newPhoneState(number), membership));
  const said: string[] = [];
  const onEvent = (event: PhoneEvent): void => void (event.event === 'command' && said.push(event.instruction));
  return { phone: new SimulatedPhone({ memory, onEvent }), memory, said };
}

async function sell(box: BoxDouble, phone: SimulatedPhone, service: Parameters<BoxDouble['start']>[0] = spend) {
  const { transactionId } = await box.start(service, { purchase });
  box.reader.tap(phone);
  const { outcome } = await box.ended(transactionId);
  return outcome;
}

/** What phone and box said for 200 points of 50.00, as the record tells it. */
function transcriptIn({ transactionId }: { readonly transactionId: TransactionId }, tap: TapCredential) {
  const context = encodeContext({
    ...{ transactionId: transactionIdBytes(transactionId), terminal: hex(terminalId.slice(2)) },
    ...{ operation: 'spend', amountMinor: 5_000, currency: 'CNY', points: 200 },
  });
  return {
    ...{ key: tap.key, keyId: hex(tap.keyId), terminalNonce: hex(tap.terminalNonce) },
    ...{ phoneNonce: hex(tap.phoneNonce), counter: tap.counter, context },
  };
}

t.test(
  'out of a slice: the phone signs, the box verifies, and the record carries what the host verifies again',
  async (t) => {
    const box = await away(t);
    const { phone, said } = phoneOf(box);
    t.match(await sell(box, phone), { result: 'accepted', authority: 'allowance', points: 200, coveredMinor: 200 });
    t.same(said.slice(0, 3), ['select', 'present', 'sign']);
    const [record] = box.records;
    if (record?.kind !== 'pointsSpend' || record.credential.method !== 'tap') throw new Error('a spend by a tap');
    t.match(record, { offline: { by: 'allowance', allowanceId: slice, coveredMinor: 200 } });
    const memberKey = hex(box.host.membership(number).memberKey);
    t.ok(
      verifyPhoneProof(nativeCrypto, memberKey, transcriptIn(record, record.credential), hex(record.credential.proof)),
      'the cryptogram under the signature is good',
    );
  },
);

t.test('what is wrong with tap or credential is refused by its code, and nothing is recorded', async (t) => {
  const today = (box: BoxDouble): number => dayOf(box.clock.wallMs());
  const cases: Readonly<Record<string, (box: BoxDouble) => readonly [ReturnType<typeof phoneOf>, string]>> = {
    'no credential': (box) => [held(box.host.membership(number)), 'credential.missing'],
    'ended yesterday': (box) => [
      phoneOf(box, { change: { firstDay: today(box) - 9, lastDay: today(box) - 1 } }),
      'credential.outOfTime',
    ],
    'begins tomorrow': (box) => [
      phoneOf(box, { change: { firstDay: today(box) + 1, lastDay: today(box) + 9 } }),
      'credential.outOfTime',
    ],
    'of another merchant': (box) => [
      phoneOf(box, { change: { merchantTag: merchantTag(nativeCrypto, 'M2') } }),
      'credential.forged',
    ],
    'of another member': (box) => [
      phoneOf(box, { change: { memberKeyId: hex('00112233445566aa') } }),
      'credential.forged',
    ],
    'signed by somebody else': (box) => [phoneOf(box, { by: own.privateKey }), 'credential.forged'],
    'for a card alone': (box) => [
      phoneOf(box, { change: { uses: credentialUse.card, cardKeyId: hex('00112233445566aa') } }),
      'credential.tooWeak',
    ],
    'names another key': (box) => [
      phoneOf(box, { change: { publicKey: nativeKeyAgreement.generateKeyPair().publicKey } }),
      'credential.wrongProof',
    ],
  };
  for (const [what, make] of Object.entries(cases)) {
    const box = await away(t);
    const [{ phone }, code] = make(box);
    t.match(await sell(box, phone), { result: 'refused', code }, what);
    t.same(box.records, [], what);
  }
  const ways = { wrongCredential: 'credential.forged', wrongSigner: 'credential.wrongProof' } as const;
  for (const [how, code] of Object.entries(ways)) {
    const box = await away(t);
    const { phone } = phoneOf(box);
    phone.misbehave({ [how]: true });
    t.match(await sell(box, phone), { result: 'refused', code }, how);
  }
});

t.test('a phone that shows the credential before its newest: what has ended stays ended', async (t) => {
  const box = await away(t);
  const { memory } = phoneOf(box, { change: { firstDay: 0, lastDay: dayOf(box.clock.wallMs()) - 1 } });
  const [ended] = memory.state.memberships;
  const [now] = phoneOf(box).memory.state.memberships;
  if (!ended || !now) throw new Error('the phone is a member');
  const { phone } = held({ ...now, formerCredential: ended.credential });
  phone.misbehave({ formerCredential: true });
  t.match(await sell(box, phone), { result: 'refused', code: 'credential.outOfTime' });
  phone.misbehave({ formerCredential: false });
  t.match(await sell(box, phone), { result: 'accepted', authority: 'allowance' });
});

t.test('a partner’s member: the credential is of the merchant whose membership was selected', async (t) => {
  const box = await away(t, { directives: { merchants: ['M1', 'CAFE'] } });
  const cafe = merchantTag(nativeCrypto, 'CAFE');
  t.match(await sell(box, phoneOf(box, { merchantId: 'CAFE' }).phone), { code: 'credential.forged' });
  const { phone } = phoneOf(box, { merchantId: 'CAFE', change: { merchantTag: cafe } });
  t.match(await sell(box, phone), { result: 'accepted', authority: 'allowance' });
});

t.test('a tap that is said once more is refused: its signature is over another nonce of the box', async (t) => {
  const box = await away(t);
  const { phone } = phoneOf(box);
  t.match(await sell(box, phone), { result: 'accepted' });
  phone.misbehave({ replay: true });
  t.match(await sell(box, phone), { result: 'refused', code: 'credential.wrongProof' });
});

t.test('a blocked phone, a clock in doubt, and a merchant that gives no credentials', async (t) => {
  const lost = await away(t);
  hand(lost, { directives: { blocked: [lost.host.membership(number).memberKeyId] } });
  t.match(await sell(lost, phoneOf(lost).phone), { code: 'credential.blocked' });

  const doubtful = await away(t);
  const { phone } = phoneOf(doubtful);
  doubtful.wallStepMs = -3 * 3_600_000;
  t.ok(doubtful.terminal.status().clockDoubtful, 'set back, so that an ended credential would be good again');
  t.match(await sell(doubtful, phone), { code: 'credential.clockDoubtful' });

  const none = await away(t, { directives: { credentialKey: null } });
  const { phone: other, said } = phoneOf(none);
  t.match(await sell(none, other), { code: 'credential.wrongProof' });
  t.notOk(said.includes('sign'), 'the phone is not asked for what nobody verifies');
});

t.test('the key that came with a slice is enough, unless the merchant wants the credential alone', async (t) => {
  const box = await away(t, { withKey: true });
  const usual = phoneOf(box);
  t.match(await sell(box, usual.phone), { result: 'accepted' });
  t.notOk(usual.said.includes('sign'));
  hand(box, { withKey: true, credentialOnly: true });
  t.match(await sell(box, held(box.host.membership(number)).phone), { code: 'credential.missing' });
  const strict = phoneOf(box);
  t.match(await sell(box, strict.phone), { result: 'accepted', authority: 'allowance' });
  t.ok(strict.said.includes('sign'));
  const next = await away(t, { withKey: true, credentialOnly: true });
  const forged = phoneOf(next);
  forged.phone.misbehave({ wrongKey: true });
  t.match(
    await sell(next, forged.phone),
    { code: 'credential.wrongProof' },
    'a credential does not make good a wrong key',
  );
});

const floor = { floorPerSaleMinor: 6_000, floorPerMemberDayMinor: 9_000, floorPerMemberDayCount: 5 };
const floors = { ...offlineLimitsDefault, ...floor, floorPerDayMinor: 20_000 };
t.test('a floor limit is nobody’s who is not verified, where the merchant says so', async (t) => {
  const offline = { ...floors, credentialOnly: true };
  const box = await away(t, { directives: { allowances: [], offline } });
  t.match(await sell(box, held(box.host.membership(number)).phone), { code: 'credential.missing' });
  const { transactionId } = await box.start({ service: 'couponHost' }, { purchase, code: coupon });
  t.match((await box.ended(transactionId)).outcome, { result: 'refused', code: 'credential.tooWeak' }, 'nor a code’s');
  t.match(await sell(box, phoneOf(box).phone), { result: 'accepted', authority: 'floor', coveredMinor: 200 });
  hand(box, { directives: { allowances: [], offline: floors } });
  t.match(
    await sell(box, held(box.host.membership(number)).phone),
    { result: 'accepted', authority: 'floor' },
    'phones that have no credential yet spend as before',
  );
});

t.test(
  'a worthless proof under a good signature: the box cannot judge it, and keeps what the phone signed',
  async (t) => {
    const ways: readonly Wish[] = [
      {},
      { directives: { allowances: [], offline: floors } },
      { directives: { allowances: [], offline: { ...floors, credentialOnly: true } } },
    ];
    for (const wish of ways) {
      const box = await away(t, wish);
      const { phone } = phoneOf(box);
      phone.misbehave({ wrongKey: true });
      t.match(await sell(box, phone), { result: 'accepted' });
      const [record] = box.records;
      if (record?.kind !== 'pointsSpend' || record.credential.method !== 'tap') throw new Error('a spend by a tap');
      const signed = tapSignedBytes(transcriptIn(record, record.credential), hex(record.credential.proof));
      t.ok(nativeCrypto.verifyP256(own.publicKey, signed, hex(record.offline?.signature ?? '')), 'it is in the record');
      const memberKey = hex(box.host.membership(number).memberKey);
      const proof = hex(record.credential.proof);
      t.notOk(verifyPhoneProof(nativeCrypto, memberKey, transcriptIn(record, record.credential), proof), 'worthless');
    }
  },
);

const card = { service: 'couponCard' } as const;
t.test(
  'a card: the site key writes its record, and where the merchant says so only for a phone that signs',
  async (t) => {
    const box = await away(t, { siteKey: true, credentialOnly: true });
    t.match(await sell(box, held(box.host.membership(number, 30_000)).phone, card), { code: 'credential.missing' });
    const other = phoneOf(box, { balanceMinor: 30_000, change: { cardKeyId: hex('00112233445566aa') } });
    t.match(await sell(box, other.phone, card), { code: 'credential.tooWeak' }, 'a card that it does not name');
    t.same(box.records, []);
    const { phone, said } = phoneOf(box, { balanceMinor: 30_000 });
    t.match(await sell(box, phone, card), { result: 'accepted', authority: 'site', coveredMinor: 5_000 });
    t.same(said.slice(0, 5), ['select', 'present', 'sign', 'mutual', 'readRecords']);
    t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 25_000);

    const usual = await away(t, { siteKey: true });
    const bare = held(usual.host.membership(number, 30_000));
    t.match(await sell(usual, bare.phone, card), { result: 'accepted', authority: 'site' }, 'the site key, opted in');
    t.notOk(bare.said.includes('sign'));
    const without = await away(t, { credentialOnly: true });
    const able = phoneOf(without, { balanceMinor: 30_000 });
    t.match(await sell(without, able.phone, card), { code: 'host.unreachable' }, 'nobody here can read the record');
  },
);

t.test('a blocked coupon or phone pays nothing from its card at a box with the site key', async (t) => {
  const box = await away(t, { siteKey: true });
  const couponCode = 'SLC1234567890128';
  hand(box, { directives: { blocked: [couponCode] } });
  t.match(await sell(box, phoneOf(box, { balanceMinor: 30_000 }).phone, card), { code: 'credential.blocked' });
  hand(box, { directives: { blocked: [box.host.membership(number).memberKeyId] } });
  t.match(await sell(box, phoneOf(box, { balanceMinor: 30_000 }).phone, card), { code: 'credential.blocked' });
  hand(box, { directives: { blocked: [coupon] } });
  t.match(await sell(box, phoneOf(box, { balanceMinor: 30_000 }).phone, card), { result: 'accepted' });
});

t.test('a debit that was decided is settled without a credential, whatever the clock says by then', async (t) => {
  const box = await away(t, { siteKey: true, credentialOnly: true });
  const { phone, said } = phoneOf(box, { balanceMinor: 30_000 });
  phone.tearAt({ at: 'writeSlot', moment: 'after', bytes: null });
  const { transactionId } = await box.start(card, { purchase });
  box.reader.tap(phone);
  await until('tap again', () => box.reader.signals.at(-1) === 'tapAgain');
  box.wallStepMs = -3 * 3_600_000;
  t.ok(box.terminal.status().clockDoubtful);
  said.length = 0;
  box.reader.tap(phone);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted', authority: 'site', coveredMinor: 5_000 });
  t.notOk(said.includes('sign'), 'nothing new is given');
  t.equal(phone.show().memberships[0]?.card?.record?.balanceMinor, 25_000);
});
