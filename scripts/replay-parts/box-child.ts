/**
 * The terminal process of the replay: the shipped startTerminal in the simulated realm, with no device attached.
 * Prints one JSON line when it is ready, as scripts/terminal.ts does. Must change nothing else of the box.
 *
 * box-child <data folder> <bootstrap file>
 */
import { loadConfig } from '../../config/load.js';
import { startTerminal } from '../../terminal/main.js';
import { productVersion } from '../start-parts/version.js';

const [dataFolder = '', bootstrapFile = ''] = process.argv.slice(2);
const loaded = loadConfig('[console]\nsocket = false\n');
if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
const running = await startTerminal({
  dataFolder,
  // Port 0: any free one, so that a box that runs here already is not in the way.
  config: { ...loaded.value, localApi: { ...loaded.value.localApi, port: 0 } },
  simulated: true,
  version: productVersion(),
  bootstrapFile,
  drivers: [],
  crashed: (error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(70);
  },
});
process.once('SIGTERM', () => {
  running.stop().then(
    () => process.exit(0),
    () => process.exit(1),
  );
});
process.stdout.write(`${JSON.stringify({ ready: true, localApi: running.localApi })}\n`);
