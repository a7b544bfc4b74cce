/**
 * Administration's commands as rows: a name, a schema for its input, and the call on the host that it makes.
 * Must not speak HTTP or print; every input is checked here before the host sees it.
 */

import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { z } from 'zod';
import { tagId } from '../../../drivers/protocols/tag/tag.js';
import { passId } from '../../../drivers/protocols/wallet-pass/wallet-pass.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { Clock } from '../../../terminal/kernel/ports.js';
import { err, ok, type Result } from '../../../terminal/kernel/result.js';
import { amountMinorMax } from '../../../terminal/kernel/units.js';
import {
  couponCodeSchema,
  currencySchema,
  plainText,
  productCodeSchema,
  terminalIdSchema,
} from '../../protocol/record.js';
import { boxConfigurationSchema, envelopeSchema, productSchema, rulesSchema } from '../../protocol/sync.js';
import { numberPattern } from '../messages/port.js';
import type { Refresh } from '../messages/refresh.js';
import type { Registration } from '../messages/registration.js';
import { offerTextMax, offerTitleMax } from '../service/offers.js';
import { merchantIdSchema } from '../service/settings.js';
import type { CouponView, Host, MemberView, Refusal } from '../service/types.js';
import { CatalogueStaging, rowsPerCallMax } from './catalogue-staging.js';
import { type Command, command, nothing, page } from './command.js';
import { federationCommands } from './federation-commands.js';
import { offlineCommands } from './offline-commands.js';
import { phoneCommands } from './phone-commands.js';
import { findMember, whoSchema } from './who.js';

export interface AdminContext {
  readonly host: Host;
  readonly registration: Registration;
  readonly refresh: Refresh;
  readonly clock: Clock;
  /** Private folder for snapshots that a backup takes away. */
  readonly snapshotFolder: string;
  /** What `status` shows besides the host's gauges; no secret. */
  readonly facts: () => Readonly<Record<string, unknown>>;
}

/** A person at the keyboard, as the audit names them. */
const byPerson = plainText(32);
async function done<T>(value: Promise<T> | T): Promise<Result<T, Refusal>> {
  return ok(await value);
}
const refuse = (code: Refusal['code'], detail: string): Result<never, Refusal> => err({ code, detail });

async function withMember<T>(
  host: Host,
  who: string,
  use: (member: MemberView) => Promise<T>,
): Promise<Result<T, Refusal>> {
  const member = await findMember(host, who);
  return member ? ok(await use(member)) : refuse('credential.unknown', 'no member has this code, number or key');
}

function terminalCommands({ host }: AdminContext): readonly Command[] {
  const target = z.strictObject({ terminalId: terminalIdSchema, reason: plainText(100) });
  return [
    command(
      'enrolment.draw',
      z.strictObject({
        name: plainText(32),
        minutes: z.int().min(1).max(10_080).default(15),
        replaces: terminalIdSchema.nullable().default(null),
      }),
      ({ name, minutes, replaces }) =>
        replaces === null
          ? done(host.terminals.drawEnrolmentCode(name, minutes * 60_000))
          : host.terminals.drawReplacementCode(replaces, minutes * 60_000),
    ),
    command('terminal.list', z.strictObject(page), (options) => done(host.terminals.list(options))),
    command('terminal.revoke', target, ({ terminalId, reason }) => host.terminals.revoke(terminalId, reason)),
    command('terminal.quarantine', target, ({ terminalId, reason }) => host.terminals.quarantine(terminalId, reason)),
    command(
      'terminal.release',
      z.strictObject({ terminalId: terminalIdSchema, by: byPerson, applyForks: z.boolean().default(false) }),
      ({ terminalId, by, applyForks }) =>
        host.terminals.releaseQuarantine(terminalId, by, applyForks ? 'applyForks' : 'refuseForks'),
    ),
    command(
      'terminal.takeIn',
      z.strictObject({ terminalId: terminalIdSchema, by: byPerson, records: z.array(envelopeSchema).max(100) }),
      ({ terminalId, by, records }) => host.terminals.takeIn(terminalId, records, by),
    ),
  ];
}

/** null: the host's own merchant. */
const merchantOrOwn = merchantIdSchema.nullable().default(null);

