/**
 * Shows when the box stops to believe its wall clock: a reading before the product was made or before what is stored, a
 * step, and many small steps; and that ordinary running does not raise it. A clock moved by hand stands for the machine's.
 */
import t from 'tap';
import type { Clock } from '../kernel/ports.js';
import { monotonicMs, wallMs } from '../kernel/units.js';
import { WallClock } from './wall-clock.js';

const november2026 = 1_794_000_000_000;
class HandClock implements Clock {
  #monotonic = 5_000;
  constructor(private wall: number) {}
  monotonicMs() {
    return monotonicMs(this.#monotonic);
  }
  wallMs() {
    return wallMs(this.wall);
  }
  pass(ms: number): void {
    this.#monotonic += ms;
    this.wall += ms;
  }
  step(ms: number): void {
    this.wall += ms;
  }
}
const started = (wall: number, latestKnown = 0): { hand: HandClock; clock: WallClock } => {
  const hand = new HandClock(wall);
  return { hand, clock: new WallClock(hand, latestKnown) };
};

t.test('a sound clock', (t) => {
  const { hand, clock } = started(november2026, november2026 - 1);
  t.same(clock.now(), { atMonotonicMs: 5_000, atWallMs: november2026, clockDoubtful: false });
  for (let day = 0; day < 400; day++) {
    hand.pass(86_400_000);
    t.equal(clock.doubtful, false);
  }
  hand.step(1_000);
  t.equal(clock.doubtful, false, 'a leap second');
  t.end();
});

t.test('doubtful from the start', (t) => {
  t.equal(started(0).clock.doubtful, true, '1970');
  t.equal(started(Date.UTC(2025, 11, 31)).clock.doubtful, true, 'before this product');
  t.equal(started(november2026, november2026 + 120_001).clock.doubtful, true, 'before what was stored');
  t.equal(started(november2026, november2026 + 120_000).clock.doubtful, false);
  t.end();
});

t.test('set back at the start: the latest trusted time goes on, until a start beyond it', (t) => {
  const { hand, clock } = started(november2026 - 18 * 86_400_000, november2026);
  t.equal(clock.bestKnownMs(), november2026);
  hand.pass(3_600_000);
  t.equal(clock.bestKnownMs(), november2026 + 3_600_000, 'and what passed since');
  hand.step(18 * 86_400_000);
  t.equal(clock.doubtful, true, 'put right while it runs');
  t.equal(started(november2026 + 3_600_000, november2026).clock.doubtful, false);
  t.end();
});

t.test('a step either way, and for good', (t) => {
  for (const step of [-3_600_000, 3_600_000, -120_001, 120_001]) {
    const { hand, clock } = started(november2026);
    hand.pass(1_000);
    hand.step(step);
    t.equal(clock.now().clockDoubtful, true, `${step} ms`);
    hand.step(-step);
    t.equal(clock.now().clockDoubtful, true, 'it stays: what was stamped in between was wrong');
  }
  t.end();
});

t.test('many small steps are a large one', (t) => {
  const { hand, clock } = started(november2026);
  let steps = 0;
  while (!clock.now().clockDoubtful && steps < 100) {
    hand.pass(60_000);
    hand.step(-50_000);
    steps += 1;
  }
  t.equal(steps, 3, 'noticed beyond two minutes in all');
  t.end();
});
