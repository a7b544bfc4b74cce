/**
 * The host: one object that HTTP, administration and messages call. Composes the services over one store.
 * Must not speak HTTP, read files or hold a certificate.
 */

import type { Bytes } from '../../terminal/kernel/bytes.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import type { OpenPass, OpenTag } from './ledger/context.js';
import { expireDue, expiryBatchMax, planExpiry } from './ledger/expiry.js';
import { put, type WorkingSet } from './ledger/facts.js';
import { createAllowanceRequests, createAllowances } from './service/allowances.js';
import { Bell } from './service/bell.js';
import { createCoupons } from './service/coupons.js';
import { createDirectives } from './service/directives.js';
import { createFederation } from './service/federation.js';
import { createGatherer } from './service/gather.js';
import { createMemberPages } from './service/member-pages.js';
import { createMembers } from './service/members.js';
import { createCatalogue, createRules } from './service/merchant.js';
import { createMerchants } from './service/merchants.js';
import { createOffers } from './service/offers.js';
import { createAlarms, createConsumption, createDeadLetters, readRisk, verifyLedger } from './service/review.js';
import { planContext, putSetting, type Standing, setting } from './service/settings.js';
import { createSmartTap } from './service/smart-tap.js';
import { createTerminalFacing } from './service/terminal-facing.js';
import { createTerminals } from './service/terminals.js';
import type { Host, HostOptions, LedgerReport, SignSmartTap } from './service/types.js';

export type * from './service/types.js';

const siteKeyId = 'siteKey';
const siteKeyBytes = 16;
/** Most batches that one call of `expire` works off; the rest waits for the next call. */
const expiryRoundsMax = 50;

/**
 * Opens the host on a store. A new store gets its realm and its site key, which is kept wrapped.
 * Throws `record.wrongRealm` where the store belongs to the other realm, `store.*` as the store does.
 */
export async function createHost(options: HostOptions): Promise<Host> {
  const { random, clock, vault, sign } = options;
  const bell = new Bell();
  const store = bell.over(options.store);
  const standing = await standingOf(options);
  const gatherer = createGatherer(store, options.soon);
  const alarms = createAlarms(store, clock);
  const members = createMembers({ store, vault, random, clock });
  const federation = createFederation(store, clock);
  const verify = async (): Promise<LedgerReport> => {
    const ledger = await verifyLedger(store);
    return { ...ledger, problems: [...ledger.problems, ...(await federation.check())] };
  };
  const coupons = createCoupons({ store, standing, random, clock });
  return {
    ...createTerminalFacing({ store, gatherer, standing, clock, alarm: alarms.alarm }),
    ...createSmartTap({
      ...{ store, clock, alarm: alarms.alarm, sign: options.signSmartTap ?? signsNothing },
      told: options.signatureAsked ?? (() => {}),
    }),
    ...createDirectives({ store, standing, sign }),
    ...createAllowanceRequests({ store, clock, random }),
    ...alarms,
    allowances: createAllowances({ store, clock, random }),
    onDirectives: (listener) => bell.listen(listener),
    risk: () => readRisk(store),
    terminals: createTerminals({ store, standing, random, clock }),
    members,
    coupons,
    merchants: createMerchants(store, vault, clock),
    federation,
    offers: createOffers({ store, random, clock }),
    pages: createMemberPages({ store, vault, crypto: options.crypto, random, clock, members, coupons }),
    catalogue: createCatalogue(store, clock),
    rules: createRules(store, clock),
    deadLetters: createDeadLetters(store, clock),
    consumption: createConsumption(store),
    expire: async () => {
      const total = { reservations: 0, coupons: 0 };
      for (let round = 0; round < expiryRoundsMax; round++) {
        const nowMs = clock.wallMs();
        const done = await store.transact(
          (need) => planExpiry(need, nowMs),
          (facts) => expireDue(facts, nowMs),
        );
        total.reservations += done.reservations;
        total.coupons += done.coupons;
        if (Math.max(done.reservations, done.coupons) < expiryBatchMax) break;
      }
      return total;
    },
    verifyLedger: verify,
    checkStore: async () => [...(await store.check()), ...(await verify()).problems],
    backup: (path) => store.backup(path),
    gauges: async () => ({
      deadLettersOpen: await store.count('deadLetter', { lookup: 'standing', value: 'open' }),
      terminals: await store.count('terminal', null),
      members: await store.count('member', null),
      blocked: await store.count('block', null),
    }),
  };
}

/** A host without the merchant's pass keys: it opens none. */
const opensNothing: OpenPass = () => ({ ok: false, code: 'pass.unknownKey' });
/** A host without a collector's key. */
const signsNothing: SignSmartTap = () => null;
/** A host without tag keys: no message proves anything. */
const provesNothing: OpenTag = () => ({ ok: false, code: 'tag.wrongKey' });

/** Keeps the own merchant's id, which agreements and the clearing name once there are other merchants. */
function nameMerchant(facts: WorkingSet, merchantId: string): void {
  const known = setting(facts, 'ownMerchant');
  if (merchantId === known) return;
  if (facts.every('merchant').length > 0)
    throw new TerminalError('config.invalid', `merchantId is ${known} in this host's agreements: it cannot be changed`);
  facts.write([putSetting('ownMerchant', merchantId)]);
}

/** Realm and site key of this store, drawn once. */
async function standingOf({
  store,
  crypto,
  random,
  vault,
  realm,
  openPass = opensNothing,
  openTag = provesNothing,
  merchantId,
}: HostOptions): Promise<Standing> {
  const drawn = random.bytes(siteKeyBytes);
  const kept = await store.transact<{ readonly realm: string; readonly siteKey: Bytes }>(
    (need) => {
      planContext(need);
      need.get('setting', 'realm');
      need.all('merchant');
      need.get('secret', siteKeyId);
    },
    (facts) => {
      nameMerchant(facts, merchantId);
      const secret = facts.get('secret', siteKeyId);
      const stamped = facts.get('setting', 'realm');
      if (secret && stamped)
        return { realm: JSON.parse(stamped.value) as string, siteKey: vault.unwrap(secret.wrapped) };
      facts.write([putSetting('realm', realm), put('secret', { id: siteKeyId, wrapped: vault.wrap(drawn) })]);
      return { realm, siteKey: drawn };
    },
  );
  if (kept.realm !== realm) throw new TerminalError('record.wrongRealm', `the store is ${kept.realm}`);
  return { crypto, unwrap: (wrapped) => vault.unwrap(wrapped), siteKey: kept.siteKey, realm, openPass, openTag };
}
