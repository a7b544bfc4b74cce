/**
 * Shows what the host makes of tags: a secure tag's message earns once and its counter must rise, late earns of boxes without
 * a network count within bounds, it spends only where the merchant opted in; a bare UID earns and never spends, and a copy of
 * a secure tag's UID is nobody. With simulated tags, and keys read from a private file as the host reads them.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { tagId } from '../../../drivers/protocols/tag/tag.js';
import { Ntag424, type NtagMisbehaviour } from '../../../drivers/sim/tag/ntag424.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { Credential, OfflineDecision } from '../../protocol/record.js';
import { type Box, keyed, must, newId, openWorld, said, type World } from '../sim/world.js';
import { tagOpener } from '../tag-keys.js';
import { lateUsesMax } from './tag.js';

const address = 'https://tag.example/m?';
const uid = '04958caa5c5e80';
const piccKey = '00112233445566778899aabbccddeeff';
const fileKey = 'ffeeddccbbaa99887766554433221100';
const series = { address, identity: { encrypted: 'picc_data' }, mac: 'cmac', piccKey, fileKey };
const secureId = tagId(nativeCrypto, 'sun', uid);
const bareId = tagId(nativeCrypto, 'uid', uid);

function newTag(how: NtagMisbehaviour = 'none', counter = 0, picc = piccKey): Ntag424 {
  const bytes = (text: string): Buffer => Buffer.from(text, 'hex');
  const keys = { piccKey: bytes(picc), fileKey: bytes(fileKey) };
  const tag = new Ntag424({ address, uid: bytes(uid), ...keys, counter });
  tag.misbehaviour = how;
  return tag;
}
const sun = (tag: Ntag424): Credential => ({ method: 'sunTag', address: tag.nextAddress() });

type At = { readonly world: World; readonly box: Box; readonly code: string };
function withTag(name: string, run: (t: Test, at: At) => Promise<void>): void {
  void t.test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'shouli-tag-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'series.json');
    writeFileSync(file, JSON.stringify(series), { mode: 0o600 });
    const world = await openWorld({ openTag: tagOpener([file]) });
    t.teardown(() => world.close());
    const { memberCode } = must(await world.host.members.enlist({ phone: '13800000000', name: 'Wang' }));
    must(await world.host.members.bind(memberCode, 'tag', secureId));
    await run(t, { world, box: await world.box(), code: memberCode });
    t.same(await world.host.checkStore(), []);
  });
}

const earn = (credential: Credential, more: { atWallMs?: number; clockDoubtful?: boolean } = {}) => ({
  kind: 'pointsEarn' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential },
  ...{ rulesVersion: 1, points: 100, typed: false },
  ...more,
});
const spend = (credential: Credential, offline?: OfflineDecision) => ({
  kind: 'pointsSpend' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential },
  ...{ rulesVersion: 1, points: 50, coveredMinor: 50, ...(offline && { offline }) },
});

withTag('a message earns once, at any box, and the counter must rise', async (t, { world, box, code }) => {
  const tag = newTag();
  const recorded = sun(tag);
  const first = sun(tag);
  t.match(await box.tell(earn(first)), { outcome: 'accepted', pointsPosted: 100 });
  t.equal(said(await box.tell(earn(first))), 'credential.replayed');
  const other = await world.box('second till');
  t.equal(said(await other.tell(earn(first))), 'credential.replayed', 'at another box');
  const { address: text } = first as Extract<Credential, { method: 'sunTag' }>;
  for (const same of [`${text}&x=1`, `${text}#x`, text.replace(/cmac=.*/, (mac) => mac.toLowerCase())])
    t.equal(said(await box.tell(earn({ method: 'sunTag', address: same }))), 'credential.replayed', same);
  world.clock.nowMs += 1_000;
  t.equal(said(await other.tell(earn(recorded))), 'credential.replayed', 'recorded before, never used: too low now');
  t.equal(said(await other.tell(earn(sun(tag)))), 'accepted');
  t.equal((await world.host.members.byCode(code))?.points, 200);
  const alarms = (await world.host.alarms()).rows;
  t.ok(alarms.some((alarm) => alarm.code === 'credential.replayed'));
});

withTag('a late batch counts in any order, a few of each tag', async (t, { world, box }) => {
  const tag = newTag();
  const early = Array.from({ length: lateUsesMax + 1 }, () => sun(tag));
  const now = sun(tag);
  const { nowMs } = world.clock;
  t.equal(said(await box.tell(earn(now))), 'accepted');
  const [last, ...rest] = early.reverse();
  for (const each of rest) t.equal(said(await box.tell(earn(each, { atWallMs: nowMs - 60_000 }))), 'accepted');
  if (last)
    t.equal(said(await box.tell(earn(last, { atWallMs: nowMs - 60_000 }))), 'credential.replayed', 'one too many');
  t.equal(said(await box.tell(earn(sun(tag)))), 'accepted', 'the tag itself goes on');
  const [doubtful] = [sun(tag), await box.tell(earn(sun(tag)))];
  t.equal(
    said(await box.tell(earn(doubtful, { atWallMs: nowMs - 1, clockDoubtful: true }))),
    'credential.replayed',
    'a box that does not know the time cannot say that it was before',
  );
});

