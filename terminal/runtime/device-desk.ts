/**
 * Device desk: what a technician does with devices: see, disable, try out, record. A device that is tried out gives nothing
 * to sales meanwhile; a sale ends the trial. Must not decide when a device is served: the supervisor does.
 */
import type {
  DeviceEvent,
  DeviceStatus,
  Driver,
  PinEnd,
  Schedule,
  UnclaimedDevice,
} from '../../drivers/contract/driver.js';
import { eventLines } from '../../drivers/contract/recording.js';
import type { BankCard } from '../../drivers/protocols/emv/bank-card.js';
import { bracketed, decodeElementString } from '../../drivers/protocols/gs1/element-string.js';
import { saysElementString } from '../../drivers/protocols/gs1/product-code.js';
import { describeSwipe, maskedNumber } from '../../drivers/protocols/magnetic-stripe/track.js';
import { classifyCode } from '../core/codes.js';
import { toHex } from '../kernel/bytes.js';
import type { Clock } from '../kernel/ports.js';
import { err, ok, type Result } from '../kernel/result.js';
import type { ContactSlots } from './contact-slots.js';
import { DeviceRecorder } from './device-recorder.js';
import type { DeviceSupervisor } from './device-supervisor.js';
import type {
  DeviceDescription,
  DeviceDeskPort,
  DeviceTrial,
  PinSight,
  RecordingView,
  Refusal,
  TrialSight,
} from './port.js';
import { testSlip } from './slip-desk.js';

export interface DeskParts {
  readonly supervisor: DeviceSupervisor;
  readonly clock: Clock;
  readonly schedule: Schedule;
  /** A box that is a simulation may record everything. */
  readonly simulated: boolean;
  readonly isSaleOpen: () => boolean;
  /** Customer's displays are to show again what they do between sales. */
  readonly displaysFreed: () => void;
  readonly bankCards: Pick<ContactSlots, 'readIn' | 'holdsCard'>;
  readonly unclaimed: (claimed: readonly string[]) => readonly UnclaimedDevice[];
  /** Stores the devices that a person disabled. @throws TerminalError of the store */
  readonly remember: (disabled: readonly string[]) => void;
}

type EventOf<T extends DeviceEvent['type']> = Extract<DeviceEvent, { type: T }>;

type TrialEnd = Awaited<DeviceTrial['ended']>;
interface Trial {
  readonly device: string;
  readonly see: (sight: TrialSight) => void;
  readonly end: (why: TrialEnd) => void;
}
/** A test card's number (ISO/IEC 7812-1), nobody's: what a trial's block is bound to. */
const testPan = '5413330089090014';
/** What the pad's own time-out, and the box's waiting for it, need of a trial's time. */
const padTimeoutS = (trialMs: number): number => Math.min(255, Math.max(5, Math.floor(trialMs / 1_000) - 5));

type Found = { readonly driver: Driver; readonly status: DeviceStatus; readonly identity: string };

export class DeviceDesk implements DeviceDeskPort {
  #trial: Trial | null = null;
  #recorder: { readonly recorder: DeviceRecorder; readonly found: Found } | null = null;
  constructor(private readonly parts: DeskParts) {}

  unclaimed(): readonly UnclaimedDevice[] {
    const { supervisor } = this.parts;
    const claimed = supervisor.statuses().flatMap(({ identity }) => (identity === null ? [] : [identity]));
    return [...this.parts.unclaimed(claimed), ...supervisor.unclaimed()];
  }

  describe(device: string): Result<DeviceDescription, Refusal> {
    const found = this.parts.supervisor.find(device);
    if (!found) return err({ code: 'device.unknown', detail: device });
    const recording = this.#recorder?.recorder.device === device ? this.#recorder.recorder.view : null;
    const forMs = Math.max(0, this.parts.clock.wallMs() - found.status.sinceWallMs);
    return ok({ ...found.status, driver: found.driver.name, forMs, recording });
  }

  setEnabled(device: string, enabled: boolean): Result<DeviceStatus, Refusal> {
    const found = this.#supervised(device);
    if (!found.ok) return found;
    const { driver, identity, status } = found.value;
    const { supervisor, remember } = this.parts;
    const isByPerson = supervisor.disabled().includes(`${driver.name} ${identity}`);
    if (enabled && status.state === 'disabled' && !isByPerson)
      return err({ code: 'device.denied', detail: status.error?.detail ?? '' });
    // Remembered first: what cannot be remembered is not done.
    const others = supervisor.disabled().filter((key) => key !== `${driver.name} ${identity}`);
    remember(enabled ? others : [...others, `${driver.name} ${identity}`]);
    supervisor.setEnabled(driver, identity, enabled);
    return ok(supervisor.find(device)?.status ?? status);
  }

