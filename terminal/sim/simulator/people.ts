/**
 * People: what clerks and members do, drawn from the seed: sales of every service, taps, codes, undoings, changes of mind.
 * Must only use what a till, a phone or a scanner could.
 */
import type { AmountMinor, Points } from '../../kernel/units.js';
import type { SaleCommand, SaleView, ServiceCommand } from '../../runtime/port.js';
import type { SimBox } from './box.js';
import type { Faults } from './faults.js';
import type { SimPhone } from './reader.js';
import type { Chance, VirtualTime } from './virtual-time.js';

export interface Member {
  readonly memberCode: string;
  readonly phone: SimPhone;
  readonly couponCodes: readonly string[];
}

export interface PeopleWorld {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly faults: Faults;
  readonly members: readonly Member[];
  /** Members come to this counter with points of a partner rather than to earn. */
  readonly isPartners: (box: SimBox) => boolean;
  readonly log: (text: string) => void;
  readonly bug: (error: unknown) => void;
}

const patienceMs = [400, 900, 3_000] as const;

/** A sale and who was at the counter: whoever comes to have it undone is mostly the same. */
interface Sold {
  readonly reference: string;
  readonly member: Member;
}
const undos: readonly SaleView['service'][] = ['void', 'refund', 'cardCredit', 'topUpVoid', 'topUpCardVoid'];

export class Clerk {
  #reference = 0;
  #last: SaleCommand | null = null;
  /** Sales that may be undone, the newest last; at most so many are remembered. */
  readonly #sold: Sold[] = [];
  readonly #soldMax = 20;
  /** Of them the newest top-up. */
  #toppedUp: Sold | null = null;

  constructor(
    private readonly world: PeopleWorld,
    private readonly box: SimBox,
  ) {}

  /** One thing a clerk does; the member's part follows by itself. */
  act(): void {
    const { box, world } = this;
    const run = box.run;
    if (!run) return;
    if (run.terminal.status().sale) {
      if (world.chance.happens(0.2)) void run.terminal.cancelSale(run.terminal.status().sale?.transactionId ?? '');
      return;
    }
    const member = world.chance.pick(world.members);
    if (world.chance.happens(0.1)) {
      // A member who comes in is checked in, by the member code or a coupon's.
      const code = world.chance.happens(0.5) ? member.memberCode : world.chance.pick(member.couponCodes);
      run.terminal.requestAllowance({ reason: 'checkIn', code }).then(() => {}, world.bug);
      return;
    }
    const command = this.#command(member);
    run.terminal.startSale(command).then((started) => {
      if (!started.ok || !box.run) return;
      const { service, phase, reference } = started.value;
      if (reference !== null && !undos.includes(service)) this.#keep({ reference, member }, service);
      if (phase === 'waiting') this.#memberActs(this.#comer(command, member), started.value);
    }, world.bug);
  }

  #keep(sold: Sold, service: SaleView['service']): void {
    if (service === 'topUp' || service === 'topUpCard') this.#toppedUp = sold;
    this.#sold.push(sold);
    if (this.#sold.length > this.#soldMax) this.#sold.shift();
  }

  /** Who comes with a card for what is undone: mostly whose card it was. */
  #comer({ command }: SaleCommand, member: Member): Member {
    const original = 'original' in command ? command.original : null;
    const sold = [this.#toppedUp, ...this.#sold].find((each) => each?.reference === original);
    return sold && !this.world.chance.happens(0.1) ? sold.member : member;
  }

  #command(member: Member): SaleCommand {
    const { chance } = this.world;
    // A till that is not sure asks again under the same reference.
    if (this.#last && chance.happens(0.05)) return this.#last;
    const drawn = this.#service(member);
    const service: ServiceCommand =
      drawn.service === 'pointsEarn' && this.world.isPartners(this.box) && chance.happens(0.7)
        ? { service: 'pointsSpend', points: chance.between(1, 150) as Points }
        : drawn;
    const isUndo = service.service === 'void' || service.service === 'refund';
    const command: SaleCommand = {
      command: service,
      ...(isUndo ? {} : { purchase: { amountMinor: chance.between(1, 20_000) as AmountMinor } }),
      reference: `${this.box.name}-${++this.#reference}`,
      clerk: 'clerk',
      origin: 'till',
    };
    this.#last = command;
    return command;
  }

  #service(member: Member): ServiceCommand {
    const { chance } = this.world;
    const original = this.#sold.length > 0 ? chance.pick(this.#sold).reference : null;
    switch (chance.below(17)) {
      case 0:
        return { service: 'plainSale' };
      case 1:
      case 2:
        return { service: 'pointsSpend', points: chance.between(1, 150) as Points };
      case 3:
      case 4:
        return { service: 'couponHost', couponCode: chance.pick(member.couponCodes) };
      case 5:
      case 6:
        return { service: 'couponCard' };
      case 7:
        return original ? { service: 'void', original } : { service: 'plainSale' };
      case 11:
      case 12:
        return this.#toppedUp ? { service: 'void', original: this.#toppedUp.reference } : { service: 'plainSale' };
      case 8:
        return original
          ? { service: 'refund', original, amountMinor: chance.between(1, 5_000) as AmountMinor }
          : { service: 'plainSale' };
      case 9:
      case 10:
        return { service: 'topUp', coupon: chance.pick(member.couponCodes) };
      case 13:
      case 14:
        return { service: 'topUpCard' };
      default:
        return { service: 'pointsEarn' };
    }
  }

  /** Taps, shows a code, or neither; taps again where the phone left too early. */
  #memberActs(member: Member, sale: SaleView): void {
    const { chance, time } = this.world;
    const life = this.box.run;
    // Some come in the last moment, when the sale gives up just while the phone is being read.
    const isLate = chance.happens(0.05);
    time.after(isLate ? chance.between(59_850, 60_000) : chance.between(200, 15_000), () => {
      const run = this.box.run;
      if (!run || run !== life) return;
      const way = chance.below(10);
      if (way === 0) return;
      if (way === 1 && sale.service === 'pointsEarn') return run.reader.scan(member.memberCode);
      if (way <= 3 && sale.service === 'topUp')
        return run.reader.scan(way === 1 ? chance.pick(member.couponCodes) : member.memberCode);
      if (way === 1 && sale.service === 'couponHost') return run.reader.scan(chance.pick(member.couponCodes));
      run.reader.tap(member.phone, chance.pick(patienceMs));
    });
    for (const again of [20_000, 30_000, 40_000])
      time.after(again, () => {
        const run = this.box.run;
        if (run?.terminal.status().sale?.prompt === 'tapAgain') run.reader.tap(member.phone, 3_000);
      });
  }
}
