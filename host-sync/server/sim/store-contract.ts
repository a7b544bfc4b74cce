/**
 * The contract of every store behind the host's port, as one suite that each engine runs. For tests only.
 * Speaks to the port alone, so that it says nothing about SQL.
 */
import type { Test } from 'tap';
import { type Collector, put, remove, type WorkingSet } from '../ledger/facts.js';
import { lookupRowsMax, type Row } from '../ledger/tables.js';
import type { HostStore } from '../storage/port.js';

export interface ContractEngine {
  /** A new, empty store. */
  open(): Promise<HostStore>;
}

const member = (id: string, phone: string): Row<'member'> => ({
  id,
  phone,
  name: 'n',
  earnedPoints: 0,
  registeredAtMs: 1,
  merchantId: '',
});
const account = (id: string, balance: number): Row<'account'> => ({
  id,
  unit: 'points',
  side: 'credit',
  balance,
  lines: 0,
});
const nothing = (): void => undefined;
const writes = (store: HostStore, ...rows: Parameters<WorkingSet['write']>[0]): Promise<void> =>
  store.transact(nothing, (facts) => facts.write(rows));
const reads = (store: HostStore, id: string): Promise<Row<'member'> | undefined> =>
  store.read(
    (need) => void need.get('member', id),
    (facts) => facts.get('member', id),
  );

