// Shows when the simulated set starts and when it never does. The choice is pure; what is plugged in is given.
import { test } from 'tap';
import { choose } from './choice.js';

const neither = { simulated: false, real: false };
const file = '/box/shouli.toml';

test('nothing there: simulated, unless real is asked for', async (t) => {
  t.equal(choose(null, neither, file).simulated, true);
  t.equal(choose(null, { simulated: false, real: true }, file).simulated, false);
});

test('something plugged in: real, unless simulated is asked for', async (t) => {
  t.equal(choose('reader: ACR122U', neither, file).simulated, false);
  t.equal(choose('reader: ACR122U', { simulated: true, real: false }, file).simulated, true);
});

test('something configured: never simulated, and asking for it is refused', async (t) => {
  for (const devices of ['configured readers: ACR122U', 'configured scanners: /dev/serial/by-id/x']) {
    t.equal(choose(devices, neither, file).simulated, false);
    t.throws(() => choose(devices, { simulated: true, real: false }, file), /names real devices/);
  }
});

test('both wishes together are refused', async (t) => {
  t.throws(() => choose(null, { simulated: true, real: true }, file), /exclude each other/);
});
