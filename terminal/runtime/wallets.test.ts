/**
 * Shows the tap loop on the whole box: application, Apple's and Google's wallet asked in the merchant's order in one pass of
 * the field, the first that answers taken; what a pass may do; and wallets that are locked, late, replaying or forged.
 * With the shipped terminal and store, simulated phones behind a reader double, and a host and a clock moved by hand.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openPassAnswer, passKey, passTypeHash } from '../../drivers/protocols/vas/pass-answer.js';
import { passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import { type AppleMisbehaviour, AppleWallet } from '../../drivers/sim/wallet/apple-wallet.js';
import { type GoogleMisbehaviour, GoogleWallet } from '../../drivers/sim/wallet/google-wallet.js';
import { type SimulatedWallet, walletPhone } from '../../drivers/sim/wallet/wallet-phone.js';
import type { RecordOf } from '../../host-sync/protocol/record.js';
import { collectorKey } from '../../host-sync/server/collector-key.js';
import { openVault } from '../../host-sync/server/vault.js';
import { type Bytes, hex, toHex } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto, privateKeyOfPem } from '../kernel/native.js';
import type { Points } from '../kernel/units.js';
import { type BoxDouble, openBox, terminalId, until } from '../sim/box-double.js';
import { refusal } from '../sim/host-double.js';
import type { FieldPhone } from '../sim/reader-double.js';
import {
  noWallets,
  type TapMethod,
  type WalletOptions,
  type WalletSettings,
  walletSettings,
} from './wallet-settings.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };
const merchant = nativeKeyAgreement.generateKeyPair();
const key = passKey(crypto, merchant.privateKey);
if (!key) throw new Error('a key');
const issuer = 'pass.com.example.loyalty';
const earn = { service: 'pointsEarn' } as const;
const spend = { service: 'pointsSpend', points: 5_000 as Points } as const;

const settings: WalletSettings = {
  tapOrder: ['application', 'vas', 'smartTap'],
  apple: { passTypeIds: ['pass.other', issuer], keys: [key], mode: 'vasOnly', signUpUrl: null },
  google: { collectorId: 777, keyVersion: 1, privateKey: merchant.privateKey },
  hostSignatureMs: 500,
  tagAddresses: [],
};
const openWith = (t: Test, change: Partial<WalletSettings> = {}) =>
  openBox(t, { wallets: { settings: { ...settings, ...change }, crypto } });

/** A phone for the reader double, with what it was asked. */
function held(wallet: SimulatedWallet): FieldPhone & { readonly asked: readonly string[] } {
  const asked: string[] = [];
  const script = walletPhone({ wallet, onCommand: (header, status) => asked.push(`${header} ${status}`) });
  return { ...script, asked, entered: () => {}, left: () => wallet.powerLost() } as FieldPhone & {
    readonly asked: readonly string[];
  };
}
const apple = (box: BoxDouble, how: AppleMisbehaviour = 'none'): AppleWallet => {
  const pass = { passTypeId: issuer, merchantKey: merchant.publicKey, message: 'M-17' };
  const wallet = new AppleWallet([pass], () => box.clock.wallMs(), randomBytes);
  wallet.misbehaviour = how;
  return wallet;
};
const google = (how: GoogleMisbehaviour = 'none'): GoogleWallet => {
  const wallet = new GoogleWallet(
    { collectorId: 777, keys: new Map([[1, merchant.publicKey]]), service: 'ly', number: 'L-88' },
    randomBytes,
  );
  wallet.misbehaviour = how;
  return wallet;
};
const credentialOf = (box: BoxDouble) =>
  box.records.filter((r): r is RecordOf<'pointsEarn'> => r.kind === 'pointsEarn').at(-1)?.credential;

