/**
 * GSM modems on serial lines: carry messages between the network and the host's message folder. What came is deleted from the
 * modem only when the folder has it; what nobody knows the fate of is never sent again. Must not log a number or a text.
 */
import type { ModemCondition } from '../contract/driver.js';
import { splitText } from '../protocols/sms/parts.js';
import { decodeDeliverTpdu, encodeSubmitTpdu } from '../protocols/sms/tpdu.js';
import { type Line, LineDriver, type LinePorts, namedLines, type WantedLine } from './line-driver.js';
import { ModemTalk } from './modem-talk.js';

export interface ModemOptions {
  readonly paths: readonly string[];
  readonly baud: number;
  readonly ownNumber: string;
  readonly homePrefix: string;
}

/** The folder between host and modem (host-sync/spool). Each may throw when the folder fails. */
export interface ModemSpool {
  claim(): { readonly id: string; readonly to: string; readonly text: string } | null;
  giveBack(id: string): void;
  settle(id: string, end: 'sent' | 'unsure' | 'unsent', reason: string): void;
  receive(part: {
    readonly from: string;
    readonly to: string;
    readonly text: string;
    readonly place: { readonly reference: number; readonly total: number; readonly sequence: number } | null;
  }): 'stored' | 'repeated' | 'full' | 'unfit';
}
export interface ModemPorts extends LinePorts {
  readonly openSpool: () => ModemSpool;
}

/** How often modem and folder are looked at where neither says anything, in milliseconds. */
export const lookMessagesMs = 2_000;
const referencesMax = 256;
/** How often one message is tried that the network does not take now. */
export const laterTriesMax = 10;

type WithoutDevice<T> = T extends unknown ? Omit<T, 'device'> : never;
type Asked = WithoutDevice<ModemCondition>;
const silent: Asked = { known: false, error: { code: 'device.timedOut', detail: 'AT+CSQ, AT+CREG?: no answer' } };
const gone: Asked = { known: false, error: { code: 'device.closed', detail: 'the line went away' } };

interface Carrying {
  talk: ModemTalk | null;
  /** Ends the pause between two looks. */
  wake: () => void;
  sent: number;
  unsure: number;
  unsent: number;
  received: number;
  refused: number;
  /** Who asked for network and signal and waits. */
  asked: ((condition: Asked) => void)[];
  /** The message that was not taken last, and how often. */
  later: { readonly id: string; readonly tries: number } | null;
}

export class ModemDriver extends LineDriver<Carrying> {
  readonly name = 'serial-modem';
  readonly bus = 'serial';
  protected readonly kind = 'modem';
  /** Numbers and texts of members, and codes that register and log in. */
  protected override readonly sensitive = true;
  readonly #wanted: readonly WantedLine[];
  readonly #openSpool: () => ModemSpool;
  #spool: ModemSpool | null = null;
  #reference = 0;

  constructor(
    private readonly options: ModemOptions,
    ports: ModemPorts,
  ) {
    super(ports);
    this.#openSpool = ports.openSpool;
    this.#wanted = namedLines(options.paths);
  }

  async askCondition(device: string | null): Promise<ModemCondition | null> {
    const line = this.lines.find((each) => device === null || each.device === device);
    if (!line) return null;
    this.orders.ordered(line.identity, () => ({ askCondition: true }));
    const { own } = line;
    const condition = own.talk
      ? await new Promise<Asked>((resolve) => {
          own.asked.push(resolve);
          own.wake();
        })
      : gone;
    this.orders.ended(line.identity, () => condition);
    return { ...condition, device: line.device };
  }

  protected wanted(): readonly WantedLine[] {
    return this.#wanted;
  }
  protected fresh(): Carrying {
    return {
      talk: null,
      wake: () => {},
      sent: 0,
      unsure: 0,
      unsent: 0,
      received: 0,
      refused: 0,
      asked: [],
      later: null,
    };
  }
  protected settings(): unknown {
    const { baud, homePrefix, ownNumber } = this.options;
    return { baud, homePrefix, ownNumber };
  }
  protected counters({ sent, unsure, unsent, received, refused }: Carrying): Readonly<Record<string, number>> {
    return { sent, unsure, unsent, received, refused };
  }

  protected began(line: Line<Carrying>): void {
    const { identity, own, transport } = line;
    if (!transport) return;
    const write: typeof transport.write = (bytes) => {
      this.orders.passed(identity, 'out', bytes);
      return transport.write(bytes);
    };
    const talk = new ModemTalk(write, this.ports.schedule, () => own.wake());
    own.talk = talk;
    void this.#serve(line, talk);
  }

