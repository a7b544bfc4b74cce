/**
 * Card-held coupons for the host's tests: the card in the member's phone, and what boxes make of it. For tests only; cards
 * here follow the protocol's text, not the shipped box's code.
 */
import { type CardRecord, decodeCardRecord, encodeCardRecord } from '../../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { type CardWrite, transactionIdBytes } from '../../protocol/record.js';
import type { RecordAnswer } from '../../protocol/sync.js';
import { type Box, keyed, type LooseDraft, must, newId, Phone, testVault, type World } from './world.js';

/** A card as a model of two slots that takes what a box writes. */
export class Card {
  readonly slots: [Uint8Array, Uint8Array];
  constructor(
    readonly code: string,
    readonly phone: Phone,
    first: Uint8Array,
  ) {
    this.slots = [first, new Uint8Array(96)];
  }
  write(write: CardWrite | null | undefined): void {
    if (write) this.slots[write.slot] = hex(write.record);
  }
  get current(): CardRecord & { slot: 0 | 1 } {
    const read = ([0, 1] as const).flatMap((slot) => {
      const record = decodeCardRecord(this.slots[slot]);
      return record.ok ? [{ ...record.value, slot }] : [];
    });
    const [highest] = read.sort((a, b) => b.counter - a.counter);
    if (!highest) throw new Error('no record on the card');
    return highest;
  }
  get hex(): string {
    return toHex(concat(...this.slots));
  }
}

/** Issues a card-held coupon of 300.00, unless said otherwise. */
export async function issueCard(
  world: World,
  more: Partial<Parameters<World['host']['coupons']['issue']>[0]> = {},
): Promise<Card> {
  const issued = must(
    await world.host.coupons.issue({
      holder: 'card',
      memberCode: null,
      currency: 'CNY',
      amountMinor: 30_000,
      expiresAtMs: null,
      ...more,
    }),
  );
  if (!issued.card) throw new Error('no card');
  return new Card(
    issued.code,
    new Phone('card', issued.card.cardKeyId, issued.card.cardKey, world.random),
    issued.card.record,
  );
}

/** A debit of a keyed bill with the card as it stands now; with a write: by a site key. */
export function debit(
  box: Box,
  card: Card,
  totalMinor: number,
  write: CardWrite | null = null,
  transactionId = newId(),
): LooseDraft & { kind: 'cardDebit' } {
  return {
    kind: 'cardDebit',
    transactionId,
    reference: null,
    bill: keyed(totalMinor),
    credential: card.phone.tap(box, transactionId, 'cardDebit', totalMinor),
    partial: false,
    amountMinor: totalMinor,
    slots: card.hex,
    write,
  };
}

/** Gives so much of a sale's total back to its card as it stands now. */
export function credit(box: Box, card: Card, original: LooseDraft, amountMinor: number): LooseDraft {
  const transactionId = newId();
  return {
    kind: 'cardCredit',
    transactionId,
    reference: null,
    credential: card.phone.tap(box, transactionId, 'cardCredit', amountMinor),
    original: original.transactionId ?? newId(),
    amountMinor,
    slots: card.hex,
  };
}
/** What the host authenticated for the card. */
export const writeOf = (answer: RecordAnswer): CardWrite => {
  if (answer.outcome !== 'accepted' || !answer.write) throw new Error(`no write: ${JSON.stringify(answer)}`);
  return answer.write;
};
/** A debit as a box with the site key makes it, offline; the card takes it. */
export async function siteDebit(world: World, box: Box, card: Card, amountMinor: number): Promise<LooseDraft> {
  const siteKey = await world.store.read(
    (need) => void need.get('secret', 'siteKey'),
    (facts) => testVault.unwrap(facts.get('secret', 'siteKey')?.wrapped ?? new Uint8Array(1)),
  );
  const { slot, ...from } = card.current;
  const transactionId = newId();
  const record = encodeCardRecord(nativeCrypto, recordKey(nativeCrypto, siteKey, from.cardKeyId), {
    ...from,
    counter: from.counter + 1,
    balanceMinor: from.balanceMinor - amountMinor,
    lastTransactionId: transactionIdBytes(transactionId),
    lastTerminal: hex(box.terminalId.slice(2)),
    lastKind: 'debit',
    lastAmountMinor: amountMinor,
  });
  const draft = debit(box, card, amountMinor, { slot: slot === 0 ? 1 : 0, record: toHex(record) }, transactionId);
  card.write(draft.write);
  return draft;
}

/** Money is paid in for the card as it stands now. */
export function topUpCard(box: Box, card: Card, amountMinor: number): LooseDraft & { kind: 'cardTopUp' } {
  const transactionId = newId();
  return {
    kind: 'cardTopUp',
    transactionId,
    reference: null,
    credential: card.phone.tap(box, transactionId, 'cardCredit', amountMinor),
    currency: 'CNY',
    amountMinor,
    slots: card.hex,
  };
}

/** A whole top-up is taken from the card again. */
export function voidTopUp(box: Box, card: Card, original: LooseDraft, amountMinor: number): LooseDraft {
  const transactionId = newId();
  return {
    kind: 'cardTopUpVoid',
    transactionId,
    reference: null,
    credential: card.phone.tap(box, transactionId, 'cardDebit', amountMinor),
    original: original.transactionId ?? newId(),
    currency: 'CNY',
    amountMinor,
    slots: card.hex,
  };
}
