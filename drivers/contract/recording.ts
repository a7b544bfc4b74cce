/**
 * Recordings: what passed between a device and its driver, and what the driver made of it, as lines of text that a person
 * can read and a test can play again. Pure codec; docs/decisions/drivers-contract.md says how they are used.
 *
 *   shouli-recording 1
 *   driver serial-scanner
 *   identity 0c2e:0caa:S1
 *   0 in 34303036
 *   12 in 333831333333393331 (any number of lines; time in whole milliseconds since the first, never smaller than before)
 *   12 code 34303036333831333333393331
 *
 * A printer's, as an example of what is ordered: `0 opened`, `3 order 7b227072696e74…` (JSON, {"print":…}), `3 out 1004…`,
 * `5 in 12`, `90 end 7b22…`. drivers/contract/driver.ts has the orders.
 */
import { type Bytes, decodeHex, decodeUtf8, toHex, utf8 } from '../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../terminal/kernel/result.js';
import type { DeviceEvent, PassedMoment } from './driver.js';

/** Longest recording, in bytes of its text. */
export const recordingBytesMax = 1_048_576;
const header = 'shouli-recording 1';
const timeMaxMs = 86_400_000;

/**
 * What passed, and what the driver reported. code: a scanned text; aim: its AIM identifier, behind it. card: an ATR. cardGone: no bytes. stripe: the three tracks as a
 * JSON array. number: keyed digits.
 */
export const moments = [
  ...(['in', 'out', 'opened', 'closed', 'order', 'end', 'about'] satisfies PassedMoment[]),
  ...(['code', 'aim', 'card', 'cardGone', 'stripe', 'number'] as const),
] as const;
export type Moment = (typeof moments)[number];

export interface RecordedLine {
  /** Since the recording began. */
  readonly atMs: number;
  readonly moment: Moment;
  readonly bytes: Bytes;
}

export interface Recording {
  readonly driver: string;
  /** The device's identity. */
  readonly identity: string;
  readonly lines: readonly RecordedLine[];
}

/** The first lines of a recording, each ended. Driver and identity hold no line break. */
export const encodeRecordingHead = ({ driver, identity }: Pick<Recording, 'driver' | 'identity'>): string =>
  `${header}\ndriver ${driver}\nidentity ${identity}\n`;

/** What a recording says of an event, line by line. */
export function eventLines(event: DeviceEvent): readonly Omit<RecordedLine, 'atMs'>[] {
  switch (event.type) {
    case 'codeScanned': {
      const code = { moment: 'code', bytes: utf8(event.code) } as const;
      return event.aim === null ? [code] : [code, { moment: 'aim', bytes: utf8(event.aim) }];
    }
    case 'cardPresented':
    case 'cardInserted':
      return [{ moment: 'card', bytes: event.link.atr }];
    case 'cardRemoved':
      return [{ moment: 'cardGone', bytes: new Uint8Array(0) }];
    case 'stripeRead':
      return [{ moment: 'stripe', bytes: utf8(JSON.stringify(event.tracks)) }];
    case 'numberKeyed':
      return [{ moment: 'number', bytes: utf8(event.digits) }];
    case 'deviceStateChanged':
      return [];
  }
}

/** One line, ended. */
export const encodeRecordedLine = ({ atMs, moment, bytes }: RecordedLine): string =>
  `${atMs} ${moment}${bytes.length === 0 ? '' : ` ${toHex(bytes)}`}\n`;

/** Reads a whole recording. Lines that begin with # are remarks. @returns input.* with the byte offset of the line */
export function decodeRecording(file: Bytes): Result<Recording, DecodeError> {
  if (file.length > recordingBytesMax) return decodeError('input.tooLong', recordingBytesMax, 'recording');
  const text = decodeUtf8(file);
  if (!text.ok) return decodeError('input.malformed', 0, 'not UTF-8');
  if (!text.value.endsWith('\n')) return decodeError('input.truncated', file.length, 'the last line is not whole');
  const fields: string[] = [];
  const lines: RecordedLine[] = [];
  let offset = 0;
  for (const line of text.value.slice(0, -1).split('\n')) {
    if (!line.startsWith('#')) {
      if (fields.length < 3) fields.push(line);
      else {
        const read = readLine(line, lines.at(-1)?.atMs ?? 0);
        if (!read) return decodeError('input.malformed', offset, 'line of a recording');
        lines.push(read);
      }
    }
    offset += utf8(line).length + 1;
  }
  const [first, driver = '', identity = ''] = fields;
  if (first !== header) return decodeError('input.unsupported', 0, 'no recording of version 1');
  if (!/^driver [a-z-]{1,40}$/.test(driver) || !/^identity .{1,200}$/.test(identity))
    return decodeError('input.malformed', 0, 'driver and identity');
  return ok({ driver: driver.slice('driver '.length), identity: identity.slice('identity '.length), lines });
}

function readLine(line: string, fromMs: number): RecordedLine | null {
  const parts = /^([0-9]{1,8}) ([a-zA-Z]+)(?: ((?:[0-9a-f]{2})+))?$/.exec(line);
  const moment = moments.find((name) => name === parts?.[2]);
  const atMs = Number(parts?.[1]);
  const bytes = decodeHex(parts?.[3] ?? '');
  const isLine = parts && moment && bytes.ok && atMs >= fromMs && atMs <= timeMaxMs;
  return isLine ? { atMs, moment, bytes: bytes.value } : null;
}
