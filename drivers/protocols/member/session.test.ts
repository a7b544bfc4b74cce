// Shows that each step of a tap sends the bytes and takes the answers of an independent implementation (vectors/make.py), maps
// every status word to its code, and refuses answers cut at any length or with any bit flipped without ever throwing.
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, decodeUtf8, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { isErrorCode } from '../../../terminal/kernel/errors.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { applicationIdOf, statusWord } from './layout.js';
import { newSecureChannel } from './secure-messaging.js';
import {
  decodeDoneAnswer,
  decodePresentAnswer,
  decodeRecordsAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  encodeResult,
  grantFromHex,
  keyIdOf,
  mutualCommand,
  openSession,
  presentCommand,
  readRecordsCommand,
  resultCommand,
  selectCommand,
  signCommand,
  transcriptOf,
  writeSlotCommand,
} from './session.js';

type Tap = Readonly<
  Record<'context' | 'proof' | 'localProof' | 'terminalProof' | 'encryptionKey' | 'macKey' | 'confirm', string>
>;
type Step = Readonly<Record<'plainCommand' | 'command' | 'answer', string>>;
const vectors = JSON.parse(readFileSync(new URL('./vectors/member.json', import.meta.url), 'utf8')) as Record<
  string,
  string
> & {
  readonly debit: Tap;
  readonly spend: Readonly<Record<string, string>>;
  readonly steps: readonly [Step, Step, Step, Step];
};
const vector = (name: string): Bytes => hex(vectors[name] ?? '?');
const { debit, steps } = vectors;
const done = hex('9000');
const selectAnswer = concat(hex('0101'), vector('memberKeyId'), vector('cardKeyId'), vector('phoneNonce'), done);
const local = hex(debit.localProof);
const presentAnswer = concat(hex('00000002'), hex(debit.proof), local, done);
const asked = { key: 'card' as const, terminalNonce: vector('terminalNonce'), context: hex(debit.context) };

function flips(bytes: Bytes): readonly Bytes[] {
  return Array.from({ length: bytes.length * 8 }, (_, bit) => {
    const flipped = bytes.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return flipped;
  });
}

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

function openedSession() {
  const selected = value(decodeSelectAnswer(selectAnswer));
  const transcript = transcriptOf(selected, value(decodePresentAnswer(presentAnswer)), asked);
  const grant = grantFromHex(debit);
  return {
    transcript,
    grant,
    channel: value(openSession(nativeCrypto, grant, transcript, concat(hex(debit.confirm), done))),
  };
}

t.test('a whole tap, byte for byte', async (t) => {
  t.equal(toHex(selectCommand(nativeCrypto, vectors['merchantId'] ?? '')), vectors['selectCommand']);
  t.equal(toHex(applicationIdOf(nativeCrypto, vectors['merchantId'] ?? '')), vectors['applicationId']);
  const selected = value(decodeSelectAnswer(selectAnswer));
  t.equal(toHex(keyIdOf(selected, 'card') ?? hex('')), vectors['cardKeyId']);
  t.equal(
    toHex(presentCommand('card', asked.terminalNonce, asked.context)),
    `8010010038${vectors['terminalNonce']}${debit.context}24`,
  );
  t.same(value(decodePresentAnswer(presentAnswer)), { counter: 2, proof: hex(debit.proof), localProof: local });
  const { grant, channel } = openedSession();
  t.equal(toHex(mutualCommand(grant)), `8012000010${debit.terminalProof}10`);

  const read = readRecordsCommand(nativeCrypto, channel);
  t.equal(toHex(read.command), steps[0].command);
  const before = value(decodeRecordsAnswer(nativeCrypto, read.pending, hex(steps[0].answer)));
  t.same(before.slots.map(toHex), [vectors['record1'], '00'.repeat(96)]);

  const write = writeSlotCommand(nativeCrypto, before.channel, 1, vector('record2'));
  t.equal(toHex(write.command), steps[1].command);
  const written = value(decodeDoneAnswer(nativeCrypto, write.pending, hex(steps[1].answer)));

  const again = readRecordsCommand(nativeCrypto, written);
  t.equal(toHex(again.command), steps[2].command);
  const after = value(decodeRecordsAnswer(nativeCrypto, again.pending, hex(steps[2].answer)));
  t.same(after.slots.map(toHex), [vectors['record1'], vectors['record2']]);

  const text = vectors['resultText'] ?? '';
  const told = { outcome: 'accepted' as const, points: null, couponMinor: 20_000, currency: 'CNY', text };
  t.equal(toHex(encodeResult(told)), steps[3].plainCommand);
  const result = resultCommand(nativeCrypto, after.channel, told);
  t.equal(toHex(result.command), steps[3].command);
  t.equal(value(decodeDoneAnswer(nativeCrypto, result.pending, hex(steps[3].answer))).sequence, 4);
});

t.test('a phone without a card record has no card key', async (t) => {
  const answer = concat(hex('0100'), vector('memberKeyId'), new Uint8Array(8), vector('phoneNonce'), done);
  const selected = value(decodeSelectAnswer(answer));
  t.equal(selected.hasCardRecord, false);
  t.equal(keyIdOf(selected, 'card'), null);
  t.throws(
    () => transcriptOf(selected, { counter: 1, proof: hex(debit.proof), localProof: local }, asked),
    'asking for it anyway is a bug',
  );
});

