// Random streets of three merchants: agreements, earnings, spends, their ends, settlements and duplicates in any order.
// After each history: every entry adds up for each merchant's points by itself, no rate made or lost value, and the two
// statements of every pair are the same figures with the signs turned, equal to the ledger's accounts.
import fc from 'fast-check';
import t from 'tap';
import { complete, earn, refund, reverse, spend, undo } from '../sim/sales.js';
import { type Box, type LooseDraft, must, openWorld, type Phone, type World } from '../sim/world.js';
import type { Row } from './tables.js';

const merchants = ['SHOULI', 'CAFE', 'BOOKS'] as const;
const keys = { privateKey: new Uint8Array(32).fill(1), publicKey: new Uint8Array(33).fill(2) };
const persons = ['13800000000', '13900000000'] as const;

interface Step {
  readonly what: 'agree' | 'endAgreement' | 'earn' | 'spend' | 'later' | 'complete' | 'settle' | 'wait';
  readonly at: number;
  readonly other: number;
  readonly who: number;
  readonly foreignKey: boolean;
  readonly amount: number;
  readonly rate: readonly [number, number];
  readonly pick: number;
  readonly word: 'complete' | 'reverse' | 'void' | 'refund' | 'twice';
}
const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    'agree',
    'endAgreement',
    'earn',
    'earn',
    'spend',
    'spend',
    'spend',
    'later',
    'later',
    'later',
    'complete',
    'complete',
    'settle',
    'wait',
  ),
  at: fc.nat(2),
  other: fc.nat(1),
  who: fc.nat(1),
  foreignKey: fc.boolean(),
  amount: fc.integer({ min: 1, max: 120 }),
  rate: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 })),
  pick: fc.nat(1_000),
  word: fc.constantFrom('complete', 'complete', 'reverse', 'void', 'refund', 'refund', 'twice'),
});

interface Sold {
  readonly box: Box;
  readonly draft: LooseDraft;
}

class Street {
  readonly sold: Sold[] = [];
  spends = 0;
  constructor(
    readonly world: World,
    readonly boxes: readonly Box[],
    readonly phones: readonly (readonly Phone[])[],
  ) {}

  async take(one: Step): Promise<void> {
    const { world } = this;
    const box = this.boxes[one.at] as Box;
    const acceptor = merchants[one.at] as string;
    const issuer = merchants.filter((id) => id !== acceptor)[one.other] as string;
    const phone = (this.phones[one.who] ?? [])[one.foreignKey ? (one.at + 1 + one.other) % 3 : one.at] as Phone;
    const totalMinor = one.amount * 100;
    switch (one.what) {
      case 'agree': {
        const [issuerPoints, acceptorPoints] = one.rate;
        const terms = { issuer, acceptor, issuerPoints, acceptorPoints, offeredBy: issuer, person: 'Li' };
        const dailyPointsMax = one.pick % 3 === 0 ? 200 : null;
        const made = await world.host.federation.offer({
          ...terms,
          validFromMs: null,
          validToMs: null,
          dailyPointsMax,
        });
        await world.host.federation.confirm(issuer, acceptor, must(made).version, acceptor, 'Wang');
        return;
      }
      case 'endAgreement':
        await world.host.federation.end(issuer, acceptor, 1 + (one.pick % 3), issuer, 'Li');
        return;
      case 'earn': {
        // Mostly where the person is at home, so that there is something to share elsewhere.
        const home = one.pick % 4 === 0 ? one.at : one.who;
        const [till, key] = [this.boxes[home] as Box, (this.phones[one.who] ?? [])[home] as Phone];
        const draft = earn(till, key, totalMinor * 5);
        await till.tell(draft);
        return void this.sold.push({ box: till, draft });
      }
      case 'spend': {
        const draft = spend(box, phone, totalMinor, one.amount);
        const { answer } = await box.ask(draft);
        if (answer.outcome === 'accepted' && answer.notices.includes('points.partner')) this.spends++;
        return void this.sold.push({ box, draft });
      }
      case 'complete':
        return this.later({ ...one, pick: this.sold.length - 1, word: 'complete' });
      case 'later':
        return this.later(one);
      case 'settle':
        await world.host.federation.settle(issuer, acceptor, world.clock.nowMs, 'Li');
        return;
      case 'wait':
        world.clock.nowMs += one.pick * 1_000;
        await world.host.expire();
    }
  }

  async later({ pick, word, amount }: Step): Promise<void> {
    const sale = this.sold[Math.max(0, pick) % Math.max(1, this.sold.length)];
    if (!sale) return;
    const words = {
      complete: (of: LooseDraft) => complete(of),
      reverse: (of: LooseDraft) => reverse(of),
      void: undo,
      refund: (of: LooseDraft) => refund(of, amount),
    };
    if (word !== 'twice') return void (await sale.box.tell(words[word](sale.draft)));
    const envelope = sale.box.record(words.refund(sale.draft));
    const [first, second] = [await sale.box.send(envelope), await sale.box.send(envelope)];
    if (JSON.stringify(first.answers) !== JSON.stringify(second.answers)) throw new Error('two answers to one record');
  }
}

