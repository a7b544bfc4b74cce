/**
 * Shows that a box enrols only with the host its operator named, stores all it got or nothing, and renews in time.
 * How: a hand-made host on loopback that signs real certificate requests; folders in the system's temporary directory.
 */
import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { hex } from '../../terminal/kernel/bytes.js';
import { nativeRandom } from '../../terminal/kernel/native.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { wallMs } from '../../terminal/kernel/units.js';
import { drawKeyAndRequest } from './certificate-request.js';
import { type Credentials, credentialsFileName, loadCredentials, sealFileName } from './credentials.js';
import { type EnrolOptions, enrol, renew, renewalDue } from './enrolment.js';
import { createHostHttp } from './http.js';
import { createAuthority, serve } from './sim/authority.js';

const authority = createAuthority('Test authority');
const stranger = createAuthority('Another authority');
const serverPair = authority.issue({ name: 'host', names: ['127.0.0.1'] });
const code = '7K2M-0000-ABCD-WXYZ';
const terminalId = 't-0123456789ab';
const siteKey = 'a5'.repeat(16);
type Tap = Pick<typeof t, 'teardown'>;

/** A host that enrols and renews; `answer` may change what it says. Presents its authority beside its own certificate. */
async function fakeHost(
  t: Tap,
  change: (answer: Record<string, unknown>, url: string) => Record<string, unknown> = (answer) => answer,
  pair = serverPair,
) {
  const seen: { url: string; body: Record<string, string>; peer: string | undefined }[] = [];
  const chain = { ...pair, certificatePem: pair.certificatePem + authority.certificatePem };
  const host = await serve(authority, chain, { rejectUnauthorized: false });
  host.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      const body = JSON.parse(text) as Record<string, string>;
      const peer = (
        request.socket as never as { getPeerX509Certificate(): X509Certificate | undefined }
      ).getPeerX509Certificate();
      seen.push({ url: request.url ?? '', body, peer: peer?.subject });
      const certificate = authority.sign(body['request'] ?? '', terminalId);
      const enrolled = { terminalId, epoch: 1, certificate, authority: authority.certificatePem, siteKey };
      const renewed = { certificate, authority: authority.certificatePem };
      const answer = change(request.url === '/v1/enrol' ? enrolled : renewed, request.url ?? '');
      const { status = 200, ...content } = answer;
      response.writeHead(Number(status)).end(JSON.stringify(content));
    });
  });
  t.teardown(() => host.close());
  return { ...host, seen };
}

function newFolder(t: Tap): string {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-enrolment-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(path.join(folder, 'machine-id'), 'f00d\n');
  return folder;
}

function optionsFor(hostOrigin: string, base: string, more: Partial<EnrolOptions> = {}): EnrolOptions {
  return {
    hostOrigin,
    code,
    trust: { authorityPem: authority.certificatePem },
    realm: 'real',
    folder: path.join(base, 'keys'),
    random: nativeRandom,
    schedule: () => () => {},
    machineIdPath: path.join(base, 'machine-id'),
    ...more,
  };
}
const loaded = (options: EnrolOptions): Credentials | null => {
  const result = loadCredentials(options.folder, options);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
};

t.test('enrols, stores everything for the box’s user alone, and may be run again', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t));
  t.same(await enrol(options), ok({ terminalId, epoch: 1 }));
  t.match(host.seen, [{ url: '/v1/enrol', body: { code, realm: 'real' }, peer: undefined }]);
  const credentials = loaded(options);
  t.match(credentials, { terminalId, epoch: 1, realm: 'real', hostOrigin: host.origin, siteKeyLost: false });
  t.same(credentials?.siteKey, hex(siteKey));
  t.equal(new X509Certificate(credentials?.tls.certificatePem ?? '').subject, `CN=${terminalId}`);
  t.same(readdirSync(options.folder).sort(), [credentialsFileName, sealFileName], 'no temporary file stays');
  t.equal(statSync(options.folder).mode & 0o777, 0o700);
  for (const name of readdirSync(options.folder))
    t.equal(statSync(path.join(options.folder, name)).mode & 0o777, 0o600, name);
  const stored = readFileSync(path.join(options.folder, credentialsFileName), 'utf8');
  t.notMatch(stored, siteKey, 'the site key is sealed');
  t.notMatch(stored, code, 'the code is not kept');

  t.same(await enrol({ ...options, code: '0000-0000-0000-0000' }), ok({ terminalId, epoch: 1 }));
  t.equal(host.seen.length, 1, 'nothing is asked again');
  t.match(await enrol({ ...options, realm: 'simulated' }), err({ code: 'record.wrongRealm' }));
});

