/**
 * A member's phone, simulated: its memory, its application behind the reader, its messages, and the ways it is told to
 * misbehave. Must not know how it is driven (scripts/phone.ts), and must not be imported by anything but tests and scripts.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { MemberApplication, type Misbehaviour, wellBehaved } from './member-application.js';
import { keepMessage, messagesFor, putAnswer, removeMessage } from './message-files.js';
import type { PackageState } from './package-state.js';
import { type PhoneChance, realChance } from './phone-crypto.js';
import { type Agrees, agreesToAll, handleMessage, type MessageOutcome, shownRecord } from './phone-messages.js';
import { type Membership, membershipOf, type PhoneMemory, type PhoneResult } from './phone-state.js';

/** Contactless by PC/SC part 3 §3.1.3.2.3.1: 3B 8n 80 01, historical bytes "SHOULI", check byte. */
export const phoneAtr: Bytes = Uint8Array.from(Buffer.from('3b86800153484f554c4903', 'hex'));

export const instructionNames = {
  164: 'select',
  16: 'present',
  18: 'mutual',
  20: 'sign',
  32: 'readRecords',
  48: 'writeSlot',
  64: 'result',
} as const;
export type InstructionName = (typeof instructionNames)[keyof typeof instructionNames];

/** Where the phone leaves the field. Counted within one tap; it happens once. */
export interface Tear {
  /** The n-th command of this or the next tap (1: the first), or the next command of that name. */
  readonly at: number | InstructionName;
  /** `before` the phone acts on it, or `after`, when it has acted but the answer is lost. */
  readonly moment: 'before' | 'after';
  /** WRITE SLOT only: this many bytes of the record (0…96) are stored; null: all or none, by `moment`. */
  readonly bytes: number | null;
}

export type PhoneEvent =
  | { readonly event: 'inField' | 'leftField' }
  | {
      readonly event: 'command';
      /** Counted from 1 within this tap. */
      readonly number: number;
      readonly instruction: InstructionName | 'other';
      /** Four hex digits; null: the phone left. Of a secure answer it is what stands outside the seal. */
      readonly status: string | null;
    }
  | { readonly event: 'result'; readonly merchantId: string; readonly result: PhoneResult }
  | { readonly event: 'message'; readonly id: string; readonly outcome: MessageOutcome };

/** What a phone shows of one membership: everything but its keys. */
export interface MembershipView {
  readonly merchantId: string;
  readonly memberKeyId: string;
  readonly useCounter: number;
  readonly coupons: readonly {
    readonly code: string;
    readonly balanceMinor: number;
    readonly currency: string;
    readonly holder: string;
  }[];
  readonly card: {
    readonly keyId: string;
    /** The record that reads as current; the phone cannot check its MAC. */
    readonly record: ReturnType<typeof shownRecord>;
    readonly slots: readonly [string, string];
  } | null;
  /** What it may sign with; null: nothing yet. */
  readonly credential: CredentialView | null;
  readonly results: readonly PhoneResult[];
}

/** A credential as its bytes say it: days are UTC. */
export interface CredentialView {
  readonly firstDay: string;
  readonly lastDay: string;
  /** Bits: 1 what the host holds, 2 the card that is named. */
  readonly uses: number;
  readonly cardKeyId: string | null;
}

export interface PhoneView {
  readonly number: string;
  /** In the order in which they were joined. */
  readonly memberships: readonly MembershipView[];
  /** The one merchant whose membership is held out; null: any. */
  readonly chosen: string | null;
  /** What each merchant sent over the air; `content` null: nothing yet, or erased. */
  readonly packages: readonly Pick<PackageState, 'merchantId' | 'version' | 'content'>[];
  /** Taps so far in this process, commands in the last of them, and whether it is in the field now. */
  readonly taps: number;
  readonly commandsInTap: number;
  readonly inField: boolean;
}

export interface PhoneSetup {
  readonly memory: PhoneMemory;
  readonly chance?: PhoneChance;
  readonly onEvent?: (event: PhoneEvent) => void;
  /** Its owner's word about a new merchant; absent: yes to all. */
  readonly agrees?: Agrees;
}

const dayText = (day: number): string => new Date(day * 86_400_000).toISOString().slice(0, 10);
function viewOfCredential(text: string): CredentialView {
  const bytes = Buffer.from(text, 'hex');
  const uses = bytes[54] ?? 0;
  return {
    ...{ firstDay: dayText(bytes.readUInt16BE(50)), lastDay: dayText(bytes.readUInt16BE(52)), uses },
    cardKeyId: (uses & 2) === 0 ? null : bytes.toString('hex', 55, 63),
  };
}

const viewOf = ({
  merchantId,
  memberKeyId,
  useCounter,
  coupons,
  card,
  credential,
  results,
}: Membership): MembershipView => ({
  merchantId,
  memberKeyId,
  useCounter,
  coupons: coupons.map(({ code, balanceMinor, currency, holder }) => ({ code, balanceMinor, currency, holder })),
  card: card && { keyId: card.keyId, record: shownRecord(card.slots), slots: card.slots },
  credential: credential === null ? null : viewOfCredential(credential),
  results,
});

