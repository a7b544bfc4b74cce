/**
 * Offline desk: reads from store and clock what the offline policy needs, verifies taps, and gives back allowances that have ended.
 * Must not decide what is paid; core/offline.ts does.
 */
import { type CredentialUse, judgeSignedTap, type SignedTap } from '../../drivers/protocols/member/credential.js';
import type { Operation } from '../../drivers/protocols/member/layout.js';
import type { Transcript } from '../../drivers/protocols/member/proof.js';
import { isProvenOffline, type OfflineProof } from '../../host-sync/protocol/assurance.js';
import { type Credential, type RecordOf, releaseBytes } from '../../host-sync/protocol/record.js';
import { type OfflineReading, offerOffline, subjectOf } from '../core/offline.js';
import type { OfflineOffer } from '../core/offline-offer.js';
import type { SaleRequest } from '../core/sale.js';
import { type Bytes, hex, toHex } from '../kernel/bytes.js';
import type { ErrorCode } from '../kernel/errors.js';
import type { Crypto, Ids } from '../kernel/ports.js';
import type { Result } from '../kernel/result.js';
import type { WallMs } from '../kernel/units.js';
import type { AllowanceRow, TerminalStore } from '../store/port.js';
import type { OfflineView } from './port.js';
import type { WallClock } from './wall-clock.js';

/** Most allowances that one round gives back; the rest waits for the next. */
const releasesPerRound = 20;
/** The last contact survives a restart to within this, so that it costs one small write in so long. */
const contactKeptEveryMs = 3_600_000;
const contactSetting = 'offline.lastContact';

/** The last contact that was kept over restarts, milliseconds since 1970 by the box's clock; null: none. */
export function keptContactMs(store: Pick<TerminalStore, 'setting'>): number | null {
  const kept = Number(store.setting(contactSetting) ?? Number.NaN);
  return Number.isSafeInteger(kept) ? kept : null;
}

/** What the desk needs of the box's keys. */
export interface DeviceKeys {
  /** Does the tap prove a key that is sealed so? null: it is not among them, or there are none. */
  proofHolds(sealed: string, transcript: Transcript, proof: Bytes): boolean | null;
  /** By the device's key (RSASSA-PKCS1-v1_5, SHA-256); null: not enrolled. */
  sign(data: Bytes): Bytes | null;
}

export interface OfflineDeskPorts {
  readonly crypto: Pick<Crypto, 'sha256' | 'verifyP256'>;
  readonly store: TerminalStore;
  readonly clock: WallClock;
  readonly ids: Ids;
  readonly keys: DeviceKeys;
  readonly simulated: boolean;
  /** The host's last answer in this run; null: none. */
  readonly lastContactWallMs: () => number | null;
}

export interface Tap {
  readonly transcript: Transcript;
  readonly proof: Bytes;
  readonly localProof: Bytes;
  /** Whose membership was selected, and the key id that the phone gave for it. */
  readonly merchantId: string;
  readonly memberKeyId: Bytes;
  /** What the phone answered to SIGN; null: it was not asked. */
  readonly signed: Result<SignedTap, ErrorCode> | null;
}

export class OfflineDesk {
  constructor(private readonly ports: OfflineDeskPorts) {}

  /** What the box may decide of this sale by itself. null: nothing limits it, or only the host can decide. */
  offer(request: SaleRequest, credential: Credential, tap: Tap | null): OfflineOffer | null {
    const { store } = this.ports;
    const directives = store.directives();
    if (!directives) return null;
    const subject = subjectOf(credential);
    // An earn asks for neither slices nor floor limits: it is not kept waiting for what only a spend needs.
    const isSpend = request.service.name !== 'pointsEarn';
    const allowances = isSpend ? store.allowancesFor(subject) : [];
    const day = this.#day();
    const reading: OfflineReading = {
      allowances,
      limits: directives.offline,
      isBlocked: store.isBlocked(subject),
      usage: store.offlineUsage(subject, day),
      floorTodayMinor: isSpend ? store.offlineUsage(null, day).floorMinor : 0,
      tap: tap && isSpend ? this.#verified(tap, allowances) : null,
      nowMs: this.ports.clock.bestKnownMs(),
      lastContactMs: this.lastContactMs(),
      categories: request.bill.lines.map((line) =>
        line.code === null || !isSpend ? null : (store.productByCode(line.code)?.category ?? null),
      ),
    };
    return offerOffline(request, credential, reading);
  }

