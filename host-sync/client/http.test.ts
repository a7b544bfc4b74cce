/**
 * Shows that the box talks only to its own host over mutual TLS, reads no answer beyond its bounds, and names every
 * failure. How: real TLS on loopback under an authority made here; deadlines are fired by hand, nothing is timed.
 */

import { once } from 'node:events';
import { createServer as createPlainServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from 'node:net';
import type { TLSSocket } from 'node:tls';
import t from 'tap';
import type { Envelope } from '../protocol/sync.js';
import { offlineLimitsDefault } from '../protocol/sync.js';
import { transportFailure } from './exchange.js';
import type { HostResult } from './host-port.js';
import { answerBytesMax, createHostHttp, type HostHttp } from './http.js';
import { createAuthority, serve } from './sim/authority.js';
import { acceptedAnswer, idOf, watermarkAt } from './sim/memory-outbox.js';

const authority = createAuthority('Test authority');
const stranger = createAuthority('Another authority');
const serverPair = authority.issue({ name: 'host', names: ['127.0.0.1', 'localhost'] });
const box = authority.issue({ name: 't-0123456789ab' });

type Respond = (request: IncomingMessage, response: ServerResponse, body: string) => void;
interface Seen {
  readonly method: string;
  readonly url: string;
  readonly body: string;
  readonly peer: string;
}

/** Deadlines that the test fires by hand. */
function handSchedule() {
  const waiting: (() => void)[] = [];
  return {
    schedule: (_delayMs: number, run: () => void) => {
      waiting.push(run);
      return () => {
        if (waiting.includes(run)) waiting.splice(waiting.indexOf(run), 1);
      };
    },
    waiting,
    fire: () => waiting.shift()?.(),
  };
}

function connectTo(
  origin: string,
  more: { authorityPem?: string; schedule?: ReturnType<typeof handSchedule>['schedule'] } = {},
): HostHttp {
  return createHostHttp({
    origin,
    credentials: { authorityPem: more.authorityPem ?? authority.certificatePem, ...box },
    connectTimeoutMs: 60_000,
    headersTimeoutMs: 60_000,
    bodyTimeoutMs: 60_000,
    deadlineMs: 60_000,
    schedule: more.schedule ?? handSchedule().schedule,
  });
}

/** A host that answers as told and writes down what it saw. */
async function fakeHost(t: Tap, respond: Respond, options: Parameters<typeof serve>[2] = {}, pair = serverPair) {
  const host = await serve(authority, pair, options);
  const seen: Seen[] = [];
  host.server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    let body = '';
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString();
    });
    request.on('end', () => {
      const peer = (request.socket as TLSSocket).getPeerX509Certificate()?.subject ?? '';
      seen.push({ method: request.method ?? '', url: request.url ?? '', body, peer });
      respond(request, response, body);
    });
  });
  t.teardown(() => host.close());
  return { ...host, seen };
}
type Tap = Pick<typeof t, 'teardown'>;

