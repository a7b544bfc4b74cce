/**
 * The tearing world: two boxes, one member with a card-held coupon and the host, on virtual time, in which one sale is torn
 * and cut exactly where a case says, and then goes on as the case says. Shipped code but for network, reader and host store.
 * Must not judge what came of it; tearing-checks.ts does.
 */
import { wellBehaved } from '../../../drivers/sim/phone/member-application.js';
import { type InstructionName, SimulatedPhone, type Tear } from '../../../drivers/sim/phone/phone.js';
import {
  type Membership,
  membershipOf,
  newMembership,
  newPhoneState,
  type PhoneState,
  VolatileMemory,
  withMembership,
} from '../../../drivers/sim/phone/phone-state.js';
import { createHost, type Host } from '../../../host-sync/server/host.js';
import { type Bytes, toHex } from '../../kernel/bytes.js';
import { assert } from '../../kernel/result.js';
import { type AmountMinor, monotonicMs, wallMs } from '../../kernel/units.js';
import type { SaleView, ServiceCommand } from '../../runtime/port.js';
import { type BoxSource, type BoxWorld, PowerLost, patienceMs, SimBox, worldStartMs } from './box.js';
import { checkCommit, checkShown } from './checks.js';
import type { Faults } from './faults.js';
import { drawSigner, type Signer, simCrypto } from './keys.js';
import { type HostSnapshot, MemoryHostStore } from './memory-host-store.js';
import type { SimPhone } from './reader.js';
import { Chance, VirtualTime } from './virtual-time.js';

/** What the coupon held when it was issued, minor units. */
export const issuedMinor = 1_000_000;
/** As the member's phone knows this host's merchant. */
const merchantId = 'M1';
export const boxNames = ['box-1', 'box-2'] as const;
export type BoxName = (typeof boxNames)[number];

const rules = {
  currency: 'CNY',
  earnPoints: 1,
  earnPerMinor: 100,
  spendMinor: 100,
  spendPerPoints: 100,
  couponPartial: true,
} as const;
const yearMs = 365 * 86_400_000;
const lookEveryMs = 2_500;

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`the world could not be set up: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** Everything that promises can do at this instant is done. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Strikes at the n-th place of one box at which a power cut is possible, while it is armed, and nowhere else. */
class PowerCut implements Pick<Faults, 'strikes'> {
  readonly places: string[] = [];
  #box: BoxName | null = null;
  #at: number | null = null;

  /** `at` counts from 1; null: only names the places. */
  arm(box: BoxName, at: number | null): void {
    this.#box = box;
    this.#at = at;
    this.places.length = 0;
  }
  disarm(): void {
    this.#box = null;
  }
  strikes(kind: Parameters<Faults['strikes']>[0], about: string): boolean {
    if (this.#box === null || (kind !== 'crashBefore' && kind !== 'crashAfter')) return false;
    if (!about.startsWith(`${this.#box} `)) return false;
    this.places.push(`${kind} ${about}`);
    return this.places.length === this.#at;
  }
}

/** What a till asks for, minor units. */
export interface Asked {
  readonly command: ServiceCommand;
  readonly amountMinor: number;
  readonly reference: string;
}
/** A purchase that the card pays. */
export const bought = (amountMinor: number, reference: string): Asked => ({
  ...{ command: { service: 'couponCard' }, amountMinor, reference },
});

/** What a case begins with: two boxes that know the card, a card whose slots hold two records, all of it told. */
export interface Beginning {
  readonly nowMs: number;
  readonly host: HostSnapshot;
  readonly authority: Signer;
  readonly boxes: ReadonlyMap<BoxName, BoxSource & { readonly terminalId: string; readonly siteKey: Bytes | null }>;
  readonly phone: PhoneState;
  /** Both slots of another genuine card of the same merchant, with more on it. */
  readonly otherSlots: readonly [string, string];
}

export class TearingWorld implements BoxWorld {
  readonly time = new VirtualTime();
  readonly chance: Chance;
  readonly faults = new PowerCut();
  readonly store = new MemoryHostStore();
  readonly boxes = new Map<BoxName, SimBox>();
  readonly shownAt = new Map<string, SimBox>();
  /** What was announced last, by till reference. */
  readonly announced = new Map<string, SaleView>();
  problem: string | null = null;
  readonly #authority: Signer;
  #host: Host | null = null;

  private constructor(seed: number, authority: Signer | null) {
    this.chance = new Chance(seed);
    this.#authority = authority ?? drawSigner(this.chance);
    this.store.onCommit = (writes) => {
      try {
        checkCommit(writes, this.store);
      } catch (error) {
        this.bug(error);
      }
    };
  }

