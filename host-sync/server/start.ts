/**
 * Starting a host: opens keys, store and messages, serves terminals and administration, and stops in the reverse order.
 * Must hold no rule of its own; the numbered steps of startHost are all there is.
 */
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import type { Logger } from 'pino';
import { TerminalError } from '../../terminal/kernel/errors.js';
import {
  nativeClock,
  nativeCrypto,
  nativeKeyAgreement,
  nativeRandom,
  nativeWalletCrypto,
} from '../../terminal/kernel/native.js';
import type { Clock } from '../../terminal/kernel/ports.js';
import type { Currency } from '../../terminal/kernel/units.js';
import { currencies } from '../../terminal/kernel/units.js';
import { MessageSpool } from '../spool/message-spool.js';
import { createCommands } from './admin/commands.js';
import { isSocketAnswering, openAdminSocket } from './admin/server.js';
import { hostLayout } from './backup.js';
import { collectorKey } from './collector-key.js';
import { createHost, type Host, type Realm } from './host.js';
import { createTerminalServer, type TerminalServerLimits } from './http/server.js';
import { openLogger } from './logger.js';
import { openFileMessages } from './messages/file-adapter.js';
import { openPendingRegistrations } from './messages/pending-registrations.js';
import type { MessagePort, Schedule } from './messages/port.js';
import { openRefresh, type Refresh } from './messages/refresh.js';
import { createRegistration } from './messages/registration.js';
import type { SmppCarrier } from './messages/smpp/carrier.js';
import { openSmpp } from './messages/smpp/open.js';
import { hostOptions } from './options.js';
import { fingerprintOf, openAuthority } from './pki/authority.js';
import { ensurePrivateFolder, flushFolder, writePrivateFile } from './pki/key-files.js';
import type { HostStore } from './storage/port.js';
import { openSqliteStore } from './storage/sqlite.js';
import { tagOpener } from './tag-keys.js';
import { type HostVault, openVault } from './vault.js';
import { passOpener } from './wallet-keys.js';
import { createMemberPagesServer } from './web/server.js';

const dayMs = 86_400_000;
/** How often open reservations and expired coupons are looked at. */
export const expiryEveryMs = 5_000;
/** How often members who usually come are given their allowances. */
const offerEveryMs = 10 * 60_000;
/** How often content packages are looked at. */
const refreshEveryMs = 5_000;
const bootstrapCodeMs = 15 * 60_000;

export type HostRow = (typeof hostOptions)[number];
/** Values of hostOptions by key. */
export type HostSettings = {
  readonly [Row in HostRow as Row['key']]: Row['type'] extends 'integer'
    ? number
    : Row['type'] extends 'list'
      ? readonly string[]
      : string;
};

export const hostSettingsDefault = Object.fromEntries(
  hostOptions.map((row) => [row.key, row.default]),
) as unknown as HostSettings;

export interface StartOptions extends Partial<HostSettings> {
  readonly dataFolder: string;
  /** Stamped on a new data folder; a folder of the other realm is refused. */
  readonly realm: Realm;
  /** A file (0600) that gets `{code, authorityFingerprint, port}` in JSON, for a terminal on the same machine. */
  readonly bootstrapEnrolment?: string;
  /** For tests; the real ones otherwise. */
  readonly clock?: Clock;
  readonly schedule?: Schedule;
  readonly logger?: Logger;
  readonly limits?: Partial<TerminalServerLimits>;
}

export interface RunningHost {
  readonly port: number;
  /** Of the members' pages; null: there are none. */
  readonly pagesPort: number | null;
  readonly adminSocket: string;
  /** Finishes what is under way and closes. Idempotent. */
  stop(): Promise<void>;
}

const nativeSchedule: Schedule = (delayMs, run) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** Runs a task again and again, each time after the one before has ended. @returns how to stop it */
function repeat(
  schedule: Schedule,
  everyMs: number,
  task: () => Promise<unknown>,
  onError: (error: unknown) => void,
): () => Promise<void> {
  let cancel = (): void => {};
  let running: Promise<unknown> = Promise.resolve();
  let stopped = false;
  const next = (): void => {
    cancel = schedule(everyMs, () => {
      running = task()
        .catch(onError)
        .finally(() => {
          if (!stopped) next();
        });
    });
  };
  next();
  return async () => {
    stopped = true;
    cancel();
    await running;
  };
}

/** Rules and merchant of a store that has none: 1 point a whole unit of money, 100 points pay one. */
async function publishFirstRules(host: Host, settings: HostSettings): Promise<void> {
  if (await host.rules.current()) return;
  const currency = settings.currency as Currency;
  const unitMinor = 10 ** currencies[currency].exponent;
  await host.rules.setMerchant(settings.merchant, settings.location);
  const published = await host.rules.publish({
    currency,
    earnPoints: 1,
    earnPerMinor: unitMinor,
    spendMinor: unitMinor,
    spendPerPoints: 100,
    couponPartial: false,
  });
  if (!published.ok) throw new TerminalError(published.error.code, published.error.detail);
}

