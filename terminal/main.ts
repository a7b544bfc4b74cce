/**
 * The terminal process. A sale's whole course: a command from till, console or scanner (step 6) becomes a priced request
 * (runtime/sale-desk.ts), the acceptance machine decides step by step (core/transition.ts), the runner performs its effects,
 * persist first (runtime/sale-runner.ts), cards answer through runtime/card-links.ts, and what was decided goes to the host
 * from the outbox (host-sync/client). Must hold no rule of its own.
 */
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Config } from '../config/schema.js';
import type { Driver, Schedule } from '../drivers/contract/driver.js';
import type { MakerKey } from '../drivers/protocols/originality/originality.js';
import { createDrivers, lookForUnclaimed } from '../drivers/registry.js';
import { MessageSpool } from '../host-sync/spool/message-spool.js';
import { spoolFiles } from '../host-sync/spool/spool-files.js';
import { startConsole } from './console/start.js';
import type { Effect } from './core/effect.js';
import { TerminalError } from './kernel/errors.js';
import {
  nativeClock,
  nativeCrypto,
  nativeIds,
  nativeKeyAgreement,
  nativeRandom,
  nativeWalletCrypto,
} from './kernel/native.js';
import type { WallMs } from './kernel/units.js';
import { HostConnection } from './runtime/host-link.js';
import { openSnapshotSocket } from './runtime/snapshot-socket.js';
import { chipMakers, type Originality } from './runtime/tags.js';
import { Terminal } from './runtime/terminal.js';
import { startUpkeep } from './runtime/upkeep.js';
import { walletSettings } from './runtime/wallet-settings.js';
import { openTerminalStore } from './store/open.js';

export interface TerminalStart {
  readonly dataFolder: string;
  readonly config: Config;
  /** Simulated boxes have a realm, a data folder and a host of their own. */
  readonly simulated: boolean;
  readonly version: string;
  /** Where the embedded host left code, fingerprint and port; empty: no embedded host. */
  readonly bootstrapFile: string;
  /** Whose signature on a tag counts beside NXP's: the simulator's. Left aside on a real box. */
  readonly simulatedMaker?: MakerKey;
  /** Instead of those the configuration names; for tests. */
  readonly drivers?: readonly Driver[];
  /** A broken invariant or a bug: the caller ends the process, and the next start recovers. */
  readonly crashed: (error: unknown) => void;
  readonly watch?: (moment: 'before' | 'after', effect: Effect) => void;
}

export interface RunningTerminal {
  readonly terminal: Terminal;
  readonly localApi: { readonly port: number; readonly tokenFile: string } | null;
  readonly consoleSocket: string | null;
  /** Drawn at the first start, to be shown once. */
  readonly firstPin: string | null;
  stop(): Promise<void>;
}

const walletCrypto = { ...nativeCrypto, ...nativeKeyAgreement, ...nativeWalletCrypto };
const schedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** What a modem carries messages for: the host beside this box, whose folder it shares. */
function messagesOf({ host }: Config, dataFolder: string) {
  const folder = host.messageFolder || path.join(dataFolder, 'host', 'messages');
  return {
    ownNumber: host.merchantNumber,
    homePrefix: host.homeNumberPrefix,
    openSpool: () => new MessageSpool(folder, spoolFiles, nativeClock),
  };
}

/** How tags' chips are asked, as far as the merchant wants it. */
async function originalityOf({ config, simulated, simulatedMaker }: TerminalStart): Promise<Originality | null> {
  const mode = config.tags.originality;
  if (mode === 'off') return null;
  const { nativeChipCrypto } = await import('./kernel/native-chip.js');
  return { mode, makers: chipMakers(simulated, simulatedMaker ?? null), crypto: nativeChipCrypto };
}

