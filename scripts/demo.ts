/**
 * The demo: plays the worked examples (a 300.00 bill earns points that pay part of another; a 300.00 coupon pays a 100.00
 * cake, from the card in the phone and from a code on its screen) on simulated devices, checks every figure, and ends.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { loadConfig } from '../config/load.js';
import { PhoneControl } from '../drivers/sim/phone/control.js';
import { formatAmount } from '../terminal/kernel/units.js';
import type { SaleBody } from '../terminal/local-api/schema.js';
import { type AdminClient, openAdminClient } from './host/admin-client.js';
import { type Box, startBox } from './start-parts/box.js';
import { type SimulatedSet, startSimulatedSet } from './start-parts/simulated-set.js';

const number = '13800138000';
const currency = 'CNY';
const clerk = '小李';
/** How long one expected thing may take, in milliseconds. */
const patienceMs = 20_000;
/** How long another simulated set on this machine is waited for: tests hold it for minutes. */
const setWaitMs = 600_000;

interface Stage {
  readonly box: Box;
  readonly set: SimulatedSet;
  readonly phone: PhoneControl;
  readonly admin: AdminClient;
  readonly token: string;
  readonly say: Say;
}

/** Prints for people or as JSON lines, and remembers whether every check held. */
class Say {
  failures = 0;
  constructor(private readonly json: boolean) {}

  step(step: string, text: string): void {
    if (this.json) this.#line({ step, text });
    else console.log(`\n■ ${text}`);
  }
  receipt(step: string, sale: SaleBody): void {
    if (this.json) this.#line({ step, sale });
    else console.log(sale.receipt.map((line) => `    ${line}`).join('\n'));
  }
  check(step: string, what: string, found: unknown, wanted: unknown, unit: 'minor' | 'points' | 'text'): void {
    const holds = found === wanted;
    if (!holds) this.failures += 1;
    if (this.json) {
      this.#line({ step, check: what, unit, found: found ?? null, wanted, ok: holds });
      return;
    }
    const show = (value: unknown): string =>
      unit === 'minor' && typeof value === 'number' ? `${formatAmount(value, currency)} ${currency}` : String(value);
    console.log(`  ${holds ? '✓' : '✗'} ${what}: ${show(found)}${holds ? '' : `, expected ${show(wanted)}`}`);
  }
  end(): void {
    if (this.json) this.#line({ ok: this.failures === 0, failures: this.failures });
    else console.log(this.failures === 0 ? '\nAll as designed. 全部正确。' : `\n${this.failures} check(s) failed.`);
  }
  #line(value: unknown): void {
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }
}

/** Asks again and again until there is an answer; fails with what was waited for. */
async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
  const endAt = Date.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (Date.now() > endAt) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

