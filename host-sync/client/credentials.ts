/**
 * Credentials: the box's key, certificate, authority and site key in one file of its keys folder, replaced atomically.
 * Must not talk to the host. It is no hardware security module: whoever reads the folder as the box's user, or as root,
 * can be this terminal. The site key is sealed under this machine, so that a copied folder alone does not give it away.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type Bytes, concat, decodeUtf8, hex, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { parseJson } from '../../terminal/kernel/json.js';
import type { Random } from '../../terminal/kernel/ports.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import { type WallMs, wallMs } from '../../terminal/kernel/units.js';
import { terminalIdSchema } from '../protocol/record.js';
import type { TlsCredentials } from './host-port.js';
import { credentialsProblem, readCertificate } from './trust.js';

export const credentialsFileName = 'credentials.json';
export const sealFileName = 'seal.random';
/** Debian's identity of an installation (machine-id(5)); it seals, and where there is none, only the random file does. */
export const machineIdPath = '/etc/machine-id';
const fileBytesMax = 131_072;
const sealBytes = 32;
const tagBytes = 16;

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));
const fileSchema = z.strictObject({
  version: z.literal(1),
  terminalId: terminalIdSchema,
  epoch: z.int().min(1),
  realm: z.enum(['real', 'simulated']),
  hostOrigin: z.string().max(300),
  key: z.string().max(16_384),
  certificate: z.string().max(16_384),
  authority: z.string().max(16_384),
  /** AES-256-GCM: a fresh salt draws a fresh key for each file, so that no nonce meets a key twice. */
  sealedSiteKey: z.strictObject({ salt: hexOf(32), ciphertext: hexOf(16 + tagBytes) }).nullable(),
});
type CredentialsFile = z.infer<typeof fileSchema>;

export interface CredentialsProblem {
  readonly code: 'enrolment.credentialsInvalid' | 'store.failed';
  readonly detail: string;
}

/** Holds secrets: never log it. */
export interface Credentials {
  readonly terminalId: string;
  /** As given at enrolment; the store knows later ones. */
  readonly epoch: number;
  readonly realm: 'real' | 'simulated';
  readonly hostOrigin: string;
  readonly tls: TlsCredentials;
  /** AES-128 key; null where the merchant did not opt in, or where it was sealed on another machine. */
  readonly siteKey: Bytes | null;
  /** True when there is a site key that this machine cannot unseal: card-held spends need the host until enrolled anew. */
  readonly siteKeyLost: boolean;
  readonly startsAtWallMs: WallMs;
  readonly endsAtWallMs: WallMs;
}
export type NewCredentials = Pick<Credentials, 'terminalId' | 'epoch' | 'realm' | 'hostOrigin' | 'tls' | 'siteKey'>;

export interface SealOptions {
  readonly machineIdPath?: string;
}

