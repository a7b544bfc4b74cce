/**
 * What the merchant sets: catalogue, points rules, tiers, policy. Every change raises the directives' version.
 * Must keep what was: versions that boxes may still name are never rewritten.
 */
import type { Clock } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import {
  boxConfigurationSchema,
  offlineLimitsSchema,
  type Product,
  productSchema,
  rulesSchema,
} from '../../protocol/sync.js';
import { versionId } from '../ledger/catalogue.js';
import { nextVersion } from '../ledger/draft.js';
import { type Collector, put, remove, type WorkingSet, type Write } from '../ledger/facts.js';
import type { HostStore } from '../storage/port.js';
import { refusal } from './paging.js';
import {
  planContext,
  policySchema,
  putSetting,
  raiseDirectives,
  setting,
  tiersSchema,
  versionsBridgedMax,
} from './settings.js';
import type { CatalogueAdmin, RulesAdmin } from './types.js';

export const productsMax = 200_000;
/** Beyond, a box is sent the whole catalogue instead of what changed. */
const codesKeptMax = 5_000;

/** The writes that turn the present catalogue into this one as `version`; only what differs. */
function changesTo(facts: WorkingSet, products: readonly Product[], version: number): readonly Write[] {
  const writes: Write[] = [];
  const codes = new Set(products.map((product) => product.code));
  for (const { code, name, priceMinor, category } of products) {
    const before = facts.get('product', code);
    if (before && before.name === name && before.priceMinor === priceMinor && before.category === category) continue;
    writes.push(put('product', { id: code, name, priceMinor, category, sinceVersion: version }));
    writes.push(put('productHistory', { id: versionId(code, version), code, version, priceMinor, category }));
  }
  for (const { id, category } of facts.every('product')) {
    if (codes.has(id)) continue;
    writes.push(remove('product', id));
    writes.push(put('productHistory', { id: versionId(id, version), code: id, version, priceMinor: null, category }));
  }
  return writes;
}

export function createCatalogue(store: HostStore, clock: Clock): CatalogueAdmin {
  const plan = (need: Collector): void => {
    planContext(need);
    need.all('product');
    need.get('setting', 'catalogueVersions');
    const row = need.get('setting', 'catalogueVersion');
    if (row) need.get('catalogueVersion', String(setting(need, 'catalogueVersion')));
  };
  return {
    replace: async (products) => {
      if (products.length > productsMax) return refusal('input.tooLong', `more than ${productsMax} products`);
      const wrong = products.findIndex((product) => !productSchema.safeParse(product).success);
      if (wrong >= 0) return refusal('input.malformed', `product ${wrong + 1}`);
      if (new Set(products.map((product) => product.code)).size !== products.length)
        return refusal('input.malformed', 'a product code stands twice');
      return store.transact(plan, (facts) => {
        const current = setting(facts, 'catalogueVersion');
        const nowMs = clock.wallMs();
        // In seconds: a product's changes sort by it in 10 digits.
        const version = nextVersion(current, nowMs / 1000);
        const changes = changesTo(facts, products, version);
        if (changes.length === 0) return ok({ version: current, changed: 0 });
        const codes = new Set(
          changes.flatMap((write) =>
            write.table === 'product' ? ['removed' in write ? write.removed : write.row.id] : [],
          ),
        );
        const before = current === 0 ? undefined : facts.get('catalogueVersion', String(current));
        facts.write([
          ...changes,
          ...(before ? [put('catalogueVersion', { ...before, replacedAtMs: nowMs })] : []),
          put('catalogueVersion', {
            id: String(version),
            version,
            publishedAtMs: nowMs,
            replacedAtMs: null,
            products: products.length,
            codes: codes.size > codesKeptMax ? null : JSON.stringify([...codes]),
          }),
          putSetting('catalogueVersion', version),
          putSetting(
            'catalogueVersions',
            [...setting(facts, 'catalogueVersions'), version].slice(-versionsBridgedMax - 1),
          ),
          raiseDirectives(facts, nowMs),
        ]);
        return ok({ version, changed: changes.length / 2 });
      });
    },
    current: () =>
      store.read(plan, (facts) => ({
        version: setting(facts, 'catalogueVersion'),
        products: facts
          .every('product')
          .map(({ id, name, priceMinor, category }) => ({ code: id, name, priceMinor, category })),
      })),
    product: (code) =>
      store.read(
        (need) => void need.get('product', code),
        (facts) => {
          const product = facts.get('product', code);
          return product
            ? { code, name: product.name, priceMinor: product.priceMinor, category: product.category }
            : null;
        },
      ),
  };
}

