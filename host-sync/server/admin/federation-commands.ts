/**
 * Administration's commands about merchants of one host and what they agree: agreements, settlements, statements.
 * Must not decide; every input is checked here before the host sees it.
 */
import { z } from 'zod';
import { nativeKeyAgreement } from '../../../terminal/kernel/native.js';
import { ok } from '../../../terminal/kernel/result.js';
import { plainText, terminalIdSchema } from '../../protocol/record.js';
import { ratePartMax } from '../service/federation.js';
import { merchantIdSchema } from '../service/settings.js';
import type { Host } from '../service/types.js';
import { type Command, command, nothing, page } from './command.js';

const person = plainText(32);
const pair = { issuer: merchantIdSchema, acceptor: merchantIdSchema };
const act = z.strictObject({ ...pair, version: z.int().min(1).max(999_999), by: merchantIdSchema, person });
const time = z.int().min(1).max(8_640_000_000_000_000);
const ratePart = z.int().min(1).max(ratePartMax);

const merchantCommands = ({ merchants }: Host): readonly Command[] => [
  command(
    'merchant.add',
    z.strictObject({ id: merchantIdSchema, name: plainText(64), location: plainText(64) }),
    (merchant) => merchants.add(merchant, nativeKeyAgreement.generateKeyPair()),
  ),
  command('merchant.list', nothing, async () => {
    const { rows } = await merchants.list();
    return ok([await merchants.own(), ...rows.map(({ id, name, location }) => ({ id, name, location }))]);
  }),
  command(
    'merchant.assign',
    z.strictObject({ terminalId: terminalIdSchema, merchant: merchantIdSchema }),
    ({ terminalId, merchant }) => merchants.assign(terminalId, merchant),
  ),
];

export const federationCommands = (host: Host): readonly Command[] => [
  ...merchantCommands(host),
  command(
    'federation.offer',
    z.strictObject({
      ...pair,
      issuerPoints: ratePart,
      acceptorPoints: ratePart,
      validFromMs: time.nullable().default(null),
      validToMs: time.nullable().default(null),
      dailyPointsMax: z.int().min(1).max(999_999_999_999).nullable().default(null),
      offeredBy: merchantIdSchema,
      person,
    }),
    (offer) => host.federation.offer(offer),
  ),
  command('federation.confirm', act, ({ issuer, acceptor, version, by, person: who }) =>
    host.federation.confirm(issuer, acceptor, version, by, who),
  ),
  command('federation.end', act, ({ issuer, acceptor, version, by, person: who }) =>
    host.federation.end(issuer, acceptor, version, by, who),
  ),
  command('federation.list', z.strictObject(page), async (options) => ok(await host.federation.list(options))),
  command(
    'federation.settle',
    z.strictObject({ one: merchantIdSchema, other: merchantIdSchema, untilMs: time, person }),
    ({ one, other, untilMs, person: who }) => host.federation.settle(one, other, untilMs, who),
  ),
  command(
    'federation.settlements',
    z.strictObject({ one: merchantIdSchema, other: merchantIdSchema, ...page }),
    async ({ one, other, ...options }) => ok(await host.federation.settlements(one, other, options)),
  ),
  command(
    'federation.statement',
    z.strictObject({
      merchant: merchantIdSchema,
      partner: merchantIdSchema,
      fromMs: time.nullable().default(null),
      untilMs: time.nullable().default(null),
      ...page,
    }),
    (request) => host.federation.statement(request),
  ),
];
