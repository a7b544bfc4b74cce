/**
 * Content over the air: makes a member's package when it is due, sends its parts, sends again what the phone says is missing,
 * reminds it, and keeps what it has confirmed (docs/protocols/phone.md, "Content over the air"). Every step is in the store
 * before its message leaves. Must not decide what is shown (package-content.ts) or log a text.
 */
import {
  type EraseContent,
  encodePackageContent,
  type FullContent,
  formatPackagePart,
  type PackageAnswer,
  type PackageHead,
  packagePartCount,
  parsePackageAnswer,
  rawSignature,
  sealPackage,
  signedBytes,
  verifyPackageAnswer,
} from '../../../drivers/protocols/member/package.js';
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import type { Clock, Crypto, KeyAgreement, KeyPair, Random, WalletCrypto } from '../../../terminal/kernel/ports.js';
import { err, ok } from '../../../terminal/kernel/result.js';
import { put, type WorkingSet } from '../ledger/facts.js';
import type { Row } from '../ledger/tables.js';
import { planContext, putSetting, raiseDirectives, setting } from '../service/settings.js';
import type { Answered, CouponView, Host, MemberView } from '../service/types.js';
import type { HostStore } from '../storage/port.js';
import type { HostVault } from '../vault.js';
import { credentialFor, renewalOf } from './credentials.js';
import { currentKey } from './current-key.js';
import { fullContent } from './package-content.js';
import type { Handling, IncomingMessage, MessagePort } from './port.js';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
/** After so long without a word from the phone its last part is sent again, which it answers with what it has or lacks. */
export const remindAfterMs: readonly number[] = [hourMs, 6 * hourMs, 24 * hourMs, 72 * hourMs, 168 * hourMs];
/** A package's parts may be sent so many times over, with its reminders: then it is given up until a person asks again. */
export const sendingsMax = 4;
/** Between two packages that nobody asked for: one member's changes cost messages once an hour. */
export const betweenPackagesMs = hourMs;
/** So far may a phone's version be ahead of this host's, restored from a backup: one an hour makes so many in more than a year. */
export const versionsAheadMax = 10_000;
/** Messages that one call of `work` sends, and packages that it looks at; the rest waits for the next. */
export const messagesPerWorkMax = 64;
const rowsPerWork = 200;
/** How often credentials that near their end are looked for. */
const renewalsEveryMs = hourMs;
/** Coupons of one member that are looked at. */
const couponsMax = 999;
const membersPerPage = 500;
/** Under which the key pairs stand among the secrets, each as scalar(32) ‖ compressed point(33). */
const signerId = 'packageSigner';
const credentialSignerId = 'credentialSigner';

type PackageRow = Row<'phonePackage'>;

export interface PackageView extends Omit<PackageRow, 'sealed' | 'contentHash' | 'open' | 'toSend'> {
  readonly parts: number;
  /** Parts that are to be sent now. */
  readonly waiting: number;
}

export interface Refresh {
  /** Sends a package now; one whose content the phone has confirmed is sent again all the same. `credential.unknown`: no phone. */
  request(memberCode: string): Answered<PackageView>;
  /** The same for every member with a phone, a few at a time. @returns how many */
  requestAll(): Answered<{ readonly members: number }>;
  /** What a phone shows has changed: a package in some time, where the member has ever had one. */
  changed(memberCode: string): Promise<void>;
  /** A phone was registered: what another one of the member showed, this one is sent now; and its credential, where it can sign. */
  phoneRegistered(memberCode: string): Promise<void>;
  /**
   * Has the member's phone remove all data of this membership, and blocks its key when it has. `keyId`: which phone, also a
   * blocked one; null: the one in use. `credential.unknown` · `coupon.wrongHolder`: a card in it holds money and is not blocked.
   */
  erase(memberCode: string, keyId: string | null): Answered<PackageView>;
  /** null: this member never had a package. */
  view(memberCode: string): Promise<PackageView | null>;
  handle(message: IncomingMessage): Promise<Handling>;
  /** Does what is due. Call it every few seconds. */
  work(): Promise<void>;
}

