/**
 * What HTTP, administration and messages call of the host, as types. Must hold no logic.
 * Whole requests that are refused come back as a Problem; business refusals are answers.
 */

import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { ErrorCode } from '../../../terminal/kernel/errors.js';
import type { Clock, Crypto, KeyPair, Random } from '../../../terminal/kernel/ports.js';
import type { Result } from '../../../terminal/kernel/result.js';
import type { Currency } from '../../../terminal/kernel/units.js';
import type { InquiryRequest, InquiryResponse } from '../../protocol/inquiry.js';
import type { SignedSession, SmartTapRequest, SmartTapResponse } from '../../protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  AuthoriseRequest,
  AuthoriseResponse,
  BoxConfiguration,
  Directives,
  Envelope,
  OfflineLimits,
  Product,
  RecordAnswer,
  RecordsRequest,
  RecordsResponse,
  Rules,
  SessionRequest,
  SessionResponse,
  Watermark,
} from '../../protocol/sync.js';
import type { KeyVault, OpenPass, OpenTag, Policy, Realm, Tier } from '../ledger/context.js';
import type { Judgement } from '../ledger/intake.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import type { AllowancePolicy } from './settings.js';

export type { KeyVault, Policy, Realm, Tier } from '../ledger/context.js';

/** The collector's signature for one session; null: this host holds no key of that collector. */
export type SignSmartTap = (terminalId: string, nowMs: number, request: SmartTapRequest) => SignedSession | null;

/** A session that a terminal asked to have signed. `code` null: it was; else why not. Holds nothing secret. */
export interface SignatureAsked {
  readonly terminalId: string;
  readonly collectorId: number;
  readonly code: string | null;
}

export interface HostOptions {
  readonly store: HostStore;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly vault: KeyVault;
  /** Stamped on a new store; an old one must have it, else `record.wrongRealm` is thrown. */
  readonly realm: Realm;
  /** The host's own merchant as phones know it: 1 to 16 ASCII letters and digits. Fixed once another merchant is served. */
  readonly merchantId: string;
  /** Opens passes that boxes held back; absent: none opens here. */
  readonly openPass?: OpenPass;
  /** Signs sessions with Google Wallet; absent: none is signed here. */
  readonly signSmartTap?: SignSmartTap;
  /** Told of each signature, and of each kind of refusal once a minute and terminal; absent: nobody is. */
  readonly signatureAsked?: (asked: SignatureAsked) => void;
  /** Proves tags' messages; absent: none holds here. */
  readonly openTag?: OpenTag;
  /** Runs a task soon but after the requests already waiting (setImmediate); groups concurrent requests into one commit. */
  readonly soon: (task: () => void) => void;
  /** The host's own signature (ECDSA P-256, SHA-256, DER), which boxes check with the authority that they trust. */
  readonly sign: (data: Bytes) => Bytes;
}

export interface Refusal {
  readonly code: ErrorCode;
  /** For the technician; holds no secret. */
  readonly detail: string;
}
export type Answered<T> = Promise<Result<T, Refusal>>;

/** One page; `next` is the cursor of the page after, null at the end. */
export interface Page<T> {
  readonly rows: readonly T[];
  readonly next: string | null;
}
export interface PageOptions {
  readonly cursor?: string | null;
  /** 1…1000, default 100. */
  readonly limit?: number;
}

