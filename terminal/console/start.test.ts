/**
 * Shows the console on its real lines: serialport on a pseudo-terminal pair (socat) that goes away and comes back, the
 * Unix socket with its rights and bounds, and the shipped client as a process: piped, one command, and on a terminal.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { SerialPort } from 'serialport';
import t from 'tap';
import { nativeClock, nativeRandom } from '../kernel/native.js';
import { HandSchedule, PortDouble } from '../sim/port-double.js';
import { Login } from './login.js';
import { type RunningConsole, startConsole } from './start.js';

const client = fileURLToPath(new URL('../../scripts/console.js', import.meta.url));
const pin = '204060';
const deadlineMs = 20_000;

async function until(condition: () => boolean, what: () => string): Promise<void> {
  const end = Date.now() + deadlineMs;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

interface Box {
  readonly folder: string;
  readonly socketFile: string;
  readonly port: PortDouble;
  readonly hand: HandSchedule;
  readonly states: boolean[];
  readonly console: RunningConsole;
}

/** A box whose technician has already changed the first PIN. */
async function startBox(test: Tap, serialPath: string | null = null): Promise<Box> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-console-'));
  const port = new PortDouble();
  const hand = new HandSchedule();
  const states: boolean[] = [];
  const login = new Login({ port, random: nativeRandom, clock: nativeClock });
  await login.drawFirstPin();
  await login.change('', pin, 'test');
  const socketFile = path.join(folder, 'console.sock');
  const running = await startConsole({
    port,
    random: nativeRandom,
    clock: nativeClock,
    schedule: hand.schedule,
    currency: () => 'CNY',
    language: 'en',
    idleMs: 600_000,
    socketFile,
    serial: serialPath === null ? null : { path: serialPath, baud: 115_200 },
    onSerialState: (open) => states.push(open),
    onBug: (error) => test.fail(String(error)),
  });
  test.teardown(async () => {
    await running.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { folder, socketFile, port, hand, states, console: running };
}
type Tap = Pick<typeof t, 'fail' | 'teardown'>;

async function startPair(a: string, b: string): Promise<ChildProcess> {
  const socat = spawn('socat', [`pty,rawer,link=${a}`, `pty,rawer,link=${b}`], { stdio: 'ignore' });
  await until(
    () => existsSync(a) && existsSync(b),
    () => 'socat made its pair',
  );
  return socat;
}

function openTechnician(file: string): Promise<{ port: SerialPort; text: () => string; clear: () => void }> {
  return new Promise((resolve, reject) => {
    let text = '';
    const port = new SerialPort({ path: file, baudRate: 115_200 }, (error) => {
      if (error) reject(error);
      else resolve({ port, text: () => text, clear: () => (text = '') });
    });
    port.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8');
    });
    port.on('error', () => undefined);
  });
}

t.test('serial: log-in and commands, the port goes away and comes back at the PIN', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-serial-'));
  const [boxEnd, farEnd] = [path.join(folder, 'box'), path.join(folder, 'far')];
  let socat = await startPair(boxEnd, farEnd);
  t.teardown(() => {
    socat.kill();
    rmSync(folder, { recursive: true, force: true });
  });
  let technician = await openTechnician(farEnd);
  const box = await startBox(t, boxEnd);
  await until(() => technician.text().includes('PIN: '), technician.text);
  technician.port.write(`${pin}\r\n`);
  await until(() => technician.text().includes('t-0123456789ab> '), technician.text);
  technician.port.write('sale 300.00 earn --clerk 张三\r\n');
  await until(() => technician.text().includes('¥300.00'), technician.text);
  technician.port.write('status\n');
  await until(() => technician.text().includes('ready for a sale'), technician.text);
  t.notMatch(technician.text(), pin);
  t.match(technician.text(), '张三');
  t.same(box.states, [true]);

  socat.kill('SIGKILL');
  await until(
    () => box.states.length === 2,
    () => 'the box noticed',
  );
  technician.port.close(() => undefined);
  t.same(box.states, [true, false]);
  t.equal(box.port.auditEntries.at(-1)?.action, 'console.logout');
  for (const end of [boxEnd, farEnd]) rmSync(end, { force: true });
  socat = await startPair(boxEnd, farEnd);
  technician = await openTechnician(farEnd);
  await until(
    () => {
      box.hand.pass(1_000);
      return box.states.length >= 3;
    },
    () => 'reopened',
  );
  await until(() => technician.text().includes('PIN: '), technician.text);
  technician.port.write('status\r');
  await until(() => technician.text().includes('access.denied'), technician.text);
  t.notMatch(technician.text(), 'ready for a sale');
  technician.port.close(() => undefined);
});