const passSchema = z.strictObject({
  who: whoSchema,
  wallet: z.enum(['apple', 'google']),
  /** Pass type id, or the collector id in digits. */
  issuer: z.string().regex(/^[\x21-\x7e]{1,128}$/),
  /** What the pass says. */
  number: plainText(128),
});

const tagSchema = z.strictObject({
  who: whoSchema,
  /** `sun`: it proves itself by its message; `uid`: known by its UID alone. */
  kind: z.enum(['sun', 'uid']),
  uid: z.string().regex(/^[0-9a-f]{14}$/),
});

function memberCommands({ host, registration }: AdminContext): readonly Command[] {
  return [
    command(
      'member.register',
      z.strictObject({ phone: z.string().regex(numberPattern), name: plainText(64), merchant: merchantOrOwn }),
      ({ phone, name, merchant }) => registration.invite(phone, name, merchant),
    ),
    command(
      'member.enlist',
      z.strictObject({ phone: z.string().regex(numberPattern), name: plainText(64), merchant: merchantOrOwn }),
      async ({ phone, name, merchant }) => {
        const isOwn = merchant === null || merchant === (await host.merchants.own()).id;
        return host.members.enlist({ phone, name, merchantId: isOwn ? '' : merchant });
      },
    ),
    command('member.list', z.strictObject(page), (options) => done(host.members.list(options))),
    command('member.show', z.strictObject({ who: whoSchema }), ({ who }) =>
      withMember(host, who, async (member) => member),
    ),
    command(
      'member.statement',
      z.strictObject({ who: whoSchema, account: z.enum(['points', 'owed', 'reserved']).default('points'), ...page }),
      ({ who, account, ...options }) =>
        withMember(host, who, ({ memberCode }) => host.members.statement(memberCode, account, options)),
    ),
    command('member.addPass', passSchema, async ({ who, wallet, issuer, number }) => {
      const member = await findMember(host, who);
      if (!member) return refuse('credential.unknown', 'no member has this code, number or key');
      const id = passId(nativeCrypto, wallet, issuer, number);
      const bound = await host.members.bind(member.memberCode, 'pass', id);
      return bound.ok ? ok({ memberCode: bound.value.memberCode, passId: id }) : bound;
    }),
    command('member.addTag', tagSchema, async ({ who, kind, uid }) => {
      const member = await findMember(host, who);
      if (!member) return refuse('credential.unknown', 'no member has this code, number or key');
      const id = tagId(nativeCrypto, kind, uid);
      const bound = await host.members.bind(member.memberCode, 'tag', id);
      return bound.ok ? ok({ memberCode: bound.value.memberCode, tagId: id }) : bound;
    }),
    command(
      'member.block',
      z.strictObject({ who: whoSchema, state: z.enum(['active', 'blocked']).default('blocked') }),
      async ({ who, state }) => {
        const member = await findMember(host, who);
        if (!member) return refuse('credential.unknown', 'no member has this code, number or key');
        // Named by a key: that phone only. Named otherwise: every phone of the member.
        const keys = member.keys.filter(({ keyId }) => who === keyId || !/^[0-9a-f]{16}$/.test(who));
        for (const { keyId } of keys) {
          const set = await host.members.setKeyState(keyId, state);
          if (!set.ok) return set;
        }
        // A lost phone has the member's pages open as well.
        if (state === 'blocked') await host.pages.closeAll(member.phone);
        return ok({ memberCode: member.memberCode, state, keys: keys.map(({ keyId }) => keyId) });
      },
    ),
  ];
}

const issueSchema = z.strictObject({
  holder: z.enum(['host', 'card']),
  member: whoSchema.nullable(),
  currency: currencySchema,
  amountMinor: z.int().min(1).max(amountMinorMax),
  expiresAtMs: z.int().min(1).nullable().default(null),
  limitCategory: plainText(32).nullable().default(null),
  limitProducts: z.array(productCodeSchema).min(1).max(100).nullable().default(null),
});

