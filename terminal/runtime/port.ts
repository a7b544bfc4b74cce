/**
 * Terminal port: what console and local API may ask of the running box. They know nothing else of it.
 */
import type {
  DeviceStatus,
  ModemCondition,
  PrintEnd,
  PulseEnd,
  UnclaimedDevice,
} from '../../drivers/contract/driver.js';
import type { Scheme } from '../../drivers/protocols/emv/schemes.js';
import type { InquiryCoupon } from '../../host-sync/protocol/inquiry.js';
import type { AllowanceRequest, AllowanceResponse, OfflineLimits } from '../../host-sync/protocol/sync.js';
import type { Prompt } from '../core/effect.js';
import type { SaleOutcome, ServiceName } from '../core/sale.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { TransactionId } from '../kernel/ports.js';
import type { Result } from '../kernel/result.js';
import type { AmountMinor, Currency, Points, WallMs } from '../kernel/units.js';
import type { AllowanceRow, AuditEntry, JournalEntry, QueueGauges } from '../store/port.js';

/** What was bought: an amount keyed by the clerk, or products by code or name with the till's own price where it has one. */
export type Purchase =
  | { readonly amountMinor: AmountMinor }
  | {
      readonly lines: readonly {
        readonly code?: string;
        readonly name?: string;
        readonly quantity: number;
        /** The till's own price for one piece; marked as an override. */
        readonly unitPriceMinor?: AmountMinor;
      }[];
    };

export type ServiceCommand =
  | { readonly service: 'plainSale' }
  | { readonly service: 'pointsEarn'; readonly typedPoints?: Points }
  | { readonly service: 'pointsSpend'; readonly points: Points }
  | { readonly service: 'couponHost'; readonly couponCode?: string }
  | { readonly service: 'couponCard' }
  /** `coupon`: which of the member's, by its code or last 4 digits; absent: the only one. The purchase is the amount paid in. */
  | { readonly service: 'topUp'; readonly coupon?: string }
  /** The coupon on the card that is tapped. The purchase is the amount paid in. */
  | { readonly service: 'topUpCard' }
  /** `original`: the till's reference or the transaction id of the sale to undo. */
  | { readonly service: 'void'; readonly original: string }
  | { readonly service: 'refund'; readonly original: string; readonly amountMinor: AmountMinor };

export interface SaleCommand {
  readonly command: ServiceCommand;
  /** Absent for void and refund. */
  readonly purchase?: Purchase;
  readonly reference: string | null;
  readonly clerk: string;
  readonly origin: 'till' | 'console' | 'scanner';
  /** A known credential typed or scanned beforehand (member or coupon code), so that nobody needs to tap. */
  readonly code?: string;
}

export type SalePhase = 'waiting' | 'working' | 'ended';

/** A sale as till and console see it. Money in minor units of `currency`. */
export interface SaleView {
  readonly transactionId: TransactionId;
  readonly reference: string | null;
  readonly service: ServiceName;
  readonly clerk: string;
  readonly currency: Currency;
  readonly totalMinor: AmountMinor;
  readonly phase: SalePhase;
  /** What clerk and member are to do now; null once ended. */
  readonly prompt: Prompt | null;
  /** Null until it ended. */
  readonly outcome: SaleOutcome | null;
  readonly simulated: boolean;
  readonly voided: boolean;
  readonly refundedMinor: AmountMinor;
  /** Receipt text by lines, both languages; empty until it ended. A later look at it says COPY. */
  readonly receipt: readonly string[];
}

export type TerminalEvent =
  | { readonly type: 'sale'; readonly sale: SaleView }
  | { readonly type: 'device'; readonly device: DeviceStatus }
  | { readonly type: 'sync'; readonly sync: SyncStatus }
  /** A member asked for balances while no sale was open. */
  | { readonly type: 'inquiry'; readonly inquiry: InquiryView }
  /** A tag was read at the reader; only where `tags.originality` wants its chip asked. */
  | { readonly type: 'tag'; readonly tag: TagView }
  /** A product code was scanned while no sale was open: tills in this box's series may want it. */
  | {
      readonly type: 'scan';
      readonly device: string;
      readonly code: string;
      /** Only where the symbol says more than the number. */
      readonly marks?: ItemMarks;
      /** Not put into the box's own basket. */
      readonly problem?: 'product.expired';
    };

/** What is known of a tag, in three findings that do not follow from one another. Names no tag and no member. */
export interface TagView {
  /** Whether its maker signed this UID. `unread`: asked, and no signature came; `notAsked`: no way to ask it here. */
  readonly chipGenuine: 'yes' | 'no' | 'unread' | 'notAsked';
  /** `hostDecides`: a secure tag's message, which the host proves; `noProof`: it says the same at each tap. */
  readonly messageFresh: 'hostDecides' | 'noProof';
  /** Products are registered elsewhere. */
  readonly productKnown: 'notKnownHere';
  /** Why it is no credential here; null: it is one. */
  readonly refused: 'tag.notGenuine' | 'tag.signatureUnread' | null;
}