export interface RefreshOptions {
  readonly host: Pick<Host, 'members' | 'coupons' | 'pages' | 'rules'>;
  readonly store: HostStore;
  readonly port: MessagePort;
  readonly vault: Pick<HostVault, 'wrap' | 'unwrap'>;
  readonly crypto: Crypto;
  readonly agreement: Pick<KeyAgreement, 'generateKeyPair'>;
  readonly signP256: WalletCrypto['signP256'];
  readonly random: Random;
  readonly clock: Clock;
  /** From a change to its package; 0: only on command. */
  readonly delayMs: number;
}

const rejected = (reason: string): Handling => ({ outcome: 'rejected', reason });
const done: Handling = { outcome: 'done' };
const allParts = (count: number): number => 2 ** count - 1;
const partsIn = (mask: number): readonly number[] =>
  Array.from({ length: 32 }, (_, at) => at + 1).filter((part) => Math.floor(mask / 2 ** (part - 1)) % 2 === 1);
const without = (mask: number, gone: number): number => (mask & ~gone) >>> 0;
const partCountOf = (row: PackageRow): number => packagePartCount(row.sealed.length);

function viewOf({ sealed, contentHash: _hash, open: _open, toSend, ...row }: PackageRow): PackageView {
  return { ...row, parts: packagePartCount(sealed.length), waiting: partsIn(toSend).length };
}

const newRow = (memberCode: string): PackageRow => ({
  id: memberCode,
  version: 0,
  kind: 'full',
  keyId: '',
  sealed: new Uint8Array(0),
  contentHash: '',
  state: 'due',
  open: null,
  toSend: 0,
  messages: 0,
  reminders: 0,
  lastSentAtMs: 0,
  dueAtMs: null,
  madeAtMs: 0,
  haveVersion: 0,
  haveAtMs: null,
  renewAtMs: null,
});

/** A key pair of this store, by its name among the secrets: drawn once, kept wrapped. */
async function pairOf({ store, vault, agreement }: RefreshOptions, id: string): Promise<KeyPair> {
  const drawn = agreement.generateKeyPair();
  const kept = await store.transact(
    (need) => void need.get('secret', id),
    (facts) => {
      const secret = facts.get('secret', id);
      if (secret) return vault.unwrap(secret.wrapped);
      const pair = Uint8Array.from([...drawn.privateKey, ...drawn.publicKey]);
      facts.write([put('secret', { id, wrapped: vault.wrap(pair) })]);
      return pair;
    },
  );
  return { privateKey: kept.slice(0, 32), publicKey: kept.slice(32) };
}

/** Says in the clear, once, what boxes verify credentials by: telling them opens no secret. */
async function publishKey(store: HostStore, credentialKey: string, nowMs: number): Promise<void> {
  await store.transact(
    (need) => {
      planContext(need);
      need.get('setting', 'credentialKey');
    },
    (facts) => {
      if (setting(facts, 'credentialKey') === credentialKey) return;
      facts.write([putSetting('credentialKey', credentialKey), raiseDirectives(facts, nowMs)]);
    },
  );
}

class PackageDesk implements Refresh {
  /** Making and sending, one after the other: two at once would send twice. */
  #queue: Promise<unknown> = Promise.resolve();
  #cursor: string | null = null;
  /** Where the look at renewals stands, and when the next one begins. */
  #renewals: { after: string | null; nextAtMs: number } = { after: null, nextAtMs: 0 };

  constructor(
    private readonly options: RefreshOptions,
    /** Signs packages. */
    private readonly signer: KeyPair,
    /** Signs credentials. */
    private readonly credentialSigner: KeyPair,
  ) {}

