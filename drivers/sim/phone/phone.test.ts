// Shows that the simulated phone, written from the document, and the terminal's session, written apart from it, speak the same
// bytes (those of vectors/make.py too); that the phone keeps the document's order and status words; and that it misbehaves
// as told: torn at each byte of a write, before and after each command, with a wrong key, with a replayed exchange.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { currentSlot, verifyCardRecord } from '../../protocols/member/card-record.js';
import { grantSession, verifyPhoneProof } from '../../protocols/member/proof.js';
import {
  decodeDoneAnswer,
  decodePresentAnswer,
  decodeRecordsAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  mutualCommand,
  openSession,
  presentCommand,
  readRecordsCommand,
  resultCommand,
  selectCommand,
  signCommand,
  transcriptOf,
  writeSlotCommand,
} from '../../protocols/member/session.js';
import { type PhoneEvent, phoneAtr, SimulatedPhone } from './phone.js';
import {
  FileMemory,
  type Membership,
  newMembership,
  newPhoneState,
  type PhoneState,
  useCounterMax,
  VolatileMemory,
  withMembership,
} from './phone-state.js';

type Step = Readonly<Record<'command' | 'answer', string>>;
const vectors = JSON.parse(
  readFileSync(new URL('../../protocols/member/vectors/member.json', import.meta.url), 'utf8'),
) as Record<string, string> & {
  readonly debit: Readonly<Record<string, string>>;
  readonly earn: Readonly<Record<string, string>>;
  readonly spend: Readonly<Record<string, string>>;
  readonly steps: readonly [Step, Step, Step, Step];
};
const text = (name: string): string => vectors[name] ?? '?';
const vector = (name: string): Bytes => hex(text(name));
const cardKey = vector('cardKey');
const recordKey = vector('recordKey');
const context = hex(vectors.debit['context'] ?? '');
const terminalNonce = vector('terminalNonce');
const told = {
  outcome: 'accepted' as const,
  points: null,
  couponMinor: 20_000,
  currency: 'CNY',
  text: text('resultText'),
};

const select = selectCommand(nativeCrypto, text('merchantId'));
const phoneOf = (...memberships: readonly Membership[]): PhoneState =>
  memberships.reduce(withMembership, newPhoneState('13800138000'));
const member = newMembership({
  merchantId: text('merchantId'),
  merchantPublicKey: text('merchantPublic'),
  token: text('token'),
  answer: text('keyMessage'),
  memberKeyId: text('memberKeyId'),
  memberKey: text('memberKey'),
});
const memberWithCard: Membership = {
  ...member,
  useCounter: 1,
  card: { keyId: text('cardKeyId'), key: text('cardKey'), slots: [text('record1'), '00'.repeat(96)] },
};
const memberOnly = phoneOf(member);
const withCard = phoneOf(memberWithCard);

function phoneWith(state: PhoneState) {
  const memory = new VolatileMemory(state);
  const events: PhoneEvent[] = [];
  const chance = { bytes: () => vector('phoneNonce') };
  const phone = new SimulatedPhone({ memory, chance, onEvent: (event) => events.push(event) });
  phone.entered();
  const send = (command: Bytes): Bytes => {
    const answer = phone.respond(command);
    if (answer === 'tear') throw new Error('torn');
    if (answer instanceof Promise) throw new Error('held');
    return answer;
  };
  return { phone, memory, events, send, membership: (at = 0) => memory.state.memberships[at] };
}

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

/** SELECT, PRESENT and MUTUAL with the card key, by the terminal's own code. */
function open(send: (command: Bytes) => Bytes) {
  const selected = value(decodeSelectAnswer(send(select)));
  const presented = value(decodePresentAnswer(send(presentCommand('card', terminalNonce, context))));
  const transcript = transcriptOf(selected, presented, { key: 'card', terminalNonce, context });
  const grant = grantSession(nativeCrypto, cardKey, transcript);
  return {
    presented,
    transcript,
    channel: value(openSession(nativeCrypto, grant, transcript, send(mutualCommand(grant)))),
  };
}

