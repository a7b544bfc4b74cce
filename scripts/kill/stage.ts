/**
 * The stage of the kill tests: host, card in the phone and box as processes of their own around one data folder. Only the
 * box dies; the others go on. Brings sales to their end as till and member would. Must not judge what came of them.
 */
import { once } from 'node:events';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openPcscRig, type PcscRig } from '../../drivers/sim/pcscd.js';
import { PhoneControl } from '../../drivers/sim/phone/control.js';
import type { PhoneView } from '../../drivers/sim/phone/phone.js';
import { FileMemory, newPhoneState } from '../../drivers/sim/phone/phone-state.js';
import type { MemberView } from '../../host-sync/server/service/types.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import type { SaleBody } from '../../terminal/local-api/schema.js';
import { openConnection } from '../../terminal/store/connection.js';
import { createStore } from '../../terminal/store/open.js';
import type { TerminalStore } from '../../terminal/store/port.js';
import { noReserve } from '../../terminal/store/reserve.js';
import { type AdminClient, openAdminClient } from '../host/admin-client.js';
import type { HostReady } from '../start-parts/box.js';
import { startProcess } from '../start-parts/process.js';
import { HostLine } from './host-line.js';
import { Dead, TerminalProcess } from './terminal-process.js';

const memberNumber = '13800138000';
const otherNumber = '13900139000';
export const currency = 'CNY';
export const clerk = '小李';
/** How long one expected thing may take, in milliseconds. */
const patienceMs = 30_000;
/** A phone that was held to the reader for so long without an end is taken away and held there again. */
const tapPatienceMs = 4_000;
const lookEveryMs = 20;
/** Enough for every run: minor units of the member's first bill and of each coupon. */
const fundsMinor = 10_000_000;

const configText = (hostPort: number): string => `
[terminal]
siteDailyMaxMinor = ${fundsMinor}
topUpClerks = ["*"]
authorisationTimeoutMs = 2000
[sync]
hostUrl = "https://localhost:${hostPort}"
connectTimeoutMs = 2000
silenceTimeoutMs = 2000
requestTimeoutMs = 3000
backOffMinMs = 100
backOffMaxMs = 1000
[readers]
virtualReaders = true
names = ["Virtual PCD"]
`;

export interface Member {
  readonly memberCode: string;
  /** Kept at the host. */
  readonly hostCoupon: string;
  /** Kept on the card in the phone. */
  readonly cardCoupon: string;
}

