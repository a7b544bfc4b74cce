/**
 * Coupons: issue in either form, views, statements, blocking. A coupon has one holder from its issue on.
 * Must not keep or log a card's key: it is derived from the site key when the coupon is issued, and handed over once.
 */

import { encodeCardRecord } from '../../../drivers/protocols/member/card-record.js';
import { keyIdBytes } from '../../../drivers/protocols/member/layout.js';
import { cardKey, recordKey } from '../../../drivers/protocols/member/proof.js';
import { toHex } from '../../../terminal/kernel/bytes.js';
import type { Clock, Random } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinor, isCurrency } from '../../../terminal/kernel/units.js';
import { productCodeSchema } from '../../protocol/record.js';
import {
  cardCorrection,
  cardMirror,
  cardReserved,
  couponBalance,
  couponFunded,
  couponReserved,
} from '../ledger/accounts.js';
import { blockRow, planUnblock, unblock } from '../ledger/block.js';
import { counterKey, planDoubt } from '../ledger/card-doubt.js';
import { isCardDebit } from '../ledger/card-kinds.js';
import { codeRandomBytes, couponNumber, drawCouponCode } from '../ledger/codes.js';
import { fitsCardLimit } from '../ledger/coupon.js';
import { type Collector, type Facts, put } from '../ledger/facts.js';
import { balanceOf, move, post } from '../ledger/posting.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { statementOf } from './members.js';
import { pageOf, refusal } from './paging.js';
import { raiseDirectives, type Standing } from './settings.js';
import type { CouponAdmin, CouponView, IssueCouponRequest, IssuedCoupon, Refusal } from './types.js';

export const limitProductsMax = 200;
const codesDrawn = 4;

function planCoupon(need: Collector, coupon: Pick<Row<'coupon'>, 'id' | 'currency'>): void {
  for (const account of [couponBalance, couponReserved, cardMirror, cardReserved, cardCorrection])
    need.get('account', account(coupon.id, coupon.currency).id);
}

function viewOf(facts: Facts, coupon: Row<'coupon'>): CouponView {
  const balance = (account: typeof couponBalance): number => balanceOf(facts, account(coupon.id, coupon.currency));
  const isHost = coupon.holder === 'host';
  return {
    code: coupon.id,
    holder: coupon.holder,
    memberCode: coupon.memberId,
    cardKeyId: coupon.cardKeyId,
    currency: isCurrency(coupon.currency) ? coupon.currency : 'CNY',
    initialMinor: coupon.initialMinor,
    balanceMinor: balance(isHost ? couponBalance : cardMirror),
    reservedMinor: balance(isHost ? couponReserved : cardReserved),
    correctionMinor: balance(cardCorrection),
    expiresAtMs: coupon.expiresAtMs,
    limitCategory: coupon.limitCategory,
    limitProducts: coupon.limitProducts === null ? null : (JSON.parse(coupon.limitProducts) as string[]),
    state: coupon.state,
    issuedAtMs: coupon.issuedAtMs,
  };
}

/** What is wrong with a request; null: nothing. */
function problemOf(request: IssueCouponRequest): Refusal | null {
  const { limitCategory = null, limitProducts = null } = request;
  if (!amountMinor(request.amountMinor).ok || request.amountMinor < 1)
    return { code: 'value.outOfRange', detail: 'amount' };
  if (!isCurrency(request.currency)) return { code: 'input.unsupported', detail: 'currency' };
  if (request.expiresAtMs !== null && !(Number.isSafeInteger(request.expiresAtMs) && request.expiresAtMs > 0))
    return { code: 'input.outOfRange', detail: 'expiry' };
  if (limitCategory !== null && limitProducts !== null) return { code: 'input.malformed', detail: 'one limit at most' };
  if (limitCategory !== null && !isPlainText(limitCategory, 32)) return { code: 'input.malformed', detail: 'category' };
  if (limitProducts !== null && (limitProducts.length < 1 || limitProducts.length > limitProductsMax))
    return { code: 'input.tooLong', detail: `1 to ${limitProductsMax} products` };
  if (limitProducts?.some((code) => !productCodeSchema.safeParse(code).success))
    return { code: 'input.malformed', detail: 'product code' };
  if (request.holder === 'host') return null;
  if (limitProducts !== null) return { code: 'input.unsupported', detail: 'a card takes a category only' };
  return limitCategory === null || fitsCardLimit(limitCategory)
    ? null
    : { code: 'input.outOfRange', detail: 'a card takes 16 ASCII characters' };
}

export interface CouponParts {
  readonly store: HostStore;
  readonly standing: Standing;
  readonly random: Random;
  readonly clock: Clock;
}

