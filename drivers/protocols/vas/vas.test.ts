/**
 * Shows that passes are read as Apple's wallet gives them: the published vector, whole exchanges with an independent simulated
 * wallet in every way it can misbehave, every truncation and every flipped bit, and that an answer counts once and in its time.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import { type AppleMisbehaviour, AppleWallet, appleMisbehaviours } from '../../sim/wallet/apple-wallet.js';
import { runDialogue } from '../../sim/wallet/run-dialogue.js';
import { decodeOseAnswer, selectOseCommand } from '../ose/ose.js';
import { freshnessDefault, judgeFreshness, noUsedAnswers, type UsedAnswers } from './freshness.js';
import { openPassAnswer, passAnswerBytesMax, passKey, passTypeHash } from './pass-answer.js';
import { askForPasses, decodeGetDataAnswer, getDataCommand, offerSignUp } from './session.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };

/** From public documents: a demonstration pass, its issuer's published private key, and what a phone answered. */
const published = {
  passTypeId: 'pass.com.passkit.pksamples.nfcdemo',
  privateKey: hex('3d1547f23cd78ad052a58860f1219e8fb791ec4dfe33769f5b9bfa627a656ca1'),
  request:
    '80ca01014b9f220201009f252003b57cdb3eca0984ba9abdc2fb45d86626d87b39d33c5c6dbbc313a6347a31469f2604008000029f291168747470733a2f2f6170706c652e636f6d9f2b050100000000' +
    '00',
  sealed: hex(
    'c0b77375d3f37956d84a538f28ac2a04b38ddc1a67d3647a4dd30abd736ea1cea8038388692e89db99e4746d872de782395640c536e79a75c47a9343da0af3937f06eeca7a865c4ad05a2c543ad2',
  ),
} as const;
const keyOf = (privateKey: Bytes) => {
  const key = passKey(crypto, privateKey);
  if (!key) throw new Error('a key of the curve');
  return key;
};
const publishedKey = keyOf(published.privateKey);
const publishedType = passTypeHash(crypto, published.passTypeId);
const open = (sealed: Bytes, keys = [publishedKey], typeHash = publishedType) =>
  openPassAnswer(crypto, keys, typeHash, sealed);

t.test('the published answer opens with the published key', (t) => {
  t.equal(toHex(publishedKey.keyId), 'c0b77375');
  const opened = open(published.sealed);
  t.same(opened, { ok: true, value: { atMs: Date.UTC(2023, 6, 9, 16, 35, 58), message: '6d1UlFpnOc50iVKRaboDOK' } });
  const others = Array.from({ length: 3 }, () => keyOf(nativeKeyAgreement.generateKeyPair().privateKey));
  t.ok(open(published.sealed, [...others, publishedKey]).ok, 'found among the keys of a merchant');
  t.end();
});

t.test('each cut and each flipped bit of it is refused; so are another key and another pass type', (t) => {
  for (let length = 0; length < published.sealed.length; length++)
    t.notOk(open(published.sealed.subarray(0, length)).ok, `cut to ${length}`);
  for (let bit = 0; bit < published.sealed.length * 8; bit++) {
    const changed = Uint8Array.from(published.sealed);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const opened = open(changed);
    const code = bit < 32 ? 'pass.unknownKey' : 'pass.forged';
    t.equal(opened.ok ? 'opened' : opened.error.code, code, `bit ${bit}`);
  }
  const codeOf = (opened: ReturnType<typeof open>) => (opened.ok ? 'opened' : opened.error.code);
  t.equal(codeOf(open(published.sealed, [keyOf(hex('01'.repeat(32)))])), 'pass.unknownKey');
  t.equal(codeOf(open(published.sealed, [])), 'pass.unknownKey');
  t.equal(
    codeOf(open(published.sealed, [{ ...publishedKey, privateKey: hex('01'.repeat(32)) }])),
    'pass.forged',
    'two keys whose short ids are alike',
  );
  t.equal(codeOf(open(published.sealed, [publishedKey], passTypeHash(crypto, 'pass.other'))), 'pass.forged');
  t.equal(codeOf(open(new Uint8Array(passAnswerBytesMax + 1))), 'input.tooLong');
  for (const none of ['00'.repeat(32), 'ff'.repeat(32), '01'.repeat(31)]) t.equal(passKey(crypto, hex(none)), null);
  t.end();
});

