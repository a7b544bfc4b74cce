/**
 * A reader in virtual time with the members' phones: each command takes a moment, and a phone may leave at any. The phone
 * is the one of drivers/sim, which shares no code with the terminal's side. Must not know a sale.
 */
import type { DeviceEvent, Driver } from '../../../drivers/contract/driver.js';
import type { ApduLink, DeviceError } from '../../../drivers/contract/transport.js';
import { MemberApplication, wellBehaved } from '../../../drivers/sim/phone/member-application.js';
import { type PhoneState, VolatileMemory } from '../../../drivers/sim/phone/phone-state.js';
import type { Bytes } from '../../kernel/bytes.js';
import { err, ok, type Result } from '../../kernel/result.js';
import type { Faults } from './faults.js';
import type { Chance, VirtualTime } from './virtual-time.js';

const writeSlotInstruction = 0x30;
const recordBytes = 96;

export interface SimPhone {
  readonly name: string;
  readonly memory: VolatileMemory;
  readonly application: Pick<MemberApplication, 'misbehaviour' | 'respond' | 'powerLost'>;
  /** Held to a reader just now: a phone is at one place. */
  busy: boolean;
}

export function newPhone(name: string, state: PhoneState, chance: Chance): SimPhone {
  const memory = new VolatileMemory(state);
  return { name, memory, application: new MemberApplication(memory, chance), busy: false };
}

export interface ReaderWorld {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly faults: Pick<Faults, 'strikes'>;
}

/** One reader of one run of a box's process. */
export class SimReader implements Driver {
  readonly bus = 'pcsc';
  #emit: (event: DeviceEvent) => void = () => {};
  #links = 0;

  constructor(
    private readonly world: ReaderWorld,
    readonly name: string,
    private readonly isAlive: () => boolean,
  ) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
  }
  async stop(): Promise<void> {}
  statuses(): readonly [] {
    return [];
  }
  serve(): void {}
  listenIn(): void {}
  signal(): void {}

  scan(code: string): void {
    this.#emit({ type: 'codeScanned', device: 'scanner-1', code, aim: null });
  }

  /** Holds the phone to the reader for so long, unless it is elsewhere. */
  tap(phone: SimPhone, forMs: number): void {
    if (phone.busy || !this.isAlive()) return;
    phone.busy = true;
    phone.application.misbehaviour = wellBehaved;
    let gone = false;
    const id = `${this.name}-${++this.#links}`;
    const leave = (): void => {
      if (gone) return;
      gone = true;
      phone.busy = false;
      phone.application.powerLost();
      if (this.isAlive()) this.#emit({ type: 'cardRemoved', device: 'reader-1', linkId: id });
    };
    this.world.time.after(forMs, leave);
    const link: ApduLink = {
      id,
      atr: new Uint8Array([0x3b, 0x80, 0x80, 0x01, 0x01]),
      transmit: (command) => this.#exchange(phone, command, () => gone, leave),
      close: async () => {},
    };
    this.#emit({ type: 'cardPresented', device: 'reader-1', link });
  }

  #exchange(
    phone: SimPhone,
    command: Bytes,
    isGone: () => boolean,
    leave: () => void,
  ): Promise<Result<Bytes, DeviceError>> {
    const { chance, faults, time } = this.world;
    return new Promise((resolve) => {
      const tell = (result: Result<Bytes, DeviceError>): void => {
        if (this.isAlive()) resolve(result);
      };
      const removed = err<DeviceError>({ code: 'device.cardRemoved', detail: '' });
      time.after(chance.between(5, 40), () => {
        if (!isGone() && faults.strikes('cardLeft', `${phone.name} before a command`)) leave();
        if (isGone()) return tell(removed);
        const isWrite = command[1] === writeSlotInstruction;
        if (isWrite && faults.strikes('writeTorn', phone.name))
          phone.application.misbehaviour = { ...wellBehaved, tearAfterBytes: chance.between(0, recordBytes) };
        const isBroken = faults.strikes('linkBroken', `${phone.name} in an exchange`);
        const broken = err<DeviceError>({ code: 'device.timedOut', detail: '' });
        if (isBroken && chance.happens(0.5)) return tell(broken);
        const answer = phone.application.respond(command);
        if (answer === 'tear') {
          leave();
          return tell(removed);
        }
        time.after(chance.between(1, 20), () => {
          if (!isGone() && faults.strikes('cardLeft', `${phone.name} after a command`)) leave();
          tell(isGone() ? removed : isBroken ? broken : ok(answer));
        });
      });
    });
  }
}