t.test('an iPhone’s pass earns: the application is asked first, then the passes in their order', async (t) => {
  const box = await openWith(t);
  const { transactionId } = await box.start(earn);
  const phone = held(apple(box));
  box.reader.tap(phone);
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted', points: 300 });
  t.same(phone.asked, ['00a40400 6a82', '00a40400 9000', '80ca0101 6a83', '80ca0101 9000']);
  const id = passId(crypto, 'apple', issuer, 'M-17');
  t.match(credentialOf(box), { method: 'walletPass', wallet: 'apple', passId: id, answer: /^[0-9a-f]{32}$/ });
  t.match(box.records.at(-1), { kind: 'consumption', businessId: id });
  t.notOk(JSON.stringify(box.records).includes('M-17'), 'the pass’s number stays on the box');
  await until('the release', () => box.reader.links[0]?.closed);
  t.same(box.crashes, []);
});

t.test('a Google wallet’s pass earns, by either selection', async (t) => {
  const box = await openWith(t);
  for (const nonceInOse of [true, false]) {
    const wallet = google();
    wallet.nonceInOse = nonceInOse;
    const { transactionId } = await box.start(earn);
    box.reader.tap(held(wallet));
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
    const credential = credentialOf(box);
    t.match(credential, { wallet: 'google', passId: passId(crypto, 'google', '777', 'L-88'), answeredAtMs: null });
  }
  const [first, second] = box.records.flatMap((r) => (r.kind === 'pointsEarn' ? [r.credential] : []));
  t.not(
    first?.method === 'walletPass' && first.answer,
    second?.method === 'walletPass' && second.answer,
    'each session has its own name',
  );
});

t.test(
  'a pass asks for balances once: a sale behind it wants a new tap, one in front of the host’s question does not',
  async (t) => {
    const box = await openWith(t);
    const phone = held(apple(box));
    const link = box.reader.tap(phone);
    const shown = () => box.events.filter(({ event }) => event.type === 'inquiry').map(({ event }) => event);
    await until('the balances', () => shown().length === 1);
    t.match(shown(), [{ inquiry: { result: 'known', points: 1_000 } }]);
    t.match(box.host.inquired, [{ credential: { method: 'walletPass', wallet: 'apple' } }]);
    const { transactionId } = await box.start(earn);
    t.match(box.terminal.sale(transactionId), { phase: 'waiting', prompt: 'present' });
    box.reader.remove(link);
    box.reader.tap(phone);
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
    const [asked] = box.host.inquired;
    t.not(
      asked?.credential.method === 'walletPass' && asked.credential.answer,
      credentialOf(box)?.method === 'walletPass' && (credentialOf(box) as { answer: string }).answer,
    );

    const early = await openWith(t);
    early.reader.tap(held(apple(early)));
    const sale = await early.start(earn);
    t.match((await early.ended(sale.transactionId)).outcome, { result: 'accepted' }, 'read anew for the sale');
    t.same(early.host.inquired, []);

    const away = await openWith(t);
    away.host.up = false;
    const asleep = held(apple(away));
    away.reader.tap(asleep);
    await until('the refusal', () => away.events.some(({ event }) => event.type === 'inquiry'));
    t.match(away.events.at(-1)?.event, { inquiry: { result: 'refused', code: 'host.unreachable' } });
    t.notOk(
      asleep.asked.some((command) => command.startsWith('80ca')),
      'no pass was given in vain',
    );
  },
);

t.test('the order is the merchant’s, and the first that answers is taken', async (t) => {
  const orders: readonly (readonly [readonly TapMethod[], string])[] = [
    [['application', 'vas'], 'tap'],
    [['vas', 'application'], 'walletPass'],
    [['smartTap', 'vas', 'application'], 'walletPass'],
    [['application'], 'tap'],
  ];
  for (const [tapOrder, method] of orders) {
    const box = await openWith(t, { tapOrder });
    const own = box.host.phone('13800138000');
    const wallet = apple(box);
    // One phone with both: what is for the member application goes there.
    let selected: 'own' | 'wallet' = 'wallet';
    const both: FieldPhone = {
      atr: own.atr,
      entered: () => own.entered(),
      left: () => own.left(),
      respond: (command: Bytes) => {
        if (command[1] === 0xa4) selected = toHex(command).includes('53484f554c49') ? 'own' : 'wallet';
        return selected === 'own' ? own.respond(command) : new Uint8Array(wallet.respond(command));
      },
    };
    const { transactionId } = await box.start(earn);
    box.reader.tap(both);
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, tapOrder.join());
    t.equal(credentialOf(box)?.method, method, tapOrder.join());
  }
});