async function call<T>({ box, token }: Stage, method: string, at: string, body?: unknown): Promise<T> {
  const port = box.terminal.ready.localApi?.port;
  const response = await fetch(`http://127.0.0.1:${port}${at}`, {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(`${method} ${at}: ${response.status} ${JSON.stringify(answer)}`);
  return answer as T;
}

const balancesOf = (sale: SaleBody) =>
  sale.outcome && sale.outcome.result !== 'unknown' ? sale.outcome.balances : null;
const ended = (stage: Stage, reference: string): Promise<SaleBody> =>
  until(`the end of ${reference}`, async () => {
    const sale = await call<SaleBody>(stage, 'GET', `/v1/sales/${reference}?wait=15`);
    return sale.phase === 'ended' ? sale : null;
  });

/** A sale by the till: put, tap, and its end. */
async function sellByTap(
  stage: Stage,
  step: string,
  reference: string,
  body: Readonly<Record<string, unknown>>,
): Promise<SaleBody> {
  await call(stage, 'PUT', `/v1/sales/${reference}`, { clerk, ...body });
  await stage.phone.request({ do: 'tap', until: 'result' });
  const sale = await ended(stage, reference);
  await stage.phone.request({ do: 'remove' });
  stage.say.receipt(step, sale);
  return sale;
}

/** The member joins: the merchant's message, the phone's own key in its answer. */
async function join(stage: Stage): Promise<void> {
  const { admin, say } = stage;
  say.step(
    'join',
    `会员注册 Registration: the merchant writes to ${number}, and the phone answers with a key of its own`,
  );
  await admin.call('member.register', { phone: number, name: '王芳' });
  // The member exists from the moment that the phone's answer came.
  const keys = await until('the phone to answer with its key', async () => {
    const { rows } = await admin.call<{ rows: { phone: string }[] }>('member.list');
    if (!rows.some(({ phone }) => phone === number)) return null;
    return (await admin.call<{ keys: unknown[] }>('member.show', { who: number })).keys.length;
  });
  say.check('join', '会员密钥 keys bound to the member', keys, 1, 'text');
}

async function points(stage: Stage): Promise<void> {
  const { say } = stage;
  say.step('P7', '积分累计 Earning points: a restaurant bill of 300.00, the member taps');
  const earned = await sellByTap(stage, 'P7', 'demo-p7-earn', { service: 'pointsEarn', amountMinor: 30_000 });
  say.check('P7', '结果 outcome', earned.outcome?.result, 'accepted', 'text');
  say.check(
    'P7',
    '本次积分 points earned',
    earned.outcome?.result === 'accepted' ? earned.outcome.points : null,
    300,
    'points',
  );
  say.check('P7', '积分余额 points balance', balancesOf(earned)?.points, 300, 'points');

  say.step('P7', '积分消费 Spending points: 200 of them pay part of a bill of 80.00');
  const spent = await sellByTap(stage, 'P7', 'demo-p7-spend', {
    service: 'pointsSpend',
    amountMinor: 8_000,
    points: 200,
  });
  say.check(
    'P7',
    '积分抵扣 paid by points',
    spent.outcome?.result === 'accepted' ? spent.outcome.coveredMinor : null,
    200,
    'minor',
  );
  say.check(
    'P7',
    '应付 left to pay',
    spent.outcome?.result === 'accepted' ? spent.outcome.restMinor : null,
    7_800,
    'minor',
  );
  say.check('P7', '积分余额 points balance', balancesOf(spent)?.points, 100, 'points');
}

async function catalogue(stage: Stage): Promise<void> {
  const { admin, say } = stage;
  say.step('C2', '商品目录 Catalogue: a cake for 100.00 and a tea for 8.00');
  const { id } = await admin.call<{ id: string }>('catalogue.begin', { currency });
  const rows = [
    { code: '6901234567892', name: '奶油蛋糕 Cream cake', priceMinor: 10_000, category: 'cake' },
    { code: '6901234567908', name: '绿茶 Green tea', priceMinor: 800, category: 'drink' },
  ];
  await admin.call('catalogue.add', { id, rows });
  await admin.call('catalogue.commit', { id });
  // The next contact with the host brings it; a small sale is one.
  await call(stage, 'PUT', '/v1/sales/demo-c2', { service: 'plainSale', clerk, amountMinor: 800 });
  await until('the catalogue on the box', async () => {
    const status = await call<{ catalogueVersion: number | null }>(stage, 'GET', '/v1/status');
    return status.catalogueVersion && status.catalogueVersion > 0 ? status : null;
  });
}

async function cardCoupon(stage: Stage): Promise<void> {
  const { admin, say, phone } = stage;
  say.step('C7a', '卡内优惠券 Coupon on the card in the phone: 300.00 for cake; the member taps for a cake of 100.00');
  await admin.call('coupon.issue', {
    holder: 'card',
    member: number,
    currency,
    amountMinor: 30_000,
    limitCategory: 'cake',
  });
  await until('the coupon on the card', async () =>
    (await phone.request({ do: 'show' })).memberships[0]?.card ? true : null,
  );
  const sale = await sellByTap(stage, 'C7a', 'demo-c7a', {
    service: 'couponCard',
    lines: [{ code: '6901234567892', quantity: 1 }],
  });
  say.check('C7a', '结果 outcome', sale.outcome?.result, 'accepted', 'text');
  say.check(
    'C7a',
    '优惠券抵扣 paid by the coupon',
    sale.outcome?.result === 'accepted' ? sale.outcome.coveredMinor : null,
    10_000,
    'minor',
  );
  const card = (await phone.request({ do: 'show' })).memberships[0]?.card;
  say.check('C7a', '卡内余额 written back to the card', card?.record?.balanceMinor, 20_000, 'minor');
}

async function screenCoupon(stage: Stage): Promise<void> {
  const { admin, say, set } = stage;
  say.step('C7b', '屏幕券码 Coupon at the host, its code on the screen: 300.00 for cake; everything is scanned');
  const coupon = await admin.call<{ code: string }>('coupon.issue', {
    holder: 'host',
    member: number,
    currency,
    amountMinor: 30_000,
    limitCategory: 'cake',
  });
  set.scan('6901234567892');
  set.scan('SL!COUPON');
  await until('the sale to wait for the code', async () => {
    const status = await call<{ sale: SaleBody | null }>(stage, 'GET', '/v1/status');
    return status.sale?.phase === 'waiting' ? true : null;
  });
  set.scan(coupon.code);
  const sale = await until('the end of the scanned sale', async () => {
    const { sales } = await call<{ sales: SaleBody[] }>(stage, 'GET', '/v1/sales?limit=1');
    const [newest] = sales;
    return newest?.service === 'couponHost' && newest.phase === 'ended' ? newest : null;
  });
  say.receipt('C7b', sale);
  say.check('C7b', '结果 outcome', sale.outcome?.result, 'accepted', 'text');
  say.check('C7b', '券余额 new balance told to the till', balancesOf(sale)?.couponMinor, 20_000, 'minor');
  const stored = await admin.call<{ balanceMinor: number }>('coupon.show', { code: coupon.code });
  say.check('C7b', '主机余额 stored at the host', stored.balanceMinor, 20_000, 'minor');
}

/** Everything reached the host once, and its books add up. */
async function reconcile(stage: Stage): Promise<void> {
  const { admin, say } = stage;
  say.step('books', '对账 Reconciliation: everything reached the host once, and its ledger adds up');
  await until('the queue to empty', async () => {
    const { queue } = await call<{ queue: { unsent: number } }>(stage, 'GET', '/v1/status');
    return queue.unsent === 0 ? true : null;
  });
  const member = await admin.call<{ memberCode: string; points: number }>('member.show', { who: number });
  const records = await admin.call<{ rows: unknown[] }>('consumption.list', { by: { memberCode: member.memberCode } });
  const { ledger } = await admin.call<{ ledger: { problems: readonly unknown[] } }>('verify');
  say.check('books', '主机积分 points at the host', member.points, 100, 'points');
  say.check('books', '消费记录 consumption records of the member', records.rows.length, 4, 'text');
  say.check('books', '账本问题 problems in the ledger', ledger.problems.length, 0, 'text');
}

/** Plays everything in a data folder of its own. @returns the exit code: 0 when every check held */
export async function runDemo(options: { readonly json: boolean }): Promise<number> {
  const say = new Say(options.json);
  const dataFolder = mkdtempSync(path.join(tmpdir(), 'shouli-demo-'));
  const defaults = loadConfig(
    '[host]\nmerchant = "好味餐厅 Haowei"\nlocation = "人民路店 Renmin Road"\n[terminal]\ncategory = "dining"\n',
  );
  if (!defaults.ok) throw new Error(JSON.stringify(defaults.error));
  const stops: (() => Promise<void>)[] = [];
  const stopAll = async (): Promise<void> => {
    for (const stop of stops.splice(0).reverse()) await stop();
    rmSync(dataFolder, { recursive: true, force: true });
  };
  let isCut = false;
  const interrupted = (): void => {
    if (isCut) return;
    isCut = true;
    console.error('demo: interrupted; putting everything away …');
    void stopAll().then(() => process.exit(130));
  };
  process.once('SIGINT', interrupted);
  process.once('SIGTERM', interrupted);
  // Who reads the lines has gone (`… | head`): nobody to play for.
  process.stdout.on('error', interrupted);
  try {
    if (!options.json)
      console.log(
        'SIMULATED 模拟: reader, phone, scanner, printer, display and relay are simulated; drivers, terminal and host are the real ones',
      );
    const set = await startSimulatedSet({
      dataFolder,
      number,
      hostMessages: path.join(dataFolder, 'host', 'messages'),
      waitMs: setWaitMs,
      onWaiting: () => console.error('another simulated set runs on this machine; waiting for it to end …'),
    });
    stops.push(set.stop);
    const phone = await PhoneControl.open(set.phoneControl);
    stops.push(async () => phone.close());
    const box = await startBox({
      dataFolder,
      config: defaults.value,
      configFile: path.join(dataFolder, 'shouli.toml'),
      simulated: true,
      scannerLine: set.scannerLine,
      printerLine: set.printerLine,
      displayLine: set.displayLine,
      relayLine: set.relayLine,
      freePorts: true,
    });
    stops.push(box.stop);
    const admin = openAdminClient(path.join(dataFolder, 'host'));
    stops.push(() => admin.close());
    const token = readFileSync(box.terminal.ready.localApi?.tokenFile ?? '', 'utf8').trim();
    const stage: Stage = { box, set, phone, admin, token, say };
    for (const play of [join, points, catalogue, cardCoupon, screenCoupon, reconcile]) await play(stage);
  } catch (error) {
    if (isCut) return 130;
    say.failures += 1;
    console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  } finally {
    await stopAll();
    process.off('SIGINT', interrupted);
    process.off('SIGTERM', interrupted);
  }
  if (isCut) return 130;
  say.end();
  return say.failures === 0 ? 0 : 1;
}
