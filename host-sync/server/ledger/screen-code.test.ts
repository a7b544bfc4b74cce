// Rotating screen codes at the host, on a real store: earning, paying where the merchant lets it, faults 9 and 45's cousins: a
// code counts once and for a minute, whichever box shows it first; what was shown before a log-out still earns.
import t from 'tap';
import { screenCode, stepAt, stepBytes } from '../../../drivers/protocols/screen-code/screen-code.js';
import { hex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { earn, spend } from '../sim/sales.js';
import { type Box, inWorld, type LooseDraft, must, said, type World } from '../sim/world.js';

const number = '13800000000';

/** What a member's page shows, after a log-in. */
async function openPage(world: World) {
  const drawn = await world.host.pages.drawCode(number);
  const { token, codes } = must(await world.host.pages.open(number, drawn?.code ?? ''));
  const [{ handle, seed } = { handle: '', seed: '' }] = codes;
  const codeAt = (atMs: number): string =>
    screenCode(handle, nativeCrypto.hmacSha256(hex(seed), stepBytes(stepAt(atMs))));
  return { token, codeAt, code: () => codeAt(world.clock.nowMs) };
}
const shown = (draft: LooseDraft, code: string): LooseDraft =>
  ({ ...draft, credential: { method: 'screenCode', code } }) as LooseDraft;

async function world20(world: World, box: Box) {
  const phone = await world.phone(number);
  return { phone, earnBy: (code: string, at: Box = box) => at.tell(shown(earn(at, phone, 30_000), code)) };
}

inWorld(t, 'a code earns once, at whichever box it is seen first', async (t, { world, box }) => {
  const { earnBy, phone } = await world20(world, box);
  const { code } = await openPage(world);
  const other = await world.box('other till');
  t.match(await earnBy(code()), { outcome: 'accepted', balances: { points: 300 } });
  t.equal(said(await earnBy(code(), other)), 'credential.replayed');
  t.equal((await world.host.alarms()).rows.filter((alarm) => alarm.code === 'credential.replayed').length, 1);
  world.clock.nowMs += 30_000;
  t.equal(said(await earnBy(code(), other)), 'accepted', 'the next one is another');
  t.equal((await world.host.members.byCode(phone.memberCode))?.points, 600);
});

inWorld(t, 'a code counts for a minute, by the host’s clock or the sale’s', async (t, { world, box }) => {
  const { earnBy } = await world20(world, box);
  const { codeAt } = await openPage(world);
  const now = world.clock.nowMs;
  t.equal(said(await earnBy(codeAt(now - 90_000))), 'credential.wrongProof', 'photographed');
  t.equal(said(await earnBy(codeAt(now + 60_000))), 'credential.wrongProof', 'from a phone far ahead');
  t.equal(said(await earnBy(codeAt(now - 60_000))), 'accepted');
  const record = box.record(shown(earn(box, await world.phone(number), 30_000), codeAt(now)));
  world.clock.nowMs += 7 * 86_400_000;
  t.equal(said((await box.send(record)).answers[0]), 'accepted', 'an earn that waited a week for the network');
  t.equal(said(await earnBy(`SLR${'0'.repeat(18)}`)), 'credential.unknown');
});

inWorld(t, 'it pays where the merchant lets it, and never without the host', async (t, { world, box }) => {
  const { earnBy, phone } = await world20(world, box);
  const { code } = await openPage(world);
  t.equal(said(await earnBy(code())), 'accepted');
  world.clock.nowMs += 30_000;
  const pay = async (): Promise<string> => said((await box.ask(shown(spend(box, phone, 100_00, 100), code()))).answer);
  t.equal(await pay(), 'credential.tooWeak', 'unless told otherwise it only earns');
  must(await world.host.rules.setPolicy({ screenCodeSpends: true }));
  t.equal(await pay(), 'accepted', 'the refused try has not used it up');
  const photographed = code();
  const atTheTime = box.record(shown(spend(box, phone, 100_00, 100), photographed));
  world.clock.nowMs += 90_000;
  t.equal(
    said((await box.send(atTheTime)).answers[0]),
    'credential.wrongProof',
    'a spend counts by the host’s clock alone',
  );
  const offline = { ...shown(spend(box, phone, 100_00, 100), code()), offline: { by: 'floor', coveredMinor: 100_00 } };
  t.equal(said(await box.tell(offline as LooseDraft)), 'credential.tooWeak');
});

inWorld(t, 'after a log-out nothing new counts, and what was shown before still earns', async (t, { world, box }) => {
  const { earnBy, phone } = await world20(world, box);
  const { code, codeAt, token } = await openPage(world);
  const before = world.clock.nowMs;
  const waiting = box.record(shown(earn(box, phone, 30_000), code()));
  world.clock.nowMs += 30_000;
  await world.host.pages.close(token);
  world.clock.nowMs += 1;
  t.equal(said((await box.send(waiting)).answers[0]), 'accepted');
  t.equal(said(await earnBy(codeAt(before + 30_000))), 'credential.blocked');
});
