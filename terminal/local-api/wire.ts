/**
 * Wire: the port's views as the bodies that the local API promises, field by field, so that nothing internal leaks.
 */

import type { AmountMinor, Points } from '../kernel/units.js';
import { journalView } from '../runtime/journal-port.js';
import type {
  InquiryView,
  SaleCommand,
  SaleView,
  ServiceCommand,
  SyncStatus,
  TerminalEvent,
  TerminalPort,
  TerminalStatus,
} from '../runtime/port.js';
import type { DeviceBody, InquiryBody, QueueBody, SaleBody, SaleRequest, StatusBody, SyncBody } from './schema.js';

type Device = ReturnType<TerminalPort['devices']>[number];

function outcomeBody(outcome: SaleView['outcome']): SaleBody['outcome'] {
  if (!outcome) return null;
  if (outcome.result === 'unknown')
    return { result: 'unknown', code: outcome.code, ...(outcome.isUndecided && { undecided: true }) };
  const balances = outcome.balances && {
    points: outcome.balances.points,
    pointsOwed: outcome.balances.pointsOwed,
    couponMinor: outcome.balances.couponMinor,
    couponCode: outcome.balances.couponCode,
    currency: outcome.balances.currency,
  };
  if (outcome.result === 'refused') {
    const { code, detail } = outcome;
    return { result: 'refused', code, balances, ...(detail === undefined ? {} : { detail }) };
  }
  const { authority, points, coveredMinor, restMinor } = outcome;
  return { result: 'accepted', authority, points, coveredMinor, restMinor, balances };
}

export function saleBody(sale: SaleView): SaleBody {
  const {
    transactionId,
    reference,
    service,
    clerk,
    currency,
    totalMinor,
    phase,
    prompt,
    simulated,
    voided,
    refundedMinor,
  } = sale;
  return {
    transactionId,
    reference,
    service,
    clerk,
    currency,
    totalMinor,
    phase,
    prompt,
    outcome: outcomeBody(sale.outcome),
    simulated,
    voided,
    refundedMinor,
    receipt: [...sale.receipt],
  };
}

export function deviceBody({
  device,
  bus,
  state,
  description,
  simulated,
  sinceWallMs,
  error,
  counters,
}: Device): DeviceBody {
  return {
    device,
    bus,
    state,
    description,
    simulated,
    sinceWallMs,
    error: error && { code: error.code, detail: error.detail },
    counters: { ...counters },
  };
}

export function syncBody({ state, lastContactWallMs, lastError, nextAttemptInMs }: SyncStatus): SyncBody {
  return {
    state,
    lastContactWallMs,
    lastError: lastError && { code: lastError.code, detail: lastError.detail },
    nextAttemptInMs,
  };
}

function gaugesBody(gauges: TerminalStatus['queue']): QueueBody['gauges'] {
  const { unsent, unsentWorthMinor, unsentPoints, dead, oldestUnsentWallMs, nextSequence } = gauges;
  return { unsent, unsentWorthMinor, unsentPoints, dead, oldestUnsentWallMs, nextSequence };
}

export function queueBody(queue: ReturnType<TerminalPort['queue']>, sync: SyncStatus): QueueBody {
  return {
    gauges: gaugesBody(queue.gauges),
    sync: syncBody(sync),
    unsent: queue.unsent.map(journalView),
    dead: queue.dead.map(journalView),
  };
}

export function statusBody(status: TerminalStatus): StatusBody {
  const {
    terminalId,
    epoch,
    version,
    simulated,
    merchant,
    uptimeMs,
    clockDoubtful,
    directivesVersion,
    catalogueVersion,
    googleWallet,
  } = status;
  return {
    terminalId,
    epoch,
    version,
    simulated,
    merchant,
    uptimeMs,
    clockDoubtful,
    sale: status.sale && saleBody(status.sale),
    sync: syncBody(status.sync),
    queue: gaugesBody(status.queue),
    directivesVersion,
    catalogueVersion,
    googleWallet,
    googleTrouble: status.googleTrouble && { code: status.googleTrouble.code, detail: status.googleTrouble.detail },
    stopped: status.stopped && { code: status.stopped.code, detail: status.stopped.detail },
  };
}

/** The data of one event, whose name is the event's type. */
export function eventBody(event: TerminalEvent): unknown {
  switch (event.type) {
    case 'sale':
      return saleBody(event.sale);
    case 'device':
      return deviceBody(event.device);
    case 'sync':
      return syncBody(event.sync);
    case 'inquiry':
      return inquiryBody(event.inquiry);
    case 'tag': {
      const { chipGenuine, messageFresh, productKnown, refused } = event.tag;
      return { chipGenuine, messageFresh, productKnown, refused };
    }
    case 'scan':
      return {
        device: event.device,
        code: event.code,
        ...event.marks,
        ...(event.problem ? { problem: event.problem } : {}),
      };
  }
}

export function inquiryBody(inquiry: InquiryView): InquiryBody {
  if (inquiry.result === 'refused') return { result: 'refused', code: inquiry.code };
  const { tier, points, pointsOwed, coupons, couponsMore } = inquiry;
  return {
    ...{ result: 'known', tier, points, pointsOwed, couponsMore },
    coupons: coupons.map(({ codeEnd, holder, balanceMinor, currency, expiresAtMs, limitCategory, limitProducts }) => ({
      ...{ codeEnd, holder, balanceMinor, currency, expiresWallMs: expiresAtMs, limitCategory, limitProducts },
    })),
  };
}

function serviceCommand(request: SaleRequest): ServiceCommand {
  switch (request.service) {
    case 'plainSale':
    case 'couponCard':
    case 'topUpCard':
      return { service: request.service };
    case 'pointsEarn':
      return request.typedPoints === undefined
        ? { service: 'pointsEarn' }
        : { service: 'pointsEarn', typedPoints: request.typedPoints as Points };
    case 'pointsSpend':
      return { service: 'pointsSpend', points: request.points as Points };
    case 'couponHost':
      return request.couponCode === undefined
        ? { service: 'couponHost' }
        : { service: 'couponHost', couponCode: request.couponCode };
    case 'topUp':
      return request.coupon === undefined ? { service: 'topUp' } : { service: 'topUp', coupon: request.coupon };
    case 'void':
      return { service: 'void', original: request.original };
    case 'refund':
      return { service: 'refund', original: request.original, amountMinor: request.amountMinor as AmountMinor };
  }
}

/** A checked request as the command that the box takes. */
export function saleCommand(reference: string, request: SaleRequest): SaleCommand {
  const command: SaleCommand = { command: serviceCommand(request), reference, clerk: request.clerk, origin: 'till' };
  if (request.service === 'void' || request.service === 'refund') return command;
  const lines = ('lines' in request ? request.lines : undefined)?.map((line) => ({
    quantity: line.quantity,
    ...(line.code === undefined ? {} : { code: line.code }),
    ...(line.name === undefined ? {} : { name: line.name }),
    ...(line.unitPriceMinor === undefined ? {} : { unitPriceMinor: line.unitPriceMinor as AmountMinor }),
  }));
  return {
    ...command,
    purchase: lines ? { lines } : { amountMinor: (request.amountMinor ?? 0) as AmountMinor },
    ...('code' in request && request.code !== undefined ? { code: request.code } : {}),
  };
}
