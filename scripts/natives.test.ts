/**
 * Shows that the box starts and serves where no native part of a bus can be loaded: each such device is absent with its
 * reason, nothing else suffers. How: the shipped terminal process on a copy of what is installed, without the .node files of
 * serialport, node-hid and nfc-pcsc, and without noble; a line on a pseudo-terminal, a console line, a
 * socket in pcscd's place.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import t from 'tap';
import { bleFrames } from '../drivers/ble/frames.js';
import { openPtyPair } from '../drivers/sim/pty.js';
import { PROJECT_ROOT } from './lib/source-files.js';

const waitMaxMs = 20_000;
/** Packages with the native part of a bus, and those that load them, so that they find the copy. */
const copied = ['serialport', '@serialport', 'node-hid', 'nfc-pcsc', '@pokusew'];
const leftOut = ['@abandonware', '.bin', '.package-lock.json', '.shouli-lock'];

/** A tree in which every package but the native ones is the installed one. */
function installWithoutNatives(root: string): void {
  const modules = path.join(PROJECT_ROOT, 'node_modules');
  mkdirSync(path.join(root, 'node_modules'));
  for (const name of readdirSync(modules)) {
    const [from, to] = [path.join(modules, name), path.join(root, 'node_modules', name)];
    if (leftOut.includes(name)) continue;
    if (copied.includes(name)) cpSync(from, to, { recursive: true, filter: (file) => !file.endsWith('.node') });
    else symlinkSync(from, to);
  }
  cpSync(path.join(PROJECT_ROOT, 'package.json'), path.join(root, 'package.json'));
  cpSync(path.join(PROJECT_ROOT, 'out'), path.join(root, 'out'), {
    recursive: true,
    filter: (file) => !/\.test\.js|\.tap$/.test(file),
  });
}

interface Device {
  readonly device: string;
  readonly state: string;
  readonly error: { readonly code: string; readonly detail: string } | null;
}

t.test('no native part can be loaded', async (t) => {
  const root = mkdtempSync(path.join(tmpdir(), 'shouli-natives-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  installWithoutNatives(root);
  const line = await openPtyPair(path.join(root, 'line'), path.join(root, 'device'));
  t.teardown(() => line.close());
  const pcscd = createServer((socket) => socket.resume());
  pcscd.listen(path.join(root, 'pcscd'));
  await once(pcscd, 'listening');
  t.teardown(() => pcscd.close());

  const data = path.join(root, 'data');
  mkdirSync(data);
  writeFileSync(path.join(data, 'shouli.toml'), '[console]\nserialPath = "/dev/null"\n');
  const words = ['--data', data, '--simulated', '--scanner', line.line, '--local-api-port', '0'];
  const box = spawn(process.execPath, [path.join(root, 'out/scripts/terminal.js'), ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env['PATH'], PCSCLITE_CSOCK_NAME: path.join(root, 'pcscd') },
  });
  const ended = once(box, 'exit');
  t.teardown(async () => {
    if (box.exitCode === null) box.kill();
    await ended;
  });
  const first = await Promise.race([once(createInterface(box.stdout), 'line'), ended.then(() => ['{}'])]);
  const ready = JSON.parse(String(first[0])) as {
    readonly ready: boolean;
    readonly localApi: { readonly port: number; readonly tokenFile: string };
  };
  t.ok(ready.ready, 'the box runs');
  if (!ready.ready) return;

  const authorization = `Bearer ${readFileSync(ready.localApi.tokenFile, 'utf8').trim()}`;
  const devices = async (): Promise<readonly Device[]> => {
    const answer = await fetch(`http://127.0.0.1:${ready.localApi.port}/v1/devices`, { headers: { authorization } });
    return ((await answer.json()) as { readonly devices: readonly Device[] }).devices;
  };
  const deadline = Date.now() + waitMaxMs;
  const isSaid = (all: readonly Device[]) =>
    all.filter(({ error }) => error?.code === 'device.driverMissing').length === 2;
  let seen = await devices();
  while (!isSaid(seen) && Date.now() < deadline) {
    await wait(50);
    seen = await devices();
  }
  t.match(seen, [
    { device: 'pcsc', state: 'absent', error: { code: 'device.driverMissing', detail: /nfc-pcsc cannot be loaded/ } },
    {
      device: 'scanner-1',
      state: 'absent',
      error: { code: 'device.driverMissing', detail: /serialport cannot be loaded/ },
    },
  ]);
  t.equal(box.exitCode, null, 'and goes on running');

  // No Bluetooth adapter is here: its child is asked alone, with a list that has one.
  mkdirSync(path.join(root, 'bluetooth', 'hci0'), { recursive: true });
  const child = spawn(process.execPath, [path.join(root, 'out/drivers/ble/child.js'), path.join(root, 'bluetooth')], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  const stream = bleFrames.stream();
  for await (const chunk of child.stdio[3] as Readable) {
    const frames = stream.push(chunk as Uint8Array);
    const down = frames.ok ? frames.value.find(({ type }) => type === 'serviceDown') : null;
    if (!down) continue;
    t.match(down, { code: 'device.driverMissing', detail: /noble cannot be loaded/ });
    break;
  }

  // No HID device is here to be opened: its transport is asked alone, in a process of the same tree.
  const transport = pathToFileURL(path.join(root, 'out/drivers/hid/hid-transport.js')).href;
  const asked = spawn(
    process.execPath,
    [
      '--input-type=module',
      '-e',
      `console.log(JSON.stringify(await (await import('${transport}')).openHidTransport('/dev/hidraw0')))`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const answer = JSON.parse(String((await once(createInterface(asked.stdout), 'line'))[0]));
  t.match(answer, { ok: false, error: { code: 'device.driverMissing', detail: /node-hid cannot be loaded/ } });
});
