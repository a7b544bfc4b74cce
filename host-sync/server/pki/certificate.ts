/**
 * Certificates (X.509 v3, RFC 5280): builds them with node-forge's ASN.1 and signs them with node:crypto on P-256.
 * Must not read anything from outside and must not keep a key: who issues what is authority.ts's.
 */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { isIP } from 'node:net';
import forge from 'node-forge';
import { type Bytes, toHex } from '../../../terminal/kernel/bytes.js';
import type { WallMs } from '../../../terminal/kernel/units.js';

const { asn1 } = forge;
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';
const oid = {
  basicConstraints: '2.5.29.19',
  keyUsage: '2.5.29.15',
  extendedKeyUsage: '2.5.29.37',
  subjectAltName: '2.5.29.17',
  subjectKeyIdentifier: '2.5.29.14',
  authorityKeyIdentifier: '2.5.29.35',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

export type CertificateRole = 'authority' | 'server' | 'device';

export interface CertificateWish {
  readonly role: CertificateRole;
  /** Common name: the terminal id, or what the host is called. */
  readonly name: string;
  readonly publicKey: KeyObject;
  readonly issuerName: string;
  readonly issuerPublicKey: KeyObject;
  readonly issuerPrivateKey: KeyObject;
  /** 16 random bytes; made a positive number of 127 bits. */
  readonly serial: Bytes;
  readonly notBeforeWallMs: WallMs;
  readonly notAfterWallMs: WallMs;
  /** DNS names and addresses a server answers to; empty for the others. */
  readonly hostNames: readonly string[];
}

const binary = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');
const spki = (key: KeyObject): Buffer => key.export({ format: 'der', type: 'spki' });
/** RFC 5280 §4.2.1.2 asks for an identifier unique enough; SHA-256 cut to 20 bytes avoids SHA-1. */
const keyIdentifier = (key: KeyObject): Buffer => createHash('sha256').update(spki(key)).digest().subarray(0, 20);

const element = (type: forge.asn1.Type, value: string): forge.asn1.Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, type, false, value);
const sequence = (...parts: forge.asn1.Asn1[]): forge.asn1.Asn1 =>
  asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SEQUENCE, true, parts);
const context = (tag: number, value: string): forge.asn1.Asn1 =>
  asn1.create(asn1.Class.CONTEXT_SPECIFIC, tag, false, value);
const oidElement = (id: string): forge.asn1.Asn1 => element(asn1.Type.OID, asn1.oidToDer(id).getBytes());

function commonName(name: string): forge.asn1.Asn1 {
  const attribute = sequence(oidElement('2.5.4.3'), element(asn1.Type.UTF8, forge.util.encodeUtf8(name)));
  return sequence(asn1.create(asn1.Class.UNIVERSAL, asn1.Type.SET, true, [attribute]));
}

/** RFC 5280 §4.1.2.5: UTCTime through 2049, GeneralizedTime from 2050, whole seconds. */
function time(at: WallMs): forge.asn1.Asn1 {
  const date = new Date(Math.floor(at / 1000) * 1000);
  return date.getUTCFullYear() < 2050
    ? element(asn1.Type.UTCTIME, String(asn1.dateToUtcTime(date)))
    : element(asn1.Type.GENERALIZEDTIME, String(asn1.dateToGeneralizedTime(date)));
}

function extension(id: string, critical: boolean, value: forge.asn1.Asn1): forge.asn1.Asn1 {
  const flag = critical ? [element(asn1.Type.BOOLEAN, '\xff')] : [];
  return sequence(oidElement(id), ...flag, element(asn1.Type.OCTETSTRING, asn1.toDer(value).getBytes()));
}

/** KeyUsage as its bit string: unused bits, then the bits (RFC 5280 §4.2.1.3). */
const keyUsageBits: Readonly<Record<CertificateRole, string>> = {
  authority: '\x01\x06', // keyCertSign, cRLSign
  server: '\x07\x80', // digitalSignature
  device: '\x07\x80',
};

