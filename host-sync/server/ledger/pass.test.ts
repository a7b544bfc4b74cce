/**
 * Shows what the host makes of passes in wallets: bound to a member they earn, once per answer over all boxes and near its
 * time; they spend only where the merchant opted in; and passes that a box held back are opened here with the merchant's key.
 */
import { createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { passTypeHash } from '../../../drivers/protocols/vas/pass-answer.js';
import { askForPasses } from '../../../drivers/protocols/vas/session.js';
import { answerName, passId } from '../../../drivers/protocols/wallet-pass/wallet-pass.js';
import { type AppleMisbehaviour, AppleWallet } from '../../../drivers/sim/wallet/apple-wallet.js';
import { runDialogue } from '../../../drivers/sim/wallet/run-dialogue.js';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeWalletCrypto, privateKeyOfPem } from '../../../terminal/kernel/native.js';
import type { OfflineDecision, PassCredential } from '../../protocol/record.js';
import { type Box, keyed, must, newId, openWorld, said, type World } from '../sim/world.js';
import { passOpener } from '../wallet-keys.js';

const issuer = 'pass.com.example.loyalty';
const number = 'M-0017';
const id = passId(nativeCrypto, 'apple', issuer, number);

type Opened = { readonly world: World; readonly box: Box; readonly memberCode: string; readonly key: Uint8Array };
/** A world with one member, whose pass is bound, and a host that holds the merchant's pass key. */
function withPass(name: string, run: (t: Test, opened: Opened) => Promise<void>): void {
  void t.test(name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'shouli-pass-'));
    t.teardown(() => rmSync(folder, { recursive: true }));
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      .privateKey.export({ format: 'pem', type: 'pkcs8' })
      .toString();
    const file = join(folder, 'pass.pem');
    writeFileSync(file, pem, { mode: 0o600 });
    const key = nativeWalletCrypto.publicKeyOf(privateKeyOfPem(pem) ?? hex(''));
    if (!key) throw new Error('a key');
    const openApple = passOpener([file]);
    const world = await openWorld({
      openPass: (pass) => (pass.method === 'sealedPass' ? openApple(pass) : { ok: false, code: 'pass.unknownKey' }),
    });
    t.teardown(() => world.close());
    const { memberCode } = must(await world.host.members.enlist({ phone: '13800000000', name: 'Wang' }));
    must(await world.host.members.bind(memberCode, 'pass', id));
    await run(t, { world, box: await world.box(), memberCode, key });
    t.same(await world.host.checkStore(), []);
  });
}

const opened = (atMs: number, answer = toHex(randomBytes(16))): PassCredential => ({
  ...{ method: 'walletPass', wallet: 'apple', passId: id, answer, answeredAtMs: atMs },
});
/** What the box sends of a pass that it cannot open. */
function sealed({ world, key }: Opened, how: AppleMisbehaviour = 'none', says = number): PassCredential {
  const wallet = new AppleWallet(
    [{ passTypeId: issuer, merchantKey: key, message: says }],
    world.clock.wallMs,
    randomBytes,
  );
  wallet.misbehaviour = how;
  wallet.respond(hex('00a404000a4f53452e5641532e303100'));
  const wanted = [{ typeHash: passTypeHash(nativeCrypto, issuer), url: null }];
  const found = must(runDialogue(askForPasses(wanted, { mode: 'vasOnly', all: false }), (c) => wallet.respond(c)));
  const answer = found[0]?.sealed ?? hex('');
  return { method: 'sealedPass', issuer, answer: answerName(nativeCrypto, answer), sealed: toHex(answer) };
}

const earn = (credential: PassCredential, more: { atWallMs?: number; clockDoubtful?: boolean } = {}) => ({
  kind: 'pointsEarn' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential },
  ...{ rulesVersion: 1, points: 100, typed: false },
  ...more,
});
const spend = (credential: PassCredential, more: { offline?: OfflineDecision } = {}) => ({
  kind: 'pointsSpend' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential },
  ...{ rulesVersion: 1, points: 50, coveredMinor: 50 },
  ...more,
});

withPass('a bound pass earns; its answer counts once, at any box', async (t, { world, box, memberCode }) => {
  const credential = opened(world.clock.nowMs);
  t.match(await box.tell(earn(credential)), { outcome: 'accepted', pointsPosted: 100, balances: { points: 100 } });
  t.equal(said(await box.tell(earn(credential))), 'credential.replayed');
  const other = await world.box('second till');
  t.equal(said(await other.tell(earn(credential))), 'credential.replayed');
  t.equal((await world.host.members.byCode(memberCode))?.points, 100);
  t.equal(said(await other.tell(earn(opened(world.clock.nowMs)))), 'accepted', 'another answer of it');
  t.equal(
    said(await box.tell(earn({ ...opened(world.clock.nowMs), passId: 'ab'.repeat(8) } as PassCredential))),
    'credential.unknown',
  );
});