function checkSettings(settings: HostSettings): void {
  const wrong: string[] = [];
  for (const row of hostOptions) {
    const value = settings[row.key];
    const form = 'form' in row ? row.form : null;
    const texts = (Array.isArray(value) ? value : [value]).filter((text) => text !== row.default);
    if (form && !texts.every((text) => form.pattern.test(String(text)))) wrong.push(`${row.key}: ${form.says}`);
    if (
      row.type === 'integer' &&
      !(Number.isSafeInteger(value) && Number(value) >= row.min && Number(value) <= row.max)
    )
      wrong.push(`${row.key}: ${row.min} to ${row.max}`);
    if (row.type === 'choice' && !row.choices.some((choice) => choice === value))
      wrong.push(`${row.key}: ${row.choices.join(', ')}`);
  }
  if (wrong.length > 0) throw new TerminalError('config.invalid', wrong.join('; '));
}

interface Opened {
  readonly host: Host;
  readonly store: HostStore;
  readonly vault: HostVault;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly logger: Logger;
  readonly settings: HostSettings;
}

/** Messages to and from phones, what registers their keys, and what keeps their content fresh. */
async function openMessages(options: StartOptions, { host, store, vault, clock, schedule, logger, settings }: Opened) {
  const folder = settings.messageFolder || path.join(options.dataFolder, hostLayout.messages);
  const port = openFileMessages({
    folder,
    ownNumber: settings.merchantNumber,
    schedule,
    lookEveryMs: settings.messageLookMs,
    clock,
  });
  const refresh: Refresh = await openRefresh({
    host,
    store,
    port,
    vault,
    crypto: nativeCrypto,
    agreement: nativeKeyAgreement,
    signP256: nativeWalletCrypto.signP256,
    random: nativeRandom,
    clock,
    delayMs: settings.refreshDelayMinutes * 60_000,
  });
  const registration = createRegistration({
    host,
    port,
    refresh,
    pending: openPendingRegistrations(path.join(options.dataFolder, hostLayout.keys)),
    vault,
    crypto: nativeCrypto,
    agreement: nativeKeyAgreement,
    random: nativeRandom,
    clock,
    merchantId: settings.merchantId,
    tokenValidMs: settings.registrationHours * 3_600_000,
    memberKeyOf: async (keyId) => {
      const row = await store.read(
        (need) => {
          need.get('memberKey', keyId);
        },
        (facts) => facts.get('memberKey', keyId),
      );
      return row?.kind === 'phone' && row.state === 'active' ? vault.unwrap(row.wrapped) : null;
    },
  });
  return { port, registration, refresh, carrier: openCarrier(folder, { clock, schedule, logger, settings }) };
}

/** What carries the messages in the folder; null: nothing on this machine, or a box's modem. */
function openCarrier(
  folder: string,
  { clock, schedule, logger, settings }: Pick<Opened, 'clock' | 'schedule' | 'logger' | 'settings'>,
): SmppCarrier | null {
  if (settings.smppHost === '') return null;
  const files = { ensureFolder: ensurePrivateFolder, write: writePrivateFile, flushFolder };
  return openSmpp(settings, { spool: new MessageSpool(folder, files, clock), schedule, logger });
}

function readPem(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TerminalError('config.invalid', `${file}: ${(error as NodeJS.ErrnoException).code ?? 'cannot be read'}`);
  }
}

/** The members' pages; null where the merchant wants none. @returns their port and how to close them */
async function openPages(
  { host, schedule, logger, settings }: Opened,
  messages: MessagePort,
): Promise<{ readonly port: number; readonly close: () => Promise<void> } | null> {
  const { pagesPort, pagesAddress, pagesNames, pagesCertificate, pagesKey } = settings;
  if (pagesPort === 0) return null;
  if ((pagesCertificate === '') !== (pagesKey === ''))
    throw new TerminalError('config.invalid', 'pagesCertificate and pagesKey go together');
  const server = await createMemberPagesServer({
    pages: host.pages,
    messages,
    schedule,
    logger,
    hostNames: pagesNames,
    tls: pagesKey === '' ? null : { certificate: readPem(pagesCertificate), key: readPem(pagesKey) },
    secure: pagesKey !== '' || pagesNames.length > 0,
  });
  return { port: await server.listen(pagesPort, pagesAddress), close: () => server.close() };
}

/** A snapshot that a backup did not take away was left by a crash. */
function clearSnapshots(folder: string): void {
  ensurePrivateFolder(folder);
  for (const name of readdirSync(folder)) rmSync(path.join(folder, name), { force: true });
}

/**
 * Starts the host. Throws TerminalError: `config.invalid` (settings, keys, another host on the folder),
 * `record.wrongRealm`, `store.*`; system errors of listening as they are.
 */
