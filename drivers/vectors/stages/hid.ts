/**
 * Stages of the drivers that read HID reports: scanners, stripe readers, keypads. The device is the recorded one by its
 * descriptor and ids.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { ok } from '../../../terminal/kernel/result.js';
import { hidScannerOptionsDefault } from '../../hid/device-rules.js';
import type { HidInputDriver, HidPorts } from '../../hid/input-driver.js';
import { HidScannerDriver, KeypadDriver, StripeReaderDriver } from '../../hid/scanner-driver.js';
import { type OpenStage, type Playing, settingsOf } from './stage.js';

const hidStage =
  (open: (playing: Playing, named: string, ports: HidPorts) => HidInputDriver): OpenStage =>
  (playing) => {
    const { identity, lines } = playing.recording;
    let feed: (report: Bytes) => void = () => {};
    const [ids = '', socket = '1'] = identity.split('@');
    const [vendorId = '', productId = '', serial = ''] = ids.split(':');
    const descriptor = lines.find(({ bytes, moment }) => moment === 'about' && bytes[0] !== 0x7b)?.bytes;
    const device = {
      ...{ path: '/dev/hidraw0', instance: '1', vendorId, productId, serial, name: 'recorded', socket },
      descriptor: descriptor ?? new Uint8Array(0),
    };
    const { clock, schedule } = playing.time;
    const driver = open(playing, ids, {
      ...{ clock, schedule, look: () => [device], silence: () => ok(undefined) },
      open: async () =>
        ok({
          onReport: (listener) => {
            feed = listener;
          },
          onClosed: () => {},
          close: async () => {},
        }),
    });
    return { driver, identity, plays: { in: (bytes) => feed(bytes.slice()) } };
  };

export const hidStages = {
  'hid-scanner': hidStage(
    ({ recording }, _, ports) => new HidScannerDriver(settingsOf(recording, hidScannerOptionsDefault), ports),
  ),
  'hid-stripe': hidStage(
    ({ recording }, named, ports) =>
      new StripeReaderDriver(settingsOf(recording, { enabled: true, devices: [named], ignoredDevices: [] }), ports),
  ),
  'hid-keypad': hidStage(
    ({ recording }, named, ports) =>
      new KeypadDriver(settingsOf(recording, { devices: [named], gapMs: 10_000 }), ports),
  ),
} as const satisfies Readonly<Record<string, OpenStage>>;
