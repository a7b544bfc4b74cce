/**
 * Smart Tap at the host: signs sessions with Google Wallet for boxes without the collector's key, so many a minute for each.
 * Must not hold the key (collector-key.ts does), and keeps nothing of a session.
 */
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import type { SmartTapResponse } from '../../protocol/smart-tap.js';
import type { HostStore } from '../storage/port.js';
import { InquiryRate } from './inquiry-rate.js';
import { refusal } from './paging.js';
import type { Refusal, SignSmartTap, TerminalFacing } from './types.js';

/** Of one terminal in a minute: an inquiry and a sale for each member of a quick counter. */
export const signaturesPerWindowMax = 60;

export interface SmartTapParts {
  readonly store: HostStore;
  readonly clock: Clock;
  readonly sign: SignSmartTap;
  readonly alarm: (code: string, terminalId: string | null, subject: string, detail: string) => Promise<void>;
}

export function createSmartTap({ store, clock, sign, alarm }: SmartTapParts): Pick<TerminalFacing, 'signSmartTap'> {
  const rate = new InquiryRate(signaturesPerWindowMax);
  return {
    signSmartTap: async (terminalId, request): Promise<Result<SmartTapResponse, Refusal>> => {
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
    },
  };
}
