/**
 * `phone tag …`: a member's tag at the virtual reader, well or misbehaving.
 * It only wires drivers/sim/tag to the command line.
 */
import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import {
  type ChipAnswer,
  chipAnswers,
  Ntag21x,
  type Type2Misbehaviour,
  type2Misbehaviours,
} from '../../drivers/sim/tag/ntag21x.js';
import { Ntag424, type NtagMisbehaviour, ntagMisbehaviours } from '../../drivers/sim/tag/ntag424.js';
import { walletPhone } from '../../drivers/sim/wallet/wallet-phone.js';
import { type Held, holdCard, holding } from './wallet.js';

const hexOf =
  (bytes: number) =>
  (text: string): Buffer => {
    if (!new RegExp(`^[0-9a-fA-F]{${bytes * 2}}$`).test(text)) throw new InvalidArgumentError(`${bytes} bytes in hex`);
    return Buffer.from(text, 'hex');
  };
function counter(text: string): number {
  const value = /^[0-9]{1,8}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
  if (!(value <= 0xfffffe)) throw new InvalidArgumentError('a whole number up to 16777214');
  return value;
}

interface SunOptions extends Held {
  readonly address: string;
  readonly uid: Buffer;
  readonly piccKey: Buffer;
  readonly fileKey: Buffer;
  readonly counter: number;
  readonly misbehave: NtagMisbehaviour;
}
interface TextOptions extends Held {
  readonly uid: Buffer;
  readonly text: string;
  readonly misbehave: Type2Misbehaviour;
  readonly chip: ChipAnswer;
}

export function tagCommand(): Command {
  const tag = new Command('tag').description("a member's tag, held to the reader once (docs/protocols/tags.md)");
  const said = (header: string, status: string): void => console.log(`command ${header}, status ${status}`);
  holding(tag.command('sun'))
    .description('an NTAG 424 DNA with a secure unique message in its address')
    .requiredOption('--address <url>', 'up to and with the question mark, from https://')
    .requiredOption('--uid <hex>', '7 bytes', hexOf(7))
    .requiredOption('--picc-key <hex>', '16 bytes', hexOf(16))
    .requiredOption('--file-key <hex>', '16 bytes', hexOf(16))
    .requiredOption('--counter <n>', 'how often it was tapped before', counter)
    .addOption(new Option('--misbehave <how>').choices(ntagMisbehaviours).default('none'))
    .action((options: SunOptions) => {
      const simulated = new Ntag424(options);
      simulated.misbehaviour = options.misbehave;
      return holdCard(
        walletPhone({
          wallet: simulated,
          pause: () => wait(options.slow),
          onCommand: said,
          name: `T${randomBytes(4).toString('hex')}`,
        }),
        options,
      );
    });
  holding(tag.command('text'))
    .description('an NTAG213 with a text on it, like a member code')
    .requiredOption('--uid <hex>', '7 bytes', hexOf(7))
    .requiredOption('--text <text>', 'up to 120 characters of ASCII')
    .addOption(new Option('--misbehave <how>').choices(type2Misbehaviours).default('none'))
    .addOption(
      new Option('--chip <how>', "its answer to who asks for its maker's signature")
        .choices(chipAnswers)
        .default('signed'),
    )
    .action((options: TextOptions) => {
      if (!/^[\x20-\x7e]{0,120}$/.test(options.text)) throw new Error('--text: up to 120 characters of ASCII');
      const simulated = new Ntag21x(options.uid, options.text);
      simulated.misbehaviour = options.misbehave;
      simulated.chip = options.chip;
      const script = walletPhone({ wallet: simulated, pause: () => wait(options.slow), onCommand: said });
      return holdCard({ ...script, atr: simulated.atr }, options);
    });
  return tag;
}