export async function startHost(options: StartOptions): Promise<RunningHost> {
  // 1. Settings, and nobody else on this folder.
  const settings: HostSettings = { ...hostSettingsDefault, ...options };
  checkSettings(settings);
  const {
    clock = nativeClock,
    schedule = nativeSchedule,
    logger = openLogger(settings.logLevel),
    dataFolder,
  } = options;
  ensurePrivateFolder(dataFolder);
  const adminSocket = path.join(dataFolder, hostLayout.adminSocket);
  if (await isSocketAnswering(adminSocket))
    throw new TerminalError('config.invalid', 'another host runs on this data folder');
  const closers: (() => Promise<void>)[] = [];
  let stopping: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const close of closers.reverse()) await close();
    })();
    return stopping;
  };
  try {
    // 2. Keys: authority and server certificate, vault.
    const database = path.join(dataFolder, hostLayout.database);
    const keys = path.join(dataFolder, hostLayout.keys);
    const deviceValidMs = settings.certificateDays * dayMs;
    const authority = openAuthority({
      folder: keys,
      clock,
      random: nativeRandom,
      hostNames: settings.hostNames,
      deviceValidMs,
    });
    const vault = openVault(keys, nativeKeyAgreement, !existsSync(database));
    const openApple = passOpener(settings.walletKeyFiles);
    const collector = collectorKey(settings, vault);
    // 3. Store and host.
    const store = openSqliteStore(database);
    closers.push(() => store.close());
    const host = await createHost({
      store,
      crypto: nativeCrypto,
      random: nativeRandom,
      clock,
      vault,
      realm: options.realm,
      merchantId: settings.merchantId,
      soon: (task) => void setImmediate(task),
      sign: (data) => authority.sign(data),
      openPass: (pass) => (pass.method === 'sealedPass' ? openApple(pass) : collector.open(pass)),
      signSmartTap: collector.sign,
      signatureAsked: ({ code, ...asked }) =>
        code === null
          ? logger.info({ ...asked, outcome: 'signed' }, 'asked to sign a Smart Tap session')
          : logger.warn({ ...asked, outcome: 'refused', code }, 'asked to sign a Smart Tap session'),
      openTag: tagOpener(settings.tagKeyFiles),
    });
    await publishFirstRules(host, settings);
    // 4. Messages and registration.
    const opened = { host, store, vault, clock, schedule, logger, settings };
    const { port: messages, registration, refresh, carrier } = await openMessages(options, opened);
    messages.start((message) => registration.handle(message));
    closers.push(() => messages.stop());
    if (carrier) {
      carrier.start();
      closers.push(() => carrier.stop());
    }
    // 5. Reservations and coupons that run out.
    const onError = (error: unknown): void => logger.error({ err: error }, 'expiry failed');
    closers.push(repeat(schedule, expiryEveryMs, () => host.expire(), onError));
    const onOfferError = (error: unknown): void => logger.error({ err: error }, 'allowances failed');
    closers.push(repeat(schedule, offerEveryMs, () => host.allowances.offer(), onOfferError));
    const onRefreshError = (error: unknown): void => logger.error({ err: error }, 'content packages failed');
    closers.push(repeat(schedule, refreshEveryMs, () => refresh.work(), onRefreshError));
    // 6. Administration.
    const snapshotFolder = path.join(dataFolder, hostLayout.snapshots);
    clearSnapshots(snapshotFolder);
    const startedAtMs = clock.wallMs();
    let port = 0;
    const facts = () => ({
      realm: options.realm,
      port,
      startedAtMs,
      authority: fingerprintOf(authority.certificate),
      merchantId: settings.merchantId,
      messages: { ...messages.counters },
      smsCentre: carrier && { ...carrier.counters },
    });
    const commands = createCommands({ host, registration, refresh, clock, snapshotFolder, facts });
    closers.push(await openAdminSocket(adminSocket, commands, logger));
    // 7. Terminals.
    const server = await createTerminalServer({
      host,
      authority,
      clock,
      logger,
      schedule,
      ...(options.limits ? { limits: options.limits } : {}),
    });
    closers.push(() => server.close());
    port = await server.listen(settings.port, settings.listenAddress);
    // 8. The members' pages.
    const pages = await openPages(opened, messages);
    if (pages) closers.push(pages.close);
    // 9. A code for the terminal beside this host.
    if (options.bootstrapEnrolment) {
      const { code } = await host.terminals.drawEnrolmentCode('embedded', bootstrapCodeMs);
      const authorityFingerprint = fingerprintOf(authority.certificate);
      writePrivateFile(options.bootstrapEnrolment, `${JSON.stringify({ code, authorityFingerprint, port })}\n`);
    }
    logger.info({ port, realm: options.realm }, 'host is ready');
    return { port, pagesPort: pages?.port ?? null, adminSocket, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
