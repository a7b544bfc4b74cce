/**
 * Sessions over links: a member's phone on a virtual reader, over Bluetooth and over a radio module, asked what the terminal asks
 * at a tap; and a Bluetooth scanner.
 */
import { constants, openSync, readFileSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { BleDriver } from '../../drivers/ble/ble-driver.js';
import { spawnBluetoothChild } from '../../drivers/ble/bluetooth-process.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { grantSession } from '../../drivers/protocols/member/proof.js';
import {
  decodePresentAnswer,
  decodeSelectAnswer,
  mutualCommand,
  openSession,
  presentCommand,
  selectCommand,
  transcriptOf,
} from '../../drivers/protocols/member/session.js';
import { debitCard, SimulatedBankCard } from '../../drivers/sim/bank-card.js';
import { type BleStack, openBleStack } from '../../drivers/sim/ble/ble-stack.js';
import { VirtualBlePhone, VirtualBleScanner } from '../../drivers/sim/ble/peripherals.js';
import { ModulePhone } from '../../drivers/sim/module-phone.js';
import { withPcscRig } from '../../drivers/sim/pcscd.js';
import { SimulatedPhone } from '../../drivers/sim/phone/phone.js';
import { newMembership, newPhoneState, VolatileMemory, withMembership } from '../../drivers/sim/phone/phone-state.js';
import { createVirtualCard } from '../../drivers/sim/vpcd.js';
import { type Bytes, hex } from '../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { ContactSlots } from '../../terminal/runtime/contact-slots.js';
import { configOf } from '../bench/shipped-drivers.js';
import { check, shell, until } from '../rig/guest/scenario.js';
import { onPty } from './lines.js';
import { type Keep, shipped, type Vector } from './session.js';

const scannerAddress = 'c0:11:22:33:44:55';
const timeout = durationMs(5_000);
const shown = 'another merchant (6A82), SELECT, PRESENT, mutual proof; keys of drivers/protocols/member/vectors';

type MemberVectors = Readonly<Record<string, string>> & { readonly debit: { readonly context: string } };
const vectors = JSON.parse(
  readFileSync(new URL('../../drivers/protocols/member/vectors/member.json', import.meta.url), 'utf8'),
) as MemberVectors;
const given = (name: string): string => vectors[name] ?? '';

/** A phone that holds the membership of the vectors. */
function memberPhone(): SimulatedPhone {
  const membership = newMembership({
    ...{ merchantId: given('merchantId'), merchantPublicKey: given('merchantPublic'), token: given('token') },
    ...{ answer: given('keyMessage'), memberKeyId: given('memberKeyId'), memberKey: given('memberKey') },
  });
  const memory = new VolatileMemory(withMembership(newPhoneState('13800138000'), membership));
  return new SimulatedPhone({ memory });
}

/** This phone never leaves in mid-command. */
function whole(answer: Bytes | 'tear'): Bytes {
  if (answer === 'tear') throw new Error('torn');
  return answer;
}

/** What the terminal asks a phone until both have proved themselves. */
async function tap(link: ApduLink): Promise<void> {
  const ask = async (command: Bytes): Promise<Bytes> => {
    const answer = await link.transmit(command, timeout);
    if (!answer.ok) throw new Error(answer.error.code);
    return answer.value;
  };
  const terminalNonce = hex(given('terminalNonce'));
  const context = hex(vectors.debit.context);
  await ask(selectCommand(nativeCrypto, 'M1002'));
  const selected = decodeSelectAnswer(await ask(selectCommand(nativeCrypto, given('merchantId'))));
  const presented = decodePresentAnswer(await ask(presentCommand('member', terminalNonce, context)));
  if (!selected.ok || !presented.ok) throw new Error('the phone does not answer as a member’s');
  const transcript = transcriptOf(selected.value, presented.value, { key: 'member', terminalNonce, context });
  const grant = grantSession(nativeCrypto, hex(given('memberKey')), transcript);
  const opened = openSession(nativeCrypto, grant, transcript, await ask(mutualCommand(grant)));
  check(opened.ok, 'both sides prove themselves');
}

async function overBluetooth(device: string, keep: Keep, use: Parameters<Keep>[2], air: (stack: BleStack) => void) {
  const stack = openBleStack();
  const { bluetooth } = configOf(`[bluetooth]\nscanners = ["${scannerAddress}"]\nphones = true\n`);
  const driver = new BleDriver({ ...shell, options: bluetooth, spawn: () => spawnBluetoothChild(stack.childSetup) });
  air(stack);
  await stack.plugIn();
  await keep(driver, device, use).finally(() => stack.close());
}

export const linkVectors: readonly Vector[] = [
  {
    name: 'pcsc',
    remark: [
      `A member’s tap: ${shown}.`,
      'Simulated phone over vsmartcard-vpcd, pcscd, nfc-pcsc 0.8.1, Debian 12. Bytes are the frames of drivers/pcsc/frames.ts.',
    ],
    make: (keep) =>
      withPcscRig(async ({ ports }) => {
        const card = createVirtualCard({ script: memberPhone(), port: ports[0] });
        const driver = shipped('pcsc', '[readers]\nvirtualReaders = true\n');
        await keep(driver, 'reader-1', async (seen) => {
          await card.insert();
          const link = await seen.card();
          await tap(link);
          await card.remove();
          await seen.come('cardRemoved', 1);
        }).finally(() => card.remove());
      }),
  },
  {
    name: 'pcsc-slot',
    remark: [
      'A test bank card in a contact slot (T=1), read for its number and taken out: simulated card over vsmartcard-vpcd,',
      'pcscd, nfc-pcsc 0.8.1, Debian 12; in test mode, since a real box records no slot.',
    ],
    make: (keep) =>
      withPcscRig(async ({ ports }) => {
        const script = new SimulatedBankCard({ applications: [debitCard], protocol: 'T1', name: 'TEST' });
        const card = createVirtualCard({ script, port: ports[0] });
        const driver = shipped('pcsc', '[readers]\nvirtualReaders = true\ncontactSlots = ["Virtual PCD 00 00"]\n');
        const slots = new ContactSlots({ ...shell, slots: () => ['reader-1'] });
        await keep(driver, 'reader-1', async (seen) => {
          await card.insert();
          slots.inserted('reader-1', await seen.card());
          const read = await slots.readIn('reader-1');
          check(read.ok && read.value.number.masked().startsWith('629221'), 'the test card is read');
          await card.remove();
          await seen.come('cardRemoved', 1);
        }).finally(() => card.remove());
      }),
  },
  {
    name: 'serial-module',
    remark: [
      `A member’s device comes, is greeted and let go: ${shown}.`,
      'Device of drivers/sim/module-phone.ts over a pseudo-terminal, unmodified serialport 13.0.0, Debian 12.',
    ],
    make: (keep) =>
      onPty(async (pair) => {
        const file = openSync(pair.device, constants.O_RDWR | constants.O_NOCTTY);
        const stream = new ReadStream(file);
        const devices: ModulePhone[] = [];
        stream.on('data', (chunk: Buffer) => devices[0]?.hear(chunk));
        stream.on('error', () => {});
        const phone = memberPhone();
        await keep(shipped('serial-module', `[modules]\npaths = ["${pair.line}"]\n`), 'module-1', async (seen) => {
          const device = new ModulePhone(0x5eed, async (command) => whole(await phone.respond(command)), {
            send: (bytes) => writeSync(file, bytes),
            every: (ms, run) => {
              const timer = setInterval(run, ms);
              return () => clearInterval(timer);
            },
          });
          devices.push(device);
          const link = await seen.card();
          await tap(link);
          await link.close();
          await seen.come('cardRemoved', 1);
        });
        devices[0]?.leave();
        stream.destroy();
      }),
  },
  {
    name: 'ble-scanner',
    remark: [
      'A product’s code, a long code in several values, half a code that is dropped, a product’s code: simulated scanner',
      '(ATT_MTU 23) over an HCI controller in software, unmodified noble 1.9.2, Debian 12.',
    ],
    make: async (keep) => {
      const scanner = new VirtualBleScanner(scannerAddress, 23);
      scanner.isAdvertising = true;
      const scan = async (seen: Parameters<Parameters<Keep>[2]>[0]) => {
        await until('a listener', () => scanner.isListenedTo);
        scanner.send('6901234567892\r\n');
        await seen.come('codeScanned', 1);
        scanner.send('SLM1234567890128-A-CODE-LONGER-THAN-ONE-VALUE\r\n');
        await seen.come('codeScanned', 2);
        scanner.send('half a c');
        await new Promise((resolve) => setTimeout(resolve, 600));
        scanner.send('4006381333931\r\n');
        await seen.come('codeScanned', 3);
      };
      await overBluetooth('ble-scanner-1', keep, scan, ({ air }) => air.add(scanner));
    },
  },
  {
    name: 'ble-phone',
    remark: [
      `A member’s phone by its peripheral GATT service (ATT_MTU 23): ${shown}.`,
      'Simulated phone over an HCI controller in software, unmodified noble 1.9.2, Debian 12.',
    ],
    make: async (keep) => {
      const member = memberPhone();
      const phone = new VirtualBlePhone('40:00:00:00:00:01', (command) => member.respond(command), 23);
      let comes: () => void = () => {};
      const use = async (seen: Parameters<Parameters<Keep>[2]>[0]) => {
        comes();
        const link = await seen.card();
        await tap(link);
        await link.close();
        await seen.come('cardRemoved', 1);
      };
      await overBluetooth('ble-phone', keep, use, ({ air }) => {
        comes = () => {
          phone.isAdvertising = true;
          air.add(phone);
        };
      });
    },
  },
];