t.test('serial: a port that is not there is waited for, and told once', async (t) => {
  const box = await startBox(t, '/dev/shouli-no-such-port');
  await until(
    () => box.states.length === 1,
    () => 'told',
  );
  for (let tries = 0; tries < 5; tries++) {
    await until(
      () => box.hand.pending > 0,
      () => 'tries again',
    );
    box.hand.pass(60_000);
  }
  await until(
    () => box.hand.pending > 0,
    () => 'tries again',
  );
  t.same(box.states, [false]);
});

t.test('socket: only its owner may open it; a dead one is replaced, a living one and a file are not', async (t) => {
  const box = await startBox(t);
  t.equal(statSync(box.socketFile).mode & 0o777, 0o600);
  const again = (socketFile: string, port = new PortDouble()): Promise<RunningConsole> =>
    startConsole({
      port,
      random: nativeRandom,
      clock: nativeClock,
      schedule: box.hand.schedule,
      currency: () => 'CNY',
      language: 'en',
      idleMs: 1,
      socketFile,
      serial: null,
      onSerialState: () => undefined,
      onBug: () => undefined,
    });
  await t.rejects(again(box.socketFile), { code: 'device.busy' });
  const file = path.join(box.folder, 'precious');
  writeFileSync(file, 'x');
  await t.rejects(again(file), { code: 'config.invalid' });
  t.ok(existsSync(file));
  await t.rejects(again(path.join(box.folder, 'x'.repeat(120))), { code: 'config.invalid' });

  const stale = path.join(box.folder, 'stale.sock');
  const dead = spawn(process.execPath, ['-e', `require('net').createServer().listen(${JSON.stringify(stale)})`]);
  await until(
    () => existsSync(stale),
    () => 'bound',
  );
  dead.kill('SIGKILL');
  await new Promise((resolve) => dead.once('exit', resolve));
  const replaced = await again(stale);
  t.match(replaced.firstPin, /^[0-9]{8}$/);
  await replaced.close();
  t.notOk(existsSync(stale));

  const restarted = await again(stale, box.port);
  t.equal(restarted.firstPin, null, 'the technician has a PIN');
  await restarted.close();
  writeFileSync(path.join(box.folder, 'reset-pin'), '');
  const reset = await again(stale, box.port);
  t.match(reset.firstPin, /^[0-9]{8}$/, 'a forgotten one is drawn anew');
  t.notOk(existsSync(path.join(box.folder, 'reset-pin')));
  t.ok(box.port.auditEntries.some(({ action }) => action === 'console.pinReset'));
  await reset.close();
});

t.test('socket: four consoles at once, the fifth is told so; a plain terminal program works too', async (t) => {
  const box = await startBox(t);
  const open = (): Promise<{ socket: Socket; text: () => string }> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect(box.socketFile, () => resolve({ socket, text: () => text }));
      socket.on('data', (chunk) => {
        text += chunk.toString('utf8');
      });
    });
  const first = await open();
  first.socket.write('\r');
  await until(() => first.text().includes('PIN: '), first.text);
  first.socket.write(`${pin}\r`);
  await until(() => first.text().includes('> '), first.text);
  const others = [await open(), await open(), await open()];
  const fifth = await open();
  await until(() => fifth.text().includes('Too many'), fifth.text);
  for (const { socket } of [first, ...others, fifth]) socket.destroy();
  // The box notices at its own pace that the four are gone.
  let next = await open();
  for (;;) {
    next.socket.write('{"console":1,"mode":"terminal","columns":120}\n');
    await until(() => /PIN: |Too many/.test(next.text()), next.text);
    if (next.text().includes('PIN: ')) break;
    next = await open();
  }
  next.socket.write('{"console":'.repeat(400));
  next.socket.write('\r');
  await until(() => next.text().includes('access.denied'), next.text);
  t.notMatch(next.text(), 'console', 'what is typed at the PIN is not shown');
  next.socket.destroy();
});

interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function run(args: readonly string[], input = ''): Promise<Ran> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [client, ...args]);
    let out = '';
    let err = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString('utf8');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      err += chunk.toString('utf8');
    });
    child.on('close', (code) => resolve({ code, out, err }));
    child.stdin.end(input);
  });
}

