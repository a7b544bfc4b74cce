/**
 * Identified: what becomes of a credential, and what all ways of identifying ask of a business id.
 * Pure. Must not read facts.
 */
import type { RecordBody } from '../../protocol/record.js';
import type { RefusalCode } from '../../protocol/sync.js';
import type { Row } from './tables.js';

export interface Identity {
  readonly memberId: string | null;
  /** The coupon that was named by its code or lives on the card that proved. */
  readonly coupon: Row<'coupon'> | null;
}
export type Misuse = 'credential.wrongProof' | 'credential.replayed';
export type Identified =
  | {
      readonly ok: true;
      readonly identity: Identity;
      /** What is wrong with a tap that counts all the same, since its phone signed for it; absent: nothing. */
      readonly misuse?: Misuse;
    }
  | { readonly ok: false; readonly code: RefusalCode; readonly alarm: boolean };

export const refusal = (code: RefusalCode, alarm = false): Identified => ({ ok: false, code, alarm });

/** For what a credential was presented, and when: a record, or an inquiry that leaves none. */
export type Occasion = Pick<RecordBody, 'terminalId' | 'atWallMs' | 'clockDoubtful'> & {
  readonly kind: RecordBody['kind'] | 'inquiry';
};

/** Was it sold before its key was blocked? */
export const wasBefore = (record: Occasion, blockedAtMs: number | null): boolean =>
  record.kind === 'pointsEarn' && !record.clockDoubtful && blockedAtMs !== null && record.atWallMs < blockedAtMs;
