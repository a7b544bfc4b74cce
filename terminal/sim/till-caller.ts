/**
 * Till caller: the local API started over a port double, called over a real socket with any header and any bytes.
 * For tests of the local API.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { errorTable } from '../kernel/errors.js';
import { nativeRandom } from '../kernel/native.js';
import { problemSchema } from '../local-api/schema.js';
import { type RunningLocalApi, type ServerLimits, startLocalApi } from '../local-api/server.js';
import { HandSchedule, PortDouble } from './port-double.js';

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
  readonly body: unknown;
}
export interface Till {
  readonly port: PortDouble;
  readonly hand: HandSchedule;
  readonly api: RunningLocalApi;
  readonly token: string;
  readonly bugs: unknown[];
  call(
    method: string,
    target: string,
    send?: { body?: unknown; raw?: string | Buffer; headers?: http.OutgoingHttpHeaders },
  ): Promise<Answer>;
}

/** Starts a paired API that the test ends with its teardown. */
export async function pair(
  test: { readonly teardown: (handler: () => Promise<void>) => unknown },
  options: { allowedOrigins?: readonly string[]; limits?: ServerLimits } = {},
): Promise<Till> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-api-'));
  const port = new PortDouble();
  const hand = new HandSchedule();
  const bugs: unknown[] = [];
  const api = await startLocalApi({
    port,
    random: nativeRandom,
    schedule: hand.schedule,
    listenPort: 0,
    allowedOrigins: options.allowedOrigins ?? [],
    tokenFile: path.join(folder, 'till-token'),
    onBug: (error) => bugs.push(error),
    ...(options.limits ? { limits: options.limits } : {}),
  });
  test.teardown(async () => {
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const token = readFileSync(api.tokenFile, 'utf8').trim();
  const call: Till['call'] = (method, target, send = {}) =>
    new Promise((resolve, reject) => {
      const payload = send.raw ?? (send.body === undefined ? undefined : JSON.stringify(send.body));
      const headers: http.OutgoingHttpHeaders = {
        authorization: `Bearer ${token}`,
        ...(payload === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) }),
        ...send.headers,
      };
      for (const [name, value] of Object.entries(headers)) if (value === '') delete headers[name];
      const request = http.request(
        { host: '127.0.0.1', port: api.port, method, path: target, headers, agent: false },
        (response) => {
          let text = '';
          response.setEncoding('utf8');
          response.on('data', (chunk: string) => {
            text += chunk;
          });
          response.on('end', () => {
            let body: unknown = null;
            try {
              body = JSON.parse(text);
            } catch {
              // Not JSON: the test looks at the text.
            }
            resolve({ status: response.statusCode ?? 0, headers: response.headers, text, body });
          });
        },
      );
      request.on('error', reject);
      request.end(payload);
    });
  return { port, hand, api, token, bugs, call };
}

/** Status and code of a refusal; throws where the body is not a problem with the texts of its code. */
export const codeOf = (answer: Answer): string => {
  const problem = problemSchema.parse(answer.body);
  if (problem.en !== errorTable[problem.code].en || problem.zh !== errorTable[problem.code].zh)
    throw new Error('not the text of its code');
  return `${answer.status} ${problem.code}`;
};
/** A body that the API takes. */
export const earn = { service: 'pointsEarn', clerk: '张三', amountMinor: 30_000 };
