/**
 * Driver: what the runtime knows of any device: it reports events, may signal the member, and can be stopped.
 * Must not decide anything about a sale.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { WallMs } from '../../terminal/kernel/units.js';
import type { ApduLink, DeviceError, DeviceErrorCode } from './transport.js';

/**
 * absent: not there. opening: being brought up. ready: served; its error, if any, is one that a person has to see to (no paper).
 * failing: there but in error, retried. flapping: comes and goes, left alone for a while; only the supervisor says so.
 * disabled: by a person, by the configuration, or held by the supervisor.
 */
export type DeviceState = 'absent' | 'opening' | 'ready' | 'failing' | 'flapping' | 'disabled';
export type Bus = 'pcsc' | 'hid' | 'serial' | 'tcp' | 'ble';

export interface DeviceStatus {
  /** Stable name: the configured one, or one made from bus and what the device says of itself (`reader-1`). */
  readonly device: string;
  readonly bus: Bus;
  /**
   * What the device is known by, over replugs and restarts: vendor, product and serial number, or the socket where it has no
   * serial number. Never a name that the system hands out in order (ttyUSB0). 1…200 printable characters, unique among the
   * driver's rows. Null: no device of its own (a service, a remark): shown, never supervised.
   */
  readonly identity: string | null;
  /** What passes may be a card's number or a PIN: never recorded but on a simulated box. */
  readonly sensitive: boolean;
  readonly state: DeviceState;
  /** What the device says of itself (reader name, serial path). Printable. */
  readonly description: string;
  readonly simulated: boolean;
  readonly sinceWallMs: WallMs;
  readonly error: { readonly code: DeviceErrorCode; readonly detail: string } | null;
  readonly counters: Readonly<Record<string, number>>;
}

/** A device that is plugged in, or near, and that no driver has: what it says of itself, and how it would be claimed. */
export interface UnclaimedDevice {
  readonly bus: Bus;
  /** USB ids, four lower-case hex digits each; empty over Bluetooth. */
  readonly vendorId: string;
  readonly productId: string;
  /** Serial number and names as the device says them, printable; empty where it says nothing. */
  readonly serial: string;
  readonly name: string;
  /** HID usage page and usage of its first application, like `8c:02`; null on other buses. */
  readonly usage: string | null;
  /** Where it is: a device file, a USB socket or a Bluetooth address. */
  readonly place: string;
  /** Why no driver has it. */
  readonly why: string;
  /** The lines of shouli.toml that claim it, whole; empty where nothing here can use it. */
  readonly configuration: readonly string[];
}

export type DeviceEvent =
  | { readonly type: 'deviceStateChanged'; readonly status: DeviceStatus }
  | { readonly type: 'cardPresented'; readonly device: string; readonly link: ApduLink }
  /** A card with contacts in a slot for them: a bank's. It says nothing by itself and is no phone; only cardRemoved follows. */
  | { readonly type: 'cardInserted'; readonly device: string; readonly link: ApduLink }
  | { readonly type: 'cardRemoved'; readonly device: string; readonly linkId: string }
  /** Text of 1…256 printable characters; what a scanner adds around it is gone, what it cannot mean was counted and dropped. */
  | {
      readonly type: 'codeScanned';
      readonly device: string;
      readonly code: string;
      /** AIM symbology identifier (ISO/IEC 15424) such as `]C1`; null where the scanner does not say what it read. */
      readonly aim: string | null;
    }
  /** Tracks 1, 2, 3 without sentinels, sound by themselves; may hold a card's number: shown and logged by nobody. */
  | {
      readonly type: 'stripeRead';
      readonly device: string;
      readonly tracks: readonly [string | null, string | null, string | null];
    }
  /** 1…20 digits of a keypad, Enter taken off. May be a member's phone number: shown masked only. */
  | { readonly type: 'numberKeyed'; readonly device: string; readonly digits: string };

/**
 * What became of a slip of paper. whole: the printer says that it is printed. sent: the printer says nothing of itself.
 * nothing: certainly not a line of it. unknown: nobody can say, and it is not printed again.
 */
export type PrintEnd =
  | { readonly printed: 'whole' | 'sent'; readonly device: string }
  | { readonly printed: 'nothing' | 'unknown'; readonly device: string | null; readonly error: DeviceError };

/**
 * What became of a pulse of a relay. sent: on, and off behind it, went out whole; the boards say nothing of themselves.
 * nothing: certainly not switched on. unknown: nobody can say whether it was on, or how long, and it is not switched on again.
 */
export type PulseEnd =
  | { readonly switched: 'sent'; readonly device: string }
  | { readonly switched: 'nothing' | 'unknown'; readonly device: string | null; readonly error: DeviceError };

/** One entry of a PIN. */
export interface PinAsked {
  /** Null: on the first pad that is there. */
  readonly device: string | null;
  /** Card number, 8…19 digits; the block is bound to it. Kept by nobody. */
  readonly pan: string;
  /** How long the member has, 5…255 s from when the pad asks. */
  readonly timeoutS: number;
}

/**
 * What became of an entry. entered: the PIN, encrypted by the pad under a key that is used once: a block of 8 bytes (ISO 9564-1
 * format 0 or 3) or 16 (format 4), with its key serial number of 10 bytes (ANSI X9.24-1) or 12 (X9.24-3). The driver keeps
 * neither; who gets them wipes both (`fill(0)`) once they are sent. failed: no PIN, and the pad asks for none any more.
 * unknown: no PIN, and nobody can say what the pad shows; an answer that comes yet is thrown away.
 */
