/**
 * A stage: a shipped driver, and in place of its device a recording of it. What every stage has, and how a recording tells it
 * the settings and the orders. Must not compare anything; play.ts does.
 */
import { type Bytes, decodeUtf8, toHex } from '../../../terminal/kernel/bytes.js';
import type { DeviceOrder, Driver } from '../../contract/driver.js';
import type { Moment, RecordedLine, Recording } from '../../contract/recording.js';
import type { ApduLink } from '../../contract/transport.js';
import type { ManualTime } from '../../sim/manual-time.js';

export interface Stage {
  readonly driver: Driver;
  /** What the driver knows the recorded device by. */
  readonly identity: string;
  /**
   * What makes a recorded line come again: the device does what it did, or the driver is given the order that it was given. A
   * moment that is missing here is the driver's own doing. `link` is that of the card which is there.
   */
  readonly plays: Readonly<Partial<Record<Moment, (bytes: Bytes, link: ApduLink | null) => void | Promise<void>>>>;
  /** Answers that such an `in` gives to who holds the link, in hex. Absent: the recording says them as `end`. */
  readonly answersIn?: (bytes: Bytes) => readonly string[];
  /** What of a line has to be the same again, where that is not every byte. */
  readonly comparable?: (line: Omit<RecordedLine, 'atMs'>) => string;
}

export interface Playing {
  readonly recording: Recording;
  readonly time: ManualTime;
  /** Recorded lines from here on that have not been played. */
  readonly ahead: () => readonly RecordedLine[];
}
export type OpenStage = (playing: Playing) => Stage;

/** The value of a line that is JSON. @throws where it is none */
export function jsonOf({ bytes }: Pick<RecordedLine, 'bytes'>): unknown {
  const text = decodeUtf8(bytes);
  return JSON.parse(text.ok ? text.value : '');
}
export const orderOf = (bytes: Bytes): DeviceOrder => jsonOf({ bytes }) as DeviceOrder;

/** The settings that the recorded driver ran with; what an older recording does not say is as in `otherwise`. */
export function settingsOf<T extends object>({ lines }: Recording, otherwise: T): T {
  const said = lines.filter(({ bytes, moment }) => moment === 'about' && bytes[0] === 0x7b).map(jsonOf);
  return Object.assign({ ...otherwise }, ...said) as T;
}

/** A line as it is compared. Bytes from the device are not: they are the recording's own. */
export const textOf = ({ bytes, moment }: Omit<RecordedLine, 'atMs'>): string =>
  moment === 'in' ? 'in' : `${moment} ${toHex(bytes)}`;

/** Resolves once everything that needs no time has happened. */
export const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