/** What a member may spend, or why nobody could say. Names no member; of a coupon's code the last digits alone. */
export type InquiryView =
  | {
      readonly result: 'known';
      readonly tier: string;
      readonly points: number;
      readonly pointsOwed: number;
      /** That may still pay, the soonest to expire first. */
      readonly coupons: readonly InquiryCoupon[];
      /** How many more there are. */
      readonly couponsMore: number;
    }
  | { readonly result: 'refused'; readonly code: ErrorCode };

/** What a symbol says of one item: GTIN of 14 digits, batch, serial number, last day of use as `2026-12-31`. */
export interface ItemMarks {
  readonly gtin: string;
  readonly batch: string | null;
  readonly serial: string | null;
  readonly expiresOn: string | null;
}

/** Rises by one per event; `boot` changes with each start, so that a follower knows when numbers began anew. */
export interface NumberedEvent {
  readonly boot: string;
  readonly number: number;
  readonly event: TerminalEvent;
}

export interface SyncStatus {
  readonly state: 'online' | 'offline' | 'sending' | 'notEnrolled';
  readonly lastContactWallMs: WallMs | null;
  readonly lastError: { readonly code: ErrorCode; readonly detail: string } | null;
  readonly nextAttemptInMs: number | null;
}

export interface TerminalStatus {
  readonly terminalId: string | null;
  readonly epoch: number | null;
  readonly version: string;
  readonly simulated: boolean;
  readonly merchant: string | null;
  readonly uptimeMs: number;
  readonly clockDoubtful: boolean;
  readonly sale: SaleView | null;
  readonly sync: SyncStatus;
  readonly queue: QueueGauges;
  readonly directivesVersion: number | null;
  readonly catalogueVersion: number | null;
  /** `withHost`: the collector's key is the host's; `notAsked`: so it is, and the host is away. */
  readonly googleWallet: 'off' | 'here' | 'withHost' | 'notAsked';
  /** Why the last phone could not be asked with the host; null: it was asked, or none has come yet. */
  readonly googleTrouble: Refusal | null;
  /** Storage trouble that stops sales; null when all is well. */
  readonly stopped: { readonly code: ErrorCode; readonly detail: string } | null;
}

export interface Refusal {
  readonly code: ErrorCode;
  readonly detail: string;
}

/** One device in full. */
export interface DeviceDescription extends DeviceStatus {
  /** The driver that has it. */
  readonly driver: string;
  /** How long it has been in its state. */
  readonly forMs: number;
  readonly recording: RecordingView | null;
}

export interface RecordingView {
  readonly file: string;
  readonly bytes: number;
  /** Why it ended by itself; null: it goes on, or was stopped. */
  readonly ended: string | null;
}

/** What may be seen of a bank card. */
export interface BankCardSight {
  readonly scheme: Scheme;
  readonly label: string | null;
  /** Masked. */
  readonly number: string;
  readonly hasLuhnDigit: boolean;
  /** YYMM; null: the card says none. */
  readonly expiry: string | null;
}

/** What a device gave while it was tried out. A member's or coupon's code is named, not shown. */
export type TrialSight =
  | { readonly type: 'code'; readonly text: string }
  | { readonly type: 'card'; readonly atr: string }
  | { readonly type: 'cardGone' }
  | ({ readonly type: 'bankCard' } & BankCardSight)
  /** Why a card gave nothing. */
  | { readonly type: 'unread'; readonly code: ErrorCode }
  | { readonly type: 'slip'; readonly end: PrintEnd }
  | { readonly type: 'pulse'; readonly end: PulseEnd }
  | { readonly type: 'pin'; readonly end: PinSight }
  /** What stands on a customer's display now. */
  | { readonly type: 'shown'; readonly lines: readonly [string, string] }
  | { readonly type: 'modem'; readonly condition: ModemCondition };

/** What an entry on a PIN pad gave: of the block its form alone, of the key serial number its last four hex digits. */
export type PinSight =
  | { readonly result: 'entered'; readonly keySerialEnd: string; readonly blockBytes: number }
  | { readonly result: 'cancelled' | 'timedOut' | 'noKeys' }
  | { readonly result: 'failed' | 'unknown'; readonly code: ErrorCode };

export interface DeviceTrial {
  /** What to hold to it; `slip`, `pulse`, `display`, `modem`: nothing, it does by itself what there is to see. */
  readonly wants: 'card' | 'bankCard' | 'code' | 'stripe' | 'number' | 'pin' | 'slip' | 'pulse' | 'display' | 'modem';
  /** Resolves when the time is over, it was stopped, a sale began, or all that was to come has come. */
  readonly ended: Promise<'time' | 'stopped' | 'sale' | 'done'>;
  stop(): void;
}

