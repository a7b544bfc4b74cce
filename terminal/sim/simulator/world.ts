/**
 * World: terminals, members, phones and the host on one virtual clock, run from one seed: first with faults, then healed,
 * then everything has to come to rest and agree. Must not know how any of it works inside.
 */

import { type CardRecord, currentSlot, verifyCardRecord } from '../../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import {
  type Membership,
  membershipOf,
  newMembership,
  type PhoneState,
} from '../../../drivers/sim/phone/phone-state.js';
import { createHost, type Host } from '../../../host-sync/server/host.js';
import { untoldWaitMs } from '../../../host-sync/server/ledger/waiting.js';
import { hex, toHex } from '../../kernel/bytes.js';
import type { Crypto } from '../../kernel/ports.js';
import { monotonicMs, wallMs } from '../../kernel/units.js';
import { type BoxWorld, PowerLost, patienceMs, SimBox, worldStartMs } from './box.js';
import { checkCommit, checkRest, checkShown, checkStrangers } from './checks.js';
import { type FaultKind, Faults } from './faults.js';
import { Federation, partnerId, sharedIn } from './federation.js';
import { checkFederation } from './federation-checks.js';
import { drawSigner, type Signer, simCrypto } from './keys.js';
import { type HostSnapshot, MemoryHostStore } from './memory-host-store.js';
import { Clerk, type Member } from './people.js';
import { newPhone } from './reader.js';
import { Chance, VirtualTime } from './virtual-time.js';

/** As members' phones know this host's merchant. */
const merchantId = 'M1';
/** A membership of another merchant, which each phone has before it joins here; nothing in this world may touch it. */
const elsewhere: Membership = {
  ...newMembership({
    ...{ merchantId: 'M2', merchantPublicKey: '03'.repeat(33), token: '1'.repeat(16), answer: '' },
    ...{ memberKeyId: 'e0'.repeat(8), memberKey: 'e1'.repeat(16) },
  }),
  card: { keyId: 'e2'.repeat(8), key: 'e3'.repeat(16), slots: ['e4'.repeat(96), '00'.repeat(96)] },
};

/** Small and short, so that a run sees slices run out and end. */
const allowancePolicy = {
  ...{ usualVisitsMin: 3, pointsMax: 400, couponMinorMax: 12_000, sharePercent: 50, lifetimeHours: 1 },
} as const;
const floorLimits = {
  ...{ floorPerSaleMinor: 9_000, floorPerMemberDayMinor: 20_000, floorPerMemberDayCount: 10, floorPerDayMinor: 60_000 },
} as const;

export interface Wish {
  readonly seed: number;
  /** Events with faults; the healing comes on top. */
  readonly events: number;
  /** Kinds of faults to leave out; for shrinking. */
  readonly without?: ReadonlySet<FaultKind>;
}

export interface Outcome {
  readonly seed: number;
  readonly events: number;
  readonly sales: number;
  readonly accepted: number;
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** Pairs of phase and event that the acceptance machine met. */
  readonly pairs: readonly string[];
  /** Sales that were shown as accepted, by who decided. */
  readonly authorities: Readonly<Record<string, number>>;
  /** Spends that a partner's points paid in part, and settlements, at rest. */
  readonly shared: { readonly spends: number; readonly settlements: number };
  /** Null: clean. */
  readonly problem: string | null;
  /** The last things that happened, for a person to read. */
  readonly trace: readonly string[];
}

const boxesPerWorld = 3;
const membersPerWorld = 4;
const traceLinesMax = 400;
const snapshotEveryMs = 600_000;
/** Longest that a healed world may take to come to rest, virtual milliseconds: nothing waits longer at the host. */
const restWithinMs = untoldWaitMs + 4 * 3_600_000;
const rules = {
  currency: 'CNY',
  earnPoints: 1,
  earnPerMinor: 100,
  spendMinor: 100,
  spendPerPoints: 100,
  couponPartial: true,
} as const;