function couponCommands({ host, registration, refresh }: AdminContext): readonly Command[] {
  const target = z.strictObject({ code: couponCodeSchema });
  const withCoupon = async (code: string): Promise<Result<CouponView, Refusal>> => {
    const coupon = await host.coupons.byCode(code);
    return coupon ? ok(coupon) : refuse('coupon.unknown', 'no coupon has this code');
  };
  return [
    command('coupon.issue', issueSchema, async ({ member: who, ...request }) => {
      const member = who === null ? null : await findMember(host, who);
      if (who !== null && !member) return refuse('credential.unknown', 'no member has this code, number or key');
      return registration.issueCoupon({ ...request, memberCode: member?.memberCode ?? null });
    }),
    command('coupon.resend', target, ({ code }) => registration.resendCoupon(code)),
    command('coupon.list', z.strictObject({ who: whoSchema, ...page }), ({ who, ...options }) =>
      withMember(host, who, ({ memberCode }) => host.coupons.ofMember(memberCode, options)),
    ),
    command('coupon.show', target, ({ code }) => withCoupon(code)),
    command('coupon.statement', z.strictObject({ code: couponCodeSchema, ...page }), ({ code, ...options }) =>
      done(host.coupons.statement(code, options)),
    ),
    command(
      'coupon.block',
      z.strictObject({ code: couponCodeSchema, state: z.enum(['active', 'blocked']).default('blocked') }),
      async ({ code, state }) => {
        const set = await host.coupons.setState(code, state);
        const memberCode = set.ok ? (await host.coupons.byCode(code))?.memberCode : null;
        if (memberCode) await refresh.changed(memberCode);
        return set;
      },
    ),
  ];
}

function offerCommands({ host }: AdminContext): readonly Command[] {
  const id = z.string().regex(/^[0-9]{15}-[0-9a-f]{12}$/);
  return [
    command(
      'offer.publish',
      z.strictObject({
        title: plainText(offerTitleMax),
        text: plainText(offerTextMax),
        tier: plainText(32).nullable().default(null),
        expiresAtMs: z.int().min(1),
      }),
      (offer) => host.offers.publish(offer),
    ),
    command('offer.withdraw', z.strictObject({ id }), ({ id: offer }) => host.offers.withdraw(offer)),
    command('offer.list', z.strictObject(page), (options) => done(host.offers.list(options))),
  ];
}

function catalogueCommands({ host }: AdminContext): readonly Command[] {
  const staging = new CatalogueStaging();
  const id = z.string().regex(/^[0-9a-f]{16}$/);
  return [
    command('catalogue.begin', z.strictObject({ currency: currencySchema }), async ({ currency }) => {
      const rules = await host.rules.current();
      if (rules && rules.currency !== currency)
        return refuse(
          'input.outOfRange',
          `prices in ${currency}, but the rules are in ${rules.currency}: set the rules first`,
        );
      return ok({ id: staging.begin() });
    }),
    command(
      'catalogue.add',
      z.strictObject({ id, rows: z.array(productSchema).min(1).max(rowsPerCallMax) }),
      async ({ id: open, rows }) => staging.add(open, rows),
    ),
    command('catalogue.commit', z.strictObject({ id }), async ({ id: open }) => {
      const products = staging.take(open);
      return products.ok ? host.catalogue.replace(products.value) : products;
    }),
    command('catalogue.product', z.strictObject({ code: productCodeSchema }), async ({ code }) => {
      const product = await host.catalogue.product(code);
      return product ? ok(product) : refuse('product.unknown', 'no product has this code');
    }),
  ];
}

const boxesSchema = z.strictObject(
  Object.fromEntries(
    Object.entries(boxConfigurationSchema.shape).map(([name, schema]) => [name, schema.nullable()]),
  ) as {
    [Name in keyof typeof boxConfigurationSchema.shape]: z.ZodNullable<(typeof boxConfigurationSchema.shape)[Name]>;
  },
);

