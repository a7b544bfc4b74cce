/**
 * The transfer file: a box's history, signed by that box and encrypted to the one who asked for it. Form:
 * docs/replacing-a-box.md. Must not know what becomes of it; nothing read counts before tag and signature fit.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { readPrivateFile, writePrivateFile } from '../../host-sync/server/pki/key-files.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';
import { readArchive, writeArchive } from '../archive.js';

export const transferKeyName = 'transfer.key';
const magic = Buffer.from('SHOULIT1', 'latin1');
const publicBytes = 32;
/** magic(8) recipient's key id(8) ephemeral public key(32) */
const preambleBytes = magic.length + 8 + publicBytes;
/** SubjectPublicKeyInfo of an X25519 key before its 32 bytes (RFC 8410 §4). */
const spkiHead = Buffer.from('302a300506032b656e032100', 'hex');
const requestBytesMax = 1_024;
export const databaseName = 'terminal.db';

const requestSchema = z.strictObject({
  kind: z.literal('shouli transfer request'),
  publicKey: z.string().regex(/^[0-9a-f]{64}$/),
});
const manifestSchema = z.strictObject({
  kind: z.literal('transfer'),
  version: z.literal(1),
  terminalId: z.string().regex(/^t-[0-9a-f]{12}$/),
  epoch: z.int().min(1),
  realm: z.enum(['real', 'simulated']),
  madeAtMs: z.int().min(0),
  databaseSha256: z.string().regex(/^[0-9a-f]{64}$/),
  unsent: z.int().min(0),
});
export type TransferManifest = z.infer<typeof manifestSchema>;
const signatureSchema = z.strictObject({
  certificate: z.string().max(16_384),
  signature: z.string().regex(/^[0-9a-f]{2,2048}$/),
});

const publicOf = (key: KeyObject): Buffer =>
  (key.type === 'public' ? key : createPublicKey(key))
    .export({ format: 'der', type: 'spki' })
    .subarray(spkiHead.length);
const keyOf = (bytes: Buffer): KeyObject =>
  createPublicKey({ key: Buffer.concat([spkiHead, bytes]), format: 'der', type: 'spki' });
const sha256 = (...parts: readonly (Buffer | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const keyId = (recipient: Buffer): Buffer => sha256('shouli transfer key 1', recipient).subarray(0, 8);

/** What two people compare: the key's id in four groups, like `1a2b-3c4d-5e6f-7a8b`. */
export const fingerprintOfKey = (recipient: Buffer): string =>
  keyId(recipient)
    .toString('hex')
    .replaceAll(/(.{4})(?!$)/g, '$1-');

/** The recipient's key in this keys folder; drawn at the first use. Throws `config.invalid` when others may read it. */
export function openTransferKey(keysFolder: string): KeyObject {
  const file = path.join(keysFolder, transferKeyName);
  const known = readTransferKey(keysFolder);
  if (known) return known;
  const { privateKey } = generateKeyPairSync('x25519');
  writePrivateFile(file, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
  return privateKey;
}

/** Null where none was drawn. */
export function readTransferKey(keysFolder: string): KeyObject | null {
  const bytes = readPrivateFile(path.join(keysFolder, transferKeyName));
  return bytes && createPrivateKey(bytes);
}

/** The text of a request file, and the fingerprint to be compared. */
export function transferRequest(key: KeyObject): { readonly text: string; readonly fingerprint: string } {
  const recipient = publicOf(key);
  const request = { kind: 'shouli transfer request', publicKey: recipient.toString('hex') };
  return { text: `${JSON.stringify(request)}\n`, fingerprint: fingerprintOfKey(recipient) };
}

/** The public key of a request file. Throws `input.malformed`. */
export function readTransferRequest(file: string): Buffer {
  const bytes = readFileSync(file);
  const json = bytes.length > requestBytesMax ? null : parseJson(bytes.toString('utf8'));
  const request = requestSchema.safeParse(json?.ok ? json.value : null);
  if (!request.success) throw new TerminalError('input.malformed', `${path.basename(file)} is no transfer request`);
  return Buffer.from(request.data.publicKey, 'hex');
}

/** HKDF-SHA-256 (RFC 5869) over the X25519 secret (RFC 7748 §6.1), bound to both public keys. */
function sharedKey(own: KeyObject, other: KeyObject, ephemeral: Buffer, recipient: Buffer): Buffer {
  const secret = diffieHellman({ privateKey: own, publicKey: other });
  return Buffer.from(hkdfSync('sha256', secret, Buffer.concat([ephemeral, recipient]), 'shouli transfer 1', 32));
}

export async function fileSha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(file)) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

const signed = (manifest: Buffer): Buffer => Buffer.concat([Buffer.from('shouli transfer 1 '), sha256(manifest)]);

export interface Sender {
  readonly keyPem: string;
  readonly certificatePem: string;
}

/** Writes the file of 0600, whole or not at all. `work` is a private folder for what goes into it. */
export function writeTransfer(
  target: string,
  content: { readonly manifest: Omit<TransferManifest, 'kind' | 'version'>; readonly database: string },
  parts: { readonly sender: Sender; readonly recipient: Buffer; readonly work: string },
  onBytes: (count: number) => void,
): void {
  const { sender, recipient, work } = parts;
  const manifest = Buffer.from(JSON.stringify({ kind: 'transfer', version: 1, ...content.manifest }));
  const signature = sign('sha256', signed(manifest), sender.keyPem).toString('hex');
  writePrivateFile(path.join(work, 'manifest.json'), manifest);
  writePrivateFile(
    path.join(work, 'signature.json'),
    JSON.stringify({ certificate: sender.certificatePem, signature }),
  );
  const { privateKey, publicKey } = generateKeyPairSync('x25519');
  const ephemeral = publicOf(publicKey);
  const key = sharedKey(privateKey, keyOf(recipient), ephemeral, recipient);
  const sources = ['manifest.json', 'signature.json'].map((name) => ({ name, file: path.join(work, name) }));
  const preamble = Buffer.concat([magic, keyId(recipient), ephemeral]);
  writeArchive(target, key, [...sources, { name: databaseName, file: content.database }], onBytes, preamble);
}

async function readPreamble(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(preambleBytes), 0, preambleBytes, 0);
    if (bytesRead < preambleBytes || !buffer.subarray(0, magic.length).equals(magic))
      throw new TerminalError('input.unsupported', 'this is no transfer file');
    return buffer;
  } finally {
    await handle.close();
  }
}

