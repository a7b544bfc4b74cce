/**
 * A certificate authority of a test's own, and an https server under it. Keys are weak in care, not in kind: never for real use.
 */
import { generateKeyPairSync, type KeyObject, X509Certificate } from 'node:crypto';
import { createServer, type Server, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import forge from 'node-forge';

export interface Pair {
  readonly certificatePem: string;
  readonly keyPem: string;
}
export interface TestAuthority {
  readonly certificatePem: string;
  readonly fingerprint: string;
  /** `names`: DNS names or IP addresses of a server; none makes a client certificate. Ends `days` from now. */
  issue(wish: { readonly name: string; readonly names?: readonly string[]; readonly days?: number }): Pair;
  /** A certificate for the key in a PKCS#10 request. */
  sign(requestPem: string, name: string): string;
}

const dayMs = 86_400_000;
const pemOf = (key: KeyObject, type: 'spki' | 'pkcs8'): string => key.export({ format: 'pem', type }).toString();

export function createAuthority(name: string): TestAuthority {
  const root = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const rootKey = forge.pki.privateKeyFromPem(pemOf(root.privateKey, 'pkcs8'));
  let serial = 1;

  function certify(subject: string, publicKeyPem: string, extensions: object[], days: number): string {
    const certificate = forge.pki.createCertificate();
    certificate.publicKey = forge.pki.publicKeyFromPem(publicKeyPem);
    certificate.serialNumber = (0x1000 + serial++).toString(16);
    certificate.validity.notBefore = new Date(Date.now() - 30 * dayMs);
    certificate.validity.notAfter = new Date(Date.now() + days * dayMs);
    certificate.setSubject([{ name: 'commonName', value: subject }]);
    certificate.setIssuer([{ name: 'commonName', value: name }]);
    certificate.setExtensions(extensions);
    certificate.sign(rootKey, forge.md.sha256.create());
    return forge.pki.certificateToPem(certificate);
  }
  const client = [{ name: 'extKeyUsage', clientAuth: true }];
  const certificatePem = certify(
    name,
    pemOf(root.publicKey, 'spki'),
    [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
    365,
  );
  return {
    certificatePem,
    fingerprint: new X509Certificate(certificatePem).fingerprint256,
    issue: ({ name: subject, names = [], days = 365 }) => {
      const pair = generateKeyPairSync('rsa', { modulusLength: 2048 });
      const altNames = names.map((each) => (/^[0-9.]+$/.test(each) ? { type: 7, ip: each } : { type: 2, value: each }));
      const server = [
        { name: 'extKeyUsage', serverAuth: true },
        { name: 'subjectAltName', altNames },
      ];
      const pem = certify(subject, pemOf(pair.publicKey, 'spki'), names.length > 0 ? server : client, days);
      return { certificatePem: pem, keyPem: pemOf(pair.privateKey, 'pkcs8') };
    },
    sign: (requestPem, subject) => {
      const request = forge.pki.certificationRequestFromPem(requestPem);
      if (!request.verify() || !request.publicKey) throw new Error('the request is not signed by its key');
      return certify(subject, forge.pki.publicKeyToPem(request.publicKey), client, 365);
    },
  };
}

export interface TestServer {
  readonly server: Server;
  readonly origin: string;
  /** Breaks every connection. */
  close(): Promise<void>;
}

/** An https server on loopback that asks for client certificates of the authority, unless `options` say otherwise. */
export async function serve(authority: TestAuthority, pair: Pair, options: ServerOptions = {}): Promise<TestServer> {
  const server = createServer({
    cert: pair.certificatePem,
    key: pair.keyPem,
    ca: authority.certificatePem,
    requestCert: true,
    rejectUnauthorized: true,
    ...options,
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    server,
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
