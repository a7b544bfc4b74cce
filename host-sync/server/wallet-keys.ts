/**
 * The merchant's pass keys at the host: read from private files at the start, used to open passes that boxes held back.
 * Must not log or return a key.
 */
import path from 'node:path';
import { openPassAnswer, type PassKey, passKey, passTypeHash } from '../../drivers/protocols/vas/pass-answer.js';
import { answerName, passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import { hex } from '../../terminal/kernel/bytes.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { nativeCrypto, nativeKeyAgreement, nativeWalletCrypto, privateKeyOfPem } from '../../terminal/kernel/native.js';
import type { Credential } from '../protocol/record.js';
import type { PassOpening } from './ledger/context.js';
import { readPrivateFile } from './pki/key-files.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };

/** @throws TerminalError config.invalid: a file that is missing, readable by others, or no P-256 key */
function readKey(file: string): PassKey {
  const pem = readPrivateFile(file);
  const privateKey = pem && privateKeyOfPem(pem.toString('utf8'));
  const key = privateKey && passKey(crypto, privateKey);
  if (!key)
    throw new TerminalError('config.invalid', `walletKeyFiles: ${path.basename(file)} is no private key on P-256`);
  return key;
}

/** What opens Apple's passes with the keys in these files. @throws TerminalError config.invalid as readKey does */
export function passOpener(
  files: readonly string[],
): (pass: Extract<Credential, { method: 'sealedPass' }>) => PassOpening {
  const keys = files.map(readKey);
  return (pass) => {
    const { issuer } = pass;
    const sealed = hex(pass.sealed);
    const opened = openPassAnswer(crypto, keys, passTypeHash(crypto, issuer), sealed);
    if (opened.ok)
      return {
        ok: true,
        passId: passId(crypto, 'apple', issuer, opened.value.message),
        answer: answerName(crypto, sealed),
        answeredAtMs: opened.value.atMs,
        terminalId: null,
      };
    return { ok: false, code: opened.error.code === 'pass.unknownKey' ? 'pass.unknownKey' : 'pass.forged' };
  };
}
