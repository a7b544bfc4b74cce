/**
 * Trust: how a box that is not enrolled yet comes to know its host's authority, and checks of certificates given to it.
 * All by Node's own TLS and X.509. Never trusts what it was not told to: no trust on first use.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { err, ok } from '../../terminal/kernel/result.js';
import { failure, type Schedule, transportFailure } from './exchange.js';
import type { HostResult, TlsCredentials } from './host-port.js';

/** Longest chain that is looked through. */
const chainLengthMax = 8;

/** SHA-256 of a certificate's DER in 64 lower-case hex digits, from the forms people copy (colons, upper case); null when it is none. */
export function readFingerprint(text: string): string | null {
  const digits = text.trim().replaceAll(':', '').toLowerCase();
  return /^[0-9a-f]{64}$/.test(digits) ? digits : null;
}

export function readCertificate(pem: string): X509Certificate | null {
  try {
    return new X509Certificate(pem);
  } catch {
    return null;
  }
}

/** What the other side presented, leaf first. */
function presentedChain(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next = socket.getPeerCertificate(true);
  while (next?.raw && chain.length < chainLengthMax) {
    chain.push(new X509Certificate(next.raw));
    if (!next.issuerCertificate || next.issuerCertificate === next) break;
    next = next.issuerCertificate;
  }
  return chain;
}

/**
 * Finds the authority with this fingerprint in the chain that the host presents, on a connection that sends nothing but
 * the handshake. That alone proves nothing (anyone can present a copy): the caller then connects anew with full
 * verification under the certificate returned. The host must present its self-signed authority beside its own certificate (Node does so for the `ca` of its server).
 * @returns the authority's PEM, `host.untrusted` when it was not presented, `host.unreachable`, `host.noAnswer`
 */
export function fetchPinnedAuthority(
  origin: string,
  fingerprint: string,
  deadlineMs: number,
  schedule: Schedule,
): Promise<HostResult<string>> {
  const url = new URL(origin);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  return new Promise((resolve) => {
    const socket = connect({
      host,
      port: Number(url.port || 443),
      ...(isIP(host) === 0 && { servername: host }),
      rejectUnauthorized: false,
      minVersion: 'TLSv1.2',
    });
    const finish = (result: HostResult<string>): void => {
      cancelDeadline();
      socket.destroy();
      resolve(result);
    };
    const cancelDeadline = schedule(deadlineMs, () =>
      finish(err(failure('host.noAnswer', 'no handshake within the deadline'))),
    );
    socket.on('error', (error) => finish(err(transportFailure(error))));
    socket.once('close', () => finish(err(failure('host.noAnswer', 'the connection was closed'))));
    socket.once('secureConnect', () => {
      const pinned = presentedChain(socket).find(
        (certificate) => readFingerprint(certificate.fingerprint256) === fingerprint,
      );
      if (!pinned)
        return finish(
          err(failure('host.untrusted', 'the host did not present the authority with the given fingerprint')),
        );
      if (!pinned.ca)
        return finish(err(failure('host.untrusted', 'the certificate with the given fingerprint is not an authority')));
      finish(ok(pinned.toString()));
    });
  });
}

/**
 * Do key, certificate and authority belong together, and is the certificate made out to this terminal?
 * @returns null, or what is wrong
 */
export function credentialsProblem(tls: TlsCredentials, terminalId: string): string | null {
  const certificate = readCertificate(tls.certificatePem);
  const authority = readCertificate(tls.authorityPem);
  if (!certificate) return 'the certificate cannot be read';
  if (!authority?.ca) return 'the authority cannot be read or is none';
  try {
    if (!certificate.checkPrivateKey(createPrivateKey(tls.keyPem))) return 'the certificate is for another key';
  } catch {
    return 'the key cannot be read';
  }
  if (!certificate.checkIssued(authority) || !certificate.verify(authority.publicKey))
    return 'the certificate is not from the authority';
  return certificate.subject.split('\n').includes(`CN=${terminalId}`) ? null : 'the certificate names another terminal';
}
