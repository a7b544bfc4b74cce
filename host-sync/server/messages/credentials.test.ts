/**
 * Shows a credential's way on a whole host: the phone's key comes with its registration, the credential with a content package, the key
 * to verify it with a terminal's directives; a spend that a box decided by it is verified again at the sync; it is renewed before its
 * end, and a lost phone gets none any more.
 */
import t from 'tap';
import { dayOf, decodeCredential, judgeSignedTap } from '../../../drivers/protocols/member/credential.js';
import { encodeContext } from '../../../drivers/protocols/member/layout.js';
import {
  decodePresentAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  presentCommand,
  selectCommand,
  signCommand,
  transcriptOf,
} from '../../../drivers/protocols/member/session.js';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeIds, nativeRandom } from '../../../terminal/kernel/native.js';
import { transactionIdBytes } from '../../protocol/record.js';
import type { Directives } from '../../protocol/sync.js';
import type { MemberView } from '../service/types.js';
import type { EnrolledTerminal } from '../sim/enrolled-terminal.js';
import { type MessagedPhone, newPhone, settle, talk } from '../sim/messaged-phone.js';
import { openTestHost, type TestHost } from '../sim/running-host.js';
import type { PackageView } from './refresh.js';

t.setTimeout(180_000);
const number = '13800000001';
const dayMs = 86_400_000;
const hourMs = 3_600_000;
const merchantId = 'SHOULI';

/** A host whose member's phone has joined and got its first package. */
async function shop(t: Parameters<typeof openTestHost>[0]) {
  const host = await openTestHost(t);
  await host.run('rules.set', {
    ...{ currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 1, spendPerPoints: 1, couponPartial: false },
  });
  const held = newPhone(number);
  await host.run('member.register', { phone: number, name: '张三' });
  await talk(host, held);
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  return { host, held };
}
const membershipIn = ({ memory }: MessagedPhone) => {
  const [membership] = memory.state.memberships;
  if (!membership) throw new Error('the phone has joined');
  return membership;
};
const credentialOf = (held: MessagedPhone) => {
  const decoded = decodeCredential(hex(membershipIn(held).credential ?? ''));
  return decoded.ok ? decoded.value.credential : null;
};
const packageOf = (host: TestHost) => host.run<PackageView>('member.package', { who: number });
async function directivesOf(terminal: EnrolledTerminal): Promise<Directives> {
  return (await terminal.ask({ path: '/v1/directives' })).body as Directives;
}

/** The phone held to a box of this terminal that does not reach its host: 200 points pay 2.00 of 50.00, or a coupon pays all. */
function tapAt(
  terminal: EnrolledTerminal,
  { phone }: MessagedPhone,
  shown: { readonly operation: 'spend' | 'coupon'; readonly points: number } = { operation: 'spend', points: 200 },
) {
  const send = (command: Bytes): Bytes => {
    const answer = phone.respond(command);
    if (!(answer instanceof Uint8Array)) throw new Error('the phone answers');
    return answer;
  };
  const transactionId = nativeIds.transactionId();
  const context = encodeContext({
    ...{ transactionId: transactionIdBytes(transactionId), terminal: hex(terminal.enrolment.terminalId.slice(2)) },
    ...{ ...shown, amountMinor: 5_000, currency: 'CNY' },
  });
  phone.entered();
  const asked = { key: 'member', terminalNonce: nativeRandom.bytes(16), context } as const;
  const selected = decodeSelectAnswer(send(selectCommand(nativeCrypto, merchantId)));
  const presented = decodePresentAnswer(send(presentCommand('member', asked.terminalNonce, context)));
  const signed = decodeSignAnswer(send(signCommand()));
  phone.left();
  if (!selected.ok || !presented.ok || !signed.ok) throw new Error('the phone presents and signs');
  const { proof } = presented.value;
  const transcript = transcriptOf(selected.value, presented.value, asked);
  const { memberKeyId } = selected.value;
  const judgedBy = (signer: string, nowMs: number) =>
    judgeSignedTap(nativeCrypto, signed.value, {
      ...{ signer: hex(signer), merchantId, memberKeyId, transcript, proof, use: 'hostHeld', nowMs },
    });
  const record = (proved: Bytes = proof, signature: Bytes | null = null) => ({
    ...{ kind: 'pointsSpend', transactionId, rulesVersion: 1, points: 200, coveredMinor: 200 },
    bill: { currency: 'CNY', totalMinor: 5_000, lines: [], catalogueVersion: null },
    credential: {
      ...{ method: 'tap', key: 'member', keyId: toHex(memberKeyId), counter: transcript.counter },
      ...{ terminalNonce: toHex(asked.terminalNonce), phoneNonce: toHex(transcript.phoneNonce) },
      proof: toHex(proved),
    },
    offline: { by: 'floor', coveredMinor: 200, ...(signature && { signature: toHex(signature) }) },
  });
  const coupon = (couponCode: string, proved: Bytes, by: Bytes) => {
    const { points: _, coveredMinor: _covered, rulesVersion: _rules, ...spend } = record(proved, by);
    const offline = { by: 'floor', coveredMinor: 5_000, signature: toHex(by) };
    return { ...spend, kind: 'couponDeduct', couponCode, partial: false, offline };
  };
  return { judgedBy, record, coupon, proof, signature: signed.value.signature };
}
async function tell(terminal: EnrolledTerminal, fields: Readonly<Record<string, unknown>>) {
  const body = { records: [terminal.envelope(fields)], newestSeen: [] };
  const answer = await terminal.ask({ path: '/v1/records', body });
  return (answer.body as { readonly answers: readonly Record<string, unknown>[] }).answers[0];
}