t.test('GET DATA is the published command', (t) => {
  const command = getDataCommand({
    protocol: 'full',
    mode: 'vasOnly',
    typeHash: publishedType,
    moreFollow: false,
    url: 'https://apple.com',
    filter: hex('0100000000'),
  });
  t.equal(toHex(command), published.request);
  const bare = getDataCommand({
    protocol: 'full',
    mode: 'vasAndPayment',
    typeHash: publishedType,
    moreFollow: true,
    url: null,
    nonce: hex('01020304'),
  });
  t.match(toHex(bare), /^80ca0101369f220201009f2520[0-9a-f]{64}9f2604008000819f28040102030400$/);
  t.throws(() =>
    getDataCommand({ protocol: 'url', mode: 'vasOnly', typeHash: publishedType, moreFollow: false, url: null }),
  );
  t.end();
});

t.test('the selection: published answers of both wallets, cut and changed', (t) => {
  t.equal(toHex(selectOseCommand()), '00a404000a4f53452e5641532e303100');
  const apple = hex('6f1d50084170706c655061799f210201009f2404e9caede39f23040000003e9000');
  t.same(decodeOseAnswer(apple), {
    ok: true,
    value: { wallet: 'apple', version: hex('0100'), nonce: hex('e9caede3') },
  });
  for (let length = 0; length < apple.length; length++) {
    const cut = decodeOseAnswer(apple.subarray(0, length));
    t.notOk(cut.ok, `cut to ${length}`);
  }
  const codeOf = (bytes: string) => {
    const decoded = decodeOseAnswer(hex(bytes));
    return decoded.ok ? decoded.value.wallet : decoded.error.code;
  };
  t.equal(codeOf('6a82'), 'card.noApplication');
  t.equal(codeOf('6f0a50084f74686572506179' + '9000'), 'card.noApplication', 'OtherPay');
  t.equal(codeOf('6f0f50084170706c655061799f210202009000'), 'input.unsupported', 'version 2');
  t.equal(codeOf('9000'), 'input.malformed');
  t.end();
});

t.test('answers to GET DATA: each status word, each truncation', (t) => {
  const whole = Buffer.concat([hex('70549f2a009f274e'), published.sealed, hex('9000')]);
  const said = (answer: Bytes, asked: 'full' | 'url' = 'full') => {
    const decoded = decodeGetDataAnswer(asked, answer);
    return decoded.ok ? decoded.value.said : decoded.error.code;
  };
  t.equal(said(whole), 'pass');
  for (let length = 2; length < whole.length; length++) {
    // Behind a cut nothing but a status word makes an answer of it.
    t.not(said(Buffer.concat([whole.subarray(0, length - 2), hex('9000')])), length === whole.length ? '' : 'pass');
    t.match(said(whole.subarray(0, length)), /^(input|card)\./, `cut to ${length}`);
  }
  t.equal(said(hex('6287')), 'locked');
  t.equal(said(hex('6984')), 'mustChoose');
  t.equal(said(hex('6a83')), 'noPass');
  t.equal(said(hex('6a81')), 'card.unreadable');
  t.equal(said(hex('9000')), 'input.malformed');
  t.equal(said(hex('9000'), 'url'), 'noted');
  t.equal(said(Buffer.concat([hex('70819c9f2a009f278195'), new Uint8Array(0x95), hex('9000')])), 'input.tooLong');
  t.end();
});

interface Stage {
  readonly wallet: AppleWallet;
  readonly merchant: ReturnType<typeof keyOf>;
  readonly types: readonly Bytes[];
}
const nowMs = Date.UTC(2026, 10, 27, 9);
function stage(misbehaviour: AppleMisbehaviour = 'none'): Stage {
  const { privateKey, publicKey } = nativeKeyAgreement.generateKeyPair();
  const pass = (passTypeId: string, message: string) => ({ passTypeId, message, merchantKey: publicKey });
  const wallet = new AppleWallet([pass('pass.a', 'M-1'), pass('pass.b', '会员2')], () => nowMs, randomBytes);
  wallet.misbehaviour = misbehaviour;
  wallet.respond(selectOseCommand());
  return {
    wallet,
    merchant: keyOf(privateKey),
    types: ['pass.x', 'pass.a', 'pass.b'].map((id) => passTypeHash(crypto, id)),
  };
}
/** Asks, and opens what comes. */
function read({ wallet, merchant, types }: Stage, all = false) {
  const wanted = types.map((typeHash) => ({ typeHash, url: null }));
  const found = runDialogue(askForPasses(wanted, { mode: 'vasAndPayment', all }), (command) => wallet.respond(command));
  if (!found.ok) return found.error.code;
  return found.value.map(({ typeHash, sealed }) => {
    const opened = open(sealed, [merchant], typeHash);
    return opened.ok ? opened.value : opened.error.code;
  });
}