/** Asks again and again until there is an answer; fails with what was waited for. */
export async function until<T>(what: string, look: () => Promise<T | null> | T | null): Promise<T> {
  const endAt = Date.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (seen !== null) return seen;
    if (Date.now() > endAt) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

/** Where the box's data lie and what its process is given besides, where that is not the stage's own. */
export interface BoxPlace {
  readonly boxFolder?: string;
  readonly environment?: NodeJS.ProcessEnv;
  readonly giveBack?: () => void;
}

export class Stage {
  /** Starts of the box so far, and taps that had to be made again. */
  boxStarts = 0;
  repeatedTaps = 0;
  /** Does the member leave the phone on the reader when the box dies? Else it is taken away. */
  phoneStays = false;
  #box: TerminalProcess | null = null;
  /** Loaded for the next start. */
  #spare: TerminalProcess | null = null;
  #references = 0;
  #member: Member | null = null;

  private constructor(
    private readonly dataFolder: string,
    /** The box's own data: database, keys, audit. */
    readonly boxFolder: string,
    private readonly environment: NodeJS.ProcessEnv,
    /** pcscd and its virtual readers; null: the phone comes to a socket. */
    readonly rig: PcscRig | null,
    readonly phoneControl: PhoneControl,
    readonly admin: AdminClient,
    readonly line: HostLine,
    /** Where phones come to. */
    private readonly port: number,
    private readonly stops: (() => Promise<unknown>)[],
  ) {}

  /**
   * Starts everything; a member with a phone, points and two coupons is there when it resolves. `prepare` gives the box a
   * folder or an environment of its own, and how that is taken back.
   */
  static async open(readers: 'pcsc' | 'socket', prepare?: (folder: string) => BoxPlace): Promise<Stage> {
    const dataFolder = mkdtempSync(path.join(tmpdir(), 'shouli-kill-'));
    const stops: (() => Promise<unknown>)[] = [async () => rmSync(dataFolder, { recursive: true, force: true })];
    try {
      const { boxFolder = dataFolder, environment = process.env, giveBack } = prepare?.(dataFolder) ?? {};
      if (giveBack) stops.push(async () => giveBack());
      const rig = readers === 'pcsc' ? await openPcscRig() : null;
      if (rig) stops.push(() => rig.close());
      const port = rig ? rig.ports[0] : await freePort();
      const hostFolder = path.join(dataFolder, 'host');
      mkdirSync(hostFolder, { mode: 0o700 });
      const phone = await startPhone(dataFolder, port, memberNumber, stops);
      const bootstrap = path.join(dataFolder, 'bootstrap.json');
      const words = ['--data-folder', hostFolder, '--realm', 'simulated', '--bootstrap-enrolment', bootstrap];
      const host = await startProcess<HostReady>(
        'host',
        'host-sync/server/main.js',
        [...words, '--port', '0', '--message-look-ms', '50'],
        path.join(dataFolder, 'host.log'),
      );
      stops.push(() => host.stop());
      const line = await HostLine.open(host.ready.port);
      stops.push(() => line.close());
      writeFileSync(path.join(dataFolder, 'shouli.toml'), configText(line.port));
      const admin = openAdminClient(hostFolder);
      stops.push(() => admin.close());
      const stage = new Stage(dataFolder, boxFolder, environment, rig, phone, admin, line, port, stops);
      stops.push(() => stage.#stopBox());
      await stage.#furnish();
      return stage;
    } catch (error) {
      for (const stop of stops.reverse()) await stop();
      throw error;
    }
  }

  async close(): Promise<void> {
    for (const stop of this.stops.reverse()) await stop();
  }

  async #stopBox(): Promise<void> {
    await this.#box?.stop();
    await this.#spare?.kill();
  }

  get box(): TerminalProcess {
    if (!this.#box) throw new Error('the box was never started');
    return this.#box;
  }
  get member(): Member {
    if (!this.#member) throw new Error('nobody is a member yet');
    return this.#member;
  }

  nextReference(): string {
    this.#references += 1;
    return `kill-${this.#references}`;
  }

  /** On the same data folder, also after a death. `dieAt`: it dies there while it recovers. @throws Dead */
  async startBox(dieAt: string | null = null): Promise<void> {
    const { boxFolder, dataFolder, environment } = this;
    this.boxStarts += 1;
    const files = {
      dataFolder: boxFolder,
      logFile: path.join(dataFolder, 'terminal.log'),
      environment,
      configFile: path.join(dataFolder, 'shouli.toml'),
      bootstrapFile: path.join(dataFolder, 'bootstrap.json'),
      readerPort: this.rig ? 0 : this.port,
    };
    const box = this.#spare ?? TerminalProcess.load(files);
    this.#spare = TerminalProcess.load(files);
    this.#box = null;
    try {
      await box.begin(dieAt);
    } catch (error) {
      // One that does not start is gone, too: it may not hold the folder.
      if (!(error instanceof Dead)) await box.kill();
      throw error;
    }
    this.#box = box;
  }

  phone(): Promise<PhoneView> {
    return this.phoneControl.request({ do: 'show' });
  }

  /** Brings a sale to its end: holds the phone to the reader whenever that is asked for. @throws Dead */
  async finish(reference: string): Promise<SaleBody> {
    let heldUntil = (await this.phone()).inField ? Date.now() + tapPatienceMs : 0;
    const ended = await until(`the end of ${reference}`, async () => {
      const sale = await this.box.sale(reference);
      if (sale.phase === 'ended') return sale;
      if (sale.phase === 'waiting' && Date.now() > heldUntil) {
        if (heldUntil > 0 && (await this.phone()).inField) this.repeatedTaps += 1;
        await this.phoneControl.request({ do: 'remove' });
        await this.phoneControl.request({ do: 'tap', until: 'result' });
        heldUntil = Date.now() + tapPatienceMs;
      }
      return null;
    });
    return ended;
  }

  /** A whole sale as till and member make it. */
  async sell(body: Readonly<Record<string, unknown>>): Promise<SaleBody> {
    const reference = this.nextReference();
    await this.box.startSale(reference, body);
    const sale = await this.finish(reference);
    await this.takePhoneAway();
    return sale;
  }

  async takePhoneAway(): Promise<void> {
    await this.phoneControl.request({ do: 'remove' });
  }

  /** The box holds a slice of this member's points or of this coupon, large enough for all sales of a run. */
  async holdAllowance(code: string): Promise<void> {
    const { terminalId } = await this.box.status();
    const half = { sharePercent: 50, pointsMax: fundsMinor, couponMinorMax: fundsMinor };
    await this.admin.call('allowance.setPolicy', half);
    await this.admin.call('allowance.grant', { terminalId, code });
    await until('the allowance', async () => {
      await this.box.sync();
      const rows = await this.lookAtRunning((store) => store.allowances());
      return (
        rows.some(({ holds, memberCode }) => code === (holds.unit === 'money' ? holds.couponCode : memberCode)) || null
      );
    });
  }

  /** Everything that the box holds reaches the host. */
  async drain(): Promise<void> {
    await until('the queue to empty', async () => {
      if ((await this.box.status()).queue.unsent === 0) return true;
      await this.box.sync();
      return null;
    });
  }

  /** The database as a dead box left it, read from a copy, so that nobody repairs it before the box does. */
  lookAtDead<T>(use: (store: TerminalStore) => T): T {
    const file = path.join(this.#lookFolder(), 'terminal.db');
    for (const side of ['', '-wal']) {
      const from = path.join(this.boxFolder, `terminal.db${side}`);
      if (existsSync(from)) copyFileSync(from, `${file}${side}`);
    }
    return readStore(file, use);
  }

  /** The running box's database, from a copy that it makes. */
  async lookAtRunning<T>(use: (store: TerminalStore) => T): Promise<T> {
    const file = path.join(this.#lookFolder(), 'terminal.db');
    await this.box.backup(file);
    return readStore(file, use);
  }

  #lookFolder(): string {
    const folder = path.join(this.dataFolder, 'look');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { mode: 0o700 });
    return folder;
  }

  async #furnish(): Promise<void> {
    const { admin } = this;
    // Before the box enrols: the site key comes with its certificate.
    await admin.call('policy.set', { siteKeyOnBoxes: true, topUpBalanceMaxMinor: 10 * fundsMinor });
    await this.startBox();
    await until('the first rules', async () => ((await this.box.status()).directivesVersion === null ? null : true));
    const memberCode = await this.#register(memberNumber);
    await this.sell({ service: 'pointsEarn', amountMinor: fundsMinor, code: memberCode, clerk });
    const hostCoupon = await this.#issue('host', memberCode);
    const cardCoupon = await this.#issue('card', memberCode);
    await until('the coupon on the card', async () => ((await this.phone()).memberships[0]?.card ? true : null));
    this.#member = { memberCode, hostCoupon, cardCoupon };
    await this.drain();
  }

  /** Calls back for each command that the phone has answered, until it is closed. */
  async followPhone(onCommand: (instruction: string) => void): Promise<() => void> {
    const follower = await PhoneControl.open(path.join(this.dataFolder, `${memberNumber}.sock`), (event) => {
      if (event.event === 'command') onCommand(event.instruction);
    });
    await follower.request({ do: 'follow' });
    return () => follower.close();
  }

  /** Another member with a phone and a coupon on its card. */
  async otherPhone(): Promise<PhoneControl> {
    const phone = await startPhone(this.dataFolder, this.port, otherNumber, this.stops);
    await this.#issue('card', await this.#register(otherNumber));
    await until('the coupon on the other card', async () =>
      (await phone.request({ do: 'show' })).memberships[0]?.card ? true : null,
    );
    return phone;
  }

  /** The merchant's message goes out, and the phone answers it with its key. */
  async #register(phone: string): Promise<string> {
    await this.admin.call('member.register', { phone, name: '王芳' });
    const { memberCode } = await until('the phone to answer with its key', async () => {
      const { rows } = await this.admin.call<{ rows: { phone: string }[] }>('member.list');
      return rows.some((row) => row.phone === phone)
        ? this.admin.call<MemberView>('member.show', { who: phone })
        : null;
    });
    return memberCode;
  }

  async #issue(holder: 'host' | 'card', member: string): Promise<string> {
    const wanted = { holder, member, currency, amountMinor: fundsMinor };
    return (await this.admin.call<{ code: string }>('coupon.issue', wanted)).code;
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** The phone as a process, which takes the host's messages as files. */
async function startPhone(
  dataFolder: string,
  port: number,
  number: string,
  stops: (() => Promise<unknown>)[],
): Promise<PhoneControl> {
  const [state, control] = [path.join(dataFolder, `${number}.json`), path.join(dataFolder, `${number}.sock`)];
  const hostMessages = path.join(dataFolder, 'host', 'messages');
  FileMemory.create(state, newPhoneState(number));
  const messages = ['--in', path.join(hostMessages, 'out'), '--out', path.join(hostMessages, 'in')];
  const words = ['serve', '--state', state, '--port', String(port), '--control', control, ...messages];
  const running = await startProcess('phone', 'scripts/phone.js', words, path.join(dataFolder, `${number}.log`));
  stops.push(() => running.stop());
  const phone = await PhoneControl.open(control);
  stops.push(async () => phone.close());
  return phone;
}

function readStore<T>(file: string, use: (store: TerminalStore) => T): T {
  const store = createStore(openConnection(file), { crypto: nativeCrypto }, noReserve);
  try {
    return use(store);
  } finally {
    store.close();
  }
}