/** Devices as a technician has to do with them, by the name that `devices` shows. */
export interface DeviceDeskPort {
  unclaimed(): readonly UnclaimedDevice[];
  /** Fails with device.unknown. */
  describe(device: string): Result<DeviceDescription, Refusal>;
  /**
   * Out of service, or back; remembered over restarts. A phone that is being read ends as if it had left, and the sale goes on
   * as after that. Fails with device.unknown, device.unsupported, device.denied (barred by the configuration).
   * @throws TerminalError of the store
   */
  setEnabled(device: string, enabled: boolean): Result<DeviceStatus, Refusal>;
  /** For so long, what the device gives comes here and not to sales. Fails with device.*, sale.busy. */
  tryOut(device: string, timeoutMs: number, see: (sight: TrialSight) => void): Result<DeviceTrial, Refusal>;
  /** Fails with device.unknown, device.unsupported, device.notRecorded, device.busy, device.recordingFailed. */
  record(device: string, file: string): Result<RecordingView, Refusal>;
  /** Null: this device is not being recorded. */
  stopRecording(device: string): RecordingView | null;
}

export interface TerminalPort {
  status(): TerminalStatus;
  devices(): readonly DeviceStatus[];
  readonly deviceDesk: DeviceDeskPort;
  /**
   * Starts a sale, or finds the one that this reference already named (same request: the same sale; another request:
   * sale.referenceConflict). Resolves as soon as the box has taken or refused it; its course follows as events.
   */
  startSale(command: SaleCommand): Promise<Result<SaleView, Refusal>>;
  /** Cancels the open sale of this reference or transaction id; sale.tooLate when value has moved, sale.unknown. */
  cancelSale(id: string): Promise<Result<SaleView, Refusal>>;
  /** By the till's reference or the transaction id. */
  sale(id: string): SaleView | null;
  sales(limit: number, before: TransactionId | null): readonly SaleView[];
  /**
   * Prints the receipt of an ended sale again, marked as a copy. Fails with sale.unknown, sale.busy (not ended), device.absent
   * (no printer is configured). What became of the slip is in the result.
   */
  printCopy(id: string): Promise<Result<PrintEnd, Refusal>>;
  /** Resolves when that sale has ended or `timeoutMs` passed, with the view at that moment; null: unknown. */
  saleEnded(id: string, timeoutMs: number): Promise<SaleView | null>;
  /**
   * Events after (boot, number), or from now with null; returns how to stop. Gone from the ring, or another boot:
   * the listener first gets null, which means: look up the state, then follow.
   */
  follow(
    after: { readonly boot: string; readonly number: number } | null,
    listener: (event: NumberedEvent | null) => void,
  ): () => void;
  queue(limit: number): {
    readonly gauges: QueueGauges;
    readonly unsent: readonly JournalEntry[];
    readonly dead: readonly JournalEntry[];
  };
  journal(limit: number, before: { readonly epoch: number; readonly sequence: number } | null): readonly JournalEntry[];
  audit(limit: number): readonly AuditEntry[];
  /** Contacts the host at once; resolves when that round is over. */
  syncNow(): Promise<SyncStatus>;
  /** Writes to the audit chain who did what. */
  recordAudit(actor: string, action: string, detail: string): void;
  setting(name: string): string | null;
  setSetting(name: string, value: string | null): void;
  backup(toFile: string): Promise<void>;
  /** What the box can do without its host. */
  offline(): OfflineView;
  /** Asks the host for slices of a member or coupon, for a check-in or on request; they are here when this resolves. */
  requestAllowance(request: AllowanceRequest): Promise<Result<AllowanceResponse, Refusal>>;
  /** Gives one allowance back. False: it is not held, or a sale is open. */
  giveBackAllowance(id: string): boolean;
}

/** What the box can do without its host, with the age of all that it works by. */
export interface OfflineView {
  readonly limits: OfflineLimits | null;
  readonly catalogueVersion: number | null;
  readonly rulesVersion: number | null;
  readonly directivesVersion: number | null;
  readonly lastContactMs: number | null;
  /** The box's best knowledge of the time; ages are to be counted from it. */
  readonly nowMs: number;
  readonly clockDoubtful: boolean;
  /** Given on floor limits today, minor units. */
  readonly floorTodayMinor: number;
  /** What is left of the allowances that may be spent, by unit: points, or minor units of a currency. */
  readonly worth: Readonly<Record<string, number>>;
  readonly allowances: readonly Omit<AllowanceRow, 'sealedKeys'>[];
}
