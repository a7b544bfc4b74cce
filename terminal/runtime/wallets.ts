/**
 * Wallets: reads a pass from the phone in the field and makes a credential of it, opened here or held back for the host.
 * Must not decide what a pass may do. The pass's number goes no further than this: its id names it.
 */
import type { ApduLink } from '../../drivers/contract/transport.js';
import { type Dialogue, type DialogueError, dialogueFault } from '../../drivers/protocols/card-dialogue.js';
import { decodeOseAnswer, selectOseCommand, type Wallet } from '../../drivers/protocols/ose/ose.js';
import { holdServiceObjects, readServiceObjects, selectSmartTap } from '../../drivers/protocols/smart-tap/session.js';
import { sessionName } from '../../drivers/protocols/smart-tap/session-name.js';
import {
  freshnessDefault,
  judgeFreshness,
  noUsedAnswers,
  type UsedAnswers,
} from '../../drivers/protocols/vas/freshness.js';
import { openPassAnswer, passTypeHash } from '../../drivers/protocols/vas/pass-answer.js';
import { askForPasses, type SealedPass } from '../../drivers/protocols/vas/session.js';
import { answerName, passId } from '../../drivers/protocols/wallet-pass/wallet-pass.js';
import type { PassCredential } from '../../host-sync/protocol/record.js';
import type { SmartTapRequest, SmartTapResponse } from '../../host-sync/protocol/smart-tap.js';
import { type Bytes, hex, toHex } from '../kernel/bytes.js';
import type { Clock, Crypto, KeyAgreement, Random, WalletCrypto } from '../kernel/ports.js';
import { ok, type Result } from '../kernel/result.js';
import type { Refusal } from './port.js';
import { runDialogue } from './run-dialogue.js';
import type { WallClock } from './wall-clock.js';
import type { WalletSettings } from './wallet-settings.js';

export interface WalletPorts {
  readonly settings: WalletSettings;
  readonly crypto: Crypto & KeyAgreement & WalletCrypto;
  readonly random: Random;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly wallClock: Pick<WallClock, 'now'>;
  /** Asked where the collector's key is the host's. */
  readonly host: {
    reachable(): boolean;
    /** @returns its answer, or why there is none within the deadline */
    signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<Result<SmartTapResponse, Refusal>>;
  };
  /** Told when Google's passes begin to fail for a reason that no member can mend, for another reason, or no more (null). */
  readonly googleTroubled: (trouble: Refusal | null) => void;
}
type Read = Promise<Result<PassCredential, DialogueError>>;
const hostSilent = (why: string) => dialogueFault('pass.hostSilent', null, why);
const noPass = dialogueFault('pass.none', null, 'not asked for here');

export class Wallets {
  /** Answers that this box has taken since it started; the host remembers for all boxes and for good. */
  #used: UsedAnswers = noUsedAnswers;
  #googleTrouble: Refusal | null = null;
  constructor(private readonly ports: WalletPorts) {}

  /** Why the last phone could not be asked for Google's pass by way of the host; null: it was, or none has come yet. */
  get googleTrouble(): Refusal | null {
    return this.#googleTrouble;
  }