t.test('a card’s own coupon is asked of the application alone', async (t) => {
  const box = await openWith(t);
  await box.start({ service: 'couponCard' });
  const phone = held(apple(box));
  box.reader.tap(phone);
  await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
  t.same(phone.asked, ['00a40400 6a82']);
});

t.test('a phone whose application has no member key is asked for its pass; without one it is refused', async (t) => {
  for (const hasPass of [true, false]) {
    const box = await openWith(t);
    const wallet = apple(box);
    const phone: FieldPhone = {
      ...held(wallet),
      respond: (command: Bytes) => {
        if (toHex(command).includes('53484f554c49')) return hex(`0100${'00'.repeat(16)}${'a5'.repeat(16)}9000`);
        if (command[1] === 0x10) return hex('6a88');
        return hasPass ? new Uint8Array(wallet.respond(command)) : hex('6a82');
      },
    };
    const { transactionId } = await box.start(earn);
    box.reader.tap(phone);
    const { outcome } = await box.ended(transactionId);
    t.match(outcome, hasPass ? { result: 'accepted' } : { result: 'refused', code: 'card.absent' });
  }
});

t.test('what hinders a pass asks for another tap, under the same sale', async (t) => {
  const cases: readonly (readonly [string, (box: BoxDouble) => SimulatedWallet])[] = [
    ['locked', (box) => apple(box, 'locked')],
    ['mustChoose', (box) => apple(box, 'mustChoose')],
    ['wrong key', (box) => apple(box, 'wrongKey')],
    ['wrong pass', (box) => apple(box, 'wrongPass')],
    ['oversized', (box) => apple(box, 'oversized')],
    ['an hour late', (box) => apple(box, 'stale')],
    ['busy', () => google('busy')],
    ['forged', () => google('flipped')],
    ['bomb', () => google('bomb')],
    ['chosen by the owner', () => google('mustChoose')],
  ];
  for (const [name, wallet] of cases) {
    const box = await openWith(t);
    const { transactionId } = await box.start(earn);
    const link = box.reader.tap(held(wallet(box)));
    await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
    box.reader.remove(link);
    box.reader.tap(held(apple(box)));
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, `${name}, then a good pass`);
    t.equal(box.records.filter(({ kind }) => kind === 'pointsEarn').length, 1, name);
  }
});

t.test('an answer that was taken is not taken again', async (t) => {
  const box = await openWith(t);
  const wallet = apple(box, 'replay');
  const first = await box.start(earn);
  box.reader.remove(box.reader.tap(held(wallet)));
  box.reader.tap(held(wallet));
  await box.ended(first.transactionId);
  await box.start(earn);
  box.reader.tap(held(wallet));
  await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
  t.equal(box.records.filter(({ kind }) => kind === 'pointsEarn').length, 1);
});

t.test('a box without the key holds the answer back for its host', async (t) => {
  const box = await openWith(t, { apple: { passTypeIds: [issuer], keys: [], mode: 'vasOnly', signUpUrl: null } });
  const { transactionId } = await box.start(earn);
  box.reader.tap(held(apple(box)));
  t.match((await box.ended(transactionId)).outcome, { result: 'accepted' });
  const credential = credentialOf(box);
  t.match(credential, { method: 'sealedPass', issuer });
  if (credential?.method !== 'sealedPass') return;
  const opened = openPassAnswer(crypto, [key], passTypeHash(crypto, issuer), hex(credential.sealed));
  t.match(opened, { ok: true, value: { message: 'M-17' } }, 'the host can open it');
  t.match(box.records.at(-1), { kind: 'consumption', businessId: null });
});

