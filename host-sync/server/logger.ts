/**
 * The host's log: JSON lines on standard error, secrets taken out by name, no bodies ever.
 * Must not be given a secret in the first place; redaction is the second net.
 */
import { type DestinationStream, destination, type Logger, pino } from 'pino';
import { secretFields } from '../../terminal/kernel/redaction.js';

/** Opens the log. `stream` is for tests; otherwise file descriptor 2. */
export function openLogger(level: string, stream: DestinationStream = destination({ fd: 2, sync: true })): Logger {
  const paths = secretFields.flatMap((field) => [field, `*.${field}`]);
  return pino({ level, base: { process: 'host' }, redact: { paths, censor: '[secret]' } }, stream);
}
