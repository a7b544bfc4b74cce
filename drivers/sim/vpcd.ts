/**
 * The card's side of a virtual reader: speaks vsmartcard's vpcd protocol (TCP, two-byte big-endian lengths) and lets a
 * script answer the APDUs. Inserting is connecting, removing is closing; a tear closes at a chosen APDU.
 * Must not know what the APDUs mean, and must not be imported by anything but tests and scripts.
 */
import { connect, type Socket } from 'node:net';
import { type Bytes, concat, uintBE } from '../../terminal/kernel/bytes.js';
import { assert } from '../../terminal/kernel/result.js';

/** Ports on which vpcd's two slots listen (0x8C7B and the next), in the order of pcscd's reader names. */
export const vpcdPorts = [35_963, 35_964] as const;
/** Longest message: the length has two bytes. */
const messageBytesMax = 65_535;
/** How long an insertion may take to connect. */
const insertTimeoutMs = 5_000;

/** pcscd asks for the ATR twice before it powers a card that it has noticed, and once at each look afterwards. */
const looksWithoutPowerMax = 2;

const control = { powerOff: 0, powerOn: 1, reset: 2, atr: 4 } as const;

/** What a simulated card does. */
export interface CardScript {
  /** Answer to reset, 2…33 bytes (ISO/IEC 7816-3 §8); vpcd hangs on an empty one. */
  readonly atr: Bytes;
  /** One command in, one answer with its status word out, or 'tear': the card leaves without answering. */
  respond(command: Bytes): Bytes | 'tear' | Promise<Bytes | 'tear'>;
  /** The field is gone or was cycled: sessions in the card end here. */
  powerLost?(): void;
}

export interface VirtualCard {
  /** Puts the card into the field. Rejects when the slot's port is not there. */
  insert(): Promise<void>;
  /** Takes it out; resolves when the connection is closed. Safe to call when it is out. */
  remove(): Promise<void>;
  readonly inserted: boolean;
  /** Commands that reached the script since this object was made. */
  readonly commandsSeen: number;
  /** Tears at the nth command from now (1: the next): `before` the script acts on it, or `after` it acted and before the answer leaves. */
  tearAt(nth: number, when: 'before' | 'after'): void;
}

export interface VirtualCardSetup {
  readonly script: CardScript;
  /** A port of vpcdPorts; the first by default. */
  readonly port?: number;
}

/**
 * The answer to reset of a contactless card that says T=0 and T=1 and these historical bytes (at most 15), with its check
 * byte (ISO/IEC 7816-3 §8.2, PC/SC part 3 §3.1.3.2.3). Different bytes tell one insertion from the next: pcscd notices a
 * removal up to 400 ms late, and calls the old card present until then.
 */
export function virtualAtr(historical: Bytes = new Uint8Array(0)): Bytes {
  assert(historical.length <= 15, 'at most 15 historical bytes');
  const body = concat(new Uint8Array([0x80 | historical.length, 0x80, 0x01]), historical);
  return concat(new Uint8Array([0x3b]), body, new Uint8Array([body.reduce((check, byte) => check ^ byte, 0)]));
}

/** A card that is not in any field yet. */
export function createVirtualCard(setup: VirtualCardSetup): VirtualCard {
  assert(setup.script.atr.length >= 2 && setup.script.atr.length <= 33, 'ATR of 2…33 bytes');
  return new VpcdCard(setup.script, setup.port ?? vpcdPorts[0]);
}

class VpcdCard implements VirtualCard {
  #socket: Socket | null = null;
  #pending: Bytes = new Uint8Array(0);
  #powered = false;
  #everPowered = false;
  #looks = 0;
  #comingAgain = false;
  #work: Promise<void> = Promise.resolve();
  #tear: { nth: number; when: 'before' | 'after' } | null = null;
  commandsSeen = 0;

  constructor(
    private readonly script: CardScript,
    private readonly port: number,
  ) {}

  get inserted(): boolean {
    return this.#socket !== null || this.#comingAgain;
  }

  tearAt(nth: number, when: 'before' | 'after'): void {
    assert(Number.isInteger(nth) && nth >= 1, 'tear at command 1 or later');
    this.#tear = { nth, when };
  }

