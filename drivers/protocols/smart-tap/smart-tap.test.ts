/**
 * Shows that the terminal reads a Google wallet over Smart Tap: published commands, whole sessions with an independent
 * simulated phone in every way it can misbehave, and every truncation and flipped bit of a whole session.
 */
import { randomBytes } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import t from 'tap';
import { type Bytes, concat, hex, toHex, uintBE } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../../../terminal/kernel/native.js';
import { type GoogleMisbehaviour, GoogleWallet, googleMisbehaviours } from '../../sim/wallet/google-wallet.js';
import { runDialogue } from '../../sim/wallet/run-dialogue.js';
import { decodeOseAnswer, selectOseCommand } from '../ose/ose.js';
import { bundleBytesMax, inflatedBytesMax, openBundle } from './channel.js';
import { decodeServiceObjects, decodeSmartTapSelected, encodeNegotiate, encodeServiceRequest } from './records.js';
import { readServiceObjects } from './session.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };
const merchant = nativeKeyAgreement.generateKeyPair();
const collector = { collectorId: 20_180_608, keyVersion: 7, privateKey: merchant.privateKey };
const drawSecrets = () => ({
  nonce: new Uint8Array(randomBytes(32)),
  sessionId: new Uint8Array(randomBytes(8)),
  ephemeral: nativeKeyAgreement.generateKeyPair(),
});

t.test('requests are the published ones', (t) => {
  const secrets = {
    nonce: hex('a8aa2bae1ba891783d8c5be8a95bf2f9e5bb90fd9d197f8b2b1a84d9cc804275'),
    sessionId: hex('6b159a80fc8283fd'),
    ephemeral: {
      privateKey: hex(''),
      publicKey: hex('027b2e12f1a1a542084b4d01b8799380fa4cb77e530ba2305b0bf2b3e4b474fe7d'),
    },
  };
  const signature = hex(
    '304602210086e43dc483b22e51aa177ae8112ed83d399a58b41d6d8cbe900cde03c4524da5022100e94b6a919c9e097568f4efa9a7123b86b97ee44342593f8a77fc9e12e3f95ae4',
  );
  t.equal(
    toHex(encodeNegotiate(secrets, { ...collector, collectorId: 0x01020304, keyVersion: 1 }, signature, 0)),
    'd403b86e6772000194030a7365736b159a80fc8283fd00015403a0637072a8aa2bae1ba891783d8c5be8a95bf2f9e5bb90fd9d197f8b2b1a84d9cc80427501027b2e12f1a1a542084b4d01b8799380fa4cb77e530ba2305b0bf2b3e4b474fe7d0000000194034973696704304602210086e43dc483b22e51aa177ae8112ed83d399a58b41d6d8cbe900cde03c4524da5022100e94b6a919c9e097568f4efa9a7123b86b97ee44342593f8a77fc9e12e3f95ae4540305636c640401020304',
  );
  // The published one differs in its last record only: another kind of till.
  t.equal(
    toHex(encodeServiceRequest(secrets.sessionId, 1, 0x01020304, 'all')).slice(0, -10),
    'd4033b737271000194030a7365736b159a80fc8283fd010114030b6d6572d40305636c640401020304140307736c72d40301737472005403057063724100000004'.slice(
      0,
      -10,
    ),
  );
  t.end();
});

t.test('the published selections are read; each truncation is refused', (t) => {
  const ose = hex(
    '6f8184500a416e64726f6964506179c0020001c108cc00000000008080c22056d2ec8f857f0049aa54f1ca1de2791b5693a7014e6e4565d5644b1c2a305136c32103dfee38dbdb68a607383ad622640b180cc7e27d796b4e788c40e5d994291c71fca523bf0c20611e4f09a000000476d0000111870101730edf6d020000df4d020001df620103',
  );
  const nonce = '56d2ec8f857f0049aa54f1ca1de2791b5693a7014e6e4565d5644b1c2a305136';
  t.same(decodeOseAnswer(concat(ose, hex('9000'))), { ok: true, value: { wallet: 'google', deviceNonce: hex(nonce) } });
  const selected = hex(`00000001dc0321036d646e6d646e04${nonce}`);
  const decoded = decodeSmartTapSelected(selected);
  t.equal(decoded.ok && toHex(decoded.value), nonce);
  for (let length = 0; length < selected.length; length++)
    t.notOk(decodeSmartTapSelected(selected.subarray(0, length)).ok, `cut to ${length}`);
  const versions = (bytes: string) => decodeSmartTapSelected(concat(hex(bytes), selected.subarray(4))).ok;
  t.ok(versions('00010001'));
  t.notOk(versions('00000000'), 'too old');
  t.notOk(versions('00020003'), 'too new');
  t.end();
});