export function createCoupons(parts: CouponParts): CouponAdmin {
  const { store } = parts;
  const view = (code: string): Promise<CouponView | null> =>
    store.read(
      (need) => {
        const coupon = need.get('coupon', code);
        if (coupon) planCoupon(need, coupon);
      },
      (facts) => {
        const coupon = facts.get('coupon', code);
        return coupon ? viewOf(facts, coupon) : null;
      },
    );

  return {
    issue: (request) => issue(parts, request),
    byCode: view,
    ofMember: async (memberCode, options) => {
      const { rows, next } = await pageOf(store, 'coupon', { lookup: 'memberId', value: memberCode }, options);
      const plan = (need: Collector): void => {
        for (const coupon of rows) planCoupon(need, coupon);
      };
      return store.read(plan, (facts) => ({ next, rows: rows.map((coupon) => viewOf(facts, coupon)) }));
    },
    setState: async (code, state) =>
      store.transact(
        (need) => {
          need.get('coupon', code);
          planUnblock(need, code);
          need.get('entry', takeOverEntry(code));
          need.get('setting', 'directivesVersion');
        },
        (facts) => {
          const coupon = facts.get('coupon', code);
          if (!coupon) return refusal('coupon.unknown');
          if (state === 'active' && facts.get('entry', takeOverEntry(code)))
            return refusal('access.denied', 'what this card held was taken over');
          const nowMs = parts.clock.wallMs();
          if (coupon.state !== state)
            facts.write([
              put('coupon', { ...coupon, state }),
              ...(state === 'blocked' ? [put('block', blockRow(code, nowMs))] : unblock(facts, code)),
              raiseDirectives(facts, nowMs),
            ]);
          return ok(undefined);
        },
      ),
    takeOver: (code) => takeOver(parts, code),
    statement: async (code, options) => {
      const coupon = await view(code);
      if (!coupon) return { rows: [], next: null };
      const home = coupon.holder === 'host' ? couponBalance : cardMirror;
      return statementOf(store, home(code, coupon.currency).id, options);
    },
  };
}

/** The first record of a card, counter 1, and the keys that go with it. */
const cardOf = (
  standing: Standing,
  code: string,
  cardKeyId: Uint8Array,
  request: IssueCouponRequest,
): NonNullable<IssuedCoupon['card']> => ({
  cardKeyId,
  cardKey: cardKey(standing.crypto, standing.siteKey, cardKeyId),
  record: encodeCardRecord(standing.crypto, recordKey(standing.crypto, standing.siteKey, cardKeyId), {
    cardKeyId,
    couponNumber: couponNumber(code),
    counter: 1,
    balanceMinor: request.amountMinor,
    currency: request.currency,
    expiresAtSeconds: request.expiresAtMs === null ? 0 : Math.floor(request.expiresAtMs / 1000),
    lastTransactionId: new Uint8Array(16),
    lastTerminal: new Uint8Array(6),
    lastKind: 'issue',
    lastAmountMinor: request.amountMinor,
    limitCategory: request.limitCategory ?? '',
  }),
});

const takeOverEntry = (code: string): string => `takeOver/${code}`;

/**
 * The debit at which a box lost the card, for which it gave nothing: whether it was written or not, what it held is the
 * member's, and this card's next record, which would tell, never comes.
 */
function tornDebit(facts: Facts, card: Row<'coupon'>): Row<'sale'> | null {
  const sale = card.pendingSale === null ? undefined : facts.get('sale', card.pendingSale);
  return sale && isCardDebit(sale) && sale.state === 'pending' ? sale : null;
}

/**
 * Is money for this card, or money of it, in the air? A top-up of which its box has not said yet how it ended, or of which
 * nobody knows yet whether the card has it; a void that may have been made.
 */
const isBeingToppedUp = (facts: Facts, card: Row<'coupon'>): boolean =>
  facts.find('sale', 'topUpOf', card.id).some((sale) => {
    if (sale.state === 'reserved' || sale.state === 'timedOut') return true;
    const isBeingVoided = sale.state === 'accepted' && sale.refundedMinor > 0;
    return isBeingVoided || facts.get('cardDoubt', counterKey(card.id, sale.cardCounter ?? 0)) !== undefined;
  });