t.test('from the registration to the sync', async (t) => {
  const { host, held } = await shop(t);
  const terminal = await host.enrol();
  const credential = credentialOf(held);
  t.match(credential, { uses: 1, cardKeyId: null });
  t.equal((credential?.lastDay ?? 0) - (credential?.firstDay ?? 0), 31, '30 days where the merchant says nothing');
  const { credentialKey, offline } = await directivesOf(terminal);
  t.equal(offline.credentialOnly, false);
  if (credentialKey === null) throw new Error('boxes are given the key');
  const tap = tapAt(terminal, held);
  t.ok(tap.judgedBy(credentialKey, Date.now()).ok);
  t.match(tap.judgedBy(credentialKey, Date.now() + 31 * dayMs), { error: 'credential.outOfTime' });
  t.match(await tell(terminal, tap.record()), { outcome: 'accepted', coveredMinor: 200 }, 'verified again at the host');
  const changed = tapAt(terminal, held);
  const wrong = changed.record(nativeRandom.bytes(16));
  t.match(await tell(terminal, wrong), { outcome: 'refused', code: 'credential.wrongProof' });
  await host.run('policy.set', { credentialDays: 0 });
  t.equal((await directivesOf(terminal)).credentialKey, null, 'a merchant that gives none any more takes none at once');
  await host.run('policy.set', { credentialDays: 30 });
  t.equal((await directivesOf(terminal)).credentialKey, credentialKey, 'the same key, drawn once');
});

const earnOf = (points: number) => ({
  ...{
    kind: 'pointsEarn',
    transactionId: nativeIds.transactionId(),
    reference: null,
    rulesVersion: 1,
    points,
    typed: false,
  },
  bill: { currency: 'CNY', totalMinor: points * 100, lines: [], catalogueVersion: null },
  credential: { method: 'phoneNumber', number },
});
const memberOf = (host: TestHost) => host.run<MemberView>('member.show', { who: number });
async function alarmsOf(host: TestHost): Promise<readonly string[]> {
  return (await host.run<{ readonly rows: readonly { readonly code: string }[] }>('alarm.list', {})).rows.map(
    ({ code }) => code,
  );
}

