/**
 * `phone wallet …`: a phone with Apple's or Google's wallet at the virtual reader, with one pass, behaving as it is told.
 * It only wires drivers/sim/wallet to the command line.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { type CardScript, createVirtualCard, vpcdPorts } from '../../drivers/sim/vpcd.js';
import { type AppleMisbehaviour, AppleWallet, appleMisbehaviours } from '../../drivers/sim/wallet/apple-wallet.js';
import {
  type GoogleMisbehaviour,
  type GooglePass,
  GoogleWallet,
  googleMisbehaviours,
} from '../../drivers/sim/wallet/google-wallet.js';
import { type SimulatedWallet, walletPhone } from '../../drivers/sim/wallet/wallet-phone.js';

function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,10}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return value;
  };
}
function publicKey(text: string): Uint8Array {
  if (!/^(0[23][0-9a-f]{64}|04[0-9a-f]{128})$/i.test(text))
    throw new InvalidArgumentError('a point of P-256 in hex, compressed (02…, 03…) or not (04…)');
  return new Uint8Array(Buffer.from(text, 'hex'));
}

/** How a phone or tag is held to the reader. */
export interface Held {
  readonly port: number;
  readonly seconds: number;
  readonly slow: number;
  readonly tear?: number;
}

/** Holds the phone to the reader once; ends when it was read, torn, or the time is over. */
async function hold(wallet: SimulatedWallet, how: Held): Promise<void> {
  const script = walletPhone({
    wallet,
    pause: () => wait(how.slow),
    onCommand: (header, status) => console.log(`command ${header}, status ${status}`),
    // A name of its own for each tap: pcscd notices a removal late and would take this phone for the one before.
    name: `W${randomBytes(4).toString('hex')}`,
  });
  await holdCard(script, how);
}

/** Holds it to the reader once; ends when it was torn or the time is over. */
export async function holdCard(script: CardScript, how: Held): Promise<void> {
  const card = createVirtualCard({ script, port: how.port });
  if (how.tear !== undefined) card.tearAt(how.tear, 'after');
  await card.insert();
  console.log('held to the reader');
  await wait(how.seconds * 1_000);
  await card.remove();
  console.log('left the reader');
}

/** The options that say so. */
export function holding(command: Command): Command {
  return command
    .addOption(
      new Option('--port <port>', 'TCP port of the virtual reader slot')
        .argParser(wholeNumber(1, 65_535))
        .default(vpcdPorts[0]),
    )
    .addOption(new Option('--seconds <n>', 'take it away after this time').argParser(wholeNumber(1, 3_600)).default(5))
    .addOption(new Option('--slow <ms>', 'wait before each answer').argParser(wholeNumber(0, 60_000)).default(0))
    .addOption(
      new Option('--tear <n>', 'leave when the n-th command was acted on, unanswered').argParser(wholeNumber(1, 1_000)),
    );
}

interface AppleOptions extends Held {
  readonly pass: string;
  readonly key: Uint8Array;
  readonly message: string;
  readonly misbehave: AppleMisbehaviour;
}
interface GoogleOptions extends Held {
  readonly collector: number;
  readonly keyVersion: number;
  readonly key: Uint8Array;
  readonly number: string;
  readonly service: GooglePass['service'];
  readonly misbehave: GoogleMisbehaviour;
}

export function walletCommand(): Command {
  const wallet = new Command('wallet').description("a phone with Apple's or Google's wallet, held to the reader once");
  holding(wallet.command('apple'))
    .description('a pass as Apple VAS gives it (docs/protocols/vas.md)')
    .requiredOption('--pass <id>', 'pass type id, like pass.com.example.loyalty')
    .requiredOption('--key <hex>', "the merchant's public key that the pass was issued with", publicKey)
    .requiredOption('--message <text>', 'what the pass says: the number that is bound to a member')
    .addOption(new Option('--misbehave <how>').choices(appleMisbehaviours).default('none'))
    .action((options: AppleOptions) => {
      const pass = { passTypeId: options.pass, merchantKey: options.key, message: options.message };
      const phone = new AppleWallet([pass], Date.now, randomBytes);
      phone.misbehaviour = options.misbehave;
      return hold(phone, options);
    });
  holding(wallet.command('google'))
    .description('a pass as Google Smart Tap gives it (docs/protocols/smart-tap.md)')
    .requiredOption('--collector <id>', "the merchant's collector id", wholeNumber(1, 0xffffffff))
    .requiredOption('--key <hex>', "the merchant's public key that is registered with Google", publicKey)
    .addOption(new Option('--key-version <n>').argParser(wholeNumber(0, 0xffffffff)).default(1))
    .requiredOption('--number <text>', "the pass's number: what is bound to a member")
    .addOption(new Option('--service <kind>').choices(['ly', 'of', 'gc', 'et', 'tr', 'gr']).default('ly'))
    .addOption(new Option('--misbehave <how>').choices(googleMisbehaviours).default('none'))
    .action((options: GoogleOptions) => {
      const { collector, keyVersion, key, service, number } = options;
      const keys = new Map([[keyVersion, key]]);
      const phone = new GoogleWallet({ collectorId: collector, keys, service, number }, randomBytes);
      phone.misbehaviour = options.misbehave;
      return hold(phone, options);
    });
  return wallet;
}