/** Moves what a lost card held into a host-held coupon of the same member. */
async function takeOver({ store, random, clock }: CouponParts, code: string): ReturnType<CouponAdmin['takeOver']> {
  const codes = Array.from({ length: codesDrawn }, () => drawCouponCode(random.bytes(codeRandomBytes)));
  const plan = (need: Collector): void => {
    const card = need.get('coupon', code);
    if (!card) return;
    planCoupon(need, card);
    need.get('entry', takeOverEntry(code));
    if (card.pendingSale !== null) need.get('sale', card.pendingSale);
    for (const { cardCounter } of need.find('sale', 'topUpOf', code)) planDoubt(need, code, cardCounter ?? 0);
    for (const drawn of codes) {
      need.get('coupon', drawn);
      need.get('account', couponBalance(drawn, card.currency).id);
    }
  };
  return store.transact(plan, (facts) => {
    const card = facts.get('coupon', code);
    if (!card) return refusal('coupon.unknown');
    if (card.holder !== 'card' || card.memberId === null) return refusal('coupon.wrongHolder', 'not a member’s card');
    if (card.state !== 'blocked') return refusal('access.denied', 'block it first');
    const nowMs = clock.wallMs();
    if (card.expiresAtMs !== null && card.expiresAtMs <= nowMs) return refusal('coupon.expired');
    const held = balanceOf(facts, cardReserved(code, card.currency));
    const torn = tornDebit(facts, card);
    if (held !== (torn?.coveredMinor ?? 0) || isBeingToppedUp(facts, card))
      return refusal('sale.busy', 'a sale on this card is not settled yet');
    const from = [cardMirror, cardCorrection, cardReserved].map((account) => account(code, card.currency));
    const amountMinor = from.reduce((sum, account) => sum + balanceOf(facts, account), 0);
    if (amountMinor === 0) return refusal('coupon.balanceTooLow', 'nothing is left on it');
    const id = codes.find((drawn) => !facts.get('coupon', drawn));
    if (id === undefined) return refusal('host.busy', 'no free code was drawn');
    const to = couponBalance(id, card.currency);
    const movements = from
      .filter((account) => balanceOf(facts, account) > 0)
      .map((account) => move(account, to, balanceOf(facts, account)));
    const coupon = {
      ...card,
      ...{ id, holder: 'host' as const, openMember: card.memberId, cardKeyId: null, cardCounter: 0, pendingSale: null },
      ...{ initialMinor: amountMinor, sweepAtMs: card.expiresAtMs, state: 'active' as const, issuedAtMs: nowMs },
    };
    // A sale of the card that was voided since leaves something once more.
    const first = takeOverEntry(code);
    const entry = {
      id: facts.get('entry', first) ? `${first}/${id}` : first,
      cause: 'takeOver',
      record: null,
      atMs: nowMs,
    };
    facts.write([
      put('coupon', coupon),
      ...(torn ? [put('sale', { ...torn, state: 'reversed' }), put('coupon', { ...card, pendingSale: null })] : []),
      ...post(facts, { ...entry, movements }),
    ]);
    const currency = isCurrency(card.currency) ? card.currency : 'CNY';
    return ok({ code: id, memberCode: card.memberId, currency, amountMinor });
  });
}

/** Draws a code, funds the coupon where it is held, and derives what its card needs. */
async function issue(
  { store, standing, random, clock }: CouponParts,
  request: IssueCouponRequest,
): Promise<Result<IssuedCoupon, Refusal>> {
  const problem = problemOf(request);
  if (problem) return refusal(problem.code, problem.detail);
  const codes = Array.from({ length: codesDrawn }, () => drawCouponCode(random.bytes(codeRandomBytes)));
  const cardKeyId = request.holder === 'card' ? random.bytes(keyIdBytes) : null;
  const { memberCode, currency } = request;
  const plan = (need: Collector): void => {
    if (memberCode !== null) need.get('member', memberCode);
    if (cardKeyId) {
      need.find('coupon', 'cardKeyId', toHex(cardKeyId));
      need.get('memberKey', toHex(cardKeyId));
    }
    need.get('account', couponFunded(currency).id);
    for (const code of codes) {
      need.get('coupon', code);
      need.get('account', couponBalance(code, currency).id);
      need.get('account', cardMirror(code, currency).id);
    }
  };
  return store.transact(plan, (facts) => {
    if (memberCode !== null && !facts.get('member', memberCode)) return refusal('credential.unknown', 'no such member');
    const code = codes.find((drawn) => !facts.get('coupon', drawn));
    const isTaken =
      cardKeyId &&
      (facts.find('coupon', 'cardKeyId', toHex(cardKeyId)).length > 0 || facts.get('memberKey', toHex(cardKeyId)));
    if (code === undefined || isTaken) return refusal('host.busy', 'no free code was drawn');
    const nowMs = clock.wallMs();
    const home = request.holder === 'host' ? couponBalance(code, currency) : cardMirror(code, currency);
    facts.write([
      put('coupon', {
        id: code,
        holder: request.holder,
        memberId: memberCode,
        openMember: request.holder === 'host' ? memberCode : null,
        cardKeyId: cardKeyId && toHex(cardKeyId),
        currency,
        initialMinor: request.amountMinor,
        expiresAtMs: request.expiresAtMs,
        sweepAtMs: request.holder === 'host' ? request.expiresAtMs : null,
        limitCategory: request.limitCategory ?? null,
        limitProducts: request.limitProducts ? JSON.stringify(request.limitProducts) : null,
        state: 'active',
        cardCounter: request.holder === 'card' ? 1 : 0,
        pendingSale: null,
        issuedAtMs: nowMs,
      }),
      ...post(facts, {
        id: `issue/${code}`,
        cause: 'issue',
        record: null,
        atMs: nowMs,
        movements: [move(couponFunded(currency), home, request.amountMinor)],
      }),
    ]);
    return ok({ code, card: cardKeyId && cardOf(standing, code, cardKeyId, request) });
  });
}