export interface MemberView {
  readonly memberCode: string;
  readonly phone: string;
  readonly name: string;
  /** The merchant's id. */
  readonly merchant: string;
  readonly tier: string;
  readonly points: number;
  readonly pointsOwed: number;
  readonly pointsReserved: number;
  readonly earnedPoints: number;
  readonly registeredAtMs: number;
  readonly keys: readonly {
    readonly keyId: string;
    readonly kind: 'phone' | 'pass' | 'tag';
    readonly state: 'active' | 'blocked';
    readonly registeredAtMs: number;
  }[];
}
export interface StatementLine {
  readonly entry: string;
  /** earn, spend, refund, void, reversal, expiry… */
  readonly cause: string;
  readonly record: string | null;
  /** Positive: the balance rose. */
  readonly change: number;
  readonly balanceAfter: number;
  readonly atMs: number;
  /** The merchant at whose counter these points were used, where that is not the member's own. */
  readonly partner: string | null;
}
export interface CouponView {
  readonly code: string;
  readonly holder: 'host' | 'card';
  readonly memberCode: string | null;
  readonly cardKeyId: string | null;
  readonly currency: Currency;
  readonly initialMinor: number;
  /** Host-held: spendable. Card-held: what the host knows to be on the card. */
  readonly balanceMinor: number;
  readonly reservedMinor: number;
  /** Given back, to be written to the card at its next online tap. */
  readonly correctionMinor: number;
  readonly expiresAtMs: number | null;
  readonly limitCategory: string | null;
  readonly limitProducts: readonly string[] | null;
  readonly state: 'active' | 'blocked';
  readonly issuedAtMs: number;
}
export interface IssueCouponRequest {
  readonly holder: 'host' | 'card';
  readonly memberCode: string | null;
  readonly currency: Currency;
  /** Minor units, 1…amountMinorMax. */
  readonly amountMinor: number;
  /** null: never. For a card it is kept in whole seconds, rounded down. */
  readonly expiresAtMs: number | null;
  /** At most one of the two; a card-held coupon takes a category of at most 16 ASCII characters only. */
  readonly limitCategory?: string | null;
  readonly limitProducts?: readonly string[] | null;
}
export interface IssuedCoupon {
  readonly code: string;
  /** Card-held only: what goes to the card over the messaging channel. The key is secret: never log or store it. */
  readonly card: { readonly cardKeyId: Bytes; readonly cardKey: Bytes; readonly record: Bytes } | null;
}

export interface TerminalFacing {
  /**
   * A batch of records of one terminal: one commit, an answer each, in their order.
   * Refused whole: `record.foreign` (a body names another terminal; alarmed) · `access.denied` (unknown terminal).
   */
  intake(terminalId: string, request: RecordsRequest): Answered<RecordsResponse>;
  /** One record that the box waits for. The session's keys are computed anew each time and never stored. */
  authorise(terminalId: string, request: AuthoriseRequest): Answered<AuthoriseResponse>;
  /** A session before a card's record is read. Moves nothing and uses no counter up. */
  openSession(terminalId: string, request: SessionRequest): Answered<SessionResponse>;
  /** What the member behind a tap or code may spend. Moves nothing, makes no record; what was asked with is used up. */
  inquire(terminalId: string, request: InquiryRequest): Answered<InquiryResponse>;
  /** One session with Google Wallet for this terminal, in mid-tap. */
  signSmartTap(terminalId: string, request: SmartTapRequest): Answered<SmartTapResponse>;
  /** `rules.unknown` until rules are published. The catalogue is null when the version named is current, else what changed since. */
  directives(terminalId: string, catalogueVersion: number | null): Answered<Directives>;
  /** Changes whenever something of this terminal's directives does. */
  directivesVersion(terminalId: string): Answered<number>;
  /** Slices for the member or coupon of this code, as the policy allows; none where the terminal holds them already. */
  requestAllowance(terminalId: string, request: AllowanceRequest): Answered<AllowanceResponse>;
  /** Closes the terminal's chain and begins a new one. */
  raiseEpoch(
    terminalId: string,
    reason: 'restored' | 'regressed' | 'forked',
  ): Answered<{ readonly epoch: number; readonly previous: Watermark }>;
}

export interface TerminalAdmin {
  /** A code to be shown once; only its hash is kept. `ttlMs` 1 minute … 7 days, default 1 hour. */
  drawEnrolmentCode(name: string, ttlMs?: number): Promise<{ readonly code: string; readonly expiresAtMs: number }>;
  /** A code for the box that takes this terminal's place, whatever state that is in. `access.denied`: there is none. */
  drawReplacementCode(
    terminalId: string,
    ttlMs?: number,
  ): Answered<{ readonly code: string; readonly expiresAtMs: number }>;
  /**
   * Uses a code up and creates its terminal, or gives the place of the one that it replaces to the new box. `source` is where the request came from: wrong codes are counted by it.
   * `enrolment.codeWrong` · `enrolment.locked` · `record.wrongRealm`.
   */
  claimEnrolmentCode(request: { readonly code: string; readonly source: string; readonly realm: Realm }): Answered<{
    readonly terminalId: string;
    readonly name: string;
    readonly epoch: number;
    readonly siteKey: Bytes | null;
  }>;
  /** After enrolment and after each renewal. `fingerprint`: SHA-256 of the certificate in hex; `publicKey`: its SPKI in DER. */
  setCertificate(terminalId: string, fingerprint: string, endsAtMs: number, publicKey: Bytes): Answered<void>;
  get(terminalId: string): Promise<Row<'terminal'> | null>;
  list(options?: PageOptions): Promise<Page<Row<'terminal'>>>;
  revoke(terminalId: string, reason: string): Answered<void>;
  quarantine(terminalId: string, reason: string): Answered<void>;
  /**
   * A person has judged the held records: they are applied as if they came now; forks among them become dead letters, or
   * are applied too. A quarantined terminal is active again, a revoked one stays revoked. @returns how many were accepted
   * and refused
   */
  releaseQuarantine(
    terminalId: string,
    by: string,
    judgement?: Judgement,
  ): Answered<{ readonly accepted: number; readonly refused: number; readonly waiting: number }>;
  /**
   * A person brings records of a terminal from a file (a lost or broken box): applied as if they came now, forks too;
   * what is known already gets the answer it has. At most 500. `access.denied` · `record.foreign` · `input.tooLong`.
   */
  takeIn(terminalId: string, envelopes: readonly Envelope[], by: string): Answered<readonly RecordAnswer[]>;
  watermark(terminalId: string): Answered<Watermark>;
}