t.test('a whole tap has the bytes of the vectors on both sides', async (t) => {
  const { send, membership, events } = phoneWith(withCard);
  const log: string[] = [];
  const spied = (command: Bytes): Bytes => {
    const answer = send(command);
    log.push(toHex(command), toHex(answer));
    return answer;
  };
  const { channel, presented, transcript } = open(spied);
  t.equal(presented.counter, 2);
  t.ok(verifyPhoneProof(nativeCrypto, cardKey, transcript, presented.proof));
  const read = readRecordsCommand(nativeCrypto, channel);
  const before = value(decodeRecordsAnswer(nativeCrypto, read.pending, spied(read.command)));
  const write = writeSlotCommand(nativeCrypto, before.channel, 1, vector('record2'));
  const written = value(decodeDoneAnswer(nativeCrypto, write.pending, spied(write.command)));
  const again = readRecordsCommand(nativeCrypto, written);
  const after = value(decodeRecordsAnswer(nativeCrypto, again.pending, spied(again.command)));
  t.same(after.slots.map(toHex), [text('record1'), text('record2')]);
  const result = resultCommand(nativeCrypto, after.channel, told);
  value(decodeDoneAnswer(nativeCrypto, result.pending, spied(result.command)));
  t.same(
    log.slice(6),
    vectors.steps.flatMap(({ command, answer }) => [command, answer]),
  );
  t.equal(log[3], `00000002${vectors.debit['proof']}${vectors.debit['localProof']}9000`);
  t.equal(log[5], `${vectors.debit['confirm']}9000`);
  t.same(membership()?.results, [told]);
  t.same(events.at(-1), { event: 'result', merchantId: text('merchantId'), result: told });
  t.equal(events.filter(({ event }) => event === 'command').length, 7);
});

/** A second merchant's membership, with a card and keys of its own. */
const otherMember: Membership = {
  ...newMembership({
    ...{ merchantId: 'M1002', merchantPublicKey: text('merchantPublic'), token: '0'.repeat(16), answer: '' },
    ...{ memberKeyId: 'd0'.repeat(8), memberKey: 'd1'.repeat(16) },
  }),
  card: { keyId: 'd2'.repeat(8), key: 'd3'.repeat(16), slots: ['d4'.repeat(96), '00'.repeat(96)] },
};
/** And a third's, without a card. */
const thirdMember = newMembership({
  ...otherMember,
  merchantId: 'M1003',
  memberKeyId: 'f0'.repeat(8),
  memberKey: 'f1'.repeat(16),
});
const selectOf = (merchantId: string): Bytes => selectCommand(nativeCrypto, merchantId);

t.test('each merchant selects its own membership and no other', async (t) => {
  const merchants = [memberWithCard, otherMember, thirdMember];
  const { send, phone, membership } = phoneWith(phoneOf(...merchants));
  for (const { merchantId, memberKeyId, card } of merchants) {
    const selected = value(decodeSelectAnswer(send(selectOf(merchantId))));
    t.equal(toHex(selected.memberKeyId), memberKeyId, merchantId);
    t.equal(selected.cardKeyId ? toHex(selected.cardKeyId) : undefined, card?.keyId);
  }
  for (const stranger of ['M1004', 'M100', 'm1001', 'A'.repeat(16)])
    t.equal(toHex(send(selectOf(stranger))), '6a82', stranger);
  t.equal(toHex(send(presentCommand('member', terminalNonce, context))), '6985', 'a stranger leaves nothing selected');

  // Three taps at the first, one at the second: each counts its own.
  const present = presentCommand('member', terminalNonce, context);
  for (const merchantId of ['M1001', 'M1001', 'M1002', 'M1001']) {
    send(selectOf(merchantId));
    t.ok(decodePresentAnswer(send(present)).ok);
  }
  t.same(
    [0, 1, 2].map((at) => membership(at)?.useCounter),
    [4, 1, 0],
    'no counter tells of taps elsewhere',
  );
  send(selectOf('M1003'));
  t.equal(toHex(send(presentCommand('card', terminalNonce, context))), '6a88', 'a card elsewhere is no card here');

  phone.choose('M1002');
  t.equal(toHex(send(selectOf('M1001'))), '6a82', 'its owner holds out another');
  t.ok(decodeSelectAnswer(send(selectOf('M1002'))).ok);
  phone.choose(null);
  t.ok(decodeSelectAnswer(send(selectOf('M1001'))).ok);
  t.throws(() => phone.choose('M1004'), /no membership of M1004/);
});