/** A host that has the collector's key, as the shipped host signs and opens. */
function collectorIn(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'shouli-wallet-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const collectorKeyFile = join(folder, 'collector.pem');
  writeFileSync(collectorKeyFile, pem, { mode: 0o600 });
  const publicKey = nativeWalletCrypto.publicKeyOf(privateKeyOfPem(pem) ?? hex(''));
  if (!publicKey) throw new Error('a key');
  const vault = openVault(join(folder, 'keys'), nativeKeyAgreement, true);
  return { publicKey, ...collectorKey({ collectorId: 777, collectorKeyFile, collectorKeyVersion: 4 }, vault) };
}
/** A box whose host has the key, and phones that know its public half. */
async function openHeld(t: Test, change: Partial<WalletSettings> = {}) {
  const collector = collectorIn(t);
  const box = await openWith(t, { google: { collectorId: 777, keyVersion: 1, privateKey: null }, ...change });
  box.host.decideSignature = (request) => collector.sign(terminalId, box.clock.wallMs(), request);
  const phone = (how: GoogleMisbehaviour = 'none'): GoogleWallet => {
    const pass = {
      collectorId: 777,
      keys: new Map([[4, collector.publicKey]]),
      service: 'ly',
      number: 'L-88',
    } as const;
    const wallet = new GoogleWallet(pass, randomBytes);
    wallet.misbehaviour = how;
    return wallet;
  };
  return { box, collector, phone };
}

t.test('a box without the collector’s key: the host signs in mid-tap and opens what the phone gave', async (t) => {
  const { box, collector, phone } = await openHeld(t);
  t.equal(box.terminal.status().googleWallet, 'withHost');
  for (const [nonceInOse, how] of [
    [true, 'none'],
    [false, 'none'],
    [true, 'chained'],
    [true, 'busyOnce'],
  ] as const) {
    const wallet = phone(how);
    wallet.nonceInOse = nonceInOse;
    const { transactionId } = await box.start(earn);
    box.reader.tap(held(wallet));
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted', points: 300 }, `${nonceInOse} ${how}`);
    const credential = credentialOf(box);
    t.equal(credential?.method, 'sealedSmartTap');
    if (credential?.method !== 'sealedSmartTap') return;
    const id = passId(crypto, 'google', '777', 'L-88');
    t.match(collector.open(credential), { ok: true, passId: id, terminalId, answer: credential.answer });
    t.match(box.records.at(-1), { kind: 'consumption', businessId: null }, 'the box does not know whose it is');
  }
  t.equal(new Set(box.host.signaturesAsked.map(({ terminalNonce }) => terminalNonce)).size, 4, 'a nonce for each tap');
  t.notOk(JSON.stringify(box.records).includes('L-88'));
  t.same(box.crashes, []);
});

t.test('without the host Google is asked for nothing, and the tap goes on by the order', async (t) => {
  const { box, phone } = await openHeld(t);
  box.host.up = false;
  t.equal(box.terminal.status().googleWallet, 'notAsked');
  const asked = held(phone());
  const away = await box.start(earn);
  const link = box.reader.tap(asked);
  await until('the answer', () => box.prompts.at(-1) === 'tapAgain');
  t.same(asked.asked, ['00a40400 6a82', '00a40400 9000'], 'selected, no more');
  box.reader.remove(link);
  box.reader.tap(held(apple(box)));
  t.match((await box.ended(away.transactionId)).outcome, { result: 'accepted', authority: 'box' });
  t.same(box.host.signaturesAsked, []);
});