export interface MemberAdmin {
  /**
   * A member whose phone holds no key yet and who shows the member code at the till; the phone joins later by `register`.
   * A number seen before: the member it already is, under the name it has. `input.malformed` · `host.busy`.
   */
  enlist(request: {
    readonly phone: string;
    readonly name: string;
    /** Empty: the host's own. `merchant.unknown` */
    readonly merchantId?: string;
  }): Answered<MemberView>;
  /**
   * Registers a phone's key; a phone number seen before gets the key added to the member it already is.
   * `key` is 16 bytes and is wrapped at once; `publicKey`: what credentials of this phone name, compressed; absent: it cannot sign. The same key id and key again: the same member. `record.conflict`: the id is taken.
   */
  register(request: {
    readonly phone: string;
    readonly name: string;
    readonly keyId: Bytes;
    readonly key: Bytes;
    readonly publicKey?: Bytes | null;
    /** Empty: the host's own. `merchant.unknown` */
    readonly merchantId?: string;
  }): Answered<MemberView>;
  /**
   * Binds a pass in a wallet or a tag, by `passId` of drivers/protocols/wallet-pass or `tagId` of drivers/protocols/tag.
   * The same one again: the same member. A tag that was bound as a pass becomes one. `credential.unknown`: no such member; `record.conflict`: another member's, or of
   * another kind; `input.tooLong`: too many.
   */
  bind(memberCode: string, kind: 'pass' | 'tag', id: string): Answered<MemberView>;
  setKeyState(keyId: string, state: 'active' | 'blocked'): Answered<void>;
  /**
   * The member's phone is lost, with the memberships of all merchants that it has answered for under this number: in one step their
   * keys, passes and coupons on cards are blocked, and they have another number from now on where one is given. Tags are no part of
   * a phone and stay. Again: nothing more.
   * `credential.unknown`: no such member; `record.conflict`: another member's number; `input.malformed`.
   */
  lose(
    memberCode: string,
    number: string | null,
  ): Answered<{
    readonly keys: readonly string[];
    readonly coupons: readonly string[];
    /** The named one first; `merchant` is an id. */
    readonly memberships: readonly { readonly memberCode: string; readonly name: string; readonly merchant: string }[];
  }>;
  byCode(memberCode: string): Promise<MemberView | null>;
  /** The membership of this number with a merchant, by its id; without one the host's own, else the one of the lowest code. */
  byPhone(phone: string, merchant?: string): Promise<MemberView | null>;
  byKey(keyId: string): Promise<MemberView | null>;
  list(options?: PageOptions): Promise<Page<Row<'member'>>>;
  /** The newest lines first. */
  statement(
    memberCode: string,
    account: 'points' | 'owed' | 'reserved',
    options?: PageOptions,
  ): Promise<Page<StatementLine>>;
}

