/**
 * Federation in the world: in part of the seeds a second merchant has a counter here, members are both merchants', and points of
 * each pay at the other. Merchants change their rates and settle. Draws from a source of its own, so that other seeds play as
 * they did. Must not know how sharing works inside.
 */
import { type Membership, newMembership } from '../../../drivers/sim/phone/phone-state.js';
import type { Host } from '../../../host-sync/server/host.js';
import { toHex } from '../../kernel/bytes.js';
import type { MemoryHostStore } from './memory-host-store.js';
import { Violation } from './violation.js';
import { Chance } from './virtual-time.js';

export const partnerId = 'CAFE';
const share = 0.4;
/** Apart from every seed of a world's own chance. */
const apart = 0x0fed_0fed;
const ratesMax = 5;

type Settled = Awaited<ReturnType<Host['federation']['settle']>>;

function value<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`the federation could not be set up: ${JSON.stringify(result.error)}`);
  return result.value;
}

export class Federation {
  readonly #chance: Chance;
  readonly isHere: boolean;

  constructor(
    seed: number,
    private readonly ownId: string,
  ) {
    this.#chance = new Chance((seed ^ apart) >>> 0);
    this.isHere = this.#chance.happens(share);
  }

  /** The second merchant, with an agreement for each direction. Before terminals and members. */
  async open(host: Host): Promise<void> {
    if (!this.isHere) return;
    const keys = { privateKey: this.#chance.bytes(32), publicKey: this.#chance.bytes(33) };
    value(await host.merchants.add({ id: partnerId, name: 'Café', location: 'Street 2' }, keys));
    for (const issuer of [this.ownId, partnerId]) value(await this.#agree(host, issuer));
  }

  async #agree(host: Host, issuer: string) {
    const acceptor = issuer === partnerId ? this.ownId : partnerId;
    const between = (): number => this.#chance.between(1, ratesMax);
    const offered = await host.federation.offer({
      ...{ issuer, acceptor, issuerPoints: between(), acceptorPoints: between(), offeredBy: issuer, person: 'Li' },
      ...{ validFromMs: null, validToMs: null, dailyPointsMax: null },
    });
    if (!offered.ok) return offered;
    return host.federation.confirm(issuer, acceptor, offered.value.version, acceptor, 'Wang');
  }

  /** The last of the terminals stands at the second merchant's counter. */
  async assign(host: Host, terminalId: string, isLast: boolean): Promise<void> {
    if (this.isHere && isLast) value(await host.merchants.assign(terminalId, partnerId));
  }

  /** What the phone of this number has beside its first membership. */
  async join(host: Host, number: string, name: string): Promise<readonly Membership[]> {
    if (!this.isHere) return [];
    const [keyId, key] = [this.#chance.bytes(8), this.#chance.bytes(16)];
    value(await host.members.register({ phone: number, name, keyId, key, merchantId: partnerId }));
    return [
      newMembership({
        ...{ merchantId: partnerId, merchantPublicKey: '02'.repeat(33), token: '2'.repeat(16), answer: '' },
        ...{ memberKeyId: toHex(keyId), memberKey: toHex(key) },
      }),
    ];
  }

  /** What the two merchants' people do: another rate, an end, a settlement, each asked for twice at times. */
  async operate(host: Host, nowMs: number): Promise<void> {
    if (!this.isHere) return;
    const chance = this.#chance;
    if (chance.happens(0.05)) await this.#agree(host, chance.pick([this.ownId, partnerId]));
    if (!chance.happens(0.2)) return;
    const untilMs = nowMs - chance.pick([0, 1, 60_000]);
    const settle = (): Promise<Settled> => host.federation.settle(this.ownId, partnerId, untilMs, 'Li');
    const [first, again] = [await settle(), await settle()];
    if (first.ok && JSON.stringify(first) !== JSON.stringify(again))
      throw new Violation(`settled ${untilMs} twice: ${JSON.stringify(first)}, ${JSON.stringify(again)}`);
  }
}

/** Spends that a partner paid and settlements, as they stand. */
export const sharedIn = (store: MemoryHostStore): { readonly spends: number; readonly settlements: number } => ({
  spends: store.rows('sale').filter(({ partnerShare }) => partnerShare > 0).length,
  settlements: store.rows('settlement').length,
});
