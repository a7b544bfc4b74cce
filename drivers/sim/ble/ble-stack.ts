/**
 * Everything below the Bluetooth driver, on one machine without Bluetooth: the shipped child, the unmodified noble, and a
 * controller in software that can be plugged in and out. Must not be imported by anything but tests and scripts.
 */
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { spawnBluetoothChild } from '../../ble/bluetooth-process.js';
import type { ChildSetup, SpawnChild } from '../../supervised/spawn-child.js';
import { type Air, HciController } from './hci-controller.js';

/** What binding the kernel's socket throws. Node has no word (`code`) for every error. */
export interface BindRefusal {
  readonly code: string;
  readonly errno: number;
  readonly message: string;
}
export const bindRefusals = {
  /** The kernel's own Bluetooth has it on. */
  inUse: { code: 'EBUSY', errno: 16, message: 'EBUSY, Device or resource busy' },
  /** Another program has taken it whole. */
  taken: { code: '', errno: 87, message: ', Too many users' },
  blocked: { code: '', errno: 132, message: ', Operation not possible due to RF-kill' },
} as const satisfies Record<string, BindRefusal>;

export interface BleStack {
  readonly air: Air;
  readonly spawn: SpawnChild;
  /** What makes a Bluetooth child meet this controller; for a driver in another process. */
  readonly childSetup: Partial<ChildSetup>;
  /** @param at the kernel's name for it, hci0 by default, and its USB identity, none by default */
  plugIn(at?: { readonly name: string; readonly usb: readonly [vendor: string, product: string] }): Promise<void>;
  /** The kernel does not hand the controller over; null: it does again. */
  takeAway(refusal: BindRefusal | null): void;
  /** Resolves when nobody hears the controller any more. */
  pullOut(): Promise<void>;
  close(): Promise<void>;
}

export function openBleStack(): BleStack {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-ble-'));
  const adapters = path.join(folder, 'adapters');
  const uart = path.join(folder, 'uart');
  const air: Air = new Set();
  const sockets = new Set<Socket>();
  let server: Server | null = null;

  const pullOut = async (): Promise<void> => {
    for (const name of readdirSync(adapters)) rmSync(path.join(adapters, name), { recursive: true });
    for (const socket of sockets) socket.destroy();
    const closing = server;
    server = null;
    if (closing) await new Promise((resolve) => closing.close(resolve));
  };
  mkdirSync(adapters);
  const childSetup = {
    words: [adapters],
    nodeOptions: ['--import', new URL('./hci-uart-socket.js', import.meta.url).href],
    environment: { SHOULI_HCI_UART: uart },
  };
  return {
    air,
    childSetup,
    spawn: () => spawnBluetoothChild(childSetup),
    plugIn: async (at) => {
      server = createServer((socket) => {
        const controller = new HciController(air, (packet) => socket.write(packet));
        sockets.add(socket);
        socket.on('data', (chunk) => controller.receive(new Uint8Array(chunk)));
        socket.on('error', () => {});
        socket.on('close', () => {
          controller.close();
          sockets.delete(socket);
        });
      });
      await new Promise<void>((resolve) => server?.listen(uart, resolve));
      if (at) {
        const [device, port] = [path.join(folder, 'usb'), path.join(folder, 'usb', 'interface')];
        mkdirSync(port, { recursive: true });
        for (const [index, id] of at.usb.entries())
          writeFileSync(path.join(device, ['idVendor', 'idProduct'][index] ?? ''), `${id}\n`);
        mkdirSync(path.join(folder, at.name));
        symlinkSync(port, path.join(folder, at.name, 'device'));
        renameSync(path.join(folder, at.name), path.join(adapters, at.name));
      } else mkdirSync(path.join(adapters, 'hci0'));
    },
    takeAway: (refusal) =>
      refusal ? writeFileSync(`${uart}.taken`, JSON.stringify(refusal)) : rmSync(`${uart}.taken`, { force: true }),
    pullOut,
    close: async () => {
      await pullOut();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