export interface CouponAdmin {
  issue(request: IssueCouponRequest): Answered<IssuedCoupon>;
  byCode(code: string): Promise<CouponView | null>;
  ofMember(memberCode: string, options?: PageOptions): Promise<Page<CouponView>>;
  /** `coupon.unknown` · `access.denied`: what this card held was taken over, so it stays blocked. */
  setState(code: string, state: 'active' | 'blocked'): Answered<void>;
  /**
   * What a blocked card held goes into a new coupon of the same member, held at the host, under the same limit and end. What the
   * card had paid offline and is told later is the merchant's risk. The card stays blocked for good. `coupon.unknown` ·
   * `coupon.wrongHolder`: not a card's, or nobody's · `access.denied`: not blocked · `coupon.expired` ·
   * `coupon.balanceTooLow`: nothing is left · `sale.busy`: a sale on it is not settled yet.
   */
  takeOver(code: string): Answered<{
    readonly code: string;
    readonly memberCode: string;
    readonly currency: Currency;
    readonly amountMinor: number;
  }>;
  statement(code: string, options?: PageOptions): Promise<Page<StatementLine>>;
}

export interface CatalogueAdmin {
  /** Replaces the whole catalogue; codes must be unique. @returns the new version, or the present one when nothing changed */
  replace(products: readonly Product[]): Answered<{ readonly version: number; readonly changed: number }>;
  current(): Promise<{ readonly version: number; readonly products: readonly Product[] }>;
  product(code: string): Promise<Product | null>;
}

export interface RulesAdmin {
  /** Publishes the next version; it is current at once. */
  publish(rules: Omit<Rules, 'version'>): Answered<Rules>;
  current(): Promise<Rules | null>;
  setMerchant(merchant: string, location: string): Promise<void>;
  /** Lowest threshold first, the first at 0. */
  setTiers(tiers: readonly Tier[]): Answered<void>;
  setPolicy(policy: Partial<Policy>): Answered<Policy>;
  setOfflineLimits(change: Partial<OfflineLimits>): Answered<OfflineLimits>;
  offlineLimits(): Promise<OfflineLimits>;
  /** What is named changes; null: as each box is configured. */
  setBoxConfiguration(
    change: { readonly [Name in keyof BoxConfiguration]?: BoxConfiguration[Name] | null },
  ): Answered<BoxConfiguration>;
  boxConfiguration(): Promise<BoxConfiguration>;
  policy(): Promise<Policy>;
  tiers(): Promise<readonly Tier[]>;
}

export interface AllowanceView extends Row<'allowance'> {
  /** Granted, less spends that have arrived and what was returned. */
  readonly held: number;
}

export interface AllowanceAdmin {
  policy(): Promise<AllowancePolicy>;
  setPolicy(change: Partial<AllowancePolicy>): Answered<AllowancePolicy>;
  /** Those that this terminal holds, or all; the newest first. */
  list(terminalId: string | null, options?: PageOptions): Promise<Page<AllowanceView>>;
  /** The terminal is asked to give it back at its next contact. */
  recall(id: string): Answered<void>;
  /** The rest comes back without the terminal's word; what it still spends is the merchant's risk. @returns what came back */
  writeOff(id: string, by: string): Answered<{ readonly returned: number; readonly unit: string }>;
  /** The same for all that this terminal holds. @returns how many were written off */
  writeOffAll(terminalId: string, by: string): Promise<number>;
  /** Slices for members who usually come, some terminals at a time. @returns how many were granted */
  offer(): Promise<number>;
}

/** What the merchant bears because it was given without being there. */
export interface RiskReport {
  /** By unit: minor units of a currency, or points. */
  readonly borne: Readonly<Record<string, number>>;
}

export interface DeadLetterAdmin {
  list(standing: 'open' | 'settled', options?: PageOptions): Promise<Page<Row<'deadLetter'>>>;
  settle(id: string, by: string, note: string): Answered<void>;
}

export interface ConsumptionAdmin {
  list(
    by: { readonly memberCode: string } | { readonly businessId: string } | { readonly terminalId: string },
    options?: PageOptions,
  ): Promise<Page<Row<'consumption'>>>;
  /** Sums per month, category and currency, the oldest first. */
  months(memberCode: string, options?: PageOptions): Promise<Page<Row<'consumptionMonth'>>>;
}

export interface OfferAdmin {
  /**
   * Shows members from a tier on (null: all) an offer until it ends. Title 1…64 characters, text 1…500.
   * `input.malformed` · `input.outOfRange` · `input.tooLong` (50 run already).
   */
  publish(request: {
    readonly title: string;
    readonly text: string;
    readonly tier: string | null;
    readonly expiresAtMs: number;
  }): Answered<Row<'offer'>>;
  /** Idempotent. `input.outOfRange`: there is none. */
  withdraw(id: string): Answered<void>;
  /** The newest first. */
  list(options?: PageOptions): Promise<Page<Row<'offer'>>>;
}