export async function startTerminal(start: TerminalStart): Promise<RunningTerminal> {
  const { config, dataFolder } = start;
  mkdirSync(dataFolder, { recursive: true, mode: 0o700 });

  // 1. What the box remembers: journal, outbox, sales, settings.
  const store = openTerminalStore({ file: path.join(dataFolder, 'terminal.db'), crypto: nativeCrypto });

  // 2. The host, over mutual TLS; enrolment and renewal go on by themselves.
  const host = new HostConnection({
    store,
    schedule,
    clock: nativeClock,
    random: nativeRandom,
    onStatus: () => terminal.syncChanged(),
    onWaiting: (refusal) => terminal.setWaiting(refusal),
    options: {
      ...config.sync,
      keysFolder: path.join(dataFolder, 'keys'),
      realm: start.simulated ? 'simulated' : 'real',
      bootstrapFile: start.bootstrapFile,
      limits: { ...config.sync, pageSize: config.sync.batchRecords },
    },
  });

  // 3. The devices that the configuration names or that are plugged in.
  const drivers =
    start.drivers ??
    createDrivers(config, {
      clock: nativeClock,
      random: nativeRandom,
      schedule,
      messages: messagesOf(config, dataFolder),
    });

  // 4. The box itself: sale desk, acceptance machine, card links.
  const terminal = new Terminal({
    store,
    host,
    drivers,
    unclaimed: (claimed) => lookForUnclaimed(config, claimed),
    schedule,
    crypto: nativeCrypto,
    clock: nativeClock,
    random: nativeRandom,
    ids: nativeIds,
    siteKey: () => host.siteKey,
    wallets: { settings: walletSettings(config.wallet), crypto: walletCrypto },
    originality: await originalityOf(start),
    options: { ...config.terminal, simulated: start.simulated },
    version: start.version,
    crashed: start.crashed,
    receiptQr: config.printers.qr === '' ? null : config.printers.qr,
    relayOpensOn: config.relays.opensOn,
    watch: start.watch,
  });

  // 5. Settle what the last stop interrupted, meet the host, open the devices.
  terminal.settleAlone();
  await host.start();
  await terminal.start();

  // 6. Who may ask for sales: the till by the local API, the technician by the console.
  const localApi = config.localApi.enabled
    ? // Loaded here: its libraries are a third of the box's memory, and a box without a till needs none of them.
      await (await import('./local-api/server.js')).startLocalApi({
        port: terminal,
        random: nativeRandom,
        schedule,
        listenPort: config.localApi.port,
        allowedOrigins: config.localApi.allowedOrigins,
        tokenFile: path.join(dataFolder, 'till-token'),
        onBug: start.crashed,
      })
    : null;
  const console = await startConsole({
    port: terminal,
    random: nativeRandom,
    clock: nativeClock,
    schedule,
    currency: () => store.directives()?.rules.currency ?? 'CNY',
    language: config.console.language,
    idleMs: config.console.idleMinutes * 60_000,
    socketFile: config.console.socket ? path.join(dataFolder, 'console.sock') : null,
    serial: config.console.serialPath ? { path: config.console.serialPath, baud: config.console.serialBaud } : null,
    onSerialState: (open, detail) => {
      try {
        terminal.recordAudit('console', open ? 'serial line opened' : 'serial line lost', detail);
      } catch (error) {
        // A line that comes and goes while the disk is full must not end the box.
        if (!(error instanceof TerminalError)) throw error;
      }
    },
    onBug: start.crashed,
  });

  // 7. Backups of the running box, and upkeep in small slices while no sale is open.
  const closeSnapshots = await openSnapshotSocket({ dataFolder, backup: (file) => store.backup(file) });
  const endUpkeep = startUpkeep({
    schedule,
    isBusy: () => terminal.status().sale !== null,
    maintain: () => {
      terminal.upkeep();
      store.maintain(nativeClock.wallMs() as WallMs, terminal.status().clockDoubtful);
    },
  });

  return {
    terminal,
    localApi,
    consoleSocket: config.console.socket ? path.join(dataFolder, 'console.sock') : null,
    firstPin: console.firstPin,
    stop: async () => {
      endUpkeep();
      await console.close();
      await localApi?.close();
      await closeSnapshots();
      await terminal.stop();
      await host.stop();
      store.close();
    },
  };
}
