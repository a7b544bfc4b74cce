/**
 * Peers: who is at the other end of a TLS connection, judged with node:crypto alone from the certificate it proved.
 * Must not ask the database; whether that terminal is still welcome is decided with its row in http/access.ts.
 */
import type { X509Certificate } from 'node:crypto';
import { fingerprintOf } from './authority.js';

const clientAuth = '1.3.6.1.5.5.7.3.2';

export type Peer =
  | { readonly kind: 'none' }
  /** A certificate that this authority did not issue for a terminal. */
  | { readonly kind: 'stranger' }
  | {
      readonly kind: 'terminal';
      readonly terminalId: string;
      readonly fingerprint: string;
      /** SPKI in hex. */
      readonly publicKey: string;
      readonly validFromMs: number;
      readonly validToMs: number;
    };

/**
 * Judges a peer's certificate: directly issued and signed by the authority, for client use, not an authority itself, its
 * common name a terminal id. Validity is reported, not judged: an expired terminal may still renew.
 */
export function identifyPeer(certificate: X509Certificate | undefined, authority: X509Certificate): Peer {
  if (!certificate) return { kind: 'none' };
  const issued =
    !certificate.ca &&
    certificate.checkIssued(authority) &&
    certificate.keyUsage?.includes(clientAuth) === true &&
    certificate.verify(authority.publicKey);
  const terminalId = /^CN=(t-[0-9a-f]{12})$/.exec(certificate.subject)?.[1];
  if (!issued || !terminalId) return { kind: 'stranger' };
  return {
    kind: 'terminal',
    terminalId,
    fingerprint: fingerprintOf(certificate),
    publicKey: certificate.publicKey.export({ format: 'der', type: 'spki' }).toString('hex'),
    validFromMs: Date.parse(certificate.validFrom),
    validToMs: Date.parse(certificate.validTo),
  };
}
