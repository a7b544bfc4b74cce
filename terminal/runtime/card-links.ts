/**
 * Card links: carries out the machine's card effects over the member application's protocol, one card at a time.
 * Session keys live here and nowhere else, for as long as the card is in the field.
 */

import type { ApduLink } from '../../drivers/contract/transport.js';
import type { SignedTap } from '../../drivers/protocols/member/credential.js';
import { encodeContext, inquiryShown, type KeyName, type Operation } from '../../drivers/protocols/member/layout.js';
import {
  cardKey,
  type Grant,
  sessionKeys,
  type Transcript,
  terminalProof,
  verifyPhoneProof,
} from '../../drivers/protocols/member/proof.js';
import type { SecureChannel } from '../../drivers/protocols/member/secure-messaging.js';
import {
  type AnswerError,
  decodeDoneAnswer,
  decodePresentAnswer,
  decodeRecordsAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  grantFromHex,
  keyIdOf,
  mutualCommand,
  openSession,
  presentCommand,
  readRecordsCommand,
  resultCommand,
  type Selected,
  selectCommand,
  signCommand,
  transcriptOf,
  writeSlotCommand,
} from '../../drivers/protocols/member/session.js';
import type { Wallet } from '../../drivers/protocols/ose/ose.js';
import { isStorageCard } from '../../drivers/protocols/tag/type2.js';
import {
  type Credential,
  type PassCredential,
  type TagCredential,
  type TapCredential,
  transactionIdBytes,
} from '../../host-sync/protocol/record.js';
import type { SessionGrant, SessionRequest, SessionResponse } from '../../host-sync/protocol/sync.js';
import { offerFromCard } from '../core/card-offer.js';
import type { Effect } from '../core/effect.js';
import type { SaleEvent } from '../core/event.js';
import type { OfflineOffer } from '../core/offline-offer.js';
import type { SaleOutcome, SaleRequest } from '../core/sale.js';
import { type Bytes, concat, hex, toHex } from '../kernel/bytes.js';
import { type ErrorCode, errorTable, TerminalError } from '../kernel/errors.js';
import type { Crypto, TransactionId } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import { type AmountMinor, type DurationMs, durationMs } from '../kernel/units.js';
import type { Tap } from './offline-desk.js';
import type { Tags } from './tags.js';
import type { WallClock } from './wall-clock.js';
import type { TapMethod } from './wallet-settings.js';
import type { Wallets } from './wallets.js';

/** An event before the shell stamps it. */
type Unstamped<E> = E extends SaleEvent ? Omit<E, 'atMonotonicMs' | 'atWallMs' | 'clockDoubtful'> : never;
export type ShellEvent = Unstamped<SaleEvent>;

export interface CardLinksPorts {
  readonly crypto: Crypto;
  readonly clock: WallClock;
  readonly terminalId: () => string;
  /** Whose memberships are accepted here, in the order in which they are asked for; none before the host has told. */
  readonly merchants: () => readonly string[];
  /** Null where this box holds no site key. */
  readonly siteKey: () => Bytes | null;
  readonly siteSpentMinor: (cardKeyId: string) => AmountMinor;
  readonly categoryOf: (productCode: string) => string | null;
  readonly hostReachable: () => boolean;
  /** What a tap is asked for, in the merchant's order. */
  readonly tapOrder: readonly TapMethod[];
  /** Null: no wallet is asked. */
  readonly wallets: Pick<Wallets, 'select' | 'readApple' | 'readGoogle'> | null;
  /** Null: no tag is read. */
  readonly tags: Pick<Tags, 'read'> | null;
  /** Whether the host decides, else what the box may for this tap. `proof` null: a pass or tag, which proves no key here. */
  readonly decider: (
    credential: Credential,
    proof: Tap | null,
  ) => { readonly hostReachable: boolean; readonly offlineOffer: OfflineOffer | null };
  /** Without the host: is the phone to sign this tap by its credential? */
  readonly wantsSignature: (operation: Operation, tap: Tap) => boolean;
  /** Without the host: why nothing is paid from a card under the site key, before that key has verified it; null: nothing speaks against it. */
  readonly cardRefusal: (tap: Tap) => ErrorCode | null;
  /** A key id or coupon code that pays nothing any more. */
  readonly isBlocked: (name: string) => boolean;
  /** Null: no answer within the deadline. */
  readonly askSession: (request: SessionRequest) => Promise<SessionResponse | null>;
}

