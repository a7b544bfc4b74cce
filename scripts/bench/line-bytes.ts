/**
 * Bench of bytes through a serial line, in by the scanner driver and out by the printer driver, beside the bare serialport
 * library with the same bytes on a line of its own. A pseudo-terminal has no speed: what is measured is what this box could take.
 */
import { closeSync, writeFile } from 'node:fs';
import { ReadStream } from 'node:tty';
import { promisify } from 'node:util';
import { encodeJob } from '../../drivers/protocols/escpos/print-job.js';
import { utf8 } from '../../terminal/kernel/bytes.js';
import { until } from '../rig/guest/scenario.js';
import { openBesideBare, openFar } from './bare-line.js';
import type { Figure } from './figure.js';
import { inTurn, medianOfRounds } from './rounds.js';
import { startedReporter } from './scan-reporter.js';
import { shippedDriver } from './shipped-drivers.js';

/** Codes in one go, and characters in each. */
const codes = 4_000;
const codeLength = 30;
/** Lines of a slip as long as a printer is given, each as wide as its paper. */
const slipLines = 2_000;
const paperColumns = 48;

/** Of the fastest line that can be configured, 921,600 baud at ten bits a byte; at its full speed it may take a twentieth of a core. */
const fastestLineMbs = 0.092_16;
const goal = { rule: 'above', bound: 20 * fastestLineMbs, says: '≥ 20× a line of 921600 baud' } as const;

function figure(what: string, bytes: number, taken: Awaited<ReturnType<typeof inTurn>>): Figure {
  // A byte in a microsecond is a megabyte in a second.
  const rate = (samples: (readonly number[])[]): number => bytes / medianOfRounds(samples);
  return {
    ...{ bench: 'line', what: `bytes ${what}`, value: rate(taken.driver), unit: 'MB/s' },
    ...{ limit: { what: 'bare serialport', value: rate(taken.raw) }, goal },
  };
}

/** Calls back once so many bytes have come. */
class Countdown {
  #left = 0;
  #over: () => void = () => {};
  came(chunk: Uint8Array): void {
    this.#left -= chunk.length;
    if (this.#left <= 0) this.#over();
  }
  of(bytes: number): Promise<void> {
    this.#left = bytes;
    return new Promise((resolve) => {
      this.#over = resolve;
    });
  }
}

async function bytesIn(folder: string, rounds: number): Promise<Figure> {
  const { close, farOf, line, port } = await openBesideBare(folder);
  const reporter = await startedReporter(
    shippedDriver('serial-scanner', `[scanners]\npaths = ["${line}"]\n`),
    'scanner-1',
  );
  const codeOf = (number: number): string => String(number).padStart(codeLength, '0');
  const bytes = Buffer.from(Array.from({ length: codes }, (_, number) => `${codeOf(number)}\r\n`).join(''));
  const arrived = new Countdown();
  port.on('data', (chunk: Buffer) => arrived.came(chunk));
  const far = { driver: openFar(farOf.driver), raw: openFar(farOf.raw) };
  // On the thread pool: the line takes no more than is read here meanwhile.
  const write = promisify(writeFile);
  const taken = await inTurn(rounds, 3, {
    raw: () => Promise.all([arrived.of(bytes.length), write(far.raw, bytes)]),
    driver: () => Promise.all([reporter.codes(codes), write(far.driver, bytes)]),
  });
  await reporter.driver.stop();
  for (const file of Object.values(far)) closeSync(file);
  await close();
  return figure(`in, ${codes} codes in one go through the scanner driver`, bytes.length, taken);
}

async function bytesOut(folder: string, rounds: number): Promise<Figure> {
  const { close, farOf, line, port } = await openBesideBare(folder);
  // A printer that says nothing of itself: what is left is bytes alone.
  const driver = shippedDriver('serial-printer', `[printers]\npaths = ["${line}"]\nanswers = false\n`);
  await driver.start(() => {});
  await until('the printer', () => driver.statuses()[0]?.state === 'ready');
  const lines = Array.from({ length: slipLines }, (_, number) => String(number).padStart(paperColumns, '.'));
  const job = encodeJob({ lines, qr: null }, utf8, true);
  const arrived = { driver: new Countdown(), raw: new Countdown() };
  const streams = (['driver', 'raw'] as const).map((side) =>
    new ReadStream(openFar(farOf[side])).on('data', (chunk: Buffer) => arrived[side].came(chunk)),
  );
  const taken = await inTurn(rounds, 3, {
    raw: () => {
      const whole = arrived.raw.of(job.length);
      port.write(Buffer.from(job));
      return whole;
    },
    driver: () => Promise.all([arrived.driver.of(job.length), driver.print?.(null, lines, null)]),
  });
  for (const stream of streams) stream.destroy();
  await driver.stop();
  await close();
  return figure(`out, a slip of ${slipLines} lines through the printer driver`, job.length, taken);
}

/** Wants pseudo-terminals. */
export async function benchLine(folder: string, rounds: number): Promise<readonly Figure[]> {
  return [await bytesIn(folder, rounds), await bytesOut(folder, rounds)];
}