export function storeContract(t: Test, engine: ContractEngine): void {
  const test = (name: string, run: (t: Test, store: HostStore) => Promise<void>): void =>
    void t.test(name, async (t) => {
      const store = await engine.open();
      t.teardown(() => store.close());
      await run(t, store);
    });

  test('loads by key and by lookup, tells absence from emptiness, and follows facts to facts', async (t, store) => {
    await writes(
      store,
      put('member', member('SLM1', '138')),
      put('member', member('SLM2', '139')),
      put('account', account('a', 5)),
    );
    const seen = await store.read(
      (need) => {
        need.get('member', 'SLM9');
        for (const found of need.find('member', 'phone', '139')) need.get('account', found.id === 'SLM2' ? 'a' : 'b');
        need.find('member', 'phone', '000');
      },
      (facts) => [
        facts.get('member', 'SLM9'),
        facts.find('member', 'phone', '139')[0]?.id,
        facts.find('member', 'phone', '000').length,
        facts.get('account', 'a')?.balance,
      ],
    );
    t.same(seen, [undefined, 'SLM2', 0, 5]);
    await t.rejects(
      store.read(nothing, (facts) => facts.get('member', 'SLM1')),
      { name: 'UnloadedFact' },
    );
  });

  test('many values of one lookup come in one load, also more than a statement takes parameters', async (t, store) => {
    const rows = Array.from({ length: 3_000 }, (_, i) =>
      member(`SLM${String(i).padStart(4, '0')}`, String(100_000 + i)),
    );
    await writes(store, ...rows.map((row) => put('member', row)));
    const count = await store.read(
      (need) => {
        for (const row of rows) {
          need.get('member', row.id);
          need.find('member', 'phone', row.phone);
        }
      },
      (facts) =>
        rows.filter((row) => facts.get('member', row.id) && facts.find('member', 'phone', row.phone).length === 1)
          .length,
    );
    t.equal(count, 3_000);
  });

  test('of more rows than a lookup loads, the newest by id come, of each value', async (t, store) => {
    const change = (code: string, version: number): Row<'productHistory'> => ({
      ...{ id: `${code}@${String(version).padStart(10, '0')}`, code, version },
      ...{ priceMinor: version, category: 'x' },
    });
    const versions = Array.from({ length: lookupRowsMax + 10 }, (_, index) => index + 1);
    await writes(store, ...['A', 'B'].flatMap((code) => versions.map((n) => put('productHistory', change(code, n)))));
    for (const codes of [['A'], ['A', 'B']]) {
      const found = await store.read(
        (need) => codes.forEach((code) => void need.find('productHistory', 'code', code)),
        (facts) => codes.map((code) => facts.find('productHistory', 'code', code).map(({ version }) => version)),
      );
      t.same(
        found,
        codes.map(() => versions.slice(10)),
      );
    }
  });

  test('all or nothing: a decision that throws, and a constraint that refuses, leave no trace', async (t, store) => {
    await t.rejects(
      store.transact(nothing, (facts) => {
        facts.write([put('member', member('SLM1', '138'))]);
        throw new Error('changed its mind');
      }),
      /changed its mind/,
    );
    t.equal(await reads(store, 'SLM1'), undefined);
    await t.rejects(writes(store, put('member', member('SLM1', '138')), put('account', account('a', -1))), {
      code: 'store.failed',
    });
    t.equal(await reads(store, 'SLM1'), undefined, 'a balance is never negative, and takes all with it');
    await writes(store, put('member', member('SLM1', '138')));
    await t.rejects(
      writes(store, put('member', member('SLM2', '138'))),
      { code: 'store.failed' },
      'one phone number, one member',
    );
    await writes(store, put('member', { ...member('SLM3', '138'), merchantId: 'CAFE' }));
    t.match(await reads(store, 'SLM3'), { phone: '138' }, 'but one of each merchant');
  });

  test('replaces, removes and inserts by key; what is immutable stays', async (t, store) => {
    await writes(store, put('member', member('SLM1', '138')));
    await writes(store, put('member', { ...member('SLM1', '139'), name: '名字 "quoted"\u0000' }));
    t.match(await reads(store, 'SLM1'), { phone: '139', name: '名字 "quoted"\u0000' });
    await store.transact(
      (need) => void need.get('member', 'SLM1'),
      (facts) => facts.write([remove('member', 'SLM1'), put('member', member('SLM2', '139'))]),
    );
    t.equal(await reads(store, 'SLM1'), undefined, 'what goes makes room for what comes');
    const entry = put('entry', { id: 'e', cause: 'c', record: null, atMs: 1 });
    await writes(store, entry);
    await t.rejects(writes(store, entry), { code: 'store.failed' });
    await t.rejects(writes(store, remove('entry', 'e')), { code: 'store.failed' });
    await t.rejects(
      writes(
        store,
        put('line', { id: 'x', entry: 'none', account: 'none', unit: 'points', amount: 1, balanceAfter: 1, atMs: 1 }),
      ),
      { code: 'store.failed' },
    );
  });

  test('integers keep every digit up to the safe limit, bytes every byte, null stays null', async (t, store) => {
    await writes(store, put('account', account('a', Number.MAX_SAFE_INTEGER)));
    const body = Uint8Array.from({ length: 256 }, (_, i) => i);
    const held: Row<'quarantine'> = { id: 'q', terminalId: 't', body, previousHash: '', atMs: 0 };
    await writes(store, put('quarantine', held), put('member', member('SLM1', '138')));
    const plan = (need: Collector): void => {
      need.get('account', 'a');
      need.get('quarantine', 'q');
    };
    const seen = await store.read(plan, (facts) => [
      facts.get('account', 'a')?.balance,
      facts.get('quarantine', 'q')?.body,
    ]);
    t.same(seen, [Number.MAX_SAFE_INTEGER, body]);
    await t.rejects(writes(store, put('account', account('b', 1.5))));
    await t.rejects(writes(store, put('account', account('b', 2 ** 53))));
  });

  test('due rows come earliest first and limited; rows without a time never', async (t, store) => {
    const coupon = (id: string, sweepAtMs: number | null): Row<'coupon'> => ({
      id,
      holder: 'host',
      memberId: null,
      openMember: null,
      cardKeyId: null,
      currency: 'CNY',
      initialMinor: 1,
      expiresAtMs: null,
      sweepAtMs,
      limitCategory: null,
      limitProducts: null,
      state: 'active',
      cardCounter: 0,
      pendingSale: null,
      issuedAtMs: 1,
    });
    const rows = [coupon('a', 30), coupon('b', 10), coupon('c', null), coupon('d', 20), coupon('e', 99)];
    await writes(store, ...rows.map((row) => put('coupon', row)));
    const due = (limit: number) =>
      store.read(
        (need) => void need.due('coupon', 'sweepAtMs', 50, limit),
        (facts) => facts.dueRows('coupon', 'sweepAtMs').map((row) => row.id),
      );
    t.same(await due(10), ['b', 'd', 'a']);
    t.same(await due(2), ['b', 'd']);
  });

  test('pages go both ways by id, by lookup and by prefix, and never beyond their limit', async (t, store) => {
    const rows = Array.from({ length: 7 }, (_, i) => member(`SLM${i}`, String(i)));
    await writes(
      store,
      ...rows.map((row) => put('member', row)),
      put('alarm', {
        id: '1/x',
        sameness: 's',
        code: 'c',
        terminalId: 't-1',
        subject: '',
        detail: '',
        count: 1,
        firstAtMs: 1,
        lastAtMs: 1,
      }),
    );
    const ids = async (after: string | null, order: 'oldest' | 'newest' = 'oldest') =>
      (await store.page({ table: 'member', where: null, after, limit: 3, order })).map((row) => row.id);
    t.same(await ids(null), ['SLM0', 'SLM1', 'SLM2']);
    t.same(await ids('SLM5'), ['SLM6']);
    t.same(await ids('SLM2', 'newest'), ['SLM1', 'SLM0']);
    t.same(
      (await store.page({ table: 'member', where: { prefix: 'SLM3' }, after: null, limit: 9 })).map((row) => row.id),
      ['SLM3'],
    );
    t.equal(
      (await store.page({ table: 'alarm', where: { lookup: 'terminalId', value: 't-1' }, after: null, limit: 9 }))
        .length,
      1,
    );
    t.equal(await store.count('member', null), 7);
    t.equal(await store.count('member', { lookup: 'phone', value: '3' }), 1);
  });

  test('transactions at the same time see each other whole', async (t, store) => {
    await writes(store, put('account', account('a', 0)));
    const add = (): Promise<void> =>
      store.transact(
        (need) => void need.get('account', 'a'),
        (facts) => {
          const row = facts.get('account', 'a');
          if (row) facts.write([put('account', { ...row, balance: row.balance + 1 })]);
        },
      );
    await Promise.all(Array.from({ length: 50 }, add));
    t.equal(
      await store.read(
        (need) => void need.get('account', 'a'),
        (facts) => facts.get('account', 'a')?.balance,
      ),
      50,
    );
  });

  test('text that is made to break a statement is only text', async (t, store) => {
    const nasty = `'; DROP TABLE member; -- " \\ % _ ] [ \u0000`;
    await writes(store, put('member', member(nasty, nasty)));
    const found = await store.read(
      (need) => void need.find('member', 'phone', nasty),
      (facts) => facts.find('member', 'phone', nasty)[0]?.id,
    );
    t.equal(found, nasty);
  });

  test('a check finds nothing wrong, closing twice is no error, and a closed store refuses', async (t, store) => {
    t.same(await store.check(), []);
    await store.close();
    await store.close();
    await t.rejects(reads(store, 'x'), { code: 'store.failed' });
  });
}