withPass('an answer is good near its time only, by the clock of whoever met it', async (t, { world, box }) => {
  const { nowMs } = world.clock;
  const minute = 60_000;
  for (const [offset, word] of [
    [-2 * minute, 'accepted'],
    [2 * minute, 'accepted'],
    [-2 * minute - 1, 'pass.outOfTime'],
    [2 * minute + 1, 'pass.outOfTime'],
  ] as const)
    t.equal(said((await box.ask(earn(opened(nowMs + offset)))).answer), word, `${offset} ms`);
  const yesterday = nowMs - 86_400_000;
  t.equal(said(await box.tell(earn(opened(yesterday), { atWallMs: yesterday }))), 'accepted', 'met offline, told late');
  t.equal(said(await box.tell(earn(opened(yesterday)))), 'pass.outOfTime');
  t.equal(
    said(await box.tell(earn(opened(yesterday), { clockDoubtful: true }))),
    'accepted',
    'a box that does not know the time: it counts once all the same',
  );
  const bound = { ...opened(0), wallet: 'google', answeredAtMs: null } as PassCredential;
  t.equal(said(await box.tell(earn(bound))), 'accepted', 'bound to the box’s own session');
});

withPass('a pass spends only where the merchant opted in, and never without the host', async (t, { world, box }) => {
  await box.tell(earn(opened(world.clock.nowMs)));
  const first = opened(world.clock.nowMs);
  t.equal(said((await box.ask(spend(first))).answer), 'credential.tooWeak');
  must(await world.host.rules.setPolicy({ passesSpend: true }));
  t.equal(said((await box.ask(spend(first))).answer), 'accepted', 'the refusal had not used the answer up');
  t.equal(said((await box.ask(spend(first))).answer), 'credential.replayed');
  const offline = { by: 'floor', coveredMinor: 50 } as const;
  t.equal(said(await box.tell(spend(opened(world.clock.nowMs), { offline }))), 'credential.tooWeak');
  must(await world.host.members.setKeyState(id, 'blocked'));
  t.equal(said((await box.ask(spend(opened(world.clock.nowMs)))).answer), 'credential.blocked');
});

withPass('a pass that was held back is opened here', async (t, world) => {
  const { box } = world;
  const credential = sealed(world);
  const sale = earn(credential);
  t.match(await box.tell(sale), { outcome: 'accepted', balances: { points: 100 } });
  t.equal(said(await box.tell(earn(credential))), 'credential.replayed');
  const { answer } = credential;
  t.equal(
    said(await box.tell(earn(opened(world.world.clock.nowMs, answer)))),
    'credential.replayed',
    'also when another box opened it itself',
  );
  t.equal(
    said(await box.tell(earn({ ...sealed(world), answer: '00'.repeat(16) }))),
    'pass.forged',
    'a name of its own',
  );
  const bought = await box.tell({
    kind: 'consumption',
    currency: 'CNY',
    ...{ sale: sale.transactionId, businessId: null, amountMinor: 10_000 },
    ...{ category: 'dining', location: 'here', merchant: 'us' },
  });
  t.equal(said(bought), 'accepted');
  const months = await world.world.host.consumption.months(world.memberCode);
  t.match(months.rows, [{ category: 'dining', amountMinor: 10_000 }], 'and the purchase is the member’s');
});

withPass('a pass is no phone: nothing is proved by it or sealed to it', async (t, { world, box, memberCode }) => {
  const nonce = 'a5'.repeat(16);
  const nonces = { terminalNonce: nonce, phoneNonce: nonce };
  const tap = { method: 'tap' as const, key: 'member' as const, keyId: id, ...nonces, counter: 1, proof: nonce };
  t.equal(said(await box.tell({ ...earn(opened(0)), credential: tap })), 'credential.unknown');
  const phone = await world.phone('13800000000');
  const other = must(await world.host.members.enlist({ phone: '13800000001', name: 'Li' }));
  t.match(await world.host.members.bind(other.memberCode, 'pass', id), { error: { code: 'record.conflict' } });
  const phoneId = toHex(phone.keyId);
  t.match(await world.host.members.bind(memberCode, 'pass', phoneId), { error: { code: 'record.conflict' } });
  t.equal(
    said(await box.tell(earn({ ...opened(world.clock.nowMs), passId: phoneId } as PassCredential))),
    'credential.unknown',
  );
  const member = must(await world.host.members.bind(memberCode, 'pass', id));
  t.same(member.keys.map(({ kind }) => kind).sort(), ['pass', 'phone']);
});

withPass('what does not open is refused', async (t, world) => {
  const expected = {
    wrongKey: 'pass.forged',
    wrongPass: 'pass.forged',
    offCurve: 'pass.forged',
    flipped: 'pass.forged',
    wrongKeyId: 'pass.unknownKey',
    stale: 'pass.outOfTime',
  } as const;
  for (const [how, code] of Object.entries(expected))
    t.equal(said(await world.box.tell(earn(sealed(world, how as AppleMisbehaviour)))), code, how);
  t.equal(said(await world.box.tell(earn(sealed(world, 'none', 'M-0018')))), 'credential.unknown', 'bound to nobody');
});

t.test('key files: P-256 in PEM that nobody else may read', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shouli-pass-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const write = (name: string, text: string, mode = 0o600): string => {
    writeFileSync(join(folder, name), text, { mode });
    return join(folder, name);
  };
  const pem = (namedCurve: string) =>
    generateKeyPairSync('ec', { namedCurve }).privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const good = pem('P-256');
  const sec1 = createPrivateKey(good).export({ format: 'pem', type: 'sec1' }).toString();
  t.doesNotThrow(() => passOpener([write('a', good), write('b', sec1)]));
  const refused = { code: 'config.invalid' };
  t.throws(() => passOpener([write('c', good, 0o644)]), refused, 'readable by others');
  t.throws(() => passOpener([write('d', pem('P-384'))]), refused, 'another curve');
  t.throws(() => passOpener([write('e', 'no key')]), refused);
  t.throws(() => passOpener([join(folder, 'missing')]), refused);
  t.end();
});