/** Fits drivers/sim/vpcd.ts as a card's script: `atr`, `respond`, `powerLost`. */
export class SimulatedPhone {
  readonly atr = phoneAtr;
  readonly #memory: PhoneMemory;
  readonly #chance: PhoneChance;
  readonly #onEvent: (event: PhoneEvent) => void;
  readonly #agrees: Agrees;
  readonly #application: MemberApplication;
  #misbehaviour: Omit<Misbehaviour, 'tearAfterBytes'> = wellBehaved;
  #tear: Tear | null = null;
  #held: { readonly released: Promise<void>; readonly release: () => void } | null = null;
  #taps = 0;
  #commands = 0;
  #inField = false;

  constructor(setup: PhoneSetup) {
    this.#memory = setup.memory;
    this.#chance = setup.chance ?? realChance;
    this.#onEvent = setup.onEvent ?? (() => {});
    this.#agrees = setup.agrees ?? agreesToAll;
    this.#application = new MemberApplication(setup.memory, this.#chance);
  }

  /** The phone is held to the reader: a new tap. */
  entered(): void {
    this.#taps++;
    this.#commands = 0;
    this.#inField = true;
    this.#onEvent({ event: 'inField' });
  }

  left(): void {
    if (!this.#inField) return;
    this.#inField = false;
    this.#application.powerLost();
    this.#onEvent({ event: 'leftField' });
  }

  /** The reader switched the field off and perhaps on again; the tap goes on. */
  powerLost(): void {
    this.#application.powerLost();
  }

  misbehave(how: Partial<Omit<Misbehaviour, 'tearAfterBytes'>>): void {
    this.#misbehaviour = { ...this.#misbehaviour, ...how };
  }

  /** Holds out one merchant's membership alone; null: any. Throws where there is none of that merchant. */
  choose(merchantId: string | null): void {
    if (merchantId !== null && membershipOf(this.#memory.state, merchantId) === null)
      throw new Error(`no membership of ${merchantId}`);
    this.#application.chosen = merchantId;
  }

  /** Leaves the field at a chosen command, once; null takes the wish back. */
  tearAt(tear: Tear | null): void {
    this.#tear = tear;
  }

  /** From now on commands wait, unanswered and not acted on, until release(). */
  hold(): void {
    if (this.#held) return;
    let release = (): void => {};
    const released = new Promise<void>((done) => {
      release = done;
    });
    this.#held = { released, release };
  }

  release(): void {
    this.#held?.release();
    this.#held = null;
  }

  /** One command in, one answer out, or 'tear': the phone left the field. */
  respond(command: Bytes): Bytes | 'tear' | Promise<Bytes | 'tear'> {
    const held = this.#held;
    return held ? held.released.then(() => this.#respondNow(command)) : this.#respondNow(command);
  }

  #respondNow(command: Bytes): Bytes | 'tear' {
    this.#commands++;
    const instruction = instructionNames[(command[1] ?? 0) as keyof typeof instructionNames] ?? 'other';
    const due = this.#tear && (this.#tear.at === this.#commands || this.#tear.at === instruction) ? this.#tear : null;
    if (due) this.#tear = null;
    const partial = instruction === 'writeSlot' ? (due?.bytes ?? null) : null;
    const before = this.#memory.state.memberships;
    let answer: Bytes | 'tear' = 'tear';
    if (!due || due.moment === 'after' || partial !== null) {
      this.#application.misbehaviour = { ...this.#misbehaviour, tearAfterBytes: partial };
      answer = this.#application.respond(command);
    }
    if (due) answer = 'tear';
    const status = answer === 'tear' ? null : Buffer.from(answer.subarray(-2)).toString('hex');
    this.#onEvent({ event: 'command', number: this.#commands, instruction, status });
    for (const [at, { merchantId, results }] of this.#memory.state.memberships.entries()) {
      const result = results.at(-1);
      if (result && results !== before[at]?.results) this.#onEvent({ event: 'result', merchantId, result });
    }
    return answer;
  }

  /**
   * Handles every message for this phone in `inFolder` and puts answers into `outFolder`. The phone remembers first, then
   * answers, then takes the message away: a crash in between repeats a step and changes nothing.
   */
  handleMessages(
    inFolder: string,
    outFolder: string,
  ): readonly { readonly id: string; readonly outcome: MessageOutcome }[] {
    return messagesFor(inFolder, this.#memory.state.number).map((message) => {
      const handled = handleMessage(this.#memory.state, message.text, this.#chance, this.#agrees);
      if (handled.state !== this.#memory.state) this.#memory.save(handled.state);
      if (handled.answer !== null) putAnswer(outFolder, message, handled.answer);
      if (handled.outcome === 'notForThisApplication') keepMessage(inFolder, message.id);
      else removeMessage(inFolder, message.id);
      this.#onEvent({ event: 'message', id: message.id, outcome: handled.outcome });
      return { id: message.id, outcome: handled.outcome };
    });
  }

  show(): PhoneView {
    const { number, memberships, packages } = this.#memory.state;
    return {
      number,
      memberships: memberships.map(viewOf),
      chosen: this.#application.chosen,
      packages: packages.map(({ merchantId, version, content }) => ({ merchantId, version, content })),
      taps: this.#taps,
      commandsInTap: this.#commands,
      inField: this.#inField,
    };
  }
}