t.test('client: one command as JSON, piped lines, and what its exit says', async (t) => {
  const box = await startBox(t);
  const at = ['--socket', box.socketFile];
  const pinFile = path.join(box.folder, 'pin');
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });

  const status = await run([...at, '--pin-file', pinFile, '--command', 'status', '--json']);
  t.equal(status.code, 0, status.err);
  t.match(JSON.parse(status.out), { terminalId: 't-0123456789ab', queue: { unsent: 0 } });

  const piped = await run(at, `${pin}\nsale 300.00 earn --ref r1\nsale 1.00\nshow r1 --json\n`);
  t.equal(piped.code, 1, 'one of the lines was refused');
  t.match(piped.out, 'sale.busy');
  t.match(JSON.parse(piped.out.trim().split('\n').at(-1) ?? ''), {
    reference: 'r1',
    totalMinor: 30_000,
    phase: 'waiting',
  });
  t.notMatch(piped.out + piped.err + status.out + status.err, pin);

  t.equal((await run([...at, '--pin-file', pinFile, '--command', 'show nothing'])).code, 1);
  const wrong = await run(at, '135702\nstatus\n');
  t.equal(wrong.code, 2);
  t.match(wrong.err, 'access.denied');
  t.notMatch(wrong.out, 'ready');
  const absent = await run(['--data', path.join(box.folder, 'nowhere')]);
  t.equal(absent.code, 3);
  t.match(absent.err, 'no box is running here');
});

t.test('client: on a terminal it is a terminal, and leaves the terminal as it was', async (t) => {
  const box = await startBox(t);
  const script = `"${process.execPath}" "${client}" --socket "${box.socketFile}"; stty -a; echo finished`;
  const shell = path.join(box.folder, 'shell');
  writeFileSync(shell, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  const terminal = spawn('socat', ['-', `EXEC:${shell},pty,setsid,ctty`]);
  t.teardown(() => terminal.kill());
  let text = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  await until(
    () => text.includes('PIN: '),
    () => text,
  );
  terminal.stdin.write(`${pin}\r`);
  await until(
    () => text.includes('> '),
    () => text,
  );
  terminal.stdin.write('langua\u0003');
  await until(
    () => text.includes('^C'),
    () => text,
  );
  terminal.stdin.write('status\r');
  await until(
    () => text.includes('ready for a sale'),
    () => text,
  );
  t.notMatch(text, 'finished', 'Ctrl-C went to the box, not to the client');
  terminal.stdin.write('\u001d');
  await until(
    () => text.includes('finished'),
    () => text,
  );
  t.match(text, /[^-]icanon/);
  t.match(text, /[^-]echo[ ;]/);
  t.notMatch(text, pin);
});

t.test('client: on a terminal the PIN comes from the file, if one is named', async (t) => {
  const box = await startBox(t);
  const pinFile = path.join(box.folder, 'pin');
  writeFileSync(pinFile, `${pin}\n`, { mode: 0o600 });
  const shell = path.join(box.folder, 'shell');
  const words = `--socket "${box.socketFile}" --pin-file "${pinFile}"`;
  writeFileSync(shell, `#!/bin/sh\n"${process.execPath}" "${client}" ${words}\n`, { mode: 0o700 });
  const terminal = spawn('socat', ['-', `EXEC:${shell},pty,setsid,ctty`]);
  t.teardown(() => terminal.kill());
  let text = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  await until(
    () => text.includes('> '),
    () => text,
  );
  t.notMatch(text, pin);
  terminal.stdin.write('\u001d');
});

t.test('client: a box that hangs is left with Ctrl-]', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-hang-'));
  const file = path.join(folder, 'console.sock');
  const server = createServer((socket) => socket.resume()).listen(file);
  t.teardown(() => {
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const shell = path.join(folder, 'shell');
  writeFileSync(
    shell,
    `#!/bin/sh\necho ready\n"${process.execPath}" "${client}" --socket "${file}"\necho finished $?\n`,
    { mode: 0o700 },
  );
  const connected = new Promise((resolve) => server.once('connection', resolve));
  const terminal = spawn('socat', ['-', `EXEC:${shell},pty,setsid,ctty`]);
  t.teardown(() => terminal.kill());
  let text = '';
  terminal.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  await connected;
  await until(
    () => {
      terminal.stdin.write('\u001d');
      return text.includes('finished 0');
    },
    () => text,
  );
  t.pass('it ended');
});