/** Longest wait for one answer of a card. */
const apduTimeout: DurationMs = durationMs(2_000);
/** Cards remembered at once; the reader shows one, a flapping one leaves its predecessors behind for a moment. */
const linksMax = 8;

interface Card {
  readonly link: ApduLink;
  transcript: Transcript | null;
  proof: Bytes | null;
  tap: Tap | null;
  transactionId: string | null;
  grant: Grant | null;
  channel: SecureChannel | null;
  /** The wallet that is selected on the card now; null: something else is. */
  wallet: Wallet | null;
  /** Resolves when an inquiry lets go of the card; null: none has it. */
  inquiry: Promise<void> | null;
}

type Presenting = Extract<Effect, { type: 'presentCredential' }>;

/** For what a card is asked who it is. */
interface Question {
  readonly key: KeyName;
  readonly terminalNonce: string;
  readonly context: {
    readonly transactionId: TransactionId;
    readonly operation: Operation;
    readonly amountMinor: number;
    readonly currency: string;
    readonly points: number;
  };
  /** Nobody but the host can answer it: a member's phone is not asked to prove where the host is not there. */
  readonly hostOnly: boolean;
}
/** What a card said it is. `proof` null: a pass or tag, which proves no key here. */
interface Presented {
  readonly credential: TapCredential | PassCredential | TagCredential;
  readonly proof: Tap | null;
}

/** What an inquiry tells a phone, in a session that its host granted. */
export interface InquiryResult {
  readonly session: SessionGrant;
  readonly points: number;
  /** null: the phone is told of no coupon. */
  readonly couponMinor: number | null;
  readonly currency: string | null;
}
/** An inquiry's hold on one card. */
export interface CardInquiry {
  /** Who it is; the code of a card that did not say, `device.closed` where a sale has taken the card over. */
  readonly credential: Promise<Result<Credential, ErrorCode>>;
  /** Shows the result on the phone, as far as it is still there. Never rejects. */
  tell(result: InquiryResult): Promise<void>;
  /** Its answer counts once: a sale must ask the card anew, by a new tap. */
  useUp(): void;
  /** Lets go of the card, behind the command that is under way. */
  end(): void;
}

class LinkProblem extends Error {
  constructor(readonly code: ErrorCode) {
    super(code);
  }
}

export class CardLinks {
  readonly #cards = new Map<string, Card>();
  constructor(private readonly ports: CardLinksPorts) {}

