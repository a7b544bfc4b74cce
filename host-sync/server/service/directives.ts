/**
 * Directives: what one terminal works by: merchant, rules, limits, blocked keys, its allowances, and what changed in the
 * catalogue since the version it names. Must decide nothing; the allowances' keys leave the host here, for that terminal only.
 */
import { localKey } from '../../../drivers/protocols/member/proof.js';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import {
  type Allowance,
  allowanceBytes,
  allowancesMax,
  blockedMax,
  type Directives,
  merchantsMax,
} from '../../protocol/sync.js';
import { toWire } from '../ledger/allowance.js';
import type { Collector, Facts, WorkingSet } from '../ledger/facts.js';
import type { Row } from '../ledger/tables.js';
import { type HostStore, pageRowsMax } from '../storage/port.js';
import { refusal } from './paging.js';
import { planContext, type Standing, setting } from './settings.js';
import type { Refusal, TerminalFacing } from './types.js';

export interface DirectivesParts {
  readonly store: HostStore;
  readonly standing: Standing;
  readonly sign: (data: Bytes) => Bytes;
}

/** Keys of one member that a box is given. */
const keysPerMember = 16;

/** States what `versionOf` reads. */
export const planVersion = (need: Collector, terminalId: string): void => {
  need.get('terminal', terminalId);
  need.get('setting', 'directivesVersion');
};
/** The host's count and the terminal's own together: both only rise, so any change makes another number. */
export const versionOf = (facts: Facts, terminalId: string): number =>
  setting(facts, 'directivesVersion') + (facts.get('terminal', terminalId)?.directivesVersion ?? 0);

export function createDirectives(parts: DirectivesParts): Pick<TerminalFacing, 'directives' | 'directivesVersion'> {
  const { store } = parts;
  return {
    directives: async (terminalId, catalogueVersion) => {
      const blocked = await blockedNow(store);
      const plan = (need: Collector): void => {
        planContext(need);
        need.get('setting', 'offlineLimits');
        need.get('setting', 'boxConfiguration');
        planVersion(need, terminalId);
        const merchantId = need.get('terminal', terminalId)?.merchantId ?? '';
        need.get('merchant', merchantId);
        need.find('agreement', 'openAcceptor', merchantId === '' ? setting(need, 'ownMerchant') : merchantId);
        need.get('setting', 'credentialKey');
        planCatalogue(need, catalogueVersion);
        planAllowances(need, terminalId);
      };
      return store.read(plan, (facts): Result<Directives, Refusal> => {
        const rules = setting(facts, 'rules');
        if (!rules) return refusal('rules.unknown', 'no rules are published');
        return ok({
          version: versionOf(facts, terminalId),
          ...merchantAt(facts, terminalId),
          merchants: acceptedAt(facts, terminalId),
          rules,
          blocked,
          // Where none are given any more, those that are out count no more either.
          credentialKey: setting(facts, 'policy').credentialDays > 0 ? setting(facts, 'credentialKey') : null,
          offline: setting(facts, 'offlineLimits'),
          configuration: setting(facts, 'boxConfiguration'),
          allowances: allowancesOf(parts, facts, terminalId),
          catalogueVersion: setting(facts, 'catalogueVersion'),
          catalogue: catalogueSince(facts, catalogueVersion),
        });
      });
    },
    directivesVersion: (terminalId) =>
      store.read(
        (need) => planVersion(need, terminalId),
        (facts) => ok(versionOf(facts, terminalId)),
      ),
  };
}

/** Name and place of the merchant on whose counter the terminal stands. */
function merchantAt(facts: Facts, terminalId: string): Pick<Directives, 'merchant' | 'location'> {
  const merchant = facts.get('merchant', facts.get('terminal', terminalId)?.merchantId ?? '');
  return merchant ? { merchant: merchant.name, location: merchant.location } : setting(facts, 'merchant');
}

/** Whose memberships a phone is asked for: the terminal's merchant, then those whose points pay there by a confirmed agreement. */
function acceptedAt(facts: Facts, terminalId: string): string[] {
  const own = facts.get('terminal', terminalId)?.merchantId || setting(facts, 'ownMerchant');
  const issuers = facts.find('agreement', 'openAcceptor', own).map(({ issuer }) => issuer);
  return [...new Set([own, ...issuers])].slice(0, merchantsMax);
}