t.test('keys, records and results of one membership are not those of another', async (t) => {
  const { send, membership } = phoneWith(phoneOf(otherMember, memberWithCard, thirdMember));
  const others = JSON.stringify([membership(0), membership(2)]);
  send(selectOf('M1002'));
  const { channel } = open(send);
  const foreign = writeSlotCommand(nativeCrypto, channel, 1, hex(`01${'d2'.repeat(8)}${'00'.repeat(87)}`));
  const refused = decodeDoneAnswer(nativeCrypto, foreign.pending, send(foreign.command));
  t.match(refused, { error: { status: 0x6a80 } }, 'a record of the card of another membership');
  if (refused.ok || refused.error.channel === null) throw new Error('the session goes on');
  const write = writeSlotCommand(nativeCrypto, refused.error.channel, 1, vector('record2'));
  const written = value(decodeDoneAnswer(nativeCrypto, write.pending, send(write.command)));
  const read = readRecordsCommand(nativeCrypto, written);
  const { slots, channel: after } = value(decodeRecordsAnswer(nativeCrypto, read.pending, send(read.command)));
  t.same(slots.map(toHex), [text('record1'), text('record2')]);
  const result = resultCommand(nativeCrypto, after, told);
  value(decodeDoneAnswer(nativeCrypto, result.pending, send(result.command)));
  t.match(membership(1), { useCounter: 2, results: [told], card: { slots: [text('record1'), text('record2')] } });
  t.equal(JSON.stringify([membership(0), membership(2)]), others, 'the others are as they were');

  // What proves for one membership opens no session of another: the key is another, and so is the key id in the transcript.
  send(selectOf('M1002'));
  const selected = value(decodeSelectAnswer(send(selectOf('M1002'))));
  const presented = value(decodePresentAnswer(send(presentCommand('card', terminalNonce, context))));
  const transcript = transcriptOf(selected, presented, { key: 'card', terminalNonce, context });
  t.notOk(verifyPhoneProof(nativeCrypto, cardKey, transcript, presented.proof));
  t.equal(toHex(send(mutualCommand(grantSession(nativeCrypto, cardKey, transcript)))), '6982');
  // A session ends where another membership is selected.
  open(send);
  t.ok(decodeSelectAnswer(send(selectOf('M1002'))).ok);
  t.equal(toHex(send(hex('8420000000'))), '6982');
});

t.test('ATR', async (t) => {
  t.same(phoneAtr.subarray(0, 4), hex('3b868001'));
  t.equal(
    phoneAtr.subarray(1).reduce((check, byte) => check ^ byte, 0),
    0,
    'the check byte (ISO/IEC 7816-3 §8.2.5)',
  );
});

