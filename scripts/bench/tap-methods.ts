/**
 * What a member can hold to the measured box, one for each method of the tap loop, simulated in its process, with the
 * configuration that makes the box ask for all of them. Must not measure.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { hasCheckDigit } from '../../drivers/protocols/gs1/check-digits.js';
import { Ntag21x } from '../../drivers/sim/tag/ntag21x.js';
import { Ntag424 } from '../../drivers/sim/tag/ntag424.js';
import { AppleWallet } from '../../drivers/sim/wallet/apple-wallet.js';
import { GoogleWallet } from '../../drivers/sim/wallet/google-wallet.js';
import { hex } from '../../terminal/kernel/bytes.js';
import { type HeldCard, memberPhone } from './card-in-process.js';

/** Held to the reader; the names are what the figures say. */
export const tapMethods = {
  tap: 'the member application',
  vas: 'an Apple pass',
  smartTap: 'a Google pass',
  sunTag: 'a secure tag',
  codeTag: 'a tag with a member code',
  uidTag: 'a tag’s UID',
} as const;
export type TapMethodRun = keyof typeof tapMethods;

const tagAddress = 'https://tag.example/m?';
const passTypeId = 'pass.bench';
const collectorId = 1;

/** A merchant's key pair in a file as an operator has it. @returns the public half, uncompressed */
function writeKey(file: string): Uint8Array {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  writeFileSync(file, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  return Buffer.concat([Uint8Array.of(0x04), Buffer.from(x, 'base64url'), Buffer.from(y, 'base64url')]);
}

/**
 * @param folder for the merchant's key files
 * @param memberCode what stands on the tag
 * @returns the section `wallet` in TOML, and each method's card
 */
export function openTapMethods(
  folder: string,
  memberCode: string,
): { readonly toml: string; readonly cards: Readonly<Record<TapMethodRun, HeldCard>> } {
  const file = path.join(folder, 'bench-wallet.pem');
  const merchantKey = writeKey(file);
  const toml = [
    '[wallet]',
    'tapOrder = ["application", "vas", "smartTap", "tag"]',
    `passTypeIds = ["${passTypeId}"]`,
    `passKeyFiles = [${JSON.stringify(file)}]`,
    `collectorId = ${collectorId}`,
    `collectorKeyFile = ${JSON.stringify(file)}`,
    `tagAddresses = ["${tagAddress}"]`,
  ].join('\n');
  const uid = Buffer.from(hex('04958caa5c5e80'));
  const key = Buffer.alloc(16, 7);
  const google = { collectorId, keys: new Map([[1, merchantKey]]), service: 'ly', number: '1' } as const;
  return {
    toml,
    cards: {
      tap: memberPhone(),
      vas: new AppleWallet([{ passTypeId, merchantKey, message: '1' }], Date.now, randomBytes),
      smartTap: new GoogleWallet(google, randomBytes),
      sunTag: new Ntag424({ address: tagAddress, uid, piccKey: key, fileKey: key, counter: 0 }),
      codeTag: new Ntag21x(uid, memberCode),
      uidTag: new Ntag21x(uid, 'hello'),
    },
  };
}

let shownCodes = 0;
/** A rotating code as a page shows it; the host would verify it at the sync. */
export function nextScreenCode(): string {
  shownCodes += 1;
  const digits = `123456789${String(shownCodes).padStart(8, '0')}`;
  const check = [...'0123456789'].find((digit) => hasCheckDigit(digits + digit)) ?? '';
  return `SLR${digits}${check}`;
}
