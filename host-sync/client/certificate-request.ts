/**
 * Certificate request: a key pair of the box and the PKCS#10 request (RFC 2986) for it. The key is drawn and used by
 * node:crypto alone; node-forge only writes the ASN.1 and never sees the private key.
 */
import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import type forge from 'node-forge';
import { assert } from '../../terminal/kernel/result.js';

/** RSA, since node-forge writes no other kind of request. */
export const keyBits = 2048;

export interface KeyAndRequest {
  /** PKCS#8, PEM. Secret. */
  readonly keyPem: string;
  /** PKCS#10, PEM, signed with RSA and SHA-256. */
  readonly requestPem: string;
}

/** @param name the common name asked for, 1…64 characters; the host gives the terminal its own */
export async function drawKeyAndRequest(name: string): Promise<KeyAndRequest> {
  // Loaded when a certificate is asked for, which is once a year: no box carries it while it sells.
  const { default: asn1 } = await import('node-forge');
  const { privateKey, publicKey } = await promisify(generateKeyPair)('rsa', { modulusLength: keyBits });
  return {
    keyPem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    requestPem: writeRequest(asn1, name, publicKey, privateKey),
  };
}

function writeRequest(asn1: typeof forge, name: string, publicKey: KeyObject, privateKey: KeyObject): string {
  assert(/^[\x20-\x7e]{1,64}$/.test(name), 'a common name of 1 to 64 printable ASCII characters');
  const request = asn1.pki.createCertificationRequest();
  request.publicKey = asn1.pki.publicKeyFromPem(publicKey.export({ format: 'pem', type: 'spki' }).toString());
  request.setSubject([{ name: 'commonName', value: name }]);
  // forge hands the bytes to a digest and the digest to a key; these two pass them on to node:crypto instead.
  let toBeSigned = '';
  const digest = { algorithm: 'sha256', update: (bytes: string) => (toBeSigned = bytes) };
  const key = { sign: () => sign('sha256', Buffer.from(toBeSigned, 'latin1'), privateKey).toString('latin1') };
  request.sign(key as unknown as forge.pki.rsa.PrivateKey, digest as unknown as forge.md.MessageDigest);
  return asn1.pki.certificationRequestToPem(request);
}
