/**
 * Bench of time to service after a replug, for each bus: from the beginning of a device's return to its driver serving it
 * again. The devices are feigned, each behind the real library; what they need to come up is in the figures.
 */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import { BleDriver } from '../../drivers/ble/ble-driver.js';
import { openBleStack } from '../../drivers/sim/ble/ble-stack.js';
import { VirtualBleScanner } from '../../drivers/sim/ble/peripherals.js';
import type { PcscRig } from '../../drivers/sim/pcscd.js';
import { openPtyPair } from '../../drivers/sim/pty.js';
import { printerOnPort } from '../../drivers/sim/receipt-printer.js';
import { createVirtualCard, virtualAtr } from '../../drivers/sim/vpcd.js';
import { DriverWatch, shell, until } from '../rig/guest/scenario.js';
import { type Figure, median } from './figure.js';
import { replugs } from './replug-rounds.js';
import { configOf, shippedDriver } from './shipped-drivers.js';
import { startUnderUmockdev } from './under-umockdev.js';

const backMs = 2_000;
const goal: Figure['goal'] = { rule: 'below', bound: backMs, says: `≤ ${backMs} ms` };

/** Median and longest of the rounds. */
function figures(what: string, takenMs: readonly number[]): readonly Figure[] {
  const base = { bench: 'replug', unit: 'ms', limit: null, goal } as const;
  return [
    { ...base, what: `${what}, median of ${takenMs.length}`, value: median(takenMs) },
    { ...base, what: 'the same, longest', value: Math.max(...takenMs) },
  ];
}

/** Wants pseudo-terminals. */
export async function benchSerialReplug(folder: string, rounds: number): Promise<readonly Figure[]> {
  const ends = [path.join(folder, 'line'), path.join(folder, 'line-far')] as const;
  const taken = await replugs(rounds, 'scanner-1', async () => {
    let pair = await openPtyPair(...ends);
    return {
      driver: shippedDriver('serial-scanner', `[scanners]\npaths = ["${pair.line}"]\n`),
      pullOut: () => pair.close(),
      putBack: async () => {
        pair = await openPtyPair(...ends);
      },
      close: () => pair.close(),
    };
  });
  return figures('serial: a line that went away', taken);
}

export async function benchTcpReplug(rounds: number): Promise<readonly Figure[]> {
  const taken = await replugs(rounds, 'network-printer-1', async () => {
    let printer = await printerOnPort();
    const { address } = printer;
    return {
      driver: shippedDriver('network-printer', `[printers]\naddresses = ["${address}"]\n`),
      pullOut: () => printer.close(),
      putBack: async () => {
        printer = await printerOnPort(Number(address.split(':').at(-1)));
      },
      close: () => printer.close(),
    };
  });
  return figures('tcp: a printer that was switched off', taken);
}

const readersToml = '[readers]\nvirtualReaders = true\n';

/** Wants a pcscd that the rig may stop. */
export async function benchPcscReplug(rig: PcscRig, rounds: number): Promise<readonly Figure[]> {
  const taken = await replugs(rounds, 'reader-1', async () => ({
    driver: shippedDriver('pcsc', readersToml),
    pullOut: () => rig.stop('kill'),
    putBack: () => rig.start(),
    close: () => rig.start(),
  }));
  return figures('PC/SC: pcscd that was killed, its own start included', taken);
}

/** A card taken away and held to the reader again: what pcscd's own look, every 400 ms, leaves of two seconds. */
export async function benchCardReturn(rounds: number): Promise<readonly Figure[]> {
  const watch = new DriverWatch(shippedDriver('pcsc', readersToml));
  const taken: number[] = [];
  await watch.start();
  await watch.state('reader-1', 'ready');
  const removals = (): number => watch.events.filter(({ type }) => type === 'cardRemoved').length;
  for (let round = 0; round < rounds; round++) {
    const script = { atr: virtualAtr(new Uint8Array(randomBytes(4))), respond: () => Uint8Array.of(0x90, 0x00) };
    const card = createVirtualCard({ script });
    const startedAt = performance.now();
    await card.insert();
    await until('the card', () => watch.links().length === round + 1);
    taken.push(performance.now() - startedAt);
    await card.remove();
    await until('the removal', () => removals() === round + 1);
  }
  await watch.driver.stop();
  return figures('PC/SC: a card held to the reader again, to its event', taken);
}

/** Wants umockdev. */
export async function benchHidReplug(folder: string, rounds: number): Promise<readonly Figure[]> {
  const words = ['replug', String(rounds)];
  const { first } = await startUnderUmockdev<readonly number[]>(folder, 'scripts/bench/hid-child.js', words);
  return figures('HID under umockdev: a scanner that was pulled out', first);
}

export async function benchBleReplug(rounds: number): Promise<readonly Figure[]> {
  const scanner = new VirtualBleScanner('c0:11:22:33:44:55');
  scanner.isAdvertising = true;
  const options = configOf(`[bluetooth]\nscanners = ["${scanner.address}"]\n`).bluetooth;
  const taken = await replugs(rounds, 'ble-scanner-1', async () => {
    const stack = openBleStack();
    stack.air.add(scanner);
    await stack.plugIn();
    return {
      driver: new BleDriver({ ...shell, options, spawn: stack.spawn }),
      pullOut: () => stack.pullOut(),
      putBack: () => stack.plugIn(),
      close: () => stack.close(),
    };
  });
  return figures('Bluetooth over a controller in software: an adapter that was pulled out, to its scanner', taken);
}
