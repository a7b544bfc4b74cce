/**
 * Shows a PIN entry from the asking frame to the encrypted block with the simulated pad behind the frames, at every split and
 * with every flipped bit; that no key is used twice, also over a restart; and that nothing on the cable holds the PIN.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, readUintBE, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto as crypto, nativeRandom } from '../../../terminal/kernel/native.js';
import { SimulatedPinPad } from '../../sim/pin-pad.js';
import { initialKey, transactionKey, workingKey } from '../dukpt/dukpt.js';
import { decodePinBlock4 } from '../pinblock/pinblock.js';
import { betweenFrames, encodePadFrame, padModels, padTextLengthMax, readPadFrames } from './pad-frame.js';

const initialKeyId = hex('1234567890123456');
const initial = initialKey(crypto, hex('fedcba9876543210f1f1f1f1f1f1f1f1'), initialKeyId);
const pan = '4111111111111111';
const [generic] = padModels;
if (!generic) throw new Error('a generic row');

const openPad = (counter = 0) =>
  new SimulatedPinPad({ crypto, random: nativeRandom, initialKey: initial, initialKeyId, counter });
const textsOf = (bytes: Bytes) => readPadFrames(betweenFrames, bytes).texts;
const answerOf = (bytes: Bytes) => {
  const read = generic.answer(textsOf(bytes)[0] ?? '');
  return read.ok ? read.value : read.error.code;
};
const asking = encodePadFrame(generic.ask({ pan, timeoutS: 30 }));

t.test('a PIN entry: the block opens with the issuer’s key only; the cable never has the PIN', async (t) => {
  const pad = openPad();
  pad.pin = '739164';
  const sent = pad.receive(asking);
  t.notOk(toHex(sent).includes(toHex(utf8('739164'))));
  const answer = answerOf(sent);
  if (typeof answer === 'string' || answer.result !== 'entered') throw new Error('no PIN');
  const counter = readUintBE(answer.keySerialNumber.subarray(8));
  const key = workingKey(crypto, transactionKey(crypto, initial, initialKeyId, counter), 'pin', initialKeyId, counter);
  t.match(decodePinBlock4(crypto, key, answer.pinBlock, pan), { ok: true, value: '739164' });
  t.equal(decodePinBlock4(crypto, key, answer.pinBlock, '5500005555555559').ok, false, 'a swapped number is found');
});

t.test('no key twice, also over a restart; a spent pad says so; cancel is cancel', async (t) => {
  const serials = new Set<string>();
  let counter = 0;
  for (let start = 0; start < 5; start++) {
    const pad = openPad(counter);
    pad.pin = '1234';
    for (let entry = 0; entry < 10; entry++) {
      const answer = answerOf(pad.receive(asking));
      if (typeof answer !== 'string' && answer.result === 'entered') serials.add(toHex(answer.keySerialNumber));
    }
    counter = pad.counter;
  }
  t.equal(serials.size, 50);
  const spent = openPad(0xffff_0000);
  spent.pin = '1234';
  t.same(answerOf(spent.receive(asking)), { result: 'noKeys' });
  t.same(answerOf(openPad().receive(asking)), { result: 'cancelled' });
});

t.test('frames: the same at every split, noise passed over, cut and overlong ones counted', async (t) => {
  const stream = concat(utf8('noise'), asking, hex('0241'), asking, encodePadFrame('x'.repeat(padTextLengthMax)));
  const whole = readPadFrames(betweenFrames, stream);
  t.same([whole.texts.length, whole.dropped], [3, 1]);
  for (let cut = 0; cut <= stream.length; cut++) {
    const first = readPadFrames(betweenFrames, stream.subarray(0, cut));
    const rest = readPadFrames(first.state, stream.subarray(cut));
    t.same([...first.texts, ...rest.texts], whole.texts);
  }
  t.match(readPadFrames(betweenFrames, encodePadFrame('x'.repeat(padTextLengthMax + 1))), { texts: [], dropped: 1 });
  fc.assert(
    fc.property(fc.nat(8 * asking.length - 1), (bit) => {
      const flipped = concat(asking);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      return textsOf(flipped).length === 0;
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const read = readPadFrames(betweenFrames, bytes);
      return (
        (read.state.text?.length ?? 0) <= padTextLengthMax &&
        read.texts.every((text) => text.length <= padTextLengthMax)
      );
    }),
  );
});

t.test('answers that are none are refused', async (t) => {
  const answer = (...fields: readonly string[]) => answerOf(encodePadFrame(fields.join('\u001c')));
  const serial = '00'.repeat(12);
  t.match(answer('PE', '00', serial, '00'.repeat(16)), { result: 'entered' });
  t.same(answer('PE', '02'), { result: 'timedOut' });
  t.equal(answer('PE', '00', serial, '00'.repeat(15)), 'input.malformed');
  t.equal(answer('PE', '00', serial, 'zz'.repeat(16)), 'input.malformed');
  t.equal(answer('PE', '00', '00', '00'.repeat(16)), 'input.malformed');
  t.equal(answer('PE', '01', serial), 'input.unsupported');
  t.equal(answer('PE', '__proto__'), 'input.unsupported');
  t.equal(answer('PX', '00'), 'input.unsupported');
  t.equal(answer('PE', '00', serial, '00'.repeat(16), 'more'), 'input.unsupported');
});