function rulesCommands({ host }: AdminContext): readonly Command[] {
  const policySchema = z
    .strictObject({
      reservationMs: z.int().min(10_000).max(86_400_000),
      versionGraceMs: z
        .int()
        .min(0)
        .max(90 * 86_400_000),
      typedPointsMax: z.int().min(0).max(1_000_000_000),
      utcOffsetMinutes: z.int().min(-720).max(840),
      siteKeyOnBoxes: z.boolean(),
      screenCodeSpends: z.boolean(),
      passesSpend: z.boolean(),
      tagsSpend: z.boolean(),
      phoneEarns: z.boolean(),
      topUpMaxMinor: z.int().min(0).max(amountMinorMax),
      topUpBalanceMaxMinor: z.int().min(0).max(amountMinorMax),
      credentialDays: z.int().min(0).max(90),
    })
    .partial();
  const tierSchema = z.strictObject({
    name: plainText(32),
    earnedPointsMin: z.int().min(0).max(999_999_999_999),
    multiplierBasisPoints: z.int().min(10_000).max(1_000_000),
  });
  const definedOf = (policy: z.infer<typeof policySchema>) =>
    Object.fromEntries(Object.entries(policy).filter(([, value]) => value !== undefined));
  return [
    command('rules.show', nothing, async () =>
      ok({ rules: await host.rules.current(), policy: await host.rules.policy(), tiers: await host.rules.tiers() }),
    ),
    command('rules.set', rulesSchema.omit({ version: true }), (rules) => host.rules.publish(rules)),
    command('policy.set', policySchema, (policy) => host.rules.setPolicy(definedOf(policy))),
    command('boxes.show', nothing, async () => ok(await host.rules.boxConfiguration())),
    command('boxes.set', boxesSchema, (change) => host.rules.setBoxConfiguration(change)),
    command('tiers.set', z.strictObject({ tiers: z.array(tierSchema).min(1).max(20) }), ({ tiers }) =>
      host.rules.setTiers(tiers),
    ),
    command(
      'merchant.set',
      z.strictObject({ merchant: plainText(64), location: plainText(64) }),
      ({ merchant, location }) => done(host.rules.setMerchant(merchant, location)),
    ),
  ];
}

function recordCommands({ host }: AdminContext): readonly Command[] {
  const keyId = z.string().regex(/^[0-9A-Za-z]{1,32}$/);
  const consumptionBy = z.union([
    z.strictObject({ memberCode: z.string().regex(/^SLM[0-9]{13}$/) }),
    z.strictObject({ businessId: keyId }),
    z.strictObject({ terminalId: terminalIdSchema }),
  ]);
  return [
    command('consumption.list', z.strictObject({ by: consumptionBy, ...page }), ({ by, ...options }) =>
      done(host.consumption.list(by, options)),
    ),
    command('consumption.months', z.strictObject({ who: whoSchema, ...page }), ({ who, ...options }) =>
      withMember(host, who, ({ memberCode }) => host.consumption.months(memberCode, options)),
    ),
    command(
      'deadLetter.list',
      z.strictObject({ standing: z.enum(['open', 'settled']).default('open'), ...page }),
      async ({ standing, ...options }) => {
        const { rows, next } = await host.deadLetters.list(standing, options);
        // Bodies hold what members bought and proofs that were used; the settler needs the worth and the reason.
        return ok({ rows: rows.map(({ body, ...row }) => ({ ...row, bodyBytes: body.length })), next });
      },
    ),
    command(
      'deadLetter.settle',
      z.strictObject({ id: z.string().regex(/^[0-9a-f]{64}$/), by: byPerson, note: plainText(200) }),
      ({ id, by, note }) => host.deadLetters.settle(id, by, note),
    ),
    command(
      'alarm.list',
      z.strictObject({ terminalId: terminalIdSchema.optional(), ...page }),
      ({ terminalId, ...options }) =>
        done(host.alarms(terminalId === undefined ? options : { ...options, terminalId })),
    ),
  ];
}

function careCommands({ host, facts, snapshotFolder, clock }: AdminContext): readonly Command[] {
  return [
    command('status', nothing, async () => ok({ ...facts(), nowMs: clock.wallMs(), ...(await host.gauges()) })),
    command('verify', nothing, async () => ok({ ledger: await host.verifyLedger(), store: await host.checkStore() })),
    command('backup.snapshot', nothing, async () => {
      const file = path.join(snapshotFolder, `${randomBytes(8).toString('hex')}.db`);
      await host.backup(file);
      return ok({ file });
    }),
  ];
}

/** All commands of one host. */
export const createCommands = (context: AdminContext): readonly Command[] => [
  ...careCommands(context),
  ...terminalCommands(context),
  ...memberCommands(context),
  ...phoneCommands(context),
  ...couponCommands(context),
  ...offerCommands(context),
  ...catalogueCommands(context),
  ...rulesCommands(context),
  ...recordCommands(context),
  ...federationCommands(context.host),
  ...offlineCommands(context.host),
];
