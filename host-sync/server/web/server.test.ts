// The member's pages over HTTP, on a real store: logging in, what a session sees, what strangers learn (nothing), other sites'
// pages and names (refused), and that neither code nor token stands in the database.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pino } from 'pino';
import t from 'tap';
import { Client } from 'undici';
import { screenCode, stepAt, stepBytes } from '../../../drivers/protocols/screen-code/screen-code.js';
import { hex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../../../terminal/kernel/native.js';
import {
  loginFailuresMax,
  loginSendsMax,
  loginWindowMs,
  sessionsMax,
  sessionValidMs,
} from '../service/member-pages.js';
import type { MemberOverview, ScreenCodes } from '../service/types.js';
import { type Box, inWorld, keyed, must, openWorld, type World } from '../sim/world.js';
import { createMemberPagesServer } from './server.js';

const phone = '13800138000';
const cafeKeys = nativeKeyAgreement.generateKeyPair();

interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Record<string, unknown>;
}

async function openPages(t: { teardown(run: () => unknown): void }, world: World) {
  const sent: { to: string; text: string }[] = [];
  const waits: number[] = [];
  const log: string[] = [];
  const server = await createMemberPagesServer({
    pages: world.host.pages,
    messages: {
      send: async (message) => {
        sent.push(message);
        return 'id';
      },
    },
    schedule: (delayMs, run) => {
      waits.push(delayMs);
      setImmediate(run);
      return () => {};
    },
    logger: pino({ level: 'debug' }, { write: (line: string) => log.push(line) }),
    hostNames: ['members.example'],
    tls: null,
    secure: true,
  });
  const port = await server.listen(0, '127.0.0.1');
  const client = new Client(`http://127.0.0.1:${port}`);
  t.teardown(async () => {
    await client.destroy();
    await server.close();
  });
  const own = { host: 'members.example', origin: 'https://members.example' };
  const call = async (
    method: 'GET' | 'POST' | 'DELETE',
    path: string,
    body: unknown = undefined,
    headers: Record<string, string> = own,
  ): Promise<Answer> => {
    const response = await client.request({
      method,
      path,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.body.text();
    const isJson = String(response.headers['content-type']).startsWith('application/json');
    return { status: response.statusCode, body: isJson ? JSON.parse(text) : { text }, headers: response.headers };
  };
  /** What the phone got last. */
  const codeSent = async (): Promise<string> => {
    await new Promise((resolve) => setImmediate(resolve));
    return /[0-9]{6}/.exec(sent.at(-1)?.text ?? '')?.[0] ?? '';
  };
  const logIn = async (): Promise<{ cookie: string; code: string; answer: Answer }> => {
    await call('POST', '/v1/code', { phone });
    const code = await codeSent();
    const answer = await call('POST', '/v1/session', { phone, code });
    return { code, answer, cookie: String(answer.headers['set-cookie']).split(';')[0] ?? '' };
  };
  return { call, sent, waits, log, own, codeSent, logIn };
}

inWorld(t, 'a member logs in by the code on the phone and sees the own accounts', async (t, { world }) => {
  await world.host.rules.setMerchant('好味餐厅', '人民路店');
  const { memberCode } = await world.phone(phone);
  must(
    await world.host.coupons.issue({
      holder: 'host',
      memberCode,
      currency: 'CNY',
      amountMinor: 30_000,
      expiresAtMs: null,
    }),
  );
  must(
    await world.host.rules.setTiers([
      { name: 'member', earnedPointsMin: 0, multiplierBasisPoints: 10_000 },
      { name: 'gold', earnedPointsMin: 1_000, multiplierBasisPoints: 12_000 },
    ]),
  );
  const expiresAtMs = world.clock.nowMs + 86_400_000;
  must(await world.host.offers.publish({ title: '下午茶', text: 'Tea, half price', tier: null, expiresAtMs }));
  must(await world.host.offers.publish({ title: 'gold only', text: 'x', tier: 'gold', expiresAtMs }));
  const { call, logIn, own, sent, log } = await openPages(t, world);
  const { cookie, code, answer } = await logIn();
  t.equal(answer.status, 200);
  t.match(
    answer.headers['set-cookie'],
    /^shouli=[0-9a-f]{64}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=2592000; Secure$/,
  );
  t.match(sent, [{ to: phone, text: /^【好味餐厅】验证码 [0-9]{6}，/ }]);
  const seen = await call('GET', '/v1/overview', undefined, { ...own, cookie });
  t.match(seen, {
    status: 200,
    headers: { 'cache-control': 'no-store' },
    body: {
      memberships: [
        {
          merchant: '好味餐厅',
          memberCode,
          points: 0,
          coupons: [{ balanceMinor: 30_000 }],
          offers: [{ title: '下午茶' }],
        },
      ],
    },
  });
  const offersIn = ({ body }: Answer) => (body['memberships'] as readonly MemberOverview[])[0]?.offers;
  t.equal(offersIn(seen)?.length, 1, 'the offers of the own tier');
  world.clock.nowMs = expiresAtMs;
  const later = await call('GET', '/v1/overview', undefined, { ...own, cookie });
  t.same(offersIn(later), [], 'an offer ends');
  t.equal((await call('POST', '/v1/session', { phone, code })).status, 403, 'a code counts once');
  t.equal((await call('DELETE', '/v1/session', undefined, { ...own, cookie })).status, 204);
  t.equal((await call('GET', '/v1/overview', undefined, { ...own, cookie })).status, 403, 'logged out');
  const told = log.join('\n');
  t.notOk(told.includes(code) || told.includes(cookie.slice(7)), 'neither code nor token is logged');
});

t.test('neither code nor token stands in the database', async (t) => {
  const file = path.join(t.testdir(), 'host.db');
  const world = await openWorld({ path: file });
  t.teardown(() => world.close());
  await world.phone(phone);
  const { logIn } = await openPages(t, world);
  const { cookie, code } = await logIn();
  const stored = [file, `${file}-wal`].map((name) => readFileSync(name, 'latin1')).join('');
  t.notOk(stored.includes(cookie.slice(7)), 'token');
  // Six digits may stand anywhere by chance; the login's row holds only their hash.
  const row = await world.store.page({ table: 'pageLogin', where: null, after: null, limit: 1 });
  t.notOk(JSON.stringify(row).includes(`"${code}"`), 'code');
});

inWorld(t, 'fault 45: who is a member cannot be found out, and codes cannot be guessed', async (t, { world }) => {
  await world.phone(phone);
  const { call, own, sent, waits, codeSent } = await openPages(t, world);
  const known = await call('POST', '/v1/code', { phone });
  const stranger = await call('POST', '/v1/code', { phone: '13900139000' });
  t.same([stranger.status, stranger.body], [known.status, known.body], 'the same answer');
  const code = await codeSent();
  t.equal(sent.length, 1, 'and a stranger gets nothing');
  const wrong = code === '000000' ? '000001' : '000000';
  const answers = [];
  for (const number of ['13900139000', phone])
    answers.push(await call('POST', '/v1/session', { phone: number, code: wrong }));
  t.same(answers[0]?.body, answers[1]?.body);
  t.equal(waits.length, 2, 'both answers wait for the same time');
  for (let tries = 1; tries < loginFailuresMax; tries++) await call('POST', '/v1/session', { phone, code: wrong });
  t.equal((await call('POST', '/v1/session', { phone, code })).status, 403, 'the right code after five wrong ones');
  for (let more = 1; more < loginSendsMax + 3; more++) await world.host.pages.drawCode(phone);
  t.equal(await world.host.pages.drawCode(phone), null, 'no more messages this hour');
  world.clock.nowMs += loginWindowMs;
  t.ok(await world.host.pages.drawCode(phone), 'the next hour');
  let limited = 0;
  for (let tries = 0; tries < 30; tries++) if ((await call('POST', '/v1/code', { phone })).status === 429) limited++;
  t.ok(limited > 5, 'one address is slowed down');
  const behind = { ...own, 'x-forwarded-for': '203.0.113.7' };
  t.equal((await call('POST', '/v1/code', { phone }, behind)).status, 202, 'others behind the same proxy are not');
});

inWorld(t, 'fault 44: other names, other sites and other bodies are refused', async (t, { world }) => {
  await world.phone(phone);
  const { call, own, logIn } = await openPages(t, world);
  const { cookie } = await logIn();
  const refused = async (what: string, headers: Record<string, string>, method: 'GET' | 'POST' | 'DELETE' = 'DELETE') =>
    t.equal(
      (await call(method, '/v1/session', method === 'POST' ? { phone, code: '000000' } : undefined, headers)).status,
      403,
      what,
    );
  await refused('a name that was bound anew', { host: 'evil.example', origin: 'https://evil.example' });
  await refused('another site', { ...own, origin: 'https://evil.example', cookie });
  await refused('no origin at all', { host: own.host, cookie });
  await refused('a cross-site request', { ...own, 'sec-fetch-site': 'cross-site', cookie });
  t.equal((await call('GET', '/v1/overview', undefined, { ...own, cookie })).status, 200, 'the session lives');
  t.equal((await call('POST', '/v1/code', '{"phone":"13800138000","phone":"1"}', own)).status, 400, 'a key twice');
  t.equal((await call('POST', '/v1/code', `{"phone":"${'1'.repeat(5_000)}"}`, own)).status, 413, 'size');
  t.equal((await call('POST', '/v1/code', { phone: "1' OR 1=1 --" }, own)).status, 400);
  for (const path of ['/../server.js', '/%2e%2e/server.js', '/host.db', '/index.html'])
    t.equal((await call('GET', path)).status, 404, path);
  const page = await call('GET', '/');
  t.equal(page.status, 200);
  t.match(page.headers['content-security-policy'], /default-src 'none'.*frame-ancestors 'none'/);
});

inWorld(t, 'sessions end: in time, one too many, and all with a lost phone', async (t, { world }) => {
  const { memberCode } = await world.phone(phone);
  const { pages } = world.host;
  const tokens: string[] = [];
  for (let n = 0; n <= sessionsMax; n++) {
    world.clock.nowMs += loginWindowMs;
    const drawn = await pages.drawCode(phone);
    tokens.push(must(await pages.open(phone, drawn?.code ?? '')).token);
  }
  t.equal(await pages.membersOf(tokens[0] ?? ''), null, 'the oldest made room');
  t.same(await pages.membersOf(tokens[1] ?? ''), [memberCode]);
  t.equal(await pages.closeAll(phone), sessionsMax);
  t.equal(await pages.membersOf(tokens[1] ?? ''), null);
  const drawn = await pages.drawCode(phone);
  const { token } = must(await pages.open(phone, drawn?.code ?? ''));
  world.clock.nowMs += sessionValidMs - 1;
  t.same(await pages.membersOf(token), [memberCode]);
  world.clock.nowMs += 1;
  t.equal(await pages.membersOf(token), null);
});

/** A second merchant of the host, and whether an earn by this page's code counts at a counter of a merchant's. */
async function openCafe(world: World) {
  must(await world.host.merchants.add({ id: 'CAFE', name: 'Café', location: 'Street 2' }, cafeKeys));
  const codeOf = ({ handle, seed }: ScreenCodes): string =>
    screenCode(handle, nativeCrypto.hmacSha256(hex(seed), stepBytes(stepAt(world.clock.nowMs))));
  const earnAt = async (box: Box, codes: ScreenCodes | undefined) =>
    box.tell({
      kind: 'pointsEarn',
      ...{ reference: null, bill: keyed(10_000), rulesVersion: 1, points: 100, typed: false },
      credential: { method: 'screenCode', code: codes ? codeOf(codes) : '' },
    });
  return { earnAt };
}

inWorld(
  t,
  'one number, several memberships: each with its own code, coupons and statement',
  async (t, { world, box }) => {
    const { earnAt } = await openCafe(world);
    const cafeBox = await world.box('cafe', 'CAFE');
    const { memberCode } = must(await world.host.members.enlist({ phone, name: '王芳' }));
    const cafe = must(await world.host.members.enlist({ phone, name: 'Wang', merchantId: 'CAFE' }));
    const stranger = must(await world.host.members.enlist({ phone: '13900139000', name: 'Li', merchantId: 'CAFE' }));
    const issue = (to: string, amountMinor: number) =>
      world.host.coupons.issue({ holder: 'host', memberCode: to, currency: 'CNY', amountMinor, expiresAtMs: null });
    const own = must(await issue(memberCode, 1_000));
    const cafes = must(await issue(cafe.memberCode, 2_000));
    const strangers = must(await issue(stranger.memberCode, 3_000));
    const expiresAtMs = world.clock.nowMs + 86_400_000;
    must(await world.host.offers.publish({ title: 'of the host', text: 'x', tier: null, expiresAtMs }));
    const pages = await openPages(t, world);
    const { cookie, answer } = await pages.logIn();
    const codes = answer.body['codes'] as readonly ScreenCodes[];
    t.same(
      codes.map((each) => each.memberCode),
      [memberCode, cafe.memberCode],
      'the host’s own merchant first',
    );
    t.equal(
      new Set(codes.flatMap(({ handle, seed }) => [handle, seed])).size,
      4,
      'nothing of one code is of the other',
    );
    t.match(await earnAt(box, codes[0]), { outcome: 'accepted', balances: { points: 100 } });
    t.match(await earnAt(cafeBox, codes[1]), { outcome: 'accepted', balances: { points: 100 } });
    t.match(await earnAt(cafeBox, codes[0]), { outcome: 'refused' }, 'one merchant’s code is nothing at the other’s');
    const seen = await pages.call('GET', '/v1/overview', undefined, { ...pages.own, cookie });
    const [first, second, ...more] = seen.body['memberships'] as readonly MemberOverview[];
    t.same(more, []);
    t.match(first, { memberCode, name: '王芳', points: 100, coupons: [{ code: own.code }] });
    t.match(second, { merchant: 'Café', memberCode: cafe.memberCode, name: 'Wang', points: 100 });
    t.match(second, { coupons: [{ code: cafes.code }] });
    t.same([first?.coupons.length, second?.coupons.length], [1, 1]);
    t.same([first?.statement.length, second?.statement.length], [1, 1]);
    t.same([first?.offers.length, second?.offers.length], [1, 0], 'an offer is the merchant’s that made it');
    t.notOk(JSON.stringify(seen.body).includes(strangers.code), 'another member of the same merchant is not seen');
    t.same((await pages.call('POST', '/v1/codes', {}, { ...pages.own, cookie })).body, { codes: [] }, 'each once');
    t.equal((await pages.call('DELETE', '/v1/session', undefined, { ...pages.own, cookie })).status, 204);
    t.equal((await pages.call('GET', '/v1/overview', undefined, { ...pages.own, cookie })).status, 403);
    world.clock.nowMs += 60_000;
    for (const [at, code] of [
      [box, codes[0]],
      [cafeBox, codes[1]],
    ] as const)
      t.match(
        await earnAt(at, code),
        { outcome: 'refused', code: 'credential.blocked' },
        'all codes end with the log-in',
      );
  },
);

inWorld(t, 'a membership that joins later, and a lost phone known by any of them', async (t, { world }) => {
  await openCafe(world);
  const { memberCode } = must(await world.host.members.enlist({ phone, name: '王芳' }));
  const pages = await openPages(t, world);
  const { cookie, answer } = await pages.logIn();
  const cafe = must(await world.host.members.enlist({ phone, name: 'Wang', merchantId: 'CAFE' }));
  const ask = (headers: Record<string, string> = { ...pages.own, cookie }) =>
    pages.call('POST', '/v1/codes', {}, headers);
  const joined = await ask();
  t.match(joined.body, { codes: [{ memberCode: cafe.memberCode, handle: /^[0-9]{9}$/, seed: /^[0-9a-f]{40,64}$/ }] });
  t.same((await ask()).body, { codes: [] }, 'given once');
  t.equal((await ask(pages.own)).status, 403, 'not without a session');
  t.equal((await ask({ ...pages.own, origin: 'https://evil.example', cookie })).status, 403, 'nor to another site');
  t.equal((answer.body['codes'] as readonly unknown[]).length, 1);
  const other = await pages.logIn();
  t.equal((other.answer.body['codes'] as readonly unknown[]).length, 2);
  t.equal(await world.host.pages.closeAll(phone), 2, 'both log-ins');
  for (const each of [cookie, other.cookie])
    t.equal((await pages.call('GET', '/v1/overview', undefined, { ...pages.own, cookie: each })).status, 403);
  const rows = await world.store.page({ table: 'pageSession', where: null, after: null, limit: 10 });
  t.same(rows, [], `no row is left of ${memberCode}`);
});

inWorld(t, 'offers are checked, bounded, and withdrawn for good', async (t, { world }) => {
  const { offers } = world.host;
  const expiresAtMs = world.clock.nowMs + 1_000;
  const offer = { title: 'a', text: 'b', tier: null, expiresAtMs };
  t.match(await offers.publish({ ...offer, title: '' }), { error: { code: 'input.malformed' } });
  t.match(await offers.publish({ ...offer, text: 'x'.repeat(501) }), { error: { code: 'input.malformed' } });
  t.match(await offers.publish({ ...offer, tier: 'none' }), { error: { code: 'input.outOfRange' } });
  t.match(await offers.publish({ ...offer, expiresAtMs: world.clock.nowMs }), { error: { code: 'input.outOfRange' } });
  const first = must(await offers.publish(offer));
  for (let n = 1; n < 50; n++) must(await offers.publish(offer));
  t.match(await offers.publish(offer), { error: { code: 'input.tooLong' } });
  must(await offers.withdraw(first.id));
  must(await offers.publish(offer));
  t.match(await offers.withdraw('0'), { error: { code: 'input.outOfRange' } });
  t.equal((await offers.list()).rows.length, 51);
});