t.test('every plain answer, cut at every length or with any bit flipped', async (t) => {
  const { grant, transcript } = openedSession();
  const readers: readonly (readonly [string, Bytes, (answer: Bytes) => { readonly ok: boolean }])[] = [
    ['select', selectAnswer, decodeSelectAnswer],
    ['present', presentAnswer, decodePresentAnswer],
    ['mutual', concat(hex(debit.confirm), done), (answer) => openSession(nativeCrypto, grant, transcript, answer)],
  ];
  for (const [name, answer, read] of readers) {
    for (let length = 0; length < answer.length; length++)
      t.notOk(read(answer.subarray(0, length)).ok, `${name} cut to ${length}`);
    t.notOk(read(concat(hex('00'), answer)).ok, `${name} with a byte more`);
    for (const flipped of flips(answer)) read(flipped);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (noise) => typeof read(noise).ok === 'boolean'));
  }
  for (const flipped of flips(hex(debit.confirm)))
    t.match(openSession(nativeCrypto, grant, transcript, concat(flipped, done)), {
      error: { code: 'credential.wrongProof' },
    });
  t.match(decodeSelectAnswer(concat(hex('02'), selectAnswer.subarray(1))), { error: { code: 'input.unsupported' } });
  t.match(decodePresentAnswer(concat(new Uint8Array(4), presentAnswer.subarray(4))), {
    error: { code: 'input.outOfRange' },
  });
});

t.test('every secure answer, cut at every length or with any bit flipped, ends the session', async (t) => {
  const { channel } = openedSession();
  const { pending } = readRecordsCommand(nativeCrypto, channel);
  const answer = hex(steps[0].answer);
  for (let length = 0; length < answer.length; length++)
    t.match(decodeRecordsAnswer(nativeCrypto, pending, answer.subarray(0, length)), {
      ok: false,
      error: { channel: null },
    });
  for (const flipped of flips(answer)) t.notOk(decodeRecordsAnswer(nativeCrypto, pending, flipped).ok);
  t.notOk(decodeRecordsAnswer(nativeCrypto, pending, hex(steps[2].answer)).ok, 'the answer of a later command');
});

t.test('status words', async (t) => {
  const codes: Readonly<Record<number, string>> = {
    26368: 'card.unreadable',
    27010: 'card.refusedTerminal',
    27011: 'credential.blocked',
    27013: 'card.unreadable',
    27016: 'card.exchangeForged',
    27264: 'card.unreadable',
    27266: 'card.noApplication',
    27267: 'card.absent',
    27270: 'card.unreadable',
    27272: 'card.absent',
    27904: 'card.unreadable',
    28160: 'card.unreadable',
  };
  const word = (status: number) => Uint8Array.of(status >> 8, status & 255);
  for (const status of Object.values(statusWord).filter((status) => status !== statusWord.done))
    t.match(
      decodePresentAnswer(word(status)),
      { error: { code: codes[status], status, channel: null } },
      status.toString(16),
    );
  const { channel } = openedSession();
  const { pending } = readRecordsCommand(nativeCrypto, channel);
  for (let status = 0; status <= 0xffff; status += 7) {
    const plain = decodePresentAnswer(word(status));
    t.notOk(plain.ok || !isErrorCode(plain.error.code));
    const secure = decodeDoneAnswer(nativeCrypto, pending, word(status));
    t.notOk(secure.ok || secure.error.channel, 'a bare status word is nobody’s word');
  }
});

t.test('what is told to the member', async (t) => {
  const told = { outcome: 'refused' as const, points: 0, couponMinor: null, currency: null, text: '' };
  t.equal(toHex(encodeResult(told)), `01${'00'.repeat(6)}${'ff'.repeat(6)}00000000`, 'zero and unknown differ');
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }), (text) => {
      const encoded = encodeResult({ ...told, text });
      const shown = decodeUtf8(encoded.subarray(17));
      return encoded[16] === encoded.length - 17 && encoded.length <= 65 && shown.ok && text.startsWith(shown.value);
    }),
  );
  t.throws(() => encodeResult({ ...told, points: 1e12 }), 'a balance out of range is a bug');
  t.throws(() => writeSlotCommand(nativeCrypto, newSecureChannel(grantFromHex(debit).keys), 0, new Uint8Array(95)));
});

t.test('SIGN: credential and signature, or that there is none', async (t) => {
  t.equal(toHex(signCommand()), '8014000000');
  const signature = hex(vectors.spend['signature'] ?? '?');
  const answer = concat(vector('credential'), signature, done);
  t.same(decodeSignAnswer(answer), { ok: true, value: { credential: vector('credential'), signature } });
  for (let length = 0; length < answer.length; length++)
    t.notOk(decodeSignAnswer(answer.subarray(0, length)).ok, `cut to ${length}`);
  t.match(decodeSignAnswer(concat(hex('00'), answer)), { error: { code: 'input.tooLong' } });
  t.ok(answer.length - 2 <= 256, 'a short answer holds it');
  for (const word of ['6a88', '6d00']) t.match(decodeSignAnswer(hex(word)), { error: { code: 'credential.missing' } });
  t.match(decodeSignAnswer(hex('6985')), { error: { code: 'card.unreadable' } });
  t.match(decodeSignAnswer(hex('6e00')), { error: { code: 'card.unreadable' } });
});
