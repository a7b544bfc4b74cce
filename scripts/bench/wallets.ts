/**
 * Bench of reading a pass: the box's own time for selection, exchange, keys and opening, without the phone's, by wallet. The
 * phones are simulated in this process; what they take is measured beside and taken off. No storage: bench `tap` has that.
 */
import { randomBytes } from 'node:crypto';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { passKey } from '../../drivers/protocols/vas/pass-answer.js';
import { AppleWallet } from '../../drivers/sim/wallet/apple-wallet.js';
import { GoogleWallet } from '../../drivers/sim/wallet/google-wallet.js';
import type { SimulatedWallet } from '../../drivers/sim/wallet/wallet-phone.js';
import {
  nativeClock,
  nativeCrypto,
  nativeKeyAgreement,
  nativeRandom,
  nativeWalletCrypto,
} from '../../terminal/kernel/native.js';
import { err, ok } from '../../terminal/kernel/result.js';
import { WallClock } from '../../terminal/runtime/wall-clock.js';
import { Wallets } from '../../terminal/runtime/wallets.js';
import { type Figure, median, quantile } from './figure.js';

const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };

/** A phone in this process; `phoneMs` adds up what it took itself. */
class MeasuredLink implements ApduLink {
  readonly id = 'bench';
  readonly atr = new Uint8Array(0);
  phoneMs = 0;
  constructor(private readonly wallet: SimulatedWallet) {}
  async transmit(command: Uint8Array) {
    const startedAt = performance.now();
    const answer = this.wallet.respond(command);
    this.phoneMs += performance.now() - startedAt;
    return ok(new Uint8Array(answer));
  }
  async close(): Promise<void> {}
}

/** @returns median and p99 of the box's own time for one pass of each wallet, in µs */
export async function benchWallets(count: number): Promise<readonly Figure[]> {
  const merchant = nativeKeyAgreement.generateKeyPair();
  const key = passKey(crypto, merchant.privateKey);
  if (!key) throw new Error('a drawn key is one of the curve');
  const wallets = new Wallets({
    crypto,
    random: nativeRandom,
    host: { reachable: () => false, signSmartTap: async () => err({ code: 'host.unreachable', detail: '' }) },
    googleTroubled: () => {},
    clock: nativeClock,
    wallClock: new WallClock(nativeClock, 0),
    settings: {
      tapOrder: ['vas', 'smartTap'],
      apple: { passTypeIds: ['pass.bench'], keys: [key], mode: 'vasOnly', signUpUrl: null },
      google: { collectorId: 1, keyVersion: 1, privateKey: merchant.privateKey },
      hostSignatureMs: 500,
      tagAddresses: [],
    },
  });
  const phones = {
    'an Apple pass': () =>
      new AppleWallet(
        [{ passTypeId: 'pass.bench', merchantKey: merchant.publicKey, message: '1' }],
        Date.now,
        randomBytes,
      ),
    'a Google pass': () =>
      new GoogleWallet(
        { collectorId: 1, keys: new Map([[1, merchant.publicKey]]), service: 'ly', number: '1' },
        randomBytes,
      ),
  } as const;
  const read = async (phone: SimulatedWallet): Promise<number> => {
    const link = new MeasuredLink(phone);
    const startedAt = performance.now();
    const wallet = await wallets.select(link);
    if (!wallet.ok) throw new Error(wallet.error.code);
    const pass =
      wallet.value.wallet === 'apple' ? await wallets.readApple(link) : await wallets.readGoogle(link, wallet.value);
    const tookMs = performance.now() - startedAt;
    if (!pass.ok) throw new Error(pass.error.code);
    return 1_000 * (tookMs - link.phoneMs);
  };
  const figures: Figure[] = [];
  for (const [what, phone] of Object.entries(phones)) {
    const samples: number[] = [];
    // The first tenth warms up the code.
    for (let done = -count / 10; done < count; done++) {
      const took = await read(phone());
      if (done >= 0) samples.push(took);
    }
    const base = { bench: 'wallets', unit: 'µs', limit: null, goal: null } as const;
    figures.push({ ...base, what: `reading ${what}, the box's own time, p50`, value: median(samples) });
    figures.push({ ...base, what: 'the same, p99', value: quantile(samples, 0.99) });
  }
  return figures;
}
