/**
 * One box: the embedded host and the terminal as two processes on one data folder, each started again when it dies. Where
 * the configuration names a host elsewhere, only the terminal; a simulated box never speaks to another host than its own.
 */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Config } from '../../config/schema.js';
import { credentialsFileName } from '../../host-sync/client/credentials.js';
import { keepRunning } from './keep.js';
import { type Running, startProcess, terminalEnvironment, terminalNodeFlags } from './process.js';

export interface TerminalReady {
  readonly localApi: { readonly port: number; readonly tokenFile: string } | null;
  readonly consoleSocket: string | null;
  readonly firstPin: string | null;
}
export interface HostReady {
  readonly port: number;
  readonly pagesPort: number | null;
  readonly adminSocket: string;
}

export interface Box {
  /** Null where the host is elsewhere. */
  readonly host: Running<HostReady> | null;
  readonly terminal: Running<TerminalReady>;
  stop(): Promise<void>;
}

export interface BoxOptions {
  readonly dataFolder: string;
  readonly config: Config;
  readonly configFile: string;
  readonly simulated: boolean;
  readonly scannerLine: string | null;
  /** The simulated receipt printer's line. */
  readonly printerLine: string | null;
  /** The simulated customer's display's. */
  readonly displayLine: string | null;
  /** The simulated relay board's. */
  readonly relayLine: string | null;
  /** Any free port instead of the configured ones, for demo and tests. */
  readonly freePorts?: boolean;
  readonly onRestart?: (which: string, how: string) => void;
  readonly onGivenUp?: (which: string, why: string) => void;
}

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The host's own options as its flags. A simulated host sends nothing to real phones: its messages stay in its own folder. */
function hostFlags(config: Config, freePorts: boolean, simulated: boolean): string[] {
  const { port, pagesPort, ...configured } = config.host;
  const rest = simulated ? { ...configured, smppHost: '', messageFolder: '' } : configured;
  const others = Object.entries(rest).flatMap(([key, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value);
    return text === '' ? [] : [`--${kebab(key)}`, text];
  });
  const ports = freePorts ? [0, 0] : [port, pagesPort];
  return ['--port', `${ports[0]}`, '--pages-port', `${ports[1]}`, ...others];
}

export async function startBox(options: BoxOptions): Promise<Box> {
  const { dataFolder, config } = options;
  const hostFolder = path.join(dataFolder, 'host');
  mkdirSync(hostFolder, { recursive: true, mode: 0o700 });
  const bootstrap = path.join(dataFolder, 'bootstrap.json');
  const enrolled = (): boolean => existsSync(path.join(dataFolder, 'keys', credentialsFileName));
  const realm = options.simulated ? 'simulated' : 'real';
  const startHost = (knownPort: number | null): Promise<Running<HostReady>> => {
    const flags = hostFlags(config, options.freePorts ?? false, options.simulated);
    // A host that comes back must come back where the terminal knows it.
    if (knownPort !== null) flags[1] = String(knownPort);
    const words = [
      '--data-folder',
      hostFolder,
      '--realm',
      realm,
      ...(enrolled() ? [] : ['--bootstrap-enrolment', bootstrap]),
      ...flags,
    ];
    return startProcess('host', 'host-sync/server/main.js', words, path.join(dataFolder, 'host.log'));
  };
  const isEmbedded = options.simulated || config.sync.hostUrl === '';
  const hostStarted = isEmbedded ? await startHost(null) : null;
  const port = hostStarted?.ready.port ?? null;
  const startTerminal = (): Promise<Running<TerminalReady>> => {
    const words = ['--data', dataFolder, '--config', options.configFile];
    // The port of the embedded host may have changed since the terminal enrolled.
    if (port !== null) words.push('--bootstrap', bootstrap, '--embedded-host-port', String(port));
    if (options.simulated) words.push('--simulated');
    if (options.scannerLine) words.push('--scanner', options.scannerLine);
    if (options.displayLine) words.push('--display', options.displayLine);
    if (options.relayLine) words.push('--relay', options.relayLine);
    if (options.printerLine) words.push('--printer', options.printerLine);
    if (options.freePorts) words.push('--local-api-port', '0');
    const logFile = path.join(dataFolder, 'terminal.log');
    return startProcess('terminal', 'scripts/terminal.js', words, logFile, terminalNodeFlags, {
      ...process.env,
      ...terminalEnvironment,
    });
  };
  let terminalStarted: Running<TerminalReady>;
  try {
    terminalStarted = await startTerminal();
  } catch (error) {
    await hostStarted?.stop();
    throw error;
  }
  const supervision = {
    onRestart: options.onRestart ?? (() => {}),
    onGivenUp: options.onGivenUp ?? (() => {}),
    nowMs: () => performance.now(),
    pause: (ms: number) => wait(ms),
  };
  const host = hostStarted && keepRunning(hostStarted, { ...supervision, start: () => startHost(port) });
  const terminal = keepRunning(terminalStarted, { ...supervision, start: startTerminal });
  return {
    get host() {
      return host?.running ?? null;
    },
    get terminal() {
      return terminal.running;
    },
    stop: async () => {
      await terminal.stop();
      await host?.stop();
    },
  };
}