  tryOut(device: string, timeoutMs: number, see: (sight: TrialSight) => void): Result<DeviceTrial, Refusal> {
    const found = this.#supervised(device);
    if (!found.ok) return found;
    const { status } = found.value;
    if (this.parts.isSaleOpen()) return err({ code: 'sale.busy', detail: '' });
    if (this.#trial) return err({ code: 'device.busy', detail: this.#trial.device });
    if (status.state === 'disabled' && !status.error)
      return err({ code: 'device.busy', detail: `it is disabled: device enable ${device}` });
    if (status.state !== 'ready')
      return err({ code: status.error?.code ?? 'device.absent', detail: status.error?.detail ?? status.state });
    let end: Trial['end'] = () => {};
    let isOver = false;
    /** The pad has this trial's entry; one of somebody else is not to be cancelled. */
    let isKeying = false;
    const ended = new Promise<TrialEnd>((resolve) => {
      const cancel = this.parts.schedule(timeoutMs, () => end('time'));
      end = (why) => {
        if (isOver) return;
        isOver = true;
        cancel();
        if (isKeying) found.value.driver.cancelPin?.(device);
        if (found.value.driver.display) this.parts.displaysFreed();
        if (this.#trial?.see === see) this.#trial = null;
        resolve(why);
      };
    });
    this.#trial = { device, see, end };
    // Behind what the caller says of the trial.
    const trial = this.#trial;
    queueMicrotask(() => {
      if (this.#trial !== trial) return;
      this.#showRemark(status, trial);
      const { display } = found.value.driver;
      if (!display) return;
      const lines = testLines(display.chinese);
      display.show(lines);
      see({ type: 'shown', lines });
    });
    if (this.parts.bankCards.holdsCard(device)) void this.#showBankCard(this.#trial);
    // A printer or a relay gives nothing by itself: what it does is what there is to see of it.
    found.value.driver.print?.(device, testSlip(device), null).then((slip) => {
      if (slip && this.#trial?.see === see) see({ type: 'slip', end: slip });
      end('done');
    });
    found.value.driver.pulse?.(device).then((pulse) => {
      if (pulse && this.#trial?.see === see) see({ type: 'pulse', end: pulse });
      end('done');
    });
    found.value.driver.askCondition?.(device).then((condition) => {
      if (condition && this.#trial?.see === see) see({ type: 'modem', condition });
      end('done');
    });
    isKeying = found.value.driver.askPin !== undefined;
    found.value.driver.askPin?.({ device, pan: testPan, timeoutS: padTimeoutS(timeoutMs) }).then((entry) => {
      isKeying = false;
      const sight = entry && pinSightOf(entry);
      if (sight && this.#trial?.see === see) see({ type: 'pin', end: sight });
      end('done');
    });
    return ok({ wants: wantedBy(found.value), ended, stop: () => end('stopped') });
  }

  /** A sale begins: it has the devices. */
  endTrial(): void {
    this.#trial?.end('sale');
  }

  record(device: string, file: string): Result<RecordingView, Refusal> {
    const found = this.#supervised(device);
    if (!found.ok) return found;
    const { driver, identity, status } = found.value;
    if (status.sensitive && !this.parts.simulated) return err({ code: 'device.notRecorded', detail: device });
    if (this.#recorder) return err({ code: 'device.busy', detail: `${this.#recorder.recorder.device} is recorded` });
    const begun = DeviceRecorder.begin(device, file, { driver: driver.name, identity }, this.parts.clock);
    if (!begun.ok) return begun;
    const recorder = begun.value;
    this.#recorder = { recorder, found: found.value };
    driver.listenIn(identity, (what, bytes) => recorder.note(what, bytes));
    return ok(recorder.view);
  }

  stopRecording(device: string): RecordingView | null {
    const making = this.#recorder;
    if (making?.recorder.device !== device) return null;
    making.found.driver.listenIn(making.found.identity, null);
    making.recorder.end();
    this.#recorder = null;
    return making.recorder.view;
  }

  close(): void {
    this.#trial?.end('stopped');
    const making = this.#recorder?.recorder.device;
    if (making !== undefined) this.stopRecording(making);
  }

  /** Sees every event before sales do. @returns whether it was for a trial, and sales must not have it */
  takes(event: DeviceEvent): boolean {
    if (event.type === 'deviceStateChanged') {
      if (this.#trial?.device === event.status.device) this.#showRemark(event.status, this.#trial);
      return false;
    }
    if (this.#recorder?.recorder.device === event.device) this.#record(event);
    const trial = this.#trial;
    if (trial?.device !== event.device) return false;
    if (event.type === 'codeScanned') trial.see({ type: 'code', text: shownCode(event) });
    if (event.type === 'stripeRead') trial.see({ type: 'code', text: describeSwipe(event.tracks) });
    if (event.type === 'numberKeyed') trial.see({ type: 'code', text: maskedNumber(event.digits) });
    if (event.type === 'cardPresented') {
      trial.see({ type: 'card', atr: toHex(event.link.atr) });
      void event.link.close();
    }
    if (event.type === 'cardInserted') void this.#showBankCard(trial);
    // Sales know nothing of a card that came during the trial, and must know of the going of one that came before.
    if (event.type === 'cardRemoved') trial.see({ type: 'cardGone' });
    return event.type !== 'cardRemoved';
  }

  /** A card of the wrong kind is no event of its own: what the reader says of it is all there is to see. */
  #showRemark({ error }: DeviceStatus, { see }: Trial): void {
    if (error?.code === 'device.wrongSlot') see({ type: 'unread', code: error.code });
  }

  /** What may be seen of the card in the slot, or why not. The number ends here. */
  async #showBankCard(trial: Trial): Promise<void> {
    const read = await this.parts.bankCards.readIn(trial.device);
    if (this.#trial === trial) trial.see(read.ok ? sightOf(read.value) : { type: 'unread', code: read.error.code });
    if (read.ok) read.value.number.wipe();
  }

  #record(event: DeviceEvent): void {
    for (const { bytes, moment } of eventLines(event)) this.#recorder?.recorder.note(moment, bytes);
  }

  #supervised(device: string): Result<Found, Refusal> {
    const found = this.parts.supervisor.find(device);
    if (!found) return err({ code: 'device.unknown', detail: device });
    const { identity } = found.status;
    return identity === null
      ? err({ code: 'device.unsupported', detail: `${device} is no device of its own` })
      : ok({ ...found, identity });
  }
}

/** What may be seen of an entry; block and key serial number are wiped. */
function pinSightOf(end: PinEnd): PinSight {
  if (end.result !== 'entered')
    return 'error' in end ? { result: end.result, code: end.error.code } : { result: end.result };
  const { keySerialNumber, pinBlock } = end;
  const sight = { keySerialEnd: toHex(keySerialNumber.subarray(-2)), blockBytes: pinBlock.length };
  keySerialNumber.fill(0);
  pinBlock.fill(0);
  return { result: 'entered', ...sight };
}

/** Fills a display of 2 × 20 from edge to edge, so that a wrong command set or a short line is seen. */
const testLines = (chinese: boolean): readonly [string, string] => [
  chinese ? '显示测试DISPLAY TEST' : 'DISPLAY TEST       >',
  '01234567890123456789',
];

const wantedBy = ({ driver, status }: Found): DeviceTrial['wants'] => {
  if (driver.print) return 'slip';
  if (driver.pulse) return 'pulse';
  if (driver.display) return 'display';
  if (driver.askCondition) return 'modem';
  if (driver.isContactSlot?.(status.device)) return 'bankCard';
  if (driver.askPin) return 'pin';
  if (status.bus === 'pcsc' || driver.name === 'serial-module') return 'card';
  return driver.name === 'hid-stripe' ? 'stripe' : driver.name === 'hid-keypad' ? 'number' : 'code';
};

const sightOf = ({ scheme, label, number, expiry }: BankCard): TrialSight => ({
  ...{ type: 'bankCard', scheme, label, expiry },
  ...{ number: number.masked(), hasLuhnDigit: number.hasLuhnDigit },
});

/** A member's or coupon's code is a credential: it is named, not shown. */
function shownCode({ code, aim }: EventOf<'codeScanned'>): string {
  const { kind } = classifyCode(code);
  const symbol = aim === null ? '' : `  ${aim}`;
  if (kind === 'member' || kind === 'coupon') return `${code.slice(0, 3)}… (${kind})${symbol}`;
  const elements = saysElementString(code, aim) ? decodeElementString(code) : null;
  return `${elements?.ok ? bracketed(elements.value) : code}${symbol}`;
}