t.test('order and status words', async (t) => {
  const { send, phone, membership } = phoneWith(withCard);
  const status = (command: Bytes | string): string =>
    toHex(send(typeof command === 'string' ? hex(command) : command)).slice(-4);
  const present = presentCommand('member', terminalNonce, context);
  t.equal(status(present), '6985', 'PRESENT before SELECT');
  t.equal(status(select), '9000');
  t.equal(status(`8012000010${'00'.repeat(16)}10`), '6985', 'MUTUAL before PRESENT');
  t.equal(status(present), '9000');
  t.equal(status(present), '6985', 'a nonce serves one PRESENT');
  t.equal(status(select), '9000');
  t.equal(status(present), '9000');
  t.equal(status(`8012000010${'00'.repeat(16)}10`), '6982', 'a wrong terminal proof');
  t.equal(status(`8012000010${'00'.repeat(16)}10`), '6985', 'one try for each PRESENT');
  t.equal(status('8420000000'), '6982', 'secure messaging without a session');
  t.equal(status('8410000000'), '6982');
  t.equal(status('80100000'), '6700');
  t.equal(status('801000000102'), '6700');
  t.equal(status('8010000005'), '6700', 'lengths that do not add up');
  t.equal(status('8010'), '6700');
  t.equal(status(concat(hex('80100200'), present.subarray(4))), '6a86');
  t.equal(status('8099000000'), '6d00');
  t.equal(status('00b0000000'), '6d00');
  t.equal(status('ffca000000'), '6e00');
  t.equal(status('00a4040007a000000476d00001'), '6a82', 'another application');
  t.equal(status(present), '6985', 'and this one is left');
  t.equal(status('00a4020010f053484f554c49016ada5aabf979b83a'), '6a86');
  t.equal(toHex(select), text('selectCommand'));
  for (let length = 1; length < 16; length++) {
    const partial = concat(hex('00a40400'), Uint8Array.of(length), select.subarray(5, 5 + length), hex('00'));
    t.equal(status(partial), '6a82', `the first ${length} bytes of the identifier`);
  }
  t.equal(status(concat(hex('00a4040011'), select.subarray(5, 21), hex('0000'))), '6a82', 'a byte more');
  for (let bit = 0; bit < 128; bit++) {
    const other = select.slice();
    other[5 + (bit >> 3)] = (other[5 + (bit >> 3)] ?? 0) ^ (1 << (bit & 7));
    t.equal(status(other), '6a82', `bit ${bit} of the identifier`);
  }
  for (let length = 4; length < select.length - 1; length++)
    t.not(status(select.subarray(0, length)), '9000', `cut to ${length}`);
  t.equal(status(select), '9000');
  phone.powerLost();
  t.equal(status(present), '6985', 'a lost field forgets the nonce');
  t.equal(membership()?.useCounter, 3, 'only a PRESENT that was answered raises the counter');
});

t.test('phones that lack something', async (t) => {
  const status = (state: PhoneState, ...commands: readonly Bytes[]): string => {
    const { send } = phoneWith(state);
    return commands.map((command) => toHex(send(command)).slice(-4)).at(-1) ?? '';
  };
  const byMember = presentCommand('member', terminalNonce, context);
  t.equal(status(newPhoneState('13800138000'), select), '6a82', 'not registered');
  t.equal(status(memberOnly, select, presentCommand('card', terminalNonce, context)), '6a88');
  t.equal(status(phoneOf({ ...member, useCounter: useCounterMax }), select, byMember), '6983');
  const { send } = phoneWith(memberOnly);
  const selected = value(decodeSelectAnswer(send(select)));
  const presented = value(decodePresentAnswer(send(byMember)));
  const transcript = transcriptOf(selected, presented, { key: 'member', terminalNonce, context });
  const grant = grantSession(nativeCrypto, vector('memberKey'), transcript);
  const channel = value(openSession(nativeCrypto, grant, transcript, send(mutualCommand(grant))));
  const read = readRecordsCommand(nativeCrypto, channel);
  const refused = decodeRecordsAnswer(nativeCrypto, read.pending, send(read.command));
  t.match(refused, { error: { code: 'card.absent', status: 0x6a83 } });
  if (refused.ok || refused.error.channel === null) throw new Error('the session goes on');
  const result = resultCommand(nativeCrypto, refused.error.channel, { ...told, outcome: 'refused' });
  t.ok(decodeDoneAnswer(nativeCrypto, result.pending, send(result.command)).ok, 'and still carries a result');
});

t.test('a forged secure command ends the session and changes nothing', async (t) => {
  const { send, membership } = phoneWith(withCard);
  const { channel } = open(send);
  const write = writeSlotCommand(nativeCrypto, channel, 1, vector('record2'));
  const forged = write.command.slice();
  forged[40] = (forged[40] ?? 0) ^ 1;
  t.match(decodeDoneAnswer(nativeCrypto, write.pending, send(forged)), {
    error: { code: 'card.exchangeForged', channel: null },
  });
  t.equal(toHex(send(write.command)), '6982', 'the good one comes too late');
  t.same(membership()?.card?.slots, memberWithCard.card?.slots);
});

t.test('a record of another card is refused in the session, and the slot is not touched', async (t) => {
  const { send, membership } = phoneWith(withCard);
  const { channel } = open(send);
  const foreign = vector('record2').slice();
  foreign[1] = 0;
  const write = writeSlotCommand(nativeCrypto, channel, 1, foreign);
  const answer = decodeDoneAnswer(nativeCrypto, write.pending, send(write.command));
  t.match(answer, { error: { code: 'card.unreadable', status: 0x6a80 } });
  t.ok(!answer.ok && answer.error.channel, 'the session goes on');
  t.same(membership()?.card?.slots, memberWithCard.card?.slots);
});

