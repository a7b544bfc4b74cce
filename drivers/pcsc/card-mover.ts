/**
 * Inside the PC/SC child: turns nfc-pcsc's readers and cards into frames and moves commands to them. One exchange per
 * reader at a time. Must keep no session and no byte of an exchange after it, and must contain nfc-pcsc's faults here.
 */
import type { NFC, Reader } from 'nfc-pcsc';
import type { Bytes } from '../../terminal/kernel/bytes.js';
import { printable } from '../../terminal/kernel/redaction.js';
import { apduBytesMax, type DeviceError } from '../contract/transport.js';
import type { Frame } from './frames.js';
import { readPcscError } from './pcsc-errors.js';

/** More readers than this are not taken up. */
const readersMax = 16;
/** How long nfc-pcsc may take to finish with the card before, in steps. */
const settleStepMs = 20;
const settleSteps = 50;
/** Refusals in a row after which a reader is sent no escape command until it is plugged in again. */
const escapesRefusedMax = 3;
/** How long a lost reader may be explained by pcscd's end. */
const watchLostMs = 500;

/** What is used of an NFC object; a test gives its own. */
export type NfcSource = Pick<NFC, 'on'>;

interface Slot {
  readonly id: number;
  readonly reader: Reader;
  /** Rises with every arrival and departure, so that late work for an earlier card is recognised. */
  presence: number;
  card: number | null;
  exchanging: boolean;
  showing: Promise<void> | null;
  watchLost: boolean;
  /** Connections to cards that are being made, or wait to be. */
  connecting: number;
  /** Escape commands refused in a row. */
  escapesRefused: number;
  /** Connected to a card whose answer to reset is not known yet. */
  awaitsAtr: boolean;
}

export class CardMover {
  readonly #slots = new Map<number, Slot>();
  #lastReader = 0;
  #lastCard = 0;
  #looked = false;

  /**
   * @param report sends a frame to the box
   * @param giveUp ends this process: nfc-pcsc is in a state that only a new process leaves
   */
  constructor(
    nfc: NfcSource,
    private readonly report: (frame: Frame) => void,
    private readonly giveUp: (detail: string) => void,
  ) {
    nfc.on('reader', (reader) => this.#added(reader));
    // Without a listener the process would end; the watch on pcscd's socket says more than this error does.
    nfc.on('error', () => {});
  }

  handle(frame: Frame): void {
    if (frame.type === 'transmit') void this.#transmit(frame.card, frame.exchange, frame.command);
    else if (frame.type === 'release') this.#release(frame.card);
    else if (frame.type === 'show') this.#show(frame.reader, frame.command);
    else if (frame.type === 'escape') this.#escape(frame.reader, frame.commands);
  }

  /** Says once that the first look at the readers is over. */
  looked(): void {
    if (this.#looked) return;
    this.#looked = true;
    this.report({ type: 'looked' });
  }

  #added(reader: Reader): void {
    // Before its first status arrives, or it would send commands of its own to the card.
    reader.autoProcessing = false;
    const slot: Slot = {
      id: ++this.#lastReader,
      reader,
      presence: 0,
      card: null,
      exchanging: false,
      showing: null,
      watchLost: false,
      escapesRefused: 0,
      connecting: 0,
      awaitsAtr: false,
    };
    if (this.#slots.size >= readersMax) {
      reader.on('error', () => {});
      return;
    }
    this.#slots.set(slot.id, slot);
    this.report({ type: 'readerAdded', reader: slot.id, name: printable(reader.name, 128) });
    this.#catchMisnamedErrors(slot);
    this.#connectOneByOne(slot);
    reader.on('error', (error) => this.#watchLost(slot, error));
    reader.on('card', (card) => void this.#arrived(slot, card.atr));
    reader.on('card.off', () => this.#left(slot));
    reader.on('end', () => this.#ended(slot));
    reader.reader.on('status', (status) => this.#statusChanged(slot, status.state, status.atr));
    setImmediate(() => this.looked());
  }

  #ended(slot: Slot): void {
    if (slot.watchLost) return;
    this.#left(slot);
    this.#slots.delete(slot.id);
    this.report({ type: 'readerRemoved', reader: slot.id });
  }

  /** The library stops watching a reader at its first error. Most often pcscd has gone, and its socket says so first. */
  #watchLost(slot: Slot, error: unknown): void {
    if (slot.watchLost) return;
    slot.watchLost = true;
    setTimeout(() => this.giveUp(`a reader is not watched any more: ${readPcscError(error).detail}`), watchLostMs);
  }

  /** nfc-pcsc emits a failed connect or disconnect with the error in the place of the event's name. */
  #catchMisnamedErrors(slot: Slot): void {
    const emit = slot.reader.emit.bind(slot.reader);
    slot.reader.emit = (name: unknown, ...rest: unknown[]): boolean => {
      if (!(name instanceof Error)) return emit(name as string, ...rest);
      // A failed disconnect follows a removal that has been reported; only a card that cannot be reached is news.
      if (name.name !== 'DisconnectError') this.#failed(slot, name);
      return true;
    };
  }

  /**
   * pcsclite knows of a connection only once it stands: a second one begun meanwhile would take the first one's place, and
   * the first could never be ended. So a card's connection waits for one that light or polling has without a card.
   */
  #connectOneByOne(slot: Slot): void {
    const connect = slot.reader.connect.bind(slot.reader);
    slot.reader.connect = async (mode) => {
      if (mode === 'CONNECT_MODE_DIRECT') return connect(mode);
      slot.connecting++;
      try {
        if (slot.showing) await slot.showing;
        return await connect(mode);
      } finally {
        slot.connecting--;
      }
    };
  }

  #failed(slot: Slot, error: unknown): void {
    this.report({ type: 'readerFailed', reader: slot.id, ...readPcscError(error) });
  }

  async #arrived(slot: Slot, atr: Bytes | undefined): Promise<void> {
    const presence = ++slot.presence;
    if (!isConnected(slot.reader)) {
      // The card before is still being let go: nfc-pcsc took that connection for this card's.
      const connected = await this.#connectAnew(slot, presence);
      if (!connected || slot.presence !== presence) return;
    }
    if (atr && atr.length > 0) this.#present(slot, atr);
    else slot.awaitsAtr = true;
  }

