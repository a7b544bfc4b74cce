/**
 * The terminal process of the kill tests: the shipped startTerminal, which tells its parent each place that it passes and
 * ends itself by SIGKILL at the one that the parent chose. Must change nothing else of the box.
 *
 * doomed-terminal-child <data folder> <configuration file> <bootstrap file> <port of the socket reader; 0: as configured>
 * Loads the program, and opens nothing before it is told to begin.
 */
import { readFileSync } from 'node:fs';
import { loadConfig } from '../../config/load.js';
import type { Effect } from '../../terminal/core/effect.js';
import { type RunningTerminal, startTerminal } from '../../terminal/main.js';
import { type Moment, PlaceCounter } from './places.js';
import { SocketReader } from './socket-reader.js';
import type { DoomedAnswer, DoomedOrder, DoomedReport } from './terminal-process.js';

const [dataFolder = '', configFile = '', bootstrapFile = '', readerPort = '0'] = process.argv.slice(2);

let counter = new PlaceCounter();
let dieAt: string | null = null;
let running: RunningTerminal | null = null;
const tell = (report: DoomedReport): void => {
  process.send?.(report);
};

function watch(moment: Moment, effect: Effect): void {
  const place = counter.take(moment, effect);
  if (place === null) return;
  if (place === dieAt) process.kill(process.pid, 'SIGKILL');
  tell({ passed: place });
}

async function begin(): Promise<DoomedAnswer> {
  const loaded = loadConfig(readFileSync(configFile, 'utf8'));
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const config = { ...loaded.value, localApi: { ...loaded.value.localApi, port: 0 } };
  running = await startTerminal({
    dataFolder,
    config,
    simulated: true,
    version: 'kill-test',
    bootstrapFile,
    watch,
    ...(readerPort === '0' ? {} : { drivers: [new SocketReader(Number(readerPort))] }),
    crashed: (error) => {
      process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(70);
    },
  });
  return { localApi: running.localApi };
}

async function obey(order: DoomedOrder): Promise<DoomedAnswer> {
  switch (order.do) {
    case 'begin':
      dieAt = order.place;
      return begin();
    case 'arm':
      counter = new PlaceCounter();
      dieAt = order.place;
      return {};
    case 'sync':
      await running?.terminal.syncNow();
      return {};
    case 'backup':
      await running?.terminal.backup(order.file);
      return {};
    case 'stop':
      await running?.stop();
      return {};
  }
}

process.on('message', (message: { readonly number: number; readonly order: DoomedOrder }) => {
  const { number, order } = message;
  obey(order).then(
    (answer) => tell({ number, answer }),
    (error: unknown) => tell({ number, answer: { error: String(error) } }),
  );
});
// A parent that died must not leave a box behind.
process.on('disconnect', () => process.exit(0));
