/**
 * Shows the commands of both makes byte by byte, that a board takes them in pieces of every size, and that off is off also
 * behind a command that broke off. How: bytes of the makers' pages, and a board written from those pages alone.
 */
import t from 'tap';
import { toHex } from '../../../terminal/kernel/bytes.js';
import { SimulatedRelayBoard } from '../../sim/relay-board.js';
import { encodeRelayOff, encodeRelayOn, type RelayBoard, relayChannelsMax } from './relay-board.js';

const boards: readonly RelayBoard[] = ['lcus', 'kmtronic'];
const channels = Array.from({ length: relayChannelsMax }, (_, at) => at + 1);

t.test('the bytes of the makers’ pages', async (t) => {
  t.equal(toHex(encodeRelayOn('lcus', 1)), 'a00101a2');
  t.equal(toHex(encodeRelayOff('lcus', 1)), 'a00100a1a00100a1');
  t.equal(toHex(encodeRelayOn('lcus', 2)), 'a00201a3');
  t.equal(toHex(encodeRelayOff('lcus', 2)), 'a00200a2a00200a2');
  t.equal(toHex(encodeRelayOn('kmtronic', 1)), 'ff0101');
  t.equal(toHex(encodeRelayOff('kmtronic', 8)), 'ff0800ff0800');
});

t.test('a relay that no board has is a bug', async (t) => {
  for (const wrong of [0, relayChannelsMax + 1, 1.5, Number.NaN, -1])
    for (const board of boards) {
      t.throws(() => encodeRelayOn(board, wrong));
      t.throws(() => encodeRelayOff(board, wrong));
    }
});

for (const board of boards) {
  t.test(`${board}: this relay and no other, in pieces of every size`, async (t) => {
    for (const channel of channels)
      for (let piece = 1; piece <= 8; piece++) {
        const far = new SimulatedRelayBoard(board);
        const feed = (bytes: Uint8Array) => {
          for (let at = 0; at < bytes.length; at += piece) far.feed(bytes.subarray(at, at + piece));
        };
        feed(encodeRelayOn(board, channel));
        t.same(
          far.relays,
          channels.map((each) => each === channel),
        );
        feed(encodeRelayOff(board, channel));
        t.same([far.history, far.unknown], [[`${channel} on`, `${channel} off`], []]);
      }
  });

  t.test(`${board}: off behind a command that broke off at any byte`, async (t) => {
    for (const channel of channels)
      for (const before of [encodeRelayOn(board, channel), encodeRelayOff(board, channel)])
        for (let kept = 0; kept < before.length; kept++) {
          const far = new SimulatedRelayBoard(board);
          far.feed(encodeRelayOn(board, channel));
          far.feed(before.subarray(0, kept));
          far.feed(encodeRelayOff(board, channel));
          t.equal(far.relays[channel - 1], false, `${channel}, ${kept} bytes of ${toHex(before)}`);
          far.feed(encodeRelayOn(board, channel));
          t.equal(far.relays[channel - 1], true, 'and the next command is taken whole');
        }
  });
}
