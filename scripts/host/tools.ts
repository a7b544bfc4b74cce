/**
 * What each host command works with: one call at a time to the socket, one way to show, one way to fail.
 * Must not know any command.
 */
import type { AdminClient } from './admin-client.js';
import type { Output } from './output.js';

export interface Session extends Output {
  readonly call: AdminClient['call'];
}

export interface Tools {
  /** Runs a command's body with an open session; failures are printed and set the exit status. */
  run(body: (session: Session) => Promise<void>): Promise<void>;
}
