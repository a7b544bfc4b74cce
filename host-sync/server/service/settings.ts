/**
 * Settings of the host as facts: realm, merchant, policy, tiers, versions. One place that names their keys and reads them.
 * Must not decide; whoever changes what boxes work by raises the directives' version here.
 */
import { z } from 'zod';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import { plainText } from '../../protocol/record.js';
import {
  allowancesMax,
  boxConfigurationSchema,
  offlineLimitsDefault,
  offlineLimitsSchema,
  rulesSchema,
} from '../../protocol/sync.js';
import {
  type ApplyContext,
  type KeyVault,
  type OpenPass,
  type OpenTag,
  policyDefault,
  type Realm,
  tierDefault,
} from '../ledger/context.js';
import { nextVersion } from '../ledger/draft.js';
import { type Collector, type Facts, put, type Write } from '../ledger/facts.js';
import { planRules } from '../ledger/rules.js';

const dayMs = 86_400_000;
export const tiersMax = 20;
/** Versions of the catalogue that one answer bridges; a box further behind gets the whole. */
export const versionsBridgedMax = 100;
export const policySchema = z.strictObject({
  reservationMs: z.int().min(10_000).max(dayMs),
  versionGraceMs: z
    .int()
    .min(0)
    .max(90 * dayMs),
  typedPointsMax: z.int().min(0).max(999_999_999_999),
  utcOffsetMinutes: z.int().min(-720).max(840),
  siteKeyOnBoxes: z.boolean(),
  /** Absent, as the next, in what older hosts have stored. */
  screenCodeSpends: z.boolean().default(false),
  passesSpend: z.boolean().default(false),
  tagsSpend: z.boolean().default(false),
  phoneEarns: z.boolean().default(true),
  topUpMaxMinor: z.int().min(0).max(amountMinorMax).default(policyDefault.topUpMaxMinor),
  topUpBalanceMaxMinor: z.int().min(0).max(amountMinorMax).default(policyDefault.topUpBalanceMaxMinor),
  credentialDays: z.int().min(0).max(90).default(policyDefault.credentialDays),
});
export const tiersSchema = z
  .array(
    z.strictObject({
      name: plainText(32),
      earnedPointsMin: z.int().min(0).max(999_999_999_999),
      multiplierBasisPoints: z.int().min(10_000).max(1_000_000),
    }),
  )
  .min(1)
  .max(tiersMax)
  .refine(
    (tiers) =>
      tiers[0]?.earnedPointsMin === 0 &&
      tiers.every((tier, i) => i === 0 || tier.earnedPointsMin > (tiers[i - 1]?.earnedPointsMin ?? 0)),
    'thresholds start at 0 and rise',
  );
/** To whom slices of points and coupons are handed, how large, and for how long. All 0: nobody gets one. */
export const allowancePolicySchema = z.strictObject({
  /** Visits at one terminal within `usualDays` after which a member usually comes there; 0: nobody is chosen. */
  usualVisitsMin: z.int().min(0).max(1_000),
  usualDays: z.int().min(1).max(365),
  /** Largest slice of points, and of one coupon in minor units; 0: none. */
  pointsMax: z.int().min(0).max(999_999_999_999),
  couponMinorMax: z.int().min(0).max(999_999_999_999),
  /** Of what is there, at most so much. */
  sharePercent: z.int().min(1).max(100),
  lifetimeHours: z.int().min(1).max(2_160),
  perTerminalMax: z.int().min(0).max(allowancesMax),
});
export type AllowancePolicy = z.infer<typeof allowancePolicySchema>;
const allowancePolicyDefault: AllowancePolicy = {
  usualVisitsMin: 0,
  usualDays: 30,
  pointsMax: 0,
  couponMinorMax: 0,
  sharePercent: 50,
  lifetimeHours: 72,
  perTerminalMax: 100,
};
/** 1 to 16 ASCII letters and digits: a merchant as phones and agreements know it. */
export const merchantIdSchema = z.string().regex(/^[0-9A-Za-z]{1,16}$/);
const count = z.int().min(0);
const schemas = {
  realm: z.enum(['real', 'simulated']),
  merchant: z.strictObject({ merchant: plainText(64), location: plainText(64) }),
  /** The host's own merchant as phones and agreements know it. */
  ownMerchant: merchantIdSchema,
  policy: policySchema,
  tiers: tiersSchema,
  rules: rulesSchema.nullable(),
  offlineLimits: offlineLimitsSchema,
  boxConfiguration: boxConfigurationSchema,
  allowancePolicy: allowancePolicySchema,
  catalogueVersion: count,
  /** The newest versions of the catalogue, in their order: there are gaps between them. */
  catalogueVersions: z.array(count).max(versionsBridgedMax + 1),
  directivesVersion: count,
  /** The public half of the key that signs phones' credentials, compressed, in hex; null until it is drawn. */
  credentialKey: z
    .string()
    .regex(/^0[23][0-9a-f]{64}$/)
    .nullable(),
} as const;
type Schemas = typeof schemas;
export type SettingName = keyof Schemas;
export type SettingValue<Name extends SettingName> = z.infer<Schemas[Name]>;

const defaults: { readonly [Name in Exclude<SettingName, 'realm'>]: SettingValue<Name> } = {
  merchant: { merchant: 'Shouli', location: '-' },
  ownMerchant: 'SHOULI',
  policy: policyDefault,
  tiers: [tierDefault],
  rules: null,
  offlineLimits: offlineLimitsDefault,
  boxConfiguration: {},
  allowancePolicy: allowancePolicyDefault,
  catalogueVersion: 0,
  catalogueVersions: [],
  directivesVersion: 0,
  credentialKey: null,
};

/** A setting, or its default where it was never set. */
export function setting<Name extends Exclude<SettingName, 'realm'>>(facts: Facts, name: Name): SettingValue<Name> {
  const row = facts.get('setting', name);
  return row ? (schemas[name].parse(JSON.parse(row.value)) as SettingValue<Name>) : defaults[name];
}

export const putSetting = <Name extends SettingName>(name: Name, value: SettingValue<Name>): Write =>
  put('setting', { id: name, value: JSON.stringify(value) });

/** Raises the version that tells boxes to fetch their directives again. */
export const raiseDirectives = (facts: Facts, nowMs: number): Write =>
  putSetting('directivesVersion', nextVersion(setting(facts, 'directivesVersion'), nowMs));

/** States what `contextOf` reads. */
export function planContext(need: Collector): void {
  for (const name of ['policy', 'tiers', 'rules', 'catalogueVersion', 'directivesVersion', 'merchant', 'ownMerchant'])
    need.get('setting', name);
  const rules = setting(need, 'rules');
  if (rules) planRules(need, rules.version);
}

/** What of the context is the same for every decision of this host. */
export interface Standing {
  readonly crypto: Crypto;
  readonly unwrap: KeyVault['unwrap'];
  readonly openPass: OpenPass;
  readonly openTag: OpenTag;
  readonly siteKey: Bytes;
  readonly realm: Realm;
}

/** The context of one decision. */
export const contextOf = (
  facts: Facts,
  standing: Standing,
  at: Pick<ApplyContext, 'nowMs' | 'asked' | 'isAlone'>,
): ApplyContext => ({
  ...standing,
  ...at,
  ownMerchant: setting(facts, 'ownMerchant'),
  policy: setting(facts, 'policy'),
  tiers: setting(facts, 'tiers'),
  rules: setting(facts, 'rules'),
  catalogueVersion: setting(facts, 'catalogueVersion'),
});
