/**
 * PIN pads on lines of bytes, a serial port or the reports of a HID device: has a member key a PIN and gives the block that the pad
 * encrypted. Must not see a PIN, and must not log or keep a card number, a block or a key serial number.
 */
import { toHex } from '../../terminal/kernel/bytes.js';
import type { Random } from '../../terminal/kernel/ports.js';
import type { Bus, PinAsked, PinEnd } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import type { KeySerials } from '../protocols/pin-pad/key-serials.js';
import { type PadModelName, padModels } from '../protocols/pin-pad/pad-models.js';
import { type Line, LineDriver, type LinePorts, type WantedLine } from './line-driver.js';
import { type EntryEnd, type PadCount, PadTalk } from './pin-pad-talk.js';

export interface PinPadPorts extends LinePorts {
  /** Pads that the configuration names, each where it is now. */
  readonly wanted: () => readonly WantedLine[];
  readonly random: Random;
  /** One for all drivers of the box: a key is used once, whatever cable its serial number comes over. */
  readonly keySerials: KeySerials;
}

interface Asking {
  talk: PadTalk | null;
  readonly counts: Record<'asked' | 'entered' | PadCount, number>;
}

const nobody: DeviceError = { code: 'device.absent', detail: 'no PIN pad is ready' };
const timeoutRangeS = { min: 5, max: 255 } as const;

/** As a recording says it; one is made on a simulated box alone. */
const recordedEnd = (end: EntryEnd): unknown =>
  end.result === 'entered'
    ? { result: 'entered', keySerialNumber: toHex(end.keySerialNumber), pinBlock: toHex(end.pinBlock) }
    : end;

/** What a person has to see to after an entry; null: nothing. */
function conditionOf(end: EntryEnd): DeviceError | null {
  if (end.result === 'noKeys') return { code: 'device.keysSpent', detail: '' };
  return 'error' in end && end.error.code !== 'device.closed' ? end.error : null;
}

export class PinPadDriver extends LineDriver<Asking> {
  readonly name: string;
  readonly bus: Bus;
  protected readonly kind: string;
  protected override readonly sensitive = true;
  readonly #model: PadModelName;

  constructor(
    bus: 'serial' | 'hid',
    model: PadModelName,
    protected override readonly ports: PinPadPorts,
  ) {
    super(ports);
    this.bus = bus;
    this.name = `${bus}-pinpad`;
    this.kind = bus === 'serial' ? 'pinpad' : 'hid-pinpad';
    this.#model = model;
  }

  async askPin(asked: PinAsked): Promise<PinEnd | null> {
    const lines = this.lines.filter(({ device }) => asked.device === null || asked.device === device);
    const line = lines.find(({ own }) => own.talk) ?? lines[0];
    if (!line) return null;
    const { device, own, transport } = line;
    if (!own.talk || !transport) return { result: 'failed', device, error: line.error ?? nobody };
    const isSound =
      /^[0-9]{8,19}$/.test(asked.pan) &&
      Number.isInteger(asked.timeoutS) &&
      asked.timeoutS >= timeoutRangeS.min &&
      asked.timeoutS <= timeoutRangeS.max;
    if (!isSound) {
      const detail = `8 to 19 digits of a card, ${timeoutRangeS.min} to ${timeoutRangeS.max} s`;
      return { result: 'failed', device, error: { code: 'device.unsupported', detail } };
    }
    if (own.talk.isBusy)
      return { result: 'failed', device, error: { code: 'device.busy', detail: 'a PIN is being keyed' } };
    own.counts.asked += 1;
    const { pan, timeoutS } = asked;
    this.orders.ordered(line.identity, () => ({ askPin: { pan, timeoutS } }));
    const end = await own.talk.ask(asked);
    this.orders.ended(line.identity, () => recordedEnd(end));
    if (end.result === 'entered') own.counts.entered += 1;
    if (line.transport === transport) this.set(line, 'ready', conditionOf(end));
    return { ...end, device };
  }

  cancelPin(device: string | null): void {
    for (const line of this.lines) {
      if ((device !== null && line.device !== device) || !line.own.talk?.isBusy) continue;
      this.orders.ordered(line.identity, () => ({ cancelPin: true }));
      line.own.talk.cancel();
    }
  }

  /** A pad that is let go while it asks is told first: nobody is to key a PIN for nothing. */
  override serve(identity: string, inService: boolean): void {
    const line = this.lines.find((each) => each.identity === identity);
    if (!inService && line) this.cancelPin(line.device);
    super.serve(identity, inService);
  }
  override stop(): Promise<void> {
    this.cancelPin(null);
    return super.stop();
  }

  protected wanted(): readonly WantedLine[] {
    return this.ports.wanted();
  }
  protected fresh(): Asking {
    return { talk: null, counts: { asked: 0, entered: 0, late: 0, strange: 0, noise: 0 } };
  }
  protected settings(): unknown {
    return { model: this.#model };
  }
  protected counters({ counts }: Asking): Readonly<Record<string, number>> {
    return counts;
  }

  protected began({ identity, own, transport }: Line<Asking>): void {
    if (!transport) return;
    const { keySerials, random, schedule } = this.ports;
    own.talk = new PadTalk({
      ...{ keySerials, random, schedule, model: padModels[this.#model] },
      write: (bytes) => {
        this.orders.passed(identity, 'out', bytes);
        return transport.write(bytes);
      },
      count: (what) => {
        own.counts[what] += 1;
      },
    });
  }
  protected left({ own }: Line<Asking>): void {
    own.talk?.left();
    own.talk = null;
  }
  protected read({ own }: Line<Asking>, chunk: Uint8Array): void {
    own.talk?.hear(chunk);
  }
}
