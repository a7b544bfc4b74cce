/**
 * Contact slots: which bank cards lie in the box's slots, and the reading of one, a card at a time. Must not know what a number
 * is wanted for, must not log or store a byte of a card, and keeps nothing of it once it is handed over.
 */
import type { Schedule } from '../../drivers/contract/driver.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { protocolOf } from '../../drivers/protocols/atr/atr.js';
import { type DialogueError, dialogueFault } from '../../drivers/protocols/card-dialogue.js';
import { type BankCard, readBankCard } from '../../drivers/protocols/emv/bank-card.js';
import type { Clock } from '../kernel/ports.js';
import type { Result } from '../kernel/result.js';
import { durationMs } from '../kernel/units.js';
import { type Patience, runDialogue } from './run-dialogue.js';

type Read = Promise<Result<BankCard, DialogueError>>;

/** What a service that needs a bank card's number asks. */
export interface BankCardPort {
  /**
   * Reads the bank card that lies in a slot, or the next one that is put in within `timeoutMs`; the reading itself takes 12 s at
   * most. The caller wipes the number when it is done with it.
   *
   * Fails with `device.absent` (no slot is ready), `device.busy` (another reading is under way), `chip.notInserted`,
   * `device.cardRemoved` (taken out meanwhile: nothing of it is handed over, and another card that came is not read in its
   * place), `device.timedOut`, `device.closed`, and what readBankCard of drivers/protocols/emv says.
   */
  readBankCard(timeoutMs: number): Read;
}

export interface ContactSlotParts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly schedule: Schedule;
  /** Slots that are ready, by device. */
  readonly slots: () => readonly string[];
}

/** Cards with contacts speak at 9,600 baud at first: a long record takes a third of a second. */
const patience: Patience = { answerMs: durationMs(5_000), wholeMs: 12_000 };

export class ContactSlots implements BankCardPort {
  /** By device: a slot has one card. */
  readonly #cards = new Map<string, ApduLink>();
  #isReading = false;
  #taken: ((link: ApduLink | null) => void) | null = null;

  constructor(private readonly parts: ContactSlotParts) {}

  /** A card was put into this slot. Nothing is sent to it unless somebody waits for it. */
  inserted(device: string, link: ApduLink): void {
    this.#cards.set(device, link);
    this.#taken?.(link);
  }

  /** @returns whether it lay in a slot */
  removed(linkId: string): boolean {
    for (const [device, link] of this.#cards) if (link.id === linkId) return this.#cards.delete(device);
    return false;
  }

  holdsCard(device: string): boolean {
    return this.#cards.has(device);
  }

  readBankCard(timeoutMs: number): Read {
    return this.#alone(async () => {
      if (this.parts.slots().length === 0) return dialogueFault('device.absent', null, 'no contact slot is ready');
      const [lying] = this.#cards.values();
      const link = lying ?? (await this.#next(timeoutMs));
      return link ? this.#read(link) : dialogueFault('chip.notInserted', null, 'no card came');
    });
  }

  /** Reads the card that lies in this slot; for a trial. Fails as readBankCard, with `device.cardRemoved` where there is none. */
  readIn(device: string): Read {
    return this.#alone(async () => {
      const link = this.#cards.get(device);
      return link ? this.#read(link) : dialogueFault('device.cardRemoved', null, 'the slot is empty');
    });
  }

  /** The box stops: nobody waits any more. */
  close(): void {
    this.#taken?.(null);
  }

  async #alone(work: () => Read): Read {
    if (this.#isReading) return dialogueFault('device.busy', null, 'a bank card is being read');
    this.#isReading = true;
    try {
      return await work();
    } finally {
      this.#isReading = false;
    }
  }

  #next(timeoutMs: number): Promise<ApduLink | null> {
    return new Promise((resolve) => {
      const cancel = this.parts.schedule(timeoutMs, () => this.#taken?.(null));
      this.#taken = (link) => {
        cancel();
        this.#taken = null;
        resolve(link);
      };
    });
  }

  async #read(link: ApduLink): Read {
    const reading = readBankCard(protocolOf(link.atr));
    try {
      const read = await runDialogue(link, reading.dialogue, this.parts.clock, patience);
      // A link that ended under a card that is still there does not come back: the card has to be put in again.
      if (!read.ok && (read.error.code === 'device.timedOut' || read.error.code === 'device.closed')) {
        this.removed(link.id);
        await link.close();
      }
      return read;
    } finally {
      reading.forget();
    }
  }
}