  /** Does the tap prove the key that came with a slice? null: none that is held here is the phone's. */
  #localProof(tap: Tap, allowances: readonly AllowanceRow[]): boolean | null {
    for (const { sealedKeys } of allowances) {
      const holds = this.ports.keys.proofHolds(sealedKeys, tap.transcript, tap.localProof);
      if (holds !== null) return holds;
    }
    return null;
  }

  #verified(tap: Tap, allowances: readonly AllowanceRow[]): NonNullable<OfflineReading['tap']> {
    const local = this.#localProof(tap, allowances);
    // A key that is held here and not proved: no other proof makes that good, and the host would refuse it.
    if (local === false) return { proofs: [], missing: 'credential.wrongProof', signature: null };
    const refusal = this.#credentialRefusal(tap, 'hostHeld');
    const proofs: readonly OfflineProof[] = [
      ...(local ? (['localKey'] as const) : []),
      ...(refusal === null ? (['credential'] as const) : []),
    ];
    const directives = this.ports.store.directives();
    const isWanted = directives?.credentialKey != null || directives?.offline.credentialOnly === true;
    const missing = isWanted && refusal !== null ? refusal : 'credential.wrongProof';
    return {
      proofs,
      missing,
      signature: refusal === null && tap.signed?.ok ? toHex(tap.signed.value.signature) : null,
    };
  }

  /** Why the phone's credential does not prove this tap; null: it does. A clock in doubt would make an ended one good again. */
  #credentialRefusal(tap: Tap, use: CredentialUse): ErrorCode | null {
    const { store, clock, crypto } = this.ports;
    const signer = store.directives()?.credentialKey ?? null;
    if (signer === null || tap.signed === null) return 'credential.missing';
    if (!tap.signed.ok) return tap.signed.error;
    const { atWallMs, clockDoubtful } = clock.now();
    if (clockDoubtful) return 'credential.clockDoubtful';
    const { merchantId, memberKeyId, transcript, proof } = tap;
    const asked = { signer: hex(signer), merchantId, memberKeyId, transcript, proof, use, nowMs: atWallMs };
    const judged = judgeSignedTap(crypto, tap.signed.value, asked);
    return judged.ok ? null : judged.error;
  }

  /** Is the phone to be asked for its credential, for an operation that the host cannot decide now? */
  wantsSignature(operation: Operation, tap: Tap): boolean {
    const { store } = this.ports;
    const directives = store.directives();
    if (!directives || directives.credentialKey === null) return false;
    if (operation === 'cardDebit') return directives.offline.credentialOnly;
    if (operation !== 'spend' && operation !== 'coupon') return false;
    const held = store.allowancesFor(toHex(tap.transcript.keyId));
    return directives.offline.credentialOnly || this.#localProof(tap, held) === null;
  }

  /** Why a card is not paid from under the site key; null: nothing here speaks against it. The card's own proof the caller verifies by that key. */
  cardRefusal(tap: Tap): ErrorCode | null {
    const { store } = this.ports;
    if (store.isBlocked(toHex(tap.memberKeyId))) return 'credential.blocked';
    const only = store.directives()?.offline.credentialOnly ?? false;
    const refusal = only ? this.#credentialRefusal(tap, 'card') : 'credential.missing';
    const proofs: readonly OfflineProof[] = refusal === null ? ['siteKey', 'credential'] : ['siteKey'];
    return isProvenOffline('cardCoupon', proofs, only) ? null : refusal;
  }

  #day(): WallMs | null {
    const { atWallMs, clockDoubtful } = this.ports.clock.now();
    return clockDoubtful ? null : atWallMs;
  }

  /** When the host was last heard, in this run or before; null: never. */
  lastContactMs(): number | null {
    const now = this.ports.lastContactWallMs();
    const kept = keptContactMs(this.ports.store);
    return kept === null ? now : Math.max(now ?? 0, kept);
  }

  /** Keeps the last contact over a restart. @throws TerminalError of the store */
  noteContact(): void {
    const now = this.ports.lastContactWallMs();
    if (now === null) return;
    const kept = keptContactMs(this.ports.store) ?? 0;
    if (Math.abs(now - kept) >= contactKeptEveryMs) this.ports.store.setSetting(contactSetting, String(now));
  }

  /**
   * Gives back what may not or cannot be spent any more: recalled, blocked, past its end by a clock that is trusted, used up.
   * One commit each: the release is in the outbox when the slice is gone. @returns how many
   */
  releaseEnded(): number {
    let released = 0;
    for (const row of this.ports.store.allowances()) {
      const reason = released < releasesPerRound ? this.#reasonToRelease(row) : null;
      if (reason && this.#release(row, reason)) released += 1;
    }
    return released;
  }

  /** Gives one back because a person wants it. @returns false where the box does not hold it */
  giveBack(id: string): boolean {
    const row = this.ports.store.allowances().find((each) => each.id === id);
    return row ? this.#release(row, 'returned') : false;
  }

  #reasonToRelease(row: AllowanceRow): RecordOf<'allowanceRelease'>['reason'] | null {
    const { atWallMs, clockDoubtful } = this.ports.clock.now();
    if (row.state === 'recalled') return 'recalled';
    if (row.remaining === 0) return 'returned';
    if (row.holds.unit === 'money' && this.ports.store.isBlocked(row.holds.couponCode)) return 'blocked';
    return !clockDoubtful && atWallMs >= row.expiresAtMs ? 'expired' : null;
  }

  #release(row: AllowanceRow, reason: RecordOf<'allowanceRelease'>['reason']): boolean {
    const { store, ids, keys, clock, simulated } = this.ports;
    const terminalId = store.identity()?.terminalId;
    const signature = terminalId ? keys.sign(releaseBytes(terminalId, row.id, row.remaining)) : null;
    if (!signature) return false;
    const { atWallMs, clockDoubtful } = clock.now();
    store.releaseAllowance(
      {
        transactionId: ids.transactionId(),
        kind: 'allowanceRelease',
        atWallMs,
        clockDoubtful,
        simulated,
        clerk: 'box',
        allowanceId: row.id,
        remaining: row.remaining,
        reason,
        signature: toHex(signature),
      },
      atWallMs,
    );
    return true;
  }

  /** What the box can do without its host, and what that is worth. */
  view(): OfflineView {
    const { store, clock } = this.ports;
    const directives = store.directives();
    const rows = store.allowances();
    const worth: Record<string, number> = {};
    for (const { holds, remaining, state } of rows) {
      const unit = holds.unit === 'points' ? 'points' : holds.currency;
      if (state === 'open') worth[unit] = (worth[unit] ?? 0) + remaining;
    }
    return {
      limits: directives?.offline ?? null,
      catalogueVersion: directives?.catalogueVersion ?? null,
      rulesVersion: directives?.rules.version ?? null,
      directivesVersion: directives?.version ?? null,
      lastContactMs: this.lastContactMs(),
      nowMs: clock.bestKnownMs(),
      clockDoubtful: clock.doubtful,
      floorTodayMinor: store.offlineUsage(null, this.#day()).floorMinor,
      worth,
      allowances: rows.map(({ sealedKeys: _, ...row }) => row),
    };
  }
}
