/**
 * Shows who is let in at the local API, over real sockets: pairing, tokens, foreign hosts and pages, floods and half
 * requests. The box behind it is a double.
 */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import t from 'tap';
import { nativeRandom } from '../kernel/native.js';
import { type Answer, codeOf, earn, pair } from '../sim/till-caller.js';
import { connectionsMax } from './connections.js';
import { wrongTokensMax } from './guard.js';
import { bearsToken, tokenSetting } from './pairing.js';
import { type RunningLocalApi, serverLimitsDefault, startLocalApi } from './server.js';

t.test(
  'pairing: the token is in one file for its owner, only its hash is kept, an emptied file asks for a new one',
  async (t) => {
    const till = await pair(t);
    t.match(till.token, /^[A-Za-z0-9_-]{43}$/);
    t.equal(statSync(till.api.tokenFile).mode & 0o777, 0o600);
    t.notMatch(JSON.stringify([...till.port.settings, till.port.auditEntries]), till.token);
    const again = (): Promise<RunningLocalApi> =>
      startLocalApi({
        port: till.port,
        random: nativeRandom,
        schedule: till.hand.schedule,
        listenPort: 0,
        allowedOrigins: [],
        tokenFile: till.api.tokenFile,
      });
    await (await again()).close();
    t.equal(readFileSync(till.api.tokenFile, 'utf8').trim(), till.token, 'a restart keeps it');
    rmSync(till.api.tokenFile);
    await (await again()).close();
    t.notOk(existsSync(till.api.tokenFile), 'a till that took the file away keeps its token');
    t.equal((await till.call('GET', '/v1/status')).status, 200);
    writeFileSync(till.api.tokenFile, '');
    await (await again()).close();
    t.equal(codeOf(await till.call('GET', '/v1/status')), '401 access.denied');
    t.ok(bearsToken(till.port, `Bearer ${readFileSync(till.api.tokenFile, 'utf8').trim()}`));
    till.port.settings.set(tokenSetting, '');
    t.notOk(bearsToken(till.port, 'Bearer '));
    await t.rejects(
      startLocalApi({
        port: till.port,
        random: nativeRandom,
        schedule: till.hand.schedule,
        listenPort: till.api.port,
        allowedOrigins: [],
        tokenFile: till.api.tokenFile,
      }),
      { code: 'device.busy' },
    );
  },
);

t.test('wrong tokens are refused alike, then held off, and never keep the paired till out', async (t) => {
  const till = await pair(t);
  const wrong = [
    '',
    'Bearer',
    'Bearer x',
    `Basic ${till.token}`,
    `Bearer ${till.token.slice(1)}`,
    `Bearer ${till.token}x`,
    `bearer  ${till.token}`,
  ];
  const answers: Answer[] = [];
  for (const authorization of wrong) answers.push(await till.call('GET', '/v1/status', { headers: { authorization } }));
  t.equal(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
  t.equal(codeOf(answers[0] as Answer), '401 access.denied');
  t.equal(
    codeOf(await till.call('GET', '/v1/nothing', { headers: { authorization: '' } })),
    '401 access.denied',
    'no map for strangers',
  );
  for (let tries = wrong.length + 1; tries < wrongTokensMax; tries++)
    await till.call('GET', '/', { headers: { authorization: 'Bearer y' } });
  t.equal(codeOf(await till.call('GET', '/', { headers: { authorization: 'Bearer y' } })), '429 access.rateLimited');
  t.equal((await till.call('GET', '/v1/status')).status, 200);
  till.hand.pass(60_000);
  t.equal(codeOf(await till.call('GET', '/', { headers: { authorization: 'Bearer y' } })), '401 access.denied');
  t.equal(
    till.port.auditEntries.filter(({ action }) => action === 'localApi.wrongToken').length,
    2,
    'told once a window',
  );
});

t.test('fault 44: DNS rebinding, foreign pages, path traversal and form posts are refused', async (t) => {
  const till = await pair(t, { allowedOrigins: ['https://till.example'] });
  for (const host of [
    'evil.example',
    `evil.example:${till.api.port}`,
    '127.0.0.1.evil.example',
    '10.0.0.1',
    '[::1]',
    'localhost.',
    '127.0.0.1:8411@evil',
  ]) {
    t.equal(codeOf(await till.call('GET', '/v1/status', { headers: { host } })), '403 access.denied', host);
  }
  for (const host of ['127.0.0.1', 'localhost', `localhost:${till.api.port}`]) {
    t.equal((await till.call('GET', '/v1/status', { headers: { host } })).status, 200, host);
  }
  for (const origin of ['null', 'https://evil.example', 'http://127.0.0.1:8411', 'https://till.example.evil']) {
    const answer = await till.call('GET', '/v1/status', { headers: { origin } });
    t.equal(codeOf(answer), '403 access.denied', origin);
    t.equal(answer.headers['access-control-allow-origin'], undefined);
    const preflight = await till.call('OPTIONS', '/v1/sales/a', {
      headers: { origin, authorization: '', 'access-control-request-method': 'PUT' },
    });
    t.equal(preflight.status, 403);
  }
  const origin = 'https://till.example';
  const preflight = await till.call('OPTIONS', '/v1/sales/a', { headers: { origin, authorization: '' } });
  t.equal(preflight.status, 204);
  t.equal(preflight.headers['access-control-allow-origin'], origin);
  t.equal(
    (await till.call('GET', '/v1/status', { headers: { origin } })).headers['access-control-allow-origin'],
    origin,
  );
  t.equal(
    codeOf(await till.call('GET', '/v1/status', { headers: { origin, authorization: '' } })),
    '401 access.denied',
  );

  for (const target of [
    '/v1/../../etc/passwd',
    '/../etc/passwd',
    '/v1/sales/..%2f..%2fetc%2fpasswd',
    '/v1/sales/%2e%2e',
    '/v1/sales/..',
    '/v1/sales/%zz',
    '/v1/sales/%00',
    '//evil',
    '/v1/sales/a/b',
    '/v2/status',
    '/V1/status',
  ]) {
    t.match(codeOf(await till.call('GET', target)), /^404 (request.notFound|sale.unknown)$/, target);
  }
  t.equal(codeOf(await till.call('GET', `/v1/sales/${'x'.repeat(300)}`)), '414 input.tooLong');
  t.equal(codeOf(await till.call('POST', '/v1/sales/a', { body: earn })), '404 request.notFound');
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    '',
  ]) {
    const answer = await till.call('PUT', '/v1/sales/a', { body: earn, headers: { 'content-type': type } });
    t.match(codeOf(answer), /^(415 input.unsupported|400 input.malformed)$/, type);
  }
  t.equal(till.port.commands.length, 0);
  const headers = (await till.call('GET', '/v1/status')).headers;
  t.match(headers, {
    'x-content-type-options': 'nosniff',
    'cache-control': 'no-store',
    'content-security-policy': /default-src 'none'/,
  });
  t.equal(headers['access-control-allow-origin'], undefined);
});

