/**
 * What the page asks of the host, and what it keeps for when there is no network. Must not draw anything.
 */
import { screenCode, stepAt, stepBytes } from '../../../../drivers/protocols/screen-code/screen-code.js';
import type { CouponView, MemberOverview, ScreenCodes } from '../../service/types.js';

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
export type ScreenKey = Pick<ScreenCodes, 'handle' | 'seed'>;
type Codes = { readonly codes: readonly ScreenCodes[] };
/** Logs in, and keeps what the rotating codes of each membership are made of. */
export async function openSession(phone: string, code: string): Promise<void> {
  forget();
  keepScreenKeys(await call<Codes>('POST', '/v1/session', { phone, code }));
}
export const closeSession = (): Promise<void> => call('DELETE', '/v1/session');
/** All memberships of the number, and the codes of those that have joined it since the log-in. */
export async function fetchOverviews(): Promise<readonly Overview[]> {
  const { memberships } = await call<{ readonly memberships: readonly Overview[] }>('GET', '/v1/overview');
  if (memberships.some(({ memberCode }) => !keptScreenKey(memberCode)))
    await call<Codes>('POST', '/v1/codes', {}).then(keepScreenKeys, () => {});
  return memberships;
}

const overviewsKey = 'overviews';
const screenKeysKey = 'screenKeys';
/** Which membership was looked at last. */
const chosenKey = 'chosen';
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

/** What was last seen of each membership; none: nobody is logged in. */
export const keptOverviews = (): readonly Overview[] => kept(overviewsKey) ?? [];
export function keepOverviews(overviews: readonly Overview[]): void {
  keep(overviewsKey, overviews);
  const [first] = overviews;
  if (first) keep(aheadKey, first.atMs - Date.now());
}
const keptScreenKeys = (): Readonly<Record<string, ScreenKey>> => kept(screenKeysKey) ?? {};
export const keptScreenKey = (memberCode: string): ScreenKey | null => keptScreenKeys()[memberCode] ?? null;
function keepScreenKeys({ codes }: Codes): void {
  const added = codes.map(({ memberCode, handle, seed }) => [memberCode, { handle, seed }]);
  keep(screenKeysKey, { ...keptScreenKeys(), ...Object.fromEntries(added) });
}
export const keptChoice = (): string | null => kept(chosenKey);
export const keepChoice = (memberCode: string): void => keep(chosenKey, memberCode);
export const hostNowMs = (): number => Date.now() + (kept<number>(aheadKey) ?? 0);
export function forget(): void {
  for (const key of [overviewsKey, screenKeysKey, chosenKey, aheadKey]) localStorage.removeItem(key);
}

/** The code to show now; null where this browser cannot compute one (no TLS). */
export async function screenCodeNow({ handle, seed }: ScreenKey): Promise<string | null> {
  if (!globalThis.crypto?.subtle) return null;
  const bytes = Uint8Array.from(seed.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign']);
  const step = new Uint8Array(stepBytes(stepAt(hostNowMs())));
  return screenCode(handle, new Uint8Array(await crypto.subtle.sign('HMAC', key, step)));
}