/** What one member sees of the own accounts, all at one time. */
export interface MemberOverview {
  readonly atMs: number;
  readonly merchant: string;
  readonly memberCode: string;
  readonly name: string;
  readonly tier: string;
  readonly points: number;
  readonly pointsOwed: number;
  readonly pointsReserved: number;
  readonly coupons: readonly CouponView[];
  /** The newest first. */
  readonly statement: readonly StatementLine[];
  readonly offers: readonly Row<'offer'>[];
}

/** Of the rotating codes that a session's page shows for one membership: handle, and seed in hex. */
export interface ScreenCodes {
  readonly memberCode: string;
  readonly handle: string;
  readonly seed: string;
}

export interface MemberPages {
  /** A code for this number's member, to be sent there; null: no such member, or too many were sent. Callers answer both alike. */
  drawCode(phone: string): Promise<{ readonly to: string; readonly code: string; readonly merchant: string } | null>;
  /** Opens a session by the code that was sent; it counts once, for 5 minutes, and not after 5 wrong ones. `access.denied`. */
  open(
    phone: string,
    code: string,
  ): Answered<{
    readonly token: string;
    readonly expiresAtMs: number;
    /** One for each membership of the number, its main one first. Given this once. */
    readonly codes: readonly ScreenCodes[];
  }>;
  /** The memberships behind a session's token, as at the log-in or joined since, the main one first; null: none, or it ended. */
  membersOf(token: string): Promise<readonly string[] | null>;
  /** Rotating codes of memberships that have joined the number since; null: no session. */
  moreCodes(token: string): Promise<readonly ScreenCodes[] | null>;
  /** Idempotent. */
  close(token: string): Promise<void>;
  /** Ends all sessions of a number (a lost phone), whichever membership it is known by. @returns how many log-ins there were */
  closeAll(phone: string): Promise<number>;
  overview(memberCode: string): Promise<MemberOverview | null>;
}

export interface MerchantAdmin {
  /** A merchant beside the host's own. `keys`: what its members' phones seal their keys to. `record.conflict` · `input.*` */
  add(
    request: { readonly id: string; readonly name: string; readonly location: string },
    keys: KeyPair,
  ): Answered<Row<'merchant'>>;
  /** The host's own merchant. */
  own(): Promise<{ readonly id: string; readonly name: string; readonly location: string }>;
  /** The others, by id. */
  list(options?: PageOptions): Promise<Page<Row<'merchant'>>>;
  /** Puts a terminal that has sold nothing yet on a merchant's counter. `merchant.unknown` · `record.conflict` */
  assign(terminalId: string, merchantId: string): Answered<void>;
  /** The key pair of a merchant beside the host's own; null: there is none. Must not be logged. */
  registrationKeys(merchantId: string): Promise<KeyPair | null>;
}

export interface AgreementView extends Omit<Row<'agreement'>, 'persons' | 'openAcceptor' | 'day' | 'dayPoints'> {
  readonly isInForce: boolean;
  /** Who offered, confirmed and ended it. */
  readonly persons: { readonly offered: string; readonly confirmed?: string; readonly ended?: string };
}

export interface SettlementView extends Row<'settlement'> {
  readonly first: string;
  readonly second: string;
  /** Points that the first pays the second for this period; negative: the second pays. */
  readonly firstPays: number;
}

/** A period as one of the two merchants sees it. Points are the accepting merchant's; claims and balances: owed to `merchant`. */
export interface FederationStatement {
  readonly merchant: string;
  readonly partner: string;
  readonly fromMs: number;
  readonly untilMs: number;
  /** Owed to this merchant when the period began; negative: it owed. */
  readonly opening: number;
  /** In the period: points that the partner's members were given here, and that this merchant's were given there. */
  readonly claims: number;
  readonly debts: number;
  /** In the period: points of this merchant, and of the partner, that their members paid with. */
  readonly ownPointsTaken: number;
  readonly partnerPointsTaken: number;
  /** What settlements of the period took off. opening + claims − debts − settled = closing. */
  readonly settled: number;
  readonly closing: number;
  /** The newest settlement of the period. */
  readonly settlement: SettlementView | null;
  readonly rows: readonly {
    readonly atMs: number;
    /** The spend's transaction. */
    readonly sale: string;
    /** spend, spendLate, void, refund, reversal. */
    readonly cause: string;
    /** Whose points they are, and the agreement's version that gave the rate. */
    readonly issuer: string;
    readonly agreement: string;
    /** Negative: given back. */
    readonly issuerPoints: number;
    readonly acceptorPoints: number;
    readonly change: number;
    /** Behind this line, before settlements of the period. */
    readonly balance: number;
  }[];
  readonly next: string | null;
}

