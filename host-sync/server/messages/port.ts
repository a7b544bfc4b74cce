/**
 * Message port: how short texts reach members' phones and come back. Files stand behind it, and
 * behind those what carries them (an SMS centre, a modem), or nothing.
 * Must not know what a text says.
 */

export { numberPattern, textLengthMax } from '../../spool/message-file.js';

export interface IncomingMessage {
  /** Names the message for logs and for telling repeats apart. */
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly text: string;
}

/** What became of an incoming message. `rejected`: set aside with its reason for a person to see. */
export type Handling = { readonly outcome: 'done' } | { readonly outcome: 'rejected'; readonly reason: string };

export interface MessagePort {
  /** Hands a text over durably; resolves when a power cut cannot lose it. Throws `device.failed`. @returns the message's id */
  send(message: { readonly to: string; readonly text: string }): Promise<string>;
  /**
   * Starts taking messages. The handler may see one again after a crash and must then come to the same end. When it throws,
   * the message stays and is tried again.
   */
  start(handler: (message: IncomingMessage) => Promise<Handling>): void;
  /** Resolves when the message under way is finished. */
  stop(): Promise<void>;
  readonly counters: Readonly<{ sent: number; taken: number; rejected: number }>;
}

/** Starts after a delay; gives back how to cancel it. */
export type Schedule = (delayMs: number, run: () => void) => () => void;
