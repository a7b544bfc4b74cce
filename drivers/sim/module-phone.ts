/**
 * A member's device with an infrared or radio module: says hello, does commands, at most once each. Written from
 * docs/protocols/phone.md, without a line of the terminal's codec. For tests and scripts.
 */

/** One command in, its answer out; a promise that never settles is a device that hangs. */
export type ModuleAnswers = (command: Uint8Array) => Uint8Array | Promise<Uint8Array>;

const helloEveryMs = 250;
const contentBytesMax = 60;

function checkOf(bytes: readonly number[]): number {
  let crc = 0xffff;
  for (const byte of bytes)
    for (let bit = 0; bit < 8; bit++) {
      const isSet = ((crc ^ (byte >> bit)) & 1) !== 0;
      crc = isSet ? (crc >> 1) ^ 0x8408 : crc >> 1;
    }
  return ~crc & 0xffff;
}

function stuffed(bytes: readonly number[]): number[] {
  const blocks: number[][] = [[]];
  for (const byte of bytes) {
    if (byte === 0) blocks.push([]);
    else blocks.at(-1)?.push(byte);
  }
  return blocks.flatMap((block) => [block.length + 1, ...block]);
}

function unstuffed(bytes: readonly number[]): number[] {
  const found: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const distance = bytes[at] ?? 0;
    if (at > 0) found.push(0);
    found.push(...bytes.slice(at + 1, at + distance));
    at += Math.max(1, distance);
  }
  return found;
}

export interface ModulePhonePort {
  readonly send: (bytes: Uint8Array) => void;
  /** Runs it again and again until what it gives back is called. */
  readonly every: (ms: number, run: () => void) => () => void;
}

export class ModulePhone {
  /** Commands that it has done, in order. */
  readonly done: Uint8Array[] = [];
  #partial: number[] = [];
  #fragments: number[][] = [];
  #exchange = -1;
  /** Of the last command; null: it works on it. */
  #answer: Uint8Array | null = null;
  #isBusy = false;
  #stopHello: (() => void) | null;

  /** Its owner holds it to the terminal. @param session 0…2^32-1 */
  constructor(
    readonly session: number,
    private readonly answers: ModuleAnswers,
    private readonly port: ModulePhonePort,
  ) {
    this.#frame(1, []);
    this.#stopHello = port.every(helloEveryMs, () => {
      if (!this.#isBusy) this.#frame(1, []);
    });
  }

  /** Out of range, or let go: it neither hears nor says anything more. */
  leave(): void {
    this.#stopHello?.();
    this.#stopHello = null;
  }

  hear(chunk: Uint8Array): void {
    for (const byte of chunk) {
      if (byte !== 0) {
        this.#partial.push(byte);
        continue;
      }
      if (this.#partial.length > 0) this.#take(unstuffed(this.#partial));
      this.#partial = [];
    }
  }

  #take(frame: readonly number[]): void {
    const [high = 0, low = 0] = frame.slice(-2);
    const content = frame.slice(0, -2);
    if (content.length < 5 || high * 256 + low !== checkOf(content) || this.#stopHello === null) return;
    const [kind, a = 0, b = 0, c = 0, d = 0, ...body] = content;
    if (((a * 256 + b) * 256 + c) * 256 + d !== this.session) return;
    if (kind === 5) this.leave();
    else if (kind === 2) this.#fragment(body);
  }

  #fragment([exchange = 0, position = 0, ...content]: readonly number[]): void {
    const index = position & 0x7f;
    if (index === 0) this.#fragments = [];
    if (index !== this.#fragments.length) {
      this.#fragments = [];
      return;
    }
    this.#fragments.push(content);
    if (position < 0x80) return;
    const command = Uint8Array.from(this.#fragments.flat());
    this.#fragments = [];
    if (exchange === this.#exchange) this.#sayAgain();
    else void this.#do(exchange, command);
  }

  #sayAgain(): void {
    if (this.#answer) this.#sendAnswer(this.#answer);
    else this.#frame(4, []);
  }

  async #do(exchange: number, command: Uint8Array): Promise<void> {
    this.#exchange = exchange;
    this.#answer = null;
    this.#isBusy = true;
    this.done.push(command);
    const answer = await this.answers(command);
    if (this.#exchange !== exchange || this.#stopHello === null) return;
    this.#answer = answer;
    this.#isBusy = false;
    this.#sendAnswer(answer);
  }

  #sendAnswer(answer: Uint8Array): void {
    for (let at = 0, index = 0; at < answer.length; at += contentBytesMax, index++) {
      const isLast = at + contentBytesMax >= answer.length;
      this.#frame(3, [this.#exchange, isLast ? index | 0x80 : index, ...answer.slice(at, at + contentBytesMax)]);
    }
  }

  #frame(kind: number, body: readonly number[]): void {
    if (this.#stopHello === null && kind !== 1) return;
    const session = [24, 16, 8, 0].map((shift) => (this.session >>> shift) & 0xff);
    const content = [kind, ...session, ...body];
    const check = checkOf(content);
    this.port.send(Uint8Array.from([0, ...stuffed([...content, check >> 8, check & 0xff]), 0]));
  }
}
