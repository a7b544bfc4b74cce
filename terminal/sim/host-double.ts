/**
 * Host double: a host link in memory that answers by a script and knows the keys of the phones it issued, so that sessions
 * and card writes are the real ones. Must not be imported by anything but tests and scripts.
 */
import type { Schedule } from '../../drivers/contract/driver.js';
import {
  type CardRecord,
  currentSlot,
  encodeCardRecord,
  verifyCardRecord,
} from '../../drivers/protocols/member/card-record.js';
import { encodeContext, inquiryShown, type Operation } from '../../drivers/protocols/member/layout.js';
import { cardKey, grantSession, recordKey, verifyPhoneProof } from '../../drivers/protocols/member/proof.js';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import {
  type Membership,
  newMembership,
  newPhoneState,
  VolatileMemory,
  withMembership,
} from '../../drivers/sim/phone/phone-state.js';
import type { InquiryRequest, InquiryResponse } from '../../host-sync/protocol/inquiry.js';
import { decodeRecord, type RecordBody, type RecordOf, transactionIdBytes } from '../../host-sync/protocol/record.js';
import type { SmartTapRequest, SmartTapResponse } from '../../host-sync/protocol/smart-tap.js';
import type {
  Balances,
  FinalAnswer,
  RefusalCode,
  SessionGrant,
  SessionRequest,
  SessionResponse,
} from '../../host-sync/protocol/sync.js';
import { type Bytes, hex, toHex, utf8 } from '../kernel/bytes.js';
import { nativeCrypto } from '../kernel/native.js';
import type { TransactionId } from '../kernel/ports.js';
import { err, ok } from '../kernel/result.js';
import type { SyncStatus } from '../runtime/port.js';
import type { HostReply } from '../runtime/sale-runner.js';
import type { HostLink } from '../runtime/terminal.js';
import type { TerminalStore } from '../store/port.js';

export const siteKey = hex('5a'.repeat(16));
const couponNumber = 1_234_567_890_128;
const keyIdFrom = (number: string, what: string): Bytes => nativeCrypto.sha256(utf8(`${what} ${number}`)).slice(0, 8);
const nothingKnown: Balances = { points: null, pointsOwed: null, couponMinor: null, couponCode: null, currency: null };

export const refusal = (transactionId: TransactionId, code: RefusalCode): FinalAnswer => ({
  ...{ outcome: 'refused', transactionId, code, detail: '', balances: nothingKnown },
});

export class HostDouble implements HostLink {
  up = true;
  /** What it says to a record; null: nothing within the deadline. */
  decide: (record: RecordBody) => FinalAnswer | null = (record) => this.accept(record);
  /** What it says to a phone that wants a session; null: nothing. */
  decideSession: (request: SessionRequest) => SessionResponse | null = (request) => this.grant(request);
  /** What it says to an inquiry; null: nothing within the deadline. */
  decideInquiry: (request: InquiryRequest) => InquiryResponse | null = (request) => this.tellBalances(request);
  readonly inquired: InquiryRequest[] = [];
  /** What it says to a session with Google Wallet; null: nothing within the deadline. */
  decideSignature: (request: SmartTapRequest) => SmartTapResponse | null = () => ({
    ...{ outcome: 'refused', code: 'pass.unknownKey' },
  });
  readonly signaturesAsked: SmartTapRequest[] = [];
  readonly asked: RecordBody[] = [];
  readonly sessionsAsked: SessionRequest[] = [];
  /** How often it was told that records wait. */
  told = 0;
  /** What a phone's local proof is worth here; null: the box holds no such key. */
  localProof: boolean | null = null;
  proofHolds: HostLink['proofHolds'] = () => this.localProof;
  sign(): Bytes {
    return new Uint8Array(256);
  }
  async requestAllowance(): ReturnType<HostLink['requestAllowance']> {
    return { ok: true, value: { granted: 0, refusedBecause: 'allowance.notAllowed' } };
  }
  readonly #keys = new Map<string, Bytes>();
  #gate: Promise<void> = Promise.resolve();

  constructor(
    private readonly store: TerminalStore,
    private readonly schedule: Schedule,
  ) {}

