/**
 * The virtual machine: starts QEMU, speaks QMP to it, and gives the guest's lines to its owner.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { PROJECT_ROOT } from '../lib/source-files.js';
import type { GuestSystem } from './guest-system.js';

export const qemuPath = '/usr/bin/qemu-system-x86_64';
const setprivPath = '/usr/bin/setpriv';
const memoryMiB = 2_048;
const socketTimeoutMs = 10_000;

type Json = Readonly<Record<string, unknown>>;

export interface Machine {
  /** Sockets behind QEMU's character devices. */
  readonly cardSocket: string;
  readonly serialSocket: string;
  /** One QMP command. Rejects with QEMU's words. */
  command(execute: string, words?: Json): Promise<unknown>;
  /** Resolves with the next event of that name that `pick` takes; ask before causing it. */
  event(name: string, pick: (data: Json) => boolean): Promise<void>;
  /** A line to the guest. */
  say(line: string): void;
  /** What the kernel and the guest's programs wrote; empty before the end. */
  consoleText(): string;
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

async function open(socketPath: string): Promise<Socket> {
  const deadline = Date.now() + socketTimeoutMs;
  for (;;) {
    const socket = connect(socketPath);
    const isOpen = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    if (isOpen) return socket;
    if (Date.now() > deadline) throw new Error(`QEMU did not open ${path.basename(socketPath)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function qemuWords(system: GuestSystem, only: string, at: (name: string) => string): readonly string[] {
  const share = (folder: string, tag: string): readonly string[] => [
    '-virtfs',
    `local,path=${folder},mount_tag=${tag},security_model=none,readonly=on,multidevs=remap`,
  ];
  const environment = [
    `SHOULI_ROOT=${PROJECT_ROOT}`,
    `SHOULI_NODE=${process.execPath}`,
    `SHOULI_EXTRA=${system.extra}`,
    `SHOULI_ONLY=${only}`,
  ];
  const socket = (id: string): readonly string[] => ['-chardev', `socket,id=${id},path=${at(id)},server=on,wait=off`];
  return [
    ...['-accel', 'tcg,thread=multi', '-machine', 'q35', '-cpu', 'max', '-smp', '2', '-m', String(memoryMiB)],
    ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
    ...['-kernel', system.vmlinux, '-initrd', system.initrd],
    ...['-append', `console=ttyS0 quiet panic=-1 mitigations=off ${environment.join(' ')}`],
    ...share('/', 'host'),
    ...share(PROJECT_ROOT, 'work'),
    ...['-serial', `file:${at('console')}`],
    ...socket('line'),
    ...['-serial', 'chardev:line'],
    ...['-qmp', `unix:${at('qmp')},server=on,wait=off`],
    ...socket('card'),
    ...socket('serial'),
    ...['-device', 'qemu-xhci,id=xhci'],
  ];
}

/**
 * @param only a word without spaces for the guest: which scenarios
 * @param onLine takes what the guest says on its line
 */
export async function startMachine(
  system: GuestSystem,
  only: string,
  onLine: (line: string) => void,
): Promise<Machine> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-rig-'));
  const at = (name: string): string => path.join(folder, name);
  const words = [qemuPath, ...qemuWords(system, only, at)];
  const qemu: ChildProcess = existsSync(setprivPath)
    ? spawn(setprivPath, ['--pdeathsig', 'KILL', '--', ...words], { stdio: ['ignore', 'ignore', 'pipe'] })
    : spawn(words[0] ?? '', words.slice(1), { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaints = '';
  qemu.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaints += text;
  });
  let written = '';
  const ended = new Promise<void>((resolve) => {
    const over = (): void => {
      if (existsSync(at('console'))) written = readFileSync(at('console'), 'utf8');
      rmSync(folder, { recursive: true, force: true });
      resolve();
    };
    qemu.once('error', over);
    qemu.once('close', over);
  });
  const died = ended.then(() => Promise.reject(new Error(`QEMU ended: ${complaints.trim()}`)));
  died.catch(() => {});
  const [line, control] = await Promise.race([Promise.all([open(at('line')), open(at('qmp'))]), died]);
  createInterface({ input: line }).on('line', onLine);
  const qmp = speakQmp(control);
  await Promise.race([qmp.command('qmp_capabilities'), died]);
  return {
    ...qmp,
    ended,
    cardSocket: at('card'),
    serialSocket: at('serial'),
    say: (text) => line.write(`${text}\n`),
    consoleText: () => written + complaints,
    stop: async () => {
      qemu.kill('SIGKILL');
      await ended;
    },
  };
}

function speakQmp(socket: Socket): Pick<Machine, 'command' | 'event'> {
  let last = 0;
  const waiting = new Map<number, (answer: Json) => void>();
  const listeners = new Set<(message: Json) => void>();
  socket.on('error', () => {});
  createInterface({ input: socket }).on('line', (text) => {
    const message = JSON.parse(text) as Json;
    if (typeof message['id'] === 'number') waiting.get(message['id'])?.(message);
    else for (const listener of listeners) listener(message);
  });
  return {
    command: (execute, words = {}) =>
      new Promise((resolve, reject) => {
        const id = ++last;
        waiting.set(id, (answer) => {
          waiting.delete(id);
          const error = answer['error'] as { readonly desc?: string } | undefined;
          if (error) reject(new Error(`${execute}: ${error.desc}`));
          else resolve(answer['return']);
        });
        socket.write(`${JSON.stringify({ execute, arguments: words, id })}\n`);
      }),
    event: (name, pick) =>
      new Promise((resolve) => {
        const listener = (message: Json): void => {
          if (message['event'] !== name || !pick((message['data'] ?? {}) as Json)) return;
          listeners.delete(listener);
          resolve();
        };
        listeners.add(listener);
      }),
  };
}
