/**
 * Shows the supervision table: each way through it by example, and what holds for every sequence of events at any times: a
 * held device has a timer or a person that ends it, pauses stay in their bounds, late timers do nothing, a device that a
 * person disabled is never served, and a returned one is served at once. How: fast-check against the pure table.
 */
import fc from 'fast-check';
import t from 'tap';
import type { DeviceError } from '../../drivers/contract/transport.js';
import {
  isHeld,
  type Life,
  type LifeEventType,
  newLife,
  type Order,
  stepLife,
  supervisionRule,
} from './supervision.js';

const trouble: DeviceError = { code: 'device.failed', detail: 'broken' };
type Said = LifeEventType;

function run(events: readonly (readonly [Said, number])[], from: Life = newLife): { life: Life; orders: Order[] } {
  let life = from;
  const orders: Order[] = [];
  for (const [type, atMs] of events) {
    const [next, more] = stepLife(life, { type, atMs, error: trouble, generation: life.generation });
    life = next;
    orders.push(...more);
  }
  return { life, orders };
}
const delays = (orders: readonly Order[]) => orders.flatMap((order) => (order.type === 'timer' ? [order.delayMs] : []));

t.test('a device comes, works, goes and comes back without any delay', async (t) => {
  const { life, orders } = run([
    ['appeared', 0],
    ['opened', 10],
    ['gone', 20_000],
    ['appeared', 25_000],
    ['opened', 25_010],
  ]);
  t.match(life, { state: 'ready', starts: 2, failures: 0, error: null });
  t.same(orders, [], 'nothing has to be asked for');
});

t.test('failures in a row wait longer and longer, up to a bound; a stable time forgets them', async (t) => {
  const failing = Array.from({ length: 8 }, (_, at): (readonly [Said, number])[] => [
    ['failed', at * 60_000],
    ['timer', at * 60_000 + 30_000],
  ]).flat();
  const { life, orders } = run(failing);
  t.same(delays(orders), [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
  const short = run(
    [
      ['opened', 600_000],
      ['failed', 600_100],
    ],
    life,
  );
  t.same(delays(short.orders), [30_000], 'ready for a moment forgets nothing');
  const long = run(
    [
      ['opened', 600_000],
      ['failed', 600_000 + supervisionRule.stableMs],
    ],
    life,
  );
  t.same(delays(long.orders), [1_000]);
  t.match(run([['gone', 600_000]], short.life), {
    life: { state: 'absent', failures: 0 },
    orders: [{ type: 'release' }],
  });
});

t.test('six departures in a minute are damped until it stays; slower ones are not', async (t) => {
  const cycle = (everyMs: number, times: number) =>
    Array.from({ length: times }, (_, at): (readonly [Said, number])[] => [
      ['opened', at * everyMs],
      ['gone', at * everyMs + 1],
    ]).flat();
  t.equal(run(cycle(15_000, 50)).life.state, 'absent', 'one each fifteen seconds is not');
  const quick = run(cycle(500, 6));
  t.match(quick.life, { state: 'flapping', isThere: false, error: { code: 'device.failed' } });
  t.same(quick.orders, [{ type: 'hold' }, { type: 'timer', delayMs: 15_000, generation: quick.life.generation }]);
  const restless = run([['barred', 5_000]], quick.life);
  t.same(delays(restless.orders), [15_000], 'the calm begins anew');
  t.same(run([['barred', 6_000]], restless.life).orders, [], 'the same again disturbs nothing');
  const late = stepLife(restless.life, { type: 'timer', atMs: 20_000, generation: quick.life.generation });
  t.same(late, [restless.life, []], 'a timer of the calm before is late');
  t.match(run([['timer', 21_000]], restless.life), { life: { state: 'opening' }, orders: [{ type: 'release' }] });
});

t.test('disabled by a person stays so through everything; by the configuration it follows its driver', async (t) => {
  const through: (readonly [Said, number])[] = [
    ['barred', 1],
    ['gone', 2],
    ['appeared', 3],
    ['opened', 4],
    ['failed', 5],
    ['timer', 6],
  ];
  const { life } = run([['opened', 0], ['disable', 0], ...through]);
  t.match(life, { state: 'disabled', byPerson: true, isThere: true });
  t.match(run([['enable', 9]], life), { life: { state: 'opening' }, orders: [{ type: 'release' }] });
  const refused = run([
    ['barred', 0],
    ['enable', 1],
  ]);
  t.match(refused, { life: { state: 'disabled', error: trouble }, orders: [] }, 'a person cannot overrule the file');
  t.equal(run([['gone', 2]], refused.life).life.state, 'absent');
});

const anyEvent = fc.record({
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom<Said>('opened', 'gone', 'timer') },
    { weight: 3, arbitrary: fc.constantFrom<Said>('failed', 'appeared', 'barred') },
    { weight: 1, arbitrary: fc.constantFrom<Said>('disable', 'enable') },
  ),
  afterMs: fc.oneof({ weight: 4, arbitrary: fc.nat(100) }, { weight: 1, arbitrary: fc.nat(40_000) }),
  isLate: fc.boolean(),
});

t.test('whatever happens, in whatever order', async (t) => {
  let seen = 0;
  const states = new Set<string>();
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.array(anyEvent, { minLength: 20, maxLength: 120 }), (events) => {
        let life = newLife;
        let atMs = 0;
        /** What a driver and a clock would know. */
        let held = false;
        let timer: number | null = null;
        for (const { type, afterMs, isLate } of events) {
          atMs += afterMs;
          const generation = life.generation - (isLate ? 1 : 0);
          const before = life;
          const [next, orders] = stepLife(life, { type, atMs, error: trouble, generation });
          life = next;
          seen++;
          states.add(life.state);
          for (const order of orders) {
            if (order.type === 'timer') {
              if (order.delayMs < supervisionRule.retryMinMs || order.delayMs > supervisionRule.retryMaxMs)
                return false;
              timer = order.generation;
            } else held = order.type === 'hold';
          }
          if (type === 'timer' && isLate && life !== before) return false;
          if (held !== isHeld(life)) return false;
          // Nothing waits for ever: a held device has the timer that counts, or a person.
          if (held && !life.byPerson && timer !== life.generation) return false;
          if (before.byPerson && type !== 'enable' && (life.state !== 'disabled' || !held)) return false;
          if (life.state === 'ready' && life.error !== null) return false;
          if (life.departures.length > supervisionRule.departuresMax) return false;
          if (life.failures > 0 && life.state === 'absent') return false;
        }
        // Once nothing happens any more but its timer, a device that nobody disabled is served, and comes up when it may.
        if (life.byPerson) return true;
        const [rested] = stepLife(life, { type: 'timer', atMs, generation: life.generation });
        return isHeld(rested) ? false : stepLife(rested, { type: 'opened', atMs })[0].state === 'ready';
      }),
      { numRuns: 2_000 },
    ),
  );
  t.ok(seen > 50_000, `${seen} steps`);
  t.equal(states.size, 6, 'every state was reached');
});
