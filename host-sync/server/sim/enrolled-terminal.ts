/**
 * A terminal as the host's tests need it: makes a request with node-forge, enrols, and sends chained records over real TLS.
 * For tests only; written from docs/protocols/host.md and not with the client's code, so that both check the document.
 */
import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import forge from 'node-forge';
import { Client } from 'undici';
import { v7 } from 'uuid';

export interface Answer {
  readonly status: number;
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Identity {
  readonly certificate: string;
  readonly key: string;
}

const sha256 = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest();

/** A PKCS#10 request over an RSA-2048 key, in PEM. */
export function makeRequest(bits = 2048): {
  readonly request: string;
  readonly key: string;
  readonly publicKey: KeyObject;
} {
  const pair = generateKeyPairSync('rsa', { modulusLength: bits });
  const key = pair.privateKey.export({ format: 'pem', type: 'pkcs1' }).toString();
  const request = forge.pki.createCertificationRequest();
  request.publicKey = forge.pki.publicKeyFromPem(pair.publicKey.export({ format: 'pem', type: 'spki' }).toString());
  request.setSubject([{ name: 'commonName', value: 'terminal' }]);
  request.sign(forge.pki.privateKeyFromPem(key), forge.md.sha256.create());
  return { request: forge.pki.certificationRequestToPem(request), key, publicKey: pair.publicKey };
}

/** One request on a connection of its own. `body` is sent as it is when it is text or bytes, as JSON otherwise. */
export async function ask(
  port: number,
  authority: string,
  identity: Identity | null,
  request: {
    readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
    readonly path: string;
    readonly body?: unknown;
    readonly contentType?: string;
  },
): Promise<Answer> {
  const client = new Client(`https://localhost:${port}`, {
    connect: { ca: authority, ...(identity ? { cert: identity.certificate, key: identity.key } : {}) },
  });
  try {
    const { body } = request;
    const isRaw = typeof body === 'string' || body instanceof Uint8Array;
    const response = await client.request({
      method: request.method ?? (body === undefined ? 'GET' : 'POST'),
      path: request.path,
      ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
      headers: body === undefined ? {} : { 'content-type': request.contentType ?? 'application/json' },
    });
    const text = await response.body.text();
    return { status: response.statusCode, body: text === '' ? null : JSON.parse(text), headers: response.headers };
  } finally {
    await client.close();
  }
}

interface Enrolment {
  readonly terminalId: string;
  readonly epoch: number;
  readonly certificate: string;
  readonly authority: string;
  readonly siteKey: string | null;
}

/** A terminal with its chain. */
export class EnrolledTerminal {
  #sequence = 0;
  #hash: Buffer;
  constructor(
    readonly port: number,
    readonly enrolment: Enrolment,
    public identity: Identity,
  ) {
    this.#hash = sha256(`shouli chain ${enrolment.terminalId} ${enrolment.epoch}`);
  }

  /** Enrols with a code; throws when the host refuses. */
  static async enrol(port: number, authority: string, code: string): Promise<EnrolledTerminal> {
    const made = makeRequest();
    const answer = await ask(port, authority, null, {
      path: '/v1/enrol',
      body: { code, request: made.request, realm: 'real' },
    });
    if (answer.status !== 200) throw new Error(`enrolment refused: ${JSON.stringify(answer.body)}`);
    const enrolment = answer.body as Enrolment;
    return new EnrolledTerminal(port, enrolment, { certificate: enrolment.certificate, key: made.key });
  }

  /** The next envelope of the chain. `fields` go over those of a plain sale of 3.00 yuan. */
  envelope(fields: Readonly<Record<string, unknown>> = {}): {
    body: string;
    previousHash: string;
    attempt: number;
    sentAtWallMs: number;
  } {
    this.#sequence++;
    const body = JSON.stringify({
      version: 1,
      terminalId: this.enrolment.terminalId,
      epoch: this.enrolment.epoch,
      sequence: this.#sequence,
      transactionId: v7(),
      atWallMs: 1_767_225_600_000,
      clockDoubtful: false,
      simulated: false,
      clerk: 'anna',
      kind: 'plainSale',
      reference: null,
      bill: { currency: 'CNY', totalMinor: 300, lines: [], catalogueVersion: null },
      ...fields,
    });
    const previousHash = this.#hash.toString('hex');
    this.#hash = sha256(Buffer.concat([this.#hash, sha256(body)]));
    return { body, previousHash, attempt: 1, sentAtWallMs: 1_767_225_600_000 };
  }

  ask(request: Parameters<typeof ask>[3]): Promise<Answer> {
    return ask(this.port, this.enrolment.authority, this.identity, request);
  }
}
