/**
 * The embedded authority: its key and certificate, the server's certificate, and certificates for terminals.
 * Must not decide who may have one (enrolment does), and never lets a private key out of its folder.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto';
import { isIP } from 'node:net';
import path from 'node:path';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { TerminalError } from '../../../terminal/kernel/errors.js';
import type { Clock, Random } from '../../../terminal/kernel/ports.js';
import { durationMs, type WallMs, wallMs } from '../../../terminal/kernel/units.js';
import { buildCertificate, serialText } from './certificate.js';
import { ensurePrivateFolder, readPrivateFile, writePrivateFile } from './key-files.js';

const dayMs = 86_400_000;
export const authorityValidMs = durationMs(20 * 365 * dayMs);
export const serverValidMs = durationMs(2 * 365 * dayMs);
export const serverRenewBeforeMs = durationMs(90 * dayMs);
/** Certificates begin this much earlier, since the other clock may run behind. */
export const clockSkewMs = durationMs(dayMs);
export const hostNamesMax = 32;

export const keyFileNames = {
  authorityKey: 'authority.key.pem',
  authorityCertificate: 'authority.cert.pem',
  serverKey: 'server.key.pem',
  serverCertificate: 'server.cert.pem',
} as const;

export interface AuthorityOptions {
  /** Folder of keys; made 0700 when absent. */
  readonly folder: string;
  readonly clock: Pick<Clock, 'wallMs'>;
  readonly random: Random;
  /** DNS names and addresses besides localhost, 127.0.0.1 and ::1 that terminals reach the host by. */
  readonly hostNames: readonly string[];
  readonly deviceValidMs: number;
}

export interface DeviceCertificate {
  readonly pem: string;
  /** SHA-256 of the certificate, 64 lower-case hex digits. */
  readonly fingerprint: string;
  /** 32 lower-case hex digits. */
  readonly serial: string;
  readonly endsAtWallMs: WallMs;
}

export interface Authority {
  readonly certificatePem: string;
  readonly certificate: X509Certificate;
  readonly server: {
    readonly keyPem: string;
    readonly certificatePem: string;
  };
  /** ECDSA P-256 with SHA-256 (FIPS 186-5) in DER, by the authority's key. */
  sign(data: Bytes): Bytes;
  /** A client certificate for a key whose possession was proven; CN is the terminal's id. */
  issueDevice(terminalId: string, publicKey: KeyObject): DeviceCertificate;
}

export const fingerprintOf = (certificate: X509Certificate): string =>
  certificate.fingerprint256.replaceAll(':', '').toLowerCase();

