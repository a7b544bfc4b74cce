// The member's phone as a process of its own: `node out/scripts/phone.js --help`. It keeps its memory in one file, answers
// the reader through vpcd, takes and answers message files, and can be driven by another process over a socket.
// It only wires drivers/sim/phone to the outside; killing the terminal never kills it.
import { mkdirSync, watch } from 'node:fs';
import { resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { openControl, type PhoneHolder } from '../drivers/sim/phone/control.js';
import { type MembershipView, type PhoneEvent, type PhoneView, SimulatedPhone } from '../drivers/sim/phone/phone.js';
import { FileMemory, lockPhone, newPhoneState } from '../drivers/sim/phone/phone-state.js';
import { createVirtualCard, type VirtualCard, vpcdPorts } from '../drivers/sim/vpcd.js';
import { maskPhone, printable } from '../terminal/kernel/redaction.js';
import { type Currency, formatAmount, isCurrency } from '../terminal/kernel/units.js';
import { tagCommand } from './phone-parts/tag.js';
import { walletCommand } from './phone-parts/wallet.js';

type Until = 'presented' | 'result' | 'removed';

function integerOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,9}$/.test(text) ? Number.parseInt(text, 10) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`a whole number from ${min} to ${max}`);
    return value;
  };
}

const money = (minor: number | null, currency: string | null): string =>
  minor === null
    ? '?'
    : currency && isCurrency(currency)
      ? `${formatAmount(minor, currency as Currency)} ${currency}`
      : String(minor);

function describeMembership(view: MembershipView): readonly string[] {
  const lines = [
    `member of ${view.merchantId}, key ${view.memberKeyId}`,
    `taps proved: ${view.useCounter}`,
    ...view.coupons.map(({ code, holder, balanceMinor, currency }) => {
      const at = holder === 'card' ? 'on the card' : 'at the host';
      return `coupon ${code} (${at}), ${money(balanceMinor, currency)} when issued`;
    }),
  ];
  const record = view.card?.record;
  if (record)
    lines.push(
      `card: ${record.couponCode} holds ${money(record.balanceMinor, record.currency)}, record ${record.counter}`,
    );
  const { credential } = view;
  if (credential) {
    const uses = [(credential.uses & 1) !== 0 ? 'slices and floor limits' : '', credential.cardKeyId ? 'its card' : ''];
    const what = uses.filter((use) => use !== '').join(' and ');
    lines.push(`credential 离线凭证: ${credential.firstDay} to ${credential.lastDay}, for ${what}`);
  }
  const last = view.results.at(-1);
  if (last) {
    const balances = `points ${last.points ?? '?'}, coupon ${money(last.couponMinor, last.currency)}`;
    lines.push(`last result: ${last.outcome}, ${balances}: ${printable(last.text)}`);
  }
  return lines;
}

function describePackage({ merchantId, version, content }: PhoneView['packages'][number]): string {
  if (content === null) return `${merchantId}: no content`;
  const { merchantName, rules, offers } = content;
  const lines = [`content of ${merchantId} (${printable(merchantName)}), version ${version}`];
  if (rules)
    lines.push(
      `earn 积分: ${rules.earnPoints} points for ${money(rules.earnPerMinor, rules.currency)}; pay 抵扣: ${rules.spendPerPoints} points are ${money(rules.spendMinor, rules.currency)}`,
    );
  lines.push(...offers.map(({ title, text }) => `offer 优惠: ${printable(title)}: ${printable(text)}`));
  return lines.join('\n  ');
}

function describe({ number, memberships, packages }: PhoneView): string {
  const first = `phone ${number}${memberships.length === 0 ? ', not registered' : ''}`;
  const each = memberships.map((view) => describeMembership(view).join('\n  '));
  return [first, ...each, ...packages.map(describePackage)].join('\n');
}

function describeEvent(event: PhoneEvent): string {
  switch (event.event) {
    case 'inField':
      return 'held to the reader';
    case 'leftField':
      return 'left the reader';
    case 'command':
      return `  ${event.number} ${event.instruction}: ${event.status ?? 'left in mid-command'}`;
    case 'result':
      return `result of ${event.merchantId}: ${event.result.outcome}, points ${event.result.points ?? '?'}, coupon ${money(event.result.couponMinor, event.result.currency)}: ${printable(event.result.text)}`;
    case 'message':
      return `message ${event.id}: ${event.outcome}`;
  }
}

/** The phone and the reader's field in front of it. */
class Hand {
  readonly phone: SimulatedPhone;
  readonly card: VirtualCard;
  /** What each command waits before it is acted on. */
  pauseMs = 0;
  readonly #listeners = new Set<(event: PhoneEvent) => void>();

