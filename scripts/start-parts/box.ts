/**
 * One box: the embedded host and the terminal as two processes on one data folder, each started again when it dies.
 */
import { existsSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../../config/schema.js';
import { credentialsFileName } from '../../host-sync/client/credentials.js';
import { type Running, startProcess } from './process.js';

export interface TerminalReady {
  readonly localApi: { readonly port: number; readonly tokenFile: string } | null;
  readonly consoleSocket: string | null;
  readonly firstPin: string | null;
}
export interface HostReady {
  readonly port: number;
  readonly adminSocket: string;
}

export interface Box {
  readonly host: Running<HostReady>;
  readonly terminal: Running<TerminalReady>;
  stop(): Promise<void>;
}

export interface BoxOptions {
  readonly dataFolder: string;
  readonly config: Config;
  readonly configFile: string;
  readonly simulated: boolean;
  readonly scannerLine: string | null;
  /** Any free port instead of the configured ones, for demo and tests. */
  readonly freePorts?: boolean;
  readonly onRestart?: (which: string) => void;
  readonly onGivenUp?: (which: string) => void;
}

/** Starts within this time that make the box give a process up. */
const restartWindowMs = 60_000;
const restartsMax = 5;

const kebab = (key: string): string => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

/** The host's own options as its flags. */
function hostFlags(config: Config, freePorts: boolean): string[] {
  const { port, ...rest } = config.host;
  const others = Object.entries(rest).flatMap(([key, value]) => {
    const text = Array.isArray(value) ? value.join(',') : String(value);
    return text === '' ? [] : [`--${kebab(key)}`, text];
  });
  return ['--port', freePorts ? '0' : String(port), ...others];
}

export async function startBox(options: BoxOptions): Promise<Box> {
  const { dataFolder, config } = options;
  const hostFolder = path.join(dataFolder, 'host');
  mkdirSync(hostFolder, { recursive: true, mode: 0o700 });
  const bootstrap = path.join(dataFolder, 'bootstrap.json');
  const enrolled = (): boolean => existsSync(path.join(dataFolder, 'keys', credentialsFileName));
  const realm = options.simulated ? 'simulated' : 'real';
  const startHost = (port: number | null): Promise<Running<HostReady>> => {
    const flags = hostFlags(config, options.freePorts ?? false);
    // A host that comes back must come back where the terminal knows it.
    if (port !== null) flags[1] = String(port);
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
  const startTerminal = (): Promise<Running<TerminalReady>> => {
    const words = ['--data', dataFolder, '--config', options.configFile, '--bootstrap', bootstrap];
    if (options.simulated) words.push('--simulated');
    if (options.scannerLine) words.push('--scanner', options.scannerLine);
    if (options.freePorts) words.push('--local-api-port', '0');
    return startProcess('terminal', 'scripts/terminal.js', words, path.join(dataFolder, 'terminal.log'));
  };
  let host = await startHost(null);
  let terminal: Running<TerminalReady>;
  try {
    terminal = await startTerminal();
  } catch (error) {
    await host.stop();
    throw error;
  }
  let stopping = false;
  const { port } = host.ready;
  const keep = <Ready>(
    running: Running<Ready>,
    again: () => Promise<Running<Ready>>,
    took: (next: Running<Ready>) => void,
  ): void => {
    const starts: number[] = [];
    const watch = (current: Running<Ready>): void => {
      void current.ended.then(async () => {
        if (stopping) return;
        starts.push(Date.now());
        const recent = starts.filter((at) => at > Date.now() - restartWindowMs);
        if (recent.length > restartsMax) return options.onGivenUp?.(current.name);
        options.onRestart?.(current.name);
        try {
          const next = await again();
          took(next);
          watch(next);
        } catch {
          options.onGivenUp?.(current.name);
        }
      });
    };
    watch(running);
  };
  keep(
    host,
    () => startHost(port),
    (next) => {
      host = next;
    },
  );
  keep(terminal, startTerminal, (next) => {
    terminal = next;
  });
  return {
    get host() {
      return host;
    },
    get terminal() {
      return terminal;
    },
    stop: async () => {
      stopping = true;
      await terminal.stop();
      await host.stop();
    },
  };
}