t.test('the certificate reaches the host over mutual TLS, and a renewal replaces key and certificate', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t));
  await enrol(options);
  const old = loaded(options) as Credentials;
  const http = createHostHttp({
    origin: host.origin,
    credentials: old.tls,
    connectTimeoutMs: 60_000,
    headersTimeoutMs: 60_000,
    bodyTimeoutMs: 60_000,
    deadlineMs: 60_000,
    schedule: () => () => {},
  });
  t.teardown(() => http.close());
  const renewed = await renew({ ...options, credentials: old, host: http });
  t.equal(host.seen[1]?.peer, `CN=${terminalId}`);
  t.equal(renewed.ok, true);
  const now = loaded(options) as Credentials;
  t.not(now.tls.keyPem, old.tls.keyPem);
  t.not(now.tls.certificatePem, old.tls.certificatePem);
  t.same(now.siteKey, old.siteKey);
  t.equal(now.terminalId, terminalId);
});

t.test('a renewal that is refused or answered wrongly leaves the old credentials', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t));
  await enrol(options);
  const old = loaded(options) as Credentials;
  const refusal = { code: 'host.refused', detail: '', httpStatus: 403, retryAfterMs: null } as const;
  t.match(
    await renew({ ...options, credentials: old, host: { renew: async () => err(refusal) } }),
    err({ code: 'host.refused' }),
  );
  const elses = {
    certificate: authority.issue({ name: terminalId }).certificatePem,
    authority: authority.certificatePem,
  };
  t.match(
    await renew({ ...options, credentials: old, host: { renew: async () => ok(elses) } }),
    err({ code: 'host.answerInvalid' }),
  );
  t.same(loaded(options), old);
});

t.test('by fingerprint: the right authority enrols, a wrong pin sends nothing', async (t) => {
  const host = await fakeHost(t);
  const right = optionsFor(host.origin, newFolder(t), { trust: { fingerprint: authority.fingerprint } });
  t.same(await enrol(right), ok({ terminalId, epoch: 1 }));
  const asked = host.seen.length;
  for (const fingerprint of [stranger.fingerprint, new X509Certificate(serverPair.certificatePem).fingerprint256]) {
    const wrong = optionsFor(host.origin, newFolder(t), { trust: { fingerprint } });
    t.match(await enrol(wrong), err({ code: 'host.untrusted' }));
    t.notOk(existsSync(wrong.folder));
  }
  t.equal(host.seen.length, asked);
});

t.test('a copy of the pinned authority beside a certificate that it did not issue is found out', async (t) => {
  const host = await fakeHost(t, undefined, stranger.issue({ name: 'host', names: ['127.0.0.1'] }));
  const options = optionsFor(host.origin, newFolder(t), { trust: { fingerprint: authority.fingerprint } });
  t.match(await enrol(options), err({ code: 'host.untrusted' }));
  t.equal(host.seen.length, 0, 'nothing was sent');
});

t.test('a host under another authority gets nothing', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t), { trust: { authorityPem: stranger.certificatePem } });
  t.match(await enrol(options), err({ code: 'host.untrusted' }));
  t.equal(host.seen.length, 0);
  t.notOk(existsSync(options.folder));
});

t.test('what is wrong before anything is sent is said', async (t) => {
  const base = newFolder(t);
  const cases: readonly [Partial<EnrolOptions>, string][] = [
    [{ hostOrigin: 'http://127.0.0.1' }, 'config.invalid'],
    [{ code: 'guess' }, 'enrolment.codeWrong'],
    [{ trust: { fingerprint: 'ab:cd' } }, 'config.invalid'],
    [{ trust: { authorityPem: 'nonsense' } }, 'config.invalid'],
    [{ trust: { authorityPem: serverPair.certificatePem } }, 'config.invalid'],
  ];
  for (const [more, expected] of cases)
    t.match(await enrol(optionsFor('https://127.0.0.1:1', base, more)), err({ code: expected }));
  t.match(await enrol(optionsFor('https://127.0.0.1:1', base)), err({ code: 'host.unreachable' }));
});

