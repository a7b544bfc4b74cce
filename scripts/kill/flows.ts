/**
 * The flows of the kill tests: for each service at least one sale, what the till asks for, and what it is worth when it is
 * accepted. A new service does not compile before it has a flow. Must not know how a sale is brought to its end.
 */
import type { ServiceName } from '../../terminal/core/sale.js';
import { clerk, type Stage } from './stage.js';

/** What an accepted sale changes in the books; refused, it changes nothing. */
export interface Worth {
  readonly points: number;
  /** Minor units of the coupon at the host. */
  readonly couponMinor: number;
  /** Minor units of the coupon on the card. */
  readonly cardMinor: number;
  /** Is it a purchase that the host keeps a consumption record of? */
  readonly consumption: boolean;
}

export interface Flow {
  readonly name: string;
  /** Is the host out of reach from the sale's begin to its end? */
  readonly offline: boolean;
  /** Has the box noticed already that the host is out of reach? Only then does it decide by itself what is the host's. */
  readonly noticed?: boolean;
  /** Does an interrupted sale end refused, since nobody knows whether the host took it? Else it is resumed. */
  readonly reversedByDeath: boolean;
  readonly worth: Worth;
  /** Sells what is to be undone, where that is so. @returns what the till asks for */
  prepare(stage: Stage): Promise<Readonly<Record<string, unknown>>> | Readonly<Record<string, unknown>>;
}

const nothing: Worth = { points: 0, couponMinor: 0, cardMinor: 0, consumption: true };
const resumed = { offline: false, reversedByDeath: false } as const;
const reversed = { offline: false, reversedByDeath: true } as const;

/** 100 points by the first rules of a host: 1 for a whole unit. */
const billMinor = 10_000;

async function soldBefore(stage: Stage, body: Readonly<Record<string, unknown>>): Promise<string> {
  const { transactionId, outcome } = await stage.sell(body);
  if (outcome?.result !== 'accepted') throw new Error(`the sale to undo ended ${JSON.stringify(outcome)}`);
  await stage.drain();
  return transactionId;
}

export const flows: Readonly<Record<ServiceName, readonly Flow[]>> = {
  plainSale: [
    {
      name: 'plain sale',
      ...resumed,
      worth: nothing,
      prepare: () => ({ service: 'plainSale', amountMinor: billMinor, clerk }),
    },
  ],
  pointsEarn: [
    {
      name: 'earn by tap',
      ...resumed,
      worth: { ...nothing, points: 100 },
      prepare: () => ({ service: 'pointsEarn', amountMinor: billMinor, clerk }),
    },
    {
      name: 'earn by tap, offline',
      ...resumed,
      offline: true,
      worth: { ...nothing, points: 100 },
      prepare: () => ({ service: 'pointsEarn', amountMinor: billMinor, clerk }),
    },
  ],
  pointsSpend: [
    {
      name: 'points spend',
      ...reversed,
      worth: { ...nothing, points: -200 },
      prepare: () => ({ service: 'pointsSpend', amountMinor: billMinor, points: 200, clerk }),
    },
    {
      name: 'points spend out of an allowance, offline',
      ...resumed,
      offline: true,
      noticed: true,
      worth: { ...nothing, points: -200 },
      prepare: async (stage) => {
        await stage.holdAllowance(stage.member.memberCode);
        return { service: 'pointsSpend', amountMinor: billMinor, points: 200, clerk };
      },
    },
  ],
  couponHost: [
    {
      name: 'coupon at the host by its code',
      ...reversed,
      worth: { ...nothing, couponMinor: -billMinor },
      prepare: ({ member }) => ({ service: 'couponHost', amountMinor: billMinor, code: member.hostCoupon, clerk }),
    },
    {
      name: 'coupon by its code out of an allowance, offline',
      ...resumed,
      offline: true,
      noticed: true,
      worth: { ...nothing, couponMinor: -billMinor },
      prepare: async (stage) => {
        await stage.holdAllowance(stage.member.hostCoupon);
        return { service: 'couponHost', amountMinor: billMinor, code: stage.member.hostCoupon, clerk };
      },
    },
  ],
  couponCard: [
    {
      name: 'coupon on the card by the host',
      ...resumed,
      worth: { ...nothing, cardMinor: -billMinor },
      prepare: () => ({ service: 'couponCard', amountMinor: billMinor, clerk }),
    },
    {
      name: 'coupon on the card by the site key, offline',
      ...resumed,
      offline: true,
      worth: { ...nothing, cardMinor: -billMinor },
      prepare: () => ({ service: 'couponCard', amountMinor: billMinor, clerk }),
    },
  ],
  topUp: [
    {
      name: 'top-up by the coupon’s code',
      ...reversed,
      worth: { ...nothing, couponMinor: billMinor, consumption: false },
      prepare: ({ member }) => ({ service: 'topUp', amountMinor: billMinor, code: member.hostCoupon, clerk }),
    },
  ],
  topUpVoid: [
    {
      name: 'void of a top-up',
      ...reversed,
      worth: { ...nothing, couponMinor: -billMinor, consumption: false },
      prepare: async (stage) => {
        const { hostCoupon: code } = stage.member;
        const original = await soldBefore(stage, { service: 'topUp', amountMinor: billMinor, code, clerk });
        return { service: 'void', original, clerk };
      },
    },
  ],
  topUpCard: [
    {
      name: 'top-up of the card',
      ...resumed,
      worth: { ...nothing, cardMinor: billMinor, consumption: false },
      prepare: () => ({ service: 'topUpCard', amountMinor: billMinor, clerk }),
    },
  ],
  topUpCardVoid: [
    {
      name: 'void of a top-up of the card',
      ...resumed,
      worth: { ...nothing, cardMinor: -billMinor, consumption: false },
      prepare: async (stage) => {
        const original = await soldBefore(stage, { service: 'topUpCard', amountMinor: billMinor, clerk });
        return { service: 'void', original, clerk };
      },
    },
  ],
  cardCredit: [
    {
      name: 'void of a card sale',
      ...resumed,
      worth: { ...nothing, cardMinor: billMinor, consumption: false },
      prepare: async (stage) => {
        const original = await soldBefore(stage, { service: 'couponCard', amountMinor: billMinor, clerk });
        return { service: 'void', original, clerk };
      },
    },
  ],
  void: [
    {
      name: 'void of an earn',
      ...resumed,
      worth: { ...nothing, points: -100, consumption: false },
      prepare: async (stage) => {
        const { memberCode: code } = stage.member;
        const original = await soldBefore(stage, { service: 'pointsEarn', amountMinor: billMinor, code, clerk });
        return { service: 'void', original, clerk };
      },
    },
  ],
  refund: [
    {
      name: 'refund of a part',
      ...resumed,
      worth: { ...nothing, couponMinor: 4_000, consumption: false },
      prepare: async (stage) => {
        const { hostCoupon: code } = stage.member;
        const original = await soldBefore(stage, { service: 'couponHost', amountMinor: billMinor, code, clerk });
        return { service: 'refund', original, amountMinor: 4_000, clerk };
      },
    },
  ],
};