  /** Answers wait until the returned function is called. */
  hold(): () => void {
    let release = (): void => {};
    this.#gate = new Promise((resolve) => {
      release = resolve;
    });
    return release;
  }

  async authorise(transactionId: TransactionId, deadlineMs: number): Promise<HostReply> {
    const known = this.store.saleByTransaction(transactionId)?.answer ?? null;
    if (known) return { kind: 'answered', answer: known, session: null };
    const queued = this.store.unsentByTransaction(transactionId);
    if (!this.up || !queued) return { kind: 'silent' };
    const record = decodeRecord(utf8(queued.body));
    if (!record.ok) throw new Error(`a record that does not decode: ${record.error.detail}`);
    this.asked.push(record.value);
    await this.#gate;
    const answer = this.decide(record.value);
    if (!answer) return new Promise((resolve) => this.schedule(deadlineMs, () => resolve({ kind: 'silent' })));
    this.store.settle([{ transactionId, answer, knownToSale: true }], null);
    return { kind: 'answered', answer, session: answer.outcome === 'accepted' ? this.#sessionOf(record.value) : null };
  }

  async openSession(request: SessionRequest, deadlineMs: number): Promise<SessionResponse | null> {
    if (!this.up) return null;
    this.sessionsAsked.push(request);
    await this.#gate;
    return this.decideSession(request) ?? new Promise((resolve) => this.schedule(deadlineMs, () => resolve(null)));
  }

  async inquire(request: InquiryRequest, deadlineMs: number): Promise<InquiryResponse | null> {
    if (!this.up) return null;
    this.inquired.push(request);
    await this.#gate;
    const answer = this.decideInquiry(request);
    return answer ?? new Promise((resolve) => this.schedule(deadlineMs, () => resolve(null)));
  }

  async signSmartTap(request: SmartTapRequest, deadlineMs: number): ReturnType<HostLink['signSmartTap']> {
    if (!this.up) return err({ code: 'host.unreachable', detail: '' });
    this.signaturesAsked.push(request);
    const answer = this.decideSignature(request);
    const late = err({ code: 'host.noAnswer', detail: 'no answer within the deadline' } as const);
    return answer ? ok(answer) : new Promise((resolve) => this.schedule(deadlineMs, () => resolve(late)));
  }

  reachable(): boolean {
    return this.up;
  }
  recordsQueued(): void {
    this.told += 1;
  }
  async syncNow(): Promise<SyncStatus> {
    return this.status();
  }
  status(): SyncStatus {
    const state = this.up ? 'online' : 'offline';
    return { state, lastContactWallMs: null, lastError: null, nextAttemptInMs: null };
  }

  /** The member keys of the phones made so far, by key id. */
  memberKeys(): readonly (readonly [string, Bytes])[] {
    return [...this.#keys];
  }

  /** A registered member's phone; with a balance it holds a card of this host's site as well. */
  phone(number: string, balanceMinor: number | null = null): SimulatedPhone {
    const state = withMembership(newPhoneState(number), this.membership(number, balanceMinor));
    return new SimulatedPhone({ memory: new VolatileMemory(state) });
  }

  /** A membership of a merchant, by default this host's own, whose keys this host knows. */
  membership(number: string, balanceMinor: number | null = null, merchantId = 'M1'): Membership {
    const memberKey = nativeCrypto.sha256(utf8(`key of ${number}`)).slice(0, 16);
    const memberKeyId = keyIdFrom(number, 'member');
    this.#keys.set(toHex(memberKeyId), memberKey);
    const membership = newMembership({
      ...{ merchantId, merchantPublicKey: '02'.repeat(33), token: '0'.repeat(16), answer: '' },
      ...{ memberKeyId: toHex(memberKeyId), memberKey: toHex(memberKey) },
    });
    const card = balanceMinor === null ? null : this.#card(keyIdFrom(number, 'card'), balanceMinor);
    return { ...membership, card };
  }

  #card(keyId: Bytes, balanceMinor: number) {
    const key = cardKey(nativeCrypto, siteKey, keyId);
    this.#keys.set(toHex(keyId), key);
    const issued: CardRecord = {
      ...{ cardKeyId: keyId, couponNumber, counter: 1, balanceMinor, currency: 'CNY', expiresAtSeconds: 0 },
      ...{ lastTransactionId: new Uint8Array(16), lastTerminal: new Uint8Array(6), lastKind: 'issue' },
      ...{ lastAmountMinor: balanceMinor, limitCategory: '' },
    };
    const record = encodeCardRecord(nativeCrypto, recordKey(nativeCrypto, siteKey, keyId), issued);
    return { keyId: toHex(keyId), key: toHex(key), slots: [toHex(record), '00'.repeat(96)] as [string, string] };
  }

  /** Yes to everything: points as the box computed them, cards written as their records allow. */
  accept(record: RecordBody): FinalAnswer {
    const { transactionId } = record;
    const yes = { outcome: 'accepted', transactionId, pointsPosted: null, coveredMinor: null, write: null } as const;
    const plain: FinalAnswer = { ...yes, balances: nothingKnown, notices: [] };
    if (record.kind === 'pointsEarn')
      return { ...plain, pointsPosted: record.points, balances: { ...nothingKnown, points: 1_000 + record.points } };
    if (record.kind === 'pointsSpend')
      return { ...plain, pointsPosted: record.points, coveredMinor: record.coveredMinor };
    if (record.kind === 'topUp')
      return {
        ...plain,
        coveredMinor: record.amountMinor,
        balances: { ...nothingKnown, couponMinor: 5_000 + record.amountMinor, currency: 'CNY' },
      };
    if (record.kind === 'couponDeduct') return { ...plain, coveredMinor: record.bill.totalMinor };
    if (
      record.kind === 'cardDebit' ||
      record.kind === 'cardCredit' ||
      record.kind === 'cardTopUp' ||
      record.kind === 'cardTopUpVoid'
    )
      return { ...plain, ...this.#cardWork(record) };
    return plain;
  }

  #cardWork(record: RecordOf<'cardDebit' | 'cardCredit' | 'cardTopUp' | 'cardTopUpVoid'>) {
    if (record.credential.method !== 'tap') throw new Error('a card is tapped');
    const keyId = hex(record.credential.keyId);
    const key = recordKey(nativeCrypto, siteKey, keyId);
    const slots = [hex(record.slots.slice(0, 192)), hex(record.slots.slice(192))] as const;
    const current = currentSlot(slots, (slot) => verifyCardRecord(nativeCrypto, key, keyId, slot));
    if (!current) throw new Error('the double issued no such card');
    const isDebit = record.kind === 'cardDebit' || record.kind === 'cardTopUpVoid';
    const balanceMinor = current.record.balanceMinor + (isDebit ? -record.amountMinor : record.amountMinor);
    const next: CardRecord = {
      ...current.record,
      ...{ counter: current.record.counter + 1, balanceMinor, lastAmountMinor: record.amountMinor },
      ...{ lastTransactionId: transactionIdBytes(record.transactionId as TransactionId) },
      ...{ lastTerminal: hex(record.terminalId.slice(2)), lastKind: isDebit ? 'debit' : 'credit' },
    };
    return {
      coveredMinor: record.amountMinor,
      balances: { ...nothingKnown, couponMinor: balanceMinor, currency: 'CNY' as const },
      write: {
        slot: current.slot === 0 ? (1 as const) : (0 as const),
        record: toHex(encodeCardRecord(nativeCrypto, key, next)),
      },
    };
  }

  grant(request: SessionRequest): SessionResponse {
    const key = this.#keys.get(request.keyId);
    if (!key) return { outcome: 'refused', code: 'credential.unknown' };
    const transcript = {
      ...{ key: request.key, counter: request.counter, keyId: hex(request.keyId), context: hex(request.context) },
      ...{ terminalNonce: hex(request.terminalNonce), phoneNonce: hex(request.phoneNonce) },
    };
    if (!verifyPhoneProof(nativeCrypto, key, transcript, hex(request.proof)))
      return { outcome: 'refused', code: 'credential.wrongProof' };
    const { terminalProof, keys } = grantSession(nativeCrypto, key, transcript);
    const session: SessionGrant = {
      terminalProof: toHex(terminalProof),
      encryptionKey: toHex(keys.encryptionKey),
      macKey: toHex(keys.macKey),
    };
    return { outcome: 'granted', session };
  }

  /** 1,000 points and one coupon of 30.00 yuan to every member whose proof holds. */
  tellBalances({ credential, transactionId }: InquiryRequest): InquiryResponse {
    const { method, ...proven } = credential;
    const context = encodeContext({
      transactionId: transactionIdBytes(transactionId),
      terminal: hex(this.store.identity()?.terminalId.slice(2) ?? ''),
      ...inquiryShown,
    });
    const granted =
      method === 'tap' ? this.grant({ ...(proven as Omit<SessionRequest, 'context'>), context: toHex(context) }) : null;
    if (granted?.outcome === 'refused') return granted;
    const coupon = {
      codeEnd: '0128',
      holder: 'host',
      balanceMinor: 3_000,
      currency: 'CNY',
      expiresAtMs: null,
    } as const;
    return {
      ...{ outcome: 'known', points: 1_000, pointsOwed: 0, tier: 'member', couponsMore: 0 },
      coupons: [{ ...coupon, limitCategory: null, limitProducts: null }],
      session: granted?.session ?? null,
    };
  }

  /** The session that goes with an accepted tap; null where the phone did not prove for exactly this sale. */
  #sessionOf(record: RecordBody): SessionGrant | null {
    const operations = { pointsEarn: 'earn', pointsSpend: 'spend', couponDeduct: 'coupon' } as const;
    if (record.kind !== 'pointsEarn' && record.kind !== 'pointsSpend' && record.kind !== 'couponDeduct') return null;
    if (record.credential.method !== 'tap') return null;
    const operation: Operation = operations[record.kind];
    const context = encodeContext({
      transactionId: transactionIdBytes(record.transactionId as TransactionId),
      terminal: hex(record.terminalId.slice(2)),
      operation,
      amountMinor: record.bill.totalMinor,
      currency: record.bill.currency,
      points: record.kind === 'couponDeduct' ? 0 : record.points,
    });
    const { method: _method, ...proven } = record.credential;
    const response = this.grant({ ...proven, context: toHex(context) });
    return response.outcome === 'granted' ? response.session : null;
  }
}