/** A DNS name of RFC 1123 or an address, as a certificate may carry it. */
export const isHostName = (name: string): boolean =>
  isIP(name) !== 0 || (name.length <= 253 && /^(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*$/.test(name));

interface KeyPair {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

function readKeyPair(file: string): KeyPair | null {
  const pem = readPrivateFile(file);
  if (!pem) return null;
  try {
    const privateKey = createPrivateKey(pem);
    return { privateKey, publicKey: createPublicKey(privateKey) };
  } catch {
    throw new TerminalError('config.invalid', `${path.basename(file)} is not a private key: restore it from a backup`);
  }
}

function drawKeyPair(file: string): KeyPair {
  const pair = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writePrivateFile(file, pair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
  return pair;
}

function readCertificate(file: string): X509Certificate | null {
  const pem = readPrivateFile(file);
  if (!pem) return null;
  try {
    return new X509Certificate(pem);
  } catch {
    throw new TerminalError('config.invalid', `${path.basename(file)} is not a certificate: restore it from a backup`);
  }
}

const validFor = (certificate: X509Certificate, at: number): boolean =>
  Date.parse(certificate.validFrom) <= at && at < Date.parse(certificate.validTo);

/** Does the certificate belong to the key, come from this authority, name all hosts, and last long enough? */
function serverCertificateServes(
  certificate: X509Certificate,
  pair: KeyPair,
  authority: X509Certificate,
  names: readonly string[],
  at: number,
): boolean {
  return (
    certificate.checkPrivateKey(pair.privateKey) &&
    certificate.verify(authority.publicKey) &&
    validFor(certificate, at) &&
    validFor(certificate, at + serverRenewBeforeMs) &&
    names.every((name) => (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined)
  );
}

function openRoot(options: AuthorityOptions): {
  readonly pair: KeyPair;
  readonly certificate: X509Certificate;
  readonly name: string;
} {
  const keyFile = path.join(options.folder, keyFileNames.authorityKey);
  const certificateFile = path.join(options.folder, keyFileNames.authorityCertificate);
  const known = readCertificate(certificateFile);
  const key = readKeyPair(keyFile);
  // A certificate without its key means that terminals trust an authority we no longer are: drawing a new key would
  // lock every one of them out in silence. A key without certificate is a first start that was cut.
  if (known && !key)
    throw new TerminalError('config.invalid', `${keyFileNames.authorityKey} is missing: restore it from a backup`);
  const pair = key ?? drawKeyPair(keyFile);
  if (known) {
    if (!known.checkPrivateKey(pair.privateKey))
      throw new TerminalError(
        'config.invalid',
        'authority key and certificate do not belong together: restore both from one backup',
      );
    return { pair, certificate: known, name: /^CN=(.+)$/m.exec(known.subject)?.[1] ?? '' };
  }
  const now = options.clock.wallMs();
  const serial = options.random.bytes(16);
  const name = `Shouli authority ${serialText(serial).slice(0, 8)}`;
  const pem = buildCertificate({
    role: 'authority',
    name,
    publicKey: pair.publicKey,
    issuerName: name,
    issuerPublicKey: pair.publicKey,
    issuerPrivateKey: pair.privateKey,
    serial,
    notBeforeWallMs: wallMs(Math.max(0, now - clockSkewMs)),
    notAfterWallMs: wallMs(now + authorityValidMs),
    hostNames: [],
  });
  writePrivateFile(certificateFile, pem);
  return { pair, certificate: new X509Certificate(pem), name };
}

/**
 * Opens the authority of a data folder, or makes it at the first start; renews the server's certificate when it ends within
 * serverRenewBeforeMs, lacks a name, or is not ours. Throws `config.invalid` where keys are damaged, open to others or lost.
 */
export function openAuthority(options: AuthorityOptions): Authority {
  const names = [...new Set(['localhost', '127.0.0.1', '::1', ...options.hostNames])];
  const wrong = names.find((name) => !isHostName(name));
  if (wrong !== undefined || names.length > hostNamesMax)
    throw new TerminalError('config.invalid', `host name ${wrong ?? 'list'}`);
  ensurePrivateFolder(options.folder);
  const root = openRoot(options);
  const issue = (wish: {
    role: 'server' | 'device';
    name: string;
    publicKey: KeyObject;
    validMs: number;
    hostNames: readonly string[];
  }) => {
    const now = options.clock.wallMs();
    const serial = options.random.bytes(16);
    const pem = buildCertificate({
      role: wish.role,
      name: wish.name,
      publicKey: wish.publicKey,
      issuerName: root.name,
      issuerPublicKey: root.pair.publicKey,
      issuerPrivateKey: root.pair.privateKey,
      serial,
      notBeforeWallMs: wallMs(Math.max(0, now - clockSkewMs)),
      notAfterWallMs: wallMs(Math.min(now + wish.validMs, Date.parse(root.certificate.validTo))),
      hostNames: wish.hostNames,
    });
    return { pem, serial: serialText(serial) };
  };
  const serverKeyFile = path.join(options.folder, keyFileNames.serverKey);
  const serverCertificateFile = path.join(options.folder, keyFileNames.serverCertificate);
  const serverPair = readKeyPair(serverKeyFile) ?? drawKeyPair(serverKeyFile);
  const current = readCertificate(serverCertificateFile);
  const serves =
    current && serverCertificateServes(current, serverPair, root.certificate, names, options.clock.wallMs());
  const serverPem = serves
    ? current.toString()
    : issue({
        role: 'server',
        name: 'Shouli host',
        publicKey: serverPair.publicKey,
        validMs: serverValidMs,
        hostNames: names,
      }).pem;
  if (!serves) writePrivateFile(serverCertificateFile, serverPem);
  return {
    certificate: root.certificate,
    certificatePem: root.certificate.toString(),
    server: {
      keyPem: serverPair.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      certificatePem: serverPem,
    },
    sign: (data) => new Uint8Array(sign('sha256', data, root.pair.privateKey)),
    issueDevice: (terminalId, publicKey) => {
      const { pem, serial } = issue({
        role: 'device',
        name: terminalId,
        publicKey,
        validMs: options.deviceValidMs,
        hostNames: [],
      });
      const certificate = new X509Certificate(pem);
      return {
        pem,
        serial,
        fingerprint: fingerprintOf(certificate),
        endsAtWallMs: wallMs(Date.parse(certificate.validTo)),
      };
    },
  };
}
