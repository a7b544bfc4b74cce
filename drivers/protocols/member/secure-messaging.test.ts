// Shows that a secure session carries any data both ways, that no command or answer with a flipped bit, cut, repeated, out of
// order or of the other direction is taken, that no initial vector comes twice, and that the MAC is judged before decryption.
// The answering side here is the simulated phone's own code, which shares nothing with the terminal's.
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { openCommand, type PhoneSession, sealAnswer } from '../../sim/phone/phone-crypto.js';
import { secureMessagesMax } from './layout.js';
import { hasRoom, newSecureChannel, openAnswer, sealCommand } from './secure-messaging.js';

const keys = {
  encryptionKey: hex('00112233445566778899aabbccddeeff'),
  macKey: hex('0f0e0d0c0b0a09080706050403020100'),
};
const phoneSession = (next: number): PhoneSession => ({ encryption: keys.encryptionKey, mac: keys.macKey, next });
const command = { ins: 0x30, p1: 1, p2: 0, data: hex('c0ffee') };
const flip = (bytes: Bytes, bit: number): Bytes => {
  const flipped = bytes.slice();
  flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return flipped;
};
const readByPhone = (next: number, sealed: Bytes) =>
  openCommand(phoneSession(next), sealed.subarray(0, 4), sealed.subarray(5, -1));

t.test('any data, both ways, message after message', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 200 }), fc.uint8Array({ maxLength: 200 })), {
        minLength: 1,
        maxLength: 6,
      }),
      fc.integer({ min: 0x6000, max: 0x9fff }),
      (messages, status) => {
        let channel = newSecureChannel(keys);
        for (const [index, [asked, answered]] of messages.entries()) {
          const sealed = sealCommand(nativeCrypto, channel, { ...command, data: asked });
          if (toHex(readByPhone(index, sealed.command) ?? hex('ff')) !== toHex(asked)) return false;
          const opened = openAnswer(nativeCrypto, sealed.pending, sealAnswer(phoneSession(index), status, answered));
          if (!opened.ok || toHex(opened.value.data) !== toHex(answered) || opened.value.status !== status)
            return false;
          channel = opened.value.channel;
        }
        return channel.sequence === messages.length;
      },
    ),
    { numRuns: 60 },
  );
});

t.test('no changed answer is taken', async (t) => {
  const { pending } = sealCommand(nativeCrypto, newSecureChannel(keys), command);
  const good = sealAnswer(phoneSession(0), 0x9000, hex('0102030405'));
  t.ok(openAnswer(nativeCrypto, pending, good).ok);
  for (let bit = 0; bit < good.length * 8; bit++)
    t.match(
      openAnswer(nativeCrypto, pending, flip(good, bit)),
      { error: { code: 'card.exchangeForged' } },
      `bit ${bit}`,
    );
  for (let length = 0; length < good.length; length++)
    t.notOk(openAnswer(nativeCrypto, pending, good.subarray(0, length)).ok, `cut to ${length}`);
  t.match(openAnswer(nativeCrypto, pending, hex('')), { error: { code: 'input.truncated', status: null } });
  t.match(openAnswer(nativeCrypto, pending, hex('6988')), { error: { code: 'card.exchangeForged', status: 0x6988 } });
  t.match(openAnswer(nativeCrypto, pending, new Uint8Array(70_000)), { error: { code: 'input.tooLong' } });
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => !openAnswer(nativeCrypto, pending, noise).ok));
});

t.test('no changed command is taken by the phone', async (t) => {
  const { command: good } = sealCommand(nativeCrypto, newSecureChannel(keys), command);
  t.ok(readByPhone(0, good));
  for (let bit = 0; bit < (good.length - 1) * 8; bit++) {
    if (bit >> 3 === 4) continue; // the length byte is the parser's business
    t.equal(readByPhone(0, flip(good, bit)), null, `bit ${bit}`);
  }
});

t.test('no repeated, reordered or reflected message is taken', async (t) => {
  const zero = sealCommand(nativeCrypto, newSecureChannel(keys), command);
  const answerZero = sealAnswer(phoneSession(0), 0x9000, hex('00'));
  const opened = openAnswer(nativeCrypto, zero.pending, answerZero);
  if (!opened.ok) throw new Error('the first answer is good');
  const one = sealCommand(nativeCrypto, opened.value.channel, command);
  t.notOk(openAnswer(nativeCrypto, one.pending, answerZero).ok, 'the answer before again');
  t.notOk(
    openAnswer(nativeCrypto, zero.pending, sealAnswer(phoneSession(1), 0x9000, hex('00'))).ok,
    'the answer after',
  );
  t.equal(readByPhone(1, zero.command), null, 'the command before again');
  t.equal(readByPhone(0, one.command), null, 'the command after');
  const reflected = new Uint8Array([...zero.command.subarray(5, -1), 0x90, 0x00]);
  t.notOk(openAnswer(nativeCrypto, zero.pending, reflected).ok, 'a command as its own answer');
  t.not(toHex(one.command), toHex(zero.command), 'the same command twice does not look the same');
});

t.test('initial vectors differ by number and direction, and decryption waits for the MAC', async (t) => {
  const vectors: string[] = [];
  const decryptions: string[] = [];
  const spying = {
    ...nativeCrypto,
    aesCbcEncrypt: (key: Bytes, iv: Bytes, data: Bytes) => {
      if (toHex(iv) !== '00'.repeat(16)) vectors.push(toHex(iv));
      return nativeCrypto.aesCbcEncrypt(key, iv, data);
    },
    aesCbcDecrypt: (key: Bytes, iv: Bytes, data: Bytes) => {
      decryptions.push(toHex(iv));
      return nativeCrypto.aesCbcDecrypt(key, iv, data);
    },
  };
  let channel = newSecureChannel(keys);
  for (let index = 0; index < secureMessagesMax; index++) {
    const sealed = sealCommand(spying, channel, command);
    const answer = sealAnswer(phoneSession(index), 0x9000, hex(''));
    const before = decryptions.length;
    openAnswer(spying, sealed.pending, flip(answer, 3));
    t.equal(decryptions.length, before, 'nothing is decrypted before the MAC is right');
    const opened = openAnswer(spying, sealed.pending, answer);
    if (!opened.ok) throw new Error('a good answer');
    channel = opened.value.channel;
  }
  t.equal(new Set([...vectors, ...decryptions]).size, 2 * secureMessagesMax);
  t.notOk(hasRoom(channel));
  t.throws(() => sealCommand(nativeCrypto, channel, command), 'a used-up session carries nothing more');
});
