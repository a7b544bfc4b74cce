/**
 * Relay desk: the relay of a gate or a cash drawer, switched on when a sale ends that opens it, once. What was not switched for
 * sure is written to the audit. Must not make up for anything: who was to pass may be gone.
 */
import type { Driver, PulseEnd } from '../../drivers/contract/driver.js';
import { opensRelay, type RelayRule } from '../core/relay-rule.js';
import type { SaleOutcome, SaleRequest } from '../core/sale.js';
import type { ErrorCode } from '../kernel/errors.js';
import { type AuditParts, noteInAudit } from './audit-note.js';

export interface RelayParts extends AuditParts {
  readonly drivers: readonly Driver[];
  readonly opensOn: RelayRule;
}

export class RelayDesk {
  constructor(private readonly parts: RelayParts) {}

  /**
   * A sale has just ended, behind its last commit. Nobody waits for the relay.
   * @param recovered it ended by what a restart found: it opens nothing, and that is written down
   */
  ended({ ids, service }: SaleRequest, outcome: SaleOutcome, recovered: boolean): void {
    const { crashed, drivers, opensOn } = this.parts;
    if (!opensRelay(opensOn, service.name, outcome)) return;
    if (recovered) this.#note('relay', 'nothing', ids.transaction, 'sale.interrupted', 'it ended after a restart');
    else
      pulseOnce(drivers).then((end) => {
        if (end && 'error' in end)
          this.#note(end.device ?? 'relay', end.switched, ids.transaction, end.error.code, end.error.detail);
      }, crashed);
  }

  #note(actor: string, what: Exclude<PulseEnd['switched'], 'sent'>, id: string, code: ErrorCode, detail: string): void {
    noteInAudit(this.parts, actor, `relay.${what}`, `${id} ${code} ${detail}`);
  }
}

/** On the first driver that has a board; null: none has. */
async function pulseOnce(drivers: readonly Driver[]): Promise<PulseEnd | null> {
  for (const driver of drivers) {
    const end = await driver.pulse?.(null);
    if (end) return end;
  }
  return null;
}