export function createRules(store: HostStore, clock: Clock): RulesAdmin {
  const planOffline = (need: Collector): void => {
    need.get('setting', 'offlineLimits');
    need.get('setting', 'boxConfiguration');
    need.get('setting', 'directivesVersion');
  };
  const plan = (need: Collector): void => {
    planContext(need);
    const current = setting(need, 'rules');
    if (current) need.get('rules', String(current.version));
  };
  return {
    publish: async (draft) =>
      store.transact(plan, (facts) => {
        const before = setting(facts, 'rules');
        const rules = rulesSchema.safeParse({ ...draft, version: (before?.version ?? 0) + 1 });
        if (!rules.success) return refusal('input.malformed', rules.error.issues[0]?.path.join('.') ?? '');
        const nowMs = clock.wallMs();
        const replaced = before ? facts.get('rules', String(before.version)) : undefined;
        facts.write([
          ...(replaced ? [put('rules', { ...replaced, validToMs: nowMs })] : []),
          put('rules', {
            id: String(rules.data.version),
            version: rules.data.version,
            value: JSON.stringify(rules.data),
            validFromMs: nowMs,
            validToMs: null,
          }),
          putSetting('rules', rules.data),
          raiseDirectives(facts, nowMs),
        ]);
        return ok(rules.data);
      }),
    current: () => store.read(plan, (facts) => setting(facts, 'rules')),
    setMerchant: (merchant, location) =>
      store.transact(plan, (facts) => {
        const before = setting(facts, 'merchant');
        if (before.merchant === merchant && before.location === location) return;
        facts.write([putSetting('merchant', { merchant, location }), raiseDirectives(facts, clock.wallMs())]);
      }),
    setTiers: async (tiers) => {
      const parsed = tiersSchema.safeParse(tiers);
      if (!parsed.success) return refusal('input.malformed', parsed.error.issues[0]?.message ?? 'tiers');
      await store.transact(plan, (facts) =>
        facts.write([putSetting('tiers', parsed.data), raiseDirectives(facts, clock.wallMs())]),
      );
      return ok(undefined);
    },
    setPolicy: async (change) =>
      store.transact(plan, (facts) => {
        const parsed = policySchema.safeParse({ ...setting(facts, 'policy'), ...change });
        if (!parsed.success) return refusal('input.outOfRange', parsed.error.issues[0]?.path.join('.') ?? 'policy');
        facts.write([putSetting('policy', parsed.data), raiseDirectives(facts, clock.wallMs())]);
        return ok(parsed.data);
      }),
    setOfflineLimits: async (change) =>
      store.transact(planOffline, (facts) => {
        const parsed = offlineLimitsSchema.safeParse({ ...setting(facts, 'offlineLimits'), ...change });
        if (!parsed.success) return refusal('input.outOfRange', parsed.error.issues[0]?.path.join('.') ?? 'limits');
        facts.write([putSetting('offlineLimits', parsed.data), raiseDirectives(facts, clock.wallMs())]);
        return ok(parsed.data);
      }),
    setBoxConfiguration: async (change) =>
      store.transact(planOffline, (facts) => {
        const wish = Object.entries({ ...setting(facts, 'boxConfiguration'), ...change });
        const parsed = boxConfigurationSchema.safeParse(Object.fromEntries(wish.filter(([, value]) => value !== null)));
        if (!parsed.success)
          return refusal('input.outOfRange', parsed.error.issues[0]?.path.join('.') ?? 'configuration');
        facts.write([putSetting('boxConfiguration', parsed.data), raiseDirectives(facts, clock.wallMs())]);
        return ok(parsed.data);
      }),
    boxConfiguration: () => store.read(planOffline, (facts) => setting(facts, 'boxConfiguration')),
    offlineLimits: () => store.read(planOffline, (facts) => setting(facts, 'offlineLimits')),
    policy: () => store.read(plan, (facts) => setting(facts, 'policy')),
    tiers: () => store.read(plan, (facts) => setting(facts, 'tiers')),
  };
}