t.test('torn at every byte of a write', async (t) => {
  const isWhole = (slot: Bytes) => verifyCardRecord(nativeCrypto, recordKey, vector('cardKeyId'), slot);
  for (let bytes = 0; bytes <= 96; bytes++) {
    const { send, phone, membership } = phoneWith(withCard);
    const { channel } = open(send);
    phone.tearAt({ at: 'writeSlot', moment: 'before', bytes });
    const write = writeSlotCommand(nativeCrypto, channel, 1, vector('record2'));
    t.equal(phone.respond(write.command), 'tear');
    phone.left();
    const [slot0 = '', slot1 = ''] = membership()?.card?.slots ?? [];
    t.equal(slot0, text('record1'), 'the other slot is as it was');
    t.equal(slot1, text('record2').slice(0, 2 * bytes) + '00'.repeat(96 - bytes));
    t.equal(
      currentSlot([hex(slot0), hex(slot1)], isWhole)?.record.balanceMinor,
      bytes === 96 ? 20_000 : 30_000,
      `${bytes} bytes`,
    );
  }
});

t.test('torn before and after each command of a tap', async (t) => {
  for (const moment of ['before', 'after'] as const) {
    for (let at = 1; at <= 3; at++) {
      const { send, phone, membership } = phoneWith(withCard);
      phone.tearAt({ at, moment, bytes: null });
      t.throws(() => open(send), 'torn');
      const acted = at > 2 || (at === 2 && moment === 'after');
      t.equal(membership()?.useCounter, acted ? 2 : 1, `${moment} command ${at}`);
      phone.left();
      phone.entered();
      t.ok(open(send), 'and the next tap is a good one: it happens once');
    }
    const { send, phone, membership } = phoneWith(withCard);
    const { channel } = open(send);
    phone.tearAt({ at: 'writeSlot', moment, bytes: null });
    t.equal(phone.respond(writeSlotCommand(nativeCrypto, channel, 1, vector('record2')).command), 'tear');
    t.equal(membership()?.card?.slots[1], moment === 'after' ? text('record2') : '00'.repeat(96));
  }
});

t.test('a wrong key, and a replayed exchange', async (t) => {
  const { send, phone, membership } = phoneWith(withCard);
  phone.misbehave({ wrongKey: true });
  const selected = value(decodeSelectAnswer(send(select)));
  const presented = value(decodePresentAnswer(send(presentCommand('card', terminalNonce, context))));
  const transcript = transcriptOf(selected, presented, { key: 'card', terminalNonce, context });
  t.notOk(verifyPhoneProof(nativeCrypto, cardKey, transcript, presented.proof));
  phone.misbehave({ wrongKey: false });
  const first = open(send);
  phone.misbehave({ replay: true });
  const otherNonce = new Uint8Array(16).fill(9);
  value(decodeSelectAnswer(send(select)));
  const replayed = value(decodePresentAnswer(send(presentCommand('card', otherNonce, context))));
  t.same([replayed.counter, replayed.proof], [first.presented.counter, first.presented.proof]);
  t.notOk(verifyPhoneProof(nativeCrypto, cardKey, { ...first.transcript, terminalNonce: otherNonce }, replayed.proof));
  t.equal(membership()?.useCounter, 3);
});

t.test('an answer with too much, and one that would be fetched in a chain', async (t) => {
  const { send, phone } = phoneWith(withCard);
  const present = presentCommand('member', terminalNonce, context);
  phone.misbehave({ oversized: true });
  value(decodeSelectAnswer(send(select)));
  const long = send(present);
  t.ok(long.length > 258, 'more than a short answer holds');
  t.notOk(decodePresentAnswer(long).ok);
  phone.misbehave({ oversized: false, chained: true });
  value(decodeSelectAnswer(send(select)));
  const first = send(present);
  t.match(toHex(first), /^61..$/);
  t.notOk(decodePresentAnswer(first).ok);
  const rest = send(Uint8Array.of(0x00, 0xc0, 0x00, 0x00, first[1] ?? 0));
  t.equal(rest.length - 2, first[1], 'as long as it said');
  t.ok(decodePresentAnswer(rest).ok);
  t.equal(toHex(send(Uint8Array.of(0x00, 0xc0, 0x00, 0x00, 0x00))), '6d00', 'given once');
});