  get authorityKey(): Bytes {
    return this.#authority.publicKey;
  }
  readonly log = (): void => {};
  readonly stepped = (): void => {};
  readonly seen = (): void => {};
  readonly bug = (error: unknown): void => {
    if (error instanceof PowerLost || this.problem !== null) return;
    this.problem = error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error);
  };
  readonly shown: BoxWorld['shown'] = (box, sale) => {
    if (sale.reference !== null) this.announced.set(sale.reference, sale);
    if (sale.outcome?.result === 'accepted') this.shownAt.set(sale.transactionId, box);
    try {
      checkShown(box, sale, { nowMs: this.time.nowMs, begunMs: null, patienceMs });
    } catch (error) {
      this.bug(error);
    }
  };
  readonly host = (): { readonly host: Host; readonly life: number } | null =>
    this.#host && { host: this.#host, life: 1 };

  async #startHost(): Promise<Host> {
    const clock = {
      wallMs: () => wallMs(worldStartMs + this.time.nowMs),
      monotonicMs: () => monotonicMs(this.time.nowMs),
    };
    const { chance: random, store } = this;
    const host = await createHost({
      ...{ store, random, clock, crypto: simCrypto, realm: 'real', merchantId },
      vault: { wrap: (plain: Bytes) => plain, unwrap: (wrapped: Bytes) => wrapped },
      soon: (task: () => void) => queueMicrotask(task),
      sign: (data: Bytes) => this.#authority.sign(data),
    });
    this.#host = host;
    return host;
  }

  box(name: BoxName): SimBox {
    const box = this.boxes.get(name);
    assert(box, `there is a ${name}`);
    return box;
  }

  /** Time goes on; ends early where something that may never be was. */
  async runFor(ms: number): Promise<void> {
    let isOver = false;
    this.time.after(ms, () => {
      isOver = true;
    });
    await this.#runUntil(() => isOver);
  }
  /** Runs until it holds, at most so long; looks at it every so often. @returns whether it holds */
  async runUntil(holds: () => boolean, withinMs: number): Promise<boolean> {
    const endMs = this.time.nowMs + withinMs;
    while (this.problem === null && !holds() && this.time.nowMs < endMs) await this.runFor(lookEveryMs);
    return this.problem === null && holds();
  }
  async #runUntil(isOver: () => boolean): Promise<void> {
    await settled();
    while (this.problem === null && !isOver()) {
      const run = this.time.next();
      assert(run, 'somebody always waits for something');
      try {
        run();
      } catch (error) {
        this.bug(error);
      }
      await settled();
    }
  }

  /** Asks a box that has its power for a sale; the same reference is the same sale. */
  async sell(name: BoxName, { amountMinor, command, reference }: Asked): Promise<void> {
    const run = this.box(name).run;
    if (!run) return;
    const purchase = command.service === 'void' ? {} : { purchase: { amountMinor: amountMinor as AmountMinor } };
    const started = run.terminal.startSale({ ...{ command, ...purchase, reference }, clerk: 'clerk', origin: 'till' });
    started.then(
      (sale) => {
        if (sale.ok && sale.value.outcome) this.announced.set(reference, sale.value);
      },
      (error: unknown) => this.bug(error),
    );
    await settled();
  }

  /** No way to the host, for good; `heal` of its network ends it. */
  cutOff(name: BoxName): void {
    this.box(name).network.cut(yearMs);
  }

  /** Asked for by the box now: nobody, a first tap, or the card once more. */
  prompt(name: BoxName): string | null {
    return this.box(name).run?.terminal.status().sale?.prompt ?? null;
  }

  /** Builds the shop and lets the card be written once at each box, so that both its slots hold a record. */
  static async begin(): Promise<Beginning> {
    const world = new TearingWorld(1, null);
    const host = await world.#startHost();
    value(await host.rules.publish(rules));
    value(await host.rules.setPolicy({ siteKeyOnBoxes: true, topUpBalanceMaxMinor: 2 * issuedMinor }));
    const keyId = world.chance.bytes(8);
    const key = world.chance.bytes(16);
    const { memberCode } = value(await host.members.register({ phone: '13800138000', name: 'member', keyId, key }));
    const issue = { memberCode, currency: 'CNY', amountMinor: issuedMinor, expiresAtMs: null, holder: 'card' } as const;
    const { card } = value(await host.coupons.issue(issue));
    assert(card, 'a card-held coupon comes with its card');
    const { card: other } = value(await host.coupons.issue({ ...issue, amountMinor: 2 * issuedMinor }));
    assert(other, 'so does the second');
    const membership = newMembership({
      ...{ merchantId, merchantPublicKey: '02'.repeat(33), token: '0'.repeat(16), answer: '' },
      ...{ memberKeyId: toHex(keyId), memberKey: toHex(key) },
    });
    const held = {
      ...{ keyId: toHex(card.cardKeyId), key: toHex(card.cardKey) },
      slots: [toHex(card.record), '00'.repeat(96)] as [string, string],
    };
    const phone = new CardHolder(
      withMembership(newPhoneState('13800138000'), { ...membership, card: held }),
      world.chance,
    );
    const made = new Map<BoxName, { readonly terminalId: string; readonly siteKey: Bytes | null }>();
    for (const name of boxNames) {
      const { code } = await host.terminals.drawEnrolmentCode(name);
      const claimed = value(await host.terminals.claimEnrolmentCode({ code, source: 'sim', realm: 'real' }));
      const box = new SimBox(world, name, claimed.terminalId, claimed.siteKey);
      value(await host.terminals.setCertificate(claimed.terminalId, '', worldStartMs, box.signer.publicKey));
      world.boxes.set(name, box);
      made.set(name, claimed);
    }
    await world.runFor(5_000);
    for (const name of boxNames) {
      await world.sell(name, bought(1_000, `begin-${name}`));
      phone.tap(world.box(name));
      await world.runFor(15_000);
    }
    assert(world.problem === null, world.problem ?? '');
    assert(world.shownAt.size === boxNames.length, 'the card paid at each box');
    const boxes = new Map(
      [...made].map(([name, { terminalId, siteKey }]) => {
        const { keys, signer } = world.box(name);
        const image = world.box(name).image();
        return [name, { terminalId, siteKey, keys, signer, image: () => image }] as const;
      }),
    );
    for (const box of world.boxes.values()) box.remove();
    return {
      ...{ nowMs: world.time.nowMs, host: world.store.snapshot(), authority: world.#authority },
      ...{ boxes, phone: phone.memory.state, otherSlots: [toHex(other.record), '00'.repeat(96)] },
    };
  }

  /** The same beginning each time. */
  static async from(beginning: Beginning): Promise<{ readonly world: TearingWorld; readonly phone: CardHolder }> {
    const world = new TearingWorld(2, beginning.authority);
    world.time.nowMs = beginning.nowMs;
    world.store.restore(beginning.host);
    await world.#startHost();
    for (const [name, source] of beginning.boxes)
      world.boxes.set(name, new SimBox(world, name, source.terminalId, source.siteKey, source));
    const phone = new CardHolder(beginning.phone, world.chance);
    await world.runFor(1_000);
    return { world, phone };
  }

  /** The power of all of it goes, for good. */
  end(): void {
    for (const box of this.boxes.values()) {
      box.remove();
      box.db.close();
    }
  }
}

