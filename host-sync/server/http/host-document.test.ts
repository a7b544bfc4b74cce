/**
 * Shows that docs/protocols/host.md says what the host does: its examples are read out of the page and checked with the
 * host's own code and with a second computation, its paths, limits and codes against the rows that the server uses, and a
 * running host takes the example batch and gives the watermark that the page computes.
 */
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { errorTable } from '../../../terminal/kernel/errors.js';
import { decodeRecord } from '../../protocol/record.js';
import { batchRecordsMax, recordsRequestSchema, refusalCodes } from '../../protocol/sync.js';
import { fingerprintOf } from '../pki/authority.js';
import { verifyCertificateRequest } from '../pki/certificate-request.js';
import { identifyPeer } from '../pki/peer.js';
import { openTestHost } from '../sim/running-host.js';
import { operations, sharedProblems, statusOf } from './contract.js';
import { hostOpenApi } from './openapi.js';
import { terminalServerLimitsDefault } from './server.js';

function findPage(): string {
  for (let folder = import.meta.dirname; folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const file = path.join(folder, 'docs', 'protocols', 'host.md');
    if (existsSync(file)) return readFileSync(file, 'utf8');
  }
  throw new Error('docs/protocols/host.md is not there');
}
const page = findPage();
const blocks = (label: string): readonly string[] =>
  [...page.matchAll(new RegExp(`^\`\`\`${label}\\n([\\s\\S]*?)\\n\`\`\`$`, 'gm'))].map((match) => match[1] ?? '');
const block = (label: string): string => {
  const [only, ...more] = blocks(label);
  if (only === undefined || more.length > 0) throw new Error(`one block ${label} wanted`);
  return only;
};
const sha256 = (...parts: (string | Buffer)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

t.test('the certificates of the enrolment example belong together', (t) => {
  const request = verifyCertificateRequest(block('request'));
  const certificate = new X509Certificate(block('certificate'));
  const authority = new X509Certificate(block('authority'));
  t.ok(request.ok && request.value.equals(certificate.publicKey), 'the certificate is for the key of the request');
  t.match(identifyPeer(certificate, authority), { kind: 'terminal', terminalId: 't-0123456789ab' });
  t.ok(page.includes(fingerprintOf(certificate)) && page.includes(fingerprintOf(authority)));
  t.end();
});

t.test('digests and hashes of the worked example', (t) => {
  const records = blocks('record');
  t.equal(records.length, 2);
  let hash = sha256('shouli chain t-0123456789ab 1');
  t.ok(page.includes(`= ${hash.toString('hex')}`), 'hash(0)');
  for (const [index, record] of records.entries()) {
    t.ok(decodeRecord(Buffer.from(record)).ok, 'the host can read it');
    const digest = sha256(record);
    hash = sha256(hash, digest);
    t.ok(page.includes(`${Buffer.byteLength(record)} bytes`));
    t.ok(page.includes(`digest(${index + 1}) = ${digest.toString('hex')}`));
    t.ok(page.includes(`hash(${index + 1})   = ${hash.toString('hex')}`));
  }
  const batch = recordsRequestSchema.parse(JSON.parse(block('batch')));
  t.equal(batch.records[0]?.body, records[0]);
  t.equal(batch.records[0]?.previousHash, sha256('shouli chain t-0123456789ab 1').toString('hex'));
  t.end();
});

t.test('a running host answers the shape of the example with the watermark that the page’s rule gives', async (t) => {
  const host = await openTestHost(t);
  const terminal = await host.enrol();
  const { terminalId } = terminal.enrolment;
  const body = (blocks('record')[0] ?? '').replaceAll('t-0123456789ab', terminalId);
  const previous = sha256(`shouli chain ${terminalId} 1`);
  const records = [{ body, previousHash: previous.toString('hex'), attempt: 1, sentAtWallMs: 1_767_225_603_000 }];
  const answer = await terminal.ask({ path: '/v1/records', body: { records, newestSeen: [] } });
  t.match(answer, {
    status: 200,
    body: {
      answers: [{ outcome: 'accepted' }],
      watermark: { epoch: 1, sequence: 1, hash: sha256(previous, sha256(body)).toString('hex') },
    },
  });
  const changed = body.replace('30000', '30001').replace('"sequence":1', '"sequence":2');
  const second = [
    {
      body: changed,
      previousHash: sha256(previous, sha256(body)).toString('hex'),
      attempt: 1,
      sentAtWallMs: 1_767_225_604_000,
    },
  ];
  t.match(await terminal.ask({ path: '/v1/records', body: { records: second, newestSeen: [] } }), {
    body: { answers: [{ outcome: 'refused', code: 'record.conflict' }] },
  });
  const fork = [{ ...records[0], body: body.replace('30000', '30002') }];
  t.match(await terminal.ask({ path: '/v1/records', body: { records: fork, newestSeen: [] } }), {
    body: { answers: [{ outcome: 'later', code: 'host.quarantined' }] },
  });
});

t.test('paths, limits and codes of the page are the server’s', (t) => {
  for (const { path: route, method, bodyBytesMax, problems } of operations) {
    t.match(page, new RegExp(`\\| \`${route}\` \\| ${method} \\|`), route);
    if (bodyBytesMax > 0) t.ok(page.includes(bodyBytesMax.toLocaleString('en-US')), `${bodyBytesMax}`);
    for (const code of problems) {
      t.ok(page.includes(`\`${code}\``), code);
      t.match(page, new RegExp(`\\| ${statusOf(code)} \\|[^\\n]*\`${code}\``), `${code} beside ${statusOf(code)}`);
    }
  }
  for (const [code, status] of Object.entries(sharedProblems))
    t.match(page, new RegExp(`\\| ${status} \\|[^\\n]*\`${code}\``), code);
  for (const code of ['certificate.expired', 'host.quarantined', 'store.full'] as const)
    t.match(page, new RegExp(`\\| ${statusOf(code)} \\|[^\\n]*\`${code}\``));
  for (const code of refusalCodes) t.ok(Object.hasOwn(errorTable, code), `${code} has its texts`);
  const { connections, enrolPerAddressMax, enrolTotalMax, keepAliveTimeoutMs } = terminalServerLimitsDefault;
  for (const value of [
    connections.openMax.toLocaleString('en-US'),
    `${enrolPerAddressMax} requests a minute`,
    `${enrolTotalMax} from all`,
    `${keepAliveTimeoutMs / 1000} s`,
    `at most ${batchRecordsMax} envelopes`,
  ])
    t.ok(page.includes(value), value);
  t.end();
});

t.test('the OpenAPI document has every operation and is plain data', (t) => {
  const document = JSON.parse(JSON.stringify(hostOpenApi())) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  };
  t.same(
    Object.keys(document.paths),
    operations.map((operation) => operation.path),
  );
  for (const { path: route, method, problems } of operations) {
    const { responses } = document.paths[route]?.[method.toLowerCase()] ?? { responses: {} };
    t.ok(responses['200']);
    for (const code of problems)
      t.ok(JSON.stringify(responses[String(statusOf(code))]).includes(code), `${route} ${code}`);
  }
  t.notMatch(JSON.stringify(document), /"\$schema"/);
  t.end();
});
