/**
 * The doomed terminal as its parent holds it: starts it, orders it about, calls its local API as a till does, and sees it
 * die. Must not know what a sale is worth.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { SaleBody, StatusBody } from '../../terminal/local-api/schema.js';
import { builtFolder } from '../start-parts/process.js';

export type DoomedOrder =
  /** Starts the box; it dies at this place of what it recovers at once; null: at none. */
  | { readonly do: 'begin'; readonly place: string | null }
  /** Counts places anew, and dies at this one; null: at none. */
  | { readonly do: 'arm'; readonly place: string | null }
  | { readonly do: 'sync' }
  | { readonly do: 'backup'; readonly file: string }
  | { readonly do: 'stop' };
export interface DoomedAnswer {
  /** Of `begin`. */
  readonly localApi?: { readonly port: number; readonly tokenFile: string } | null;
  readonly error?: string;
}
export type DoomedReport = { readonly passed: string } | { readonly number: number; readonly answer: DoomedAnswer };

export interface TerminalFiles {
  readonly dataFolder: string;
  readonly configFile: string;
  readonly bootstrapFile: string;
  /** Outside the data folder: a full disk must not silence it. */
  readonly logFile: string;
  readonly environment: NodeJS.ProcessEnv;
  /** Where the phone comes to; 0: the readers that the configuration names. */
  readonly readerPort: number;
}

/** How long a start, an order or a death may take. */
const patienceMs = 30_000;

/** The box is gone: what was asked of it has no answer. */
export class Dead extends Error {
  constructor(
    readonly how: NodeJS.Signals | number | null,
    what: string,
  ) {
    super(`the box ended (${how}) before ${what}`);
  }
}

export class TerminalProcess {
  /** Places passed since the last `arm`. */
  readonly passed: string[] = [];
  readonly #orders = new Map<number, (answer: DoomedAnswer) => void>();
  #nextNumber = 1;
  #api: { readonly origin: string; readonly token: string } | null = null;
  /** Resolves with the signal or code by which it ended. */
  readonly ended: Promise<NodeJS.Signals | number | null>;

  private constructor(private readonly child: ChildProcess) {
    this.ended = once(child, 'exit').then(([code, signal]) => signal ?? code);
    child.on('message', (report: DoomedReport) => {
      if ('passed' in report) {
        this.passed.push(report.passed);
        return;
      }
      this.#orders.get(report.number)?.(report.answer);
      this.#orders.delete(report.number);
    });
  }

  /** A process that has loaded the program and opens nothing before it begins: loading is most of a start. */
  static load(files: TerminalFiles): TerminalProcess {
    const { dataFolder, configFile, bootstrapFile, readerPort, environment: env } = files;
    const log = openSync(files.logFile, 'a', 0o600);
    const script = path.join(builtFolder, 'scripts', 'kill', 'doomed-terminal-child.js');
    const words = [dataFolder, configFile, bootstrapFile, String(readerPort)];
    const child = fork(script, words, { env, stdio: ['ignore', log, log, 'ipc'] });
    closeSync(log);
    return new TerminalProcess(child);
  }

  /**
   * Starts the box. Resolves when its local API answers. `dieAt`: a place of what it recovers at once; null: none.
   * @throws Dead when it dies before it is ready
   */
  async begin(dieAt: string | null): Promise<void> {
    const { localApi } = await this.#order({ do: 'begin', place: dieAt });
    const { port = 0, tokenFile = '' } = localApi ?? {};
    this.#api = { origin: `http://127.0.0.1:${port}`, token: readFileSync(tokenFile, 'utf8').trim() };
  }

  get isAlive(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** Forgets the places passed. */
  async arm(place: string | null): Promise<void> {
    await this.#order({ do: 'arm', place });
    this.passed.length = 0;
  }

  async sync(): Promise<void> {
    await this.#order({ do: 'sync' });
  }

  /** A copy of its database. */
  async backup(file: string): Promise<void> {
    await this.#order({ do: 'backup', file });
  }

  async stop(): Promise<void> {
    if (!this.isAlive) return;
    await this.#order({ do: 'stop' });
    this.child.kill('SIGTERM');
    await this.ended;
  }

  /** From outside, as a power cut. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  startSale(reference: string, body: Readonly<Record<string, unknown>>): Promise<SaleBody> {
    return this.#call('PUT', `/v1/sales/${reference}`, body);
  }
  cancelSale(reference: string): Promise<SaleBody> {
    return this.#call('DELETE', `/v1/sales/${reference}`);
  }
  sale(reference: string): Promise<SaleBody> {
    return this.#call('GET', `/v1/sales/${reference}`);
  }
  async sales(): Promise<readonly SaleBody[]> {
    return (await this.#call<{ readonly sales: readonly SaleBody[] }>('GET', '/v1/sales?limit=50')).sales;
  }
  status(): Promise<StatusBody> {
    return this.#call('GET', '/v1/status');
  }

  /** @throws Dead when the box dies before it answers; Error with the problem when it refuses */
  async #call<T>(method: string, at: string, body?: unknown): Promise<T> {
    const { origin = '', token = '' } = this.#api ?? {};
    const request = fetch(`${origin}${at}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', connection: 'close' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }).then(async (response) => ({ ok: response.ok, answer: (await response.json()) as unknown }));
    // A connection that broke is one of a box that is dying.
    const { ok, answer } = await this.#unlessDead(
      request.catch((error: unknown) => this.#afterDeath(error)),
      `${method} ${at}`,
    );
    if (!ok) throw new Error(`${method} ${at}: ${JSON.stringify(answer)}`);
    return answer as T;
  }

  async #afterDeath(error: unknown): Promise<never> {
    await this.#unlessDead(new Promise(() => {}), `an answer (${String(error)})`);
    throw error;
  }

  async #order(order: DoomedOrder): Promise<DoomedAnswer> {
    const number = this.#nextNumber++;
    const answered = new Promise<DoomedAnswer>((resolve) => {
      this.#orders.set(number, resolve);
      this.child.send({ number, order });
    });
    const answer = await this.#unlessDead(answered, order.do);
    if (answer.error !== undefined) throw new Error(`${order.do}: ${answer.error}`);
    return answer;
  }

  async #unlessDead<T>(wanted: Promise<T>, what: string): Promise<T> {
    let cancel = (): void => {};
    const late = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited ${patienceMs / 1000} s for ${what}`)), patienceMs);
      cancel = () => clearTimeout(timer);
    });
    const dead = this.ended.then((how) => {
      throw new Dead(how, what);
    });
    try {
      return await Promise.race([wanted, dead, late]);
    } finally {
      cancel();
      dead.catch(() => {});
      late.catch(() => {});
    }
  }
}
