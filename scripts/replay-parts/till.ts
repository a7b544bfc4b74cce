/**
 * A till on the local API of a running box: a sale or refund under its own reference, to its end, by HTTP alone.
 * Must know nothing of the box but the interface that docs/protocols/local-api.md describes.
 */
import { Client } from 'undici';
import type { SaleBody, SaleRequest, StatusBody } from '../../terminal/local-api/schema.js';

/** What a sale came to: accepted with its view, or refused with the code. */
export type TillAnswer =
  | { readonly outcome: 'accepted'; readonly sale: SaleBody }
  | { readonly outcome: 'refused'; readonly code: string };

export interface Till {
  /** Asks and waits for the end. Throws when the box cannot be used, or a sale does not end. */
  sell(reference: string, request: SaleRequest): Promise<TillAnswer>;
  status(): Promise<StatusBody>;
  /** Every sale that the box holds, the newest first. */
  sales(): Promise<readonly SaleBody[]>;
  close(): Promise<void>;
}

const waitSeconds = 15;
const looksMax = 8;
/** How often a till that was told to slow down tries again, and how long it waits before. */
const againMax = 50;
const againAfterMs = 250;
const pageRows = 200;

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const codeOf = (body: unknown): string => (body as { readonly code?: string }).code ?? 'no code';

/** Opens one keep-alive connection to the box on this machine. */
export function openTill(port: number, token: string): Till {
  const client = new Client(`http://127.0.0.1:${port}`);
  const call = async (method: 'GET' | 'PUT', path: string, body?: unknown): Promise<Answer> => {
    for (let tries = 1; ; tries++) {
      const response = await client.request({
        method,
        path,
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body: body === undefined ? null : JSON.stringify(body),
      });
      const answer = { status: response.statusCode, body: await response.body.json() };
      if (answer.status !== 429) return answer;
      if (tries === againMax) throw new Error('the box refuses to be called so often');
      await pause(againAfterMs);
    }
  };
  const look = async <T>(path: string): Promise<T> => {
    const { status, body } = await call('GET', path);
    if (status !== 200) throw new Error(`GET ${path}: ${status} ${codeOf(body)}`);
    return body as T;
  };
  return {
    sell: async (reference, request) => {
      const asked = await call('PUT', `/v1/sales/${reference}`, request);
      if (asked.status >= 500) throw new Error(`${reference}: ${asked.status} ${codeOf(asked.body)}`);
      if (asked.status >= 400) return { outcome: 'refused', code: codeOf(asked.body) };
      let sale = asked.body as SaleBody;
      for (let looks = 0; sale.phase !== 'ended'; looks++) {
        if (looks === looksMax) throw new Error(`${reference} does not end`);
        sale = await look<SaleBody>(`/v1/sales/${reference}?wait=${waitSeconds}`);
      }
      if (sale.outcome?.result === 'accepted') return { outcome: 'accepted', sale };
      return { outcome: 'refused', code: sale.outcome?.code ?? 'no code' };
    },
    status: () => look<StatusBody>('/v1/status'),
    sales: async () => {
      const all: SaleBody[] = [];
      for (let before = ''; ; ) {
        const { sales } = await look<{ sales: SaleBody[] }>(`/v1/sales?limit=${pageRows}${before}`);
        all.push(...sales);
        const last = sales.at(-1);
        if (!last || sales.length < pageRows) return all;
        before = `&before=${last.transactionId}`;
      }
    },
    close: () => client.close(),
  };
}
