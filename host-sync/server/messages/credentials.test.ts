/**
 * Shows a credential's way on a whole host: the phone's key comes with its registration, the credential with a content package, the key
 * to verify it with a terminal's directives; a spend that a box decided by it is verified again at the sync; it is renewed before its
 * end, and a lost phone gets none any more.
 */
import t from 'tap';
import { decodeCredential, judgeSignedTap } from '../../../drivers/protocols/member/credential.js';
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
import type { EnrolledTerminal } from '../sim/enrolled-terminal.js';
import { type MessagedPhone, newPhone, settle, talk } from '../sim/messaged-phone.js';
import { openTestHost, type TestHost } from '../sim/running-host.js';
import type { PackageView } from './refresh.js';

t.setTimeout(180_000);
const number = '13800000001';
const dayMs = 86_400_000;
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

/** The phone held to a box of this terminal that does not reach its host: 200 points pay 2.00 of 50.00. */
function tapAt(terminal: EnrolledTerminal, { phone }: MessagedPhone) {
  const send = (command: Bytes): Bytes => {
    const answer = phone.respond(command);
    if (!(answer instanceof Uint8Array)) throw new Error('the phone answers');
    return answer;
  };
  const transactionId = nativeIds.transactionId();
  const context = encodeContext({
    ...{ transactionId: transactionIdBytes(transactionId), terminal: hex(terminal.enrolment.terminalId.slice(2)) },
    ...{ operation: 'spend', amountMinor: 5_000, currency: 'CNY', points: 200 },
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
  const record = (proved: Bytes = proof) => ({
    ...{ kind: 'pointsSpend', transactionId, rulesVersion: 1, points: 200, coveredMinor: 200 },
    bill: { currency: 'CNY', totalMinor: 5_000, lines: [], catalogueVersion: null },
    credential: {
      ...{ method: 'tap', key: 'member', keyId: toHex(memberKeyId), counter: transcript.counter },
      ...{ terminalNonce: toHex(asked.terminalNonce), phoneNonce: toHex(transcript.phoneNonce) },
      proof: toHex(proved),
    },
    offline: { by: 'floor', coveredMinor: 200 },
  });
  return { judgedBy, record };
}
async function tell(terminal: EnrolledTerminal, fields: Readonly<Record<string, unknown>>) {
  const body = { records: [terminal.envelope(fields)], newestSeen: null };
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
  host.turning.offsetMs += 40 * dayMs;
  await settle(host);
  t.match(await packageOf(host), { version, renewAtMs: null });
});
