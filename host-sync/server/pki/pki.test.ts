/**
 * Shows that the authority's certificates are what TLS and node:crypto accept, that its files are private and survive a
 * restart, and that certificate requests from outside are bounded, proven and never parsed by node-forge. Keys are drawn by
 * node:crypto, requests are made by node-forge as a terminal makes them, and bytes are changed by hand.
 */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import forge from 'node-forge';
import t from 'tap';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import { nativeRandom } from '../../../terminal/kernel/native.js';
import { wallMs } from '../../../terminal/kernel/units.js';
import { type Authority, keyFileNames, openAuthority, serverRenewBeforeMs, serverValidMs } from './authority.js';
import { verifyCertificateRequest } from './certificate-request.js';
import { requestLimits, walkDer } from './der-bounds.js';
import { identifyPeer } from './peer.js';

const dayMs = 86_400_000;
const now = Date.UTC(2026, 5, 1);
const clockAt = (at: number) => ({ wallMs: () => wallMs(at) });

function open(
  folder: string,
  more: { at?: number; hostNames?: readonly string[]; deviceValidMs?: number } = {},
): Authority {
  return openAuthority({
    folder,
    clock: clockAt(more.at ?? now),
    random: nativeRandom,
    hostNames: more.hostNames ?? [],
    deviceValidMs: more.deviceValidMs ?? 30 * dayMs,
  });
}

const folderOf = (test: { teardown(run: () => void): void }): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-pki-'));
  test.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return path.join(folder, 'keys');
};
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });

/** Made by `openssl req -new -key … -subj /CN=terminal -sha256` over a P-256 key. */
const opensslRequest = `-----BEGIN CERTIFICATE REQUEST-----
MIHNMHUCAQAwEzERMA8GA1UEAwwIdGVybWluYWwwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQGZtGYlsyjUG6YZCyNTfY8XMN6dwnvm+TOK7vUzoL9VswhuJR0yeZ+
EsbJI17P1+J4XYLfWlM+4xmCifNxnMjdoAAwCgYIKoZIzj0EAwIDSAAwRQIgCjLu
xFWi2Yx7B639W5JSx5ENBIWpHDRs98Ebb+nGoxcCIQCfyk1ut65MIDi6wkEa895l
9svDoq/OQx4b4Gu8/sa+ww==
-----END CERTIFICATE REQUEST-----
`;

/** A request as a terminal makes it: node-forge, RSA, SHA-256. */
function requestPem(
  keys: { privateKey: KeyObject; publicKey: KeyObject } = rsa,
  sign: 'sha256' | 'sha1' = 'sha256',
): string {
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.publicKeyFromPem(keys.publicKey.export({ format: 'pem', type: 'spki' }).toString());
  request.setSubject([{ name: 'commonName', value: 'terminal' }]);
  const privateKey = forge.pki.privateKeyFromPem(keys.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString());
  request.sign(privateKey, forge.md[sign].create());
  return forge.pki.certificationRequestToPem(request);
}
const derOf = (pem: string): Buffer => Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
const pemOf = (der: Uint8Array): string =>
  `-----BEGIN CERTIFICATE REQUEST-----\n${Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE REQUEST-----\n`;
const codeOf = (run: () => unknown): string => {
  try {
    run();
    return 'nothing was thrown';
  } catch (error) {
    return error instanceof TerminalError ? error.code : String(error);
  }
};