/** Until everything that promises can do at this instant is done. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`the world could not be set up: ${JSON.stringify(result.error)}`);
  return result.value;
}

class World implements BoxWorld {
  readonly time = new VirtualTime();
  readonly chance: Chance;
  readonly faults: Faults;
  readonly store = new MemoryHostStore();
  readonly boxes: SimBox[] = [];
  readonly members: Member[] = [];
  readonly showns = new Map<string, SimBox>();
  readonly setBack = new Set<SimBox>();
  readonly pairs = new Set<string>();
  readonly authorities = new Map<string, number>();
  readonly trace: string[] = [];
  problem: string | null = null;
  sales = 0;
  readonly #authority: Signer;
  readonly #federation: Federation;
  #host: Host | null = null;
  #life = 0;
  #snapshot: HostSnapshot | null = null;
  #images = new Map<SimBox, Buffer>();

  constructor(readonly wish: Wish) {
    this.chance = new Chance(wish.seed);
    this.#federation = new Federation(wish.seed, merchantId);
    this.#authority = drawSigner(this.chance);
    this.faults = new Faults(this.chance, wish.without ?? new Set(), (kind, about) => this.log(`! ${kind}: ${about}`));
    this.store.onDecide = (begins) => {
      this.#isPoisoned = begins && this.#host !== null && this.faults.strikes('poisoned', 'host');
    };
    this.store.onCommit = (writes) => {
      try {
        checkCommit(writes, this.store);
      } catch (error) {
        this.bug(error);
      }
    };
  }

  readonly log = (text: string): void => {
    const seconds = (this.time.nowMs / 1_000).toFixed(3).padStart(10);
    this.trace.push(`${seconds} s  ${text}`);
    if (this.trace.length > traceLinesMax) this.trace.shift();
  };
  readonly bug = (error: unknown): void => {
    if (error instanceof PowerLost || this.problem !== null) return;
    this.problem = error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error);
  };
  readonly host = (): { readonly host: Host; readonly life: number } | null =>
    this.#host && { host: this.#host, life: this.#life };
  readonly isPartners = (box: SimBox): boolean =>
    this.#federation.isHere && box.terminalId === this.boxes.at(-1)?.terminalId;
  readonly stepped = (phase: string, event: string): void => void this.pairs.add(`${phase} ${event}`);
  /** When each open sale began, by box and life. */
  readonly #begun = new Map<string, number>();
  readonly seen: BoxWorld['seen'] = (box, sale) => {
    const key = `${box.name}-${box.runs} ${sale.transactionId}`;
    if (sale.phase !== 'ended' && !this.#begun.has(key)) this.#begun.set(key, this.time.nowMs);
  };
  readonly shown: BoxWorld['shown'] = (box, sale) => {
    this.sales += 1;
    this.log(`${box.name} ${sale.service} ${sale.transactionId.slice(-12)}: ${sale.outcome?.result}`);
    if (sale.outcome?.result === 'accepted') {
      const { authority } = sale.outcome;
      this.showns.set(sale.transactionId, box);
      this.authorities.set(authority, (this.authorities.get(authority) ?? 0) + 1);
    }
    try {
      const begunMs = this.#begun.get(`${box.name}-${box.runs} ${sale.transactionId}`) ?? null;
      checkShown(box, sale, { nowMs: this.time.nowMs, begunMs, patienceMs });
    } catch (error) {
      this.bug(error);
    }
  };

  get authorityKey(): Uint8Array {
    return this.#authority.publicKey;
  }

  /** A bug of the host in a decision: the record that meets it goes alone to the dead letters. */
  #isPoisoned = false;
  readonly #hostCrypto: Crypto = {
    ...simCrypto,
    aesCmac: (...words) => {
      if (this.#isPoisoned) {
        this.#isPoisoned = false;
        const poisoned = new Error('poisoned');
        // Only where a record is applied: elsewhere nobody promises to bear a bug.
        if (poisoned.stack?.includes('/ledger/apply.js')) throw poisoned;
      }
      return simCrypto.aesCmac(...words);
    },
  };

  async #startHost(): Promise<void> {
    const clock = {
      wallMs: () => wallMs(worldStartMs + this.time.nowMs),
      monotonicMs: () => monotonicMs(this.time.nowMs),
    };
    this.#life += 1;
    const vault = { wrap: (plain: Uint8Array) => plain, unwrap: (wrapped: Uint8Array) => wrapped };
    const soon = (task: () => void): void => queueMicrotask(task);
    const { chance: random, store } = this;
    const sign = (data: Uint8Array): Uint8Array => this.#authority.sign(data);
    this.#host = await createHost({
      store,
      crypto: this.#hostCrypto,
      random,
      clock,
      vault,
      realm: 'real',
      merchantId,
      soon,
      sign,
    });
  }

  async open(): Promise<void> {
    await this.#startHost();
    const host = this.#host;
    if (!host) return;
    value(await host.rules.publish(rules));
    value(await host.rules.setPolicy({ siteKeyOnBoxes: this.chance.happens(0.5) }));
    if (this.chance.happens(0.7)) value(await host.allowances.setPolicy(allowancePolicy));
    if (this.chance.happens(0.3)) value(await host.rules.setOfflineLimits(floorLimits));
    await this.#federation.open(host);
    for (let index = 0; index < membersPerWorld; index++) this.members.push(await this.#member(host, index));
    for (let index = 0; index < boxesPerWorld; index++) {
      const { code } = await host.terminals.drawEnrolmentCode(`till ${index + 1}`);
      const claimed = value(await host.terminals.claimEnrolmentCode({ code, source: 'sim', realm: 'real' }));
      const box = new SimBox(this, `box-${index + 1}`, claimed.terminalId, claimed.siteKey);
      value(await host.terminals.setCertificate(claimed.terminalId, '', worldStartMs, box.signer.publicKey));
      await this.#federation.assign(host, claimed.terminalId, index === boxesPerWorld - 1);
      this.boxes.push(box);
    }
    this.#snapshot = this.store.snapshot();
    this.#every(30_000, () => this.#host?.expire().then(() => {}, this.bug));
    this.#every(snapshotEveryMs, () => this.#keep());
    this.#every(120_000, () => this.#host?.allowances.offer().then(() => {}, this.bug));
    this.#every(60_000, () => void this.#operate().catch(this.bug));
    this.#every(20_000, () => this.#mischief());
    for (const box of this.boxes) this.#employ(box);
  }

  #employ(box: SimBox): void {
    const clerk = new Clerk(this, box);
    const work = (): void => {
      if (!this.#isHealed) clerk.act();
      this.time.after(this.chance.between(2_000, 40_000), work);
    };
    work();
  }

  /** Copies of boxes that live, and whose they are. */
  readonly #copies = new Map<SimBox, SimBox>();
  /** A copy of a box's disk sells beside it, until a person finds out. */
  #clone(box: SimBox): void {
    this.setBack.add(box);
    const copy = new SimBox(this, `${box.name}-copy`, box.terminalId, box.siteKey, box);
    this.setBack.add(copy);
    this.#copies.set(copy, box);
    this.#employ(copy);
    this.time.after(this.chance.between(60_000, 1_800_000), () => void this.#endCopies().catch(this.bug));
  }

  /** docs/replacing-a-box.md, "A copied box": the copy's records are taken in, the true box enrols anew in its own place. */
  async #endCopies(): Promise<void> {
    for (const [copy, box] of [...this.#copies]) {
      copy.remove();
      const host = this.#host;
      if (!host) {
        this.time.after(60_000, () => void this.#endCopies().catch(this.bug));
        return;
      }
      this.#copies.delete(copy);
      const { code } = value(await host.terminals.drawReplacementCode(box.terminalId));
      value(await host.terminals.claimEnrolmentCode({ code, source: 'sim', realm: 'real' }));
      value(await host.terminals.setCertificate(box.terminalId, '', worldStartMs, box.signer.publicKey));
      box.restore(box.image());
      await this.#takeIn(host, copy);
    }
  }

  async #takeIn(host: Host, copy: SimBox): Promise<void> {
    const pages = [];
    const disk = copy.disk();
    for (let page = disk.journal(200, null); page.length > 0; page = disk.journal(200, page.at(-1) ?? null)) {
      const own = page.map(({ body, previousHash }) => ({ body, previousHash, attempt: 1, sentAtWallMs: 0 }));
      pages.push(own.reverse());
    }
    // What refers to a record of a later page, or to one that waits for the true box, is decided the second time.
    for (let round = 0; round < 2; round++)
      for (const page of pages.toReversed()) value(await host.terminals.takeIn(copy.terminalId, page, 'operator'));
  }

  async #member(host: Host, index: number): Promise<Member> {
    const keyId = this.chance.bytes(8);
    const key = this.chance.bytes(16);
    const number = `1380013800${index}`;
    const { memberCode } = value(
      await host.members.register({ phone: number, name: `member ${index + 1}`, keyId, key }),
    );
    const issue = { memberCode, currency: 'CNY', amountMinor: 30_000, expiresAtMs: null } as const;
    const couponCodes: string[] = [];
    // The smaller one is soon empty: topped up, spent and asked back.
    for (const amountMinor of [30_000, 3_000])
      couponCodes.push(value(await host.coupons.issue({ ...issue, amountMinor, holder: 'host' })).code);
    const { card } = value(await host.coupons.issue({ ...issue, holder: 'card' }));
    if (!card) throw new Error('a card-held coupon comes with its card');
    const membership = newMembership({
      ...{ merchantId, merchantPublicKey: '02'.repeat(33), token: '0'.repeat(16), answer: '' },
      ...{ memberKeyId: toHex(keyId), memberKey: toHex(key) },
    });
    const held = {
      keyId: toHex(card.cardKeyId),
      key: toHex(card.cardKey),
      slots: [toHex(card.record), '00'.repeat(96)] as [string, string],
    };
    const joined = await this.#federation.join(host, number, `member ${index + 1}`);
    const state: PhoneState = {
      version: 2,
      number,
      memberships: [elsewhere, { ...membership, card: held }, ...joined],
      packages: [],
    };
    return { memberCode, couponCodes, phone: newPhone(`phone-${index + 1}`, state, this.chance) };
  }

  #isHealed = false;
  #isHostSetBack = false;
  #isWrittenOff = false;
  #every(ms: number, run: () => unknown): void {
    this.time.after(ms, () => {
      run();
      this.#every(ms, run);
    });
  }

  #keep(): void {
    this.#snapshot = this.store.snapshot();
    for (const box of this.boxes) this.#images.set(box, box.image());
  }

  /** What happens to whole boxes and the host, apart from any sale. */
  #mischief(): void {
    const { chance, faults } = this;
    for (const box of this.boxes) {
      const { name } = box;
      if (faults.strikes('outage', name)) box.network.cut(chance.between(1_000, 1_800_000));
      if (faults.strikes('clockBack', name)) box.setClock(box.clockStepMs - chance.between(1, 7 * 86_400_000));
      if (faults.strikes('clockAhead', name)) box.setClock(box.clockStepMs + chance.between(1, 3_650 * 86_400_000));
      if (faults.strikes('clock1970', name)) box.setClock(-worldStartMs - this.time.nowMs);
      if (faults.strikes('certificateEnded', name)) box.network.isExpired = true;
      if (this.#copies.size === 0 && box.run && faults.strikes('boxCloned', name)) this.#clone(box);
      const image = this.#images.get(box);
      if (image && faults.strikes('boxRestored', name)) {
        this.setBack.add(box);
        box.restore(image);
      }
    }
    // All machines sleep for some hours: what was due in them comes at their end.
    if (faults.strikes('quietHours', 'everybody')) this.time.skip(chance.between(600_000, 10_800_000));
    if (this.#host && faults.strikes('hostStopped', 'host')) this.#stopHost(chance.between(1_000, 300_000));
    if (this.#host && this.#snapshot && faults.strikes('hostRestored', 'host')) {
      this.#isHostSetBack = true;
      this.#stopHost(chance.between(1_000, 60_000));
      this.store.restore(this.#snapshot);
    }
  }

  #stopHost(forMs: number): void {
    this.#host = null;
    this.#life += 1;
    this.time.after(forMs, () => void this.#startHost().catch(this.bug));
  }

  async #step(): Promise<boolean> {
    const run = this.time.next();
    if (!run) return false;
    try {
      run();
    } catch (error) {
      this.bug(error);
    }
    await settled();
    return this.problem === null;
  }

  /** The whole run. @returns how many events were delivered */
  async play(): Promise<number> {
    await this.open();
    let events = 0;
    for (; events < this.wish.events && (await this.#step()); events++);
    if (this.problem !== null) return events;
    this.#heal();
    const quietAtMs = this.time.nowMs + 1_200_000;
    const endMs = this.time.nowMs + restWithinMs;
    let isLater = false;
    while (this.time.nowMs < endMs && (await this.#step())) {
      events++;
      if (this.time.nowMs <= quietAtMs) continue;
      if (this.boxes.every((box) => box.run && box.disk().unsentCount() === 0)) break;
      // What waits for records that were lost with a disk is given up by the host then.
      if (!isLater) this.time.skip(untoldWaitMs);
      isLater = true;
    }
    if (this.problem === null) {
      try {
        const { boxes, setBack, showns: shown, store } = this;
        const isBounded = setBack.size === 0 && !this.#isHostSetBack && !this.#isWrittenOff;
        const isPlain = setBack.size === 0 && !this.#isHostSetBack;
        checkStrangers(
          this.members.map(({ phone }) => membershipOf(phone.memory.state, elsewhere.merchantId)),
          elsewhere,
        );
        const host = this.#host;
        if (host && this.#federation.isHere) await checkFederation(store, host, merchantId, partnerId);
        checkRest({ store, boxes, shown, setBack, isBounded, isPlain, nowMs: this.time.nowMs, cards: this.#cards() });
      } catch (error) {
        this.bug(error);
      }
    }
    return events;
  }

  /** What a reader would find on each member's card. */
  #cards(): ReadonlyMap<string, CardRecord> {
    const found = new Map<string, CardRecord>();
    for (const { phone } of this.members) {
      const card = membershipOf(phone.memory.state, merchantId)?.card;
      if (!card) continue;
      const slots: [Uint8Array, Uint8Array] = [hex(card.slots[0]), hex(card.slots[1])];
      const siteKey = this.store.row('secret', 'siteKey')?.wrapped ?? new Uint8Array(16);
      const key = recordKey(simCrypto, siteKey, hex(card.keyId));
      const current = currentSlot(slots, (slot) => verifyCardRecord(simCrypto, key, hex(card.keyId), slot));
      if (current) found.set(card.keyId, current.record);
    }
    return found;
  }

  /** An operator asks slices back, or takes one without the box's word. */
  async #operate(): Promise<void> {
    const host = this.#host;
    if (host && !this.#isHealed) await this.#federation.operate(host, worldStartMs + this.time.nowMs);
    const open = this.store.rows('allowance').filter(({ state }) => state === 'open');
    if (!host || open.length === 0 || this.#isHealed) return;
    const { id } = this.chance.pick(open);
    if (this.chance.happens(0.1)) value(await host.allowances.recall(id));
    if (this.faults.strikes('writtenOff', id)) {
      this.#isWrittenOff = true;
      value(await host.allowances.writeOff(id, 'operator'));
    }
  }

  /** A person looks at what the host holds, as its documents say, and lets it be applied, or made dead letters. */
  async #release(): Promise<void> {
    for (const { id, quarantinedCount, state } of this.store.rows('terminal')) {
      if (state !== 'quarantined' && quarantinedCount === 0) continue;
      const judgement = this.chance.happens(0.5) ? 'applyForks' : 'refuseForks';
      await this.#host?.terminals.releaseQuarantine(id, 'operator', judgement);
    }
  }

  #heal(): void {
    this.#every(400_000, () => void this.#release().catch(this.bug));
    void this.#endCopies().catch(this.bug);
    this.log('healed: from here on nothing goes wrong');
    this.#isHealed = true;
    this.faults.heal();
    for (const box of this.boxes) {
      box.network.heal();
      box.clockStepMs = 0;
      // A person starts every box anew; one that is off comes back by itself. Then each sells once, so that it speaks.
      box.powerCut();
      this.time.after(300_000, () => {
        void box.run?.terminal.startSale({
          ...{ command: { service: 'plainSale' }, purchase: { amountMinor: 1 as never }, reference: null },
          ...{ clerk: 'clerk', origin: 'till' },
        });
      });
    }
  }
}

/** Runs one seed. */
export async function simulate(wish: Wish): Promise<Outcome> {
  const world = new World(wish);
  const lost = (error: unknown): void => world.bug(error);
  process.on('unhandledRejection', lost);
  try {
    const events = await world.play();
    return {
      seed: wish.seed,
      events,
      sales: world.sales,
      accepted: world.showns.size,
      faults: Object.fromEntries(world.faults.done),
      pairs: [...world.pairs],
      authorities: Object.fromEntries(world.authorities),
      shared: sharedIn(world.store),
      problem: world.problem,
      trace: world.trace,
    };
  } catch (error) {
    return {
      ...{ seed: wish.seed, events: 0, sales: world.sales, accepted: world.showns.size },
      ...{
        faults: Object.fromEntries(world.faults.done),
        pairs: [...world.pairs],
        authorities: Object.fromEntries(world.authorities),
        shared: sharedIn(world.store),
        trace: world.trace,
      },
      problem: error instanceof Error ? `${error.message}\n${error.stack ?? ''}` : String(error),
    };
  } finally {
    process.off('unhandledRejection', lost);
  }
}
