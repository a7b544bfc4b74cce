/**
 * The merchant's Smart Tap key at the host: signs sessions for boxes that hold no key, and opens what they gathered. What it
 * needs for that later travels in a token that only this host opens; it keeps nothing. Must not log or return a key.
 */
import path from 'node:path';
import { channelKeys, type SmartTapCrypto, signedBytes } from '../../drivers/protocols/smart-tap/channel.js';
import { openServiceObjects } from '../../drivers/protocols/smart-tap/session.js';
import { sessionName } from '../../drivers/protocols/smart-tap/session-name.js';
import { passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import { type Bytes, concat, equalBytes, hex, readUintBE, toHex, uintBE, utf8 } from '../../terminal/kernel/bytes.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto, privateKeyOfPem } from '../../terminal/kernel/native.js';
import type { Credential } from '../protocol/record.js';
import type { SignedSession, SmartTapRequest } from '../protocol/smart-tap.js';
import type { KeyVault, PassOpening } from './ledger/context.js';
import { readPrivateFile } from './pki/key-files.js';

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

/** What opens a token is no key of a member: the vault wraps those too. */
const mark = utf8('smart tap session 1');
const lengths = { terminal: 6, signedAtMs: 6, collector: 4, nonce: 32, key: 32 } as const;

interface Session {
  readonly terminalId: string;
  readonly signedAtMs: number;
  readonly collectorId: number;
  readonly terminalNonce: Bytes;
  readonly deviceNonce: Bytes;
  readonly privateKey: Bytes;
  readonly signature: Bytes;
}

const encodeSession = (session: Session): Bytes =>
  concat(
    mark,
    hex(session.terminalId.slice(2)),
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
  if (!equalBytes(take(mark.length), mark)) return null;
  const session = {
    terminalId: `t-${toHex(take(lengths.terminal))}`,
    signedAtMs: readUintBE(take(lengths.signedAtMs)),
    collectorId: readUintBE(take(lengths.collector)),
    terminalNonce: take(lengths.nonce),
    deviceNonce: take(lengths.nonce),
    privateKey: take(lengths.key),
    signature: plain.slice(at),
  };
  return session.signature.length > 0 ? session : null;
}

/** @throws TerminalError config.invalid: no key file, or one that is missing, readable by others, or no P-256 key */
function readKey(file: string): Bytes {
  const pem = file === '' ? null : readPrivateFile(file);
  const privateKey = pem && privateKeyOfPem(pem.toString('utf8'));
  if (privateKey) return privateKey;
  const what = file === '' ? 'collectorId needs it' : `${path.basename(file)} is no private key on P-256`;
  throw new TerminalError('config.invalid', `collectorKeyFile: ${what}`);
}

/** Tokens open by the vault alone, so that what was signed before the key was changed still opens. @throws as readKey */
export function collectorKey(
  { collectorId, collectorKeyFile, collectorKeyVersion }: CollectorSettings,
  vault: KeyVault,
): CollectorKey {
  const longTermKey = collectorId === 0 ? null : readKey(collectorKeyFile);

  const sessionIn = (token: string): Session | null => {
    try {
      return decodeSession(vault.unwrap(hex(token)));
    } catch (error) {
      if (error instanceof TerminalError) return null;
      throw error;
    }
  };

  return {
    sign: (terminalId, nowMs, request) => {
      if (!longTermKey || request.collectorId !== collectorId) return null;
      const ephemeral = crypto.generateKeyPair();
      const terminalNonce = hex(request.terminalNonce);
      const deviceNonce = hex(request.deviceNonce);
      const signed = signedBytes({ nonce: terminalNonce, ephemeral }, deviceNonce, collectorId);
      const signature = crypto.signP256(longTermKey, signed);
      const { privateKey } = ephemeral;
      const session = { terminalId, signedAtMs: nowMs, collectorId, terminalNonce, deviceNonce, privateKey, signature };
      return {
        outcome: 'signed',
        keyVersion: collectorKeyVersion,
        ephemeralKey: toHex(ephemeral.publicKey),
        signature: toHex(signature),
        token: toHex(vault.wrap(encodeSession(session))),
      };
    },
    open: ({ token, deviceKey, bundle }) => {
      const session = sessionIn(token);
      const publicKey = session && crypto.publicKeyOf(session.privateKey);
      if (!session || !publicKey) return { ok: false, code: 'pass.forged' };
      const { privateKey, terminalNonce, deviceNonce, signature, terminalId } = session;
      const ephemeral = { privateKey, publicKey };
      const face = { nonce: terminalNonce, ephemeral };
      const signed = signedBytes(face, deviceNonce, session.collectorId);
      const keys = channelKeys(crypto, { ephemeral }, hex(deviceKey), signed, signature);
      const objects = keys && openServiceObjects(crypto, keys, hex(bundle));
      const number = objects?.ok ? objects.value[0]?.number : undefined;
      if (number === undefined) return { ok: false, code: 'pass.forged' };
      return {
        ok: true,
        passId: passId(crypto, 'google', String(session.collectorId), number),
        answer: sessionName(crypto, face, session.collectorId),
        answeredAtMs: session.signedAtMs,
        terminalId,
      };
    },
  };
}
