/**
 * Members: registration, keys (kept only wrapped), views and statements.
 * Must not show a key, and must not move points.
 */

import { keyIdBytes } from '../../../drivers/protocols/member/layout.js';
import { equalBytes, toHex } from '../../../terminal/kernel/bytes.js';
import type { Clock, Random } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import { memberOwed, memberPoints, memberReserved, sideSign } from '../ledger/accounts.js';
import { blockRow, planUnblock, unblock } from '../ledger/block.js';
import { codeRandomBytes, drawMemberCode } from '../ledger/codes.js';
import type { KeyVault } from '../ledger/context.js';
import { type Collector, type Facts, put } from '../ledger/facts.js';
import { merchantOf } from '../ledger/membership.js';
import { balanceOf } from '../ledger/posting.js';
import { tierOf } from '../ledger/rules.js';
import type { Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';
import { isPhone, isPlainText } from './inputs.js';
import { pageOf, refusal } from './paging.js';
import { raiseDirectives, setting } from './settings.js';
import type { MemberAdmin, MemberView, Page, PageOptions, StatementLine } from './types.js';

/** Codes drawn at once, so that one that is taken costs nothing. */
const codesDrawn = 4;
/** Most keys of one member. */
export const memberKeysMax = 32;
const memberKeyBytes = 16;
/** Passes and tags are business ids without a key: no tap can prove them. */
const noKey = new Uint8Array(0);

function planMember(need: Collector, memberId: string): void {
  need.get('member', memberId);
  need.get('setting', 'tiers');
  need.get('setting', 'ownMerchant');
  need.find('memberKey', 'memberId', memberId);
  for (const account of [memberPoints, memberOwed, memberReserved]) need.get('account', account(memberId).id);
}

function viewOf(facts: Facts, member: Row<'member'>): MemberView {
  return {
    memberCode: member.id,
    phone: member.phone,
    name: member.name,
    merchant: merchantOf(member, { ownMerchant: setting(facts, 'ownMerchant') }),
    tier: tierOf(setting(facts, 'tiers'), member.earnedPoints).name,
    points: balanceOf(facts, memberPoints(member.id)),
    pointsOwed: balanceOf(facts, memberOwed(member.id)),
    pointsReserved: balanceOf(facts, memberReserved(member.id)),
    earnedPoints: member.earnedPoints,
    registeredAtMs: member.registeredAtMs,
    keys: facts.find('memberKey', 'memberId', member.id).map(({ id, kind, state, registeredAtMs }) => ({
      keyId: id,
      kind,
      state,
      registeredAtMs,
    })),
  };
}

/** The membership of this number with one merchant; undefined: none. */
const membershipOf = (facts: Pick<Facts, 'find'>, phone: string, merchantId: string): Row<'member'> | undefined =>
  facts.find('member', 'phone', phone).find((member) => member.merchantId === merchantId);

/** The membership that a bare number means: with the host's own merchant, else the one of the lowest code. */
export const mainMembership = (facts: Pick<Facts, 'find'>, phone: string): Row<'member'> | undefined =>
  membershipOf(facts, phone, '') ?? facts.find('member', 'phone', phone)[0];

/** The sale that an entry is of: its record's own, the one that its record is about, or the one whose time ran out. */
function saleOf(facts: Pick<Facts, 'get'>, { id, record }: Row<'entry'>): Row<'sale'> | undefined {
  if (record === null) return id.startsWith('expiry/') ? facts.get('sale', id.slice('expiry/'.length)) : undefined;
  const original = facts.get('record', record)?.original;
  return facts.get('sale', record) ?? (original == null ? undefined : facts.get('sale', original));
}

/** The name of the merchant at whose counter a member's points were used under an agreement; null: at the member's own. */
function partnerOf(
  facts: Pick<Facts, 'get' | 'find'>,
  accountId: string,
  entry: Row<'entry'> | undefined,
): string | null {
  const [kind, memberId] = accountId.split('/');
  const sale = kind === 'member' && entry ? saleOf(facts, entry) : undefined;
  if (!sale || sale.agreementId === null || sale.partnerMemberId !== memberId) return null;
  const acceptor = facts.get('agreement', sale.agreementId)?.acceptor ?? '';
  const merchant = facts.get('merchant', acceptor);
  const isOwn = acceptor === setting(facts as Facts, 'ownMerchant');
  return merchant?.name ?? (isOwn ? setting(facts as Facts, 'merchant').merchant : acceptor);
}

/** A page of an account's lines, the newest first, each with its entry's cause. */
export async function statementOf(
  store: HostStore,
  accountId: string,
  options: PageOptions = {},
): Promise<Page<StatementLine>> {
  const { rows, next } = await pageOf(store, 'line', { prefix: `${accountId}#` }, options, 'newest');
  const plan = (need: Collector): void => {
    need.get('account', accountId);
    need.get('setting', 'ownMerchant');
    need.get('setting', 'merchant');
    for (const line of rows) partnerOf(need, accountId, need.get('entry', line.entry));
  };
  return store.read(plan, (facts) => {
    const sign = sideSign(facts.get('account', accountId)?.side ?? 'credit');
    return {
      next,
      rows: rows.map((line) => {
        const entry = facts.get('entry', line.entry);
        return {
          entry: line.entry,
          cause: entry?.cause ?? '',
          record: entry?.record ?? null,
          change: sign * line.amount,
          balanceAfter: line.balanceAfter,
          atMs: line.atMs,
          partner: partnerOf(facts, accountId, entry),
        };
      }),
    };
  });
}

/**
 * The memberships that the phone of this one holds: all under its number that a phone has answered for, blocked keys too, since
 * what is lost may be said twice. The named one comes first.
 */
function membershipsOnPhone(facts: Pick<Facts, 'get' | 'find'>, memberCode: string): readonly Row<'member'>[] {
  const member = facts.get('member', memberCode);
  if (!member) return [];
  const hasPhone = ({ id }: Row<'member'>): boolean =>
    facts.find('memberKey', 'memberId', id).some(({ kind }) => kind === 'phone');
  const others = facts.find('member', 'phone', member.phone).filter((one) => one.id !== memberCode && hasPhone(one));
  return hasPhone(member) ? [member, ...others] : [member];
}

async function lose(
  { store, clock }: Pick<MemberParts, 'store' | 'clock'>,
  memberCode: string,
  number: string | null,
): ReturnType<MemberAdmin['lose']> {
  if (number !== null && !isPhone(number)) return refusal('input.malformed', 'phone');
  const blockedAtMs = clock.wallMs();
  const plan = (need: Collector): void => {
    for (const { id } of membershipsOnPhone(need, memberCode)) {
      need.find('memberKey', 'memberId', id);
      need.find('coupon', 'memberId', id);
    }
    if (number !== null) need.find('member', 'phone', number);
    need.get('setting', 'ownMerchant');
    need.get('setting', 'directivesVersion');
  };
  return store.transact(plan, (facts) => {
    const member = facts.get('member', memberCode);
    if (!member) return refusal('credential.unknown', 'no such member');
    const lost = membershipsOnPhone(facts, memberCode);
    const owners = number === null ? [] : facts.find('member', 'phone', number);
    if (owners.some((owner) => lost.every(({ id }) => id !== owner.id)))
      return refusal('record.conflict', 'this number is another member’s');
    const keys = lost.flatMap(({ id }) => facts.find('memberKey', 'memberId', id)).filter(({ kind }) => kind !== 'tag');
    const cards = lost
      .flatMap(({ id }) => facts.find('coupon', 'memberId', id))
      .filter(({ holder }) => holder === 'card');
    const open = { keys: keys.filter(isActive), cards: cards.filter(isActive) };
    facts.write([
      ...open.keys.map((key) => put('memberKey', { ...key, state: 'blocked', blockedAtMs })),
      ...open.cards.map((coupon) => put('coupon', { ...coupon, state: 'blocked' })),
      ...[...open.keys, ...open.cards].map(({ id }) => put('block', blockRow(id, blockedAtMs))),
      ...(number === null || number === member.phone
        ? []
        : lost.map((one) => put('member', { ...one, phone: number }))),
      ...(open.keys.length + open.cards.length > 0 ? [raiseDirectives(facts, blockedAtMs)] : []),
    ]);
    const ownMerchant = setting(facts, 'ownMerchant');
    return ok({
      keys: keys.map(({ id }) => id),
      coupons: cards.map(({ id }) => id),
      memberships: lost.map((one) => ({
        memberCode: one.id,
        name: one.name,
        merchant: merchantOf(one, { ownMerchant }),
      })),
    });
  });
}
const isActive = ({ state }: { readonly state: 'active' | 'blocked' }): boolean => state === 'active';

export interface MemberParts {
  readonly store: HostStore;
  readonly vault: KeyVault;
  readonly random: Random;
  readonly clock: Clock;
}

export function createMembers({ store, vault, random, clock }: MemberParts): MemberAdmin {
  const view = (find: (need: Collector | Facts) => string | undefined): Promise<MemberView | null> =>
    store.read(
      (need) => {
        const memberId = find(need);
        if (memberId !== undefined) planMember(need, memberId);
      },
      (facts) => {
        const memberId = find(facts);
        const member = memberId === undefined ? undefined : facts.get('member', memberId);
        return member ? viewOf(facts, member) : null;
      },
    );

  const draw = (): readonly string[] =>
    Array.from({ length: codesDrawn }, () => drawMemberCode(random.bytes(codeRandomBytes)));

  return {
    enlist: async ({ phone, name, merchantId = '' }) => {
      if (!isPhone(phone)) return refusal('input.malformed', 'phone');
      if (!isPlainText(name, 64)) return refusal('input.malformed', 'name');
      const codes = draw();
      const nowMs = clock.wallMs();
      const plan = (need: Collector): void => {
        if (merchantId !== '') need.get('merchant', merchantId);
        for (const member of need.find('member', 'phone', phone)) planMember(need, member.id);
        for (const code of codes) planMember(need, code);
      };
      return store.transact(plan, (facts) => {
        if (merchantId !== '' && !facts.get('merchant', merchantId)) return refusal('merchant.unknown', merchantId);
        const known = membershipOf(facts, phone, merchantId);
        if (known) return ok(viewOf(facts, known));
        const id = codes.find((code) => !facts.get('member', code));
        if (id === undefined) return refusal('host.busy', 'no free member code was drawn');
        const member = { id, phone, name, earnedPoints: 0, registeredAtMs: nowMs, merchantId };
        facts.write([put('member', member)]);
        return ok(viewOf(facts, member));
      });
    },
    register: async ({ phone, name, keyId, key, publicKey = null, merchantId = '' }) => {
      if (!isPhone(phone)) return refusal('input.malformed', 'phone');
      if (!isPlainText(name, 64)) return refusal('input.malformed', 'name');
      if (keyId.length !== keyIdBytes || key.length !== memberKeyBytes)
        return refusal('input.malformed', 'key or key id');
      const id = toHex(keyId);
      const wrapped = vault.wrap(key);
      const codes = draw();
      const nowMs = clock.wallMs();
      const plan = (need: Collector): void => {
        need.find('coupon', 'cardKeyId', id);
        const known = need.get('memberKey', id);
        if (known) planMember(need, known.memberId);
        if (merchantId !== '') need.get('merchant', merchantId);
        for (const member of need.find('member', 'phone', phone)) planMember(need, member.id);
        for (const code of codes) planMember(need, code);
      };
      return store.transact(plan, (facts) => {
        if (merchantId !== '' && !facts.get('merchant', merchantId)) return refusal('merchant.unknown', merchantId);
        const known = facts.get('memberKey', id);
        const owner = membershipOf(facts, phone, merchantId);
        if (known) {
          const isSame =
            known.memberId === owner?.id && known.kind === 'phone' && equalBytes(vault.unwrap(known.wrapped), key);
          return isSame && owner ? ok(viewOf(facts, owner)) : refusal('record.conflict', 'this key id is taken');
        }
        if (facts.find('coupon', 'cardKeyId', id).length > 0) return refusal('record.conflict', 'this key id is taken');
        const memberId = owner?.id ?? codes.find((code) => !facts.get('member', code));
        if (memberId === undefined) return refusal('host.busy', 'no free member code was drawn');
        if (facts.find('memberKey', 'memberId', memberId).length >= memberKeysMax)
          return refusal('input.tooLong', `more than ${memberKeysMax} keys`);
        const member = owner ?? { id: memberId, phone, name, earnedPoints: 0, registeredAtMs: nowMs, merchantId };
        facts.write([
          ...(owner ? [] : [put('member', member)]),
          put('memberKey', {
            ...{ id, memberId, kind: 'phone', state: 'active', blockedAtMs: null, wrapped },
            ...{ registeredAtMs: nowMs, publicKey: publicKey ?? noKey, credential: noKey, misusedAtMs: null },
          }),
        ]);
        return ok(viewOf(facts, member));
      });
    },
    bind: async (memberCode, kind, id) => {
      if (!/^[0-9a-f]{16}$/.test(id)) return refusal('input.malformed', `${kind} id`);
      const bound = {
        ...{ id, memberId: memberCode, kind, state: 'active' as const, blockedAtMs: null, wrapped: noKey },
        ...{ publicKey: noKey, credential: noKey, misusedAtMs: null },
      };
      const plan = (need: Collector): void => {
        planMember(need, memberCode);
        need.get('memberKey', id);
        need.find('coupon', 'cardKeyId', id);
      };
      return store.transact(plan, (facts) => {
        const member = facts.get('member', memberCode);
        if (!member) return refusal('credential.unknown');
        const known = facts.get('memberKey', id);
        if (known?.memberId === memberCode && known.kind === kind) return ok(viewOf(facts, member));
        // A tag that an older host kept as a pass: it could not tell them apart.
        if (known?.memberId === memberCode && known.kind === 'pass' && kind === 'tag') {
          facts.write([put('memberKey', { ...known, kind })]);
          return ok(viewOf(facts, member));
        }
        if (known || facts.find('coupon', 'cardKeyId', id).length > 0)
          return refusal('record.conflict', `this ${kind} id is taken`);
        if (facts.find('memberKey', 'memberId', memberCode).length >= memberKeysMax)
          return refusal('input.tooLong', `more than ${memberKeysMax} phones, passes and tags`);
        facts.write([put('memberKey', { ...bound, registeredAtMs: clock.wallMs() })]);
        return ok(viewOf(facts, member));
      });
    },
    setKeyState: async (keyId, state) => {
      const nowMs = clock.wallMs();
      const plan = (need: Collector): void => {
        need.get('memberKey', keyId);
        planUnblock(need, keyId);
        need.get('setting', 'directivesVersion');
      };
      return store.transact(plan, (facts) => {
        const key = facts.get('memberKey', keyId);
        if (!key) return refusal('credential.unknown');
        if (key.state !== state)
          facts.write([
            // Whoever lets a phone in again has settled what it was blocked for.
            put('memberKey', {
              ...{ ...key, state, misusedAtMs: null },
              blockedAtMs: state === 'blocked' ? nowMs : null,
            }),
            ...(state === 'blocked' ? [put('block', blockRow(keyId, nowMs))] : unblock(facts, keyId)),
            raiseDirectives(facts, nowMs),
          ]);
        return ok(undefined);
      });
    },
    lose: (memberCode, number) => lose({ store, clock }, memberCode, number),
    byCode: (memberCode) => view((facts) => facts.get('member', memberCode)?.id),
    byPhone: (phone, merchant) =>
      view((facts) => {
        if (merchant === undefined) return mainMembership(facts, phone)?.id;
        const ownMerchant = setting(facts as Facts, 'ownMerchant');
        return membershipOf(facts, phone, merchant === ownMerchant ? '' : merchant)?.id;
      }),
    byKey: (keyId) => view((facts) => facts.get('memberKey', keyId)?.memberId),
    list: (options) => pageOf(store, 'member', null, options),
    statement: (memberCode, account, options) => {
      const accounts = { points: memberPoints, owed: memberOwed, reserved: memberReserved };
      return statementOf(store, accounts[account](memberCode).id, options);
    },
  };
}
