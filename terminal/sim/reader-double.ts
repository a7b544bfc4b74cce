/**
 * Reader double: a driver whose reader holds simulated phones and whose scanner reads what a test says. Behaves as the
 * real links do when a phone leaves. Must not be imported by anything but tests and scripts.
 */
import type {
  ByteSink,
  DeviceEvent,
  DeviceStatus,
  Driver,
  MemberSignal,
  Schedule,
} from '../../drivers/contract/driver.js';
import type { ApduLink, DeviceError, DeviceErrorCode } from '../../drivers/contract/transport.js';
import { readerModel } from '../../drivers/pcsc/reader-models.js';
import { type InstructionName, instructionNames, type SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import type { Bytes } from '../kernel/bytes.js';
import { err, ok, type Result } from '../kernel/result.js';
import { wallMs } from '../kernel/units.js';

const failure = (code: DeviceErrorCode): Result<never, DeviceError> => err({ code, detail: '' });
const nameOf = (command: Bytes): InstructionName | null =>
  instructionNames[(command[1] ?? 0) as keyof typeof instructionNames] ?? null;

/** What can be held to the reader. */
export type FieldPhone = Pick<SimulatedPhone, 'atr' | 'respond' | 'entered' | 'left'>;

/** One phone in the field. */
class PhoneLink implements ApduLink {
  readonly atr: Bytes;
  passThrough?: NonNullable<ApduLink['passThrough']>;
  #gone: DeviceErrorCode | null = null;
  #busy = false;
  #whenGone: (() => void)[] = [];
  closed = false;

  constructor(
    readonly id: string,
    readonly phone: FieldPhone,
    private readonly reader: ReaderDouble,
    readonly device: 'reader-1' | 'slot-1' = 'reader-1',
  ) {
    this.atr = phone.atr;
    const through = reader.passesThrough ? readerModel('Virtual PCD')?.passThrough : undefined;
    if (through)
      this.passThrough = async (command, timeout) => {
        const answer = await this.transmit(through.wrap(command), timeout);
        return answer.ok ? through.open(answer.value) : answer;
      };
  }

  async transmit(command: Bytes, timeout: number): Promise<Result<Bytes, DeviceError>> {
    if (this.#gone) return failure(this.#gone);
    if (this.#busy) return failure('device.busy');
    this.#busy = true;
    let ended = (): void => {};
    const out = new Promise<DeviceErrorCode>((resolve) => {
      const cancel = this.reader.schedule(timeout, () => resolve('device.timedOut'));
      this.#whenGone.push(() => resolve(this.#gone ?? 'device.closed'));
      ended = cancel;
    });
    const outcome = await Promise.race([out, this.#answer(command)]);
    ended();
    this.#busy = false;
    this.#whenGone = [];
    return typeof outcome === 'string' ? failure(outcome) : ok(outcome);
  }

  async #answer(command: Bytes): Promise<Bytes | DeviceErrorCode> {
    const name = nameOf(command);
    if (name) this.reader.commands.push(name);
    if (name) await this.reader.gate(name);
    if (this.#gone) return this.#gone;
    const answer = await this.phone.respond(command);
    if (answer !== 'tear') return answer;
    this.reader.remove(this.id);
    return 'device.cardRemoved';
  }

  get gone(): boolean {
    return this.#gone !== null;
  }

  leave(code: DeviceErrorCode): void {
    if (this.#gone) return;
    this.#gone = code;
    this.phone.left();
    for (const tell of this.#whenGone) tell();
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#gone ??= 'device.closed';
  }
}

/** What the reader double is known by. */
export const readerIdentity = 'reader double';
const slotIdentity = 'slot double';

export class ReaderDouble implements Driver {
  readonly name = 'reader-double';
  readonly bus = 'pcsc';
  /** What the member was told, in order. */
  readonly signals: MemberSignal[] = [];
  /** Every command that went to any phone, by name. */
  readonly commands: InstructionName[] = [];
  readonly links: PhoneLink[] = [];
  /** Where card numbers may pass. */
  sensitive = false;
  /** Passes a card's own commands through, in the form of the virtual reader. */
  passesThrough = false;
  /** There is a second device, slot-1, for cards with contacts. */
  hasSlot = false;
  /** What the reader says of itself while it is ready. */
  #remark: DeviceStatus['error'] = null;
  /** Who listens in. */
  sink: ByteSink | null = null;
  #state: DeviceStatus['state'] = 'ready';
  /** Called at each signal, as a driver that reports something while it is being told. */
  onSignal: (signal: MemberSignal) => void = () => {};
  #emit: (event: DeviceEvent) => void = () => {};
  #held: { readonly at: InstructionName; readonly wait: Promise<void>; readonly reached: () => void } | null = null;

  constructor(readonly schedule: Schedule) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
  }
  async stop(): Promise<void> {
    this.#emit = () => {};
  }
  statuses(): readonly DeviceStatus[] {
    const about = { simulated: true, sinceWallMs: wallMs(0), counters: {} };
    const reader: DeviceStatus = {
      ...{ device: 'reader-1', bus: this.bus, identity: readerIdentity, sensitive: this.sensitive, state: this.#state },
      ...{ ...about, description: 'reader double', error: this.#remark },
    };
    const slot: DeviceStatus = {
      ...{ device: 'slot-1', bus: this.bus, identity: slotIdentity, sensitive: true, state: 'ready' },
      ...{ ...about, description: 'slot double', error: null },
    };
    return this.hasSlot ? [reader, slot] : [reader];
  }
  isContactSlot(device: string): boolean {
    return this.hasSlot && device === 'slot-1';
  }
  serve(identity: string, inService: boolean): void {
    if (identity !== readerIdentity) return;
    this.#state = inService ? 'ready' : 'disabled';
    if (!inService)
      for (const link of this.links.filter((each) => !each.gone)) {
        link.leave('device.closed');
        this.#emit({ type: 'cardRemoved', device: 'reader-1', linkId: link.id });
      }
    for (const status of this.statuses()) this.#emit({ type: 'deviceStateChanged', status });
  }
  listenIn(identity: string, sink: ByteSink | null): void {
    if (identity === readerIdentity) this.sink = sink;
  }
  /** The reader says something of itself, or nothing any more. */
  remark(error: DeviceStatus['error']): void {
    this.#remark = error;
    const [status] = this.statuses();
    if (status) this.#emit({ type: 'deviceStateChanged', status });
  }
  signal(signal: MemberSignal): void {
    this.signals.push(signal);
    this.onSignal(signal);
  }

  /** The phone is held to the reader. @returns its link's id */
  tap(phone: FieldPhone): string {
    const link = new PhoneLink(`link-${this.links.length + 1}`, phone, this);
    this.links.push(link);
    phone.entered();
    this.#emit({ type: 'cardPresented', device: 'reader-1', link });
    return link.id;
  }

  remove(linkId: string): void {
    const link = this.links.find(({ id }) => id === linkId);
    link?.leave('device.cardRemoved');
    this.#emit({ type: 'cardRemoved', device: link?.device ?? 'reader-1', linkId });
  }

  /** A card is put into the slot. @returns its link's id */
  insert(card: FieldPhone): string {
    const link = new PhoneLink(`link-${this.links.length + 1}`, card, this, 'slot-1');
    this.links.push(link);
    card.entered();
    this.#emit({ type: 'cardInserted', device: 'slot-1', link });
    return link.id;
  }

  scan(...codes: readonly string[]): void {
    for (const code of codes) this.#emit({ type: 'codeScanned', device: 'scanner-1', code, aim: null });
  }
  scanSymbol(aim: string, code: string, device = 'scanner-1'): void {
    this.#emit({ type: 'codeScanned', device, code, aim });
  }

  /** The next command of that name waits before it reaches its phone. */
  holdAt(at: InstructionName): { readonly reached: Promise<void>; release(): void } {
    let release = (): void => {};
    let reach = (): void => {};
    const wait = new Promise<void>((resolve) => {
      release = resolve;
    });
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    this.#held = { at, wait, reached: reach };
    return { reached, release };
  }

  /** For the links: passes when nothing is to wait at this command. */
  async gate(name: InstructionName): Promise<void> {
    const held = this.#held;
    if (held?.at !== name) return;
    this.#held = null;
    held.reached();
    await held.wait;
  }
}
