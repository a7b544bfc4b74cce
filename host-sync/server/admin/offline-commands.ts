/**
 * Administration's commands about what boxes may do without the host: limits, allowances, and the risk that came of it.
 * Must not decide; every input is checked here before the host sees it.
 */
import { z } from 'zod';
import { ok } from '../../../terminal/kernel/result.js';
import {
  couponCodeSchema,
  memberCodeSchema,
  plainText,
  terminalIdSchema,
  transactionIdSchema,
} from '../../protocol/record.js';
import { offlineLimitsSchema } from '../../protocol/sync.js';
import { allowancePolicySchema } from '../service/settings.js';
import type { Host } from '../service/types.js';
import { type Command, command, page } from './command.js';

const defined = <T extends object>(change: T) =>
  Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined));

export const offlineCommands = (host: Host): readonly Command[] => [
  command('offline.show', z.strictObject({}), async () =>
    ok({ limits: await host.rules.offlineLimits(), policy: await host.allowances.policy(), risk: await host.risk() }),
  ),
  // A limit that is not named stays as it is: nothing by default.
  command('offline.setLimits', offlineLimitsSchema.extend({ credentialOnly: z.boolean() }).partial(), (change) =>
    host.rules.setOfflineLimits(defined(change)),
  ),
  command('allowance.setPolicy', allowancePolicySchema.partial(), (change) =>
    host.allowances.setPolicy(defined(change)),
  ),
  command(
    'allowance.list',
    z.strictObject({ terminalId: terminalIdSchema.nullable().default(null), ...page }),
    async ({ terminalId, ...options }) => ok(await host.allowances.list(terminalId, options)),
  ),
  command(
    'allowance.grant',
    z.strictObject({ terminalId: terminalIdSchema, code: z.union([memberCodeSchema, couponCodeSchema]) }),
    ({ terminalId, code }) => host.requestAllowance(terminalId, { reason: 'request', code }),
  ),
  command('allowance.recall', z.strictObject({ id: transactionIdSchema }), ({ id }) => host.allowances.recall(id)),
  command('allowance.writeOff', z.strictObject({ id: transactionIdSchema, by: plainText(32) }), ({ id, by }) =>
    host.allowances.writeOff(id, by),
  ),
  command('allowance.writeOffAll', z.strictObject({ terminalId: terminalIdSchema, by: plainText(32) }), async (input) =>
    ok({ written: await host.allowances.writeOffAll(input.terminalId, input.by) }),
  ),
];