t.test('too many requests are held off', async (t) => {
  const till = await pair(t, { limits: { ...serverLimitsDefault, requestsPerSecondMax: 3 } });
  const answers = await Promise.all(Array.from({ length: 20 }, () => till.call('GET', '/v1/devices')));
  const refused = answers.filter(({ status }) => status === 429);
  t.ok(refused.length > 0);
  for (const answer of refused) t.equal(codeOf(answer), '429 access.rateLimited');
});

t.test('fault 43: half requests are cut off, idle sockets are bounded, and the till is still served', async (t) => {
  const till = await pair(t, {
    limits: { headersTimeoutMs: 300, requestTimeoutMs: 600, checkingIntervalMs: 50, requestsPerSecondMax: 200 },
  });
  const slow = connect(till.api.port, '127.0.0.1');
  let said = '';
  slow.on('data', (chunk) => {
    said += chunk.toString('utf8');
  });
  slow.write('PUT /v1/sales/a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ');
  await new Promise((resolve) => slow.once('close', resolve));
  t.match(said, /^HTTP\/1\.1 4\d\d /);
  const nonsense = connect(till.api.port, '127.0.0.1');
  nonsense.write('\u0016\u0003\u0001\r\n\r\n');
  nonsense.resume();
  await new Promise((resolve) => nonsense.once('close', resolve));

  const idle = Array.from({ length: connectionsMax + 40 }, () => connect(till.api.port, '127.0.0.1'));
  let closed = 0;
  for (const socket of idle) {
    socket.on('error', () => undefined);
    socket.on('close', () => closed++);
  }
  const end = Date.now() + 20_000;
  while (closed < 40 && Date.now() < end) await new Promise((resolve) => setTimeout(resolve, 10));
  t.ok(closed >= 40, 'more than the most are closed');
  for (const socket of idle) socket.destroy();
  let served = 0;
  while (served !== 200 && Date.now() < end)
    served = await till.call('GET', '/v1/status').then(
      ({ status }) => status,
      () => 0,
    );
  t.equal(served, 200);
});

t.test(
  'fault 43: strangers that fill every place and never let go are pushed out, the paired till is not',
  async (t) => {
    const till = await pair(t);
    const follower = connect(till.api.port, '127.0.0.1');
    let followed = '';
    let followerGone = false;
    follower.on('data', (chunk) => {
      followed += chunk.toString('utf8');
    });
    follower.on('close', () => {
      followerGone = true;
    });
    follower.write(`GET /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${till.token}\r\n\r\n`);
    const end = Date.now() + 20_000;
    while (!followed.includes(': following') && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
    const strangers = Array.from({ length: 2 * connectionsMax }, () => {
      const socket = connect({ port: till.api.port, host: '127.0.0.1', allowHalfOpen: true });
      socket.on('error', () => undefined);
      socket.write('GET / HT');
      return socket;
    });
    await Promise.all(strangers.map((socket) => new Promise((resolve) => socket.once('connect', resolve))));
    t.equal((await till.call('GET', '/v1/status')).status, 200, 'a place is made for a new connection');
    t.notOk(followerGone, 'who follows with the token goes on');
    for (const socket of [...strangers, follower]) socket.destroy();
  },
);

t.test('fault 43: a half request is let go of, also where its sender keeps the connection half open', async (t) => {
  const till = await pair(t, {
    limits: { headersTimeoutMs: 100, requestTimeoutMs: 200, checkingIntervalMs: 50, requestsPerSecondMax: 200 },
  });
  const holding = connect({ port: till.api.port, host: '127.0.0.1', allowHalfOpen: true });
  holding.resume();
  holding.write('GET / HT');
  await new Promise((resolve) => holding.once('end', resolve));
  // A connection that is closed on the other side answers what is still sent on it with a reset.
  const reset = new Promise<string>((resolve) => {
    holding.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''));
  });
  const nag = setInterval(() => holding.writable && holding.write('x'), 20);
  t.match(await reset, /^(ECONNRESET|EPIPE)$/);
  clearInterval(nag);
  holding.destroy();
});