  protected left({ own }: Line<Carrying>): void {
    own.talk?.left();
    own.talk = null;
    for (const answer of own.asked.splice(0)) answer(gone);
    own.wake();
  }

  protected read({ own }: Line<Carrying>, chunk: Uint8Array): void {
    own.talk?.hear(chunk);
  }

  /** Until the line goes: prepare it, then look again and again. */
  async #serve(line: Line<Carrying>, talk: ModemTalk): Promise<void> {
    let isPrepared = false;
    while (!talk.isGone) {
      const trouble: string | null = isPrepared ? null : await talk.prepare();
      isPrepared = trouble === null;
      let problem: string | null = trouble;
      if (isPrepared && !talk.isGone) {
        try {
          problem = await this.#carry(line, talk);
        } catch {
          problem = 'the message folder cannot be used';
        }
      }
      if (talk.isGone) return;
      await this.#tellCondition(line, talk);
      if (talk.isGone) return;
      if (problem !== null) isPrepared = false;
      this.set(
        line,
        problem === null ? 'ready' : 'failing',
        problem === null ? null : { code: 'device.failed', detail: problem },
      );
      await new Promise<void>((resolve) => {
        const cancel = this.ports.schedule(lookMessagesMs, resolve);
        line.own.wake = () => {
          cancel();
          resolve();
        };
      });
    }
  }

  /** Asked once for all who wait. */
  async #tellCondition({ own }: Line<Carrying>, talk: ModemTalk): Promise<void> {
    if (own.asked.length === 0) return;
    const said = await talk.condition();
    for (const answer of own.asked.splice(0)) answer(said ? { known: true, ...said } : silent);
  }

  /** One look: takes what came, then sends what waits. @returns what is wrong, or null */
  async #carry({ identity, own }: Line<Carrying>, talk: ModemTalk): Promise<string | null> {
    this.#spool ??= this.#openSpool();
    const listed = await talk.list();
    if (!listed) return 'AT+CMGL: no answer';
    for (const { index, pdu } of listed) {
      // Bytes were lost on the line: it lies there still, and is listed again.
      if (!pdu) continue;
      const read = decodeDeliverTpdu(pdu);
      const part = read.ok
        ? { ...read.value, from: this.#asWritten(read.value.from), to: this.options.ownNumber }
        : null;
      const end = part ? this.#spool.receive(part) : 'unfit';
      this.orders.ended(identity, () => ({ received: part, end }));
      if (end === 'full') continue;
      if (end === 'stored') own.received++;
      if (end === 'unfit') own.refused++;
      await talk.remove(index);
    }
    while (!talk.isGone) {
      const message = this.#spool.claim();
      if (!message) return null;
      this.orders.ordered(identity, () => ({ send: message }));
      const trouble = await this.#send({ identity, own }, talk, message);
      if (trouble !== null) return trouble;
    }
    return null;
  }

  async #send(
    { identity, own }: Pick<Line<Carrying>, 'identity' | 'own'>,
    talk: ModemTalk,
    { id, to, text }: NonNullable<ReturnType<ModemSpool['claim']>>,
  ) {
    const spool = this.#spool as ModemSpool;
    this.#reference = (this.#reference + 1) % referencesMax;
    const parts = splitText(text, this.#reference);
    const settle = (end: 'sent' | 'unsure' | 'unsent', reason: string): null => {
      spool.settle(id, end, reason);
      this.orders.ended(identity, () => ({ end, reason }));
      own[end]++;
      return null;
    };
    if (!parts.ok) return settle('unsent', parts.error.code);
    for (const [i, part] of parts.value.entries()) {
      const end = await talk.send(encodeSubmitTpdu(to, part));
      const where = `part ${i + 1} of ${parts.value.length}`;
      if (end.end === 'refused') return settle('unsent', `error ${end.code} for ${where}`);
      if (end.end === 'later' && i === 0) {
        const tries = (own.later?.id === id ? own.later.tries : 0) + 1;
        // It may be this number alone that is not taken: the others are not to wait for it for ever.
        if (tries >= laterTriesMax) return settle('unsent', 'not taken, again and again');
        own.later = { id, tries };
        spool.giveBack(id);
        this.orders.ended(identity, () => ({ end: 'later' }));
        return 'the network or the SIM takes no message now';
      }
      if (end.end !== 'sent') return settle('unsure', `no answer for ${where}`);
    }
    return settle('sent', '');
  }

  #asWritten(number: string): string {
    const { homePrefix } = this.options;
    return homePrefix !== '' && number.startsWith(homePrefix) ? number.slice(homePrefix.length) : number;
  }
}
