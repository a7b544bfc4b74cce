/**
 * Shows registration and coupon messages through files: a phone, done here by hand from docs/protocols/phone.md, gets its
 * registration message, answers with its wrapped key, and is a member; coupons reach it; every wrong answer is set aside
 * with its reason; a crash in the middle ends the same. A whole host runs in this process.
 */
import { createCipheriv, createDecipheriv, createECDH, createHash, ECDH, hkdfSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { decodeMessageFile, encodeMessageFile } from '../../spool/message-file.js';
import type { CouponView, MemberView } from '../host.js';
import { SimulatedMessageCentre, shownBy } from '../sim/message-centre.js';
import { openTestHost, type TestHost } from '../sim/running-host.js';
import { filesPerLookMax } from './file-adapter.js';
import { openPendingRegistrations, pendingMax } from './pending-registrations.js';

const phoneNumber = '13800000001';
const merchantNumber = '10690000';

interface Sms {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}
const folderOf = (host: TestHost, name: string): string => path.join(host.dataFolder, 'messages', name);
function outgoing(host: TestHost): readonly Sms[] {
  return readdirSync(folderOf(host, 'out'))
    .sort()
    .map((name) => {
      const [, from = '', to = '', text = ''] =
        /^from: (.*)\nto: (.*)\n\n(.*)\n$/.exec(readFileSync(path.join(folderOf(host, 'out'), name), 'utf8')) ?? [];
      return { name, from, to, text };
    });
}

interface Phone {
  readonly key: Buffer;
  readonly keyId: string;
  readonly answer: string;
}
/** What a phone does with a registration message. */
function answerTo(text: string): Phone {
  const [, , merchantId = '', token = '', point = ''] = text.split(' ');
  const merchant = Buffer.from(point, 'base64url');
  const ephemeral = createECDH('prime256v1');
  ephemeral.generateKeys();
  const own = ephemeral.getPublicKey(null, 'compressed') as unknown as Buffer;
  const secret = ephemeral.computeSecret(ECDH.convertKey(merchant, 'prime256v1') as Buffer);
  const info = Buffer.concat([Buffer.from('shouli member key 1'), own, merchant]);
  const derived = Buffer.from(hkdfSync('sha256', secret, token, info, 28));
  const key = randomBytes(16);
  const cipher = createCipheriv('aes-128-gcm', derived.subarray(0, 16), derived.subarray(16)).setAAD(
    Buffer.from(token),
  );
  const wrapped = Buffer.concat([own, cipher.update(key), cipher.final(), cipher.getAuthTag()]);
  const keyId = createHash('sha256')
    .update(`shouli key id 1 ${merchantId} ${token}`)
    .digest()
    .subarray(0, 8)
    .toString('hex');
  return { key, keyId, answer: `SHOULI1 KEY ${token} ${wrapped.toString('base64url')}` };
}

/** Puts a message in and waits until it has left in/ again. */
async function deliver(
  host: TestHost,
  name: string,
  message: { from?: string; to?: string; text: string } | Uint8Array,
): Promise<'done' | 'bad'> {
  const content =
    message instanceof Uint8Array ? message : encodeMessageFile({ from: phoneNumber, to: merchantNumber, ...message });
  writeFileSync(path.join(folderOf(host, 'in'), `${name}.sms`), content);
  return taken(host, name);
}
async function taken(host: TestHost, name: string): Promise<'done' | 'bad'> {
  const deadline = Date.now() + 20_000;
  while (Date.now() < deadline) {
    host.tick();
    await new Promise((resolve) => setImmediate(resolve));
    for (const place of ['done', 'bad'] as const)
      if (existsSync(path.join(folderOf(host, place), `${name}.sms`))) return place;
  }
  throw new Error(`${name} was not taken`);
}
const reasonOf = (host: TestHost, name: string): string =>
  readFileSync(path.join(folderOf(host, 'bad'), `${name}.reason`), 'utf8');

async function registered(host: TestHost): Promise<Phone & { readonly member: MemberView }> {
  await host.run('member.register', { phone: phoneNumber, name: '张三' });
  const phone = answerTo(outgoing(host).at(-1)?.text ?? '');
  await deliver(host, `key-${phone.keyId}`, { text: phone.answer });
  return { ...phone, member: await host.run<MemberView>('member.show', { who: phoneNumber }) };
}

t.test('P1: the registration message, the phone’s answer, the member', async (t) => {
  const host = await openTestHost(t);
  await host.run('member.register', { phone: phoneNumber, name: '张三' });
  const [sms] = outgoing(host);
  t.match(sms, {
    from: merchantNumber,
    to: phoneNumber,
    text: /^SHOULI1 REG SHOULI [0-9A-HJKMNP-TV-Z]{16} [0-9A-Za-z_-]{44}$/,
  });
  t.match(
    await host.admin('member.show', { who: phoneNumber }),
    { body: { code: 'credential.unknown' } },
    'not before the phone has answered',
  );
  const phone = answerTo(sms?.text ?? '');
  t.equal(await deliver(host, 'a1', { text: phone.answer }), 'done');
  const member = await host.run<MemberView>('member.show', { who: phone.keyId });
  t.match(member, { phone: phoneNumber, name: '张三', points: 0, keys: [{ keyId: phone.keyId, state: 'active' }] });
  t.equal(await deliver(host, 'a2', { text: phone.answer }), 'done', 'the same answer again ends the same');
  t.same(await host.run('member.show', { who: member.memberCode }), member);
  const token = sms?.text.split(' ')[3] ?? '?';
  const logged = host.log.join('');
  t.notOk(logged.includes(token) || logged.includes(phone.key.toString('hex')), 'no token or key is logged');
  t.notOk(
    readFileSync(path.join(host.dataFolder, 'keys', 'registrations.json'), 'utf8').includes(token),
    'tokens are kept as hashes',
  );
  for (const name of ['host.db', 'host.db-wal'])
    t.notOk(readFileSync(path.join(host.dataFolder, name)).includes(phone.key), `no key in clear in ${name}`);
});

t.test('a second phone of the same number joins the same member; a blocked one is out', async (t) => {
  const host = await openTestHost(t);
  const first = await registered(host);
  const second = await registered(host);
  t.equal(second.member.memberCode, first.member.memberCode);
  t.same(new Set(second.member.keys.map(({ keyId }) => keyId)), new Set([first.keyId, second.keyId]));
  await host.run('member.block', { who: first.keyId });
  t.match(
    (await host.run<MemberView>('member.show', { who: phoneNumber })).keys.filter(({ state }) => state === 'blocked'),
    [{ keyId: first.keyId }],
  );
});

t.test('answers that are wrong are set aside with a reason and bind nothing', async (t) => {
  const host = await openTestHost(t);
  await host.run('member.register', { phone: phoneNumber, name: 'A' });
  const text = outgoing(host).at(-1)?.text ?? '';
  const phone = answerTo(text);
  const flipped = `${phone.answer.slice(0, -3)}${phone.answer.at(-3) === 'A' ? 'B' : 'A'}${phone.answer.slice(-2)}`;
  const cases: readonly (readonly [string, { from?: string; to?: string; text: string } | Uint8Array, RegExp])[] = [
    ['other-number', { from: '13900000002', text: phone.answer }, /another number/],
    ['flipped', { text: flipped }, /cannot be opened/],
    ['unknown-token', { text: phone.answer.replace(/KEY .{16}/, 'KEY 0000000000000000') }, /unknown or expired/],
    ['chatter', { text: '您好' }, /input\.malformed/],
    ['long', { text: `${phone.answer}${'A'.repeat(200)}` }, /input\.tooLong/],
    ['not-a-message', Buffer.from('hello'), /not a message/],
    ['other-addressee', { to: '10690001', text: phone.answer }, /not a message/],
    ['binary', randomBytes(300), /not a message/],
    ['huge', Buffer.alloc(1_000_000, 0x41), /not a message/],
  ];
  for (const [name, message, reason] of cases) {
    t.equal(await deliver(host, name, message), 'bad', name);
    t.match(reasonOf(host, name), reason, name);
  }
  symlinkSync(path.join(host.dataFolder, 'keys', 'vault.key'), path.join(folderOf(host, 'in'), 'link.sms'));
  t.equal(await taken(host, 'link'), 'bad', 'a link to a key is not read');
  mkdirSync(path.join(folderOf(host, 'in'), 'folder.sms'));
  t.equal(await taken(host, 'folder'), 'bad');
  t.match(await host.admin('member.show', { who: phoneNumber }), { body: { code: 'credential.unknown' } });
  host.turning.offsetMs += 73 * 3_600_000;
  t.equal(await deliver(host, 'late', { text: phone.answer }), 'bad', 'after 72 hours');
  t.match(await host.admin('member.show', { who: phoneNumber }), { body: { code: 'credential.unknown' } });
});

t.test('a token is good for one key: a second answer to it is refused', async (t) => {
  const host = await openTestHost(t);
  await host.run('member.register', { phone: phoneNumber, name: 'A' });
  const text = outgoing(host).at(-1)?.text ?? '';
  const [first, second] = [answerTo(text), answerTo(text)];
  t.equal(await deliver(host, 'first', { text: first.answer }), 'done');
  t.equal(await deliver(host, 'second', { text: second.answer }), 'bad');
  t.match(reasonOf(host, 'second'), /was used/);
});

t.test('an answer that waited while the host was down is taken at its start', async (t) => {
  const host = await openTestHost(t);
  await host.run('member.register', { phone: phoneNumber, name: 'A' });
  const phone = answerTo(outgoing(host).at(-1)?.text ?? '');
  await host.stop();
  writeFileSync(
    path.join(folderOf(host, 'in'), 'waited.sms'),
    encodeMessageFile({ from: phoneNumber, to: merchantNumber, text: phone.answer }),
  );
  const again = await openTestHost(t, {}, host.folder);
  t.equal(await taken(again, 'waited'), 'done');
  t.match(await again.run('member.show', { who: phone.keyId }), { phone: phoneNumber });
});

t.test('C1: a host-held coupon’s message, and again', async (t) => {
  const host = await openTestHost(t);
  await registered(host);
  const issue = {
    holder: 'host',
    member: phoneNumber,
    currency: 'CNY',
    amountMinor: 30_000,
    expiresAtMs: 1_893_456_000_000,
  };
  const { code } = await host.run<{ code: string }>('coupon.issue', issue);
  t.match(outgoing(host).at(-1), { to: phoneNumber, text: `SHOULI1 CPN SHOULI ${code} 30000 CNY 1893456000 H` });
  t.match(await host.run<CouponView>('coupon.show', { code }), {
    holder: 'host',
    balanceMinor: 30_000,
    state: 'active',
  });
  await host.run('coupon.resend', { code });
  t.equal(outgoing(host).filter(({ text }) => text.includes(code)).length, 2);
  t.match(await host.run('coupon.list', { who: phoneNumber }), { rows: [{ code }] });
});

t.test('C1: a card-held coupon travels sealed for the member’s phone alone', async (t) => {
  const host = await openTestHost(t);
  const issue = { holder: 'card', currency: 'CNY', amountMinor: 30_000, limitCategory: 'cake' };
  t.match(await host.admin('coupon.issue', { ...issue, member: '13800000009' }), {
    body: { code: 'credential.unknown' },
  });
  t.match(await host.admin('coupon.issue', { ...issue, member: null }), { body: { code: 'credential.unknown' } });
  const { key } = await registered(host);
  const { code } = await host.run<{ code: string }>('coupon.issue', { ...issue, member: phoneNumber });
  const text = outgoing(host).at(-1)?.text ?? '';
  const [, head = '', sealedText = ''] =
    /^(SHOULI1 CPN SHOULI SLC[0-9]{13} 30000 CNY 0 C) ([0-9A-Za-z_-]{214})$/.exec(text) ?? [];
  const sealed = Buffer.from(sealedText, 'base64url');
  const derive = (label: number): Buffer =>
    Buffer.from(nativeCrypto.aesCmac(key, Buffer.concat([Buffer.of(label), Buffer.from(head)])));
  const decipher = createDecipheriv('aes-128-cbc', derive(5), sealed.subarray(0, 16)).setAutoPadding(false);
  const plain = Buffer.concat([decipher.update(sealed.subarray(16, 144)), decipher.final()]);
  const mac = nativeCrypto.aesCmac(
    derive(6),
    Buffer.concat([Buffer.of(0x49), Buffer.from(head), sealed.subarray(0, 144)]),
  );
  t.ok(Buffer.from(mac).equals(sealed.subarray(144)), 'sealed under this member’s key');
  const record = plain.subarray(24, 120);
  t.equal(record.readUIntBE(9, 6), Number(code.slice(3)), 'the record is of this coupon');
  t.equal(record.readUIntBE(19, 6), 30_000);
  t.match(await host.admin('coupon.resend', { code }), { body: { code: 'coupon.wrongHolder' } });
  t.notOk(host.log.join('').includes(sealedText));
});

t.test(
  'fault 44: files that cannot be taken stand in nobody’s way, and a message folder that goes away ends nothing',
  async (t) => {
    const host = await openTestHost(t);
    const incoming = folderOf(host, 'in');
    // Not UTF-8: such a name cannot be opened by what the folder's listing says, so it stays.
    for (let i = 0; i <= filesPerLookMax; i++) {
      const name = Buffer.concat([Buffer.from(`${incoming}/0${i}`), Buffer.of(0xff), Buffer.from('.sms')]);
      writeFileSync(name, 'x');
    }
    t.equal(await deliver(host, 'zlast', { text: 'x' }), 'bad', 'what comes behind them is taken all the same');
    for (const round of [1, 2]) {
      mkdirSync(path.join(incoming, 'folder.sms'));
      writeFileSync(path.join(incoming, 'folder.sms', String(round)), '');
      const deadline = Date.now() + 20_000;
      while (existsSync(path.join(incoming, 'folder.sms')) && Date.now() < deadline) {
        host.tick();
        await new Promise((resolve) => setImmediate(resolve));
      }
      t.strictSame(readdirSync(path.join(folderOf(host, 'bad'), 'folder.sms')), [String(round)], `round ${round}`);
    }
    renameSync(incoming, `${incoming}.away`);
    for (let look = 0; look < 5; look++) {
      host.tick();
      await new Promise((resolve) => setImmediate(resolve));
    }
    mkdirSync(incoming);
    t.equal(await deliver(host, 'back', { text: 'x' }), 'bad', 'it goes on when the folder is back');
  },
);

t.test('over an SMS centre: registration, answer, a long coupon message; the password shows nowhere', async (t) => {
  const centre = new SimulatedMessageCentre();
  const smppPort = await centre.listen();
  const folder = t.testdir({ password: 'secret77\n' });
  const smppPasswordFile = path.join(folder, 'password');
  const smpp = { smppHost: '127.0.0.1', smppPort, smppSystemId: 'shop', smppPasswordFile, homeNumberPrefix: '+86' };
  chmodSync(smppPasswordFile, 0o644);
  await t.rejects(openTestHost(t, smpp, path.join(folder, 'open')), { code: 'config.invalid' }, 'others could read it');
  chmodSync(smppPasswordFile, 0o600);
  const schedule = (delayMs: number, run: () => void): (() => void) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  };
  const host = await openTestHost(t, { ...smpp, schedule, messageLookMs: 50 });
  t.teardown(() => centre.close());
  const until = async (is: () => boolean): Promise<void> => {
    const deadline = Date.now() + 20_000;
    while (!is() && Date.now() < deadline) await new Promise((resolve) => setImmediate(resolve));
  };
  await host.run('member.register', { phone: phoneNumber, name: '张三' });
  await until(() => centre.submitted.length === 1);
  const phone = answerTo(shownBy(centre.submitted));
  // The underscore is septet 11 in the GSM alphabet.
  const text = phone.answer.replaceAll('_', '\x11');
  t.equal(await centre.deliver({ from: '8613800000001', to: merchantNumber, text, international: true }), 0);
  await until(() => readdirSync(folderOf(host, 'done')).length === 1);
  const member = await host.run<MemberView>('member.show', { who: phone.keyId });
  t.match(member, { phone: phoneNumber, name: '张三' });
  const issue = { holder: 'card', currency: 'CNY', amountMinor: 30_000, limitCategory: 'cake', member: phoneNumber };
  const { code } = await host.run<{ code: string }>('coupon.issue', issue);
  await until(() => readdirSync(folderOf(host, 'sent')).length === 2);
  t.match(
    shownBy(centre.submitted.slice(1)),
    new RegExp(`^SHOULI1 CPN SHOULI ${code} 30000 CNY 0 C [0-9A-Za-z_-]{214}$`),
  );
  t.equal(centre.submitted.length, 3, 'in two parts');
  await host.stop();
  t.notOk(host.log.join('').includes('secret77'));
  t.match(host.log.join(''), /SMS centre is bound/);
});

