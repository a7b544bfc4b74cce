/**
 * What the page asks of the host, and what it keeps for when there is no network. Must not draw anything.
 */
import { screenCode, stepAt, stepBytes } from '../../../../drivers/protocols/screen-code/screen-code.js';
import type { CouponView, MemberOverview } from '../../service/types.js';

export type Coupon = CouponView;
export type Overview = MemberOverview;

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
/** Of the rotating codes that this page shows: handle, and seed in hex. */
export interface ScreenKey {
  readonly handle: string;
  readonly seed: string;
}
export const openSession = (phone: string, code: string): Promise<ScreenKey> =>
  call('POST', '/v1/session', { phone, code });
export const closeSession = (): Promise<void> => call('DELETE', '/v1/session');
export const fetchOverview = (): Promise<Overview> => call('GET', '/v1/overview');

const overviewKey = 'overview';
const screenKeyKey = 'screenKey';
/** By how much the host's clock is ahead of this phone's, milliseconds: codes go by the host's. */
const aheadKey = 'aheadMs';

function kept<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}
const keep = (key: string, value: unknown): void => localStorage.setItem(key, JSON.stringify(value));

/** What was last seen; null: nobody is logged in. */
export const keptOverview = (): Overview | null => kept(overviewKey);
export function keepOverview(overview: Overview): void {
  keep(overviewKey, overview);
  keep(aheadKey, overview.atMs - Date.now());
}
export const keptScreenKey = (): ScreenKey | null => kept(screenKeyKey);
export const keepScreenKey = ({ handle, seed }: ScreenKey): void => keep(screenKeyKey, { handle, seed });
export const hostNowMs = (): number => Date.now() + (kept<number>(aheadKey) ?? 0);
export function forget(): void {
  for (const key of [overviewKey, screenKeyKey, aheadKey]) localStorage.removeItem(key);
}

/** The code to show now; null where this browser cannot compute one (no TLS). */
export async function screenCodeNow({ handle, seed }: ScreenKey): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const bytes = Uint8Array.from(seed.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const step = new Uint8Array(stepBytes(stepAt(hostNowMs())));
  return screenCode(handle, new Uint8Array(await crypto.subtle.sign('HMAC', key, step)));
}
