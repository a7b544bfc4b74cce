/**
 * Shows the terminals' interface over real TLS on loopback: who gets in with which certificate, what a request may look
 * like, and what happens to records of held terminals. A whole host runs in this process; terminals are written from the
 * protocol's document; the clock is turned by hand.
 */
import { generateKeyPairSync } from 'node:crypto';
import { connect as connectPlain } from 'node:net';
import { connect as connectTls, type SecureVersion } from 'node:tls';
import t from 'tap';
import { passId } from '../../../drivers/protocols/wallet-pass/wallet-pass.js';
import { nativeCrypto, nativeRandom } from '../../../terminal/kernel/native.js';
import { wallMs } from '../../../terminal/kernel/units.js';
import { openAuthority } from '../pki/authority.js';
import { ask, EnrolledTerminal, makeRequest } from '../sim/enrolled-terminal.js';
import { openTestHost } from '../sim/running-host.js';

const dayMs = 86_400_000;

t.test('enrolment: a code works once, whatever is sent with it is checked first', async (t) => {
  const host = await openTestHost(t, { limits: { enrolPerAddressMax: 1_000, enrolTotalMax: 1_000 } });
  const { port } = host.running;
  const { code } = await host.run<{ code: string }>('enrolment.draw', { name: 'till' });
  t.match(code, /^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$/);
  const { request } = makeRequest();
  const enrol = (body: unknown) => ask(port, host.authority, null, { path: '/v1/enrol', body });
  t.match(await enrol({ code, request: request.slice(0, 400), realm: 'real' }), {
    status: 400,
    body: { code: 'enrolment.requestInvalid' },
  });
  t.match(await enrol({ code, request: 'x'.repeat(8_193), realm: 'real' }), {
    status: 400,
    body: { code: 'input.malformed' },
  });
  t.match(await enrol({ code, request: 'x'.repeat(40_000), realm: 'real' }), {
    status: 413,
    body: { code: 'input.tooLong' },
  });
  t.match(await enrol({ code, request, realm: 'simulated' }), { body: { code: 'record.wrongRealm' } });
  const first = await enrol({ code, request, realm: 'real' });
  t.match(
    first,
    { status: 200, body: { terminalId: /^t-[0-9a-f]{12}$/, epoch: 1, siteKey: null } },
    'wrong requests used nothing up',
  );
  const again = await enrol({ code, request, realm: 'real' });
  const guessed = await enrol({ code: '0000-0000-0000-0000', request, realm: 'real' });
  t.match(again, { status: 403, body: { code: 'enrolment.codeWrong' } });
  t.same(again.body, guessed.body, 'used and unknown are told apart by nothing');
  const late = await host.run<{ code: string }>('enrolment.draw', { name: 'late', minutes: 15 });
  host.turning.offsetMs += 15 * 60_000 + 1;
  t.match(await enrol({ code: late.code, request, realm: 'real' }), {
    status: 403,
    body: { code: 'enrolment.codeWrong' },
  });
  const text = host.log.join('');
  t.notOk(text.includes(code) || text.includes(request.slice(60, 120)), 'neither code nor request is logged');
});

t.test('guessing locks out, and the lock survives a restart', async (t) => {
  const limits = { enrolPerAddressMax: 1_000, enrolTotalMax: 1_000 };
  const host = await openTestHost(t, { limits });
  const { request } = makeRequest();
  const { code } = await host.run<{ code: string }>('enrolment.draw', { name: 'till' });
  const guess = (port: number) =>
    ask(port, host.authority, null, {
      path: '/v1/enrol',
      body: { code: '1111-1111-1111-1111', request, realm: 'real' },
    });
  let tries = 0;
  for (; tries < 50; tries++)
    if (((await guess(host.running.port)).body as { code: string }).code === 'enrolment.locked') break;
  t.ok(tries < 50, `locked after ${tries} wrong codes`);
  t.match(
    await ask(host.running.port, host.authority, null, { path: '/v1/enrol', body: { code, request, realm: 'real' } }),
    { status: 429, body: { code: 'enrolment.locked' } },
    'the right code too',
  );
  await host.stop();
  const again = await openTestHost(t, { limits }, host.folder);
  t.match(
    await ask(again.running.port, again.authority, null, { path: '/v1/enrol', body: { code, request, realm: 'real' } }),
    { status: 429, body: { code: 'enrolment.locked' } },
  );
  t.match(await again.run('alarm.list'), { rows: [{ code: 'enrolment.locked' }] });
});

