/**
 * Stages of Bluetooth: a scanner, and the place where phones are served. The driver over a child process that says the
 * frames which bring the recorded values.
 */
import { type Bytes, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import { BleDriver, type BleOptions } from '../../ble/ble-driver.js';
import { type BleFrame, bleFrames, offers, rssiOffset } from '../../ble/frames.js';
import { bleOptions } from '../../ble/options.js';
import { type OpenStage, type Playing, type Stage, settingsOf } from './stage.js';

const peer = 1;
const rssiNearDbm = -30;
const phones = 'phones';

/** The driver, what says a frame to it, and what its child was told. */
function openDriver({ recording, time }: Playing, wanted: Partial<BleOptions>, seen: () => void) {
  let toBox: (chunk: Bytes) => void = () => {};
  let ended: (how: string) => void = () => {};
  const say = (frame: BleFrame): void => toBox(bleFrames.encode(frame));
  const sent: BleFrame[] = [];
  const defaults = Object.fromEntries(
    bleOptions.map((option) => [option.key, option.default]),
  ) as unknown as BleOptions;
  const driver = new BleDriver({
    ...{ clock: time.clock, schedule: time.schedule },
    options: settingsOf(recording, { ...defaults, ...wanted }),
    spawn: () => {
      setImmediate(() => {
        say({ type: 'hello', version: bleFrames.version });
        say({ type: 'serviceUp', adapter: 'hci0' });
        seen();
      });
      return {
        pid: null,
        write: (bytes) => {
          const frames = bleFrames.stream().push(bytes);
          for (const frame of frames.ok ? frames.value : []) {
            if (frame.type === 'ping') say({ type: 'pong', nonce: frame.nonce });
            else sent.push(frame);
          }
        },
        onData: (listener) => {
          toBox = listener;
        },
        onEnded: (listener) => {
          ended = listener;
        },
        kill: () => queueMicrotask(() => ended('ended by SIGKILL')),
      };
    },
  });
  return { driver, say, sent };
}

function scannerStage(playing: Playing): Stage {
  const { identity } = playing.recording;
  const { driver, say } = openDriver(playing, { scanners: [identity], phones: false }, () => {
    say({ type: 'peerSeen', peer, offers: offers.uart, rssi: 0, label: identity });
    say({ type: 'peerOpened', peer, mtu: 23 });
  });
  return { driver, identity, plays: { in: (data) => say({ type: 'received', peer, data }) } };
}

/** A phone's address is in the ATR that stands for it (drivers/supervised/link-atr.ts). */
function addressIn(atr: Bytes): string {
  const at = toHex(atr).indexOf(toHex(utf8('BLE1'))) / 2 + 4;
  return [...atr.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function phoneStage(playing: Playing): Stage {
  const { driver, say, sent } = openDriver(playing, { scanners: [], phones: true }, () => {});
  return {
    driver,
    identity: phones,
    plays: {
      card: (atr) => {
        say({ type: 'peerSeen', peer, offers: offers.member, rssi: rssiNearDbm + rssiOffset, label: addressIn(atr) });
        if (sent.some(({ type }) => type === 'connect')) say({ type: 'peerOpened', peer, mtu: 23 });
      },
      out: (command, link) => void link?.transmit(command, durationMs(60_000)),
      in: (answer) => {
        const asked = sent.findLast((frame) => frame.type === 'transmit');
        if (asked) say({ type: 'answer', exchange: asked.exchange, answer });
      },
      cardGone: () => say({ type: 'peerClosed', peer, code: 'device.closed', detail: 'as recorded' }),
    },
    answersIn: (bytes) => [toHex(bytes)],
  };
}

const bleStage: OpenStage = (playing) =>
  playing.recording.identity === phones ? phoneStage(playing) : scannerStage(playing);

export const bleStages = { ble: bleStage } as const;