function phone(misbehaviour: GoogleMisbehaviour = 'none', keys = new Map([[7, merchant.publicKey]])): GoogleWallet {
  const wallet = new GoogleWallet(
    { collectorId: collector.collectorId, keys, service: 'ly', number: 'L-88' },
    randomBytes,
  );
  wallet.misbehaviour = misbehaviour;
  return wallet;
}
/** One tap: selection, then the session. `change` sees each answer and may spoil it. */
function tap(wallet: GoogleWallet, change: (answer: Bytes, step: number) => Bytes = (answer) => answer) {
  const selected = decodeOseAnswer(new Uint8Array(wallet.respond(selectOseCommand())));
  if (!selected.ok || selected.value.wallet !== 'google') return 'no wallet';
  let step = 0;
  const request = { crypto, collector, secrets: drawSecrets(), wanted: 'loyalty' } as const;
  const read = runDialogue(readServiceObjects(request, selected.value.deviceNonce), (command) =>
    change(new Uint8Array(wallet.respond(command)), step++),
  );
  return read.ok ? read.value : read.error.code;
}
const loyalty = [{ service: 'loyalty', number: 'L-88' }];

t.test('a session with an independent phone, by either selection', (t) => {
  const newer = phone();
  t.same(tap(newer), loyalty);
  t.same(newer.sequences, [1, 3]);
  const older = phone();
  older.nonceInOse = false;
  t.same(tap(older), loyalty);
  t.end();
});

t.test('each way in which the phone can misbehave has its one answer', (t) => {
  const expected: Readonly<Record<GoogleMisbehaviour, unknown>> = {
    none: loyalty,
    mustChoose: 'pass.mustChoose',
    busyOnce: loyalty,
    busy: 'pass.walletBusy',
    chained: loyalty,
    endless: 'input.tooLong',
    bomb: 'input.tooLong',
    oversized: 'input.tooLong',
    offCurve: 'card.exchangeForged',
    wrongKey: 'pass.forged',
    replay: loyalty,
    plain: 'input.unsupported',
    flipped: 'pass.forged',
    wrongSession: 'card.exchangeForged',
    oldSequence: 'card.exchangeForged',
  };
  for (const how of googleMisbehaviours) t.same(tap(phone(how)), expected[how], how);
  const busy = phone('busyOnce');
  tap(busy);
  t.same(busy.sequences, [3, 5], 'the negotiation that was asked for again carries sequence 3');
  const replaying = phone('replay');
  t.same(tap(replaying), loyalty, 'the first bundle is its own');
  t.equal(tap(replaying), 'pass.forged', 'an earlier bundle does not open in a later session');
  t.end();
});

t.test('the phone gives nothing to a terminal without the right key, version or collector', (t) => {
  t.equal(tap(phone('none', new Map([[7, nativeKeyAgreement.generateKeyPair().publicKey]]))), 'pass.refusedTerminal');
  t.equal(tap(phone('none', new Map([[8, merchant.publicKey]]))), 'pass.refusedTerminal');
  const wallet = new GoogleWallet(
    { collectorId: 1, keys: new Map([[7, merchant.publicKey]]), service: 'ly', number: '1' },
    randomBytes,
  );
  t.equal(tap(wallet), 'pass.refusedTerminal');
  const offer = new GoogleWallet(
    { collectorId: collector.collectorId, keys: new Map([[7, merchant.publicKey]]), service: 'of', number: '1' },
    randomBytes,
  );
  t.equal(tap(offer), 'pass.none', 'a pass of another kind');
  t.end();
});

t.test('every truncation and flipped bit of a session: never another pass, never a throw', (t) => {
  const lengths: number[] = [];
  tap(phone(), (answer, step) => {
    lengths[step] = answer.length;
    return answer;
  });
  for (const [step, length] of lengths.entries()) {
    for (let cut = 0; cut < length; cut++) {
      let word: number | undefined;
      const outcome = tap(phone(), (answer, at) => {
        if (at !== step) return answer;
        word = answer[cut - 2];
        return answer.subarray(0, cut);
      });
      // The cut may end in random bytes that read as 92xx: the terminal asks once more, and then all is well.
      if (word === 0x92 && typeof outcome !== 'string') t.same(outcome, loyalty, `${step} ${cut}: asked again`);
      else t.type(outcome, 'string', `${step} ${cut}`);
    }
    for (let bit = 0; bit < length * 8; bit++) {
      const outcome = tap(phone(), (answer, at) => {
        const changed = Uint8Array.from(answer);
        if (at === step) changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        return changed;
      });
      if (typeof outcome !== 'string')
        t.same(outcome, loyalty, `bit ${bit} of answer ${step} changed nothing that counts`);
    }
  }
  t.end();
});

