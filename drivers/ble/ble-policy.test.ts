/**
 * Shows what the Bluetooth driver decides without any radio: that it is not there unless asked for, and how it waits after
 * connections that failed or were short. How: a child that only notes what it is told, and manual time.
 */
import t from 'tap';
import type { Bytes } from '../../terminal/kernel/bytes.js';
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

function open(changes: Partial<BleOptions> = {}) {
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
  const started = driver.start((event) => events.push(event));
  return { time, told, events, driver, send, started, children: () => children };
}

t.test('with nothing configured there is no process and no row', async (t) => {
  const { driver, started, children } = open({ scanners: [] });
  await started;
  t.equal(children(), 0);
  t.strictSame(driver.statuses(), []);
});

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
