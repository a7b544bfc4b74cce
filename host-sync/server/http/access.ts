/**
 * Access: may this peer do this, given its terminal's row and the time? Pure; one table in code.
 * Must not look anything up.
 */
import type { ErrorCode } from '../../../terminal/kernel/errors.js';
import type { Row } from '../ledger/tables.js';
import type { Peer } from '../pki/peer.js';
import type { Access } from './contract.js';

export type Decision =
  | { readonly allowed: true; readonly terminalId: string | null }
  | {
      readonly allowed: false;
      readonly code: ErrorCode;
      readonly detail: string;
      /** What the operator should hear of; null: nothing unusual. */
      readonly alarm: { readonly code: string; readonly terminalId: string | null } | null;
    };

const denied = (
  code: ErrorCode,
  detail: string,
  alarm: Extract<Decision, { allowed: false }>['alarm'] = null,
): Decision => ({
  allowed: false,
  code,
  detail,
  alarm,
});

/** Decides for one request. `terminal` is the row of the peer's terminal, null where there is none. */
export function decideAccess(
  access: Access,
  peer: Peer,
  terminal: Row<'terminal'> | null,
  nowWallMs: number,
): Decision {
  if (access === 'anyone') return { allowed: true, terminalId: null };
  if (peer.kind === 'none') return denied('access.denied', "a terminal's certificate is needed: enrol first");
  if (peer.kind === 'stranger')
    return denied('access.denied', 'not a certificate of this host', {
      code: 'certificate.stranger',
      terminalId: null,
    });
  if (!terminal)
    return denied('access.denied', 'this terminal is not known here', {
      code: 'certificate.unknownTerminal',
      terminalId: null,
    });
  const { id, state } = terminal;
  if ((JSON.parse(terminal.retiredKeys) as readonly string[]).includes(peer.publicKey))
    return denied('terminal.replaced', 'another box has taken its place', {
      code: 'certificate.replaced',
      terminalId: id,
    });
  // Records of a held terminal are taken whatever its certificate says: they are stored, not applied.
  if (state !== 'active' && access === 'records') return { allowed: true, terminalId: id };
  if (state === 'revoked')
    return denied('host.quarantined', 'this terminal is revoked', { code: 'terminal.revokedCalled', terminalId: id });
  const inPeriod = peer.validFromMs <= nowWallMs && nowWallMs < peer.validToMs;
  if (access === 'renewal') return { allowed: true, terminalId: id };
  if (!inPeriod) return denied('certificate.expired', 'renew the certificate');
  if (state === 'quarantined') return denied('host.quarantined', 'this terminal is held for an operator');
  return { allowed: true, terminalId: id };
}
