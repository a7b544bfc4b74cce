// Shows that a process that ends is started again, that one that never stays up is given up after a named number of
// tries, and that nothing is left behind when everything ends meanwhile. Processes and time are stand-ins.
import { test } from 'tap';
import { type Kept, keepRunning, restartsMax } from './keep.js';
import type { Running } from './process.js';

class Stage {
  nowMs = 0;
  readonly told: string[] = [];
  readonly pauses: number[] = [];
  started = 0;
  stopped = 0;
  /** What the next starts do: a text is a failure. */
  readonly failures: string[] = [];
  #end: (how: string) => void = () => {};

  make(): Running<number> {
    this.started += 1;
    let end: (how: string) => void = () => {};
    const ended = new Promise<string>((resolve) => {
      end = resolve;
    });
    this.#end = end;
    const stop = async (): Promise<void> => {
      this.stopped += 1;
      end('SIGTERM');
    };
    return { name: 'host', child: null as never, ready: this.started, ended, stop };
  }

  keep(): Kept<number> {
    return keepRunning(this.make(), {
      start: async () => {
        const failure = this.failures.shift();
        if (failure !== undefined) throw new Error(failure);
        return this.make();
      },
      onRestart: (name, how) => this.told.push(`${name} ${how}`),
      onGivenUp: (name, why) => this.told.push(`${name} given up: ${why}`),
      nowMs: () => this.nowMs,
      pause: async (ms) => {
        this.pauses.push(ms);
      },
    });
  }

  /** The process ends; returns when everything that follows from it has happened. */
  async die(how: string): Promise<void> {
    this.#end(how);
    await settled();
  }
}
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a process that ends is back at once, and later when it happens again', async (t) => {
  const stage = new Stage();
  const kept = stage.keep();
  await stage.die('SIGKILL');
  t.equal(kept.running.ready, 2);
  t.same(stage.pauses, [], 'the first time without a pause');
  await stage.die('exit 70');
  await stage.die('exit 70');
  t.same(stage.pauses, [200, 400]);
  t.same(stage.told, ['host SIGKILL', 'host exit 70', 'host exit 70']);
  stage.nowMs = 61_000;
  await stage.die('SIGKILL');
  t.same(stage.pauses, [200, 400], 'old deaths are forgotten');
});

test('a process that does not come up is given up with what it said', async (t) => {
  const stage = new Stage();
  stage.keep();
  for (let i = 0; i < restartsMax; i++) stage.failures.push(`try ${i + 1}`);
  await stage.die('SIGKILL');
  t.same(stage.told, ['host SIGKILL', `host given up: try ${restartsMax}`]);
  t.equal(stage.started, 1);
});

test('stopping ends the process and starts no other', async (t) => {
  const stage = new Stage();
  const kept = stage.keep();
  await kept.stop();
  await settled();
  t.equal(stage.stopped, 1);
  t.equal(stage.started, 1);
  t.same(stage.told, [], 'its end is no surprise');
});

test('one that is coming up while everything stops is ended too', async (t) => {
  const stage = new Stage();
  const kept = stage.keep();
  stage.failures.push('port taken');
  const died = stage.die('SIGKILL');
  await died;
  await kept.stop();
  await settled();
  t.equal(stage.stopped, 1, 'the one that came up last');
  t.equal(kept.running.ready, stage.started);
});
