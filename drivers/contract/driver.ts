/**
 * Driver: what the runtime knows of any device: it reports events, may signal the member, and can be stopped.
 * Must not decide anything about a sale.
 */
import type { WallMs } from '../../terminal/kernel/units.js';
import type { ApduLink, DeviceErrorCode } from './transport.js';

/** absent: not there. opening: being brought up. ready. failing: there but in error, retried. flapping: damped. disabled: by a person. */
export type DeviceState = 'absent' | 'opening' | 'ready' | 'failing' | 'flapping' | 'disabled';
export type Bus = 'pcsc' | 'hid' | 'serial' | 'ble';

export interface DeviceStatus {
  /** Stable name: the configured one, or one made from bus and what the device says of itself (`reader-1`). */
  readonly device: string;
  readonly bus: Bus;
  readonly state: DeviceState;
  /** What the device says of itself (reader name, serial path). Printable. */
  readonly description: string;
  readonly simulated: boolean;
  readonly sinceWallMs: WallMs;
  readonly error: { readonly code: DeviceErrorCode; readonly detail: string } | null;
  readonly counters: Readonly<Record<string, number>>;
}

export type DeviceEvent =
  | { readonly type: 'deviceStateChanged'; readonly status: DeviceStatus }
  | { readonly type: 'cardPresented'; readonly device: string; readonly link: ApduLink }
  | { readonly type: 'cardRemoved'; readonly device: string; readonly linkId: string }
  /** Text of 1…256 printable characters; what a scanner adds around it is gone, what it cannot mean was counted and dropped. */
  | { readonly type: 'codeScanned'; readonly device: string; readonly code: string };

/** What the member is told at the tap, by LED, buzzer or display: keep holding, done, tap again, refused, or nothing. */
export type MemberSignal = 'hold' | 'done' | 'tapAgain' | 'refused' | 'idle';

export interface Driver {
  readonly bus: Bus;
  /** Starts looking for its devices and keeps doing so until stopped. Resolves when the first look is over; never rejects for a missing device. */
  start(emit: (event: DeviceEvent) => void): Promise<void>;
  statuses(): readonly DeviceStatus[];
  /** Best effort, at most once; a device without light or sound ignores it. */
  signal(signal: MemberSignal): void;
  /** Closes everything it opened; resolves when done, within 2 s. */
  stop(): Promise<void>;
}

/** Starts after a delay; gives back how to cancel it. Injected so that no driver test sleeps. */
export type Schedule = (delayMs: number, run: () => void) => () => void;