t.test('a phone that signs for a worthless proof pays all the same, and is blocked', async (t) => {
  const { host, held } = await shop(t);
  const terminal = await host.enrol();
  await tell(terminal, earnOf(1_000));
  const before = (await memberOf(host)).points;
  t.equal(before, 1_000);
  held.phone.misbehave({ wrongKey: true });
  const [first, second, third] = [tapAt(terminal, held), tapAt(terminal, held), tapAt(terminal, held)];
  const wrong = { outcome: 'refused', code: 'credential.wrongProof' };
  t.match(await tell(terminal, first.record(first.proof)), wrong, 'without a signature nothing is settled');
  const other = first.record(first.proof, second.signature);
  t.match(
    await tell(terminal, { ...other, transactionId: nativeIds.transactionId() }),
    wrong,
    'nor by that of another tap',
  );
  t.equal((await memberOf(host)).points, before);
  t.match((await memberOf(host)).keys, [{ state: 'active' }]);
  t.match(await tell(terminal, second.record(second.proof, second.signature)), {
    outcome: 'accepted',
    coveredMinor: 200,
  });
  t.equal((await memberOf(host)).points, before - 200, 'settled against the member');
  t.match((await memberOf(host)).keys, [{ state: 'blocked' }]);
  t.ok((await alarmsOf(host)).includes('credential.wrongProof'));
  const { memberKeyId } = membershipIn(held);
  t.same((await directivesOf(terminal)).blocked, [memberKeyId], 'and boxes are told');
  t.match(
    await tell(terminal, third.record(third.proof, third.signature)),
    { outcome: 'accepted' },
    'what it took elsewhere',
  );
  t.match(await tell(terminal, tapAt(terminal, held).record()), { code: 'credential.blocked' });
  t.equal((await memberOf(host)).points, before - 400);
});

t.test('a counter that proves for two sales: the second is settled where the phone signed it', async (t) => {
  const { host, held } = await shop(t);
  const terminal = await host.enrol();
  await tell(terminal, earnOf(1_000));
  const before = held.memory.state;
  const tapAgain = () => {
    held.memory.save(before);
    return tapAt(terminal, held);
  };
  const [first, second, third] = [tapAgain(), tapAgain(), tapAgain()];
  t.match(await tell(terminal, first.record(first.proof, first.signature)), { outcome: 'accepted' });
  t.match((await memberOf(host)).keys, [{ state: 'active' }], 'an honest tap leads to nothing');
  const unsigned = second.record(second.proof);
  t.match(await tell(terminal, unsigned), { outcome: 'refused', code: 'credential.replayed' });
  t.match(await tell(terminal, third.record(third.proof, third.signature)), { outcome: 'accepted', coveredMinor: 200 });
  t.match(await memberOf(host), { points: 600, keys: [{ state: 'blocked' }] });
  t.ok((await alarmsOf(host)).includes('credential.replayed'));
  t.match(await host.run('verify', {}), { ledger: { problems: [] }, store: [] });
});

t.test('a life of one day costs one package a day', async (t) => {
  const { host, held } = await shop(t);
  await host.run('policy.set', { credentialDays: 1 });
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const { version } = await packageOf(host);
  for (let hour = 0; hour < 72; hour++) {
    host.turning.offsetMs += hourMs;
    await talk(host, held);
  }
  const days = (await packageOf(host)).version - version;
  t.ok(days >= 2 && days <= 4, `${days} packages in three days`);
  const today = dayOf(Date.now() + host.turning.offsetMs);
  t.ok((credentialOf(held)?.lastDay ?? 0) >= today, 'and the phone always has one');
});

t.test('where packages go out on command only, nothing goes out for a credential either', async (t) => {
  const host = await openTestHost(t, { refreshDelayMinutes: 0 });
  const held = newPhone(number);
  await host.run('member.register', { phone: number, name: '张三' });
  await talk(host, held);
  t.equal(await packageOf(host), null, 'at its registration');
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const { version } = await packageOf(host);
  host.turning.offsetMs += 29 * dayMs;
  await talk(host, held);
  t.match(await packageOf(host), { version, state: 'confirmed' }, 'at its renewal');
});

t.test('a coupon that is paid with a worthless proof under a good signature is paid', async (t) => {
  const { host, held } = await shop(t);
  const terminal = await host.enrol();
  const { code } = await host.run<{ code: string }>('coupon.issue', {
    ...{ holder: 'host', member: number, currency: 'CNY', amountMinor: 8_000 },
  });
  await talk(host, held);
  held.phone.misbehave({ wrongKey: true });
  const { coupon, proof, signature } = tapAt(terminal, held, { operation: 'coupon', points: 0 });
  t.match(await tell(terminal, coupon(code, proof, signature)), { outcome: 'accepted', coveredMinor: 5_000 });
  t.match(await host.run('coupon.show', { code }), { balanceMinor: 3_000 });
  t.match((await memberOf(host)).keys, [{ state: 'blocked' }]);
});

