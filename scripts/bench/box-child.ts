/**
 * The box that is measured: the shipped startTerminal with a driver whose events the bench makes, in a process of its own.
 * Takes orders over the process channel, one at a time, and reports times, bytes and flushes. Must judge nothing.
 *
 * box-child <data folder> <bootstrap file> <member’s code>
 */
import { readFileSync } from 'node:fs';
import { loadConfig } from '../../config/load.js';
import type { Effect } from '../../terminal/core/effect.js';
import { nativeIds } from '../../terminal/kernel/native.js';
import type { AmountMinor } from '../../terminal/kernel/units.js';
import { startTerminal } from '../../terminal/main.js';
import type { SaleCommand, ServiceCommand } from '../../terminal/runtime/port.js';
import type { BoxOrder, BoxReport } from './box.js';
import { BenchDriver, type HeldCard, present } from './card-in-process.js';
import { openRawLimits } from './raw-limits.js';
import { nextScreenCode, openTapMethods, type TapMethodRun, tapMethods } from './tap-methods.js';

const [dataFolder = '', bootstrapFile = '', memberCode = ''] = process.argv.slice(2);
const methods = openTapMethods(dataFolder, memberCode);
const loaded = loadConfig(`[console]\nsocket = false\n[localApi]\nenabled = false\n${methods.toml}\n`);
if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
const endTimeoutMs = 10_000;
const amountMinor = 30_000 as AmountMinor;
const lookEveryMs = 5;

const driver = new BenchDriver();
const raw = openRawLimits(dataFolder);
let committedAt = 0;
const running = await startTerminal({
  dataFolder,
  config: loaded.value,
  simulated: true,
  version: 'bench',
  bootstrapFile,
  drivers: [driver],
  crashed: (error) => {
    process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
    process.exit(70);
  },
  watch: (moment: 'before' | 'after', effect: Effect) => {
    if (moment === 'after' && effect.type === 'persist') committedAt = performance.now();
  },
});
const { terminal } = running;

const commandOf = (command: ServiceCommand): SaleCommand => ({
  command,
  purchase: { amountMinor },
  reference: `bench-${nativeIds.transactionId()}`,
  clerk: 'bench',
  origin: 'till',
});

/** A sale to its end; `act` is what the member does once it waits, `code` what was typed beforehand. @returns ms from `act` (or the request) to the commit */
async function accept(service: ServiceCommand, act: (() => () => number) | null, code?: string): Promise<number> {
  const asked = { ...commandOf(service), ...(code !== undefined && { code }) };
  let startedAt = performance.now();
  const started = await terminal.startSale(asked);
  if (!started.ok) throw new Error(`${started.error.code} ${started.error.detail}`);
  let cardMs = (): number => 0;
  if (act) {
    startedAt = performance.now();
    cardMs = act();
  }
  const { value: view } = started;
  const ended = view.phase === 'ended' ? view : await terminal.saleEnded(view.transactionId, endTimeoutMs);
  if (ended?.outcome?.result !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(ended?.outcome)}`);
  return committedAt - startedAt - cardMs();
}

const tap = (card: HeldCard) => (): (() => number) => {
  const link = present(card);
  driver.report({ type: 'cardPresented', device: 'bench', link });
  return link.cardMs;
};
const scan = (code: () => string) => (): (() => number) => {
  driver.report({ type: 'codeScanned', device: 'bench', code: code(), aim: null });
  return () => 0;
};
const timed = (act: () => void) => async (): Promise<number> => {
  const startedAt = performance.now();
  act();
  return performance.now() - startedAt;
};
const earn = { service: 'pointsEarn' } as const;
const unsent = (): number => terminal.status().queue.unsent;

/** Has the queue sent until `isFar` says so. */
async function syncUntil(isFar: () => boolean): Promise<number> {
  const startedAt = performance.now();
  while (!isFar()) {
    void terminal.syncNow();
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  return performance.now() - startedAt;
}
const taps = Object.fromEntries(
  Object.keys(tapMethods).map((name) => [name, () => accept(earn, tap(methods.cards[name as TapMethodRun]))]),
) as { readonly [Name in TapMethodRun]: () => Promise<number> };
const runs: { readonly [Name in BoxOrder['run']]: () => Promise<number> } = {
  plain: () => accept({ service: 'plainSale' }, null),
  code: () =>
    accept(
      earn,
      scan(() => memberCode),
    ),
  screenCode: () => accept(earn, scan(nextScreenCode)),
  phoneNumber: () => accept(earn, null, '13800000000'),
  ...taps,
  flush: timed(raw.flush),
  threeStatements: timed(raw.threeStatements),
  oneRow: timed(raw.oneRow),
  drain: () => syncUntil(() => unsent() === 0),
  beginDrain: () => {
    const before = unsent();
    return syncUntil(() => unsent() < before);
  },
};

/** Bytes that this process gave to write calls, and flushes where the shim counts them. */
function spent(): { readonly bytes: number; readonly flushes: number | null } {
  const bytes = Number(/wchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1] ?? Number.NaN);
  const counter = process.env['SHOULI_BENCH_FLUSHES'];
  return { bytes, flushes: counter ? Number(readFileSync(counter).readBigUInt64LE()) : null };
}

async function obey({ run, count }: BoxOrder): Promise<BoxReport> {
  const samplesMs: number[] = [];
  const before = spent();
  const unsentBefore = unsent();
  const startedAt = performance.now();
  for (let done = 0; done < count; done++) samplesMs.push(await runs[run]());
  const elapsedMs = performance.now() - startedAt;
  const after = spent();
  const flushes = before.flushes === null || after.flushes === null ? null : after.flushes - before.flushes;
  return { samplesMs, elapsedMs, bytes: after.bytes - before.bytes, flushes, unsentBefore, unsentAfter: unsent() };
}

process.on('message', (order: BoxOrder | 'rules' | 'stop') => {
  if (order === 'rules') process.send?.(terminal.status().directivesVersion !== null);
  else if (order === 'stop') {
    void running.stop().then(() => {
      raw.close();
      process.exit(0);
    });
  } else {
    obey(order).then(
      (report) => process.send?.(report),
      (error: unknown) => process.send?.({ error: String(error) }),
    );
  }
});
process.on('disconnect', () => process.exit(0));
process.send?.('ready');