/** Longer than any exchange takes. */
export const tapMs = 3_000;

/** A phone's memory that can be told to lose what is written to the slots. */
class LossyMemory extends VolatileMemory {
  losesWrites = false;
  override save(next: PhoneState): void {
    const kept = membershipOf(this.state, merchantId)?.card;
    const own = membershipOf(next, merchantId);
    if (!this.losesWrites || !kept || !own?.card) super.save(next);
    else super.save(withMembership(next, { ...own, card: { ...own.card, slots: kept.slots } }));
  }
}

/** The member with the simulated phone of drivers/sim, which shares no code with the terminal. */
export class CardHolder {
  readonly memory: LossyMemory;
  readonly #phone: SimulatedPhone;
  readonly #held: SimPhone;
  /** What the phone was asked in its taps, in order. */
  readonly commands: (InstructionName | 'other')[] = [];

  constructor(state: PhoneState, chance: Chance) {
    this.memory = new LossyMemory(state);
    this.#phone = new SimulatedPhone({
      memory: this.memory,
      chance,
      onEvent: (event) => {
        if (event.event === 'command') this.commands.push(event.instruction);
      },
    });
    const phone = this.#phone;
    this.#held = {
      ...{ name: 'phone', memory: this.memory, busy: false },
      application: {
        misbehaviour: wellBehaved,
        respond: (command) => {
          const answer = phone.respond(command);
          assert(!(answer instanceof Promise), 'nobody holds the answer back');
          return answer;
        },
        powerLost: () => phone.left(),
      },
    };
  }

  /** Holds the phone to this box's reader until it has been read, or is torn away. */
  tap(box: SimBox, tear: Tear | null = null): void {
    if (!box.run) return;
    this.#phone.entered();
    this.#phone.tearAt(tear);
    box.run.reader.tap(this.#held, tapMs);
  }

  get #membership(): Membership {
    const membership = membershipOf(this.memory.state, merchantId);
    assert(membership, 'the phone is a member here');
    return membership;
  }
  get card(): NonNullable<Membership['card']> {
    const { card } = this.#membership;
    assert(card, 'the phone carries a card record');
    return card;
  }
  /** Somebody puts back what once stood in the slots, or what stood on another card. */
  putSlots(slots: readonly [string, string]): void {
    const card = { ...this.card, slots: [...slots] as [string, string] };
    this.memory.save(withMembership(this.memory.state, { ...this.#membership, card }));
  }
}
