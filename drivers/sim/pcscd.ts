/**
 * A pcscd of one's own for tests and the demonstration: starts, stops, kills and restarts `pcscd -f` with vpcd's two
 * virtual readers, and lets one rig at a time use it on this machine (a lock that the kernel drops with its holder).
 * Must not touch a pcscd that it did not start, and must not be imported by anything but tests and scripts.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { vpcdPorts } from './vpcd.js';

const socketPath = '/run/pcscd/pcscd.comm';
const pidPath = '/run/pcscd/pcscd.pid';
const driverConfigPath = '/etc/reader.conf.d/vpcd';
const daemonPath = '/usr/sbin/pcscd';
/** Programs of util-linux and iproute2, which every Debian has. */
const tools = { setpriv: 'setpriv', flock: 'flock', ip: 'ip' } as const;
/** Set for processes that a rig's holder starts: they use its pcscd and must not wait for its lock. */
const heldVariable = 'SHOULI_PCSC_RIG_HELD';

const pollMs = 20;
const lastGaspMs = 100;
const readyTimeoutMs = 10_000;
const stopTimeoutMs = 3_000;
const activationTimeoutMs = 3_000;
const lockTimeoutMsDefault = 600_000;

export interface PcscRig {
  /** True when this rig started pcscd, and so may stop and restart it. */
  readonly owned: boolean;
  /** TCP ports of the virtual slots. */
  readonly ports: readonly [number, number];
  /** Environment for processes that use this rig from outside this process. */
  readonly env: Readonly<Record<string, string>>;
  /** Whether loopback acknowledges at once; without it each APDU through vpcd costs about 44 ms. */
  readonly quickAck: boolean;
  /** Ends pcscd: SIGTERM and a wait, or SIGKILL. Rejects when it is not owned. */
  stop(how?: 'terminate' | 'kill'): Promise<void>;
  /** Starts it again after stop(); resolves when its socket and both slots answer. */
  start(): Promise<void>;
  restart(how?: 'terminate' | 'kill'): Promise<void>;
  /** Ends what this rig started and lets the lock go. */
  close(): Promise<void>;
}

/** Why no rig can run here, with what to do about it; null when one can. */
function rigProblem(isRunning: boolean): string | null {
  if (!existsSync(driverConfigPath)) return 'install the virtual reader: apt-get install vsmartcard-vpcd pcscd';
  if (!existsSync(daemonPath)) return 'install pcscd: apt-get install pcscd';
  if (isRunning || process.getuid?.() === 0) return null;
  const command = existsSync('/run/systemd/system') ? 'systemctl start pcscd.socket' : 'pcscd';
  const asRoot = existsSync('/usr/bin/sudo') ? `sudo ${command}` : `su - -c '${command}'`;
  return `pcscd does not run, and only root may start it. Run this one command, then the same command again:\n    ${asRoot}`;
}

const reservedFile = '/proc/sys/net/ipv4/ip_local_reserved_ports';
/**
 * Keeps the slots' ports out of those that the kernel hands out by itself (ip-sysctl, ip_local_reserved_ports): a test's
 * listener or connection that got one of them would keep pcscd from coming up for as long as it lives. Wants root; without
 * it nothing is done. It lasts until the machine restarts, and whoever names a port may still use it.
 */
export function reserveSlotPorts(): void {
  try {
    const reserved = readFileSync(reservedFile, 'utf8').trim();
    const missing = vpcdPorts.filter((port) => !reserved.split(',').includes(String(port)));
    // The kernel writes neighbours as a range; asking again for what is reserved changes nothing.
    if (missing.length > 0) writeFileSync(reservedFile, [reserved, ...missing].filter(Boolean).join(','));
  } catch {
    // No right, or no such setting: the chance is small, and the test that meets it says what it waited for.
  }
}

/**
 * Takes the machine's lock and brings pcscd with the virtual readers up, using one that runs already.
 * @throws Error with what to do, when there can be none or the lock does not come within lockTimeoutMs (600,000 by default)
 */
export async function openPcscRig(lockTimeoutMs = lockTimeoutMsDefault): Promise<PcscRig> {
  reserveSlotPorts();
  const unlock = await takeLock(lockTimeoutMs);
  try {
    const isRunning = await staysUp();
    const problem = rigProblem(isRunning);
    if (problem) throw new Error(`no virtual reader: ${problem}`);
    if (isRunning) {
      // Where the service manager starts pcscd at the first connection, its slots come a moment later.
      if (!(await until(slotsAnswer, activationTimeoutMs)))
        throw new Error('pcscd runs without the virtual readers: restart it after installing vsmartcard-vpcd');
      return new Rig(null, unlock);
    }
    const rig = new Rig(new Daemon(), unlock);
    await rig.start();
    return rig;
  } catch (error) {
    await unlock();
    throw error;
  }
}

/** Runs `use` with a rig of its own and closes it afterwards, also when `use` throws. */
export async function withPcscRig<T>(use: (rig: PcscRig) => Promise<T>): Promise<T> {
  const rig = await openPcscRig();
  try {
    return await use(rig);
  } finally {
    await rig.close();
  }
}

class Rig implements PcscRig {
  readonly ports = vpcdPorts;
  readonly env = { [heldVariable]: String(process.pid) };
  readonly #route: QuickAckRoute;

  constructor(
    private readonly daemon: Daemon | null,
    private readonly unlock: () => Promise<void>,
  ) {
    this.#route = new QuickAckRoute();
  }

  get owned(): boolean {
    return this.daemon !== null;
  }
  get quickAck(): boolean {
    return this.#route.active;
  }

