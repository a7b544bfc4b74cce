/**
 * Shows that a follower who comes back misses nothing and gets nothing twice, or is told that something is gone: random
 * disconnects against the whole list of what was published.
 */
import fc from 'fast-check';
import t from 'tap';
import { EventRing, ringEventsMax } from './event-ring.js';
import type { NumberedEvent, TerminalEvent } from './port.js';

const scan = (n: number): TerminalEvent => ({ type: 'scan', device: 'scanner', code: String(n) });
const codeOf = (numbered: NumberedEvent | null): string =>
  numbered === null ? 'gone' : numbered.event.type === 'scan' ? numbered.event.code : '?';
const filled = (count: number): EventRing => {
  const ring = new EventRing('b1');
  for (let n = 1; n <= count; n++) ring.publish(scan(n));
  return ring;
};
const followed = (ring: EventRing, after: Parameters<EventRing['follow']>[0]): { seen: string[]; stop: () => void } => {
  const seen: string[] = [];
  return { seen, stop: ring.follow(after, (numbered) => seen.push(codeOf(numbered))) };
};

t.test('from now on, in order, until stopped', (t) => {
  const ring = filled(3);
  const { seen, stop } = followed(ring, null);
  ring.publish(scan(4));
  ring.publish(scan(5));
  stop();
  ring.publish(scan(6));
  t.same(seen, ['4', '5']);
  stop();
  t.end();
});

t.test('from where the follower stopped', (t) => {
  t.same(followed(filled(5), { boot: 'b1', number: 3 }).seen, ['4', '5']);
  t.same(followed(filled(5), { boot: 'b1', number: 5 }).seen, [], 'nothing is new');
  t.same(followed(filled(0), { boot: 'b1', number: 0 }).seen, [], 'nothing has happened');
  t.same(followed(filled(2), { boot: 'b1', number: 0 }).seen, ['1', '2']);
  t.end();
});

t.test('what cannot be told is said to be gone, and the rest follows', (t) => {
  const gone = (count: number, after: { boot: string; number: number }): readonly string[] => {
    const ring = filled(count);
    const { seen } = followed(ring, after);
    ring.publish(scan(count + 1));
    return seen;
  };
  t.same(gone(5, { boot: 'b0', number: 5 }), ['gone', '6'], 'another run of the box');
  t.same(gone(5, { boot: 'b1', number: 6 }), ['gone', '6'], 'a number that has not been');
  t.same(gone(5, { boot: 'b1', number: -1 }), ['gone', '6']);
  t.same(gone(5, { boot: 'b1', number: Number.NaN }), ['gone', '6']);
  const over = ringEventsMax + 10;
  t.same(gone(over, { boot: 'b1', number: 9 }), ['gone', String(over + 1)], 'event 10 has fallen out');
  t.equal(gone(over, { boot: 'b1', number: 10 }).length, ringEventsMax + 1, 'the oldest that is left');
  t.equal(gone(over, { boot: 'b1', number: 10 })[0], '11');
  t.end();
});

t.test('a follower that comes and goes sees every event once', (t) => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('publish', 'leave', 'come'), { maxLength: 200 }), (steps) => {
      const ring = new EventRing('b1');
      const seen: number[] = [];
      let last = 0;
      let published = 0;
      const stops: (() => void)[] = [];
      const come = (): void => {
        if (stops.length > 0) return;
        const stop = ring.follow({ boot: 'b1', number: last }, (numbered) => {
          if (numbered === null) throw new Error('gone');
          last = numbered.number;
          seen.push(numbered.number);
        });
        stops.push(stop);
      };
      for (const step of steps) {
        if (step === 'publish') ring.publish(scan(++published));
        if (step === 'come') come();
        if (step === 'leave') stops.pop()?.();
      }
      come();
      if (seen.join() !== Array.from({ length: published }, (_, at) => at + 1).join()) throw new Error(seen.join());
    }),
  );
  t.pass('100 lives');
  t.end();
});
