/**
 * Loaded before the Bluetooth child (`node --import`): puts a socket that speaks to a HciController into the place of the
 * kernel's HCI socket, below the unmodified noble. The controller listens at the path in SHOULI_HCI_UART; while a file of
 * that name with `.taken` is there, it is not to be had, for the error in that file as the kernel's socket throws it.
 * Must not be imported by anything but tests and scripts.
 */
import { EventEmitter } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import type { BindRefusal } from './ble-stack.js';
import { H4Cutter } from './h4.js';

class UartHciSocket extends EventEmitter {
  #socket: Socket | null = null;
  #isUp = false;
  readonly #cutter = new H4Cutter();

  bindUser(): number {
    const uart = process.env['SHOULI_HCI_UART'] ?? '';
    if (existsSync(`${uart}.taken`)) {
      const refusal = JSON.parse(readFileSync(`${uart}.taken`, 'utf8')) as BindRefusal;
      throw Object.assign(new Error(refusal.message), refusal);
    }
    this.#socket = connect(uart);
    this.#isUp = true;
    this.#socket.on('error', () => {});
    this.#socket.on('close', () => {
      this.#isUp = false;
    });
    return 0;
  }
  start(): void {
    this.#socket?.on('data', (chunk) => {
      for (const packet of this.#cutter.push(chunk)) this.emit('data', Buffer.from(packet));
    });
  }
  stop(): void {}
  setFilter(): void {}
  isDevUp(): boolean {
    return this.#isUp;
  }
  write(data: Buffer): void {
    this.#socket?.write(data);
  }
}

const require = createRequire(import.meta.url);
const file = createRequire(require.resolve('@abandonware/noble')).resolve('@abandonware/bluetooth-hci-socket');
const feigned = { id: file, filename: file, loaded: true, exports: UartHciSocket, children: [], paths: [] };
require.cache[file] = feigned as unknown as NodeJS.Module;