t.test('bundles: bounds before work, the HMAC before decryption', (t) => {
  const keys = { encryptionKey: new Uint8Array(16), macKey: new Uint8Array(32) };
  const seal = (flags: number, plain: Bytes): Bytes => {
    const sealed = concat(new Uint8Array(12), crypto.aesCtr(keys.encryptionKey, new Uint8Array(16), plain));
    return concat(uintBE(flags, 1), sealed, crypto.hmacSha256(keys.macKey, sealed));
  };
  const codeOf = (bundle: Bytes) => {
    const opened = openBundle(crypto, keys, bundle);
    return opened.ok ? opened.value.length : opened.error.code;
  };
  const packed = (length: number) => new Uint8Array(deflateSync(new Uint8Array(length)));
  t.equal(codeOf(seal(1, new Uint8Array(100))), 100);
  t.equal(codeOf(seal(3, packed(inflatedBytesMax))), inflatedBytesMax);
  t.equal(codeOf(seal(3, packed(inflatedBytesMax + 1))), 'input.tooLong');
  t.equal(codeOf(seal(3, packed(7 * 1_024 * 1_024))), 'input.tooLong', 'a bomb');
  t.equal(codeOf(seal(3, new Uint8Array(20))), 'input.tooLong', 'not zlib');
  t.equal(codeOf(new Uint8Array(bundleBytesMax + 1)), 'input.tooLong');
  for (const flags of [0, 2, 5, 0x81]) t.equal(codeOf(seal(flags, packed(10))), 'input.unsupported', `flags ${flags}`);
  let decrypted = 0;
  const counting = {
    ...crypto,
    aesCtr: (...args: Parameters<typeof crypto.aesCtr>) => {
      decrypted++;
      return crypto.aesCtr(...args);
    },
  };
  const good = seal(1, new Uint8Array(40));
  for (let bit = 8; bit < good.length * 8; bit++) {
    const changed = Uint8Array.from(good);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const opened = openBundle(counting, keys, changed);
    t.equal(!opened.ok && opened.error.code, 'pass.forged', `bit ${bit}`);
  }
  t.equal(decrypted, 0);
  t.end();
});

t.test('service objects: each kind, each format of a number, and what is no number', (t) => {
  const external = (name: string, payload: string, first = true, last = true): string => {
    const header = (first ? 0x80 : 0) | (last ? 0x40 : 0) | 0x14;
    return `${header.toString(16).padStart(2, '0')}${toHex(uintBE(name.length, 1))}${toHex(uintBE(payload.length / 2, 1))}${Buffer.from(name).toString('hex')}${payload}`;
  };
  const objectsOf = (text: string) => {
    const decoded = decodeServiceObjects(hex(text));
    return decoded.ok ? decoded.value.map(({ service, number }) => `${service} ${number}`) : decoded.error.code;
  };
  const withNumber = (payload: string, name = 'ly') => external('asv', external(name, external('n', payload)));
  t.same(
    ['ly', 'of', 'gc', 'et', 'tr', 'gr'].map((name) => objectsOf(withNumber('0141', name))),
    ['loyalty A', 'offer A', 'giftCard A', 'eventTicket A', 'transit A', 'generic A'].map((found) => [found]),
  );
  t.same(objectsOf(withNumber('0041')), ['loyalty A']);
  t.same(objectsOf(withNumber('02e4bc9a')), ['loyalty 会']);
  t.same(objectsOf(withNumber('0412ab')), ['loyalty 12ab']);
  t.same(objectsOf(withNumber('05123f')), ['loyalty 123']);
  t.equal(objectsOf(withNumber('051a')), 'input.malformed', 'no BCD');
  t.equal(objectsOf(withNumber('030041')), 'input.unsupported', 'UTF-16');
  t.equal(objectsOf(withNumber('0241ff')), 'input.malformed', 'not UTF-8');
  t.equal(objectsOf(withNumber('014107')), 'input.malformed', 'a control character');
  t.equal(objectsOf(withNumber(`01${'41'.repeat(129)}`)), 'input.malformed', 'too long');
  t.equal(objectsOf(withNumber('01')), 'input.truncated');
  t.same(objectsOf(external('asv', external('zz', '00'))), [], 'an object of another kind');
  t.same(objectsOf(external('asv', external('ly', external('i', '0401')))), [], 'no number');
  const text = (payload: string) => `d9010${(payload.length / 2).toString(16)}01546e${payload}`;
  t.same(objectsOf(external('asv', external('ly', text('0041')))), ['loyalty A'], 'text without a language');
  t.same(objectsOf(external('asv', external('ly', text('02656e41')))), ['loyalty A'], 'text in English');
  t.equal(objectsOf(external('asv', external('ly', text('8041')))), 'input.unsupported', 'text in UTF-16');
  t.end();
});
