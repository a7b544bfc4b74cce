/**
 * Smart Tap at the host: signs sessions with Google Wallet for boxes without the collector's key, so many a minute for each, and
 * tells of each signature, and of refusals once a minute.
 * Must not hold the key (collector-key.ts does), and keeps nothing of a session.
 */
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import type { SmartTapRequest, SmartTapResponse } from '../../protocol/smart-tap.js';
import type { HostStore } from '../storage/port.js';
import { InquiryRate } from './inquiry-rate.js';
import { refusal } from './paging.js';
import type { Refusal, SignatureAsked, SignSmartTap, TerminalFacing } from './types.js';

/** Of one terminal in a minute: an inquiry and a sale for each member of a quick counter. */
export const signaturesPerWindowMax = 60;

export interface SmartTapParts {
  readonly store: HostStore;
  readonly clock: Clock;
  readonly sign: SignSmartTap;
  readonly told: (asked: SignatureAsked) => void;
  readonly alarm: (code: string, terminalId: string | null, subject: string, detail: string) => Promise<void>;
}

export function createSmartTap(parts: SmartTapParts): Pick<TerminalFacing, 'signSmartTap'> {
  const { store, clock, sign, alarm } = parts;
  const rate = new InquiryRate(signaturesPerWindowMax);
  /** One for each refusal of a terminal: what a box repeats as fast as it can fills no log. */
  const refusals = new InquiryRate(1);
  const answer = async (terminalId: string, request: SmartTapRequest): Promise<Result<SmartTapResponse, Refusal>> => {
    const askedAt = clock.monotonicMs();
    const may = rate.ask(terminalId, askedAt);
    // A signature that is given or refused says nothing to who guesses: only their number counts.
    rate.notRefused(terminalId, askedAt);
    if (may === 'first') await alarm('access.rateLimited', terminalId, 'smart tap', 'too many sessions to sign');
    if (may !== 'may') return ok({ outcome: 'refused', code: 'access.rateLimited' });
    const state = await store.read(
      (need) => need.get('terminal', terminalId)?.state,
      (facts) => facts.get('terminal', terminalId)?.state,
    );
    if (state === undefined) return refusal('access.denied', 'unknown terminal');
    if (state !== 'active') return refusal('host.quarantined', state);
    return ok(sign(terminalId, clock.wallMs(), request) ?? { outcome: 'refused', code: 'pass.unknownKey' });
  };
  return {
    signSmartTap: async (terminalId, request) => {
      const answered = await answer(terminalId, request);
      const code = !answered.ok
        ? answered.error.code
        : answered.value.outcome === 'refused'
          ? answered.value.code
          : null;
      if (code === null || refusals.ask(`${terminalId} ${code}`, clock.monotonicMs()) === 'may')
        parts.told({ terminalId, collectorId: request.collectorId, code });
      return answered;
    },
  };
}