function readJson<T>(file: string, schema: z.ZodType<T>): T {
  const json = parseJson(readFileSync(file, 'utf8'));
  const parsed = schema.safeParse(json.ok ? json.value : null);
  if (!parsed.success) throw new TerminalError('store.corrupt', `transfer: ${path.basename(file)} cannot be read`);
  return parsed.data;
}

/**
 * Unpacks into the new folder `into` and checks everything: encrypted to this key, signed by the box that it is of, whose
 * certificate this authority issued (also when it has expired), the database unchanged.
 * Throws `input.unsupported` (no transfer file), `access.denied` (for another key, or not signed by such a box), `store.corrupt`.
 */
export async function readTransfer(
  file: string,
  into: string,
  parts: { readonly key: KeyObject; readonly authorityPem: string },
  onBytes: (count: number) => void,
): Promise<TransferManifest> {
  const preamble = await readPreamble(file);
  const recipient = publicOf(parts.key);
  if (!preamble.subarray(magic.length, magic.length + 8).equals(keyId(recipient)))
    throw new TerminalError('access.denied', 'it was made for another request: export it again for this one');
  const ephemeral = preamble.subarray(magic.length + 8);
  const key = sharedKey(parts.key, keyOf(ephemeral), ephemeral, recipient);
  readArchive(file, key, into, onBytes, preambleBytes);
  const manifestFile = path.join(into, 'manifest.json');
  const manifest = readJson(manifestFile, manifestSchema);
  const { certificate, signature } = readJson(path.join(into, 'signature.json'), signatureSchema);
  const authority = new X509Certificate(parts.authorityPem);
  const sender = new X509Certificate(certificate);
  const isKnown =
    sender.checkIssued(authority) &&
    sender.verify(authority.publicKey) &&
    sender.subject === `CN=${manifest.terminalId}`;
  if (
    !isKnown ||
    !verify('sha256', signed(readFileSync(manifestFile)), sender.publicKey, Buffer.from(signature, 'hex'))
  )
    throw new TerminalError('access.denied', 'it is not signed by a terminal of this host');
  if ((await fileSha256(path.join(into, databaseName))) !== manifest.databaseSha256)
    throw new TerminalError('store.corrupt', 'transfer: its database was changed');
  return manifest;
}
