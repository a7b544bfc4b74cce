/**
 * Shows tags at the counter on the whole box: read in the same pass as application and wallets, where the merchant's order
 * says so; a secure tag's message goes to the host unproved, a member code on a tag counts as the code, any other tag is its
 * UID and never spends; tags that are torn away, cut or lying are refused. A Type 2 tag's chip is asked for its maker's
 * signature as the merchant wishes. With simulated tags behind a reader double.
 */
import t, { type Test } from 'tap';
import { tagId } from '../../drivers/protocols/tag/tag.js';
import { simulatedMaker } from '../../drivers/sim/tag/chip-maker.js';
import { type ChipAnswer, Ntag21x, type Type2Misbehaviour } from '../../drivers/sim/tag/ntag21x.js';
import { Ntag424, type NtagMisbehaviour } from '../../drivers/sim/tag/ntag424.js';
import { virtualAtr } from '../../drivers/sim/vpcd.js';
import type { RecordOf } from '../../host-sync/protocol/record.js';
import { subjectOf } from '../core/offline.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../kernel/native.js';
import { nativeChipCrypto } from '../kernel/native-chip.js';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, openBox, until } from '../sim/box-double.js';
import type { FieldPhone } from '../sim/reader-double.js';
import type { TagView } from './port.js';
import { chipMakers, type Originality } from './tags.js';
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
/** A tag whose chip answers so. */
function chip(how: ChipAnswer, text = 'hello') {
  const tag = new Ntag21x(Buffer.from(uid, 'hex'), text);
  tag.chip = how;
  return held(tag, tag.atr);
}
const asking = (mode: Originality['mode'], simulated = true): Originality => ({
  ...{ mode, makers: chipMakers(simulated, simulatedMaker), crypto: nativeChipCrypto },
});
async function openAsking(t: Test, originality: Originality | null, passesThrough = true) {
  const settings = { ...noWallets, tapOrder: ['application', 'tag'] as const, tagAddresses: [address] };
  const box = await openBox(t, { wallets: { settings, crypto }, originality });
  box.reader.passesThrough = passesThrough;
  return box;
}
const found = (box: BoxDouble): readonly TagView[] =>
  box.events.flatMap(({ event }) => (event.type === 'tag' ? [event.tag] : []));
const signatureAsked = (tag: { readonly asked: readonly string[] }) =>
  tag.asked.filter((header) => header === 'ff000000').length;
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

const chipFindings = {
  ...{ signed: 'yes', wrong: 'no', copied: 'no' },
  ...{ cut: 'unread', silent: 'unread', unpassed: 'unread' },
} as const satisfies Readonly<Record<ChipAnswer, TagView['chipGenuine']>>;
const chips = Object.entries(chipFindings) as [ChipAnswer, TagView['chipGenuine']][];

t.test(
  'report: one command more, behind the reading; three findings, and the tag earns whatever they are',
  async (t) => {
    const box = await openAsking(t, asking('report'));
    for (const [how, chipGenuine] of chips) {
      const tag = chip(how);
      t.match(await tapped(box, earn, tag), { result: 'accepted' }, how);
      t.same(
        found(box).at(-1),
        { chipGenuine, messageFresh: 'noProof', productKnown: 'notKnownHere', refused: null },
        how,
      );
      t.equal(signatureAsked(tag), 1, how);
      t.equal(tag.asked.at(-1), 'ff000000', 'nothing is asked behind it');
      t.same(
        credentialOf(box),
        { method: 'tagUid', tagId: bareId },
        'a chip that is genuine is no stronger a credential',
      );
    }
    t.match(await tapped(box, spend, chip('signed')), { result: 'refused', code: 'credential.tooWeak' });
    const sealed = held(secure());
    await tapped(box, earn, sealed);
    t.match(found(box).at(-1), { chipGenuine: 'notAsked', messageFresh: 'hostDecides', refused: null });
    t.equal(signatureAsked(sealed), 0, 'a Type 4 tag is not asked');
    t.notOk(JSON.stringify([found(box), box.records]).includes(uid), 'no finding names a tag');
    t.same(box.crashes, []);
  },
);

t.test('off, and a reader without a way: no command, and the tap goes on', async (t) => {
  const off = await openAsking(t, null);
  const tag = chip('wrong');
  t.match(await tapped(off, earn, tag), { result: 'accepted' });
  t.equal(signatureAsked(tag), 0);
  t.same(found(off), []);
  const without = await openAsking(t, asking('report'), false);
  const unasked = chip('signed');
  t.match(await tapped(without, earn, unasked), { result: 'accepted' });
  t.equal(signatureAsked(unasked), 0);
  t.match(found(without), [{ chipGenuine: 'notAsked' }]);
});

t.test('a tag that leaves while its chip is asked is tapped again; nothing is found', async (t) => {
  const box = await openAsking(t, asking('report'));
  const simulated = new Ntag21x(Buffer.from(uid, 'hex'), 'hello');
  const leaving = {
    ...held(simulated, simulated.atr),
    respond: (command: Bytes) => (command[1] === 0x00 ? 'tear' : simulated.respond(command)),
  } as FieldPhone;
  const { transactionId } = await box.start(earn);
  box.reader.tap(leaving);
  await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
  t.same(found(box), []);
  box.reader.tap(chip('signed'));
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  t.match(found(box), [{ chipGenuine: 'yes' }]);
});

t.test(
  'require: a Type 2 tag without a good signature is no credential, and says why; the next tag serves the sale',
  async (t) => {
    const code = {
      yes: null,
      no: 'tag.notGenuine',
      unread: 'tag.signatureUnread',
      notAsked: 'tag.signatureUnread',
    } as const;
    for (const [how, chipGenuine] of chips) {
      for (const text of ['hello', 'SLM1234567890128']) {
        const box = await openAsking(t, asking('require'));
        const { transactionId } = await box.start(earn);
        const link = box.reader.tap(chip(how, text));
        await until('the finding', () => found(box).length > 0);
        t.match(found(box), [{ chipGenuine, refused: code[chipGenuine] }], how);
        if (chipGenuine !== 'yes') {
          await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
          t.equal(box.records.length, 0, `${how}: nothing is recorded`);
          box.reader.remove(link);
          box.reader.tap(held(secure()));
        }
        t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, how);
      }
    }
    const without = await openAsking(t, asking('require'), false);
    await without.start(earn);
    without.reader.tap(chip('signed'));
    await until('the answer', () => without.prompts.at(-1) === 'tapAgain');
    t.match(found(without), [{ chipGenuine: 'notAsked', refused: 'tag.signatureUnread' }]);
  },
);

t.test('a real box never takes the simulator for a maker', async (t) => {
  const box = await openAsking(t, asking('require', false));
  await box.start(earn);
  box.reader.tap(chip('signed'));
  await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
  t.match(found(box), [{ chipGenuine: 'no', refused: 'tag.notGenuine' }]);
});

t.test('an idle tap asks the chip too, within its hold on the card', async (t) => {
  const box = await openAsking(t, asking('require'));
  box.reader.tap(chip('copied'));
  await until('the finding', () => box.events.some(({ event }) => event.type === 'inquiry'));
  t.match(found(box), [{ chipGenuine: 'no', refused: 'tag.notGenuine' }]);
  t.match(
    box.events.flatMap(({ event }) => (event.type === 'inquiry' ? [event.inquiry] : [])),
    [{ result: 'refused', code: 'tag.notGenuine' }],
  );
});
