/**
 * Host link: enrols the box, keeps its certificate fresh, begins a new epoch after a restore, and offers the sync client
 * to the terminal. Must not decide about sales, nor about what is sent when (the sync client does).
 */
import { sign, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { z } from 'zod';
import type { Schedule } from '../../drivers/contract/driver.js';
import type { Transcript } from '../../drivers/protocols/member/proof.js';
import { createSyncClient, type SyncClient } from '../../host-sync/client/client.js';
import { type Credentials, loadCredentials } from '../../host-sync/client/credentials.js';
import { enrol, renew, renewalDue } from '../../host-sync/client/enrolment.js';
import { createHostHttp, type HostHttp, httpsOrigin } from '../../host-sync/client/http.js';
import type { SyncLimits } from '../../host-sync/client/sync-state.js';
import type { InquiryRequest, InquiryResponse } from '../../host-sync/protocol/inquiry.js';
import type { SmartTapRequest, SmartTapResponse } from '../../host-sync/protocol/smart-tap.js';
import type {
  AllowanceRequest,
  AllowanceResponse,
  Directives,
  SessionRequest,
  SessionResponse,
  Watermark,
} from '../../host-sync/protocol/sync.js';
import type { Bytes } from '../kernel/bytes.js';
import { TerminalError } from '../kernel/errors.js';
import { parseJson } from '../kernel/json.js';
import { nativeCrypto, nativeKeyAgreement } from '../kernel/native.js';
import type { Clock, Random, TransactionId } from '../kernel/ports.js';
import { err, type Result } from '../kernel/result.js';
import { clonedMark, regressedAtSetting, regressedMark, replacedSetting, restoredSetting } from '../store/backup.js';
import type { TerminalStore } from '../store/port.js';
import { LocalKeys } from './local-keys.js';
import type { Refusal, SyncStatus } from './port.js';
import type { HostReply } from './sale-runner.js';
import { sealingKeyIn } from './sealing-key.js';
import type { HostLink } from './terminal.js';

export interface HostLinkOptions {
  /** Where the credentials are kept. */
  readonly keysFolder: string;
  readonly realm: 'real' | 'simulated';
  /** Empty: as the bootstrap file says (the embedded host). */
  readonly hostUrl: string;
  readonly authorityFile: string;
  readonly authorityFingerprint: string;
  readonly enrolmentCodeFile: string;
  /** Written by the embedded host at its start: `{code, authorityFingerprint, port}`; empty: there is none. */
  readonly bootstrapFile: string;
  readonly connectTimeoutMs: number;
  readonly silenceTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly limits: SyncLimits;
}

export interface HostLinkParts {
  readonly store: TerminalStore;
  readonly clock: Clock;
  readonly random: Random;
  readonly schedule: Schedule;
  readonly options: HostLinkOptions;
  readonly onStatus: (status: SyncStatus) => void;
  /** Sales must wait until this is null: not enrolled, or restored without a new epoch yet. */
  readonly onWaiting: (refusal: Refusal | null) => void;
}

/** How long until enrolment, epoch or renewal is tried again after a failure. */
const tryAgainMs = 5_000;
/** A box whose history is old twice within this time is one of two. */
const copyWithinMs = 86_400_000;
/** How long one wait for new directives lasts at the host. */
const bellWaitMs = 25_000;
const renewalLookMs = 3_600_000;
const bootstrapSchema = z.object({
  code: z.string(),
  authorityFingerprint: z.string(),
  port: z.int().min(1).max(65_535),
});

export class HostConnection implements HostLink {
  readonly #client: SyncClient;
  #http: HostHttp | null = null;
  #credentials: Credentials | null = null;
  #localKeys: LocalKeys | null = null;
  #problem: Refusal | null = null;
  #cancelRetry: () => void = () => {};
  #stopped = false;
  #lookedAt: Watermark | null = null;

  constructor(private readonly parts: HostLinkParts) {
    const { store, clock, schedule, random, options } = parts;
    this.#client = createSyncClient({
      outbox: store,
      host: null,
      clock,
      schedule,
      random,
      limits: options.limits,
      directivesHeld: () => this.#directivesHeld(),
      bellWaitMs,
      onDirectives: (directives) => this.#takeDirectives(directives),
      onAnswer: () => {},
      onRegression: (to) =>
        store.appendAudit({
          atWallMs: clock.wallMs(),
          actor: 'sync',
          action: 'host restored from a backup',
          detail: `it holds ${to.recordsHeld} records, to ${to.sequence} of epoch ${to.epoch}; what it lost is sent again`,
        }),
      onStatus: () => {
        this.#lookBack();
        parts.onStatus(this.status());
      },
    });
  }

  /** The site key that enrolment brought; null: none, or not enrolled. Stays in this process. */
  get siteKey(): Bytes | null {
    return this.#credentials?.siteKey ?? null;
  }

  /** Enrols where that is still to be done, and begins to sync. Resolves after the first try; goes on by itself. */
  async start(): Promise<void> {
    this.#client.start();
    await this.#connect();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRetry();
    this.#client.stop();
    await this.#http?.close();
  }

  async authorise(transactionId: TransactionId, deadlineMs: number): Promise<HostReply> {
    // An unreachable host is looked for by the client's own back-off; nobody at the counter waits for it.
    if (this.#client.reachable()) {
      const reply = await this.#client.authorise(transactionId, deadlineMs);
      if (reply.kind === 'answered') return reply;
    }
    // An answer that arrived before a restart, or with a batch, is in the store already.
    const stored = this.parts.store.saleByTransaction(transactionId)?.answer ?? null;
    return stored ? { kind: 'answered', answer: stored, session: null } : { kind: 'silent' };
  }

  async openSession(request: SessionRequest, deadlineMs: number): Promise<SessionResponse | null> {
    const response = await this.#client.openSession(request, deadlineMs);
    return response.ok ? response.value : null;
  }

  async inquire(request: InquiryRequest, deadlineMs: number): Promise<InquiryResponse | null> {
    const response = await this.#client.inquire(request, deadlineMs);
    return response.ok ? response.value : null;
  }

  async signSmartTap(request: SmartTapRequest, deadlineMs: number): Promise<Result<SmartTapResponse, Refusal>> {
    const response = await this.#client.signSmartTap(request, deadlineMs);
    return response.ok ? response : err({ code: response.error.code, detail: response.error.detail });
  }

  async requestAllowance(request: AllowanceRequest): Promise<Result<AllowanceResponse, Refusal>> {
    const response = await this.#client.requestAllowance(request);
    return response.ok ? response : err({ code: response.error.code, detail: response.error.detail });
  }

  /** By the device's key; null while there is none. */
  sign(data: Bytes): Bytes | null {
    return this.#credentials && new Uint8Array(sign('sha256', data, this.#credentials.tls.keyPem));
  }
  proofHolds(sealed: string, transcript: Transcript, proof: Bytes): boolean | null {
    return sealed === '' ? null : this.#keys().proofHolds(sealed, transcript, proof);
  }

  #keys(): LocalKeys {
    this.#localKeys ??= new LocalKeys(
      { ...nativeCrypto, ...nativeKeyAgreement },
      this.parts.random,
      sealingKeyIn(this.parts.options.keysFolder, this.parts.random),
    );
    return this.#localKeys;
  }

  /** Those that do not say whose memberships are accepted are fetched anew, whatever their version. */
  #directivesHeld(): ReturnType<TerminalStore['directives']> {
    const held = this.parts.store.directives();
    return held?.merchants.length === 0 ? null : held;
  }

  #takeDirectives(directives: Directives): void {
    const { store, clock } = this.parts;
    const identity = store.identity();
    if (!identity || !this.#credentials) return;
    const authority = new X509Certificate(this.#credentials.tls.authorityPem).publicKey;
    const authorityKey = new Uint8Array(authority.export({ format: 'der', type: 'spki' }));
    const taken = this.#keys().take(directives, identity.terminalId, authorityKey);
    store.setDirectives(taken.directives);
    if (taken.rejected > 0)
      store.appendAudit({
        atWallMs: clock.wallMs(),
        actor: 'sync',
        action: 'allowances turned away',
        detail: `${taken.rejected} not signed by the host for this terminal`,
      });
  }

  reachable(): boolean {
    return this.#client.reachable();
  }
  recordsQueued(): void {
    this.#client.recordsQueued();
  }
  async syncNow(): Promise<SyncStatus> {
    await this.#client.syncNow();
    return this.status();
  }
  status(): SyncStatus {
    const status = this.#client.status();
    return { ...status, lastError: status.lastError ?? this.#problem };
  }

  /**
   * What the host alone can tell a box: that another has taken its place, or that it holds more than the box ever made, or
   * has closed its epoch: the box's disk went back in time, or a copy of the box lives. Twice within a day it is a copy.
   */
  #lookBack(): void {
    const { store, clock } = this.parts;
    const identity = store.identity();
    if (!identity || this.#stopped) return;
    try {
      if (this.#client.status().lastError?.code === 'terminal.replaced' && store.setting(replacedSetting) === null) {
        store.setSetting(replacedSetting, String(clock.wallMs()));
        void this.#connect();
      }
      const watermark = this.#client.watermark();
      if (watermark === null || watermark === this.#lookedAt) return;
      this.#lookedAt = watermark;
      const isBehind = watermark.epoch === identity.epoch && watermark.sequence >= store.gauges().nextSequence;
      if ((watermark.epoch <= identity.epoch && !isBehind) || store.setting(restoredSetting) !== null) return;
      const nowMs = clock.wallMs();
      const lastMs = Number(store.setting(regressedAtSetting) ?? -copyWithinMs);
      const isCopied = Math.abs(nowMs - lastMs) < copyWithinMs;
      store.setSetting(restoredSetting, isCopied ? clonedMark : regressedMark);
      store.appendAudit({
        atWallMs: nowMs,
        actor: 'sync',
        action: isCopied ? 'a copy of this box lives' : 'this box went back in time',
        detail: `the host holds record ${watermark.sequence} of epoch ${watermark.epoch}`,
      });
      // Sales stop at once, also while the host is asked.
      this.parts.onWaiting(this.#waitingFor(isCopied ? clonedMark : regressedMark, ''));
      void this.#connect();
    } catch (error) {
      // A full disk: the host says it again at the next contact.
      if (!(error instanceof TerminalError)) throw error;
      this.#lookedAt = null;
    }
  }

  /** One try at everything that stands between the box and its host; tried again until it is done. */
  async #connect(): Promise<void> {
    this.#cancelRetry();
    if (this.parts.store.setting(replacedSetting) !== null) {
      this.#problem = { code: 'terminal.replaced', detail: '' };
      this.parts.onWaiting(this.#problem);
      this.#client.stop();
      return;
    }
    // Either may fail for want of room on the disk, and is then tried again like everything else.
    const waiting = await this.#enrolled()
      .then(() => this.#freshEpoch())
      .catch((error: unknown) => refusalOf(error));
    if (this.#stopped) return;
    this.#problem = waiting;
    this.parts.onWaiting(waiting);
    if (waiting) {
      this.#cancelRetry = this.parts.schedule(tryAgainMs, () => void this.#connect());
      return;
    }
    if (this.#http) this.#client.enrolled(this.#http);
    void this.#keepFresh();
  }

  async #enrolled(): Promise<void> {
    if (this.#http) return;
    const { options, schedule, store } = this.parts;
    const loaded = loadCredentials(options.keysFolder);
    if (!loaded.ok) throw new TerminalError(loaded.error.code, loaded.error.detail);
    if (!loaded.value) await this.#enrol();
    const credentials = loaded.value ?? this.#reload();
    if (credentials.realm !== options.realm)
      throw new TerminalError('record.wrongRealm', `enrolled as ${credentials.realm}`);
    const identity = store.identity();
    if (!identity) store.setIdentity({ terminalId: credentials.terminalId, epoch: credentials.epoch });
    else if (identity.terminalId !== credentials.terminalId)
      throw new TerminalError(
        'enrolment.credentialsInvalid',
        `the history here is of ${identity.terminalId}, the certificate of ${credentials.terminalId}`,
      );
    const origin = httpsOrigin(options.hostUrl || credentials.hostOrigin);
    if (!origin) throw new TerminalError('config.invalid', 'sync.hostUrl: https://name or https://name:port');
    this.#credentials = credentials;
    // Drawn before the first sale, not in the middle of one.
    this.#keys();
    this.#http = createHostHttp({
      origin,
      credentials: credentials.tls,
      connectTimeoutMs: options.connectTimeoutMs,
      headersTimeoutMs: options.silenceTimeoutMs,
      bodyTimeoutMs: options.silenceTimeoutMs,
      deadlineMs: options.requestTimeoutMs,
      schedule,
    });
    if (options.bootstrapFile) rmSync(options.bootstrapFile, { force: true });
  }

  async #enrol(): Promise<void> {
    const { options, random, schedule } = this.parts;
    const bootstrap = readBootstrap(options.bootstrapFile);
    const code = options.enrolmentCodeFile ? readText(options.enrolmentCodeFile).trim() : bootstrap?.code;
    if (!code) throw new TerminalError('terminal.notEnrolled', 'no enrolment code: draw one at the host');
    const fingerprint = options.authorityFingerprint || bootstrap?.authorityFingerprint;
    const trust = options.authorityFile
      ? { authorityPem: readText(options.authorityFile) }
      : fingerprint
        ? { fingerprint }
        : null;
    if (!trust)
      throw new TerminalError(
        'config.invalid',
        'sync.authorityFile or sync.authorityFingerprint is needed to know the host',
      );
    const hostOrigin = options.hostUrl || `https://localhost:${bootstrap?.port ?? 0}`;
    const enrolled = await enrol({
      hostOrigin,
      code,
      trust,
      realm: options.realm,
      folder: options.keysFolder,
      random,
      schedule,
    });
    if (!enrolled.ok) throw new TerminalError(enrolled.error.code, enrolled.error.detail);
  }

  #reload(): Credentials {
    const loaded = loadCredentials(this.parts.options.keysFolder);
    if (!loaded.ok) throw new TerminalError(loaded.error.code, loaded.error.detail);
    if (!loaded.value) throw new TerminalError('terminal.notEnrolled');
    return loaded.value;
  }

  #waitingFor(mark: string, detail: string): Refusal {
    return { code: mark === clonedMark ? 'terminal.cloned' : 'terminal.restored', detail };
  }

  /** A restored database may lie behind what the host holds: no sale before the host has begun a new epoch for it. */
  async #freshEpoch(): Promise<Refusal | null> {
    const { store } = this.parts;
    const identity = store.identity();
    const mark = store.setting(restoredSetting);
    if (mark === null || !identity || !this.#http) return null;
    if (mark === clonedMark) return this.#waitingFor(mark, '');
    const raised = await this.#http.raiseEpoch(mark === regressedMark ? 'regressed' : 'restored');
    if (!raised.ok) return this.#waitingFor(mark, raised.error.detail);
    if (mark === regressedMark) store.setSetting(regressedAtSetting, String(this.parts.clock.wallMs()));
    // The host may have gone back too: what it does not hold of the closed epoch, or perhaps does not, goes again.
    const { epoch, previous } = raised.value;
    store.requeueAbove(previous);
    store.setIdentity({ terminalId: identity.terminalId, epoch });
    return null;
  }

  async #keepFresh(): Promise<void> {
    const { clock, options, random, schedule } = this.parts;
    if (this.#stopped || !this.#http || !this.#credentials) return;
    if (renewalDue(this.#credentials, clock.wallMs())) {
      const renewed = await renew({
        credentials: this.#credentials,
        folder: options.keysFolder,
        host: this.#http,
        random,
      });
      if (renewed.ok) {
        this.#credentials = renewed.value;
        this.#http.replaceCredentials(renewed.value.tls);
      }
    }
    if (!this.#stopped) this.#cancelRetry = schedule(renewalLookMs, () => void this.#keepFresh());
  }
}

const refusalOf = (error: unknown): Refusal => {
  if (error instanceof TerminalError) return { code: error.code, detail: error.detail };
  throw error;
};

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    throw new TerminalError('config.invalid', `cannot read ${file}`);
  }
}

function readBootstrap(file: string): z.infer<typeof bootstrapSchema> | null {
  if (!file) return null;
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return null;
  }
  const json = parseJson(text);
  const parsed = json.ok ? bootstrapSchema.safeParse(json.value) : null;
  return parsed?.success ? parsed.data : null;
}
