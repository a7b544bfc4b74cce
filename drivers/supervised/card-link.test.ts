/**
 * Shows the link's rules under a clock that moves only when told: deadlines, late answers, stuck commands, and that a
 * pause of the box itself is not taken for a card that did not answer.
 * How: a port that records what the link asks for, and manual time.
 */
import t from 'tap';
import { hex } from '../../terminal/kernel/bytes.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { ManualTime } from '../sim/manual-time.js';
import { CardLink } from './card-link.js';

const select = hex('00A40400');
const answer = hex('9000');
const second = durationMs(1_000);

function open() {
  const time = new ManualTime();
  const seen = { sent: 0, released: 0, stuck: 0, timedOut: 0 };
  const link = new CardLink('link', hex('3B00'), 1, {
    schedule: time.schedule,
    answerGrace: durationMs(500),
    transmit: () => ++seen.sent,
    release: () => {
      seen.released++;
    },
    timedOut: () => {
      seen.timedOut++;
    },
    stuck: () => {
      seen.stuck++;
    },
  });
  return { time, seen, link };
}
const code = (result: Awaited<ReturnType<CardLink['transmit']>>) => (result.ok ? 'ok' : result.error.code);

t.test('an answer in time leaves no timer behind', async (t) => {
  const { link, time } = open();
  const outcome = link.transmit(select, second);
  link.settled(1, ok(answer));
  t.equal(code(await outcome), 'ok');
  t.equal(time.pending, 0);
});

t.test('an answer that waits behind a pause of the box is not late', async (t) => {
  const { link, time } = open();
  const outcome = link.transmit(select, second);
  time.advance(1_000);
  link.settled(1, ok(answer));
  t.equal(code(await outcome), 'ok');
});

t.test('past the deadline the link is dead; a late answer calls the grace off and reaches nobody', async (t) => {
  const { link, time, seen } = open();
  const outcome = link.transmit(select, second);
  time.advance(1_001);
  t.equal(code(await outcome), 'device.timedOut');
  link.settled(1, ok(answer));
  t.equal(time.pending, 0);
  t.equal(code(await link.transmit(select, second)), 'device.closed');
  t.equal(seen.sent, 1, 'nothing more was sent');
  t.equal(seen.stuck, 0);
});

t.test('a command that never comes back is reported as stuck after the grace', async (t) => {
  const { link, time, seen } = open();
  const outcome = link.transmit(select, second);
  time.advance(1_500);
  t.equal(seen.stuck, 0);
  time.advance(1);
  t.equal(seen.stuck, 1);
  t.equal(seen.timedOut, 1);
  t.equal(code(await outcome), 'device.timedOut');
});

t.test('a close in mid-command ends it as closed, releases once, and still watches the reader', async (t) => {
  const { link, time, seen } = open();
  const outcome = link.transmit(select, second);
  await link.close();
  await link.close();
  t.equal(code(await outcome), 'device.closed');
  t.equal(seen.released, 1);
  time.advance(500);
  t.equal(seen.stuck, 1);
  t.equal(seen.timedOut, 0);
});

t.test('a removed card is dead for good, a failed command is not', async (t) => {
  const { link } = open();
  const failed = link.transmit(select, second);
  link.settled(1, err({ code: 'device.failed', detail: '' }));
  t.equal(code(await failed), 'device.failed');
  const removed = link.transmit(select, second);
  link.settled(2, err({ code: 'device.cardRemoved', detail: '' }));
  t.equal(code(await removed), 'device.cardRemoved');
  t.equal(code(await link.transmit(select, second)), 'device.cardRemoved');
});

t.test('a card that leaves ends what is under way and every timer', async (t) => {
  const { link, time } = open();
  const outcome = link.transmit(select, second);
  link.end({ code: 'device.cardRemoved', detail: '' });
  t.equal(code(await outcome), 'device.cardRemoved');
  t.equal(time.pending, 0);
});
