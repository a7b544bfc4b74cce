/**
 * Bench of one APDU through the shipped driver and its child process, beside the same bytes through a bare pipe.
 * The reader itself is left out on both sides: the child answers at once.
 */
import path from 'node:path';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { PcscDriver } from '../../drivers/pcsc/pcsc-driver.js';
import { spawnReaderChild } from '../../drivers/pcsc/reader-process.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { shell } from '../rig/guest/scenario.js';
import { builtFolder } from '../start-parts/process.js';
import { type Figure, quantile } from './figure.js';
import { inTurn, medianOfRounds } from './rounds.js';

const childOf = (name: string): string => path.join(builtFolder, 'scripts', 'bench', `${name}.js`);
/** A PRESENT command with its context, and the frame's 13 bytes around it. */
const commandBytes = 62;
const frameBytes = 13;
const apduTimeout = durationMs(2_000);

async function openDriver(): Promise<{ readonly link: ApduLink; readonly driver: PcscDriver }> {
  const driver = new PcscDriver({
    ...shell,
    options: { enabled: true },
    spawn: () => spawnReaderChild(childOf('echo-card-child')),
  });
  const link = await new Promise<ApduLink>((resolve) => {
    void driver.start((event) => {
      if (event.type === 'cardPresented') resolve(event.link);
    });
  });
  return { link, driver };
}

/** @returns the cost of one APDU through the driver against a raw framed round trip */
export async function benchApdu(rounds: number, count: number): Promise<readonly Figure[]> {
  const { link, driver } = await openDriver();
  const command = new Uint8Array(commandBytes).fill(0x90);
  const pipe = spawnReaderChild(childOf('echo-raw-child'));
  const frame = new Uint8Array(commandBytes + frameBytes);
  let echoed = 0;
  let whole: () => void = () => {};
  pipe.onData((chunk) => {
    echoed += chunk.length;
    if (echoed >= frame.length) whole();
  });
  const raw = (): Promise<void> =>
    new Promise((resolve) => {
      echoed = 0;
      whole = resolve;
      pipe.write(frame);
    });
  const transmit = async (): Promise<void> => {
    const answer = await link.transmit(command, apduTimeout);
    if (!answer.ok) throw new Error(answer.error.code);
  };
  const taken = await inTurn(rounds, count, { raw, driver: transmit });
  pipe.kill();
  await driver.stop();
  const limit = { what: 'raw framed round trip p50', value: medianOfRounds(taken.raw) };
  return [
    {
      bench: 'apdu',
      what: 'an APDU through driver and child, p50',
      value: medianOfRounds(taken.driver),
      unit: 'µs',
      limit,
      goal: { rule: 'atMost', ratio: 3 },
    },
    { bench: 'apdu', what: 'the same, p99', value: quantile(taken.driver.flat(), 0.99), unit: 'µs', limit, goal: null },
  ];
}