t.test('enrolment is limited by the minute', async (t) => {
  const host = await openTestHost(t, { limits: { enrolPerAddressMax: 3, enrolTotalMax: 100 } });
  const statuses: number[] = [];
  for (let i = 0; i < 5; i++)
    statuses.push((await ask(host.running.port, host.authority, null, { path: '/v1/enrol', body: {} })).status);
  t.same(statuses, [400, 400, 400, 429, 429]);
  const terminalFree = await ask(host.running.port, host.authority, null, { path: '/v1/health' });
  t.match(terminalFree, { status: 200, body: { status: 'ok' } }, 'other resources are not touched by it');
});

t.test('balances are asked for and used up over the wire, and neither answer nor log keeps who it was', async (t) => {
  const host = await openTestHost(t);
  const terminal = await host.enrol();
  await host.run('member.enlist', { phone: '13800138000', name: 'Wang' });
  const pass = { wallet: 'apple', issuer: 'pass.shop', number: 'M-17' } as const;
  await host.run('member.addPass', { who: '13800138000', ...pass });
  const credential = {
    ...{ method: 'walletPass', wallet: 'apple', passId: passId(nativeCrypto, 'apple', pass.issuer, pass.number) },
    ...{ answer: 'a5'.repeat(16), answeredAtMs: Date.now() },
  };
  const transactionId = '019c0000-0000-7000-8000-000000000001';
  const inquire = (body: unknown) => terminal.ask({ path: '/v1/inquiry', body });
  const known = await inquire({ transactionId, credential });
  t.same(known, {
    ...{ status: 200, headers: known.headers },
    body: {
      ...{ outcome: 'known', points: 0, pointsOwed: 0, tier: 'member', coupons: [], couponsMore: 0, session: null },
    },
  });
  t.match(await inquire({ transactionId, credential }), {
    ...{ status: 200, body: { outcome: 'refused', code: 'credential.replayed' } },
  });
  t.match(await inquire({ transactionId, credential, amount: 1 }), { status: 400, body: { code: 'input.malformed' } });
  t.match(await inquire({ transactionId: 'x', credential }), { status: 400 });
  t.match(await host.run('alarm.list'), { rows: [{ code: 'credential.replayed' }] });
  t.notMatch(host.log.join(''), /13800138000|a5a5a5a5|M-17/);
});