async function openStreet(): Promise<Street> {
  const world = await openWorld();
  for (const id of merchants.slice(1)) must(await world.host.merchants.add({ id, name: id, location: '-' }, keys));
  const boxes: Box[] = [];
  for (const id of merchants) boxes.push(await world.box(`${id} till`, id));
  const terms = { issuerPoints: 3, acceptorPoints: 2, person: 'Li', validFromMs: null, validToMs: null };
  for (const issuer of merchants)
    for (const acceptor of merchants.filter((id) => id !== issuer)) {
      const offer = { ...terms, issuer, acceptor, offeredBy: issuer, dailyPointsMax: null };
      const { version } = must(await world.host.federation.offer(offer));
      must(await world.host.federation.confirm(issuer, acceptor, version, acceptor, 'Wang'));
    }
  const phones: Phone[][] = [];
  for (const number of persons) {
    const own: Phone[] = [];
    for (const id of merchants) own.push(await world.phone(number, id === 'SHOULI' ? '' : id));
    phones.push(own);
  }
  return new Street(world, boxes, phones);
}

/** Whose points an account counts: of a member, of a terminal, or of what two merchants have between them. */
async function merchantOf(world: World): Promise<(account: string) => string> {
  const members = (await world.store.page({
    table: 'member',
    where: null,
    after: null,
    limit: 1_000,
  })) as Row<'member'>[];
  const terminals = await world.store.page({ table: 'terminal', where: null, after: null, limit: 1_000 });
  const owner = new Map(
    [...members, ...terminals].map((one) => [one.id, one.merchantId === '' ? 'SHOULI' : one.merchantId]),
  );
  return (account) => {
    const [kind, first = '', second = ''] = account.split('/');
    if (kind === 'member' || kind === 'terminal') return owner.get(first) ?? 'nobody';
    return kind === 'partner' ? first : second;
  };
}

async function prove(street: Street): Promise<void> {
  const { world } = street;
  const problems = await world.host.checkStore();
  if (problems.length > 0) throw new Error(problems.join('\n'));
  // Each entry adds up to nothing for each merchant's points by itself: value never crosses but through the clearing.
  const whose = await merchantOf(world);
  const sums = new Map<string, number>();
  for (const line of await world.store.page({ table: 'line', where: null, after: null, limit: 1_000 })) {
    const key = `${line.entry} of ${whose(line.account)}`;
    sums.set(key, (sums.get(key) ?? 0) + line.amount);
  }
  for (const [key, sum] of sums) if (sum !== 0) throw new Error(`${key}: ${sum}`);
  // What was taken is exactly the rate's figure for what stays paid, sale by sale.
  const items = await world.store.page({ table: 'clearingItem', where: null, after: null, limit: 1_000 });
  for (const sale of new Set(items.map((item) => item.sale))) {
    const own = items.filter((item) => item.sale === sale);
    const taken = own.reduce((sum, item) => sum + item.issuerPoints, 0);
    const paid = own.reduce((sum, item) => sum + item.acceptorPoints, 0);
    const [agreement] = await world.store.page({
      table: 'agreement',
      where: { prefix: own[0]?.agreementId ?? '' },
      after: null,
      limit: 1,
    });
    if (!agreement || paid < 0) throw new Error(`${sale} pays ${paid}`);
    const over = taken * agreement.acceptorPoints - paid * agreement.issuerPoints;
    if (over < 0 || over >= agreement.acceptorPoints) throw new Error(`${sale}: ${taken} taken for ${paid}`);
  }
  for (const [one, other] of [
    [0, 1],
    [0, 2],
    [1, 2],
  ] as const)
    await compare(world, merchants[one], merchants[other]);
}

async function compare(world: World, one: string, other: string): Promise<void> {
  const of = (merchant: string, partner: string) =>
    world.host.federation.statement({ merchant, partner, fromMs: 1, untilMs: null, limit: 999 });
  const [mine, theirs] = [await of(one, other), await of(other, one)];
  if (!mine.ok || !theirs.ok) {
    if (mine.ok !== theirs.ok) throw new Error('one statement without the other');
    return;
  }
  const [a, b] = [mine.value, theirs.value];
  const balance = async (id: string) =>
    world.store.read(
      (need) => void need.get('account', id),
      (facts) => facts.get('account', id)?.balance ?? 0,
    );
  const owed = async (issuer: string, acceptor: string) =>
    (await balance(`clearing/${issuer}/${acceptor}/due`)) - (await balance(`clearing/${issuer}/${acceptor}/back`));
  const open = (await owed(other, one)) - (await owed(one, other));
  const lines = a.rows.reduce((sum, { change }) => sum + change, 0);
  const isSame =
    a.claims === b.debts && a.debts === b.claims && a.settled + b.settled === 0 && a.closing + b.closing === 0;
  if (!isSame || a.closing !== open || lines !== a.claims - a.debts)
    throw new Error(`statements of ${one} and ${other} differ: ${a.closing}, ${b.closing}, ledger ${open}`);
  if (a.opening + a.claims - a.debts - a.settled !== a.closing) throw new Error('the statement does not add up');
}

t.test('random histories of three merchants', async (t) => {
  let shared = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 60 }), async (steps) => {
      const street = await openStreet();
      try {
        for (const one of steps) await street.take(one);
        await prove(street);
        shared += street.spends;
      } finally {
        await street.world.close();
      }
    }),
    { numRuns: Number(process.env['FEDERATION_RUNS'] ?? 25), seed: 20_261_128 },
  );
  t.ok(shared > 30, `${shared} spends were paid by a partner`);
});
