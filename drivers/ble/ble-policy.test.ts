/**
 * Shows what the Bluetooth driver decides without any radio: that it is not there unless asked for, and how it waits after
 * connections that failed or were short. How: a child that only notes what it is told, and manual time.
 */
import t from 'tap';
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { DeviceSupervisor } from '../../terminal/runtime/device-supervisor.js';
import type { DeviceEvent } from '../contract/driver.js';
import { ManualTime } from '../sim/manual-time.js';
import type { ChildPipe } from '../supervised/spawn-child.js';
import { BleDriver, type BleOptions } from './ble-driver.js';
import { type BleFrame, bleFrames, rssiOffset } from './frames.js';

const address = 'c0:11:22:33:44:55';
const options: BleOptions = {
  scanners: [address.toUpperCase()],
  adapter: '',
  phones: false,
  phoneRssiMin: -55,
  idleGapMs: 300,
  gattTimeoutMs: 1_000,
  heartbeatMs: 2_000,
  restartDelayMaxMs: 10_000,
};

/** @param isAlone without a supervisor, which would start it */
function open(changes: Partial<BleOptions> = {}, isAlone = true) {
  const time = new ManualTime();
  const told: BleFrame[] = [];
  const events: DeviceEvent[] = [];
  let children = 0;
  let onData: (chunk: Bytes) => void = () => {};
  const stream = bleFrames.stream();
  const send = (frame: BleFrame): void => onData(bleFrames.encode(frame));
  const driver = new BleDriver({
    clock: time.clock,
    schedule: time.schedule,
    options: { ...options, ...changes },
    spawn: (): ChildPipe => {
      children++;
      return {
        pid: null,
        write: (bytes) => {
          const frames = stream.push(bytes);
          for (const frame of frames.ok ? frames.value : []) {
            told.push(frame);
            if (frame.type === 'ping') send({ type: 'pong', nonce: frame.nonce });
          }
        },
        onData: (listener) => {
          onData = listener;
        },
        onEnded: () => {},
        kill: () => {},
      };
    },
  });
  const started = isAlone ? driver.start((event) => events.push(event)) : Promise.resolve();
  return { time, told, events, driver, send, started, children: () => children };
}

t.test('with nothing configured there is no process and no row', async (t) => {
  const { driver, started, children } = open({ scanners: [] });
  await started;
  t.equal(children(), 0);
  t.strictSame(driver.statuses(), []);
});

t.test(
  'scanners that nobody configured: each listed with the lines that claim it, until it is not heard for a minute',
  (t) => {
    const { time, send, driver } = open();
    send({ type: 'hello', version: bleFrames.version });
    send({ type: 'serviceUp', adapter: 'hci0' });
    const seen = (peer: number) =>
      send({ type: 'peerSeen', peer, offers: 1, rssi: 50, label: `c0:00:00:00:00:${10 + peer} S\u001b${peer}` });
    for (let peer = 1; peer <= 20; peer++) seen(peer);
    t.equal(driver.unclaimed().length, 16, 'bounded');
    t.match(driver.unclaimed()[0], {
      ...{ name: 'S␛1', place: 'c0:00:00:00:00:11', vendorId: '' },
      configuration: ['[bluetooth]', `scanners = ["${address.toUpperCase()}","c0:00:00:00:00:11"]`],
    });
    time.advance(60_000);
    seen(20);
    t.equal(driver.unclaimed().length, 16);
    time.advance(1);
    seen(20);
    t.strictSame(
      driver.unclaimed().map(({ place }) => place),
      ['c0:00:00:00:00:30'],
    );
    send({ type: 'serviceDown', code: 'device.absent', detail: 'no Bluetooth adapter' });
    t.strictSame(driver.unclaimed(), []);
    const full = open({ scanners: Array.from({ length: 8 }, (_, index) => `c0:00:00:00:01:0${index}`) });
    full.send({ type: 'peerSeen', peer: 1, offers: 1, rssi: 50, label: 'c0:00:00:00:00:11' });
    t.match(full.driver.unclaimed(), [{ name: '', why: /cannot be more/, configuration: [] }]);
    t.end();
  },
);

t.test(
  'a scanner that is heard and never answers is called less and less by the box, and the adapter is free in between',
  async (t) => {
    const { time, told, send, driver } = open({}, false);
    const { clock, schedule } = time;
    const supervisor = new DeviceSupervisor({ drivers: [driver], clock, schedule, disabled: [], onEvent: () => {} });
    const stateNow = () => supervisor.statuses()[1]?.state;
    const started = supervisor.start();
    send({ type: 'hello', version: bleFrames.version });
    send({ type: 'serviceUp', adapter: 'hci0' });
    await started;
    const callMs = 5_000;
    let [calls, calledMs] = [0, 0];
    for (let passedMs = 0; passedMs < 300_000; ) {
      send({ type: 'peerSeen', peer: 1, offers: 1, rssi: rssiOffset - 50, label: `${address} Scanner` });
      const isCalled = told.splice(0).some(({ type }) => type === 'connect');
      time.advance(isCalled ? callMs : 100);
      passedMs += isCalled ? callMs : 100;
      if (!isCalled) continue;
      calls++;
      calledMs += callMs;
      send({ type: 'peerClosed', peer: 1, code: 'device.timedOut', detail: 'connect: no answer' });
    }
    t.equal(calls, 12, '0, 1, 2, 4, 8, 16 s, then each 30 s');
    t.ok(calledMs <= 60_000, 'a fifth of the time at most');
    t.equal(stateNow(), 'failing');
    time.advance(30_000);
    t.equal(stateNow(), 'opening', 'served again');
    time.advance(30_000);
    t.equal(stateNow(), 'absent', 'not heard any more');
    // Its child never ends: the driver waits for that no longer than it says.
    const stopped = supervisor.stop();
    time.advance(2_000);
    await stopped;
  },
);

t.test('pauses after failed connections double up to 30 s; a long link forgets them', async (t) => {
  const { time, told, send, driver } = open();
  send({ type: 'hello', version: bleFrames.version });
  send({ type: 'serviceUp', adapter: 'hci0' });
  const attempts = () => told.filter((frame) => frame.type === 'connect').length;
  const seen = () => send({ type: 'peerSeen', peer: 1, offers: 0, rssi: rssiOffset - 50, label: `${address} Scanner` });
  const pauseMs = (): number => {
    const before = attempts();
    for (let waited = 0; ; waited += 50) {
      seen();
      if (attempts() > before) return waited;
      time.advance(50);
    }
  };
  const pauses: number[] = [];
  for (let attempt = 0; attempt < 10; attempt++) {
    pauses.push(pauseMs());
    send({ type: 'peerClosed', peer: 1, code: 'device.closed', detail: 'the link was lost' });
  }
  t.strictSame(pauses, [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  pauseMs();
  send({ type: 'peerOpened', peer: 1, mtu: 23 });
  t.equal(driver.statuses()[1]?.state, 'ready');
  time.advance(10_000);
  send({ type: 'peerClosed', peer: 1, code: 'device.closed', detail: 'the link was lost' });
  t.equal(pauseMs(), 0, 'at once');
  t.match(driver.statuses()[1]?.counters, { connections: 1, failures: 10 });
});
