// Meets real kernels: boots a small Debian system in QEMU, in which the shipped drivers meet USB readers, scanners, serial
// lines and a Bluetooth controller that are plugged in and out. Prints what each scenario did; exits with 77 where QEMU
// is absent. It installs nothing on this machine and leaves nothing running.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { prepareGuestSystem } from './rig/guest-system.js';
import { type Machine, qemuPath, startMachine } from './rig/machine.js';
import { type GuestLine, RequestDesk } from './rig/requests.js';

const skipStatus = 77;
const runTimeoutMs = 8 * 60_000;
const consoleLinesShown = 40;

const USAGE = `usage: npm run rig -- [--only WORD] [--verbose]

Boots Debian's kernel in QEMU and runs the shipped drivers against its USB, HID, serial and Bluetooth stacks.
Needs qemu-system-x86 (apt-get install --no-install-recommends qemu-system-x86); kernel and udev are fetched by
apt-get download at the first run and unpacked into .node/rig. Takes about two minutes.

  --only WORD run the scenarios with this word in their name (serial, Bluetooth …)
  --verbose   also print what the guest's kernel and programs wrote
  --help      print this and end

exit status: 0 everything held, 1 something did not, 77 not run`;

async function run(isVerbose: boolean, only: string): Promise<number> {
  if (!existsSync(qemuPath) || process.arch !== 'x64') {
    console.log('skipped: the rig needs qemu-system-x86 on an amd64 machine');
    return skipStatus;
  }
  const startedAt = performance.now();
  const system = prepareGuestSystem((line) => console.log(line));
  let failed = 0;
  let passed = 0;
  let desk: RequestDesk | null = null;
  let isOver = false;
  const hear = (text: string): void => {
    if (!text.startsWith('{')) return;
    const line = JSON.parse(text) as GuestLine;
    if ('ask' in line) {
      const answer = (problem: string | null): void => machine.say(JSON.stringify({ answer: line.number, problem }));
      desk?.serve(line).then(
        () => answer(null),
        (error: unknown) => answer(error instanceof Error ? error.message : 'unknown'),
      );
    } else if ('begins' in line) console.log(`  ${line.begins}`);
    else if ('note' in line) console.log(`      ${line.note}`);
    else if ('ends' in line) {
      console.log(
        `      ${line.failure === null ? 'ok' : `FAILED: ${line.failure}`} (${(line.tookMs / 1000).toFixed(1)} s)`,
      );
      if (line.failure === null) passed++;
      else failed++;
    } else {
      isOver = true;
      // Switching off by itself would take seconds, and nothing in it is worth keeping.
      void machine.stop();
    }
  };
  console.log('booting');
  const machine: Machine = await startMachine(system, only, hear);
  desk = new RequestDesk(machine);
  const timer = setTimeout(() => void machine.stop(), runTimeoutMs);
  await machine.ended;
  clearTimeout(timer);
  desk.close();
  const written = machine.consoleText().split('\n');
  if (isVerbose || failed > 0 || !isOver)
    for (const line of isVerbose ? written : written.slice(-consoleLinesShown)) console.log(`    | ${line.trimEnd()}`);
  if (!isOver) console.log('FAILED: the guest did not come to its end');
  console.log(`${passed} passed, ${failed} failed, ${Math.round((performance.now() - startedAt) / 1000)} s`);
  return failed > 0 || passed === 0 || !isOver ? 1 : 0;
}

const { values } = parseArgs({
  options: { help: { type: 'boolean', short: 'h' }, verbose: { type: 'boolean' }, only: { type: 'string' } },
});
if (values.help === true) console.log(USAGE);
else
  process.exitCode = await run(values.verbose === true, values.only ?? '').catch((error: unknown) => {
    console.log(`FAILED: ${error instanceof Error ? error.message : 'unknown'}`);
    return 1;
  });
