/**
 * A simulated relay board of 8 relays that takes the commands of either make, bytes split anywhere, and keeps what each relay
 * is. Written from the makers' pages, without a line of the driver's codec. For tests and scripts.
 */
import { constants, openSync } from 'node:fs';
import { ReadStream } from 'node:tty';

const relays = 8;
type Make = 'lcus' | 'kmtronic';
const kinds: Readonly<Record<Make, { readonly head: number; readonly bytes: number }>> = {
  lcus: { head: 0xa0, bytes: 4 },
  kmtronic: { head: 0xff, bytes: 3 },
};

export class SimulatedRelayBoard {
  /** What each relay is; the first one is relays[0]. */
  readonly relays: boolean[] = new Array<boolean>(relays).fill(false);
  /** Each change: `1 on`, `1 off`. */
  readonly history: string[] = [];
  /** Frames that mean nothing, in hex. */
  readonly unknown: string[] = [];
  #waiting: number[] = [];

  constructor(
    private readonly make: Make = 'lcus',
    private readonly onChange: (change: string) => void = () => {},
  ) {}

  /** The power goes: every relay drops, and half a command is forgotten. */
  loseSupply(): void {
    this.#waiting = [];
    for (let relay = 1; relay <= relays; relay++) this.#set(relay, false);
  }

  feed(chunk: Uint8Array): void {
    const { head, bytes } = kinds[this.make];
    for (const byte of chunk) {
      if (this.#waiting.length === 0 && byte !== head) continue;
      this.#waiting.push(byte);
      if (this.#waiting.length === bytes) this.#take(this.#waiting.splice(0));
    }
  }

  #take(frame: readonly number[]): void {
    const [head = 0, relay = 0, what = 0, sum] = frame;
    const isWhole = sum === undefined || sum === (head + relay + what) % 256;
    if (isWhole && relay >= 1 && relay <= relays && what <= 1) this.#set(relay, what === 1);
    else this.unknown.push(Buffer.from(frame).toString('hex'));
  }

  #set(relay: number, isOn: boolean): void {
    if (this.relays[relay - 1] === isOn) return;
    this.relays[relay - 1] = isOn;
    const change = `${relay} ${isOn ? 'on' : 'off'}`;
    this.history.push(change);
    this.onChange(change);
  }
}

/** Attaches a board to the device's end of a pseudo-terminal. @returns how to take it away; its relays stay as they are */
export function relayBoardOnPty(device: string, board: SimulatedRelayBoard): { close(): Promise<void> } {
  const stream = new ReadStream(openSync(device, constants.O_RDWR | constants.O_NOCTTY));
  stream.on('data', (chunk: Buffer) => board.feed(chunk));
  stream.on('error', () => {});
  return {
    close: async () => {
      stream.destroy();
    },
  };
}