  async start(): Promise<void> {
    await this.#own().start();
  }
  async stop(how: 'terminate' | 'kill' = 'terminate'): Promise<void> {
    await this.#own().stop(how);
  }
  async restart(how: 'terminate' | 'kill' = 'terminate'): Promise<void> {
    await this.stop(how);
    await this.start();
  }

  async close(): Promise<void> {
    this.#route.restore();
    await this.daemon?.stop('terminate');
    await this.unlock();
  }

  #own(): Daemon {
    if (!this.daemon) throw new Error('this pcscd was running before; it is not ours to stop');
    return this.daemon;
  }
}

class Daemon {
  #process: ChildProcess | null = null;

  async start(): Promise<void> {
    if (this.#process) return;
    // What a killed daemon leaves behind keeps the next one from starting. Nothing answers there: the caller looked.
    rmSync(socketPath, { force: true });
    rmSync(pidPath, { force: true });
    // The kernel ends the daemon with us, so that a killed test leaves none behind.
    const child = spawn(tools.setpriv, ['--pdeathsig', 'KILL', '--', daemonPath, '--foreground', '--critical'], {
      stdio: 'ignore',
    });
    this.#process = child;
    let failure: string | null = null;
    child.once('error', (error) => {
      failure = error.message;
    });
    child.once('exit', (code, signal) => {
      failure = `it ended with ${signal ?? code}`;
      if (this.#process === child) this.#process = null;
    });
    const ready = await until(
      async () => failure !== null || ((await answers({ path: socketPath })) && (await slotsAnswer())),
    );
    if (failure === null && ready) return;
    const reason = failure ?? 'no answer in time';
    await this.stop('kill');
    throw new Error(`pcscd did not come up: ${reason}`);
  }

  async stop(how: 'terminate' | 'kill'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill(how === 'kill' ? 'SIGKILL' : 'SIGTERM');
    const patience = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
    await ended;
    clearTimeout(patience);
  }
}

/**
 * vpcd sends an APDU's length and body apart, so the kernel's delayed acknowledgement costs 44 ms each time unless the
 * loopback route acknowledges at once. Where that may not be set, the rig is slow and still right.
 */
class QuickAckRoute {
  readonly active: boolean;
  readonly #changed: boolean;
  constructor() {
    const before = routeOutput('show', 'table', 'local', '127.0.0.1');
    const already = before?.includes('quickack 1') ?? false;
    this.#changed = !already && this.#set('1');
    this.active = already || this.#changed;
  }
  restore(): void {
    if (this.#changed) this.#set('0');
  }
  #set(value: '0' | '1'): boolean {
    const route = [
      'local',
      '127.0.0.1',
      'dev',
      'lo',
      'proto',
      'kernel',
      'scope',
      'host',
      'src',
      '127.0.0.1',
      'table',
      'local',
    ];
    return routeOutput('change', ...route, 'quickack', value) !== null;
  }
}

function routeOutput(...words: readonly string[]): string | null {
  try {
    return execFileSync(tools.ip, ['route', ...words], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5_000,
    });
  } catch {
    return null;
  }
}

/** Looks twice: the pcscd of a rig whose holder was killed may still answer for a moment. */
async function staysUp(): Promise<boolean> {
  if (!(await answers({ path: socketPath }))) return false;
  await wait(lastGaspMs);
  return answers({ path: socketPath });
}

function answers(where: { path: string } | { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(where);
    const done = (answered: boolean) => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/** Looks at the listening sockets instead of connecting: a connection to a slot is an inserted card. */
async function slotsAnswer(): Promise<boolean> {
  let listening = '';
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) listening += await readFile(table, 'utf8').catch(() => '');
  return vpcdPorts.every((port) =>
    new RegExp(`:${port.toString(16).toUpperCase().padStart(4, '0')} [0-9A-F]+:0000 0A `).test(listening),
  );
}

async function until(condition: () => Promise<boolean>, timeoutMs = readyTimeoutMs): Promise<boolean> {
  const deadline = Date.now() + timeoutMs;
  while (Date.now() < deadline) {
    if (await condition()) return true;
    await wait(pollMs);
  }
  return false;
}

/** An flock(2) held by a process that lives as long as its standard input, which is ours: a dead holder cannot keep it. */
async function takeLock(timeoutMs: number): Promise<() => Promise<void>> {
  const holder = Number(process.env[heldVariable] ?? 0);
  if (holder > 0 && existsSync(`/proc/${holder}`)) return async () => {};
  const path = join(tmpdir(), 'shouli-pcsc-rig.lock');
  const seconds = String(Math.ceil(timeoutMs / 1000));
  const keeper = spawn(
    tools.flock,
    ['--exclusive', '--wait', seconds, path, 'sh', '-c', 'echo held; exec cat >/dev/null'],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
    },
  );
  keeper.stdin.on('error', () => {});
  await new Promise<void>((resolve, reject) => {
    keeper.stdout.once('data', () => resolve());
    keeper.once('error', (error) => reject(new Error(`no lock for the PC/SC rig: ${error.message}`)));
    // flock(1) ends with 1 when the time is over, and with sysexits(3) when it cannot open the file.
    keeper.once('exit', (code) =>
      reject(
        new Error(
          code === 1
            ? `the simulated reader is in use by another process (scripts/start, a demo or tests) for more than ${seconds} s; end it first`
            : `${path} cannot be opened: another user left it there; delete it, as that user or as root`,
        ),
      ),
    );
  });
  return () =>
    new Promise<void>((resolve) => {
      if (keeper.exitCode !== null || keeper.signalCode !== null) return resolve();
      keeper.once('exit', () => resolve());
      keeper.stdin.end();
    });
}
