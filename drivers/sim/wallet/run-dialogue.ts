/** Runs a dialogue to its end against a simulated card in the same process, within a bound on its steps. */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Result } from '../../../terminal/kernel/result.js';
import type { Dialogue, DialogueError } from '../../protocols/card-dialogue.js';

const stepsMax = 256;

/** Throws when the dialogue does not end within 256 steps. */
export function runDialogue<T>(dialogue: Dialogue<T>, respond: (command: Bytes) => Bytes): Result<T, DialogueError> {
  let at = dialogue;
  for (let step = 0; step < stepsMax; step++) {
    if ('end' in at) return at.end;
    at = at.next(new Uint8Array(respond(at.send)));
  }
  throw new Error('the dialogue does not end');
}
