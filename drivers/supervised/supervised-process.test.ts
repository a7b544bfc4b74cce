/**
 * Shows how the child is supervised: heartbeats, what gets it killed, pauses between restarts, and a stop that ends.
 * How: fake children that speak real frames, and manual time.
 */
import t from 'tap';
import { durationMs } from '../../terminal/kernel/units.js';
import type { DeviceError } from '../contract/transport.js';
import { type Frame, readerFrames } from '../pcsc/frames.js';
import { FakeReaderChild } from '../sim/fake-reader-child.js';
import { ManualTime } from '../sim/manual-time.js';
import { helloTimeoutMs, restartDelayMinMs, SupervisedProcess } from './supervised-process.js';

const heartbeatMs = 2_000;
const restartDelayMaxMs = 1_000;

function open() {
  const time = new ManualTime();
  const children: FakeReaderChild[] = [];
  const frames: Frame[] = [];
  const ends: DeviceError[] = [];
  const supervised = new SupervisedProcess<Frame>({
    name: 'reader process',
    codec: readerFrames,
    spawn: () => {
      const child = new FakeReaderChild();
      children.push(child);
      return child;
    },
    clock: time.clock,
    schedule: time.schedule,
    heartbeat: durationMs(heartbeatMs),
    restartDelayMax: durationMs(restartDelayMaxMs),
    onFrame: (frame) => frames.push(frame),
    onEnded: (error) => ends.push(error),
  });
  supervised.start();
  const newest = () => children.at(-1) ?? new FakeReaderChild();
  return { time, children, frames, ends, supervised, newest };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('a child that answers its heartbeats lives on', async (t) => {
  const { time, children, newest, frames } = open();
  newest().comeUp(['A 00 00']);
  time.advance(heartbeatMs * 20);
  t.equal(children.length, 1);
  t.equal(newest().received.filter((frame) => frame.type === 'ping').length, 21);
  t.strictSame(
    frames.map((frame) => frame.type),
    ['serviceUp', 'readerAdded', 'looked'],
    'hello and pong stay here',
  );
});

t.test('two heartbeats without a sign of life get it killed and replaced; one does not', async (t) => {
  const { time, children, newest, ends } = open();
  newest().comeUp([]);
  newest().frozen = true;
  time.advance(heartbeatMs);
  newest().send({ type: 'looked' });
  time.advance(heartbeatMs);
  t.notOk(newest().killed, 'any frame is a sign of life');
  time.advance(heartbeatMs * 2);
  t.ok(newest().killed);
  await turn();
  t.match(ends, [{ code: 'device.timedOut' }]);
  time.advance(restartDelayMinMs);
  t.equal(children.length, 2);
});

t.test('what gets a child killed at once: no hello, another version, bytes that are no frame', async (t) => {
  const silent = open();
  silent.time.advance(helloTimeoutMs);
  t.ok(silent.newest().killed, 'no hello');
  const other = open();
  other.newest().send({ type: 'hello', version: 2 });
  t.ok(other.newest().killed, 'another version');
  const noise = open();
  noise.newest().send({ type: 'hello', version: 1 });
  noise.newest().sendRaw(new Uint8Array([0xff, 0xff, 0xff, 0xff, 0xff]));
  t.ok(noise.newest().killed, 'noise');
  await turn();
  t.match(noise.ends, [{ code: 'device.timedOut', detail: /unreadable/ }]);
});

t.test('pauses between restarts double up to the maximum; a long life forgets them', async (t) => {
  const { time, children, newest } = open();
  const pauses: number[] = [];
  for (let life = 1; life <= 8; life++) {
    newest().end();
    let pauseMs = 0;
    while (children.length === life) {
      time.advance(10);
      pauseMs += 10;
    }
    pauses.push(pauseMs);
  }
  t.strictSame(pauses, [50, 100, 200, 400, 800, 1000, 1000, 1000]);
  newest().comeUp([]);
  time.advance(11_000);
  newest().end();
  time.advance(restartDelayMinMs);
  t.equal(children.length, 10, 'at once again');
});

t.test('what the child said last is the reason; else its end is', async (t) => {
  const { newest, ends, time } = open();
  newest().comeUp([]);
  newest().send({ type: 'serviceDown', code: 'device.absent', detail: 'pcscd has ended' });
  newest().end('ended by SIGKILL');
  time.advance(restartDelayMinMs);
  newest().end('ended with status 7');
  t.match(ends, [
    { code: 'device.absent', detail: 'pcscd has ended' },
    { code: 'device.failed', detail: /status 7/ },
  ]);
});

t.test('a stop kills it, starts no other, and ends even when the child does not', async (t) => {
  const { supervised, newest, children, time } = open();
  newest().comeUp([]);
  await supervised.stop();
  t.ok(newest().killed);
  time.advance(60_000);
  t.equal(children.length, 1);
  t.equal(time.pending, 0, 'no timer is left');

  const stubborn = open();
  stubborn.newest().kill = () => {};
  let stopped = false;
  const stopping = stubborn.supervised.stop().then(() => {
    stopped = true;
  });
  await turn();
  t.notOk(stopped);
  stubborn.time.advance(1_500);
  await stopping;
  t.ok(stopped);
});

t.test('a stop between two lives starts no other', async (t) => {
  const { supervised, newest, children, time } = open();
  newest().end();
  await supervised.stop();
  time.advance(60_000);
  t.equal(children.length, 1);
});
