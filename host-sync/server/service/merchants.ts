/**
 * Merchants of one host: who they are, whose counters terminals stand on, and each one's key pair for registrations.
 * Must not show a private key but to the registration that opens an answer with it.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Clock, KeyPair } from '../../../terminal/kernel/ports.js';
import { ok } from '../../../terminal/kernel/result.js';
import type { KeyVault } from '../ledger/context.js';
import { nextVersion } from '../ledger/draft.js';
import { type Collector, type Facts, put } from '../ledger/facts.js';
import type { HostStore } from '../storage/port.js';
import { isPlainText } from './inputs.js';
import { pageOf, refusal } from './paging.js';
import { merchantIdSchema, setting } from './settings.js';
import type { MerchantAdmin } from './types.js';

/** Most merchants of one host, its own among them. */
export const merchantsMax = 64;
const keyOf = (id: string): string => `merchantKey/${id}`;
const scalarBytes = 32;

/** The merchant as rows name it: empty where it is the host's own; null where there is none. Reads `ownMerchant` and the row. */
export function rowIdOf(facts: Pick<Facts, 'get' | 'find'>, id: string): string | null {
  if (id === setting(facts as Facts, 'ownMerchant')) return '';
  return facts.get('merchant', id) ? id : null;
}
/** States what `rowIdOf` reads. */
export function planMerchant(need: Collector, id: string): void {
  need.get('setting', 'ownMerchant');
  need.get('merchant', id);
}

/** States what `nameOf` reads. */
export function planName(need: Collector, id: string): void {
  need.get('merchant', id);
  need.get('setting', 'merchant');
}
/** The name by which people know a merchant, of its id or of what rows hold for it. */
export const nameOf = (facts: Facts, id: string): string =>
  facts.get('merchant', id)?.name ?? setting(facts, 'merchant').merchant;

export function createMerchants(store: HostStore, vault: KeyVault, clock: Clock): MerchantAdmin {
  return {
    add: async ({ id, name, location }, keys) => {
      if (!merchantIdSchema.safeParse(id).success) return refusal('input.malformed', 'id');
      if (!isPlainText(name, 64) || !isPlainText(location, 64)) return refusal('input.malformed', 'name or location');
      const wrapped = vault.wrap(joined(keys));
      const plan = (need: Collector): void => {
        need.all('merchant');
        need.get('setting', 'ownMerchant');
        need.get('secret', keyOf(id));
      };
      return store.transact(plan, (facts) => {
        // Phones and the clearing tell merchants apart by letters, and people read `cafe` and `CAFE` as one.
        const taken = [setting(facts, 'ownMerchant'), ...facts.every('merchant').map((row) => row.id)];
        if (taken.some((one) => one.toLowerCase() === id.toLowerCase()))
          return refusal('record.conflict', 'this merchant id is taken');
        if (taken.length >= merchantsMax) return refusal('input.tooLong', `more than ${merchantsMax} merchants`);
        const merchant = { id, name, location, createdAtMs: clock.wallMs() };
        facts.write([put('merchant', merchant), put('secret', { id: keyOf(id), wrapped })]);
        return ok(merchant);
      });
    },
    own: () =>
      store.read(
        (need) => {
          need.get('setting', 'ownMerchant');
          need.get('setting', 'merchant');
        },
        (facts) => {
          const { merchant, location } = setting(facts, 'merchant');
          return { id: setting(facts, 'ownMerchant'), name: merchant, location };
        },
      ),
    list: (options) => pageOf(store, 'merchant', null, options),
    assign: (terminalId, id) =>
      store.transact(
        (need) => {
          planMerchant(need, id);
          need.get('terminal', terminalId);
          need.find('allowance', 'openTerminal', terminalId);
        },
        (facts) => {
          const terminal = facts.get('terminal', terminalId);
          if (!terminal) return refusal('access.denied', 'unknown terminal');
          const merchantId = rowIdOf(facts, id);
          if (merchantId === null) return refusal('merchant.unknown', id);
          if (merchantId === terminal.merchantId) return ok(undefined);
          // What it sold for one merchant could be undone for no other, and its slices are of that merchant's members.
          if (terminal.recordsHeld > 0 || facts.find('allowance', 'openTerminal', terminalId).length > 0)
            return refusal('record.conflict', 'this terminal has sold already: enrol it anew for another merchant');
          const directivesVersion = nextVersion(terminal.directivesVersion, clock.wallMs());
          facts.write([put('terminal', { ...terminal, merchantId, directivesVersion })]);
          return ok(undefined);
        },
      ),
    registrationKeys: (id) =>
      store.read(
        (need) => void need.get('secret', keyOf(id)),
        (facts) => {
          const secret = facts.get('secret', keyOf(id));
          return secret ? parted(vault.unwrap(secret.wrapped)) : null;
        },
      ),
  };
}

const joined = ({ privateKey, publicKey }: KeyPair): Bytes => Uint8Array.from([...privateKey, ...publicKey]);
const parted = (bytes: Bytes): KeyPair => ({
  privateKey: bytes.subarray(0, scalarBytes),
  publicKey: bytes.subarray(scalarBytes),
});