t.test(
  'an answer that does not fit stores nothing: a refusal, another key, another authority, another name',
  async (t) => {
    const other = authority.issue({ name: terminalId }).certificatePem;
    const changes: readonly [string, Record<string, unknown>, string][] = [
      ['refusal', { code: 'enrolment.codeWrong', detail: '', status: 403 }, 'enrolment.codeWrong'],
      ['another key', { certificate: other }, 'host.answerInvalid'],
      ['another authority', { authority: stranger.certificatePem }, 'host.answerInvalid'],
      ['no authority at all', { authority: serverPair.certificatePem }, 'host.answerInvalid'],
      ['another name', { terminalId: 't-ffffffffffff' }, 'host.answerInvalid'],
      ['not a certificate', { certificate: 'x' }, 'host.answerInvalid'],
      ['no site key field', { siteKey: undefined }, 'host.answerInvalid'],
    ];
    let change: Record<string, unknown> = {};
    const host = await fakeHost(t, (answer) => ('status' in change ? change : { ...answer, ...change }));
    for (const [name, changed, expected] of changes) {
      change = changed;
      const options = optionsFor(host.origin, newFolder(t));
      t.match(await enrol(options), err({ code: expected }), name);
      t.equal(loaded(options), null, name);
    }
  },
);

t.test('a crash while storing leaves nothing or everything', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t));
  await enrol(options);
  const file = path.join(options.folder, credentialsFileName);
  const whole = readFileSync(file);
  // What a crash before the rename leaves: the seal's random, and any part of the new file under its temporary name.
  rmSync(file);
  for (const length of [0, 1, whole.length - 1, whole.length]) {
    writeFileSync(`${file}.new`, whole.subarray(0, length));
    t.equal(loaded(options), null, `${length} bytes`);
  }
  t.same(await enrol(options), ok({ terminalId, epoch: 1 }), 'and enrolment can be run again');
  t.ok(loaded(options));
});

t.test('damaged, mixed up or exposed credentials are refused by name', async (t) => {
  const host = await fakeHost(t);
  const options = optionsFor(host.origin, newFolder(t));
  await enrol(options);
  const file = path.join(options.folder, credentialsFileName);
  const whole = readFileSync(file, 'utf8');
  const parsed = JSON.parse(whole) as Record<string, string>;
  const { keyPem } = await drawKeyAndRequest('x');
  const damaged = [
    whole.slice(0, -20),
    '',
    'x'.repeat(200_000),
    JSON.stringify({ ...parsed, key: keyPem }),
    JSON.stringify({ ...parsed, terminalId: 't-ffffffffffff' }),
  ];
  for (const content of damaged) {
    writeFileSync(file, content);
    t.match(loadCredentials(options.folder, options), err({ code: 'enrolment.credentialsInvalid' }));
    t.match(await enrol(options), err({ code: 'enrolment.credentialsInvalid' }), 'and are not silently replaced');
  }
  rmSync(file);
  writeFileSync(file, whole, { mode: 0o644 });
  t.match(loadCredentials(options.folder, options), err({ code: 'enrolment.credentialsInvalid', detail: /chmod 600/ }));
  t.match(loadCredentials('/dev/null/keys', options), err({ code: 'store.failed' }));
});

t.test('the site key opens on this machine alone; the rest still works elsewhere', async (t) => {
  const host = await fakeHost(t);
  const base = newFolder(t);
  const options = optionsFor(host.origin, base);
  await enrol(options);
  writeFileSync(path.join(base, 'machine-id'), 'cafe\n');
  t.match(loaded(options), { terminalId, siteKey: null, siteKeyLost: true });
  writeFileSync(path.join(base, 'machine-id'), 'f00d\n');
  t.match(loaded(options), { siteKeyLost: false });
  rmSync(path.join(options.folder, sealFileName));
  t.match(loaded(options), { siteKey: null, siteKeyLost: true });
});

t.test(
  'renewal is due with less than a third of the life left, and after it, but not by a clock before its begin',
  async (t) => {
    const life = { startsAtWallMs: wallMs(1_000_000), endsAtWallMs: wallMs(1_090_000) };
    const due = [0, 999_999, 1_000_000, 1_060_000, 1_060_001, 1_090_000, 2_000_000].map((now) => renewalDue(life, now));
    t.same(due, [false, false, false, false, true, true, true]);
  },
);
