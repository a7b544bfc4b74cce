/**
 * A simulated phone and a whole host that hear each other through the host's message files. For tests only.
 */
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { SimulatedPhone } from '../../../drivers/sim/phone/phone.js';
import { newPhoneState, VolatileMemory } from '../../../drivers/sim/phone/phone-state.js';
import type { TestHost } from './running-host.js';

export interface MessagedPhone {
  readonly phone: SimulatedPhone;
  readonly memory: VolatileMemory;
}

export const folderOf = (host: TestHost, name: string): string => path.join(host.dataFolder, 'messages', name);
/** Messages that lie in a folder, `in` to the host or `out` of it. */
export const waiting = (host: TestHost, name: string): readonly string[] =>
  readdirSync(folderOf(host, name)).filter((file) => file.endsWith('.sms'));

/** Turns the host until nothing moves any more. */
export async function settle(host: TestHost): Promise<void> {
  for (let quiet = 0; quiet < 12; ) {
    host.tick();
    const before = JSON.stringify([waiting(host, 'in'), waiting(host, 'out')]);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    quiet = before === JSON.stringify([waiting(host, 'in'), waiting(host, 'out')]) ? quiet + 1 : 0;
  }
}

/** Phone and host hear each other until neither has anything to say. @returns what the phone made of its messages */
export async function talk(host: TestHost, { phone }: MessagedPhone): Promise<readonly string[]> {
  const outcomes: string[] = [];
  for (;;) {
    await settle(host);
    const handled = phone.handleMessages(folderOf(host, 'out'), folderOf(host, 'in'));
    if (handled.length === 0) return outcomes;
    outcomes.push(...handled.map(({ outcome }) => outcome));
  }
}

/** A phone out of its box. */
export function newPhone(number: string): MessagedPhone {
  const memory = new VolatileMemory(newPhoneState(number));
  return { memory, phone: new SimulatedPhone({ memory }) };
}
