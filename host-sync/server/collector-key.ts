/**
 * The merchant's Smart Tap key at the host: signs sessions for boxes that hold no key, and opens what they gathered. What it
 * needs for that later travels in a token that only this host opens; it keeps nothing. Must not log or return a key.
 */
import path from 'node:path';
import { channelKeys, type SmartTapCrypto, signedBytes } from '../../drivers/protocols/smart-tap/channel.js';
import { openServiceObjects } from '../../drivers/protocols/smart-tap/session.js';
import { sessionName } from '../../drivers/protocols/smart-tap/session-name.js';
import { passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import { type Bytes, concat, hex, readUintBE, toHex, uintBE } from '../../terminal/kernel/bytes.js';
import { type ErrorCode, TerminalError } from '../../terminal/kernel/errors.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto, privateKeyOfPem } from '../../terminal/kernel/native.js';
import type { Credential } from '../protocol/record.js';
import type { SignedSession, SmartTapRequest } from '../protocol/smart-tap.js';
import type { PassOpening } from './ledger/context.js';
import { readPrivateFile } from './pki/key-files.js';
import type { HostVault } from './vault.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto } satisfies SmartTapCrypto;

export interface CollectorSettings {
  /** As Google gave it; 0: this host signs nothing. */
  readonly collectorId: number;
  readonly collectorKeyFile: string;
  readonly collectorKeyVersion: number;
}
export interface CollectorKey {
  /** @returns null where this host is not that collector */
  sign(terminalId: string, nowMs: number, request: SmartTapRequest): SignedSession | null;
  open(pass: Extract<Credential, { method: 'sealedSmartTap' }>): PassOpening;
}

/** Names the tokens' own keys at the vault, one for each terminal; another layout is another name. */
const purpose = 'smart tap session 2';
/** Openings remembered at once: those of a batch. */
const openingsMax = 512;
/** Of a token's fields, in bytes: the terminal in clear, and behind it, sealed, the others with the signature at the end. */
const lengths = { terminal: 6, signedAtMs: 6, collector: 4, nonce: 32, key: 32 } as const;

interface Session {
  readonly signedAtMs: number;
  readonly collectorId: number;
  readonly terminalNonce: Bytes;
  readonly deviceNonce: Bytes;
  readonly privateKey: Bytes;
  readonly signature: Bytes;
}

const encodeSession = (session: Session): Bytes =>
  concat(
    uintBE(session.signedAtMs, lengths.signedAtMs),
    uintBE(session.collectorId, lengths.collector),
    session.terminalNonce,
    session.deviceNonce,
    session.privateKey,
    session.signature,
  );

function decodeSession(plain: Bytes): Session | null {
  let at = 0;
  const take = (length: number): Bytes => {
    at += length;
    return plain.slice(at - length, at);
  };
  const session = {
    signedAtMs: readUintBE(take(lengths.signedAtMs)),
    collectorId: readUintBE(take(lengths.collector)),
    terminalNonce: take(lengths.nonce),
    deviceNonce: take(lengths.nonce),
    privateKey: take(lengths.key),
    signature: plain.slice(at),
  };
  return session.signature.length > 0 ? session : null;
}

/** A bundle of the right channel that says nothing usable is a phone's shortcoming: no forgery, and nobody is alarmed. */
const refusalOf = (code: ErrorCode): Exclude<PassOpening, { ok: true }>['code'] =>
  code === 'pass.forged' || code === 'pass.none' ? code : 'card.unreadable';

/** @throws TerminalError config.invalid: no key file, or one that is missing, readable by others, or no P-256 key */
function readKey(file: string): Bytes {
  const pem = file === '' ? null : readPrivateFile(file);
  const privateKey = pem && privateKeyOfPem(pem.toString('utf8'));
  if (privateKey) return privateKey;
  const what = file === '' ? 'collectorId needs it' : `${path.basename(file)} is no private key on P-256`;
  throw new TerminalError('config.invalid', `collectorKeyFile: ${what}`);
}

/**
 * Tokens open by the vault alone, so that what was signed before the key was changed still opens.
 * @throws TerminalError as readKey; config.invalid: a key file without a collector
 */
export function collectorKey(
  { collectorId, collectorKeyFile, collectorKeyVersion }: CollectorSettings,
  vault: Pick<HostVault, 'seal' | 'unseal'>,
): CollectorKey {
  if (collectorId === 0 && collectorKeyFile !== '')
    throw new TerminalError('config.invalid', 'collectorKeyFile: without collectorId nothing would be signed with it');
  const longTermKey = collectorId === 0 ? null : readKey(collectorKeyFile);

  /** Whoever changes the terminal in clear finds no key that opens the rest. */
  const sessionIn = (token: Bytes): Session | null => {
    try {
      const terminal = token.slice(0, lengths.terminal);
      return decodeSession(vault.unseal(purpose, terminal, token.slice(lengths.terminal)));
    } catch (error) {
      if (error instanceof TerminalError) return null;
      throw error;
    }
  };

  const open = (token: Bytes, deviceKey: Bytes, bundle: Bytes): PassOpening => {
    const session = sessionIn(token);
    const publicKey = session && crypto.publicKeyOf(session.privateKey);
    if (!session || !publicKey) return { ok: false, code: 'pass.forged' };
    const { privateKey, terminalNonce, deviceNonce, signature } = session;
    const ephemeral = { privateKey, publicKey };
    const face = { nonce: terminalNonce, ephemeral };
    const signed = signedBytes(face, deviceNonce, session.collectorId);
    const keys = channelKeys(crypto, { ephemeral }, deviceKey, signed, signature);
    if (!keys) return { ok: false, code: 'pass.forged' };
    const objects = openServiceObjects(crypto, keys, bundle);
    if (!objects.ok) return { ok: false, code: refusalOf(objects.error.code) };
    const [object] = objects.value;
    if (!object) return { ok: false, code: 'pass.none' };
    return {
      ok: true,
      passId: passId(crypto, 'google', String(session.collectorId), object.number),
      answer: sessionName(crypto, face, session.collectorId),
      answeredAtMs: session.signedAtMs,
      terminalId: `t-${toHex(token.slice(0, lengths.terminal))}`,
    };
  };
  /** By the digest of what was opened. A record is looked at several times on its way. */
  const openings = new Map<string, PassOpening>();

  return {
    sign: (terminalId, nowMs, request) => {
      if (!longTermKey || request.collectorId !== collectorId) return null;
      const ephemeral = crypto.generateKeyPair();
      const terminalNonce = hex(request.terminalNonce);
      const deviceNonce = hex(request.deviceNonce);
      const signed = signedBytes({ nonce: terminalNonce, ephemeral }, deviceNonce, collectorId);
      const signature = crypto.signP256(longTermKey, signed);
      const { privateKey } = ephemeral;
      const session = { signedAtMs: nowMs, collectorId, terminalNonce, deviceNonce, privateKey, signature };
      const terminal = hex(terminalId.slice(2));
      return {
        outcome: 'signed',
        keyVersion: collectorKeyVersion,
        ephemeralKey: toHex(ephemeral.publicKey),
        signature: toHex(signature),
        token: toHex(concat(terminal, vault.seal(purpose, terminal, encodeSession(session)))),
      };
    },
    open: ({ token, deviceKey, bundle }) => {
      const parts = [hex(token), hex(deviceKey), hex(bundle)] as const;
      const digest = toHex(crypto.sha256(concat(...parts.map((part) => crypto.sha256(part)))));
      const opened = openings.get(digest) ?? open(...parts);
      openings.set(digest, opened);
      const [oldest] = openings.keys();
      if (openings.size > openingsMax && oldest !== undefined) openings.delete(oldest);
      return opened;
    },
  };
}