  #present(slot: Slot, atr: Bytes): void {
    slot.awaitsAtr = false;
    slot.card = ++this.#lastCard;
    this.report({ type: 'cardPresented', reader: slot.id, card: slot.card, atr: atr.slice(0, 33) });
  }

  #statusChanged(slot: Slot, state: number, atr: Bytes | undefined): void {
    const raw = slot.reader.reader;
    if (isSwap(raw.state, state, raw.SCARD_STATE_PRESENT)) void this.#swapped(slot, atr);
    // pcscd may say that a card is there before it has powered it; the connection changes its state once more, with the ATR.
    else if (slot.awaitsAtr && atr && atr.length > 0) this.#present(slot, atr);
  }

  async #connectAnew(slot: Slot, presence: number): Promise<boolean> {
    for (let step = 0; step < settleSteps && slot.reader.connection !== null; step++) {
      await new Promise((resolve) => setTimeout(resolve, settleStepMs));
      if (slot.presence !== presence) return false;
    }
    if (slot.reader.connection !== null) {
      this.giveUp('a reader did not let its last card go');
      return false;
    }
    return slot.reader.connect().then(
      () => true,
      (error: unknown) => {
        this.#failed(slot, error);
        return false;
      },
    );
  }

  /** One card for another within one poll of pcscd: the contacts never read empty, only the event count moved. */
  async #swapped(slot: Slot, atr: Bytes | undefined): Promise<void> {
    this.#left(slot);
    await this.#disconnect(slot);
    await this.#arrived(slot, atr);
  }

  #left(slot: Slot): void {
    slot.presence++;
    slot.awaitsAtr = false;
    const card = slot.card;
    slot.card = null;
    if (card !== null) this.report({ type: 'cardRemoved', reader: slot.id, card });
  }

  async #transmit(card: number, exchange: number, command: Bytes): Promise<void> {
    const slot = [...this.#slots.values()].find((candidate) => candidate.card === card);
    if (!slot || slot.exchanging) {
      this.report({ type: 'failed', exchange, ...(slot ? exchangeRunning : cardGone) });
      return;
    }
    slot.exchanging = true;
    if (slot.showing) await slot.showing;
    const report = await exchangeWith(slot.reader, exchange, command);
    slot.exchanging = false;
    this.report(report);
  }

  #release(card: number): void {
    for (const slot of this.#slots.values()) if (slot.card === card) void this.#disconnect(slot);
  }

  async #disconnect(slot: Slot): Promise<void> {
    if (!slot.reader.connection) return;
    // What fails here shows itself when the next card cannot be connected.
    await slot.reader.disconnect().catch(() => {});
  }

  #show(id: number, command: Bytes): void {
    const slot = this.#slots.get(id);
    if (!slot || slot.exchanging || slot.showing || slot.card === null) return;
    slot.showing = exchangeWith(slot.reader, 0, command).then(() => {
      slot.showing = null;
    });
  }

  #escape(id: number, commands: readonly Bytes[]): void {
    const slot = this.#slots.get(id);
    if (!slot || slot.exchanging || slot.showing || slot.escapesRefused >= escapesRefusedMax) return;
    // While a card is being connected, and until the last one is let go, the connection is not ours to make or to use.
    if (slot.connecting > 0 || (slot.card === null) !== (slot.reader.connection === null)) return;
    slot.showing = this.#escapeAll(slot, commands)
      .then(
        () => {
          slot.escapesRefused = 0;
        },
        (error: unknown) => this.#escapeFailed(slot, error),
      )
      .finally(() => {
        slot.showing = null;
      });
  }

  /** One failure may be a card or a plug that moved; a reader that goes on refusing is not asked again. */
  #escapeFailed(slot: Slot, error: unknown): void {
    if (!(error instanceof Error) || error.name !== 'ControlError') return;
    slot.escapesRefused++;
    const { detail } = readPcscError(error);
    if (slot.escapesRefused === escapesRefusedMax)
      this.report({ type: 'escapeFailed', reader: slot.id, code: 'device.denied', detail });
  }

  async #escapeAll(slot: Slot, commands: readonly Bytes[]): Promise<void> {
    const { presence } = slot;
    const isDirect = slot.card === null;
    if (isDirect) await slot.reader.connect('CONNECT_MODE_DIRECT');
    try {
      for (const command of commands) {
        // A card has come or gone meanwhile: it does not wait for light, sound or polling.
        if (slot.presence !== presence || slot.connecting > 0 || !slot.reader.connection) break;
        await slot.reader.control(Buffer.from(command), escapeAnswerBytesMax);
      }
    } finally {
      if (isDirect) await this.#disconnect(slot);
    }
  }
}

