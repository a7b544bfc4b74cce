/**
 * Wallet settings: the configuration's rows as the tap loop needs them, with the merchant's keys read from private files.
 * Must not log or return a key to anything else. All that is wrong is said at once.
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Collector } from '../../drivers/protocols/smart-tap/channel.js';
import { type PassKey, passKey } from '../../drivers/protocols/vas/pass-answer.js';
import { passTypesMax, type VasMode } from '../../drivers/protocols/vas/session.js';
import type { Bytes } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import { nativeCrypto, nativeWalletCrypto, privateKeyOfPem } from '../kernel/native.js';

/** What a tap can be asked for. A new method is a name here, a row in card-links.ts and a choice in options.ts. */
export type TapMethod = 'application' | 'vas' | 'smartTap' | 'tag';

export interface WalletSettings {
  readonly tapOrder: readonly TapMethod[];
  /** Null: not asked. `keys` empty: answers are held back for the host. */
  readonly apple: {
    readonly passTypeIds: readonly string[];
    readonly keys: readonly PassKey[];
    readonly mode: VasMode;
    readonly signUpUrl: string | null;
  } | null;
  /** Null: not asked. `privateKey` null: the host signs in mid-tap, within `hostSignatureMs`, and opens the answer. */
  readonly google: (Omit<Collector, 'privateKey'> & { readonly privateKey: Bytes | null }) | null;
  readonly hostSignatureMs: number;
  /** What the addresses of the merchant's secure tags begin with. */
  readonly tagAddresses: readonly string[];
}
export const noWallets: WalletSettings = {
  tapOrder: ['application'],
  apple: null,
  google: null,
  hostSignatureMs: 500,
  tagAddresses: [],
};

/** The section `wallet` as the configuration has it: one field for each row of walletOptions. */
export interface WalletOptions {
  readonly tapOrder: readonly string[];
  readonly passTypeIds: readonly string[];
  readonly passKeyFiles: readonly string[];
  readonly passMode: VasMode;
  readonly signUpUrl: string;
  readonly collectorId: number;
  readonly collectorKeyFile: string;
  readonly collectorKeyVersion: number;
  readonly hostSignatureMs: number;
  readonly tagAddresses: readonly string[];
}

const keyFileBytesMax = 8_192;

/** A key file's key, or what is wrong with the file. */
function readKey(file: string): Bytes | string {
  const name = path.basename(file);
  try {
    const { mode, size } = statSync(file);
    if ((mode & 0o077) !== 0) return `${name} may be read by others: chmod 600 it, or replace the key`;
    if (size > keyFileBytesMax) return `${name} is too long for a key`;
    return privateKeyOfPem(readFileSync(file, 'utf8')) ?? `${name} is no private key on P-256 in PEM`;
  } catch (error) {
    return `${name} cannot be read (${(error as NodeJS.ErrnoException).code})`;
  }
}

/** @throws TerminalError config.invalid with every problem */
export function walletSettings(options: WalletOptions): WalletSettings {
  const problems: string[] = [];
  const keyOf = (file: string): Bytes | null => {
    const key = readKey(file);
    if (typeof key !== 'string') return key;
    problems.push(`wallet: ${key}`);
    return null;
  };
  const keys = options.passKeyFiles.flatMap((file) => {
    const privateKey = keyOf(file);
    const key = privateKey && passKey({ ...nativeCrypto, ...nativeWalletCrypto }, privateKey);
    return key ? [key] : [];
  });
  const wished = options.tapOrder as readonly TapMethod[];
  // A wallet without its pass types or collector has nothing to be asked for: not a command is spent on it.
  const isAsked = {
    ...{ application: true, tag: true },
    ...{ vas: options.passTypeIds.length > 0, smartTap: options.collectorId > 0 },
  };
  const tapOrder = wished.filter((method) => isAsked[method]);
  if (tapOrder.length === 0) problems.push('wallet.tapOrder: names nothing that is configured');
  if (new Set(wished).size !== wished.length) problems.push('wallet.tapOrder: a method stands twice');
  if (options.passTypeIds.length > passTypesMax) problems.push(`wallet.passTypeIds: at most ${passTypesMax}`);
  const { collectorId, collectorKeyFile, collectorKeyVersion: keyVersion } = options;
  const privateKey = collectorId > 0 && collectorKeyFile !== '' ? keyOf(collectorKeyFile) : null;
  if (problems.length > 0) throw new TerminalError('config.invalid', problems.join('; '));
  return {
    tapOrder,
    apple:
      options.passTypeIds.length === 0
        ? null
        : { passTypeIds: options.passTypeIds, keys, mode: options.passMode, signUpUrl: options.signUpUrl || null },
    tagAddresses: options.tagAddresses,
    google: collectorId > 0 ? { collectorId, keyVersion, privateKey } : null,
    hostSignatureMs: options.hostSignatureMs,
  };
}