withTag('it spends only where the merchant opted in, and never without the host', async (t, { world, box }) => {
  const tag = newTag();
  await box.tell(earn(sun(tag)));
  const offered = sun(tag);
  t.equal(said((await box.ask(spend(offered))).answer), 'credential.tooWeak');
  must(await world.host.rules.setPolicy({ passesSpend: true, screenCodeSpends: true }));
  t.equal(said((await box.ask(spend(offered))).answer), 'credential.tooWeak', 'what passes may do is not for tags');
  must(await world.host.rules.setPolicy({ tagsSpend: true }));
  t.equal(said((await box.ask(spend(offered))).answer), 'accepted', 'the refusal had not used the message up');
  t.equal(said((await box.ask(spend(offered))).answer), 'credential.replayed');
  const offline = { by: 'floor', coveredMinor: 50 } as const;
  t.equal(said(await box.tell(spend(sun(tag), offline))), 'credential.tooWeak');
  must(await world.host.members.setKeyState(secureId, 'blocked'));
  t.equal(said((await box.ask(spend(sun(tag)))).answer), 'credential.blocked');
});

withTag('a bare UID earns, never spends, and is not the secure tag’s', async (t, { world, box, code }) => {
  const bare = { method: 'tagUid', tagId: bareId } as const;
  t.equal(said(await box.tell(earn(bare))), 'credential.unknown', 'a copy of the secure tag’s UID is nobody');
  t.equal(said(await box.tell(earn({ method: 'tagUid', tagId: '00'.repeat(8) }))), 'credential.unknown');
  must(await world.host.members.bind(code, 'tag', bareId));
  t.equal(said(await box.tell(earn(bare))), 'accepted');
  t.equal(said(await box.tell(earn(bare))), 'accepted', 'it proves nothing that could be used up');
  must(await world.host.rules.setPolicy({ tagsSpend: true, passesSpend: true }));
  t.equal(said((await box.ask(spend(bare))).answer), 'credential.tooWeak');
  t.equal(said(await box.tell(spend(bare, { by: 'floor', coveredMinor: 50 }))), 'credential.tooWeak');
});

withTag('a tag’s id shown as a pass is nobody’s, also where passes may spend', async (t, { world, box, code }) => {
  must(await world.host.rules.setPolicy({ passesSpend: true, tagsSpend: true }));
  must(await world.host.members.bind(code, 'tag', bareId));
  for (const passId of [secureId, bareId]) {
    const credential = {
      method: 'walletPass',
      wallet: 'apple',
      passId,
      answer: '5a'.repeat(16),
      answeredAtMs: null,
    } as const;
    t.equal(said(await box.tell(earn(credential))), 'credential.unknown');
    t.equal(said((await box.ask(spend(credential))).answer), 'credential.unknown');
    t.match(await world.host.members.bind(code, 'pass', passId), { error: { code: 'record.conflict' } });
  }
  const { keys } = must(await world.host.members.bind(code, 'tag', bareId));
  t.same(new Set(keys.map(({ kind }) => kind)), new Set(['tag']));
});

withTag(
  'a tag that an older host kept as a pass counts again once it is bound as a tag',
  async (t, { world, box, code }) => {
    const bare = { method: 'tagUid', tagId: bareId } as const;
    must(await world.host.members.bind(code, 'pass', bareId));
    t.equal(said(await box.tell(earn(bare))), 'credential.unknown');
    const other = must(await world.host.members.enlist({ phone: '13800000009', name: 'Li' }));
    t.match(await world.host.members.bind(other.memberCode, 'tag', bareId), { error: { code: 'record.conflict' } });
    must(await world.host.members.bind(code, 'tag', bareId));
    t.equal(said(await box.tell(earn(bare))), 'accepted');
  },
);

withTag('what does not prove itself is refused', async (t, { box }) => {
  t.equal(said(await box.tell(earn(sun(newTag('forged'))))), 'tag.forged');
  t.equal(said(await box.tell(earn(sun(newTag('wrongKey'))))), 'tag.forged');
  t.equal(said(await box.tell(earn(sun(newTag('none', 0, 'aa'.repeat(16)))))), 'tag.wrongKey');
  const whole = newTag().nextAddress();
  const said1 = async (address: string) => said(await box.tell(earn({ method: 'sunTag', address })));
  t.equal(await said1(whole.replace('tag.example', 'other.example')), 'tag.wrongKey', 'an address of no series');
  for (let length = address.length; length < whole.length; length++)
    t.equal(await said1(whole.slice(0, length)), 'tag.forged', `cut to ${length}`);
  t.equal(await said1(whole), 'accepted', 'none of them used the message up');
});

t.test('key files: private, and nothing of a key in what is said of a wrong one', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shouli-tag-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const write = (name: string, content: unknown, mode = 0o600): string => {
    writeFileSync(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content), { mode });
    return join(folder, name);
  };
  const plain = { ...series, identity: { uid: 'u', counter: 'c' } };
  t.doesNotThrow(() => tagOpener([write('a', series), write('b', plain)]));
  const wrong: readonly (readonly [string, () => string])[] = [
    ['readable by others', () => write('c', series, 0o644)],
    ['a key too short', () => write('d', { ...series, piccKey: piccKey.slice(2) })],
    ['a field too many', () => write('e', { ...series, extra: fileKey })],
    ['no JSON', () => write('f', `{${fileKey}`)],
    ['missing', () => join(folder, 'missing')],
  ];
  for (const [name, file] of wrong) {
    let error: unknown = null;
    try {
      tagOpener([file()]);
    } catch (thrown) {
      error = thrown;
    }
    t.match(error, { code: 'config.invalid' }, name);
    const text = `${String(error)} ${JSON.stringify(error)}`;
    t.notOk(text.includes(piccKey.slice(2)) || text.includes(fileKey), `${name}: no key in it`);
  }
  t.end();
});