const json =
  (value: unknown, statusCode = 200, headers = {}): Respond =>
  (_request, response) => {
    response.writeHead(statusCode, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
const record: Envelope = { body: '{"kind":"pointsEarn"}', previousHash: '00'.repeat(32), attempt: 1, sentAtWallMs: 5 };
const grant = { terminalProof: '11'.repeat(16), encryptionKey: '22'.repeat(16), macKey: '33'.repeat(16) };
const authorised = { answer: acceptedAnswer(idOf(1)), watermark: watermarkAt(1), session: grant, reservedForMs: null };
const codeOf = (result: HostResult<unknown>) => (result.ok ? 'ok' : result.error.code);

/** Listens on loopback with a raw TCP server. */
async function listen(t: Tap, server: TcpServer): Promise<string> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

t.test('every request goes out as the protocol says, under the box’s certificate', async (t) => {
  const answers: Record<string, unknown> = {
    '/v1/authorise': authorised,
    '/v1/records': { answers: [acceptedAnswer(idOf(1))], watermark: watermarkAt(1), directivesVersion: 2 },
    '/v1/member-session': { outcome: 'granted', session: grant },
    '/v1/directives': {
      version: 2,
      merchant: 'M',
      location: 'L',
      merchants: ['M1'],
      catalogueVersion: 0,
      catalogue: null,
      rules: {
        version: 1,
        currency: 'CNY',
        earnPoints: 1,
        earnPerMinor: 100,
        spendMinor: 1,
        spendPerPoints: 1,
        couponPartial: true,
      },
      offline: offlineLimitsDefault,
      blocked: ['SLC0000000000017'],
      // No credentialKey: a host that knows no credentials yet.
      allowances: [],
    },
    '/v1/inquiry': { outcome: 'refused', code: 'credential.unknown' },
    '/v1/smart-tap': { outcome: 'refused', code: 'pass.unknownKey' },
    '/v1/directives/bell': { version: 3 },
    '/v1/allowances': { granted: 1, refusedBecause: null },
    '/v1/epoch': { epoch: 2, previous: watermarkAt(1) },
    '/v1/renew': { certificate: 'C', authority: 'A' },
  };
  const host = await fakeHost(t, (request, response, body) =>
    json(answers[(request.url ?? '').split('?')[0] ?? ''])(request, response, body),
  );
  const http = connectTo(host.origin);
  t.teardown(() => http.close());
  const sessionRequest = {
    key: 'member',
    keyId: '00'.repeat(8),
    terminalNonce: '00'.repeat(16),
    phoneNonce: '00'.repeat(16),
    counter: 1,
    proof: '00'.repeat(16),
    context: '00'.repeat(40),
  } as const;
  t.same(await http.authorise(record, [], 1_000), { ok: true, value: authorised });
  t.match(await http.sendRecords([record], [idOf(1)], [idOf(9)]), { ok: true, value: { directivesVersion: 2 } });
  t.match(await http.openSession(sessionRequest, 1_000), { ok: true, value: { outcome: 'granted' } });
  const credential = { method: 'screenCode', code: 'SLR123456789461192462' } as const;
  t.match(await http.inquire({ transactionId: idOf(1), credential }, 1_000), { value: { code: 'credential.unknown' } });
  const nonces = { terminalNonce: '00'.repeat(32), deviceNonce: '00'.repeat(32) };
  t.match(await http.signSmartTap({ collectorId: 1, ...nonces }, 1_000), { value: { code: 'pass.unknownKey' } });
  t.match(await http.directives(7), { ok: true, value: { version: 2, credentialKey: null } });
  t.match(await http.directives(null), { ok: true });
  t.match(await http.bell(2, 25_000), { ok: true, value: 3 });
  t.match(await http.requestAllowance({ reason: 'checkIn', code: 'SLM0000000000017' }), { value: { granted: 1 } });
  t.match(await http.raiseEpoch('restored'), { ok: true, value: { epoch: 2 } });
  t.match(await http.renew('R'.repeat(64)), { ok: true, value: { certificate: 'C' } });
  t.same(
    host.seen.map(({ method, url }) => `${method} ${url}`),
    [
      'POST /v1/authorise',
      'POST /v1/records',
      'POST /v1/member-session',
      'POST /v1/inquiry',
      'POST /v1/smart-tap',
      'GET /v1/directives?catalogueVersion=7',
      'GET /v1/directives',
      'GET /v1/directives/bell?known=2&waitMs=25000',
      'POST /v1/allowances',
      'POST /v1/epoch',
      'POST /v1/renew',
    ],
  );
  t.ok(host.seen.every(({ peer }) => peer === 'CN=t-0123456789ab'));
  t.same(JSON.parse(host.seen[1]?.body ?? ''), { records: [record], newestSeen: [idOf(9)] });
  t.same(JSON.parse(host.seen[0]?.body ?? ''), { record, newestSeen: [] });
});

t.test('a host that does not prove to be ours is host.untrusted, and gets nothing', async (t) => {
  const cases: readonly [string, Parameters<typeof serve>[2], typeof serverPair, string?][] = [
    ['another authority', {}, serverPair, stranger.certificatePem],
    ['another host name', {}, authority.issue({ name: 'host', names: ['elsewhere.example'] })],
    ['an expired certificate', {}, authority.issue({ name: 'host', names: ['127.0.0.1'], days: -1 })],
    ['TLS 1.1', { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }, serverPair],
  ];
  for (const [name, options, pair, authorityPem] of cases) {
    const host = await fakeHost(t, json(authorised), options, pair);
    const http = connectTo(host.origin, authorityPem ? { authorityPem } : {});
    t.equal(codeOf(await http.authorise(record, [], 1_000)), 'host.untrusted', name);
    t.equal(host.seen.length, 0, `${name}: nothing sent`);
    await http.close();
  }
});

t.test('plain HTTP is not spoken to, nor accepted as an origin', async (t) => {
  let requests = 0;
  const plain = createPlainServer(() => {
    requests += 1;
  });
  const http = connectTo(await listen(t, plain));
  t.teardown(() => http.close());
  t.equal(codeOf(await http.authorise(record, [], 1_000)), 'host.untrusted');
  t.equal(requests, 0);
  for (const origin of ['http://127.0.0.1', 'https://a/path', 'https://user@a', 'nonsense'])
    t.throws(() => connectTo(origin), TypeError);
});

t.test('nobody there is host.unreachable', async (t) => {
  const server = createTcpServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  for (const origin of [`https://127.0.0.1:${port}`, 'https://nowhere.invalid:1']) {
    const http = connectTo(origin);
    t.equal(codeOf(await http.authorise(record, [], 1_000)), 'host.unreachable', origin);
    await http.close();
  }
});

t.test(
  'a half-open host is found at the deadline: before the handshake, before the answer, within a trickling one',
  async (t) => {
    const deadlines = handSchedule();
    const silent = createTcpServer();
    const first = connectTo(await listen(t, silent), deadlines);
    const accepted = once(silent, 'connection');
    const before = first.authorise(record, [], 1_000);
    await accepted;
    deadlines.fire();
    t.equal(codeOf(await before), 'host.noAnswer', 'accepts and says nothing');
    await first.close();

    let arrived: () => void = () => {};
    let trickle = false;
    const host = await fakeHost(t, (_request, response) => {
      if (trickle) response.writeHead(200).write('{"answer":');
      arrived();
    });
    const second = connectTo(host.origin, deadlines);
    t.teardown(() => second.close());
    for (const name of ['shakes hands and says nothing', 'begins an answer']) {
      const reached = new Promise<void>((resolve) => {
        arrived = resolve;
      });
      const waiting = second.authorise(record, [], 1_000);
      await reached;
      deadlines.fire();
      t.equal(codeOf(await waiting), 'host.noAnswer', name);
      trickle = true;
    }
    t.equal(deadlines.waiting.length, 0, 'no deadline is left behind');
  },
);

t.test('after silence the next request takes a fresh connection', async (t) => {
  const deadlines = handSchedule();
  const dead: Socket[] = [];
  let arrived: () => void = () => {};
  const host = await fakeHost(t, (request, response, body) => {
    if (dead.includes(request.socket)) return arrived();
    json(authorised)(request, response, body);
  });
  const http = connectTo(host.origin, deadlines);
  t.teardown(() => http.close());
  host.server.once('secureConnection', (socket) => dead.push(socket));
  const reached = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const waiting = http.authorise(record, [], 1_000);
  await reached;
  deadlines.fire();
  t.equal(codeOf(await waiting), 'host.noAnswer');
  t.equal(codeOf(await http.authorise(record, [], 1_000)), 'ok');
});

t.test('a signature that comes too late costs the next tap nothing: its connection stays', async (t) => {
  const deadlines = handSchedule();
  const held: ServerResponse[] = [];
  let arrived: () => void = () => {};
  let connections = 0;
  const signed = json({ outcome: 'refused', code: 'pass.unknownKey' });
  let isSlow = true;
  const host = await fakeHost(t, (request, response, body) => {
    if (!isSlow) return signed(request, response, body);
    held.push(response);
    arrived();
  });
  host.server.on('secureConnection', () => {
    connections += 1;
  });
  const http = connectTo(host.origin, deadlines);
  t.teardown(() => http.close());
  const ask = { collectorId: 1, terminalNonce: '00'.repeat(32), deviceNonce: '00'.repeat(32) };
  const late = async () => {
    const reached = new Promise<void>((resolve) => {
      arrived = resolve;
    });
    const before = deadlines.waiting.length;
    const waiting = http.signSmartTap(ask, 500);
    await reached;
    // The last to be set is the tap's own; another is of the request that goes on.
    const fire = deadlines.waiting.splice(-1)[0];
    fire?.();
    t.equal(codeOf(await waiting), 'host.noAnswer');
    return deadlines.waiting.length - before;
  };
  t.equal(await late(), 1, 'the request goes on behind the tap');
  isSlow = false;
  held[0]?.writeHead(200, { 'content-type': 'application/json' }).end('{"outcome":"refused","code":"pass.unknownKey"}');
  const aTurn = () => new Promise((resolve) => setImmediate(resolve));
  while (deadlines.waiting.length > 0) await aTurn();
  for (const name of ['the next tap', 'and the one after']) {
    await aTurn();
    t.equal(codeOf(await http.signSmartTap(ask, 500)), 'ok', name);
  }
  t.equal(connections, 1, 'without a handshake');
  isSlow = true;
  t.equal(await late(), 1);
  t.equal(await late(), 0, 'a second one does not go on: it breaks off');
  isSlow = false;
  t.equal(codeOf(await http.signSmartTap(ask, 500)), 'ok');
});

t.test('a connection that breaks in mid-answer is host.noAnswer', async (t) => {
  const host = await fakeHost(t, (_request, response) => {
    response.writeHead(200, { 'content-length': '100' }).write('{');
    response.socket?.destroy();
  });
  const http = connectTo(host.origin);
  t.teardown(() => http.close());
  t.equal(codeOf(await http.authorise(record, [], 1_000)), 'host.noAnswer');
});

t.test(
  'an answer that is too long, not JSON or not what was asked is host.answerInvalid and repeats no secret',
  async (t) => {
    const canary = 'c0ffee'.repeat(6);
    const text =
      (body: string): Respond =>
      (_request, response) =>
        void response.end(body);
    const cases: readonly [string, Respond][] = [
      ['too long', text(`"${'x'.repeat(answerBytesMax)}"`)],
      [
        'endless',
        (_request, response) => {
          const more = (): void => {
            while (!response.destroyed && response.write('x'.repeat(16_384)));
          };
          response.on('drain', more);
          more();
        },
      ],
      ['not JSON', text('<html>')],
      ['not UTF-8', (_request, response) => void response.end(Buffer.of(0x22, 0xff, 0x22))],
      ['empty', text('')],
      ['duplicate key', text('{"answer":1,"answer":2}')],
      ['__proto__', text('{"__proto__":{}}')],
      ['too deep', text('['.repeat(50))],
      ['another shape', json({ ...authorised, session: { ...grant, macKey: canary } })],
    ];
    for (const [name, respond] of cases) {
      const host = await fakeHost(t, respond);
      const http = connectTo(host.origin);
      const result = await http.authorise(record, [], 1_000);
      t.equal(codeOf(result), 'host.answerInvalid', name);
      t.notMatch(JSON.stringify(result), canary, name);
      await http.close();
    }
  },
);

t.test('answers must be those of the records sent, in order', async (t) => {
  const answers = [acceptedAnswer(idOf(2)), acceptedAnswer(idOf(1))];
  const host = await fakeHost(t, json({ answers, watermark: watermarkAt(2), directivesVersion: 1 }));
  const http = connectTo(host.origin);
  t.teardown(() => http.close());
  t.equal(codeOf(await http.sendRecords([record, record], [idOf(2), idOf(1)], [idOf(9)])), 'ok');
  t.equal(codeOf(await http.sendRecords([record, record], [idOf(1), idOf(2)], [idOf(9)])), 'host.answerInvalid');
  t.equal(codeOf(await http.sendRecords([record], [idOf(2)], [idOf(9)])), 'host.answerInvalid');
});

t.test(
  'a refusal of the whole request keeps the host’s code, status and Retry-After; nothing is followed',
  async (t) => {
    const cases: readonly [Respond, object][] = [
      [
        json({ code: 'host.quarantined', detail: 'held' }, 403),
        { code: 'host.quarantined', httpStatus: 403, retryAfterMs: null, detail: 'held' },
      ],
      [
        json({ code: 'something.new', detail: 'x\u001b[2J' }, 409),
        { code: 'host.refused', httpStatus: 409, detail: 'HTTP 409 something.new: x␛[2J' },
      ],
      [
        json({ code: 'host.busy', detail: '' }, 503, { 'retry-after': '7' }),
        { code: 'host.busy', httpStatus: 503, retryAfterMs: 7_000 },
      ],
      [
        (_request, response) => void response.writeHead(503, { 'retry-after': '9999999' }).end('<html>'),
        { code: 'host.busy', retryAfterMs: 3_600_000 },
      ],
      [
        (_request, response) => void response.writeHead(500).end('x'.repeat(100_000)),
        { code: 'host.refused', httpStatus: 500, detail: 'HTTP 500' },
      ],
      [
        (_request, response) => void response.writeHead(307, { location: 'https://127.0.0.1:1/' }).end(),
        { code: 'host.refused', httpStatus: 307 },
      ],
    ];
    for (const [respond, expected] of cases) {
      const host = await fakeHost(t, respond);
      const http = connectTo(host.origin);
      t.match(await http.authorise(record, [], 1_000), { ok: false, error: expected });
      t.equal(host.seen.length, 1);
      await http.close();
    }
  },
);

t.test('renewed credentials are used from the next request on', async (t) => {
  const host = await fakeHost(t, json(authorised));
  const http = connectTo(host.origin);
  await http.authorise(record, [], 1_000);
  http.replaceCredentials({ authorityPem: authority.certificatePem, ...authority.issue({ name: 't-ffffffffffff' }) });
  await http.authorise(record, [], 1_000);
  t.same(
    host.seen.map(({ peer }) => peer),
    ['CN=t-0123456789ab', 'CN=t-ffffffffffff'],
  );
  await http.close();
  t.equal(codeOf(await http.authorise(record, [], 1_000)), 'host.unreachable', 'closed is closed');
});

t.test(
  'an alert about the box’s certificate is the host’s refusal; any other verdict of TLS is distrust',
  async (t) => {
    const codes = {
      ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED: 'host.refused',
      ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED: 'host.refused',
      ERR_SSL_TLSV1_ALERT_UNKNOWN_CA: 'host.refused',
      ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION: 'host.untrusted',
      CERT_NOT_YET_VALID: 'host.untrusted',
      CERT_REVOKED: 'host.untrusted',
      ECONNRESET: 'host.noAnswer',
      UND_ERR_CONNECT_TIMEOUT: 'host.unreachable',
    };
    for (const [code, expected] of Object.entries(codes)) t.equal(transportFailure({ code }).code, expected, code);
  },
);
