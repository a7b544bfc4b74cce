/**
 * A reader without PC/SC for the kill tests: the phone's process comes to it over the same socket protocol by which it
 * comes to pcscd's virtual reader (two-byte lengths). Must move bytes only, and must not be used by anything but tests.
 */
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { DeviceEvent, DeviceStatus, Driver } from '../../drivers/contract/driver.js';
import { type ApduLink, apduBytesMax, type DeviceError } from '../../drivers/contract/transport.js';
import { type Bytes, concat, uintBE } from '../../terminal/kernel/bytes.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { DurationMs, WallMs } from '../../terminal/kernel/units.js';

const control = { powerOn: 1, atr: 4 } as const;
const lengthBytes = 2;

const gone: DeviceError = { code: 'device.cardRemoved', detail: 'the phone left' };

/** One phone in the field, until its connection ends. */
class SocketLink implements ApduLink {
  atr: Bytes = new Uint8Array(0);
  #pending: Bytes = new Uint8Array(0);
  #answer: ((answer: Bytes | null) => void) | null = null;
  #isOver = false;

  constructor(
    readonly id: string,
    private readonly socket: Socket,
  ) {
    socket.on('data', (chunk) => this.#take(chunk));
    socket.on('close', () => {
      this.#isOver = true;
      this.#settle(null);
    });
  }

  /** Powers the phone up and reads its answer to reset. @returns false when it left */
  async powerUp(): Promise<boolean> {
    this.#write(new Uint8Array([control.powerOn]));
    const atr = await this.#ask(new Uint8Array([control.atr]));
    if (atr) this.atr = atr;
    return atr !== null;
  }

  async transmit(command: Bytes, timeout: DurationMs): Promise<Result<Bytes, DeviceError>> {
    if (this.#isOver) return err(gone);
    if (this.#answer) return err({ code: 'device.busy', detail: 'a command is under way' });
    const timer = setTimeout(() => this.socket.destroy(), timeout);
    const answer = await this.#ask(command);
    clearTimeout(timer);
    return answer && answer.length >= 2 ? ok(answer) : err(gone);
  }

  async close(): Promise<void> {
    // The phone stays where it is; it is only not spoken to any more.
    this.#isOver = true;
  }

  #ask(message: Bytes): Promise<Bytes | null> {
    return new Promise((resolve) => {
      this.#answer = resolve;
      this.#write(message);
    });
  }
  #write(message: Bytes): void {
    this.socket.write(concat(uintBE(message.length, lengthBytes), message));
  }
  #settle(answer: Bytes | null): void {
    const waiting = this.#answer;
    this.#answer = null;
    waiting?.(answer);
  }

  #take(chunk: Bytes): void {
    this.#pending = concat(this.#pending, chunk);
    if (this.#pending.length > apduBytesMax + lengthBytes) this.socket.destroy();
    const length = ((this.#pending[0] ?? 0) << 8) | (this.#pending[1] ?? 0);
    if (this.#pending.length < lengthBytes || this.#pending.length < lengthBytes + length) return;
    const message = new Uint8Array(this.#pending.subarray(lengthBytes, lengthBytes + length));
    this.#pending = this.#pending.subarray(lengthBytes + length);
    this.#settle(message);
  }
}

/** Listens on a port of loopback as long as it runs. */
export class SocketReader implements Driver {
  readonly name = 'socket-reader';
  readonly bus = 'pcsc';
  readonly #sockets = new Set<Socket>();
  #server: Server | null = null;
  #links = 0;

  constructor(private readonly port: number) {}

  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    const server = createServer((socket) => void this.#present(socket, emit));
    this.#server = server;
    server.listen(this.port, '127.0.0.1');
    await once(server, 'listening');
  }

  async #present(socket: Socket, emit: (event: DeviceEvent) => void): Promise<void> {
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    this.#sockets.add(socket);
    this.#links += 1;
    const link = new SocketLink(`socket-${this.#links}`, socket);
    socket.on('close', () => {
      this.#sockets.delete(socket);
      emit({ type: 'cardRemoved', device: 'socket', linkId: link.id });
    });
    if (await link.powerUp()) emit({ type: 'cardPresented', device: 'socket', link });
  }

  statuses(): readonly DeviceStatus[] {
    const sinceWallMs = nativeClock.wallMs() as WallMs;
    const state = this.#server ? 'ready' : 'absent';
    return [
      {
        device: 'socket',
        bus: this.bus,
        identity: null,
        sensitive: false,
        state,
        description: 'socket',
        simulated: true,
        sinceWallMs,
        error: null,
        counters: {},
      },
    ];
  }
  serve(): void {}
  listenIn(): void {}
  signal(): void {}

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    const server = this.#server;
    this.#server = null;
    if (!server) return;
    server.close();
    await once(server, 'close');
  }
}
