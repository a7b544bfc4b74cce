/**
 * Card-held coupons for the host's tests: the card in the member's phone, and what boxes make of it. For tests only; cards
 * here follow the protocol's text, not the shipped box's code.
 */
import { type CardRecord, decodeCardRecord, encodeCardRecord } from '../../../drivers/protocols/member/card-record.js';
import { recordKey } from '../../../drivers/protocols/member/proof.js';
import { concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import type { TransactionId } from '../../../terminal/kernel/ports.js';
import { type CardWrite, transactionIdBytes } from '../../protocol/record.js';
import type { Envelope, RecordAnswer } from '../../protocol/sync.js';
import { complete } from './sales.js';
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
/** The next record of the card as it stands now, by the site's key: `changeMinor` below 0 takes from it. */
async function nextRecord(world: World, box: Box, card: Card, transactionId: TransactionId, changeMinor: number) {
  const siteKey = await world.store.read(
    (need) => void need.get('secret', 'siteKey'),
    (facts) => testVault.unwrap(facts.get('secret', 'siteKey')?.wrapped ?? new Uint8Array(1)),
  );
  const { slot, ...from } = card.current;
  const record = encodeCardRecord(nativeCrypto, recordKey(nativeCrypto, siteKey, from.cardKeyId), {
    ...from,
    counter: from.counter + 1,
    balanceMinor: from.balanceMinor + changeMinor,
    lastTransactionId: transactionIdBytes(transactionId),
    lastTerminal: hex(box.terminalId.slice(2)),
    lastKind: changeMinor < 0 ? 'debit' : 'credit',
    lastAmountMinor: Math.abs(changeMinor),
  });
  return { slot: slot === 0 ? 1 : 0, record: toHex(record) } as const;
}

/** A debit as a box with the site key makes it, offline; the card takes it. */
export async function siteDebit(world: World, box: Box, card: Card, amountMinor: number): Promise<LooseDraft> {
  const transactionId = newId();
  const write = await nextRecord(world, box, card, transactionId, -amountMinor);
  const draft = debit(box, card, amountMinor, write, transactionId);
  card.write(write);
  return draft;
}

/**
 * What the host has authorised and forgotten, restored from a backup since: the card holds the write, the box its record.
 * @returns the record as the box sends it again
 */
export async function forgotten(
  world: World,
  box: Box,
  card: Card,
  draft: LooseDraft,
  changeMinor: number,
): Promise<Envelope> {
  if (!draft.transactionId) throw new Error('a record without an id');
  const record = box.record(draft);
  card.write(await nextRecord(world, box, card, draft.transactionId, changeMinor));
  return record;
}

/** What the host knows of the card: what stands on it, what is held of it and what is due to it, minor units. */
export async function cardBooks(world: World, card: Card) {
  const view = await world.host.coupons.byCode(card.code);
  return { onCard: view?.balanceMinor, held: view?.reservedMinor, due: view?.correctionMinor };
}

/** What the terminal took and paid back for top-ups by the books, and what the merchant bears, minor units. */
export const drawerBooks = (world: World, box: Box) => {
  const ids = [`terminal/${box.terminalId}/funded/CNY`, `terminal/${box.terminalId}/paidBack/CNY`, 'risk/CNY'];
  return world.store.read(
    (need) => {
      for (const id of ids) need.get('account', id);
    },
    (facts) => ids.map((id) => facts.get('account', id)?.balance ?? 0),
  );
};

/** The card pays one minor unit at this box, and all of it is told. */
export async function visit(box: Box, card: Card): Promise<void> {
  const next = debit(box, card, 1);
  const { answer } = await box.ask(next);
  card.write(writeOf(answer));
  await box.tell(complete(next));
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
