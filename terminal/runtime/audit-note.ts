/**
 * Audit note: what a device did not do for sure, written down beside a sale that stands. Must not end anything: a full disk says
 * so itself.
 */
import { TerminalError } from '../kernel/errors.js';

export interface AuditParts {
  /** @throws TerminalError of the store */
  readonly recordAudit: (actor: string, action: string, detail: string) => void;
  /** For what no device's fault explains. */
  readonly crashed: (error: unknown) => void;
}

export function noteInAudit(parts: AuditParts, actor: string, action: string, detail: string): void {
  try {
    parts.recordAudit(actor, action, detail);
  } catch (cause) {
    if (!(cause instanceof TerminalError)) parts.crashed(cause);
  }
}