  /** Keeps why Google's pass was not read; says it where that is new. */
  #keepTrouble(trouble: Refusal | null): void {
    const isNew = trouble?.code !== this.#googleTrouble?.code;
    this.#googleTrouble = trouble;
    if (isNew) this.ports.googleTroubled(trouble);
  }

  /** Which wallet is on the phone. */
  select(link: ApduLink): Promise<Result<Wallet, DialogueError>> {
    const select: Dialogue<Wallet> = {
      send: selectOseCommand(),
      next: (answer) => ({ end: decodeOseAnswer(answer) }),
    };
    return runDialogue(link, select, this.ports.clock);
  }

  /** The first of the merchant's passes that the phone gives; comes after `select` said apple. */
  async readApple(link: ApduLink): Read {
    const { settings, crypto, clock } = this.ports;
    const { apple } = settings;
    if (!apple) return noPass;
    const wanted = apple.passTypeIds.map((id) => ({ typeHash: passTypeHash(crypto, id), url: apple.signUpUrl }));
    const found = await runDialogue(link, askForPasses(wanted, { mode: apple.mode, all: false }), clock);
    if (!found.ok) return found;
    const [pass] = found.value;
    const issuer = apple.passTypeIds[wanted.findIndex(({ typeHash }) => typeHash === pass?.typeHash)];
    return pass && issuer !== undefined ? this.#fromApple(pass, issuer, apple.keys) : noPass;
  }

  #fromApple(pass: SealedPass, issuer: string, keys: NonNullable<WalletSettings['apple']>['keys']) {
    const { crypto } = this.ports;
    const answer = answerName(crypto, pass.sealed);
    if (keys.length === 0)
      return this.#fresh(answer, null, { method: 'sealedPass', issuer, answer, sealed: toHex(pass.sealed) });
    const opened = openPassAnswer(crypto, keys, pass.typeHash, pass.sealed);
    if (!opened.ok) return opened;
    const { atMs: answeredAtMs, message } = opened.value;
    if (answeredAtMs < 0) return dialogueFault('pass.outOfTime', null, 'before 1970');
    const id = passId(crypto, 'apple', issuer, message);
    return this.#fresh(answer, answeredAtMs, {
      method: 'walletPass',
      wallet: 'apple',
      passId: id,
      answer,
      answeredAtMs,
    });
  }

  /** Is this answer new here, and near its time as far as box and pass know the time? */
  #fresh(
    digest: string,
    answeredAtMs: number | null,
    credential: PassCredential,
  ): Result<PassCredential, DialogueError> {
    const { atWallMs, clockDoubtful } = this.ports.wallClock.now();
    const isJudged = answeredAtMs !== null && !clockDoubtful;
    const policy = { ...freshnessDefault, ...(isJudged ? {} : { windowMs: Number.POSITIVE_INFINITY }) };
    const judged = judgeFreshness(this.#used, { digest, atMs: answeredAtMs ?? atWallMs }, atWallMs, policy);
    if (!judged.fresh) return dialogueFault(judged.code, null, 'freshness');
    this.#used = judged.memory;
    return ok(credential);
  }

  /** The phone's pass for this collector; comes after `select` said google. */
  async readGoogle(link: ApduLink, wallet: Extract<Wallet, { wallet: 'google' }>): Read {
    const { settings, crypto, clock, random } = this.ports;
    const { google } = settings;
    if (!google) return noPass;
    if (!google.privateKey) return this.#holdGoogle(link, wallet.deviceNonce, google);
    const collector = { ...google, privateKey: google.privateKey };
    const secrets = { nonce: random.bytes(32), sessionId: random.bytes(8), ephemeral: crypto.generateKeyPair() };
    const request = { crypto, collector, secrets, wanted: 'loyalty' } as const;
    const found = await runDialogue(link, readServiceObjects(request, wallet.deviceNonce), clock);
    if (!found.ok) return found;
    const [object] = found.value;
    if (!object) return noPass;
    return ok({
      method: 'walletPass',
      wallet: 'google',
      passId: passId(crypto, 'google', String(collector.collectorId), object.number),
      answer: sessionName(crypto, secrets, collector.collectorId),
      answeredAtMs: null,
    });
  }

  /**
   * The same where the host has the key: it signs while the phone waits, and what the phone then gives only it can open. Where
   * it is away or does not answer in time, the phone is asked for nothing.
   */
  async #holdGoogle(
    link: ApduLink,
    givenNonce: Bytes | null,
    { collectorId }: NonNullable<WalletSettings['google']>,
  ): Read {
    const { settings, crypto, clock, random, host } = this.ports;
    if (!host.reachable()) return hostSilent('away');
    const selected = givenNonce ? ok(givenNonce) : await runDialogue(link, selectSmartTap(), clock);
    if (!selected.ok) return selected;
    const nonce = random.bytes(32);
    const request = { collectorId, terminalNonce: toHex(nonce), deviceNonce: toHex(selected.value) };
    const asked = await host.signSmartTap(request, settings.hostSignatureMs);
    if (!asked.ok) {
      this.#keepTrouble(asked.error);
      return hostSilent(asked.error.code);
    }
    const signed = asked.value;
    if (signed.outcome === 'refused') {
      this.#keepTrouble({ code: signed.code, detail: `collector ${collectorId}` });
      return signed.code === 'pass.unknownKey'
        ? dialogueFault('pass.unknownKey', null, 'the host has no such collector')
        : hostSilent(signed.code);
    }
    const secrets = { nonce, sessionId: random.bytes(8), ephemeral: { publicKey: hex(signed.ephemeralKey) } };
    const collector = { collectorId, keyVersion: signed.keyVersion };
    const held = { collector, secrets, signature: hex(signed.signature), wanted: 'loyalty' } as const;
    const found = await runDialogue(link, holdServiceObjects(held), clock);
    // A phone that turns this terminal down says that collector, key or version is wrong; all else it says is its own affair.
    const isTurnedDown = !found.ok && found.error.code === 'pass.refusedTerminal';
    this.#keepTrouble(isTurnedDown ? { code: 'pass.refusedTerminal', detail: found.error.detail } : null);
    if (!found.ok) return found;
    return ok({
      method: 'sealedSmartTap',
      answer: sessionName(crypto, secrets, collectorId),
      token: signed.token,
      deviceKey: toHex(found.value.deviceKey),
      bundle: toHex(found.value.bundle),
    });
  }
}
