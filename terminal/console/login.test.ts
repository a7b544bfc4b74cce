/**
 * Shows the PIN's life: drawn once, kept as a salted hash, changed; and the lock-out, also over restarts and power cuts.
 * A restart is a new Login over the same settings; time is a number that the test moves.
 */
import t from 'tap';
import { TerminalError } from '../kernel/errors.js';
import { nativeRandom } from '../kernel/native.js';
import { monotonicMs } from '../kernel/units.js';
import { PortDouble } from '../sim/port-double.js';
import { isWeakPin, Login, lockMs, lockSetting, pinSetting, wrongTriesMax } from './login.js';

class Box {
  nowMs = 1_000;
  readonly settings = new Map<string, string>();
  port = new PortDouble(this.settings);
  login = this.#start();
  #start(): Login {
    return new Login({ port: this.port, random: nativeRandom, clock: { monotonicMs: () => monotonicMs(this.nowMs) } });
  }
  /** A power cut and a start: the monotonic clock begins anew. */
  restart(): void {
    this.nowMs = 500;
    this.port = new PortDouble(this.settings);
    this.login = this.#start();
  }
  try(pin: string): Promise<string> {
    return this.login
      .attempt(pin, 'console:test')
      .then((answer) => (answer.result === 'accepted' ? 'accepted' : answer.code));
  }
}

async function boxWithPin(): Promise<{ box: Box; pin: string; wrong: string }> {
  const box = new Box();
  const pin = await box.login.drawFirstPin();
  if (pin === null) throw new Error('no PIN was drawn');
  return { box, pin, wrong: pin === '13570246' ? '13570247' : '13570246' };
}

t.test('the first PIN is drawn once and stored as a hash only', async (t) => {
  const { box, pin } = await boxWithPin();
  t.match(pin, /^[0-9]{8}$/);
  t.notOk(isWeakPin(pin));
  t.equal(await box.login.drawFirstPin(), null);
  box.restart();
  t.equal(await box.login.drawFirstPin(), null);
  t.notMatch([...box.settings.values()].join(), pin);
  t.same(await box.login.attempt(pin, 'console:test'), { result: 'accepted', mustChange: true });
});

t.test('the PIN is changed, weak ones are refused, and it need not be changed again', async (t) => {
  const { box, pin } = await boxWithPin();
  for (const weak of [
    '12345',
    '1234567890123',
    '111111',
    '123456',
    '987654',
    '890123',
    '10987654',
    '１２３４５６',
    'abcdef',
    '',
  ]) {
    t.equal(await box.login.change(pin, weak, 'a'), 'access.pinWeak', weak);
  }
  t.equal(await box.login.change(pin, pin, 'a'), 'access.pinWeak', 'the old one again');
  t.equal(await box.login.change(pin, '204060', 'a'), null);
  t.equal(await box.try(pin), 'access.denied');
  t.same(await box.login.attempt('204060', 'a'), { result: 'accepted', mustChange: false });
  const log = JSON.stringify(box.port.auditEntries);
  t.match(log, /console.pinChanged/);
  for (const secret of [pin, '204060']) t.notMatch(log, secret);
});

t.test('five wrong tries lock, each further one for longer, and only a right PIN forgives', async (t) => {
  const { box, pin, wrong } = await boxWithPin();
  for (let tries = 1; tries <= wrongTriesMax; tries++) t.equal(await box.try(wrong), 'access.denied');
  t.equal(box.login.lockRemainingMs(), 30_000);
  t.equal(await box.try(pin), 'access.locked', 'the right one is not even looked at');
  t.equal(await box.try(wrong), 'access.locked');
  box.nowMs += 30_000;
  t.equal(await box.try(wrong), 'access.denied');
  t.equal(box.login.lockRemainingMs(), 60_000);
  box.nowMs += 59_999;
  t.equal(await box.try(pin), 'access.locked');
  box.nowMs += 1;
  t.equal(await box.try(pin), 'accepted');
  t.equal(box.settings.has(lockSetting), false);
  t.equal(await box.try(wrong), 'access.denied');
  t.equal(box.login.lockRemainingMs(), 0, 'counted from one again');
  t.same(box.port.auditEntries.map(({ action }) => action).filter((action) => action === 'console.locked').length, 2);
});

t.test('locks grow to an hour and no further', async (t) => {
  t.same(
    [0, 4, 5, 6, 7, 11, 12, 13, 1_000_000].map(lockMs),
    [0, 0, 30_000, 60_000, 120_000, 1_920_000, 3_600_000, 3_600_000, 3_600_000],
  );
});

t.test('a restart keeps the count and begins a standing lock anew', async (t) => {
  const { box, pin, wrong } = await boxWithPin();
  for (let tries = 1; tries < wrongTriesMax; tries++) {
    t.equal(await box.try(wrong), 'access.denied');
    box.restart();
  }
  t.equal(await box.try(wrong), 'access.denied');
  t.equal(await box.try(pin), 'access.locked');
  box.nowMs += 29_000;
  box.restart();
  t.equal(box.login.lockRemainingMs(), 30_000);
  t.equal(await box.try(pin), 'access.locked');
  box.nowMs += 30_000;
  t.equal(await box.try(pin), 'accepted');
});

t.test('cutting the power before the answer wins no try', async (t) => {
  const { box, wrong } = await boxWithPin();
  for (let tries = 1; tries <= wrongTriesMax; tries++) {
    const answer = box.login.attempt(wrong, 'a');
    await Promise.resolve();
    box.restart();
    await answer.catch(() => undefined);
  }
  t.match(box.settings.get(lockSetting), /"failures":5/);
  t.equal(await box.try(wrong), 'access.locked');
});

t.test('a try that cannot be stored is not answered', async (t) => {
  const { box, pin } = await boxWithPin();
  box.port.setSetting = () => {
    throw new TerminalError('store.full');
  };
  await t.rejects(box.login.attempt(pin, 'a'), { code: 'store.full' });
  await t.rejects(box.login.attempt(pin, 'a'), { code: 'store.full' }, 'and the login still works');
});

t.test('line noise is refused alike but locks nobody out; edited settings never open', async (t) => {
  const { box, pin } = await boxWithPin();
  for (let tries = 0; tries < 20; tries++) t.equal(await box.try('+++ATH'), 'access.denied');
  t.equal(await box.try(pin), 'accepted');
  box.settings.set(lockSetting, '{"failures":-3}');
  box.restart();
  t.equal(await box.try(pin), 'access.locked');
  for (const damaged of ['', '{}', 'null', '[]', '{"salt":"00","hash":""}', '{"salt":"zz","hash":"00"}']) {
    box.settings.set(pinSetting, damaged);
    box.settings.delete(lockSetting);
    box.restart();
    t.equal(await box.try(pin), 'access.denied', damaged);
    t.equal(await box.login.drawFirstPin(), null);
  }
});