  insert(): Promise<void> {
    return this.inserted ? Promise.resolve() : this.#connect();
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: this.port });
      socket.setNoDelay(true);
      socket.setTimeout(insertTimeoutMs, () => socket.destroy(new Error(`vpcd port ${this.port} does not answer`)));
      socket.once('connect', () => {
        socket.setTimeout(0);
        this.#socket = socket;
        this.#pending = new Uint8Array(0);
        this.#everPowered = false;
        this.#looks = 0;
        // What an earlier stay left unanswered must not hold this one up.
        this.#work = Promise.resolve();
        resolve();
      });
      socket.once('error', reject);
      socket.on('error', () => {});
      socket.on('data', (chunk) => this.#received(socket, chunk));
      socket.on('close', () => this.#left(socket));
    });
  }

  async remove(): Promise<void> {
    this.#comingAgain = false;
    const socket = this.#socket;
    if (!socket) return;
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
    socket.destroy();
    await closed;
  }

  #left(socket: Socket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#powerDown();
  }

  #powerUp(): void {
    this.#powered = true;
    this.#everPowered = true;
  }

  /**
   * After a card that left in mid-command, vpcd takes the next one up without telling pcscd that the slot was empty. Such a
   * card is looked at and never powered; real readers notice, so it leaves and comes again until pcscd has noticed too.
   */
  #isTakenForTheLast(): boolean {
    return !this.#everPowered && ++this.#looks > looksWithoutPowerMax;
  }

  #comeAgain(socket: Socket): void {
    this.#comingAgain = true;
    socket.once('close', () => {
      if (!this.#comingAgain) return;
      this.#connect()
        .then(() => (this.#comingAgain ? undefined : this.remove()))
        .catch(() => {})
        .finally(() => {
          this.#comingAgain = false;
        });
    });
    socket.destroy();
  }

  #powerDown(): void {
    const was = this.#powered;
    this.#powered = false;
    if (was) this.script.powerLost?.();
  }

  #received(socket: Socket, chunk: Bytes): void {
    this.#pending = this.#pending.length === 0 ? chunk : concat(this.#pending, chunk);
    for (;;) {
      if (this.#pending.length < 2) return;
      const length = ((this.#pending[0] ?? 0) << 8) | (this.#pending[1] ?? 0);
      if (this.#pending.length < 2 + length) return;
      const message = new Uint8Array(this.#pending.subarray(2, 2 + length));
      this.#pending = this.#pending.subarray(2 + length);
      this.#work = this.#work.then(() => this.#handle(socket, message));
    }
  }

  async #handle(socket: Socket, message: Bytes): Promise<void> {
    if (socket !== this.#socket) return;
    if (message.length !== 1) return this.#command(socket, message);
    switch (message[0]) {
      case control.powerOff:
        this.#looks = 0;
        this.#powerDown();
        return;
      case control.powerOn:
        this.#powerUp();
        return;
      case control.reset:
        this.#powerDown();
        this.#powerUp();
        return;
      case control.atr:
        if (this.#isTakenForTheLast()) this.#comeAgain(socket);
        else this.#send(socket, this.script.atr);
        return;
      default:
        return;
    }
  }

  async #command(socket: Socket, command: Bytes): Promise<void> {
    // A card that got no power cannot answer; answering anyway would hide a reader that skipped the activation.
    if (!this.#powered) {
      if (this.#everPowered) socket.destroy();
      else this.#comeAgain(socket);
      return;
    }
    const tear = this.#tear;
    if (tear) tear.nth--;
    const due = tear?.nth === 0 ? tear.when : null;
    if (due) this.#tear = null;
    if (due === 'before') {
      socket.destroy();
      return;
    }
    this.commandsSeen++;
    const answer = await this.script.respond(command);
    if (due === 'after' || answer === 'tear') {
      socket.destroy();
      return;
    }
    assert(answer.length >= 2 && answer.length <= messageBytesMax, 'a card answers 2…65535 bytes');
    this.#send(socket, answer);
  }

  #send(socket: Socket, payload: Bytes): void {
    if (!socket.destroyed) socket.write(concat(uintBE(payload.length, 2), payload));
  }
}
