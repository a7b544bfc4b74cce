/**
 * Runs a dialogue on a card's link: sends what it wants sent, hands it the answers, within a time for each and for all.
 * Must not know any protocol.
 */
import type { ApduLink } from '../../drivers/contract/transport.js';
import { type Dialogue, type DialogueError, dialogueFault } from '../../drivers/protocols/card-dialogue.js';
import type { Clock } from '../kernel/ports.js';
import type { Result } from '../kernel/result.js';
import { type DurationMs, durationMs } from '../kernel/units.js';

/** Longest wait for one answer of a card, and for a whole dialogue. A phone's pass takes a few hundred milliseconds. */
export const answerTimeout: DurationMs = durationMs(2_000);
const dialogueTimeoutMs = 4_000;

export interface Patience {
  /** Longest wait for one answer. */
  readonly answerMs: DurationMs;
  readonly wholeMs: number;
}
const ofTaps: Patience = { answerMs: answerTimeout, wholeMs: dialogueTimeoutMs };

/** @returns what the dialogue came to, or the device's error: `device.cardRemoved`, `device.timedOut`, … */
export async function runDialogue<T>(
  link: ApduLink,
  dialogue: Dialogue<T>,
  clock: Pick<Clock, 'monotonicMs'>,
  patience: Patience = ofTaps,
): Promise<Result<T, DialogueError>> {
  const endsAtMs = clock.monotonicMs() + patience.wholeMs;
  let at = dialogue;
  while (!('end' in at)) {
    const leftMs = endsAtMs - clock.monotonicMs();
    if (leftMs <= 0) return dialogueFault('device.timedOut', null, 'the card takes too long');
    const answer = await link.transmit(at.send, durationMs(Math.min(patience.answerMs, leftMs)));
    if (!answer.ok) return dialogueFault(answer.error.code, null, answer.error.detail);
    at = at.next(answer.value);
  }
  return at.end;
}
