/**
 * Plays every recording in this folder through the shipped driver again and compares what comes of it: the bytes that the driver
 * writes, the codes, cards and ends that it reports, in their order, and each command's answer. How: the driver on a stage that
 * gives the recorded bytes and orders at their recorded times, under a clock that moves when told. A recording from
 * `device record` on the console, put into this folder, is a test. Those that are there were made by scripts/record-vectors.ts.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { loadConfig } from '../../config/load.js';
import { type Bytes, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeRandom } from '../../terminal/kernel/native.js';
import type { DeviceOrder } from '../contract/driver.js';
import { decodeRecording, type RecordedLine, type Recording } from '../contract/recording.js';
import { createDrivers } from '../registry.js';
import { ManualTime } from '../sim/manual-time.js';
import { type Played, play, recorded, stages } from './stages/play.js';
import { orderOf } from './stages/stage.js';

const folder = fileURLToPath(new URL('../../../drivers/vectors', import.meta.url));
const recordings = readdirSync(folder)
  .filter((name) => name.endsWith('.rec'))
  .map((name) => {
    const read = decodeRecording(new Uint8Array(readFileSync(path.join(folder, name))));
    if (!read.ok) throw new Error(`${name}: ${read.error.detail} at ${read.error.offset}`);
    return { name, recording: read.value };
  });

t.test('every recording gives the same again', async (t) => {
  for (const { name, recording } of recordings) {
    const played = await play(recording);
    const wanted = recorded(recording);
    t.same(played.lines, wanted.lines, name);
    t.same(played.answers, wanted.answers, `${name}: answers`);
    t.ok(
      recording.lines.some(({ moment }) => moment !== 'in' && moment !== 'about' && moment !== 'opened'),
      `${name} says something`,
    );
  }
});

t.test('every driver that may be recorded has a stage and a recording', async (t) => {
  const config = loadConfig('');
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const { clock, schedule } = new ManualTime();
  const drivers = createDrivers(config.value, {
    ...{ clock, schedule, random: nativeRandom },
    messages: { ownNumber: '', homePrefix: '', openSpool: () => t.fail('nobody sends') as never },
  });
  const names = drivers.map(({ name }) => name).sort();
  t.same(Object.keys(stages).sort(), names);
  t.same([...new Set(recordings.map(({ recording }) => recording.driver))].sort(), names);
  const ofPhones = recordings.filter(({ recording }) => recording.identity === 'phones');
  t.ok(ofPhones.length > 0, 'Bluetooth has two kinds of devices');
});

/** One more in each byte that is a digit: what another device would have sent. */
const changed = (bytes: Bytes): Bytes => bytes.map((byte) => (byte >= 0x30 && byte <= 0x38 ? byte + 1 : byte));

/** Another order of the same kind; null: such an order has nothing in it that could be another. */
function anotherOrder(bytes: Bytes): Bytes | null {
  const order = orderOf(bytes);
  const json = (other: DeviceOrder): Bytes => utf8(JSON.stringify(other));
  if ('print' in order) return json({ print: { ...order.print, lines: ['another slip'] } });
  if ('show' in order) return json({ show: ['another', 'text'] });
  if ('send' in order) return json({ send: { ...order.send, text: 'another text' } });
  if ('askPin' in order) return json({ askPin: { ...order.askPin, timeoutS: 77 } });
  return 'transmit' in order ? json({ transmit: '00a40400' }) : null;
}

const withLine = (recording: Recording, at: number, line: RecordedLine | null): Recording => ({
  ...recording,
  lines: recording.lines.flatMap((each, index) => (index !== at ? [each] : line ? [line] : [])),
});

/** A text of earlier that a display shows once more when its line is opened again; nobody gives it anew. */
function isSaidAgain({ lines }: Recording, at: number): boolean {
  const line = lines[at];
  const isShow = line?.moment === 'order' && 'show' in orderOf(line.bytes);
  const before = lines.slice(0, at).filter(({ moment }) => moment !== 'out');
  return isShow && before.at(-1)?.moment === 'opened' && before.some(({ moment }) => moment === 'closed');
}

/** What the driver itself has done: what it wrote and reported, and the answers that it gave. */
const doneByDriver = ({ answers, lines }: Played): string =>
  JSON.stringify([lines.filter((line) => line !== 'in' && !line.startsWith('order ')), answers]);

t.test('a driver that made something else of the bytes would be found', async (t) => {
  for (const { name, recording } of recordings) {
    const wanted = doneByDriver(recorded(recording));
    const isFound = async (spoilt: Recording): Promise<boolean> => doneByDriver(await play(spoilt)) !== wanted;
    const pieces = { tried: 0, found: 0 };
    const orders = { tried: 0, found: 0 };
    for (const [at, line] of recording.lines.entries()) {
      if (line.moment === 'in') {
        pieces.tried += 1;
        const isOther = await isFound(withLine(recording, at, { ...line, bytes: changed(line.bytes) }));
        if (isOther || (await isFound(withLine(recording, at, null)))) pieces.found += 1;
      }
      if (line.moment !== 'order' || 'serve' in orderOf(line.bytes) || isSaidAgain(recording, at)) continue;
      orders.tried += 1;
      const another = anotherOrder(line.bytes);
      const isOther = another && (await isFound(withLine(recording, at, { ...line, bytes: another })));
      if (isOther || (await isFound(withLine(recording, at, null)))) orders.found += 1;
    }
    t.ok(pieces.tried + orders.tried > 0, `${name}: there is something to change`);
    t.ok(pieces.tried === 0 || pieces.found > 0, `${name}: ${pieces.found} of ${pieces.tried} pieces from the device`);
    t.equal(orders.found, orders.tried, `${name}: orders`);
  }
});