export type PinEnd =
  | {
      readonly result: 'entered';
      readonly device: string;
      readonly keySerialNumber: Bytes;
      readonly pinBlock: Bytes;
    }
  | { readonly result: 'cancelled' | 'timedOut' | 'noKeys'; readonly device: string }
  | { readonly result: 'failed' | 'unknown'; readonly device: string | null; readonly error: DeviceError };

/**
 * What a modem says of its network when asked. network: registered at home or as a guest, still looking, turned away, or not even
 * looking. signalDbm: −113…−51 in steps of 2, null where it does not say.
 */
export type ModemCondition =
  | {
      readonly known: true;
      readonly device: string;
      readonly network: 'home' | 'roaming' | 'searching' | 'denied' | 'none';
      readonly signalDbm: number | null;
    }
  | { readonly known: false; readonly device: string | null; readonly error: DeviceError };

/** Two lines of 20 columns that face the member. */
export interface MemberScreen {
  /** Has Chinese characters, each two columns wide; otherwise ASCII alone. */
  readonly chinese: boolean;
  /** Replaces what is shown, now and on displays that come later. Best effort: a newer text overtakes an older one. */
  show(text: readonly [string, string]): void;
}

/** What the member is told at the tap, by LED, buzzer or display: keep holding, done, tap again, refused, or nothing. */
export type MemberSignal = 'hold' | 'done' | 'tapAgain' | 'refused' | 'idle';

/** What a driver is asked to do with one device, in the words of recordings. */
export type DeviceOrder =
  | { readonly print: { readonly lines: readonly string[]; readonly qr: string | null } }
  | { readonly show: readonly [string, string] }
  | { readonly pulse: true }
  | { readonly askPin: { readonly pan: string; readonly timeoutS: number } }
  | { readonly cancelPin: true }
  | { readonly askCondition: true }
  /** A message that a modem took from the folder. */
  | { readonly send: { readonly id: string; readonly to: string; readonly text: string } }
  /** A command over a link, in hex, and the link's end, where `out` does not say it. */
  | { readonly transmit: string }
  | { readonly release: true }
  /** Lets the device go, or takes it up. */
  | { readonly serve: boolean };

/**
 * Takes a copy of what passed between a device and its driver: the bytes, `in` from the device and `out` to it; that its line was
 * `opened` or `closed`; each `order` (a DeviceOrder) and what became of it, its `end`. `about` is what the driver had to know: a
 * report descriptor, its settings; said first. Orders, ends and settings are JSON in UTF-8. Must not throw.
 */
export type ByteSink = (what: PassedMoment, bytes: Bytes) => void;
export type PassedMoment = 'in' | 'out' | 'opened' | 'closed' | 'order' | 'end' | 'about';

export interface Driver {
  /** Which driver this is, for people and for recordings: `serial-scanner`. Unique among the drivers. */
  readonly name: string;
  readonly bus: Bus;
  /** Starts looking for its devices and keeps doing so until stopped. Resolves when the first look is over; never rejects for a missing device. */
  start(emit: (event: DeviceEvent) => void): Promise<void>;
  statuses(): readonly DeviceStatus[];
  /**
   * False: lets the device go at once, as after a pulled plug, and leaves it alone; from then on it is `disabled`, or `absent`
   * while it is not plugged in. True: serves it again, as at the start, within 2 s. May come before start and for a device
   * never seen. What changes by it is reported.
   */
  serve(identity: string, inService: boolean): void;
  /** Copies what passes between this device and the driver to `sink`, over replugs, until called with null. */
  listenIn(identity: string, sink: ByteSink | null): void;
  /** Best effort, at most once; a device without light or sound ignores it. */
  signal(signal: MemberSignal): void;
  /**
   * Printers only: puts these lines, and under them a QR code, on one slip of paper at most once. `device` null: on the first
   * that can. Resolves when it is known what became of it, within half a minute for each slip before it; never rejects for a
   * printer's fault. Null: it has no printer.
   */
  print?(device: string | null, lines: readonly string[], qr: string | null): Promise<PrintEnd | null>;
  /**
   * Relay boards only: switches the configured relay on for the configured time, at most once; off goes out by itself behind it,
   * at each opening of the board's line and before it is let go. `device` null: the first board named. Asked for while the relay
   * is on: `nothing` with device.busy. Resolves when it is known what became of it, three seconds after that time at the latest;
   * never rejects for a board's fault. Null: it has no board.
   */
  pulse?(device: string | null): Promise<PulseEnd | null>;
  /** PC/SC only: is this device a slot for cards with contacts, by the configuration? */
  isContactSlot?(device: string): boolean;
  /**
   * PIN pads only: has the member key a PIN. One at a time on each pad: a second is failed with device.busy. Resolves within
   * `timeoutS` and 20 s; never rejects for a pad's fault. Null: it has no such pad.
   */
  askPin?(asked: PinAsked): Promise<PinEnd | null>;
  /**
   * PIN pads only: ends the entry under way on `device`, or on each of its pads with null. Its `askPin` then ends as cancelled,
   * also where the member was faster: the block is thrown away.
   */
  cancelPin?(device: string | null): void;
  /**
   * GSM modems only: asks for network and signal, between two messages. Resolves when it has answered, or has not within 10 s of
   * its turn; never rejects for a modem's fault. Null: it has no modem.
   */
  askCondition?(device: string | null): Promise<ModemCondition | null>;
  /** Bluetooth only: what the driver hears and does not serve, which no look at the system shows. */
  unclaimed?(): readonly UnclaimedDevice[];
  /** Customer's displays only. */
  readonly display?: MemberScreen;
  /** Closes everything it opened; resolves when done, within 2 s. */
  stop(): Promise<void>;
}

/** Starts after a delay; gives back how to cancel it. Injected so that no driver test sleeps. */
export type Schedule = (delayMs: number, run: () => void) => () => void;
