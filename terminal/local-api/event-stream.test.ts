/**
 * Shows the event stream over a real socket: order and numbers, resuming, resets, heartbeats, and that a follower that
 * does not read is cut while others go on.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeRandom } from '../kernel/native.js';
import { HandSchedule, PortDouble } from '../sim/port-double.js';
import { followersMax, heartbeatMs, parseEventId, waitingBytesMax } from './event-stream.js';
import { inquirySchema } from './schema.js';
import { startLocalApi } from './server.js';

interface Follower {
  readonly status: number;
  text: string;
  closed: boolean;
  readonly response: http.IncomingMessage;
  until(condition: (text: string) => boolean): Promise<void>;
}

async function follow(tcpPort: number, token: string, lastEventId?: string, reads = true): Promise<Follower> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(lastEventId === undefined ? {} : { 'last-event-id': lastEventId }),
    };
    http
      .get({ host: '127.0.0.1', port: tcpPort, path: '/v1/events', headers, agent: false }, resolve)
      .on('error', reject);
  });
  const follower: Follower = {
    status: response.statusCode ?? 0,
    text: '',
    closed: false,
    response,
    until: async (condition) => {
      const end = Date.now() + 20_000;
      while (!condition(follower.text)) {
        if (Date.now() > end) throw new Error(`never came; had ${follower.text.slice(-300)}`);
        await new Promise((resolve) => setImmediate(resolve));
      }
    },
  };
  response.on('close', () => {
    follower.closed = true;
  });
  response.on('error', () => undefined);
  response.setEncoding('utf8');
  if (reads) {
    response.on('data', (chunk: string) => {
      follower.text += chunk;
    });
  }
  return follower;
}

async function start(test: Pick<typeof t, 'teardown'>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-events-'));
  const port = new PortDouble();
  const hand = new HandSchedule();
  const api = await startLocalApi({
    port,
    random: nativeRandom,
    schedule: hand.schedule,
    listenPort: 0,
    allowedOrigins: [],
    tokenFile: path.join(folder, 'till-token'),
  });
  test.teardown(async () => {
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const token = readFileSync(api.tokenFile, 'utf8').trim();
  const scan = (code: string): void => port.publish({ type: 'scan', device: 'scanner-1', code });
  return { port, hand, api, scan, open: (id?: string, reads = true) => follow(api.port, token, id, reads) };
}

const ids = (text: string): string[] => [...text.matchAll(/^id: (.*)$/gm)].map((match) => match[1] ?? '');

t.test('events come in order with their numbers; a line break cannot forge one', async (t) => {
  const { open, port, scan } = await start(t);
  const follower = await open();
  t.equal(follower.response.headers['content-type'], 'text/event-stream; charset=utf-8');
  t.equal(follower.response.headers['x-content-type-options'], 'nosniff');
  await follower.until((text) => text.includes(': following'));
  scan('690\n\nevent: sale\ndata: {}');
  await port.startSale({ command: { service: 'plainSale' }, reference: 'r', clerk: 'c', origin: 'till' });
  port.publish({ type: 'sync', sync: port.sync });
  await follower.until((text) => text.includes('event: sync'));
  t.same(ids(follower.text), ['b00t:1', 'b00t:2', 'b00t:3']);
  t.same(
    [...follower.text.matchAll(/^event: (.*)$/gm)].map((match) => match[1]),
    ['scan', 'sale', 'sync'],
  );
  const data = /event: scan\ndata: (.*)\n\n/.exec(follower.text)?.[1] ?? '';
  t.same(JSON.parse(data), { device: 'scanner-1', code: '690\n\nevent: sale\ndata: {}' });
});

t.test('an inquiry’s data is what the API promises, and no more', async (t) => {
  const { open, port } = await start(t);
  const follower = await open();
  await follower.until((text) => text.includes(': following'));
  const coupon = { codeEnd: '0128', holder: 'card', balanceMinor: 3_000, currency: 'CNY' } as const;
  const limits = { limitCategory: 'cake', limitProducts: null };
  const known = { result: 'known', tier: 'gold', points: 300, pointsOwed: 2, couponsMore: 1 } as const;
  const secret = { session: { macKey: '00' } };
  const inquiry = { ...known, ...secret, coupons: [{ ...coupon, ...secret, ...limits, expiresAtMs: 7 }] };
  port.publish({ type: 'inquiry', inquiry });
  port.publish({ type: 'inquiry', inquiry: { result: 'refused', code: 'host.unreachable' } });
  await follower.until((text) => text.includes('b00t:2'));
  const data = [...follower.text.matchAll(/event: inquiry\ndata: (.*)\n/g)].map(([, text]) => JSON.parse(text ?? ''));
  const told = { ...known, coupons: [{ ...coupon, ...limits, expiresWallMs: 7 }] };
  t.same(data, [told, { result: 'refused', code: 'host.unreachable' }]);
  t.same(
    data.map((body) => inquirySchema.parse(body)),
    data,
  );
});

t.test('a tag’s findings are what the API promises, and no more', async (t) => {
  const { open, port } = await start(t);
  const follower = await open();
  await follower.until((text) => text.includes(': following'));
  const found = { chipGenuine: 'no', messageFresh: 'noProof', productKnown: 'notKnownHere' } as const;
  const tag = { ...found, refused: 'tag.notGenuine' as const, uid: '04958caa5c5e80' };
  port.publish({ type: 'tag', tag });
  await follower.until((text) => text.includes('b00t:1'));
  const data = /event: tag\ndata: (.*)\n/.exec(follower.text)?.[1] ?? '';
  t.same(JSON.parse(data), { ...found, refused: 'tag.notGenuine' });
});

t.test('a follower that comes back gets what it missed, and a reset where that is gone', async (t) => {
  const { open, scan } = await start(t);
  for (let number = 1; number <= 5; number++) scan(String(number));
  const resumed = await open('b00t:3');
  await resumed.until((text) => text.includes('b00t:5'));
  t.same(ids(resumed.text), ['b00t:4', 'b00t:5']);
  t.notMatch(resumed.text, 'reset');
  const current = await open('b00t:5');
  scan('6');
  await current.until((text) => text.includes('b00t:6'));
  t.same(ids(current.text), ['b00t:6']);
  for (const gone of ['b00t:99', 'other:3', 'nonsense', '', 'b00t:-1', `b00t:${'9'.repeat(30)}`, '__proto__:1']) {
    const follower = await open(gone);
    await follower.until((text) => text.includes('event: reset\ndata: {}\n\n'));
    t.same(ids(follower.text), [], gone);
    follower.response.destroy();
  }
  for (let number = 7; number <= 300; number++) scan('x');
  const late = await open('b00t:5');
  await late.until((text) => text.includes('event: reset'));
  t.same(ids(late.text), [], 'fallen out of the ring');
});

t.test('what was missed and is too much at once is a reset, not a cut', async (t) => {
  const { open, scan } = await start(t);
  for (let number = 1; number <= 200; number++) scan('x'.repeat(2_000));
  const follower = await open('b00t:1');
  await follower.until((text) => text.includes('event: reset'));
  scan('after');
  await follower.until((text) => text.includes('after'));
  t.same(ids(follower.text), ['b00t:201']);
});

t.test('heartbeats show that the box lives', async (t) => {
  const { open, hand } = await start(t);
  const follower = await open();
  await follower.until((text) => text.includes(': following'));
  hand.pass(heartbeatMs);
  await follower.until((text) => text.includes(': still here'));
  hand.pass(heartbeatMs);
  await follower.until((text) => text.split(': still here').length === 3);
  t.same(ids(follower.text), [], 'a heartbeat is no event');
  follower.response.destroy();
});

t.test('a follower that does not read is cut; the others go on; gone ones leave nothing behind', async (t) => {
  const { open, port, hand, scan } = await start(t);
  const slow = await open(undefined, false);
  slow.response.pause();
  const quick = await open();
  while (port.followers < 2) await new Promise((resolve) => setImmediate(resolve));
  const text = 'x'.repeat(16_000);
  let sent = 0;
  // What the kernel's socket buffers take differs; the box's own share is bounded, so it ends.
  const most = (64 * 1024 * 1024 + waitingBytesMax) / text.length;
  while (port.followers === 2 && sent < most) {
    scan(text);
    sent++;
    await quick.until((seen) => seen.includes(`b00t:${sent}\n`));
    quick.text = '';
  }
  t.equal(port.followers, 1, `cut after ${sent} events`);
  scan('still');
  await quick.until((seen) => seen.includes('still'));
  quick.response.destroy();
  while (port.followers > 0) await new Promise((resolve) => setImmediate(resolve));
  t.equal(hand.pending, 0, 'no heartbeat is left');
});

t.test('followers are bounded', async (t) => {
  const { open } = await start(t);
  const followers: Follower[] = [];
  for (let count = 0; count < followersMax; count++) followers.push(await open());
  const more = await open();
  t.equal(more.status, 429);
  await more.until((text) => text.includes('access.rateLimited'));
  followers[0]?.response.destroy();
  let status = 429;
  while (status === 429) {
    const again = await open();
    status = again.status;
    if (status === 429) again.response.destroy();
  }
  t.equal(status, 200);
});

t.test('event ids are read strictly', async (t) => {
  t.same(parseEventId('b00t:12'), { boot: 'b00t', number: 12 });
  for (const text of ['', ':', 'a:', ':1', 'a:1:2', 'a: 1', 'a:１', 'a:1\n', 'a:1e3'])
    t.equal(parseEventId(text), null, text);
});