/** An address as RFC 5280 §4.2.1.6 wants it: 4 or 16 bytes. The loopback forms are all that a box or a shop names by v6. */
function addressBytes(address: string): string {
  if (isIP(address) === 4) return binary(Uint8Array.from(address.split('.').map(Number)));
  const [head = '', tail = ''] = address.split('::');
  const words = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((word) => Number.parseInt(word, 16));
  const left = words(head);
  const right = words(tail);
  const all = address.includes('::')
    ? [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
    : left;
  return binary(Uint8Array.from(all.flatMap((word) => [word >> 8, word & 255])));
}

function alternativeNames(hostNames: readonly string[]): forge.asn1.Asn1 {
  return sequence(...hostNames.map((name) => (isIP(name) === 0 ? context(2, name) : context(7, addressBytes(name)))));
}

function extensions(wish: CertificateWish): forge.asn1.Asn1 {
  const isAuthority = wish.role === 'authority';
  const usage = wish.role === 'server' ? oid.serverAuth : oid.clientAuth;
  const list = [
    extension(
      oid.basicConstraints,
      true,
      isAuthority ? sequence(element(asn1.Type.BOOLEAN, '\xff'), element(asn1.Type.INTEGER, '\x00')) : sequence(),
    ),
    extension(oid.keyUsage, true, element(asn1.Type.BITSTRING, keyUsageBits[wish.role])),
    extension(oid.subjectKeyIdentifier, false, element(asn1.Type.OCTETSTRING, binary(keyIdentifier(wish.publicKey)))),
    extension(oid.authorityKeyIdentifier, false, sequence(context(0, binary(keyIdentifier(wish.issuerPublicKey))))),
    ...(isAuthority ? [] : [extension(oid.extendedKeyUsage, false, sequence(oidElement(usage)))]),
    ...(wish.hostNames.length > 0 ? [extension(oid.subjectAltName, false, alternativeNames(wish.hostNames))] : []),
  ];
  return asn1.create(asn1.Class.CONTEXT_SPECIFIC, 3, true, [sequence(...list)]);
}

/** A positive INTEGER of 16 bytes: top bit off, the next on, so that its length never varies. */
function serialBytes(serial: Bytes): Bytes {
  const positive = Uint8Array.from(serial.subarray(0, 16));
  positive[0] = ((positive[0] ?? 0) & 0x7f) | 0x40;
  return positive;
}

/** How certificate serials are written in tables and listings: 32 lower-case hex digits. */
export const serialText = (serial: Bytes): string => toHex(serialBytes(serial));

/** Builds and signs one certificate. @returns PEM. The caller has checked names and times. */
export function buildCertificate(wish: CertificateWish): string {
  const algorithm = (): forge.asn1.Asn1 => sequence(oidElement(ecdsaWithSha256));
  const tbs = sequence(
    asn1.create(asn1.Class.CONTEXT_SPECIFIC, 0, true, [element(asn1.Type.INTEGER, '\x02')]),
    element(asn1.Type.INTEGER, binary(serialBytes(wish.serial))),
    algorithm(),
    commonName(wish.issuerName),
    sequence(time(wish.notBeforeWallMs), time(wish.notAfterWallMs)),
    commonName(wish.name),
    asn1.fromDer(binary(spki(wish.publicKey)), true),
    extensions(wish),
  );
  const tbsDer = Buffer.from(asn1.toDer(tbs).getBytes(), 'latin1');
  const signature = sign('sha256', tbsDer, wish.issuerPrivateKey);
  const whole = sequence(tbs, algorithm(), element(asn1.Type.BITSTRING, `\x00${binary(signature)}`));
  return forge.pem.encode({ type: 'CERTIFICATE', body: asn1.toDer(whole).getBytes() }).replaceAll('\r\n', '\n');
}
