/**
 * Shows tags at the counter on the whole box: read in the same pass as application and wallets, where the merchant's order
 * says so; a secure tag's message goes to the host unproved, a member code on a tag counts as the code, any other tag is its
 * UID and never spends; tags that are torn away, cut or lying are refused. With simulated tags behind a reader double.
 */
import t, { type Test } from 'tap';
import { tagId } from '../../drivers/protocols/tag/tag.js';
import { Ntag21x, type Type2Misbehaviour } from '../../drivers/sim/tag/ntag21x.js';
import { Ntag424, type NtagMisbehaviour } from '../../drivers/sim/tag/ntag424.js';
import { virtualAtr } from '../../drivers/sim/vpcd.js';
import type { RecordOf } from '../../host-sync/protocol/record.js';
import { subjectOf } from '../core/offline.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../kernel/native.js';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import type { FieldPhone } from '../sim/reader-double.js';
import { noWallets, type TapMethod } from './wallet-settings.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };
const earn = { service: 'pointsEarn' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;
const address = 'https://tag.example/m?';
const uid = '04958caa5c5e80';
const bareId = tagId(nativeCrypto, 'uid', uid);
const key = Buffer.alloc(16, 7);

const openWith = (t: Test, tapOrder: readonly TapMethod[] = ['application', 'tag'], tagAddresses = [address]) =>
  openBox(t, { wallets: { settings: { ...noWallets, tapOrder, tagAddresses }, crypto } });

interface Tag {
  respond(command: Bytes): Bytes;
  powerLost(): void;
}
/** A tag for the reader double, with the headers of what it was asked. */
function held(tag: Tag, atr = virtualAtr()): FieldPhone & { readonly asked: string[] } {
  const asked: string[] = [];
  const respond = (command: Bytes): Bytes => {
    asked.push(toHex(command.subarray(0, 4)));
    return tag.respond(command);
  };
  return { atr, asked, respond, entered: () => {}, left: () => tag.powerLost() } as FieldPhone & { asked: string[] };
}
function secure(how: NtagMisbehaviour = 'none'): Ntag424 {
  const tag = new Ntag424({ address, uid: Buffer.from(uid, 'hex'), piccKey: key, fileKey: key, counter: 4 });
  tag.misbehaviour = how;
  return tag;
}
function plain(text: string, how: Type2Misbehaviour = 'none') {
  const tag = new Ntag21x(Buffer.from(uid, 'hex'), text);
  tag.misbehaviour = how;
  return held(tag, tag.atr);
}
const credentialOf = (box: BoxDouble) =>
  box.records.filter((r): r is RecordOf<'pointsEarn'> => r.kind === 'pointsEarn').at(-1)?.credential;
async function tapped(box: BoxDouble, command: typeof earn | typeof spend, phone: FieldPhone) {
  const { transactionId } = await box.start(command);
  const link = box.reader.tap(phone);
  const { outcome } = await box.ended(transactionId);
  box.reader.remove(link);
  return outcome;
}

t.test('a secure tag earns: the application is asked first, then the tag; the host gets its message', async (t) => {
  const box = await openWith(t);
  const phone = held(secure());
  t.match(await tapped(box, earn, phone), { result: 'accepted', points: 300 });
  t.same(phone.asked.slice(0, 2), ['00a40400', '00a40400']);
  t.match(credentialOf(box), {
    method: 'sunTag',
    address: /^https:\/\/tag\.example\/m\?picc_data=[0-9A-F]{32}&cmac=[0-9A-F]{16}$/,
  });
  t.match(box.records.at(-1), { kind: 'consumption', businessId: null }, 'whose it is, the host alone can tell');
  t.same(box.crashes, []);
});

t.test('a tag is not asked where the merchant did not name it', async (t) => {
  for (const tag of [held(secure()), plain('SLM1234567890128')]) {
    const box = await openWith(t, ['application']);
    await box.start(earn);
    box.reader.tap(tag);
    await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
    t.notOk(
      tag.asked.some((header) => /^(00b0|ffb0|ffca)/.test(header)),
      'nothing is read',
    );
    t.equal(box.records.length, 0);
  }
});

t.test('a member code on a tag is that code; anything else is the bare UID, which never spends', async (t) => {
  const box = await openWith(t);
  await tapped(box, earn, plain('SLM1234567890128'));
  t.same(credentialOf(box), { method: 'memberCode', code: 'SLM1234567890128' });
  for (const text of ['SLM1234567890123', 'hello', "x' OR 1=1 --", 'SLC1234567890128']) {
    t.match(await tapped(box, earn, plain(text)), { result: 'accepted' });
    t.same(credentialOf(box), { method: 'tagUid', tagId: bareId }, text);
  }
  t.match(box.records.at(-1), { kind: 'consumption', businessId: bareId });
  t.notOk(JSON.stringify(box.records).includes(uid), 'the UID stays on the box');
  const { length } = box.records;
  t.match(await tapped(box, spend, plain('hello')), { result: 'refused', code: 'credential.tooWeak' });
  t.match(await tapped(box, spend, plain('SLM1234567890128')), { result: 'refused', code: 'credential.tooWeak' });
  t.equal(box.records.length, length, 'nothing leaves the box');
  const other = await openWith(t, ['tag'], []);
  await tapped(other, earn, held(secure()));
  t.same(credentialOf(other), { method: 'tagUid', tagId: bareId }, 'a secure tag of somebody else');
});

t.test('a storage card is asked for nothing that it cannot know', async (t) => {
  const box = await openWith(t);
  const tag = plain('SLM1234567890128');
  await tapped(box, earn, tag);
  t.same([...new Set(tag.asked.map((header) => header.slice(0, 4)))], ['ffb0']);
});

t.test('without the host a tag earns and never spends', async (t) => {
  const messages = [secure(), secure('wrongKey')].map(
    (tag) => ({ method: 'sunTag', address: tag.nextAddress() }) as const,
  );
  t.same([...new Set(messages.map(subjectOf))], ['sunTag'], 'offline limits bind all secure tags as one member');
  const box = await openWith(t);
  box.host.up = false;
  t.match(await tapped(box, earn, held(secure())), { result: 'accepted' });
  t.match(await tapped(box, spend, held(secure())), { result: 'refused', code: 'host.unreachable' });
  t.match(await tapped(box, spend, plain('hello')), { result: 'refused', code: 'credential.tooWeak' });
});

t.test('a tag that lies or is cut asks for another tap, under the same sale', async (t) => {
  const wrong: readonly (readonly [string, () => FieldPhone])[] = [
    ['oversized', () => held(secure('oversized'))],
    ['cut', () => held(secure('cut'))],
    ['past the end', () => plain('SLM1234567890128', 'pastEnd')],
    ['a bad copy', () => plain('SLM1234567890128', 'badCheck')],
    ['cut blocks', () => plain('SLM1234567890128', 'cut')],
  ];
  for (const [name, tag] of wrong) {
    const box = await openWith(t);
    const { transactionId } = await box.start(earn);
    const link = box.reader.tap(tag());
    await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
    box.reader.remove(link);
    box.reader.tap(held(secure()));
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, `${name}, then a good tag`);
    t.equal(box.records.filter(({ kind }) => kind === 'pointsEarn').length, 1, name);
  }
});