  constructor(memory: FileMemory, port: number, joins: readonly string[] | undefined) {
    this.phone = new SimulatedPhone({
      memory,
      onEvent: (event) => this.#emit(event),
      agrees: (merchantId) => joins === undefined || joins.includes(merchantId),
    });
    // vpcd tells of a lost field and not of a lost connection apart, so leaving is noticed here.
    const { phone } = this;
    const script = {
      atr: phone.atr,
      respond: async (command: Uint8Array) => {
        if (this.pauseMs > 0) await wait(this.pauseMs);
        return phone.respond(command);
      },
      powerLost: () => (this.card.inserted ? phone.powerLost() : phone.left()),
    };
    this.card = createVirtualCard({ script, port });
  }

  onEvent(listener: (event: PhoneEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #emit(event: PhoneEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async tap(until: Until): Promise<void> {
    if (this.card.inserted) throw new Error('the phone is at the reader already');
    this.phone.entered();
    const stop = this.onEvent((event) => {
      const isPresented = event.event === 'command' && event.instruction === 'present' && event.status === '9000';
      // The answer leaves first: the connection closes behind it.
      if ((until === 'presented' && isPresented) || (until === 'result' && event.event === 'result'))
        setImmediate(() => void this.remove());
      if (event.event === 'leftField') stop();
    });
    try {
      await this.card.insert();
    } catch (error) {
      this.phone.left();
      throw error;
    }
  }

  async remove(): Promise<void> {
    await this.card.remove();
    this.phone.left();
  }
}

interface HandOptions {
  readonly state: string;
  readonly port: number;
  /** Merchants whose membership its owner wants; undefined: whoever asks. */
  readonly join?: string[];
  /** The one merchant whose membership is held out. */
  readonly membership?: string;
}

async function openHand(options: HandOptions): Promise<Hand> {
  await lockPhone(options.state);
  const hand = new Hand(FileMemory.open(options.state), options.port, options.join);
  hand.phone.choose(options.membership ?? null);
  return hand;
}

/** The ways in which a tap may be told to misbehave. */
const misbehaviours = [
  ...['wrongKey', 'replay', 'wrongCredential', 'formerCredential', 'wrongSigner', 'oversized', 'chained'],
] as const;
interface TapOptions extends HandOptions {
  readonly slow: number;
  readonly tear?: number;
  readonly seconds: number;
  readonly until: Until;
  readonly json?: boolean;
  readonly misbehave?: (typeof misbehaviours)[number][];
}

async function tapOnce(options: TapOptions): Promise<void> {
  const hand = await openHand(options);
  if (options.tear !== undefined) hand.phone.tearAt({ at: options.tear, moment: 'after', bytes: null });
  hand.pauseMs = options.slow;
  hand.phone.misbehave(Object.fromEntries((options.misbehave ?? []).map((how) => [how, true])));
  hand.onEvent((event) => console.log(options.json ? JSON.stringify(event) : describeEvent(event)));
  const left = new Promise<void>((done) => {
    hand.onEvent((event) => event.event === 'leftField' && done());
  });
  await hand.tap(options.until);
  await Promise.race([left, wait(options.seconds * 1_000, undefined, { ref: false })]);
  await hand.remove();
}

function handleAndPrint(hand: Hand, folders: { in?: string; out?: string }): readonly unknown[] {
  if (folders.in === undefined || folders.out === undefined) throw new Error('started without --in and --out');
  return hand.phone.handleMessages(folders.in, folders.out);
}

interface ServeOptions extends HandOptions {
  readonly control: string;
  readonly in?: string;
  readonly out?: string;
}

async function serve(options: ServeOptions): Promise<void> {
  const hand = await openHand(options);
  const holder: PhoneHolder = {
    phone: hand.phone,
    tap: (until) => hand.tap(until),
    remove: () => hand.remove(),
    messages: () => handleAndPrint(hand, options),
    stop: () => setImmediate(() => void stop()),
  };
  const control = await openControl(resolve(options.control), holder);
  hand.onEvent((event) => {
    console.log(JSON.stringify(event));
    control.tell(event);
  });
  const watcher = options.in === undefined ? null : followFolder(hand, options);
  const stop = async (): Promise<void> => {
    watcher?.close();
    hand.phone.release();
    await hand.remove();
    await control.close();
    process.exit(0);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void stop());
  console.log(
    JSON.stringify({ event: 'ready', control: resolve(options.control), number: maskPhone(hand.phone.show().number) }),
  );
}

/** Handles messages as they come: what is there now, then at each change of the folder. */
function followFolder(hand: Hand, folders: { in?: string; out?: string }): { close(): void } {
  const { in: inFolder = '', out: outFolder = '' } = folders;
  mkdirSync(inFolder, { recursive: true });
  mkdirSync(outFolder, { recursive: true });
  const look = (): void => {
    try {
      handleAndPrint(hand, folders);
    } catch (error) {
      console.error(`messages: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  const watcher = watch(inFolder, look);
  look();
  return watcher;
}

const program = new Command('phone')
  .description("A member's phone, simulated (docs/protocols/phone.md)")
  .showHelpAfterError();
const merchantId = (text: string): string => {
  if (!/^[0-9A-Za-z]{1,16}$/.test(text)) throw new InvalidArgumentError('1 to 16 ASCII letters and digits');
  return text;
};
const joinOption = () =>
  new Option(
    '--join <merchant...>',
    'merchants whose membership the owner agrees to; not given: whoever asks',
  ).argParser((text: string, before: string[] | undefined) => [...(before ?? []), merchantId(text)]);
const membershipOption = () =>
  new Option('--membership <merchant>', "hold out this merchant's membership alone").argParser(merchantId);
const stateOption = () => new Option('--state <file>', "the phone's memory").makeOptionMandatory();
const portOption = () =>
  new Option('--port <port>', 'TCP port of the virtual reader slot')
    .argParser(integerOption(1, 65_535))
    .default(vpcdPorts[0]);

program
  .command('new')
  .description('a phone out of its box')
  .addOption(stateOption())
  .requiredOption('--number <digits>', 'its number, like 13800138000')
  .action((options: { state: string; number: string }) => {
    FileMemory.create(options.state, newPhoneState(options.number));
    console.log(`${options.state}: phone ${options.number}, not registered`);
  });

program
  .command('messages')
  .alias('register')
  .description('take and answer the message files that are for this phone: registration, coupons')
  .addOption(stateOption())
  .requiredOption('--in <folder>', 'where messages to the phone lie')
  .requiredOption('--out <folder>', 'where its answers go')
  .addOption(joinOption())
  .action(async (options: { state: string; in: string; out: string; join?: string[] }) => {
    const hand = await openHand({ ...options, port: vpcdPorts[0] });
    for (const { id, outcome } of hand.phone.handleMessages(options.in, options.out)) console.log(`${id}: ${outcome}`);
  });

program
  .command('show')
  .description('what the phone shows its owner: its memberships, their coupons, cards and last results')
  .addOption(stateOption())
  .option('--json', 'as one line of JSON')
  .action((options: { state: string; json?: boolean }) => {
    const view = new SimulatedPhone({ memory: FileMemory.open(options.state) }).show();
    console.log(options.json ? JSON.stringify(view) : describe(view));
  });

program
  .command('tap')
  .description('hold the phone to the reader once')
  .addOption(stateOption())
  .addOption(portOption())
  .addOption(
    new Option('--seconds <n>', 'take it away after this time at the latest')
      .argParser(integerOption(1, 3_600))
      .default(30),
  )
  .addOption(
    new Option('--until <what>', 'take it away when this has happened')
      .choices(['presented', 'result', 'removed'])
      .default('result'),
  )
  .addOption(membershipOption())
  .addOption(new Option('--slow <ms>', 'wait before each answer').argParser(integerOption(0, 60_000)).default(0))
  .addOption(
    new Option('--tear <n>', 'leave when the n-th command was acted on, unanswered').argParser(integerOption(1, 1_000)),
  )
  .addOption(
    new Option(
      '--misbehave <how...>',
      'prove with another key, replay the last tap, show a credential that is changed or the one before the newest, sign with another key, answer with too much or in a chain',
    ).choices(misbehaviours),
  )
  .option('--json', 'events as lines of JSON')
  .action(tapOnce);

program
  .command('serve')
  .description('stay, and be driven by JSON lines over a socket ({"do":"tap"}, {"do":"show"}, …)')
  .addOption(stateOption())
  .addOption(portOption())
  .requiredOption('--control <socket>', 'path of the Unix socket')
  .option('--in <folder>', 'take message files from here as they come')
  .option('--out <folder>', 'and answer them here')
  .addOption(joinOption())
  .addOption(membershipOption())
  .action((options: ServeOptions, command: Command) => {
    if ((options.in === undefined) !== (options.out === undefined)) command.error('--in and --out go together');
    return serve(options);
  });

program.addCommand(walletCommand());
program.addCommand(tagCommand());

try {
  await program.parseAsync();
} catch (error) {
  console.error(`phone: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
