/**
 * Shows that one rig at a time has pcscd, that a holder who is killed does not keep it, that the holder's own processes are
 * not locked out, and that nothing of a rig is left after it. How: a second process that takes the lock, and its death.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import t from 'tap';
import { openPcscRig, withPcscRig } from './pcscd.js';

t.setTimeout(900_000);

const holder = `
  import { openPcscRig } from ${JSON.stringify(new URL('./pcscd.js', import.meta.url).href)};
  const rig = await openPcscRig();
  console.log('open');
  process.stdin.on('end', () => rig.close().then(() => process.exit(0))).resume();`;

/** Another process with a rig; resolves when it has it, or with what it said instead. */
async function otherProcess(env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', holder], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env['PATH'], ...env },
  });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const said = await new Promise<string>((resolve) => {
    child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk).trim()));
    child.stderr.once('data', (chunk: Buffer) => resolve(String(chunk)));
  });
  return { child, said, ended };
}

t.test('a rig that another process has is waited for, and comes with the other one’s death', async (t) => {
  const other = await otherProcess();
  t.equal(other.said, 'open');
  await t.rejects(openPcscRig(1_000), /in use by another process/);
  other.child.kill('SIGKILL');
  await other.ended;
  await withPcscRig(async (rig) => {
    t.ok(rig.owned, 'the dead holder’s pcscd went with it');
  });
});

t.test('a process that the holder starts uses its rig', async (t) => {
  await withPcscRig(async (rig) => {
    const inner = await otherProcess(rig.env);
    t.equal(inner.said, 'open');
    inner.child.stdin.end();
    await inner.ended;
    await rig.restart();
    t.pass('and its end leaves the holder’s pcscd alone');
  });
});

t.test('a rig is there before it is given, and gone after', async (t) => {
  const { owned } = await withPcscRig(async (rig) => {
    t.ok(existsSync('/run/pcscd/pcscd.comm'));
    if (!rig.owned) await t.rejects(rig.stop(), /not ours/);
    return rig;
  });
  t.equal(existsSync('/run/pcscd/pcscd.comm'), !owned);
  await t.rejects(
    withPcscRig(async () => {
      throw new Error('the test itself failed');
    }),
    /itself failed/,
  );
  t.equal(existsSync('/run/pcscd/pcscd.comm'), !owned, 'also when its user throws');
});