t.test('files that are messages, and their bounds', (t) => {
  const bytes = (text: string): Uint8Array => Buffer.from(text);
  t.same(decodeMessageFile('x', bytes('from: +8613800000001\nto: 10690000\n\nline\nline\n')), {
    id: 'x',
    from: '+8613800000001',
    to: '10690000',
    text: 'line\nline',
  });
  for (const wrong of [
    '',
    'from: 1\nto: 2\n\nx',
    'to: 10690000\nfrom: 13800000001\n\nx',
    'from: 13800000001\nto: 10690000\nx',
    'from: 13800000001\r\nto: 10690000\r\n\r\nx',
    `from: 13800000001\nto: 10690000\n\n${'x'.repeat(1_001)}`,
    'from: 13800000001\nto: 10690000\n\n\n',
  ])
    t.equal(decodeMessageFile('x', bytes(wrong)), null, JSON.stringify(wrong).slice(0, 40));
  t.end();
});

t.test('registrations that wait are bounded and expire', async (t) => {
  const folder = t.testdir({});
  const pending = openPendingRegistrations(path.join(folder, 'keys'));
  const one = (i: number) => ({
    token: String(i).padStart(16, '0'),
    phone: phoneNumber,
    name: 'A',
    expiresAtMs: 1_000 + i,
  });
  for (let i = 0; i < pendingMax; i++) t.ok(pending.add(one(i), 0));
  t.notOk(pending.add(one(999), 0), 'full');
  t.ok(pending.add(one(1_000), 1_000), 'the first has expired');
  t.equal(pending.find(one(0).token, 999), null);
  const again = openPendingRegistrations(path.join(folder, 'keys'));
  t.match(again.find(one(5).token, 0), { phone: phoneNumber, answerHash: null }, 'kept over a restart');
});