  async request(memberCode: string): Answered<PackageView> {
    const member = await this.options.host.members.byCode(memberCode);
    if (!member || !currentKey(member))
      return err({ code: 'credential.unknown', detail: 'no phone of this member is registered' });
    // An empty hash: also what the phone has already is made and sent anew.
    await this.#change(memberCode, (row) => ({ ...row, dueAtMs: this.#now(), open: 'open', contentHash: '' }));
    await this.#inTurn(() => this.#attend(memberCode, messagesPerWorkMax));
    const view = await this.view(memberCode);
    return view ? ok(view) : err({ code: 'credential.unknown', detail: 'no such member' });
  }

  async requestAll(): Answered<{ readonly members: number }> {
    let members = 0;
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<Host['members']['list']>> = await this.options.host.members.list({
        cursor,
        limit: membersPerPage,
      });
      for (const { id } of page.rows) {
        const member = await this.options.host.members.byCode(id);
        if (!member || !currentKey(member)) continue;
        await this.#change(id, (row) => ({ ...row, dueAtMs: this.#now(), open: 'open' }));
        members++;
      }
      cursor = page.next;
    } while (cursor !== null);
    return ok({ members });
  }

  async changed(memberCode: string): Promise<void> {
    const { delayMs } = this.options;
    if (delayMs === 0 || (await this.view(memberCode)) === null) return;
    await this.#change(memberCode, (row) => {
      const dueAtMs = Math.max(this.#now() + delayMs, row.madeAtMs + betweenPackagesMs);
      return row.dueAtMs !== null && row.dueAtMs <= dueAtMs ? row : { ...row, dueAtMs, open: 'open' };
    });
  }

  async phoneRegistered(memberCode: string): Promise<void> {
    const coupons = await this.#coupons(memberCode);
    const hasContent = coupons.some(
      ({ holder, state, balanceMinor }) => holder === 'host' && state === 'active' && balanceMinor > 0,
    );
    const wanted = hasContent || (await this.view(memberCode)) !== null || (await this.#wantsCredential(memberCode));
    if (!wanted) return;
    await this.#change(memberCode, (row) => ({ ...row, dueAtMs: this.#now(), open: 'open' }));
  }

  /** Can the phone in use sign, and does the merchant give it a credential by itself? */
  async #wantsCredential(memberCode: string): Promise<boolean> {
    const { host, store, delayMs } = this.options;
    const member = await host.members.byCode(memberCode);
    const keyId = member && currentKey(member);
    if (!keyId || delayMs === 0 || (await host.rules.policy()).credentialDays === 0) return false;
    const key = await store.read(
      (need) => void need.get('memberKey', keyId),
      (facts) => facts.get('memberKey', keyId),
    );
    return (key?.publicKey.length ?? 0) > 0;
  }

  async erase(memberCode: string, keyId: string | null): Answered<PackageView> {
    const member = await this.options.host.members.byCode(memberCode);
    const phones = member?.keys.filter(({ kind }) => kind === 'phone') ?? [];
    const target = keyId === null ? member && currentKey(member) : phones.find((key) => key.keyId === keyId)?.keyId;
    if (!member || !target) return err({ code: 'credential.unknown', detail: 'no phone of this member is registered' });
    const onCards = (await this.#coupons(memberCode)).filter(
      ({ holder, balanceMinor }) => holder === 'card' && balanceMinor > 0,
    );
    const held = onCards.find(({ state }) => state === 'active');
    if (held)
      return err({
        code: 'coupon.wrongHolder',
        detail: `the card in the phone holds money: block coupon ${held.code} first`,
      });
    const forfeitedCards = onCards.flatMap(({ cardKeyId }) => (cardKeyId ? [hex(cardKeyId)] : [])).slice(-32);
    await this.#inTurn(async () => {
      await this.#make(member, target, { kind: 'erase', forfeitedCards }, true);
      await this.#attend(memberCode, messagesPerWorkMax);
    });
    const view = await this.view(memberCode);
    return view ? ok(view) : err({ code: 'credential.unknown', detail: 'no such member' });
  }

  async view(memberCode: string): Promise<PackageView | null> {
    const row = await this.#row(memberCode);
    return row ? viewOf(row) : null;
  }

  async handle(message: IncomingMessage): Promise<Handling> {
    const parsed = parsePackageAnswer(message.text);
    if (!parsed.ok) return rejected(`not an answer to a package (${parsed.error.code} at ${parsed.error.offset})`);
    const answer = parsed.value;
    const member = await this.options.host.members.byPhone(message.from, answer.merchantId);
    const row = member && (await this.#row(member.memberCode));
    if (!row) return rejected('no package was sent to this number');
    const key = await this.#keyOf(row.keyId);
    if (!key || !verifyPackageAnswer(this.options.crypto, key, answer))
      return rejected('the answer is not by the phone that the package is for');
    if (answer.version > row.version + versionsAheadMax) return rejected('no host has made so many packages');
    if (answer.word === 'HAVE' && row.kind === 'erase' && answer.version === row.version)
      // Before it counts as erased: a crash in between hears the answer again.
      await this.options.host.members.setKeyState(row.keyId, 'blocked');
    return this.#change(row.id, (now) => this.#answered(now, answer)).then(() => done);
  }

  #answered(row: PackageRow, answer: PackageAnswer): PackageRow {
    const nowMs = this.#now();
    if (answer.word === 'HAVE' && answer.version > row.version) {
      // A host restored from a backup: the phone knows a later package than this host. The next one is later still.
      const known = { ...row, version: answer.version, haveVersion: answer.version, haveAtMs: nowMs, toSend: 0 };
      // What was to erase is not turned into what fills again: a person says so anew.
      if (row.kind === 'erase') return settled({ ...known, state: 'stalled' });
      // As seldom as changes: a phone that claims one after the other costs no more messages than those.
      const dueAtMs = Math.max(nowMs, row.madeAtMs + betweenPackagesMs);
      return { ...known, state: 'due', open: 'open', dueAtMs, contentHash: '' };
    }
    const isCurrent = answer.version === row.version && row.state !== 'due';
    if (answer.word === 'HAVE') {
      const heard = { ...row, haveVersion: Math.max(answer.version, row.haveVersion), haveAtMs: nowMs };
      return isCurrent ? settled({ ...heard, state: 'confirmed' }) : heard;
    }
    if (!isCurrent || row.state === 'confirmed') return row;
    if (answer.word === 'KEPT') return row.kind === 'erase' ? settled({ ...row, state: 'kept' }) : row;
    const missing = (answer.missing & allParts(partCountOf(row))) >>> 0;
    // The phone is there: reminders begin anew. How often all is sent stays bounded.
    return { ...row, toSend: (row.toSend | missing) >>> 0, reminders: 0, state: 'sent', open: 'open' };
  }

  /** A page of those that wait for nothing but a renewal: one that is due, and whose phone confirmed the last package, gets a new one. */
  async #renew(): Promise<void> {
    if (this.options.delayMs === 0) return;
    const nowMs = this.#now();
    const { after, nextAtMs } = this.#renewals;
    if (after === null && nowMs < nextAtMs) return;
    const where = { lookup: 'open', value: 'renew' } as const;
    const rows = await this.options.store.page({ table: 'phonePackage', where, after, limit: rowsPerWork });
    for (const { id } of rows)
      await this.#change(id, (row) => {
        if (row.open !== 'renew' || row.renewAtMs === null || row.renewAtMs > nowMs) return row;
        const isHeard = row.state === 'confirmed';
        // One that is not heard waits, and its time stays: a HAVE that comes late takes it up again.
        return isHeard
          ? { ...row, dueAtMs: nowMs, open: 'open' }
          : { ...row, open: row.dueAtMs === null ? null : 'open' };
      });
    const isEnd = rows.length < rowsPerWork;
    this.#renewals = { after: isEnd ? null : (rows.at(-1)?.id ?? null), nextAtMs: nowMs + renewalsEveryMs };
  }

  async work(): Promise<void> {
    await this.#renew();
    const rows = await this.options.store.page({
      table: 'phonePackage',
      where: { lookup: 'open', value: 'open' },
      after: this.#cursor,
      limit: rowsPerWork,
    });
    let left = messagesPerWorkMax;
    for (const { id } of rows) {
      if (left <= 0) return;
      // Before it is tried: one that fails must not stand before the others.
      this.#cursor = id;
      left -= await this.#inTurn(() => this.#attend(id, left));
    }
    if (rows.length < rowsPerWork) this.#cursor = null;
  }

  /** What is due for one member: make, remind, send. @returns messages sent */
  async #attend(memberCode: string, messagesMax: number): Promise<number> {
    const nowMs = this.#now();
    const row = await this.#row(memberCode);
    if (row?.dueAtMs !== null && row && row.dueAtMs <= nowMs) await this.#makeFull(memberCode);
    const sending = await this.#change(memberCode, (one) => this.#nextSending(one, nowMs, messagesMax));
    const now = sending.toSend;
    const key = now === 0 || sending.open === null ? null : await this.#keyOf(sending.keyId);
    const member = key && (await this.options.host.members.byCode(memberCode));
    if (!key || !member) return 0;
    const parts = partsIn(now).slice(0, messagesMax);
    const head = { merchantId: member.merchant, version: sending.version };
    for (const part of parts) {
      const text = formatPackagePart(this.options.crypto, key, head, sending.sealed, part);
      await this.options.port.send({ to: member.phone, text });
    }
    const sent = parts.reduce((mask, part) => mask + 2 ** (part - 1), 0);
    await this.#change(memberCode, (one) =>
      one.version === sending.version ? { ...one, toSend: without(one.toSend, sent) } : one,
    );
    return parts.length;
  }

  /** Counts what is about to be sent, before it is: a crash sends it again, and counts it again. */
  #nextSending(row: PackageRow, nowMs: number, messagesMax: number): PackageRow {
    if (row.state !== 'sent') return row;
    let next = row;
    if (row.toSend === 0) {
      const waitMs = remindAfterMs[row.reminders];
      if (waitMs === undefined) return settled({ ...row, state: 'stalled' });
      if (nowMs < row.lastSentAtMs + waitMs) return row;
      next = { ...row, toSend: 2 ** (partCountOf(row) - 1), reminders: row.reminders + 1 };
    }
    const messages = next.messages + Math.min(partsIn(next.toSend).length, messagesMax);
    const isTooMany = messages > sendingsMax * partCountOf(row) + remindAfterMs.length;
    return isTooMany ? settled({ ...row, state: 'stalled' }) : { ...next, messages, lastSentAtMs: nowMs };
  }

  async #makeFull(memberCode: string): Promise<void> {
    const { host } = this.options;
    const member = await host.members.byCode(memberCode);
    const keyId = member && currentKey(member);
    const overview = keyId ? await host.pages.overview(memberCode) : null;
    const row = await this.#row(memberCode);
    // An erasure that is not confirmed is taken back by a person's request only, which leaves no hash.
    const isErasing =
      row?.kind === 'erase' && row.state !== 'confirmed' && row.keyId === keyId && row.contentHash !== '';
    if (isErasing) {
      await this.#change(memberCode, (one) => ({ ...one, dueAtMs: null, open: one.state === 'sent' ? 'open' : null }));
      return;
    }
    if (!member || !keyId || !overview) {
      await this.#change(memberCode, (one) => settled({ ...one, dueAtMs: null, renewAtMs: null }));
      return;
    }
    const head: PackageHead = { merchantId: member.merchant, version: 1, ...this.#fixedHead(keyId) };
    const coupons = await this.#coupons(memberCode);
    const parts = { ...this.options, signer: this.credentialSigner };
    const policy = await host.rules.policy();
    const credential = await credentialFor(parts, member, keyId, coupons, policy, this.#now());
    const content = fullContent(head, overview, coupons, await host.rules.current(), credential);
    await this.#make(member, keyId, content, false);
  }

  #fixedHead(keyId: string): Pick<PackageHead, 'memberKeyId' | 'signer'> {
    return { memberKeyId: hex(keyId), signer: this.signer.publicKey };
  }

  /** Makes the next package, or none where the phone has or is being sent the same. */
  async #make(member: MemberView, keyId: string, content: FullContent | EraseContent, always: boolean): Promise<void> {
    const { crypto, random, signP256 } = this.options;
    const { memberCode, merchant: merchantId } = member;
    const head = (version: number): PackageHead => ({ merchantId, version, ...this.#fixedHead(keyId) });
    const contentHash = toHex(crypto.sha256(encodePackageContent(head(1), content)));
    const key = await this.#keyOf(keyId);
    const iv = random.bytes(16);
    const renewAtMs = content.kind === 'full' && content.credential ? this.#renewalAt(content.credential) : null;
    await this.#change(memberCode, (row) => {
      const isSame = row.contentHash === contentHash && (row.state === 'sent' || row.state === 'confirmed');
      if (key === null || (isSame && !always))
        return row.state === 'sent'
          ? { ...row, dueAtMs: null, renewAtMs }
          : settled({ ...row, dueAtMs: null, renewAtMs });
      const version = row.version + 1;
      const bytes = encodePackageContent(head(version), content);
      const signature = rawSignature(signP256(this.signer.privateKey, signedBytes(bytes)));
      const sealed = sealPackage(crypto, key, { merchantId, version }, iv, bytes, signature);
      return {
        ...row,
        version,
        kind: content.kind,
        keyId,
        sealed,
        contentHash,
        state: 'sent',
        open: 'open',
        toSend: allParts(packagePartCount(sealed.length)),
        messages: 0,
        reminders: 0,
        dueAtMs: null,
        renewAtMs,
        madeAtMs: this.#now(),
      };
    });
  }

  /** One that cannot be made better now is looked at once a day. */
  #renewalAt(credential: Bytes): number {
    const atMs = renewalOf(credential);
    return atMs > this.#now() ? atMs : this.#now() + dayMs;
  }

  async #coupons(memberCode: string): Promise<readonly CouponView[]> {
    return (await this.options.host.coupons.ofMember(memberCode, { limit: couponsMax })).rows;
  }

  /** Also of a blocked phone: its erasure is sealed and confirmed by that key. */
  async #keyOf(keyId: string): Promise<Bytes | null> {
    const row = await this.options.store.read(
      (need) => void need.get('memberKey', keyId),
      (facts) => facts.get('memberKey', keyId),
    );
    return row?.kind === 'phone' ? this.options.vault.unwrap(row.wrapped) : null;
  }

  #row(memberCode: string): Promise<PackageRow | undefined> {
    return this.options.store.read(
      (need) => void need.get('phonePackage', memberCode),
      (facts) => facts.get('phonePackage', memberCode),
    );
  }

  /** Changes the row as it is then, durably. @returns it as it is now */
  #change(memberCode: string, change: (row: PackageRow) => PackageRow): Promise<PackageRow> {
    return this.options.store.transact(
      (need) => void need.get('phonePackage', memberCode),
      (facts: WorkingSet) => {
        const row = facts.get('phonePackage', memberCode) ?? newRow(memberCode);
        const next = change(row);
        if (next !== row) facts.write([put('phonePackage', next)]);
        return next;
      },
    );
  }

  #now(): number {
    return this.options.clock.wallMs();
  }

  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(task);
    this.#queue = turn.catch(() => {});
    return turn;
  }
}

/** Nothing more happens by itself, but for a package that is due. */
const settled = (row: PackageRow): PackageRow => ({
  ...row,
  toSend: 0,
  open: row.dueAtMs !== null ? 'open' : row.renewAtMs !== null ? 'renew' : null,
});

/** Opens the desk; the first time it draws the keys that sign packages and credentials. */
export async function openRefresh(options: RefreshOptions): Promise<Refresh> {
  const signer = await pairOf(options, signerId);
  const credentialSigner = await pairOf(options, credentialSignerId);
  await publishKey(options.store, toHex(credentialSigner.publicKey), options.clock.wallMs());
  return new PackageDesk(options, signer, credentialSigner);
}