t.test('without a certificate of this host there is enrolment and nothing else', async (t) => {
  const host = await openTestHost(t);
  const terminal = await host.enrol();
  const stranger = openAuthority({
    folder: `${host.folder}/stranger`,
    clock: { wallMs: () => wallMs(Date.now()) },
    random: nativeRandom,
    hostNames: [],
    deviceValidMs: dayMs,
  });
  const keys = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const forged = {
    certificate: stranger.issueDevice(terminal.enrolment.terminalId, keys.publicKey).pem,
    key: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
  const requests = [
    { path: '/v1/renew', body: { request: makeRequest().request } },
    { path: '/v1/authorise', body: { record: terminal.envelope(), newestSeen: [] } },
    { path: '/v1/records', body: { records: [terminal.envelope()], newestSeen: [] } },
    { path: '/v1/member-session', body: {} },
    { path: '/v1/inquiry', body: {} },
    { path: '/v1/directives' },
    { path: '/v1/epoch', body: { reason: 'restored' } },
  ];
  for (const request of requests) {
    t.match(
      await ask(host.running.port, host.authority, null, request),
      { status: 403, body: { code: 'access.denied' } },
      `${request.path} without`,
    );
    t.match(
      await ask(host.running.port, host.authority, forged, request),
      { status: 403, body: { code: 'access.denied' } },
      `${request.path} with another authority's`,
    );
  }
  t.match(await host.run('alarm.list'), { rows: [{ code: 'certificate.stranger' }] });
  t.match(await terminal.ask({ path: '/v1/directives' }), {
    status: 200,
    body: { merchant: 'Shouli', rules: { version: 1 }, catalogueVersion: 0 },
  });
});

t.test('records are answered one for each, and another terminal’s are refused and alarmed', async (t) => {
  const host = await openTestHost(t);
  const [one, other] = [await host.enrol('one'), await host.enrol('other')];
  const batch = [one.envelope(), one.envelope()];
  const answer = await one.ask({ path: '/v1/records', body: { records: batch, newestSeen: [] } });
  t.match(answer, {
    status: 200,
    body: { answers: [{ outcome: 'accepted' }, { outcome: 'accepted' }], watermark: { epoch: 1, sequence: 2 } },
  });
  t.same(
    (await one.ask({ path: '/v1/records', body: { records: batch, newestSeen: [] } })).body,
    answer.body,
    'the same again: the same answers',
  );
  t.match(await other.ask({ path: '/v1/records', body: { records: batch, newestSeen: [] } }), {
    status: 403,
    body: { code: 'record.foreign' },
  });
  t.match(await other.ask({ path: '/v1/authorise', body: { record: batch[0], newestSeen: [] } }), {
    status: 403,
    body: { code: 'record.foreign' },
  });
  const { rows } = await host.run<{ rows: { code: string; terminalId: string }[] }>('alarm.list');
  t.ok(rows.some(({ code, terminalId }) => code === 'record.foreign' && terminalId === other.enrolment.terminalId));
});

t.test('an expired certificate reaches renewal alone, and renewal heals it', async (t) => {
  const host = await openTestHost(t, { certificateDays: 1 });
  const terminal = await host.enrol();
  host.turning.offsetMs += 31 * dayMs;
  const envelope = terminal.envelope();
  for (const request of [
    { path: '/v1/records', body: { records: [envelope], newestSeen: [] } },
    { path: '/v1/authorise', body: { record: envelope, newestSeen: [] } },
    { path: '/v1/directives' },
    { path: '/v1/epoch', body: { reason: 'restored' } },
  ])
    t.match(await terminal.ask(request), { status: 403, body: { code: 'certificate.expired' } }, request.path);
  const made = makeRequest();
  t.match(await terminal.ask({ path: '/v1/renew', body: { request: 'x'.repeat(100) } }), {
    status: 400,
    body: { code: 'enrolment.requestInvalid' },
  });
  const renewed = await terminal.ask({ path: '/v1/renew', body: { request: made.request } });
  t.match(renewed, { status: 200, body: { certificate: /BEGIN CERTIFICATE/, authority: host.authority } });
  terminal.identity = { certificate: (renewed.body as { certificate: string }).certificate, key: made.key };
  t.match(
    await terminal.ask({ path: '/v1/records', body: { records: [envelope], newestSeen: [] } }),
    { status: 200, body: { answers: [{ outcome: 'accepted' }] } },
    'nothing was lost',
  );
});

t.test('a revoked terminal’s records are kept, not applied, not lost', async (t) => {
  const host = await openTestHost(t);
  const terminal = await host.enrol();
  const { terminalId } = terminal.enrolment;
  await host.run('terminal.revoke', { terminalId, reason: 'stolen' });
  const records = [terminal.envelope()];
  t.match(await terminal.ask({ path: '/v1/records', body: { records, newestSeen: [] } }), {
    status: 200,
    body: { answers: [{ outcome: 'later', code: 'host.quarantined' }], watermark: { sequence: 0 } },
  });
  t.match(await terminal.ask({ path: '/v1/renew', body: { request: makeRequest().request } }), {
    status: 403,
    body: { code: 'host.quarantined' },
  });
  t.match(await terminal.ask({ path: '/v1/directives' }), { status: 403, body: { code: 'host.quarantined' } });
  t.match(await host.run('terminal.list'), { rows: [{ id: terminalId, state: 'revoked', quarantinedCount: 1 }] });
  t.match(await host.run('terminal.release', { terminalId, by: 'anna' }), { accepted: 1, refused: 0, waiting: 0 });
  t.match(await host.run('alarm.list'), { rows: [{ code: /^(terminal\.|certificate\.|record\.)/ }] });
});

t.test('only TLS 1.2 and 1.3', async (t) => {
  const host = await openTestHost(t);
  const handshake = (version: SecureVersion, ciphers?: string) =>
    new Promise<string>((resolve) => {
      const socket = connectTls({
        port: host.running.port,
        host: 'localhost',
        ca: host.authority,
        minVersion: version,
        maxVersion: version,
        ...(ciphers ? { ciphers } : {}),
      });
      socket.once('secureConnect', () => {
        resolve(socket.getProtocol() ?? '');
        socket.destroy();
      });
      socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'));
    });
  t.equal(await handshake('TLSv1.3'), 'TLSv1.3');
  t.equal(await handshake('TLSv1.2'), 'TLSv1.2');
  for (const version of ['TLSv1', 'TLSv1.1'] as const)
    t.notMatch(await handshake(version, 'DEFAULT@SECLEVEL=0'), /^TLS/, version);
  const plain = await new Promise<string>((resolve) => {
    const socket = connectPlain(host.running.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.once('close', () => resolve(text));
    socket.once('error', () => resolve(text));
    socket.write('GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n');
  });
  t.notMatch(plain, /HTTP\/1\.1 200/, 'plain HTTP is not spoken');
  t.match(await ask(host.running.port, host.authority, null, { path: '/v1/health' }), { status: 200 }, 'and it lives');
});

t.test('bodies and paths from hell', async (t) => {
  const host = await openTestHost(t);
  const terminal = await host.enrol();
  const send = (body: string | Uint8Array, contentType?: string) =>
    terminal.ask({ path: '/v1/records', body, ...(contentType ? { contentType } : {}) });
  const malformed = { status: 400, body: { code: 'input.malformed' } };
  t.match(await send('['.repeat(100_000)), malformed, 'depth 100,000');
  t.match(await send('{"records":[],"records":[]}'), malformed, 'duplicate keys');
  t.match(await send('{"__proto__":{"x":1},"records":[]}'), malformed, '__proto__');
  t.match(await send('{"\\u005f_proto__":{"x":1},"records":[]}'), malformed, '__proto__ written with an escape');
  t.match(await send('{"constructor":{"prototype":{}}}'), malformed, 'constructor');
  t.match(await send('{"records":[]}'), malformed, 'an empty batch');
  t.match(await send(new Uint8Array([0x7b, 0xff, 0x7d])), malformed, 'not UTF-8');
  t.match(await send('{}', 'text/plain'), { status: 415, body: { code: 'input.unsupported' } });
  t.match(await send('', 'application/json'), malformed, 'nothing');
  const tooMany = JSON.stringify({
    records: Array.from({ length: 501 }, () => ({
      body: '{}',
      previousHash: '0'.repeat(64),
      attempt: 1,
      sentAtWallMs: 0,
    })),
  });
  t.match(await send(tooMany), malformed, '501 records');
  t.match(await send(`{"records":"${'x'.repeat(17 * 1024 * 1024)}"}`), {
    status: 413,
    body: { code: 'input.tooLong' },
  });
  for (const path of [
    '/',
    '/v1',
    '/v1/records/../enrol',
    '/../../etc/passwd',
    '/v1/%2e%2e/keys',
    '/keys/authority.key.pem',
    '/admin',
    '/v1/status',
    '/metrics',
  ])
    t.match(await terminal.ask({ path }), { status: /^(404|400)$/ }, path);
  t.match(await terminal.ask({ path: '/v1/records', method: 'DELETE' }), { status: 404 });
  t.match(await terminal.ask({ path: '/v1/directives?catalogueVersion=1e3' }), malformed);
  t.match(await terminal.ask({ path: '/v1/directives?catalogueVersion=0&x=1' }), malformed);
  const answers = JSON.stringify((await terminal.ask({ path: '/v1/epoch', body: { reason: 'nonsense' } })).body);
  t.notMatch(answers, /\.js|node_modules|at .*:\d+/, 'no stack');
  t.match(
    await terminal.ask({ path: '/v1/records', body: { records: [terminal.envelope()], newestSeen: [] } }),
    { status: 200 },
    'the server lives',
  );
});

t.test('idle sockets make room: a terminal is served while 300 others sit on the door', async (t) => {
  const host = await openTestHost(t, { limits: { connections: { openMax: 100, perTerminalMax: 16 } } });
  const terminal = await host.enrol();
  const sockets = Array.from({ length: 300 }, () => connectPlain(host.running.port, '127.0.0.1').on('error', () => {}));
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(
    sockets.map((socket) => new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))),
  );
  for (let i = 0; i < 5; i++)
    t.match(await terminal.ask({ path: '/v1/records', body: { records: [terminal.envelope()], newestSeen: [] } }), {
      status: 200,
    });
});

t.test('a boot-strapped terminal, and one host a folder', async (t) => {
  const { mkdtempSync, readFileSync, statSync } = await import('node:fs');
  const folder = mkdtempSync('/tmp/shouli-host-');
  const file = `${folder}/enrolment.json`;
  const host = await openTestHost(t, { bootstrapEnrolment: file }, folder);
  t.equal(statSync(file).mode & 0o777, 0o600);
  const { code, port } = JSON.parse(readFileSync(file, 'utf8')) as { code: string; port: number };
  t.equal(port, host.running.port);
  t.ok(await EnrolledTerminal.enrol(port, host.authority, code));
  await t.rejects(openTestHost({ teardown: () => {} }, {}, folder), { code: 'config.invalid' });
  t.match(await ask(port, host.authority, null, { path: '/v1/health' }), { status: 200 }, 'the first one goes on');
});