t.test('a host that is silent, busy or has no such collector costs the tap its bound at most', async (t) => {
  for (const [name, answer, code, why] of [
    ['silent', null, 'pass.hostSilent', 'host.noAnswer'],
    ['too many', { outcome: 'refused', code: 'access.rateLimited' }, 'pass.hostSilent', 'access.rateLimited'],
    ['no collector', { outcome: 'refused', code: 'pass.unknownKey' }, 'pass.unknownKey', 'pass.unknownKey'],
  ] as const) {
    const { box, phone } = await openHeld(t, { tapOrder: ['smartTap', 'application'], hostSignatureMs: 300 });
    box.host.decideSignature = () => answer;
    const own = box.host.phone('13800138000');
    const wallet = phone();
    // One phone with both: behind the wallet that is not asked comes the member application.
    let isOwn = false;
    const asked: string[] = [];
    const both: FieldPhone = {
      atr: own.atr,
      entered: () => own.entered(),
      left: () => own.left(),
      respond: (command: Bytes) => {
        if (command[1] === 0xa4) isOwn = toHex(command).includes('53484f554c49');
        if (!isOwn) asked.push(toHex(command.subarray(0, 2)));
        return isOwn ? own.respond(command) : new Uint8Array(wallet.respond(command));
      },
    };
    const { transactionId } = await box.start(earn);
    box.reader.tap(both);
    await until('the question', () => box.host.signaturesAsked.length === 1);
    if (answer === null) {
      box.time.advance(299);
      await new Promise((resolve) => setImmediate(resolve));
      t.same(box.kinds, [], 'not before its time');
      box.time.advance(1);
    }
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, name);
    t.equal(credentialOf(box)?.method, 'tap', 'by the next method');
    t.same(asked, ['00a4'], 'the wallet was selected and not asked');
    t.match(box.terminal.status(), { googleWallet: 'withHost', googleTrouble: { code: why } }, 'status says why');
    const told = () => box.store.audit(50).filter(({ action }) => action === 'Google passes');
    t.match(told(), [{ detail: new RegExp(`^${why.replace('.', '\\.')} `) }], `${name}: in the audit trail`);
    const alone = await openHeld(t, { tapOrder: ['smartTap'] });
    alone.box.host.decideSignature = () => answer;
    const link = alone.box.reader.tap(held(alone.phone()));
    await until('the question', () => alone.box.host.signaturesAsked.length === 1);
    alone.box.time.advance(500);
    const shown = () => alone.box.events.flatMap(({ event }) => (event.type === 'inquiry' ? [event.inquiry] : []));
    await until('the answer', () => shown().length === 1);
    t.match(shown(), [{ result: 'refused', code }], `${name}, and said so`);
    alone.box.reader.remove(link);
    await alone.box.start(earn);
    alone.box.reader.tap(held(alone.phone()));
    await until('the question', () => alone.box.host.signaturesAsked.length === 2);
    alone.box.time.advance(500);
    await until('the answer', () => alone.box.prompts.at(-1) === 'tapAgain');
    t.same(alone.box.records, []);
  }
});

t.test('what keeps Google from being read is said once, and that it is over', async (t) => {
  const { box, phone, collector } = await openHeld(t, { tapOrder: ['smartTap'] });
  const told = () =>
    [...box.store.audit(50)]
      .filter(({ action }) => action === 'Google passes')
      .map(({ detail }) => detail.split(' ')[0]);
  const sign = box.host.decideSignature;
  const tapped = async (count: number): Promise<void> => {
    const link = box.reader.tap(held(phone()));
    await until('the end', () => box.events.filter(({ event }) => event.type === 'inquiry').length === count);
    box.reader.remove(link);
  };
  t.equal(box.terminal.status().googleTrouble, null);
  box.host.decideSignature = () => ({ outcome: 'refused', code: 'access.rateLimited' });
  await tapped(1);
  await tapped(2);
  t.same(told(), ['access.rateLimited'], 'a second time is nothing new');
  t.match(box.terminal.status().googleTrouble, { code: 'access.rateLimited' });
  box.host.decideSignature = sign;
  await tapped(3);
  t.equal(box.terminal.status().googleTrouble, null);
  t.same(told().sort(), ['access.rateLimited', 'read'], 'read again');
  box.host.decideSignature = (request) => {
    const signed = collector.sign(terminalId, 0, request);
    return signed && { ...signed, keyVersion: 5 };
  };
  await tapped(4);
  t.match(box.terminal.status().googleTrouble, { code: 'pass.refusedTerminal' }, 'a key that the phone does not know');
});

