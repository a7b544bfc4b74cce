/**
 * Shows Smart Tap held back: a box without the collector's key has its session signed here and its phone's answer opened here.
 * Sessions run with the simulated Google phone; what is forged, of another terminal, late or used before is refused; and over
 * the real interface only an active terminal gets a signature, so many a minute, with a line in the log for each.
 */
import { createCipheriv, createHmac, generateKeyPairSync, hkdfSync, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { encodeNdef } from '../../drivers/protocols/ndef/ndef.js';
import { decodeOseAnswer, selectOseCommand } from '../../drivers/protocols/ose/ose.js';
import { heldBundleBytesMax, holdServiceObjects } from '../../drivers/protocols/smart-tap/session.js';
import { sessionName } from '../../drivers/protocols/smart-tap/session-name.js';
import { passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import { GoogleWallet } from '../../drivers/sim/wallet/google-wallet.js';
import { runDialogue } from '../../drivers/sim/wallet/run-dialogue.js';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto, privateKeyOfPem } from '../../terminal/kernel/native.js';
import { type Credential, credentialSchema } from '../protocol/record.js';
import {
  type SignedSession,
  type SmartTapRequest,
  type SmartTapResponse,
  smartTapResponseSchema,
} from '../protocol/smart-tap.js';
import { type CollectorKey, collectorKey } from './collector-key.js';
import { signaturesPerWindowMax } from './service/smart-tap.js';
import type { SignatureAsked } from './service/types.js';
import { openTestHost } from './sim/running-host.js';
import { type Box, keyed, must, newId, openWorld, said, type World } from './sim/world.js';
import { openVault } from './vault.js';

type Held = Extract<Credential, { method: 'sealedSmartTap' }>;
const collectorId = 20_180_608;
const number = 'L-0088';
const id = passId(nativeCrypto, 'google', String(collectorId), number);

interface Keys {
  readonly folder: string;
  readonly file: string;
  readonly publicKey: Uint8Array;
}
function keysIn(t: Test): Keys {
  const folder = mkdtempSync(join(tmpdir(), 'shouli-collector-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  const file = join(folder, 'collector.pem');
  writeFileSync(file, pem, { mode: 0o600 });
  const publicKey = nativeWalletCrypto.publicKeyOf(privateKeyOfPem(pem) ?? hex(''));
  if (!publicKey) throw new Error('a key');
  return { folder, file, publicKey };
}
const settingsOf = ({ file }: Keys) => ({ collectorId, collectorKeyFile: file, collectorKeyVersion: 7 });

/** A phone in the field of a box: selected, and what the box asks its host for. */
function selected(publicKey: Uint8Array, says = number) {
  const pass = { collectorId, keys: new Map([[7, publicKey]]), service: 'ly', number: says } as const;
  const phone = new GoogleWallet(pass, randomBytes);
  const answer = must(decodeOseAnswer(new Uint8Array(phone.respond(selectOseCommand()))));
  if (answer.wallet !== 'google' || !answer.deviceNonce) throw new Error('a Google phone with a nonce');
  const terminalNonce = toHex(randomBytes(32));
  const request: SmartTapRequest = { collectorId, terminalNonce, deviceNonce: toHex(answer.deviceNonce) };
  return { phone, request };
}
/** The box's part behind the host's answer. */
function gathered({ phone, request }: ReturnType<typeof selected>, signed: SignedSession): Held {
  const nonce = hex(request.terminalNonce);
  const ephemeral = { publicKey: hex(signed.ephemeralKey) };
  const secrets = { nonce, ephemeral, sessionId: new Uint8Array(randomBytes(8)) };
  const collector = { collectorId, keyVersion: signed.keyVersion };
  const session = { collector, secrets, signature: hex(signed.signature), wanted: 'loyalty' } as const;
  const { deviceKey, bundle } = must(
    runDialogue(holdServiceObjects(session), (command) => new Uint8Array(phone.respond(command))),
  );
  const answer = sessionName(nativeCrypto, secrets, collectorId);
  return { method: 'sealedSmartTap', answer, token: signed.token, deviceKey: toHex(deviceKey), bundle: toHex(bundle) };
}
const signedIn = (response: SmartTapResponse): SignedSession => {
  if (response.outcome !== 'signed') throw new Error(response.code);
  return response;
};

interface Opened {
  readonly world: World;
  readonly box: Box;
  readonly keys: Keys;
  readonly collector: CollectorKey;
  readonly memberCode: string;
  /** One tap of a phone at this box. */
  readonly tap: (box: Box, says?: string) => Promise<Held>;
  /** What the host told of signatures. */
  readonly asked: SignatureAsked[];
}
function withCollector(name: string, run: (t: Test, opened: Opened) => Promise<void>): void {
  void t.test(name, async (t) => {
    const keys = keysIn(t);
    const vault = openVault(join(keys.folder, 'keys'), nativeKeyAgreement, true);
    const collector = collectorKey(settingsOf(keys), vault);
    const openPass = (pass: Credential) =>
      pass.method === 'sealedSmartTap' ? collector.open(pass) : ({ ok: false, code: 'pass.unknownKey' } as const);
    const asked: SignatureAsked[] = [];
    const world = await openWorld({
      ...{ openPass, signSmartTap: collector.sign },
      signatureAsked: (each) => void asked.push(each),
    });
    t.teardown(() => world.close());
    const { memberCode } = must(await world.host.members.enlist({ phone: '13800000000', name: 'Wang' }));
    must(await world.host.members.bind(memberCode, 'pass', id));
    const tap = async (box: Box, says?: string): Promise<Held> => {
      const met = selected(keys.publicKey, says);
      const response = smartTapResponseSchema.parse(must(await world.host.signSmartTap(box.terminalId, met.request)));
      return gathered(met, signedIn(response));
    };
    await run(t, { world, box: await world.box(), keys, collector, memberCode, tap, asked });
    t.same(await world.host.checkStore(), []);
  });
}
const earn = (credential: Held, more: { atWallMs?: number } = {}) => ({
  kind: 'pointsEarn' as const,
  ...{ transactionId: newId(), reference: null, bill: keyed(10_000), credential },
  ...{ rulesVersion: 1, points: 100, typed: false },
  ...more,
});
const flipped = (bytes: string, at: number): string => {
  const changed = hex(bytes);
  changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
  return toHex(changed);
};

withCollector(
  'a phone’s answer is opened here, and counts once at any box',
  async (t, { world, box, tap, memberCode }) => {
    const held = await tap(box);
    t.ok(credentialSchema.safeParse(held).success, 'as it travels');
    t.notOk(JSON.stringify(held).includes(toHex(Buffer.from(number))), 'the number is nowhere to be read');
    t.match(await box.tell(earn(held)), { outcome: 'accepted', pointsPosted: 100, balances: { points: 100 } });
    t.equal(said(await box.tell(earn(held))), 'credential.replayed');
    const byBox = {
      method: 'walletPass',
      wallet: 'google',
      passId: id,
      answer: held.answer,
      answeredAtMs: null,
    } as const;
    const other = await world.box('second till');
    t.equal(said(await other.tell({ ...earn(held), credential: byBox })), 'credential.replayed', 'under the same name');
    t.equal(said(await box.tell(earn(await tap(box)))), 'accepted', 'the next tap');
    t.equal((await world.host.members.byCode(memberCode))?.points, 200);
    const asked = must(
      await world.host.inquire(box.terminalId, { transactionId: newId(), credential: await tap(box) }),
    );
    t.match(asked, { outcome: 'known', points: 200 }, 'balances are told for it as well');
    t.equal(said(await box.tell(earn(await tap(box, 'L-0089')))), 'credential.unknown', 'a pass that is nobody’s');
  },
);

withCollector('one signature is one sale: two answers of one session have one name', async (t, opened) => {
  const { world, box, keys } = opened;
  const met = selected(keys.publicKey);
  const signed = signedIn(must(await world.host.signSmartTap(box.terminalId, met.request)));
  const first = gathered(met, signed);
  const second = gathered(met, signed);
  t.not(first.bundle, second.bundle, 'the phone sealed anew');
  t.equal(said(await box.tell(earn(first))), 'accepted');
  t.equal(said(await box.tell(earn(second))), 'credential.replayed');
  t.equal(said(await box.tell(earn({ ...second, answer: 'a5'.repeat(16) }))), 'pass.forged', 'a name of its own');
});

withCollector('a token is of one terminal, and good near its time', async (t, { world, box, tap }) => {
  const other = await world.box('second till');
  const held = await tap(box);
  t.equal(said(await other.tell(earn(held))), 'pass.forged', 'of another terminal');
  const asked = must(await world.host.inquire(other.terminalId, { transactionId: newId(), credential: held }));
  t.same(asked, { outcome: 'refused', code: 'pass.forged' });
  t.match((await world.host.alarms()).rows, [{ code: 'pass.forged', terminalId: other.terminalId }]);
  t.equal(said(await box.tell(earn(held))), 'accepted', 'and its own terminal loses nothing by it');
  const minute = 60_000;
  const late = await tap(box);
  const metAtMs = world.clock.nowMs;
  world.clock.nowMs += 2 * minute + 1;
  t.equal(said((await box.ask(earn(late))).answer), 'pass.outOfTime', 'shown while the box waits');
  world.clock.nowMs += 60 * minute;
  t.equal(said(await box.tell(earn(late, { atWallMs: metAtMs }))), 'accepted', 'met in time, told late');
  for (const offMs of [-3 * minute, 3 * minute, -86_400_000]) {
    const byAnotherClock = earn(await tap(box), { atWallMs: world.clock.nowMs + offMs });
    t.equal(
      said(await box.tell(byAnotherClock)),
      'accepted',
      `shown as accepted by a box whose clock is off by ${offMs}`,
    );
  }
});

withCollector('what is forged is refused: every bit of token, key and bundle', async (t, { box, tap, collector }) => {
  const held = await tap(box);
  t.match(collector.open(held), { ok: true, passId: id, terminalId: box.terminalId });
  for (const field of ['token', 'deviceKey', 'bundle'] as const)
    for (let bit = 0; bit < held[field].length * 4; bit++) {
      // The first byte of a bundle says how it is packed, and is not under its HMAC: it never opens as another pass.
      const code = field === 'bundle' && bit < 8 ? 'card.unreadable' : 'pass.forged';
      const opened = collector.open({ ...held, [field]: flipped(held[field], bit) });
      t.equal(opened.ok ? opened.passId : opened.code, code, `${field} bit ${bit}`);
    }
  for (const field of ['token', 'bundle'] as const)
    for (let cut = 0; cut < held[field].length / 2; cut++) {
      // Below flags, iv and HMAC it is no bundle at all.
      const code = field === 'bundle' && cut < 45 ? 'card.unreadable' : 'pass.forged';
      t.match(collector.open({ ...held, [field]: held[field].slice(0, 2 * cut) }), { code }, `${field} cut to ${cut}`);
    }
  const next = await tap(box);
  t.match(collector.open({ ...held, bundle: next.bundle }), { code: 'pass.forged' }, 'of another session');
  t.match(collector.open({ ...held, token: next.token }), { code: 'pass.forged' });
  t.equal(said(await box.tell(earn({ ...held, bundle: next.bundle }))), 'pass.forged');
  t.equal(said(await box.tell(earn(held))), 'accepted', 'the attempts used nothing up');
});

withCollector('a new collector key opens what the old one signed; another host opens nothing', async (t, opened) => {
  const { box, tap, keys } = opened;
  const held = await tap(box);
  const same = openVault(join(keys.folder, 'keys'), nativeKeyAgreement, false);
  const renewed = collectorKey({ ...settingsOf(keysIn(t)), collectorKeyVersion: 8 }, same);
  t.match(renewed.open(held), { ok: true, passId: id });
  const none = { ...settingsOf(keys), collectorId: 0, collectorKeyFile: '' };
  t.match(collectorKey(none, same).open(held), { ok: true });
  const elsewhere = openVault(join(keys.folder, 'other'), nativeKeyAgreement, true);
  t.match(collectorKey(settingsOf(keys), elsewhere).open(held), { ok: false, code: 'pass.forged' });
  const { request } = selected(keys.publicKey);
  t.equal(opened.collector.sign(box.terminalId, 0, { ...request, collectorId: 1 }), null, 'another collector');
  t.equal(collectorKey(none, same).sign(box.terminalId, 0, request), null);
  t.throws(
    () => collectorKey({ ...none, collectorKeyFile: keys.file }, same),
    { code: 'config.invalid' },
    'for no collector',
  );
  for (const collectorKeyFile of ['', join(keys.folder, 'missing'), join(keys.folder, 'keys', 'vault.key')])
    t.throws(() => collectorKey({ ...settingsOf(keys), collectorKeyFile }, same), { code: 'config.invalid' });
});

/** A phone's answer in its terms, with this message in the bundle; `flags` as they travel. */
function answered(request: SmartTapRequest, signed: SignedSession, message: Uint8Array, flags = 1): Held {
  const device = nativeKeyAgreement.generateKeyPair();
  const [nonce, publicKey] = [hex(request.terminalNonce), hex(signed.ephemeralKey)];
  const collector = Buffer.alloc(4);
  collector.writeUInt32BE(collectorId);
  const salt = Buffer.concat([nonce, hex(request.deviceNonce), collector, publicKey, hex(signed.signature)]);
  const secret = nativeKeyAgreement.sharedSecret(device.privateKey, publicKey) ?? hex('');
  const channel = Buffer.from(hkdfSync('sha256', secret, device.publicKey, salt, 48));
  const iv = randomBytes(12);
  const cipher = createCipheriv('aes-128-ctr', channel.subarray(0, 16), Buffer.concat([iv, Buffer.alloc(4)]));
  const sealed = Buffer.concat([iv, cipher.update(message), cipher.final()]);
  const mac = createHmac('sha256', channel.subarray(16)).update(sealed).digest();
  const answer = sessionName(nativeCrypto, { nonce, ephemeral: { publicKey } }, collectorId);
  const bundle = toHex(Buffer.concat([Buffer.of(flags), sealed, mac]));
  return { method: 'sealedSmartTap', answer, token: signed.token, deviceKey: toHex(device.publicKey), bundle };
}

withCollector(
  'a phone without a pass, or with one that cannot be read, is no forger',
  async (t, { world, box, keys }) => {
    const external = (name: string, payload: Uint8Array) => ({
      ...{ tnf: 4, type: Buffer.from(name), id: new Uint8Array(0) },
      payload,
    });
    const language = encodeNdef([external('cpl', Buffer.of(1, 0x7a, 0x68))]);
    const numberless = encodeNdef([external('ly', encodeNdef([external('n', Buffer.of(9, 9))]))]);
    for (const [name, message, code] of [
      ['customer alone', encodeNdef([external('cus', language)]), 'pass.none'],
      ['a number of no known form', encodeNdef([external('asv', numberless)]), 'card.unreadable'],
      ['no records', Buffer.of(0xff), 'card.unreadable'],
    ] as const) {
      const met = selected(keys.publicKey);
      const held = answered(
        met.request,
        signedIn(must(await world.host.signSmartTap(box.terminalId, met.request))),
        message,
      );
      const asked = must(await world.host.inquire(box.terminalId, { transactionId: newId(), credential: held }));
      t.same(asked, { outcome: 'refused', code }, name);
      t.equal(said(await box.tell(earn(held))), code, name);
      t.same((await world.host.alarms()).rows, [], `${name}: nobody is alarmed`);
    }
  },
);

withCollector(
  'a token opens under the key of its terminal alone, and none of it under the vault’s own',
  async (t, opened) => {
    const { box, tap, keys, collector } = opened;
    const held = await tap(box);
    t.equal(held.token.slice(0, 12), box.terminalId.slice(2), 'the terminal in clear');
    t.ok(held.token.length <= 512);
    const vault = openVault(join(keys.folder, 'keys'), nativeKeyAgreement, false);
    t.throws(() => vault.unwrap(hex(held.token.slice(12))), { code: 'store.corrupt' });
    const relabelled = { ...held, token: `0123456789ab${held.token.slice(12)}` };
    t.match(collector.open(relabelled), { code: 'pass.forged' }, 'of another terminal by its name only');
  },
);

withCollector('so many signatures a minute, then an alarm', async (t, { world, box, keys, asked }) => {
  const { request } = selected(keys.publicKey);
  asked.length = 0;
  const ask = async (from: Box) => {
    const response = must(await world.host.signSmartTap(from.terminalId, request));
    return response.outcome === 'signed' ? 'signed' : response.code;
  };
  for (let n = 0; n < signaturesPerWindowMax; n++) t.equal(await ask(box), 'signed');
  t.equal(await ask(box), 'access.rateLimited');
  t.equal(await ask(box), 'access.rateLimited');
  t.same(
    (await world.host.alarms()).rows.map(({ code, terminalId, subject }) => [code, terminalId, subject]),
    [['access.rateLimited', box.terminalId, 'smart tap']],
    'told once',
  );
  const { terminalId } = box;
  t.equal(asked.length, signaturesPerWindowMax + 1, 'each signature, and that there were too many');
  t.same(asked.at(-1), { terminalId, collectorId, code: 'access.rateLimited' });
  for (let n = 0; n < 3; n++) await ask(box);
  t.equal(asked.length, signaturesPerWindowMax + 1, 'not again in this minute');
  t.equal(await ask(await world.box('second till')), 'signed', 'another terminal has its own');
  world.clock.nowMs += 60_000;
  t.equal(await ask(box), 'signed');
});

t.test('a bundle is bounded alike on the box and in the record', (t) => {
  const held = (bytes: number) => ({
    ...{ method: 'sealedSmartTap', answer: '00'.repeat(16), token: '00', deviceKey: '02'.repeat(33) },
    bundle: 'ab'.repeat(bytes),
  });
  t.ok(credentialSchema.safeParse(held(heldBundleBytesMax)).success);
  t.notOk(credentialSchema.safeParse(held(heldBundleBytesMax + 1)).success);
  t.end();
});

t.test('over the real interface: active terminals alone, each request in the log, nothing secret in it', async (t) => {
  const keys = keysIn(t);
  const host = await openTestHost(t, settingsOf(keys));
  const terminal = await host.enrol();
  await host.run('member.enlist', { phone: '13800138000', name: 'Wang' });
  await host.run('member.addPass', { who: '13800138000', wallet: 'google', issuer: String(collectorId), number });
  const met = selected(keys.publicKey);
  const response = await terminal.ask({ path: '/v1/smart-tap', body: met.request });
  t.equal(response.status, 200);
  const signed = signedIn(smartTapResponseSchema.parse(response.body));
  t.equal(signed.keyVersion, 7);
  const credential = gathered(met, signed);
  const transactionId = '019c0000-0000-7000-8000-000000000001';
  t.match(await terminal.ask({ path: '/v1/inquiry', body: { transactionId, credential } }), {
    body: { outcome: 'known', points: 0 },
  });
  const text = host.log.join('');
  t.match(text, /"terminalId":"t-[0-9a-f]{12}","collectorId":20180608,"outcome":"signed"/);
  for (const secret of [signed.token, signed.signature, met.request.terminalNonce, number])
    t.notOk(text.includes(secret), 'no token, signature, nonce or number is logged');
  const other = { ...met.request, collectorId: 1 };
  for (let n = 0; n < 3; n++)
    t.match(await terminal.ask({ path: '/v1/smart-tap', body: other }), { body: { code: 'pass.unknownKey' } });
  const refused = host.log
    .join('')
    .split('\n')
    .filter((line) => line.includes('"code":"pass.unknownKey"'));
  t.equal(refused.filter((line) => line.includes('asked to sign')).length, 1, 'why not, once');
  for (const body of [{}, { ...met.request, deviceNonce: '00' }, { ...met.request, collectorId: 2 ** 32 }])
    t.match(await terminal.ask({ path: '/v1/smart-tap', body }), { status: 400, body: { code: 'input.malformed' } });
  await host.run('terminal.revoke', { terminalId: terminal.enrolment.terminalId, reason: 'stolen' });
  t.match(
    await terminal.ask({ path: '/v1/smart-tap', body: met.request }),
    { status: 403, body: { code: 'host.quarantined' } },
    'a stolen box that was revoked gets nothing',
  );
});