  /** A card came into the field. The oldest of too many is let go. */
  add(link: ApduLink): void {
    this.#cards.set(link.id, {
      link,
      ...{
        transcript: null,
        proof: null,
        tap: null,
        transactionId: null,
        grant: null,
        channel: null,
        wallet: null,
        inquiry: null,
      },
    });
    for (const [id, card] of this.#cards) {
      if (this.#cards.size <= linksMax) break;
      this.#cards.delete(id);
      void card.link.close();
    }
  }

  /** The card that lies in the field unused; null: none. A sale that begins now takes it as presented. */
  waiting(): string | null {
    for (const [linkId, card] of this.#cards) if (card.transactionId === null) return linkId;
    return null;
  }

  remove(linkId: string): void {
    this.#cards.delete(linkId);
  }

  /** The host opened a session for this transaction's tap; the card may still be there to be told. */
  grant(transactionId: string, grant: SessionGrant): void {
    for (const card of this.#cards.values()) if (card.transactionId === transactionId) card.grant = grantFromHex(grant);
  }

  /**
   * Asks who it is, method by method in the merchant's order, in one pass of the field; the first that answers is taken. Only
   * the application carries a card's record, so nothing else is asked for one.
   */
  async presentCredential(effect: Presenting): Promise<ShellEvent> {
    const { linkId } = effect;
    return this.#guarded(linkId, async (card) => {
      if (card.inquiry) await card.inquiry;
      const { credential, proof: tap } = await this.#identify(card, { ...effect, hostOnly: false });
      card.transactionId = effect.context.transactionId;
      const { operation } = effect.context;
      // Of a card's debit it is known only later that the host is not there.
      const mustSign =
        tap && effect.key === 'member' && !this.ports.hostReachable() && this.ports.wantsSignature(operation, tap);
      const decided = this.ports.decider(credential, mustSign ? { ...tap, signed: await this.#sign(card) } : tap);
      if (credential.method !== 'tap') return { type: 'passRead', linkId, credential, ...decided };
      const { keyId, phoneNonce, counter, proof: proved } = credential;
      return { type: 'proofReceived', linkId, keyId, phoneNonce, counter, proof: proved, ...decided };
    });
  }

  async #identify(card: Card, question: Question): Promise<Presented> {
    const wished = question.key === 'card' ? (['application'] as const) : this.ports.tapOrder;
    // A storage card has no applications: it is not asked for one.
    const order = isStorageCard(card.link.atr) ? wished.filter((method) => method === 'tag') : wished;
    let hindrance: ErrorCode | null = null;
    for (const method of order) {
      try {
        return await this.#methods[method](card, question);
      } catch (error) {
        if (!(error instanceof LinkProblem) || !passesOn(error.code)) throw error;
        if (!isAbsent(error.code)) hindrance ??= error.code;
      }
    }
    throw new LinkProblem(hindrance ?? 'card.noApplication');
  }

  /**
   * Asks the card who it is while no sale is open, with the operation `inquire`. The card stays: a sale that begins takes it as
   * presented, behind the command that is under way at most.
   */
  inquire(linkId: string, transactionId: TransactionId, terminalNonce: string): CardInquiry | null {
    const real = this.#cards.get(linkId);
    if (!real || real.transactionId !== null || real.inquiry) return null;
    let isOver = false;
    let underWay: Promise<unknown> = Promise.resolve();
    /** One of the link's ways of sending, for as long as the inquiry has it. */
    const whileOurs =
      (send: ApduLink['transmit']): ApduLink['transmit'] =>
      async (command, timeout) => {
        if (isOver) return err({ code: 'device.closed', detail: 'a sale has taken it' });
        const answer = send(command, timeout);
        underWay = answer;
        return answer;
      };
    const { passThrough } = real.link;
    const link: ApduLink = {
      id: linkId,
      atr: real.link.atr,
      transmit: whileOurs((command, timeout) => real.link.transmit(command, timeout)),
      ...(passThrough && { passThrough: whileOurs(passThrough.bind(real.link)) }),
      close: () => Promise.resolve(),
    };
    // What this exchange leaves behind is not the sale's, which begins with a new SELECT.
    const card: Card = { ...real, link };
    let letGo = (): void => {};
    real.inquiry = new Promise((resolve) => {
      letGo = resolve;
    });
    const question = {
      key: 'member',
      terminalNonce,
      context: { transactionId, ...inquiryShown },
      hostOnly: true,
    } as const;
    return {
      credential: caught(async () => (await this.#identify(card, question)).credential),
      tell: async ({ session, ...balances }) => {
        const { transcript } = card;
        if (!transcript) return;
        await caught(async () => {
          await this.#mutual(card, transcript, grantFromHex(session));
          await this.#sendResult(card, { outcome: 'accepted', text: '', ...balances });
        });
      },
      useUp: () => {
        real.transactionId = transactionId;
      },
      end: () => {
        isOver = true;
        void underWay.finally(() => {
          real.inquiry = null;
          letGo();
        });
      },
    };
  }

  /** How each method asks. It throws where it is not on this card (`card.noApplication`, `pass.none`) or fails. */
  readonly #methods: Readonly<Record<TapMethod, (card: Card, question: Question) => Promise<Presented>>> = {
    application: (card, question) => this.#presentApplication(card, question),
    vas: async (card, { hostOnly }) => {
      const { wallets, wallet } = await this.#wallet(card);
      if (wallet.wallet !== 'apple') throw new LinkProblem('pass.none');
      if (hostOnly) this.#needHost();
      return { credential: value(await wallets.readApple(card.link)), proof: null };
    },
    smartTap: async (card, { hostOnly }) => {
      const { wallets, wallet } = await this.#wallet(card);
      if (wallet.wallet !== 'google') throw new LinkProblem('pass.none');
      if (hostOnly) this.#needHost();
      return { credential: value(await wallets.readGoogle(card.link, wallet)), proof: null };
    },
    tag: async (card) => {
      const { tags } = this.ports;
      if (!tags) throw new LinkProblem('card.noApplication');
      card.wallet = null;
      return { credential: value(await tags.read(card.link)), proof: null };
    },
  };

  #needHost(): void {
    if (!this.ports.hostReachable()) throw new LinkProblem('host.unreachable');
  }

  /** The wallet on the card, selected once as long as nothing else is. */
  async #wallet(card: Card) {
    const { wallets } = this.ports;
    if (!wallets) throw new LinkProblem('pass.none');
    card.wallet ??= value(await wallets.select(card.link));
    return { wallets, wallet: card.wallet };
  }

  /**
   * The first membership that the card has of the merchants served here; it says nothing of any other. For its balance only the
   * counter's own merchant is asked: a partner's money on the card is nothing to take here, with or without the host.
   */
  async #selectMembership(card: Card, key: Question['key']): Promise<Selected & { readonly merchantId: string }> {
    const served = this.ports.merchants();
    for (const merchantId of key === 'card' ? served.slice(0, 1) : served) {
      const answer = decodeSelectAnswer(await this.#transmit(card, selectCommand(this.ports.crypto, merchantId)));
      if (answer.ok || answer.error.code !== 'card.noApplication') return { ...value(answer), merchantId };
    }
    throw new LinkProblem('card.noApplication');
  }

  async #presentApplication(card: Card, question: Question): Promise<Presented> {
    card.wallet = null;
    const { key } = question;
    const selected = await this.#selectMembership(card, key);
    const keyId = keyIdOf(selected, key);
    if (!keyId) throw new LinkProblem('card.absent');
    if (question.hostOnly) this.#needHost();
    const context = encodeContext({
      ...question.context,
      transactionId: transactionIdBytes(question.context.transactionId),
      terminal: hex(this.ports.terminalId().slice(2)),
    });
    const asked = { key, terminalNonce: hex(question.terminalNonce), context };
    const presented = value(
      decodePresentAnswer(await this.#transmit(card, presentCommand(key, asked.terminalNonce, context))),
    );
    const transcript = transcriptOf(selected, presented, asked);
    card.transcript = transcript;
    card.proof = presented.proof;
    card.grant = null;
    card.channel = null;
    const credential: TapCredential = {
      ...{ method: 'tap', key, terminalNonce: question.terminalNonce, keyId: toHex(keyId) },
      ...{ phoneNonce: toHex(selected.phoneNonce), counter: presented.counter, proof: toHex(presented.proof) },
    };
    const { proof, localProof } = presented;
    const { merchantId, memberKeyId } = selected;
    card.tap = { transcript, proof, localProof, merchantId, memberKeyId, signed: null };
    return { credential, proof: card.tap };
  }

  /** The phone's credential and its signature over the tap that it has just proved, or that it has none. */
  async #sign(card: Card): Promise<Result<SignedTap, ErrorCode>> {
    const answer = decodeSignAnswer(await this.#transmit(card, signCommand()));
    if (!answer.ok && answer.error.code === 'credential.missing') return err(answer.error.code);
    return ok(value(answer));
  }

  /** By the host where it answers, else by the site key where both the box and the service have it. */
  async openSession({
    linkId,
    siteAllowed,
    settles,
  }: Pick<Extract<Effect, { type: 'openSession' }>, 'linkId' | 'siteAllowed' | 'settles'>): Promise<ShellEvent> {
    return this.#guarded(linkId, async (card) => {
      const { transcript, proof } = card;
      if (!transcript || !proof) throw new LinkProblem('card.unreadable');
      const response = this.ports.hostReachable()
        ? await this.ports.askSession(sessionRequestOf(transcript, proof))
        : null;
      if (response?.outcome === 'refused') return { type: 'sessionRefused', linkId, code: response.code };
      const grant = response
        ? grantFromHex(response.session)
        : siteAllowed
          ? ((settles ? null : await this.#siteRefusal(card)) ?? this.#siteGrant(transcript, proof))
          : 'host.unreachable';
      if (typeof grant === 'string') return { type: 'sessionRefused', linkId, code: grant };
      await this.#mutual(card, transcript, grant);
      return { type: 'sessionOpened', linkId, authority: response ? 'host' : 'site' };
    });
  }

  async readCard(linkId: string, request: SaleRequest, authority: 'host' | 'site'): Promise<ShellEvent> {
    return this.#guarded(linkId, async (card) => {
      const step = readRecordsCommand(this.ports.crypto, channelOf(card));
      const read = value(
        decodeRecordsAnswer(this.ports.crypto, step.pending, await this.#transmit(card, step.command)),
      );
      card.channel = read.channel;
      return {
        type: 'cardRead',
        linkId,
        slots: toHex(concat(...read.slots)),
        siteOffer:
          authority === 'site' && request.service.name === 'couponCard'
            ? this.#siteOffer(card, request, read.slots)
            : null,
      };
    });
  }

  async writeCard(effect: Extract<Effect, { type: 'writeCard' }>): Promise<ShellEvent> {
    return this.#guarded(effect.linkId, async (card) => {
      const step = writeSlotCommand(this.ports.crypto, channelOf(card), effect.write.slot, hex(effect.write.record));
      card.channel = value(decodeDoneAnswer(this.ports.crypto, step.pending, await this.#transmit(card, step.command)));
      return { type: 'cardWritten', linkId: effect.linkId };
    });
  }

  /** Tells the phone its result where a session can be had, then lets it go. Whether it arrives changes nothing. */
  async releaseCard(linkId: string, outcome: SaleOutcome | null): Promise<void> {
    const card = this.#cards.get(linkId);
    if (!card) return;
    try {
      if (outcome && card.transcript && card.grant && !card.channel)
        await this.#mutual(card, card.transcript, card.grant);
      if (outcome && card.channel) {
        const balances = outcome.result === 'unknown' ? null : outcome.balances;
        await this.#sendResult(card, {
          outcome: outcome.result,
          points: balances?.points ?? null,
          couponMinor: balances?.couponMinor ?? null,
          currency: balances?.couponMinor == null ? null : balances.currency,
          text: outcome.result === 'accepted' ? '' : errorTable[outcome.code].zh,
        });
      }
    } catch (error) {
      if (!(error instanceof LinkProblem)) throw error;
    } finally {
      this.#cards.delete(linkId);
      await card.link.close();
    }
  }

  async #sendResult(card: Card, result: Parameters<typeof resultCommand>[2]): Promise<void> {
    const step = resultCommand(this.ports.crypto, channelOf(card), result);
    await this.#transmit(card, step.command);
  }

  /** Why nothing new is paid from this card under the site key; null: it may be. */
  async #siteRefusal(card: Card): Promise<ErrorCode | null> {
    const { tap } = card;
    if (!tap || this.ports.siteKey() === null) return 'host.unreachable';
    const signed = this.ports.wantsSignature('cardDebit', tap) ? await this.#sign(card) : null;
    return this.ports.cardRefusal({ ...tap, signed });
  }

  #siteGrant(transcript: Transcript, proof: Bytes): Grant | ErrorCode {
    const { crypto } = this.ports;
    const siteKey = this.ports.siteKey();
    if (!siteKey || transcript.key !== 'card') return 'host.unreachable';
    const key = cardKey(crypto, siteKey, transcript.keyId);
    if (!verifyPhoneProof(crypto, key, transcript, proof)) return 'credential.wrongProof';
    return { terminalProof: terminalProof(crypto, key, transcript), keys: sessionKeys(crypto, key, transcript) };
  }

  #siteOffer(card: Card, request: SaleRequest, slots: readonly [Bytes, Bytes]) {
    const { crypto, clock } = this.ports;
    const siteKey = this.ports.siteKey();
    if (!siteKey || !card.transcript) return null;
    const { atWallMs, clockDoubtful } = clock.now();
    const offer = offerFromCard(crypto, request, {
      siteKey,
      slots,
      atWallMs,
      clockDoubtful,
      cardKeyId: card.transcript.keyId,
      terminalId: this.ports.terminalId(),
      spentTodayMinor: this.ports.siteSpentMinor(toHex(card.transcript.keyId)),
      categories: request.bill.lines.map((line) => (line.code === null ? null : this.ports.categoryOf(line.code))),
    });
    const couponCode = offer.balances?.couponCode ?? null;
    return couponCode !== null && this.ports.isBlocked(couponCode)
      ? ({ offer: 'refuses', code: 'credential.blocked', balances: null } as const)
      : offer;
  }

  async #mutual(card: Card, transcript: Transcript, grant: Grant): Promise<void> {
    const answer = await this.#transmit(card, mutualCommand(grant));
    card.channel = value(openSession(this.ports.crypto, grant, transcript, answer));
  }

  async #transmit(card: Card, command: Bytes): Promise<Bytes> {
    const answer = await card.link.transmit(command, apduTimeout);
    if (!answer.ok) throw new LinkProblem(answer.error.code);
    return answer.value;
  }

  async #guarded(linkId: string, work: (card: Card) => Promise<ShellEvent>): Promise<ShellEvent> {
    const card = this.#cards.get(linkId);
    if (!card) return { type: 'linkFailed', linkId, code: 'device.cardRemoved' };
    const done = await caught(() => work(card));
    return done.ok ? done.value : { type: 'linkFailed', linkId, code: done.error };
  }
}