function readIfThere(file: string): Bytes | null {
  try {
    return statSync(file).size > fileBytesMax ? new Uint8Array(fileBytesMax + 1) : new Uint8Array(readFileSync(file));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** After the return the file is whole on the disk under its name; before, the old one is. Mode 0600. */
function writeWhole(folder: string, name: string, content: Bytes): void {
  const temporary = path.join(folder, `${name}.new`);
  rmSync(temporary, { force: true });
  const file = openSync(temporary, 'wx', 0o600);
  try {
    for (let at = 0; at < content.length; ) at += writeSync(file, content, at);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path.join(folder, name));
  const directory = openSync(folder, 'r');
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
}

/** The random half of the seal; drawn and stored at first need. Null when it is missing or damaged and may not be drawn. */
function sealRandom(folder: string, random: Random | null): Bytes | null {
  const known = readIfThere(path.join(folder, sealFileName));
  if (known?.length === sealBytes) return known;
  if (!random) return null;
  const drawn = random.bytes(sealBytes);
  writeWhole(folder, sealFileName, drawn);
  return drawn;
}

function sealKey(secret: Bytes, salt: Bytes, options: SealOptions): Bytes {
  const machine = readIfThere(options.machineIdPath ?? machineIdPath) ?? new Uint8Array(0);
  return new Uint8Array(hkdfSync('sha256', secret, salt, concat(utf8('shouli site key '), machine), 32));
}

const zeroNonce = new Uint8Array(12);

function seal(
  siteKey: Bytes,
  terminalId: string,
  folder: string,
  random: Random,
  options: SealOptions,
): CredentialsFile['sealedSiteKey'] {
  const secret = sealRandom(folder, random);
  const salt = random.bytes(32);
  if (!secret) return null;
  const cipher = createCipheriv('aes-256-gcm', sealKey(secret, salt, options), zeroNonce).setAAD(utf8(terminalId));
  const sealed = concat(
    new Uint8Array(cipher.update(siteKey)),
    new Uint8Array(cipher.final()),
    new Uint8Array(cipher.getAuthTag()),
  );
  return { salt: toHex(salt), ciphertext: toHex(sealed) };
}

function unseal(
  sealed: NonNullable<CredentialsFile['sealedSiteKey']>,
  terminalId: string,
  folder: string,
  options: SealOptions,
): Bytes | null {
  const secret = sealRandom(folder, null);
  if (!secret) return null;
  const bytes = hex(sealed.ciphertext);
  const decipher = createDecipheriv('aes-256-gcm', sealKey(secret, hex(sealed.salt), options), zeroNonce, {
    authTagLength: tagBytes,
  });
  decipher.setAAD(utf8(terminalId)).setAuthTag(bytes.subarray(-tagBytes));
  try {
    return concat(new Uint8Array(decipher.update(bytes.subarray(0, -tagBytes))), new Uint8Array(decipher.final()));
  } catch {
    return null;
  }
}

const invalid = (detail: string): Result<never, CredentialsProblem> =>
  err({ code: 'enrolment.credentialsInvalid', detail });
const storeFailed = (error: unknown): Result<never, CredentialsProblem> =>
  err({ code: 'store.failed', detail: `keys folder: ${(error as NodeJS.ErrnoException).code ?? 'failed'}` });

/**
 * Reads and checks what enrolment stored. An expired certificate is no problem here: it still reaches renewal.
 * @returns null when the box is not enrolled; `enrolment.credentialsInvalid` (damaged, mixed up, or readable by others); `store.failed`
 */
export function loadCredentials(
  folder: string,
  options: SealOptions = {},
): Result<Credentials | null, CredentialsProblem> {
  const file = path.join(folder, credentialsFileName);
  let bytes: Bytes | null;
  try {
    bytes = readIfThere(file);
    if (!bytes) return ok(null);
    if ((statSync(file).mode & 0o077) !== 0) return invalid(`others may read ${credentialsFileName}: chmod 600 it`);
  } catch (error) {
    return storeFailed(error);
  }
  const text = decodeUtf8(bytes);
  const json = text.ok ? parseJson(text.value, { lengthMax: fileBytesMax, depthMax: 4 }) : text;
  const parsed = json.ok ? fileSchema.safeParse(json.value) : null;
  if (!parsed?.success) return invalid(`${credentialsFileName} is damaged`);
  const { terminalId, epoch, realm, hostOrigin, key, certificate, authority, sealedSiteKey } = parsed.data;
  const tls = { keyPem: key, certificatePem: certificate, authorityPem: authority };
  const problem = credentialsProblem(tls, terminalId);
  const own = readCertificate(certificate);
  if (problem || !own) return invalid(problem ?? 'the certificate cannot be read');
  const siteKey = sealedSiteKey && unseal(sealedSiteKey, terminalId, folder, options);
  return ok({
    terminalId,
    epoch,
    realm,
    hostOrigin,
    tls,
    siteKey,
    siteKeyLost: sealedSiteKey !== null && siteKey === null,
    startsAtWallMs: wallMs(Date.parse(own.validFrom)),
    endsAtWallMs: wallMs(Date.parse(own.validTo)),
  });
}

/**
 * Stores credentials whole: a crash leaves what was there before or everything new. Makes the folder (0700) where absent.
 * @returns what loadCredentials reads back, or its problem
 */
export function storeCredentials(
  folder: string,
  credentials: NewCredentials,
  random: Random,
  options: SealOptions = {},
): Result<Credentials, CredentialsProblem> {
  const problem = credentialsProblem(credentials.tls, credentials.terminalId);
  if (problem) return invalid(problem);
  const { terminalId, epoch, realm, hostOrigin, tls, siteKey } = credentials;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const content: CredentialsFile = {
      version: 1,
      terminalId,
      epoch,
      realm,
      hostOrigin,
      key: tls.keyPem,
      certificate: tls.certificatePem,
      authority: tls.authorityPem,
      sealedSiteKey: siteKey && seal(siteKey, terminalId, folder, random, options),
    };
    writeWhole(folder, credentialsFileName, utf8(`${JSON.stringify(content, null, 2)}\n`));
  } catch (error) {
    return storeFailed(error);
  }
  const stored = loadCredentials(folder, options);
  if (!stored.ok) return stored;
  return stored.value ? ok(stored.value) : invalid(`${credentialsFileName} is gone`);
}