t.test('an exchange with an independent wallet: the first pass, all passes, none', (t) => {
  const one = stage();
  t.same(read(one), [{ atMs: nowMs, message: 'M-1' }]);
  t.same(
    one.wallet.asked.map(({ moreFollow }) => moreFollow),
    [true, true],
    'more requests follow, until one answered',
  );
  const every = stage();
  t.same(read(every, true), [
    { atMs: nowMs, message: 'M-1' },
    { atMs: nowMs, message: '会员2' },
  ]);
  t.same(
    every.wallet.asked.map(({ moreFollow }) => moreFollow),
    [true, true, false],
  );
  t.equal(read({ ...stage(), types: [passTypeHash(crypto, 'pass.x')] }), 'pass.none');
  t.end();
});

t.test('each way in which the wallet can misbehave has its one answer', (t) => {
  const expected: Readonly<Record<AppleMisbehaviour, unknown>> = {
    none: [{ atMs: nowMs, message: 'M-1' }],
    locked: 'pass.locked',
    mustChoose: 'pass.mustChoose',
    replay: [{ atMs: nowMs, message: 'M-1' }],
    wrongKey: ['pass.forged'],
    wrongKeyId: ['pass.unknownKey'],
    wrongPass: ['pass.forged'],
    oversized: 'input.tooLong',
    offCurve: ['pass.forged'],
    flipped: ['pass.forged'],
    stale: [{ atMs: nowMs - 3_600_000, message: 'M-1' }],
  };
  for (const how of appleMisbehaviours) t.same(read(stage(how)), expected[how], how);
  t.end();
});

t.test('URL mode shows the sign-up address and brings nothing', (t) => {
  const { wallet, types } = stage();
  const [typeHash = hex('')] = types;
  const shown = runDialogue(offerSignUp(typeHash, 'https://shop.example/join', 'vasOnly'), (c) => wallet.respond(c));
  t.same(shown, { ok: true, value: 'noted' });
  t.same(wallet.asked, [{ passType: toHex(typeHash), url: 'https://shop.example/join', moreFollow: false }]);
  t.end();
});

t.test('an answer counts once, and only near its time', (t) => {
  const use = (memory: UsedAnswers, digest: string, atMs: number, now = nowMs) =>
    judgeFreshness(memory, { digest, atMs }, now);
  const first = use(noUsedAnswers, 'a', nowMs);
  t.ok(first.fresh);
  if (!first.fresh) return void t.end();
  t.same(use(first.memory, 'a', nowMs), { fresh: false, code: 'credential.replayed' });
  t.ok(use(first.memory, 'b', nowMs).fresh);
  const { windowMs } = freshnessDefault;
  t.ok(use(first.memory, 'b', nowMs - windowMs).fresh);
  t.ok(use(first.memory, 'b', nowMs + windowMs).fresh);
  t.same(use(first.memory, 'b', nowMs - windowMs - 1), { fresh: false, code: 'pass.outOfTime' });
  t.same(use(first.memory, 'b', nowMs + windowMs + 1), { fresh: false, code: 'pass.outOfTime' });
  t.end();
});

t.test('the memory is bounded, and what is forgotten cannot come again', (t) => {
  const policy = { windowMs: 120_000, usedMax: 4 };
  let memory = noUsedAnswers;
  const used = Array.from({ length: 20 }, (_, i) => ({ digest: `d${i}`, atMs: nowMs + i * 1_000 }));
  for (const answer of used) {
    const judged = judgeFreshness(memory, answer, nowMs, policy);
    t.ok(judged.fresh);
    if (judged.fresh) memory = judged.memory;
    t.ok(memory.used.length <= policy.usedMax);
  }
  for (const answer of used)
    t.same(judgeFreshness(memory, answer, nowMs, policy), { fresh: false, code: 'credential.replayed' }, answer.digest);
  t.end();
});