t.test('a phone that can sign gets its credential by itself; a clock that no day names signs nothing', async (t) => {
  const host = await openTestHost(t);
  await host.run('rules.set', {
    ...{ currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 1, spendPerPoints: 1, couponPartial: false },
  });
  const held = newPhone(number);
  await host.run('member.register', { phone: number, name: '张三' });
  await talk(host, held);
  const first = credentialOf(held);
  t.match(first, { uses: 1 }, 'without a coupon and without a command');
  for (const atMs of [3_600_000, 200 * 365.25 * dayMs]) {
    host.turning.offsetMs = atMs - Date.now();
    await host.run('member.refresh', { who: number });
    await talk(host, held);
    t.equal(credentialOf(held)?.lastDay, first?.lastDay, 'what the phone has stands');
  }
});

t.test('renewed when a third of its days is left, and only for a phone that is heard', async (t) => {
  const { host, held } = await shop(t);
  const first = credentialOf(held)?.lastDay ?? 0;
  const { version } = await packageOf(host);
  host.turning.offsetMs += 18 * dayMs;
  await talk(host, held);
  t.equal((await packageOf(host)).version, version, 'not before');
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  t.equal(credentialOf(held)?.lastDay, first, 'a package for another reason brings the same one');
  host.turning.offsetMs += 4 * dayMs;
  await talk(host, held);
  t.match(await packageOf(host), { version: version + 2, state: 'confirmed' });
  t.ok((credentialOf(held)?.lastDay ?? 0) >= first + 21);
  t.match(held.phone.show().memberships[0]?.credential, { uses: 1 });
  t.ok(membershipIn(held).formerCredential, 'what it had before');
  // The phone is off for good.
  host.turning.offsetMs += 22 * dayMs;
  await settle(host);
  for (let week = 0; week < 7; week++) {
    host.turning.offsetMs += 7 * dayMs;
    await settle(host);
  }
  const given = await packageOf(host);
  t.match(given, { version: version + 3, state: 'stalled', renewAtMs: given.renewAtMs });
  host.turning.offsetMs += 60 * dayMs;
  await settle(host);
  t.match(await packageOf(host), { version: version + 3, messages: given.messages }, 'it costs no more messages');
  await talk(host, held);
  host.turning.offsetMs += 2 * hourMs;
  await talk(host, held);
  t.match(await packageOf(host), { version: version + 4, state: 'confirmed' }, 'until it is heard again');
});

t.test('a shorter life is taken at the next package; a card is named where boxes can write it', async (t) => {
  const { host, held } = await shop(t);
  await host.run('policy.set', { credentialDays: 7, siteKeyOnBoxes: true });
  await host.run('coupon.issue', { holder: 'card', member: number, currency: 'CNY', amountMinor: 30_000 });
  await talk(host, held);
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  const credential = credentialOf(held);
  t.equal((credential?.lastDay ?? 0) - (credential?.firstDay ?? 0), 8);
  t.match([credential?.uses, toHex(credential?.cardKeyId ?? hex(''))], [3, membershipIn(held).card?.keyId]);
  await host.run('policy.set', { credentialDays: 0 });
  await host.run('member.refresh', { who: number });
  await talk(host, held);
  t.equal(membershipIn(held).credential, null);
});

t.test('a lost phone: named to boxes, and never renewed', async (t) => {
  const { host, held } = await shop(t);
  const terminal = await host.enrol();
  const { memberKeyId } = membershipIn(held);
  const { version } = await packageOf(host);
  await host.run('member.lost', { who: number });
  t.same((await directivesOf(terminal)).blocked, [memberKeyId]);
  const late = tapAt(terminal, held);
  t.match(
    await tell(terminal, { ...late.record(), atWallMs: Date.now() + dayMs }),
    { outcome: 'refused', code: 'credential.blocked' },
    'a box that had not heard of it tells its sale',
  );
  const finder = tapAt(terminal, held);
  t.match(
    await tell(terminal, { ...finder.record(finder.proof, finder.signature), atWallMs: Date.now() + dayMs }),
    { outcome: 'refused', code: 'credential.blocked' },
    'whoever has the phone signs with it: the member does not pay for that',
  );
  host.turning.offsetMs += 40 * dayMs;
  await settle(host);
  t.match(await packageOf(host), { version, renewAtMs: null });
});
