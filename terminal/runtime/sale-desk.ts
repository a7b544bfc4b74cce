/**
 * The sale desk: turns what till, console or scanner ask into one priced sale request, or says why not.
 * Finds the sale that a reference already named; must not follow the sale's course (sale-runner.ts does).
 */

import type { Bill } from '../../host-sync/protocol/record.js';
import { outcomeOf } from '../core/outcome.js';
import { keyedBill, type PricingProblem, priceBill } from '../core/pricing.js';
import type { AcceptedOutcome, OriginalSale, SaleRequest, Service, Terms } from '../core/sale.js';
import { serviceOf } from '../core/services/services.js';
import { isTopUp, refundRefusal, voidRefusal } from '../core/services/undo.js';
import { toHex, utf8 } from '../kernel/bytes.js';
import type { Crypto, Ids, TransactionId } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AmountMinor, type DurationMs, durationMs } from '../kernel/units.js';
import type { SaleRow, TerminalStore } from '../store/port.js';
import type { Refusal, SaleCommand, ServiceCommand } from './port.js';

export interface DeskOptions {
  readonly simulated: boolean;
  /** Consumption category of this shop where no product says one. */
  readonly category: string;
  /** Clerks who may type points by hand; `*` for all. */
  readonly typedPointsClerks: readonly string[];
  /** Clerks who may top coupons up and void top-ups; `*` for all. */
  readonly topUpClerks: readonly string[];
  readonly credentialTimeoutMs: number;
  readonly authorisationTimeoutMs: number;
  readonly balanceTimeoutMs: number;
  readonly cardAgainTimeoutMs: number;
  readonly siteDailyMaxMinor: number;
}

export interface SaleDeskPorts {
  readonly store: Pick<
    TerminalStore,
    'saleByReference' | 'saleByTransaction' | 'directives' | 'productByCode' | 'productsByName'
  >;
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly ids: Ids;
  readonly options: DeskOptions;
}

const refuse = (code: Refusal['code'], detail = ''): Result<never, Refusal> => err({ code, detail });
const isTransactionId = (id: string): id is TransactionId =>
  /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id);

const isAmong = (clerks: readonly string[], clerk: string): boolean => clerks.includes('*') || clerks.includes(clerk);

export class SaleDesk {
  constructor(private readonly ports: SaleDeskPorts) {}

  /** The stored sale of a reference or transaction id; null: unknown here. */
  find(id: string): SaleRow | null {
    const { store } = this.ports;
    return store.saleByReference(id) ?? (isTransactionId(id) ? store.saleByTransaction(id) : null);
  }

  /** What was asked, as 32 bytes in hex: the same reference must always ask for the same. */
  digest(command: SaleCommand): string {
    const { clerk: _clerk, ...asked } = command;
    return toHex(this.ports.crypto.sha256(utf8(JSON.stringify(sortedKeys(asked)))));
  }

  /** A request for the machine, or the refusal: rules.unknown, product.*, value.*, sale.empty, sale.notAllowed, original.*, refund.tooLarge */
  prepare(command: SaleCommand): Result<SaleRequest, Refusal> {
    const terms = this.#terms();
    if (!terms.ok) return terms;
    const service = this.#service(command.command, command.clerk);
    if (!service.ok) return service;
    const bill = this.#bill(command, service.value, terms.value);
    if (!bill.ok) return bill;
    const { ids } = this.ports;
    return ok({
      ids: { transaction: ids.transactionId(), closing: ids.transactionId(), consumption: ids.transactionId() },
      reference: command.reference,
      requestDigest: this.digest(command),
      origin: command.origin,
      clerk: command.clerk,
      service: service.value,
      bill: bill.value,
      terms: terms.value,
    });
  }

