/**
 * What one service has to say about a sale: how the member is known, who decides, and which records and outcomes follow.
 * A new service is a file like its neighbours and a row in services.ts; the machine's phases stay as they are.
 */
import type { KeyName, Operation } from '../../../drivers/protocols/member/layout.js';
import type { Credential, RecordDraft } from '../../../host-sync/protocol/record.js';
import type { FinalAnswer } from '../../../host-sync/protocol/sync.js';
import type { ErrorCode } from '../../kernel/errors.js';
import type { AmountMinor, Points } from '../../kernel/units.js';
import type { At } from '../event.js';
import type { AcceptedOutcome, CardWork, SaleRequest, Service, ServiceName } from '../sale.js';

export type RequestFor<Name extends ServiceName> = Omit<SaleRequest, 'service'> & {
  readonly service: Extract<Service, { name: Name }>;
};
export type AcceptedAnswer = Extract<FinalAnswer, { outcome: 'accepted' }>;

export interface ServiceRules<Name extends ServiceName> {
  /** nobody: needed by none, the host or the box decides at once. tapOrCode: a phone's proof or a shown code. card: the phone's card record is written. */
  readonly identify: 'nobody' | 'tapOrCode' | 'card';
  /** Who decides: the box by its rules (1 commit), the host (2 commits), or host or site key with a card write (3 commits). */
  readonly authority: 'box' | 'host' | 'card';
  /** Does an accepted sale wait a moment for the host's balance? Only where the box decided. */
  readonly asksBalance: boolean;
  /** May the site key stand in for the host? */
  readonly siteAllowed: boolean;
  readonly key: KeyName;
  readonly operation: Operation;
  /** Amount and points that the phone's proof covers. */
  context(request: RequestFor<Name>): { readonly amountMinor: AmountMinor; readonly points: Points };
  /** Why this cannot go on with this credential, before anything moves; null: it can. */
  refusal(request: RequestFor<Name>, credential: Credential | null): ErrorCode | null;
  /** The sale's own record. */
  record(request: RequestFor<Name>, credential: Credential | null, card: CardWork | null, at: At): RecordDraft;
  /** What an accepted sale comes to, by the host's answer or without one. */
  accepted(request: RequestFor<Name>, answer: AcceptedAnswer | null, card: CardWork | null): AcceptedOutcome;
}

/** The fields every record shares. */
export const recordBase = (request: SaleRequest | RequestFor<ServiceName>, at: At) => ({
  atWallMs: at.atWallMs as number,
  clockDoubtful: at.clockDoubtful,
  simulated: request.terms.simulated,
  clerk: request.clerk,
});

/** A bill's total less what is covered, as amounts. */
export const restOf = (totalMinor: number, coveredMinor: number): AmountMinor =>
  Math.max(0, totalMinor - coveredMinor) as AmountMinor;