/** Longest answer to an escape command that is read; nobody looks at it. */
const escapeAnswerBytesMax = 512;

const cardGone: DeviceError = { code: 'device.cardRemoved', detail: 'the card is gone' };
const exchangeRunning: DeviceError = { code: 'device.busy', detail: 'an exchange is running' };

const isConnected = (reader: Reader): boolean => typeof reader.connection?.protocol === 'number';

/** PC/SC part 5, §3.2.5.4: bits 16 to 31 of a reader's state count insertions and removals. */
function isSwap(before: number | undefined, now: number, presentBit: number): boolean {
  if (before === undefined || (before & presentBit) === 0 || (now & presentBit) === 0) return false;
  return before >>> 16 !== now >>> 16;
}

async function exchangeWith(reader: Reader, exchange: number, command: Bytes): Promise<Frame> {
  try {
    // Inside the try also because transmit throws synchronously without a connection.
    const answer = await reader.transmit(Buffer.from(command), apduBytesMax);
    // A card that leaves in mid-exchange resolves with an empty buffer.
    if (answer.length < 2)
      return { type: 'failed', exchange, code: 'device.cardRemoved', detail: 'the card left without an answer' };
    return { type: 'answer', exchange, answer };
  } catch (error) {
    return { type: 'failed', exchange, ...readPcscError(error) };
  }
}