  #terms(): Result<Terms, Refusal> {
    const directives = this.ports.store.directives();
    if (!directives) return refuse('rules.unknown');
    const { options } = this.ports;
    const told = directives.configuration ?? {};
    const duration = (ms: number): DurationMs => durationMs(ms);
    return ok({
      rules: directives.rules,
      merchant: directives.merchant,
      location: directives.location,
      category: told.category ?? options.category,
      simulated: options.simulated,
      credentialTimeout: duration(told.credentialTimeoutMs ?? options.credentialTimeoutMs),
      authorisationTimeout: duration(options.authorisationTimeoutMs),
      balanceTimeout: duration(options.balanceTimeoutMs),
      cardAgainTimeout: duration(options.cardAgainTimeoutMs),
      siteDailyMaxMinor: options.siteDailyMaxMinor as AmountMinor,
    });
  }

  #service(command: ServiceCommand, clerk: string): Result<Service, Refusal> {
    switch (command.service) {
      case 'plainSale':
      case 'couponCard':
        return ok({ name: command.service });
      case 'pointsSpend':
        return command.points < 1
          ? refuse('value.outOfRange', 'points must be at least 1')
          : ok({ name: 'pointsSpend', points: command.points });
      case 'couponHost':
        return ok({ name: 'couponHost', couponCode: command.couponCode ?? null });
      case 'pointsEarn': {
        if (command.typedPoints !== undefined && !isAmong(this.ports.options.typedPointsClerks, clerk))
          return refuse('sale.notAllowed', 'typed points');
        return ok({ name: 'pointsEarn', typedPoints: command.typedPoints ?? null });
      }
      case 'topUp':
        return isAmong(this.ports.options.topUpClerks, clerk)
          ? ok({ name: 'topUp', coupon: command.coupon ?? null })
          : refuse('sale.notAllowed', 'top-ups');
      case 'topUpCard':
        return isAmong(this.ports.options.topUpClerks, clerk)
          ? ok({ name: 'topUpCard' })
          : refuse('sale.notAllowed', 'top-ups');
      case 'void':
      case 'refund':
        return this.#undo(command, clerk);
    }
  }

  #undo(command: Extract<ServiceCommand, { service: 'void' | 'refund' }>, clerk: string): Result<Service, Refusal> {
    const row = this.find(command.original);
    const outcome = row && standingOutcome(row);
    if (row?.sale.commit !== 'ended' || !outcome) return refuse('original.unknown', command.original);
    const { request, cardKeyId } = row.sale;
    const isCard = request.service.name === 'couponCard' || request.service.name === 'topUpCard';
    const original: OriginalSale = {
      transactionId: request.ids.transaction,
      service: request.service.name,
      bill: request.bill,
      outcome,
      cardKeyId: isCard ? cardKeyId : null,
      refundedMinor: row.refundedMinor,
      voided: row.voided,
    };
    const refusal = command.service === 'void' ? voidRefusal(original) : refundRefusal(original, command.amountMinor);
    if (refusal) return refuse(refusal);
    if (isTopUp(original.service))
      return isAmong(this.ports.options.topUpClerks, clerk)
        ? ok({ name: original.service === 'topUp' ? 'topUpVoid' : 'topUpCardVoid', original })
        : refuse('sale.notAllowed', 'voiding a top-up');
    const onCard = original.cardKeyId !== null;
    if (command.service === 'void')
      return ok(
        onCard
          ? { name: 'cardCredit', original, amountMinor: request.bill.totalMinor as AmountMinor }
          : { name: 'void', original },
      );
    return ok({ name: onCard ? 'cardCredit' : 'refund', original, amountMinor: command.amountMinor });
  }

  #bill(command: SaleCommand, service: Service, terms: Terms): Result<Bill, Refusal> {
    const { currency } = terms.rules;
    if ('original' in service)
      return ok(
        keyedBill(
          'amountMinor' in service ? service.amountMinor : (service.original.bill.totalMinor as AmountMinor),
          currency,
        ),
      );
    const { purchase } = command;
    if (!purchase) return refuse('sale.empty', 'nothing was bought');
    const bill: Result<Bill, PricingProblem> =
      'amountMinor' in purchase ? ok(keyedBill(purchase.amountMinor, currency)) : this.#priced(purchase.lines, terms);
    if (!bill.ok) return bill;
    if (isTopUp(service.name) && bill.value.lines.length > 0)
      return refuse('sale.notAllowed', 'a top-up is an amount, not products');
    return bill.value.totalMinor === 0 && service.name !== 'plainSale' ? refuse('sale.empty') : bill;
  }

  #priced(lines: Parameters<typeof priceBill>[0], terms: Terms): Result<Bill, PricingProblem> {
    const { store } = this.ports;
    return priceBill(lines, terms.rules.currency, store.directives()?.catalogueVersion ?? null, {
      byCode: (code) => store.productByCode(code),
      byName: (name, limit) => store.productsByName(name, limit),
    });
  }
}

/** What is there to be undone; null: nothing. A card that was lost at its top-up has the money due to it: that can be voided. */
function standingOutcome({ answer, sale }: SaleRow): AcceptedOutcome | null {
  const outcome = outcomeOf(sale, answer);
  if (outcome?.result === 'accepted') return outcome;
  const isDue = outcome?.result === 'unknown' && sale.request.service.name === 'topUpCard';
  return isDue ? serviceOf(sale.request).accepted(null, null) : null;
}

/** The same value with its keys in order, so that equal requests have equal text. */
function sortedKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedKeys);
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined);
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sortedKeys(item)]));
}
