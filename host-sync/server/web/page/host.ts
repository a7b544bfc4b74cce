/**
 * What the page asks of the host, and what it keeps for when there is no network. Must not draw anything.
 */
export interface Coupon {
  readonly code: string;
  readonly holder: 'host' | 'card';
  readonly currency: string;
  readonly initialMinor: number;
  readonly balanceMinor: number;
  readonly expiresAtMs: number | null;
  readonly limitCategory: string | null;
  readonly limitProducts: readonly string[] | null;
  readonly state: 'active' | 'blocked';
}
export interface Overview {
  readonly atMs: number;
  readonly merchant: string;
  readonly memberCode: string;
  readonly name: string;
  readonly tier: string;
  readonly points: number;
  readonly pointsOwed: number;
  readonly pointsReserved: number;
  readonly coupons: readonly Coupon[];
  readonly statement: readonly {
    readonly entry: string;
    readonly cause: string;
    readonly change: number;
    readonly balanceAfter: number;
    readonly atMs: number;
  }[];
  readonly offers: readonly {
    readonly id: string;
    readonly title: string;
    readonly text: string;
    readonly expiresAtMs: number;
  }[];
}

/** A call that the host refused, with its code; `offline`: it was not reached. */
export class Refused extends Error {
  constructor(readonly code: string) {
    super(code);
  }
}

async function call<T>(method: string, path: string, body?: object): Promise<T> {
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      ...(body ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) } : {}),
    });
  } catch {
    throw new Refused('offline');
  }
  if (response.status === 204) return undefined as T;
  const answer = (await response.json().catch(() => ({}))) as { readonly code?: string };
  if (!response.ok) throw new Refused(answer.code ?? 'offline');
  return answer as T;
}

export const sendCode = (phone: string): Promise<void> => call('POST', '/v1/code', { phone });
export const openSession = (phone: string, code: string): Promise<void> => call('POST', '/v1/session', { phone, code });
export const closeSession = (): Promise<void> => call('DELETE', '/v1/session');
export const fetchOverview = (): Promise<Overview> => call('GET', '/v1/overview');

const overviewKey = 'overview';
/** What was last seen; null: nobody is logged in. */
export function keptOverview(): Overview | null {
  try {
    return JSON.parse(localStorage.getItem(overviewKey) ?? 'null') as Overview | null;
  } catch {
    return null;
  }
}
export const keepOverview = (overview: Overview): void => localStorage.setItem(overviewKey, JSON.stringify(overview));
export const forget = (): void => localStorage.removeItem(overviewKey);
