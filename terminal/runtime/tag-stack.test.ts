/**
 * Shows tags read on the real path: the shipped driver in its child, pcscd, a virtual reader, and the simulated tags that
 * `phone tag` attaches: a secure one and a storage card, torn away at each command, and the next one read after it; a chip's
 * signature through the reader, good, another chip's and refused.
 */
import t from 'tap';
import type { DeviceEvent } from '../../drivers/contract/driver.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { PcscDriver } from '../../drivers/pcsc/pcsc-driver.js';
import { openSun } from '../../drivers/protocols/sun/sun.js';
import { tagId } from '../../drivers/protocols/tag/tag.js';
import { openPcscRig } from '../../drivers/sim/pcscd.js';
import { simulatedMaker } from '../../drivers/sim/tag/chip-maker.js';
import { type ChipAnswer, Ntag21x } from '../../drivers/sim/tag/ntag21x.js';
import { Ntag424 } from '../../drivers/sim/tag/ntag424.js';
import { type CardScript, createVirtualCard } from '../../drivers/sim/vpcd.js';
import { walletPhone } from '../../drivers/sim/wallet/wallet-phone.js';
import { equalBytes } from '../kernel/bytes.js';
import { nativeClock, nativeCrypto } from '../kernel/native.js';
import { nativeChipCrypto } from '../kernel/native-chip.js';
import { chipMakers, Tags } from './tags.js';

t.setTimeout(300_000);
const address = 'https://tag.example/m?';
const uid = '04958caa5c5e80';
const key = Buffer.alloc(16, 7);

t.test('through pcscd', async (t) => {
  const rig = await openPcscRig();
  t.teardown(() => rig.close());
  let waiting: ((link: ApduLink) => void) | null = null;
  const driver = new PcscDriver({
    clock: nativeClock,
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    options: { virtualReaders: true },
  });
  t.teardown(() => driver.stop());
  await driver.start((event: DeviceEvent) => {
    if (event.type === 'cardPresented') waiting?.(event.link);
  });
  const found: string[] = [];
  const setup = {
    ...{ addresses: [address], crypto: nativeCrypto, clock: nativeClock },
    found: ({ chipGenuine }: { readonly chipGenuine: string }) => void found.push(chipGenuine),
  };
  const tags = new Tags({ ...setup, originality: null });
  const originality = { makers: chipMakers(true, simulatedMaker), crypto: nativeChipCrypto };
  const reporting = new Tags({ ...setup, originality: { ...originality, mode: 'report' } });
  const requiring = new Tags({ ...setup, originality: { ...originality, mode: 'require' } });

  let taps = 0;
  const tag = new Ntag424({ address, uid: Buffer.from(uid, 'hex'), piccKey: key, fileKey: key, counter: 0 });
  const secure = (): CardScript => walletPhone({ wallet: tag, name: `T${process.pid % 10_000}-${taps++}` });
  const storage = (text: string, chip: ChipAnswer = 'signed'): CardScript => {
    const simulated = new Ntag21x(Buffer.from(uid, 'hex'), text);
    simulated.chip = chip;
    return { ...walletPhone({ wallet: simulated }), atr: simulated.atr };
  };
  async function tap(script: CardScript, tearAt?: number, reader: Pick<Tags, 'read'> = tags) {
    const card = createVirtualCard({ script });
    const presented = new Promise<ApduLink>((resolve) => {
      waiting = (link) => equalBytes(link.atr, script.atr) && resolve(link);
    });
    if (tearAt !== undefined) card.tearAt(tearAt, 'after');
    await card.insert();
    const link = await presented;
    const read = await reader.read(link);
    await link.close();
    await card.remove();
    return read.ok ? read.value : read.error.code;
  }
  /** The counter that a message proves, with the tag's keys. */
  function counterOf(read: Awaited<ReturnType<typeof tap>>): number | string {
    if (typeof read === 'string' || read.method !== 'sunTag') return JSON.stringify(read);
    const layout = {
      identity: { kind: 'encrypted', parameter: 'picc_data' },
      ...{ mac: 'cmac', macFrom: null, fileData: null },
    } as const;
    const opened = openSun(nativeCrypto, { picc: key, file: key }, layout, read.address);
    return opened.ok ? opened.value.counter : opened.error.code;
  }

  t.equal(counterOf(await tap(secure())), 1);
  t.equal(counterOf(await tap(secure())), 2);
  for (const at of [1, 2, 3, 4, 5, 6]) t.equal(await tap(secure(), at), 'device.cardRemoved', `torn at ${at}`);
  const after = counterOf(await tap(secure()));
  t.ok(typeof after === 'number' && after > 2, 'and the next tap has a counter of its own');
  t.same(await tap(storage('SLM1234567890128')), { method: 'memberCode', code: 'SLM1234567890128' });
  t.equal(counterOf(await tap(secure())), Number(after) + 1);
  t.equal(await tap(storage('SLM1234567890128'), 2), 'device.cardRemoved');
  t.equal(counterOf(await tap(secure())), Number(after) + 2);
  t.same(await tap(storage('hello')), { method: 'tagUid', tagId: tagId(nativeCrypto, 'uid', uid) });
  t.same(found, [], 'nobody asked for a signature');

  const asTag = { method: 'tagUid', tagId: tagId(nativeCrypto, 'uid', uid) };
  t.same(await tap(storage('hello'), undefined, reporting), asTag);
  t.same(await tap(storage('hello', 'copied'), undefined, reporting), asTag);
  t.same(await tap(storage('hello'), undefined, requiring), asTag);
  t.equal(await tap(storage('hello', 'copied'), undefined, requiring), 'tag.notGenuine');
  t.equal(await tap(storage('hello', 'silent'), undefined, requiring), 'tag.signatureUnread');
  for (let time = 0; time < 3; time++)
    t.equal(await tap(storage('hello', 'unpassed'), undefined, requiring), 'tag.signatureUnread');
  t.same(await tap(storage('hello'), undefined, reporting), asTag, 'read on');
  t.same(found, ['yes', 'no', 'yes', 'no', ...Array(4).fill('unread'), 'notAsked'], 'and asked no more');
});