t.test('the first start makes an authority, a server certificate and certificates for terminals', (t) => {
  const folder = folderOf(t);
  const hostNames = ['host.shop.example', '192.168.1.20', 'fd00::12:1'];
  const authority = open(folder, { hostNames });
  const root = authority.certificate;
  t.ok(root.ca && root.checkIssued(root) && root.verify(root.publicKey));
  t.equal(root.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1');
  const server = new X509Certificate(authority.server.certificatePem);
  t.ok(server.checkIssued(root) && server.verify(root.publicKey) && !server.ca);
  t.same(server.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'for servers alone');
  for (const name of ['localhost', 'host.shop.example']) t.equal(server.checkHost(name), name);
  for (const address of ['127.0.0.1', '::1', '192.168.1.20', 'fd00::12:1']) t.equal(server.checkIP(address), address);
  t.equal(server.checkHost('other.example'), undefined);
  const device = authority.issueDevice('t-0123456789ab', rsa.publicKey);
  const certificate = new X509Certificate(device.pem);
  t.ok(certificate.checkIssued(root) && certificate.verify(root.publicKey) && !certificate.ca);
  t.same(certificate.keyUsage, ['1.3.6.1.5.5.7.3.2'], 'for clients alone');
  t.equal(certificate.subject, 'CN=t-0123456789ab');
  t.equal(certificate.serialNumber.toLowerCase(), device.serial);
  t.match(device.serial, /^[4-7][0-9a-f]{31}$/, 'positive, and always 127 bits');
  t.equal(Date.parse(certificate.validTo), now + 30 * dayMs);
  t.equal(device.endsAtWallMs, now + 30 * dayMs);
  t.end();
});

t.test('files are private, and a restart changes nothing', (t) => {
  const folder = folderOf(t);
  const first = open(folder);
  t.equal(statSync(folder).mode & 0o777, 0o700);
  const contents = () => Object.values(keyFileNames).map((name) => readFileSync(path.join(folder, name), 'utf8'));
  for (const name of Object.values(keyFileNames)) t.equal(statSync(path.join(folder, name)).mode & 0o777, 0o600, name);
  const before = contents();
  const second = open(folder);
  t.same(contents(), before);
  t.equal(second.certificatePem, first.certificatePem);
  t.same(readdirSync(folder).sort(), Object.values(keyFileNames).sort(), 'no temporary file stays');
  t.end();
});

t.test('the server certificate is issued anew near its end and for a new name, the authority never', (t) => {
  const folder = folderOf(t);
  const first = open(folder);
  const later = open(folder, { at: now + serverValidMs - serverRenewBeforeMs - dayMs });
  t.equal(later.server.certificatePem, first.server.certificatePem, 'early enough');
  const near = open(folder, { at: now + serverValidMs - serverRenewBeforeMs + dayMs });
  t.not(near.server.certificatePem, first.server.certificatePem);
  t.equal(near.certificatePem, first.certificatePem);
  const named = open(folder, { at: now + serverValidMs, hostNames: ['new.example'] });
  t.ok(new X509Certificate(named.server.certificatePem).checkHost('new.example'));
  t.equal(
    codeOf(() => open(folder, { hostNames: ['bad name'] })),
    'config.invalid',
  );
  t.end();
});

t.test('a lost, exposed, damaged or foreign key is an error, never a new authority', (t) => {
  const folder = folderOf(t);
  open(folder);
  const other = folderOf(t);
  open(other);
  const key = path.join(folder, keyFileNames.authorityKey);
  chmodSync(key, 0o640);
  t.equal(
    codeOf(() => open(folder)),
    'config.invalid',
    'readable by the group',
  );
  chmodSync(key, 0o600);
  copyFileSync(path.join(other, keyFileNames.authorityKey), key);
  t.equal(
    codeOf(() => open(folder)),
    'config.invalid',
    'key of another authority',
  );
  truncateSync(key, 40);
  t.equal(
    codeOf(() => open(folder)),
    'config.invalid',
    'cut',
  );
  rmSync(key);
  t.equal(
    codeOf(() => open(folder)),
    'config.invalid',
    'gone',
  );
  t.end();
});

t.test('device certificates of 300 P-256 keys carry exactly that key', (t) => {
  // A point begins with 04 and its next byte can look like a length: a decoder that guesses would mangle some of them.
  const authority = open(folderOf(t));
  let wrong = 0;
  for (let i = 0; i < 300; i++) {
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const certificate = new X509Certificate(authority.issueDevice('t-0123456789ab', publicKey).pem);
    const same = certificate.publicKey
      .export({ format: 'der', type: 'spki' })
      .equals(publicKey.export({ format: 'der', type: 'spki' }));
    if (!same || !certificate.verify(authority.certificate.publicKey)) wrong++;
  }
  t.equal(wrong, 0);
  t.end();
});

t.test('who is at the other end', (t) => {
  const authority = open(folderOf(t));
  const stranger = open(folderOf(t));
  const device = authority.issueDevice('t-0123456789ab', ec.publicKey);
  t.same(identifyPeer(undefined, authority.certificate), { kind: 'none' });
  t.match(identifyPeer(new X509Certificate(device.pem), authority.certificate), {
    kind: 'terminal',
    terminalId: 't-0123456789ab',
    fingerprint: device.fingerprint,
    validToMs: now + 30 * dayMs,
  });
  for (const [pem, what] of [
    [stranger.issueDevice('t-0123456789ab', ec.publicKey).pem, 'another authority'],
    [authority.server.certificatePem, 'our own server certificate'],
    [authority.certificatePem, 'the authority itself'],
    [authority.issueDevice('t-0123456789ab\nCN=t-ba9876543210', ec.publicKey).pem, 'a name with a line feed'],
    [authority.issueDevice('admin', ec.publicKey).pem, 'another name'],
  ] as const)
    t.same(identifyPeer(new X509Certificate(pem), authority.certificate), { kind: 'stranger' }, what);
  t.end();
});

t.test('requests that a terminal makes are taken', (t) => {
  const taken = verifyCertificateRequest(requestPem());
  t.ok(
    taken.ok &&
      taken.value.export({ format: 'der', type: 'spki' }).equals(rsa.publicKey.export({ format: 'der', type: 'spki' })),
  );
  const elliptic = verifyCertificateRequest(opensslRequest);
  t.ok(
    elliptic.ok && elliptic.value.asymmetricKeyDetails?.namedCurve === 'prime256v1',
    'P-256, made by another program',
  );
  t.end();
});

t.test('requests that are wrong are refused with one code', (t) => {
  const der = derOf(requestPem());
  const small = generateKeyPairSync('rsa', { modulusLength: 1024 });
  const deep = Buffer.concat([
    ...Array.from({ length: 2_000 }, (_, i) => header(0x30, (2_000 - i - 1) * 4)),
    Buffer.alloc(0),
  ]);
  const cases: readonly (readonly [string, string])[] = [
    ['', 'empty'],
    ['-----BEGIN CERTIFICATE REQUEST-----\n\n-----END CERTIFICATE REQUEST-----', 'no content'],
    [requestPem() + requestPem(), 'two blocks'],
    [requestPem(small), 'RSA of 1024 bits'],
    [requestPem(rsa, 'sha1'), 'SHA-1'],
    [pemOf(deep), 'nested 2,000 deep'],
    [pemOf(Buffer.concat([der, Buffer.alloc(1)])), 'a byte behind the end'],
    [pemOf(Buffer.concat([Buffer.from([0x30, 0x80]), der, Buffer.alloc(2)])), 'indefinite length'],
    [pemOf(Buffer.concat([header(0x30, 7_000), Buffer.alloc(7_000)])), 'over 6,144 bytes'],
    [pemOf(Buffer.concat([header(0x30, 600), Buffer.alloc(600)])), 'hundreds of elements'],
  ];
  for (const [pem, what] of cases)
    t.match(verifyCertificateRequest(pem), { ok: false, error: { code: 'enrolment.requestInvalid' } }, what);
  t.end();
});

/** Tag and a three-byte length form. */
function header(tag: number, length: number): Buffer {
  return length < 0x80
    ? Buffer.from([tag, length])
    : length < 0x100
      ? Buffer.from([tag, 0x81, length])
      : Buffer.from([tag, 0x82, length >> 8, length & 255]);
}

t.test('every truncation and every flipped bit of a request is refused, without an exception', (t) => {
  const der = derOf(requestPem());
  let accepted = 0;
  for (let length = 0; length < der.length; length++)
    if (verifyCertificateRequest(pemOf(der.subarray(0, length))).ok) accepted++;
  for (let bit = 0; bit < der.length * 8; bit += 3) {
    const flipped = Buffer.from(der);
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    if (verifyCertificateRequest(pemOf(flipped)).ok) accepted++;
  }
  t.equal(accepted, 0);
  t.end();
});

t.test('the walker ends on any bytes, within its limits', (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const walked = walkDer(bytes, requestLimits);
        return walked.ok ? walked.value.end === bytes.length : walked.error.offset <= bytes.length;
      }),
      { numRuns: 2_000 },
    ),
  );
  t.end();
});