/**
 * Blocked keys and coupons, those blocked last first: they are told where it is more than a box takes. One that is blocked while
 * this is read raises the version again, so nothing is missed.
 */
async function blockedNow(store: HostStore): Promise<readonly string[] & string[]> {
  const blocks: Row<'block'>[] = [];
  for (let hasMore = true; hasMore && blocks.length < blockedMax; ) {
    const after = blocks.at(-1)?.id ?? null;
    const rows = await store.page({ table: 'block', where: null, after, limit: pageRowsMax, order: 'newest' });
    blocks.push(...rows);
    hasMore = rows.length === pageRowsMax;
  }
  return blocks.slice(0, blockedMax).map(({ subject }) => subject);
}

/** The versions after `since`, oldest first; null where it is none of the newest: too old, or of a host that was lost. */
function versionsAfter(facts: Facts, since: number | null): readonly number[] | null {
  const newest = setting(facts, 'catalogueVersions');
  const at = since === null ? -1 : newest.indexOf(since);
  return at < 0 ? null : newest.slice(at + 1);
}

/** The same as rows, where each says what it changed; null: the whole catalogue is needed. */
function bridge(facts: Facts, since: number | null): readonly Row<'catalogueVersion'>[] | null {
  const between = versionsAfter(facts, since);
  if (!between) return null;
  const versions: Row<'catalogueVersion'>[] = [];
  for (const version of between) {
    const row = facts.get('catalogueVersion', String(version));
    if (!row || row.codes === null) return null;
    versions.push(row);
  }
  return versions;
}

const codesIn = (versions: readonly Row<'catalogueVersion'>[]): readonly string[] => [
  ...new Set(versions.flatMap(({ codes }) => JSON.parse(codes ?? '[]') as string[])),
];

function planCatalogue(need: Collector, since: number | null): void {
  const current = setting(need, 'catalogueVersion');
  need.get('setting', 'catalogueVersions');
  if (current === 0 || current === since) return;
  for (const version of versionsAfter(need, since) ?? []) need.get('catalogueVersion', String(version));
  const versions = bridge(need, since);
  if (versions) for (const code of codesIn(versions)) need.get('product', code);
  else need.all('product');
}

const productOf = ({ id, name, priceMinor, category }: Row<'product'>) => ({ code: id, name, priceMinor, category });

function catalogueSince(facts: WorkingSet, since: number | null): Directives['catalogue'] {
  const current = setting(facts, 'catalogueVersion');
  if (current === since) return null;
  const versions = current === 0 ? null : bridge(facts, since);
  if (!versions) return { since: 0, products: current === 0 ? [] : facts.every('product').map(productOf), gone: [] };
  const products: ReturnType<typeof productOf>[] = [];
  const gone: string[] = [];
  for (const code of codesIn(versions)) {
    const product = facts.get('product', code);
    if (product) products.push(productOf(product));
    else gone.push(code);
  }
  return { since: since ?? 0, products, gone };
}

function planAllowances(need: Collector, terminalId: string): void {
  for (const { memberId, couponId } of need.find('allowance', 'openTerminal', terminalId)) {
    if (couponId !== null) need.get('coupon', couponId);
    if (memberId !== null) need.find('memberKey', 'memberId', memberId);
  }
}

function allowancesOf({ standing, sign }: DirectivesParts, facts: Facts, terminalId: string): Allowance[] {
  const terminal = hex(terminalId.slice(2));
  return facts
    .find('allowance', 'openTerminal', terminalId)
    .slice(0, allowancesMax)
    .map((slice) => {
      const keys = slice.memberId === null ? [] : facts.find('memberKey', 'memberId', slice.memberId);
      const localKeys = keys
        .filter((key) => key.state === 'active' && key.kind === 'phone')
        .slice(-keysPerMember)
        .map(({ id, wrapped }) => ({
          keyId: id,
          localKey: localKey(standing.crypto, standing.unwrap(wrapped), terminal),
        }));
      const coupon = slice.couponId === null ? undefined : facts.get('coupon', slice.couponId);
      const unsigned = toWire(slice, coupon, localKeys);
      return { ...unsigned, signature: toHex(sign(allowanceBytes(unsigned))) };
    });
}
