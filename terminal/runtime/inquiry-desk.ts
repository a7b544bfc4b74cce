/**
 * Inquiry desk: while no sale is open, a tap or a rotating code shows the member's balances. Outside the acceptance machine:
 * nothing is sold, stored or printed. A sale always comes first: it ends an inquiry at once.
 */
import { isStrongEnough } from '../../host-sync/protocol/assurance.js';
import type { InquiryRequest, InquiryResponse } from '../../host-sync/protocol/inquiry.js';
import type { Credential } from '../../host-sync/protocol/record.js';
import { toHex } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { Ids, Random } from '../kernel/ports.js';
import type { CardInquiry, CardLinks } from './card-links.js';
import type { InquiryView } from './port.js';

/** How long the host may take; then the member is told that it did not answer. */
export const inquiryDeadlineMs = 1_500;

export interface InquiryDeskPorts {
  readonly links: Pick<CardLinks, 'inquire'>;
  readonly random: Random;
  readonly ids: Ids;
  readonly hostReachable: () => boolean;
  /** Null: no answer within the deadline. */
  readonly askHost: (request: InquiryRequest, deadlineMs: number) => Promise<InquiryResponse | null>;
  /** Does an inquiry suit the box now? Asked before it begins, and not again. */
  readonly mayBegin: () => boolean;
  /** The member is seen and the host is being asked. */
  readonly asking: () => void;
  /** How it ended; not called where a sale came first, nor for a card that says nothing of a member. */
  readonly show: (inquiry: InquiryView) => void;
  readonly crashed: (error: unknown) => void;
}

/** Nobody asked anything: a card of somebody else, or one that left again. */
const isNobody = (code: ErrorCode): boolean =>
  code === 'card.noApplication' || code === 'pass.none' || code.startsWith('device.');
const refused = (code: ErrorCode): InquiryView => ({ result: 'refused', code });

interface Open {
  readonly card: CardInquiry | null;
}

export class InquiryDesk {
  #open: Open | null = null;

  constructor(private readonly ports: InquiryDeskPorts) {}

  /** A card has come to the reader. */
  tapped(linkId: string): void {
    if (this.#open || !this.ports.mayBegin()) return;
    const { ids, links, random } = this.ports;
    const transactionId = ids.transactionId();
    const card = links.inquire(linkId, transactionId, toHex(random.bytes(16)));
    if (!card) return;
    const open = { card };
    this.#run(open, async () => {
      const read = await card.credential;
      if (this.#open !== open) return;
      if (read.ok) await this.#ask(open, { transactionId, credential: read.value });
      else if (!isNobody(read.error)) this.ports.show(refused(read.error));
    });
  }

  /** A member's code was scanned. */
  scanned(credential: Credential): void {
    if (this.#open || !this.ports.mayBegin()) return;
    const open = { card: null };
    const transactionId = this.ports.ids.transactionId();
    this.#run(open, () => this.#ask(open, { transactionId, credential }));
  }

  /** A sale begins, or the box stops: whatever is still to come of an inquiry is dropped. */
  abandon(): void {
    this.#open?.card?.end();
    this.#open = null;
  }

  #run(open: Open, work: () => Promise<void>): void {
    this.#open = open;
    work()
      .catch(this.ports.crashed)
      .finally(() => {
        if (this.#open === open) this.abandon();
      });
  }

  async #ask(open: Open, request: InquiryRequest): Promise<void> {
    const { show } = this.ports;
    if (!isStrongEnough('inquire', request.credential, 'online')) {
      show(refused('credential.tooWeak'));
      return;
    }
    if (!this.ports.hostReachable()) {
      show(refused('host.unreachable'));
      return;
    }
    if (request.credential.method !== 'tap') open.card?.useUp();
    this.ports.asking();
    const answer = await this.ports.askHost(request, inquiryDeadlineMs);
    if (this.#open !== open) return;
    show(viewOf(answer));
    if (answer?.outcome !== 'known' || !answer.session) return;
    const [first] = answer.coupons;
    // The phone has room for one sum: that of its only coupon.
    const only = answer.coupons.length === 1 && answer.couponsMore === 0 ? first : undefined;
    await open.card?.tell({
      ...{ session: answer.session, points: answer.points },
      ...{ couponMinor: only?.balanceMinor ?? null, currency: only?.currency ?? null },
    });
  }
}

/** Without the session's keys. */
function viewOf(answer: InquiryResponse | null): InquiryView {
  if (!answer) return refused('host.noAnswer');
  if (answer.outcome === 'refused') return refused(answer.code);
  const { tier, points, pointsOwed, coupons, couponsMore } = answer;
  return { result: 'known', tier, points, pointsOwed, coupons, couponsMore };
}