/** What went wrong with a card, by its code; a bug goes on. */
async function caught<T>(work: () => Promise<T>): Promise<Result<T, ErrorCode>> {
  try {
    return ok(await work());
  } catch (error) {
    if (error instanceof LinkProblem || error instanceof TerminalError) return err(error.code);
    throw error;
  }
}

const isAbsent = (code: ErrorCode): boolean => code === 'card.noApplication' || code === 'pass.none';
/** Behind an application without a member's key and a wallet that gives nothing good, the next method may be tried. */
const hinders: readonly ErrorCode[] = ['card.absent', 'credential.replayed'];
/** May another method be tried behind this? Not behind a link that failed, nor behind an application that refused. */
const passesOn = (code: ErrorCode): boolean => isAbsent(code) || code.startsWith('pass.') || hinders.includes(code);

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: Pick<AnswerError, 'code'> },
): T {
  if (!result.ok) throw new LinkProblem(result.error.code);
  return result.value;
}

function channelOf(card: Card): SecureChannel {
  if (!card.channel) throw new LinkProblem('card.unreadable');
  return card.channel;
}

const sessionRequestOf = (transcript: Transcript, proof: Bytes): SessionRequest => ({
  key: transcript.key,
  keyId: toHex(transcript.keyId),
  terminalNonce: toHex(transcript.terminalNonce),
  phoneNonce: toHex(transcript.phoneNonce),
  counter: transcript.counter,
  proof: toHex(proof),
  context: toHex(transcript.context),
});