export interface FederationAdmin {
  /** The next version of an agreement, offered by one of the two. `merchant.unknown` · `input.*` */
  offer(request: {
    readonly issuer: string;
    readonly acceptor: string;
    /** So many of the issuer's points for so many of the acceptor's, 1…1,000,000 each. */
    readonly issuerPoints: number;
    readonly acceptorPoints: number;
    /** null: from its confirmation. */
    readonly validFromMs: number | null;
    readonly validToMs: number | null;
    readonly dailyPointsMax: number | null;
    readonly offeredBy: string;
    readonly person: string;
  }): Answered<AgreementView>;
  /** The other merchant agrees; from then on the newest version in its time counts. `access.denied` · `agreement.unknown` · `record.conflict` */
  confirm(issuer: string, acceptor: string, version: number, by: string, person: string): Answered<AgreementView>;
  /** Either ends it at once; what stands open stays due. */
  end(issuer: string, acceptor: string, version: number, by: string, person: string): Answered<AgreementView>;
  list(options?: PageOptions): Promise<Page<AgreementView>>;
  /** Settles all before a time, both directions in one entry. The same time again: the same settlement. */
  settle(one: string, other: string, untilMs: number, person: string): Answered<SettlementView>;
  /** The newest first. */
  settlements(one: string, other: string, options?: PageOptions): Promise<Page<SettlementView>>;
  /** `fromMs` null: since the newest settlement before the end. `untilMs` null: until now. */
  statement(
    request: {
      readonly merchant: string;
      readonly partner: string;
      readonly fromMs: number | null;
      readonly untilMs: number | null;
    } & PageOptions,
  ): Answered<FederationStatement>;
  /** Recounts all lines against the ledger's accounts; empty: sound. Reads everything. */
  check(): Promise<readonly string[]>;
}

export interface LedgerReport {
  readonly entries: number;
  readonly lines: number;
  readonly accounts: number;
  /** Sum of every account by kind and unit, on its normal side: `issued points: 300`. */
  readonly totals: Readonly<Record<string, number>>;
  /** Empty: every entry adds up to nothing and every balance is the sum of its lines. */
  readonly problems: readonly string[];
}

export interface Host extends TerminalFacing {
  readonly terminals: TerminalAdmin;
  readonly members: MemberAdmin;
  readonly coupons: CouponAdmin;
  readonly catalogue: CatalogueAdmin;
  readonly rules: RulesAdmin;
  readonly allowances: AllowanceAdmin;
  /** Calls back with the terminal whose directives changed; null: all. @returns how to stop */
  onDirectives(listener: (terminalId: string | null) => void): () => void;
  risk(): Promise<RiskReport>;
  readonly deadLetters: DeadLetterAdmin;
  readonly consumption: ConsumptionAdmin;
  readonly offers: OfferAdmin;
  readonly merchants: MerchantAdmin;
  readonly federation: FederationAdmin;
  readonly pages: MemberPages;
  alarms(options?: PageOptions & { readonly terminalId?: string }): Promise<Page<Row<'alarm'>>>;
  /** Raises an alarm of the shell's own (a foreign certificate, a guessed code). Repeats only count up. */
  alarm(code: string, terminalId: string | null, subject: string, detail: string): Promise<void>;
  /** Returns reservations that ran out and writes expired coupons off; call it every few seconds. */
  expire(): Promise<{ readonly reservations: number; readonly coupons: number }>;
  /** Recomputes the ledger from its lines; reads everything. */
  verifyLedger(): Promise<LedgerReport>;
  /** The engine's check and the ledger's; empty: sound. */
  checkStore(): Promise<readonly string[]>;
  backup(path: string): Promise<void>;
  /** Each counted up to 10,000. With so many `blocked` keys and coupons, boxes are told of the newest alone. */
  gauges(): Promise<{
    readonly deadLettersOpen: number;
    readonly terminals: number;
    readonly members: number;
    readonly blocked: number;
  }>;
}
