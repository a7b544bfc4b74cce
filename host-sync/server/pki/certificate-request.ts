/**
 * Certificate requests (PKCS#10, RFC 2986): takes the public key out of a terminal's request and checks its signature with
 * node:crypto alone. Must not use node-forge (its RSA verification has an open flaw), nor believe the requested name.
 */
import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { type Bytes, equalBytes, hex } from '../../../terminal/kernel/bytes.js';
import type { DecodeError, Result } from '../../../terminal/kernel/result.js';
import { decodeError, err, ok } from '../../../terminal/kernel/result.js';
import { childrenOf, type DerElement, requestLimits, walkDer } from './der-bounds.js';

export interface RequestError {
  readonly code: 'enrolment.requestInvalid';
  readonly detail: string;
}

const tagSequence = 0x30;
const tagInteger = 0x02;
const tagBitString = 0x03;
const tagAttributes = 0xa0;
const rsaBitsMin = 2048;
const rsaBitsMax = 4096;

/** AlgorithmIdentifiers as whole DER elements. The hash is part of the choice: SHA-1 is not among them. */
const signatureAlgorithms: readonly { readonly der: Bytes; readonly hash: string; readonly keyType: 'rsa' | 'ec' }[] = [
  { der: hex('300d06092a864886f70d01010b0500'), hash: 'sha256', keyType: 'rsa' },
  { der: hex('300d06092a864886f70d01010c0500'), hash: 'sha384', keyType: 'rsa' },
  { der: hex('300d06092a864886f70d01010d0500'), hash: 'sha512', keyType: 'rsa' },
  { der: hex('300a06082a8648ce3d040302'), hash: 'sha256', keyType: 'ec' },
];

const invalid = (detail: string): { readonly ok: false; readonly error: RequestError } =>
  err({ code: 'enrolment.requestInvalid', detail });

/** Exactly one PEM block of the label, nothing around it, strict base64. */
function pemContent(pem: string): Result<Buffer, DecodeError> {
  const match =
    /^-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----\r?\n([A-Za-z0-9+/=\r\n]+?)\r?\n-----END (?:NEW )?CERTIFICATE REQUEST-----\s*$/.exec(
      pem,
    );
  const base64 = match?.[1]?.replace(/[\r\n]/g, '');
  if (!base64 || !/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(base64))
    return decodeError('input.malformed', 0, 'not one PEM certificate request');
  return ok(Buffer.from(base64, 'base64'));
}

interface RequestParts {
  readonly info: Bytes;
  readonly publicKeyInfo: Bytes;
  readonly algorithm: Bytes;
  readonly signature: Bytes;
}

/** CertificationRequest ::= SEQUENCE { info, signatureAlgorithm, signature } as slices of the DER (RFC 2986 §4.2). */
function partsOf(der: Bytes): Result<RequestParts, DecodeError> {
  const outer = walkDer(der, requestLimits);
  if (!outer.ok) return outer;
  if (outer.value.tag !== tagSequence) return decodeError('input.malformed', 0, 'not a sequence');
  const top = childrenOf(der, outer.value);
  if (!top.ok) return top;
  const [info, algorithm, signature] = top.value;
  if (!info || !algorithm || !signature || top.value.length !== 3)
    return decodeError('input.malformed', 0, 'three elements wanted');
  if (info.tag !== tagSequence || algorithm.tag !== tagSequence || signature.tag !== tagBitString)
    return decodeError('input.malformed', info.start, 'not a certification request');
  const fields = childrenOf(der, info);
  if (!fields.ok) return fields;
  const [version, subject, publicKeyInfo, attributes] = fields.value;
  const shaped =
    version?.tag === tagInteger &&
    subject?.tag === tagSequence &&
    publicKeyInfo?.tag === tagSequence &&
    (attributes === undefined || attributes.tag === tagAttributes) &&
    fields.value.length <= 4;
  if (!shaped) return decodeError('input.malformed', info.start, 'not a certification request info');
  if (der[signature.contentStart] !== 0)
    return decodeError('input.malformed', signature.contentStart, 'unused bits in the signature');
  const slice = (element: DerElement): Bytes => der.subarray(element.start, element.end);
  return ok({
    info: slice(info),
    publicKeyInfo: slice(publicKeyInfo),
    algorithm: slice(algorithm),
    signature: der.subarray(signature.contentStart + 1, signature.end),
  });
}

/** Our strength rules: RSA of 2048…4096 bits with a common exponent, or the curve P-256. */
function keyProblem(key: KeyObject): string | null {
  const details = key.asymmetricKeyDetails;
  if (key.asymmetricKeyType === 'rsa') {
    const bits = details?.modulusLength ?? 0;
    if (bits < rsaBitsMin || bits > rsaBitsMax) return `RSA of ${rsaBitsMin} to ${rsaBitsMax} bits wanted`;
    return details?.publicExponent === 65_537n ? null : 'RSA exponent 65537 wanted';
  }
  if (key.asymmetricKeyType === 'ec') return details?.namedCurve === 'prime256v1' ? null : 'curve P-256 wanted';
  return 'RSA or P-256 key wanted';
}

/**
 * Checks a request in PEM: size and nesting first, then shape, key strength and the proof of possession.
 * @returns the requester's public key, or `enrolment.requestInvalid` with a detail that may be shown
 */
export function verifyCertificateRequest(pem: string): Result<KeyObject, RequestError> {
  const der = pemContent(pem);
  if (!der.ok) return invalid(der.error.detail);
  const parts = partsOf(der.value);
  if (!parts.ok) return invalid(`${parts.error.detail} (byte ${parts.error.offset})`);
  const algorithm = signatureAlgorithms.find(({ der: wanted }) => equalBytes(wanted, parts.value.algorithm));
  if (!algorithm) return invalid('signature algorithm is not supported');
  try {
    const key = createPublicKey({ key: Buffer.from(parts.value.publicKeyInfo), format: 'der', type: 'spki' });
    const problem = keyProblem(key);
    if (problem) return invalid(problem);
    if (key.asymmetricKeyType !== algorithm.keyType) return invalid('signature algorithm does not fit the key');
    if (!verify(algorithm.hash, parts.value.info, key, parts.value.signature))
      return invalid('the signature does not fit');
    return ok(key);
  } catch {
    // OpenSSL names its reasons by library and line; they say nothing to a requester.
    return invalid('the public key cannot be read');
  }
}
