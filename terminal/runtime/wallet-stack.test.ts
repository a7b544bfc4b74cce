/**
 * Shows wallets read on the real path: the shipped driver in its child, pcscd, a virtual reader, and the simulated phones that
 * `phone wallet` attaches: good ones, slow ones, chained ones and such as are torn away at each command.
 */
import { randomBytes } from 'node:crypto';
import t from 'tap';
import type { DeviceEvent } from '../../drivers/contract/driver.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { PcscDriver } from '../../drivers/pcsc/pcsc-driver.js';
import { decodeOseAnswer, selectOseCommand } from '../../drivers/protocols/ose/ose.js';
import { readServiceObjects } from '../../drivers/protocols/smart-tap/session.js';
import { openPassAnswer, passKey, passTypeHash } from '../../drivers/protocols/vas/pass-answer.js';
import { askForPasses } from '../../drivers/protocols/vas/session.js';
import { openPcscRig } from '../../drivers/sim/pcscd.js';
import { createVirtualCard } from '../../drivers/sim/vpcd.js';
import { AppleWallet } from '../../drivers/sim/wallet/apple-wallet.js';
import { GoogleWallet } from '../../drivers/sim/wallet/google-wallet.js';
import { type SimulatedWallet, walletPhone } from '../../drivers/sim/wallet/wallet-phone.js';
import { equalBytes } from '../kernel/bytes.js';
import { nativeClock, nativeCrypto, nativeKeyAgreement, nativeWalletCrypto } from '../kernel/native.js';
import { answerTimeout, runDialogue } from './run-dialogue.js';

t.setTimeout(300_000);
const crypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };
const merchant = nativeKeyAgreement.generateKeyPair();
const collector = { collectorId: 1_234_567_890, keyVersion: 3, privateKey: merchant.privateKey };
const typeHash = passTypeHash(crypto, 'pass.shop');

const apple = () =>
  new AppleWallet(
    [{ passTypeId: 'pass.shop', merchantKey: merchant.publicKey, message: 'M-1' }],
    nativeClock.wallMs,
    randomBytes,
  );
const google = () =>
  new GoogleWallet(
    {
      collectorId: collector.collectorId,
      keys: new Map([[3, merchant.publicKey]]),
      service: 'ly',
      number: 'L-88',
    },
    randomBytes,
  );

/** Reads whichever wallet is there. @returns what it said, or the code of what went wrong */
async function read(link: ApduLink): Promise<string> {
  const answer = await link.transmit(selectOseCommand(), answerTimeout);
  if (!answer.ok) return answer.error.code;
  const selected = decodeOseAnswer(answer.value);
  if (!selected.ok) return selected.error.code;
  if (selected.value.wallet === 'google') {
    const secrets = {
      nonce: new Uint8Array(randomBytes(32)),
      sessionId: new Uint8Array(randomBytes(8)),
      ephemeral: nativeKeyAgreement.generateKeyPair(),
    };
    const request = { crypto, collector, secrets, wanted: 'loyalty' } as const;
    const found = await runDialogue(link, readServiceObjects(request, selected.value.deviceNonce), nativeClock);
    return found.ok ? found.value.map(({ number }) => number).join() : found.error.code;
  }
  const wanted = [{ typeHash, url: null }];
  const found = await runDialogue(link, askForPasses(wanted, { mode: 'vasAndPayment', all: false }), nativeClock);
  if (!found.ok) return found.error.code;
  const key = passKey(crypto, merchant.privateKey);
  const opened = openPassAnswer(crypto, key ? [key] : [], typeHash, found.value[0]?.sealed ?? new Uint8Array(0));
  return opened.ok ? opened.value.message : opened.error.code;
}

t.test('through pcscd', async (t) => {
  const rig = await openPcscRig();
  t.teardown(() => rig.close());
  let waiting: ((link: ApduLink) => void) | null = null;
  const driver = new PcscDriver({
    clock: nativeClock,
    schedule: (delayMs, run) => {
      const timer = setTimeout(run, delayMs);
      return () => clearTimeout(timer);
    },
    options: { virtualReaders: true },
  });
  t.teardown(() => driver.stop());
  await driver.start((event: DeviceEvent) => {
    if (event.type === 'cardPresented') waiting?.(event.link);
  });

  let taps = 0;
  async function tap(wallet: SimulatedWallet, how: { tearAt?: number; pause?: () => Promise<void> } = {}) {
    const script = walletPhone({ wallet, name: `W${process.pid % 10_000}-${taps++}`, ...how });
    const card = createVirtualCard({ script });
    const presented = new Promise<ApduLink>((resolve) => {
      waiting = (link) => equalBytes(link.atr, script.atr) && resolve(link);
    });
    if (how.tearAt !== undefined) card.tearAt(how.tearAt, 'after');
    await card.insert();
    const link = await presented;
    const said = await read(link);
    await link.close();
    await card.remove();
    return said;
  }

  t.equal(await tap(apple()), 'M-1');
  t.equal(await tap(google()), 'L-88');
  const chained = google();
  chained.misbehaviour = 'chained';
  t.equal(await tap(chained), 'L-88');
  const older = google();
  older.nonceInOse = false;
  t.equal(await tap(older), 'L-88');
  for (const at of [1, 2]) t.equal(await tap(apple(), { tearAt: at }), 'device.cardRemoved', `apple torn at ${at}`);
  for (const at of [1, 2, 3])
    t.equal(await tap(google(), { tearAt: at }), 'device.cardRemoved', `google torn at ${at}`);
  const never = () => new Promise<void>(() => {});
  t.equal(await tap(apple(), { pause: never }), 'device.timedOut', 'a phone that never answers');
  t.equal(await tap(apple()), 'M-1', 'and the next one is read');
});