t.test('held commands are not acted on before their release', async (t) => {
  const { phone, membership, send } = phoneWith(withCard);
  send(select);
  phone.hold();
  const answer = phone.respond(presentCommand('member', terminalNonce, context));
  t.ok(answer instanceof Promise);
  t.equal(membership()?.useCounter, 1);
  phone.release();
  t.ok((await answer).length > 2);
  t.equal(membership()?.useCounter, 2);
});

t.test('noise never throws and never changes the phone', async (t) => {
  const { phone, memory } = phoneWith(withCard);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => phone.respond(noise) !== 'tear'));
  t.same(memory.state, withCard);
});

t.test('the memory file', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'phone-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 'phone.json');
  const memory = FileMemory.create(path, withCard);
  t.throws(() => FileMemory.create(path, withCard), 'a phone is not written over');
  t.equal(statSync(path).mode & 0o777, 0o600);
  const phone = new SimulatedPhone({ memory });
  phone.respond(select);
  phone.respond(presentCommand('member', terminalNonce, context));
  t.equal(
    FileMemory.open(path).state.memberships[0]?.useCounter,
    2,
    'the counter is in the file when the answer is there',
  );
  t.same(FileMemory.open(path).state, memory.state);
  t.notMatch(JSON.stringify(phone.show()), new RegExp(`${text('memberKey')}|${text('cardKey')}`), 'no key is shown');
  t.throws(() => FileMemory.open(new URL(import.meta.url).pathname));
  const former = join(folder, 'former.json');
  writeFileSync(former, JSON.stringify({ version: 1, number: '13800138000', registration: null }));
  t.throws(() => FileMemory.open(former), /one membership only; make the phone anew/);
  writeFileSync(former, JSON.stringify({ ...withCard, memberships: [member, member] }));
  t.throws(() => FileMemory.open(former), /not a phone's state \(memberships\)/, 'a merchant twice');
});

t.test('SIGN: the vectors’ signature behind PRESENT, in no other state, and only with a credential', async (t) => {
  const able: Membership = {
    ...memberWithCard,
    ...{ useCounter: 2, signingKey: text('phonePrivate'), credential: text('credential') },
  };
  const { send, membership, phone } = phoneWith(phoneOf(able));
  const status = (command: Bytes): string => toHex(send(command).slice(-2));
  const present = presentCommand('member', terminalNonce, hex(vectors.spend['context'] ?? '?'));
  t.equal(status(signCommand()), '6985', 'idle');
  send(select);
  t.equal(status(signCommand()), '6985', 'selected');
  const presented = value(decodePresentAnswer(send(present)));
  t.equal(toHex(presented.proof), vectors.spend['proof']);
  for (const [command, word] of Object.entries({ '8014010000': '6a86', '8014000100': '6a86', '801400000100': '6700' }))
    t.equal(status(hex(command)), word);
  for (const again of [1, 2]) {
    const signed = value(decodeSignAnswer(send(signCommand())));
    t.equal(toHex(signed.credential), text('credential'));
    t.equal(toHex(signed.signature), vectors.spend['signature'], `the same tap, asked ${again} times`);
  }
  t.equal(membership()?.useCounter, 3, 'it costs no use of the counter');
  t.match(phone.show().memberships[0]?.credential, {
    ...{ firstDay: '2026-11-27', lastDay: '2026-12-28', uses: 3, cardKeyId: text('cardKeyId') },
  });
  t.notMatch(JSON.stringify(phone.show()), text('phonePrivate'));
  const other = phoneWith(phoneOf({ ...able, credential: null }));
  other.send(select);
  other.send(present);
  t.equal(toHex(other.send(signCommand())), '6a88');
  const secure = phoneWith(phoneOf(able));
  open(secure.send);
  t.equal(toHex(secure.send(signCommand())), '6985', 'in a session');
});