t.test('a phone that misbehaves in a session of the host’s asks for another tap', async (t) => {
  for (const how of ['mustChoose', 'busy', 'endless', 'oversized', 'bomb', 'wrongSession', 'oldSequence'] as const) {
    const { box, phone } = await openHeld(t);
    const { transactionId } = await box.start(earn);
    const link = box.reader.tap(held(phone(how)));
    await until(`the answer to ${how}`, () => box.prompts.at(-1) === 'tapAgain');
    box.reader.remove(link);
    box.reader.tap(held(phone()));
    t.match((await box.ended(transactionId)).outcome, { result: 'accepted' }, how);
  }
  for (const [how, code] of [
    ['wrongKey', 'pass.forged'],
    ['flipped', 'pass.forged'],
    ['plain', 'card.unreadable'],
    ['offCurve', 'pass.forged'],
  ] as const) {
    const { box, phone, collector } = await openHeld(t);
    const { transactionId } = await box.start(earn);
    box.reader.tap(held(phone(how)));
    await box.ended(transactionId);
    const credential = credentialOf(box);
    if (credential?.method !== 'sealedSmartTap') t.fail(how);
    else t.same(collector.open(credential), { ok: false, code }, `${how}: the host sees it`);
  }
});

t.test('balances are asked for through the host’s session as well', async (t) => {
  const { box, phone } = await openHeld(t);
  box.reader.tap(held(phone()));
  await until('the balances', () => box.events.some(({ event }) => event.type === 'inquiry'));
  t.match(box.host.inquired, [{ credential: { method: 'sealedSmartTap' } }]);
});

t.test('a spend with a pass is the host’s to decide, and nobody’s without it', async (t) => {
  const box = await openWith(t);
  box.host.decide = (record) => refusal(record.transactionId, 'credential.tooWeak');
  const asked = await box.start(spend);
  box.reader.tap(held(apple(box)));
  t.match((await box.ended(asked.transactionId)).outcome, { result: 'refused', code: 'credential.tooWeak' });
  t.equal(box.host.asked.length, 1);
  box.host.up = false;
  const away = await box.start(spend);
  box.reader.tap(held(apple(box)));
  t.match((await box.ended(away.transactionId)).outcome, { result: 'refused', code: 'host.unreachable' });
  const offline = await box.start(earn);
  box.reader.tap(held(google()));
  t.match(
    (await box.ended(offline.transactionId)).outcome,
    { result: 'accepted', authority: 'box' },
    'an earn goes on',
  );
});

t.test('settings: all that is wrong at once; keys that others may read are refused', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'shouli-wallet-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'pem', type: 'pkcs8' });
  const file = join(folder, 'good.pem');
  writeFileSync(file, pem, { mode: 0o600 });
  const open = join(folder, 'open.pem');
  writeFileSync(open, pem, { mode: 0o644 });
  const defaults: WalletOptions = {
    tapOrder: ['application', 'vas', 'smartTap'],
    passTypeIds: [],
    passKeyFiles: [],
    passMode: 'vasOnly',
    signUpUrl: '',
    collectorId: 0,
    collectorKeyFile: '',
    collectorKeyVersion: 1,
    hostSignatureMs: 500,
    tagAddresses: [],
  };
  t.same(
    walletSettings(defaults),
    { tapOrder: ['application'], apple: null, google: null, hostSignatureMs: 500, tagAddresses: [] },
    'no command for nothing',
  );
  t.throws(() => walletSettings({ ...defaults, tapOrder: ['vas'] }), { code: 'config.invalid' });
  t.same(noWallets.tapOrder, ['application']);
  const whole = { ...defaults, passTypeIds: [issuer], passKeyFiles: [file], collectorId: 7, collectorKeyFile: file };
  const read = walletSettings(whole);
  t.equal(read.apple?.keys.length, 1);
  t.match(read.google, { collectorId: 7, keyVersion: 1 });
  const wrong = {
    ...whole,
    tapOrder: ['vas', 'vas'],
    passKeyFiles: [open, join(folder, 'missing.pem')],
  };
  t.match(walletSettings({ ...whole, collectorKeyFile: '' }).google, { collectorId: 7, privateKey: null });
  const said = (() => {
    try {
      walletSettings(wrong);
      return '';
    } catch (error) {
      return error instanceof TerminalError ? `${error.code}: ${error.detail}` : String(error);
    }
  })();
  for (const what of [/^config\.invalid: /, /twice/, /open\.pem may be read by others/, /missing\.pem/])
    t.match(said, what);
  t.end();
});
