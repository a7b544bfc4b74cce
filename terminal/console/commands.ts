/**
 * Commands: runs one parsed command against the terminal port and prints what came of it.
 * Must not know lines, keys or PINs; log-in and log-out belong to the dialogue.
 */
import { TerminalError } from '../kernel/errors.js';
import { journalView } from '../runtime/journal-port.js';
import type { SaleView } from '../runtime/port.js';
import { aborted, type CommandContext, type CommandResult, type Output, refuse } from './command-context.js';
import { runDeviceCommand } from './device-commands.js';
import { slipLine } from './device-views.js';
import type { Command } from './grammar.js';
import { helpLines } from './help.js';
import { say } from './texts.js';
import {
  auditLines,
  eventLine,
  journalLines,
  jsonLine,
  offlineLines,
  queueLines,
  receiptLines,
  saleLines,
  salesLines,
  statusLines,
  syncLines,
  unsentLine,
} from './views.js';

/** Longest that `wait` and `--wait` watch one sale. */
const waitMostMs = 600_000;
/** Most queue rows of each kind that are fetched. */
const deadRowsMax = 20;

type Reading = Extract<Command, { name: 'status' | 'offline' | 'queue' | 'journal' | 'sales' | 'audit' | 'show' }>;
type Acting = Exclude<Command, Reading | { name: 'set-pin' | 'logout' | 'language' }>;
export type RunnableCommand = Reading | Acting;

const isReading = (command: RunnableCommand): command is Reading =>
  ['status', 'offline', 'queue', 'journal', 'sales', 'audit', 'show'].includes(command.name);

/**
 * Runs one command. Operational failures are printed with their code; anything else thrown is a bug and is thrown on.
 * @returns null, or the code of the refusal that was printed
 */
export async function runCommand(
  command: RunnableCommand,
  context: CommandContext,
  output: Output,
): Promise<CommandResult> {
  try {
    return isReading(command) ? read(command, context, output) : await act(command, context, output);
  } catch (error) {
    if (error instanceof TerminalError) return refuse(output, error.code, error.detail);
    throw error;
  }
}

function read(command: Reading, context: CommandContext, output: Output): CommandResult {
  const { port, currency, language } = context;
  const show = (value: unknown, lines: () => string[]): null => {
    output.print(command.json ? [jsonLine(value)] : lines());
    return null;
  };
  switch (command.name) {
    case 'status': {
      const status = port.status();
      return show(status, () => statusLines(status, port.devices(), currency, language));
    }
    case 'offline': {
      const view = port.offline();
      return show(view, () => offlineLines(view, currency, language));
    }
    case 'queue': {
      const { gauges, unsent, dead } = port.queue(command.limit);
      const sync = port.status().sync;
      const shown = { gauges, unsent: unsent.map(journalView), dead: dead.slice(0, deadRowsMax).map(journalView) };
      return show({ ...shown, sync }, () => queueLines(shown, sync, currency, language));
    }
    case 'journal': {
      const entries = port.journal(command.limit, null).map(journalView);
      return show(entries, () => journalLines(entries, currency, language));
    }
    case 'sales': {
      const sales = port.sales(command.limit, null);
      return show(sales, () => salesLines(sales, language));
    }
    case 'audit': {
      const entries = port.audit(command.limit);
      return show(entries, () => auditLines(entries, language));
    }
    case 'show': {
      const sale = port.sale(command.id);
      if (!sale) return refuse(output, 'sale.unknown', command.id);
      return show(sale, () => saleLines(sale, language));
    }
  }
}

async function printCopy(
  id: string,
  { port, language, actor }: CommandContext,
  output: Output,
): Promise<CommandResult> {
  const printed = await port.printCopy(id);
  if (!printed.ok) return refuse(output, printed.error.code, printed.error.detail);
  port.recordAudit(actor, 'receipt.copy', `${id} ${printed.value.device ?? ''} ${printed.value.printed}`);
  output.print([slipLine(printed.value, language)]);
  return 'error' in printed.value ? refuse(output, printed.value.error.code, printed.value.error.detail) : null;
}

async function act(command: Acting, context: CommandContext, output: Output): Promise<CommandResult> {
  const { port, language, actor } = context;
  switch (command.name) {
    case 'help':
      output.print(helpLines(command.topic));
      return null;
    case 'sale':
      return startSale(command, context, output);
    case 'wait':
      return watch(command.id, context, output);
    case 'cancel':
      return cancel(command.id, context, output);
    case 'receipt': {
      const sale = port.sale(command.id);
      if (!sale) return refuse(output, 'sale.unknown', command.id);
      if (command.print) return printCopy(sale.transactionId, context, output);
      output.print(receiptLines(sale, language));
      if (sale.receipt.length > 0) port.recordAudit(actor, 'receipt.copy', sale.transactionId);
      return null;
    }
    case 'sync':
      return syncNow(command.watch, context, output);
    case 'device':
      return runDeviceCommand(command, context, output);
    case 'allowance':
      return allowance(command, context, output);
    case 'backup':
      await port.backup(command.file);
      port.recordAudit(actor, 'store.backup', command.file);
      output.print([say(language, 'backup.done') + command.file]);
      return null;
    case 'follow':
      await follow(context, output);
      return null;
  }
}

/** One round with the host at once; watched: with what is still unsent, as it becomes less. */
async function syncNow(watched: boolean, { port, language, currency }: CommandContext, output: Output) {
  let shown = -1;
  const show = (): void => {
    const { queue } = port.status();
    if (queue.unsent === shown || !output.ready()) return;
    shown = queue.unsent;
    output.print([unsentLine(queue, currency, language)]);
  };
  const round = port.syncNow();
  if (watched) {
    output.print([say(language, 'sync.watching')]);
    show();
    const signal = output.untilKey();
    const stop = port.follow(null, (numbered) => {
      if (numbered?.event.type === 'sync') show();
    });
    try {
      if ((await Promise.race([round, aborted(signal)])) === null) {
        output.print([say(language, 'sync.goesOn')]);
        return null;
      }
    } finally {
      stop();
    }
    show();
  }
  const sync = await round;
  output.print(syncLines(sync, language));
  return sync.lastError ? refuse(output, sync.lastError.code, sync.lastError.detail) : null;
}

async function allowance(
  { wish, target }: Extract<Command, { name: 'allowance' }>,
  { port, language, actor }: CommandContext,
  output: Output,
): Promise<CommandResult> {
  if (wish === 'return') {
    if (!port.giveBackAllowance(target)) return refuse(output, 'allowance.unknown', target);
    port.recordAudit(actor, 'allowance.return', target);
    output.print([say(language, 'allowance.returned')]);
    return null;
  }
  const asked = await port.requestAllowance({ reason: 'checkIn', code: target });
  if (!asked.ok) return refuse(output, asked.error.code, asked.error.detail);
  const { granted, refusedBecause } = asked.value;
  if (refusedBecause) return refuse(output, refusedBecause, target);
  port.recordAudit(actor, 'allowance.request', `${granted} for ${target}`);
  output.print([`${say(language, 'allowance.granted')}${granted}`]);
  return null;
}

async function startSale(
  command: Extract<Command, { name: 'sale' }>,
  context: CommandContext,
  output: Output,
): Promise<CommandResult> {
  const { port, language, actor } = context;
  const started = await port.startSale(command.sale);
  if (!started.ok) return refuse(output, started.error.code, started.error.detail);
  const sale = started.value;
  port.recordAudit(actor, `sale.${sale.service}`, `${sale.transactionId} for clerk ${sale.clerk}`);
  output.print(saleLines(sale, language));
  if (sale.phase === 'ended') return ended(sale);
  return command.wait ? watch(sale.transactionId, context, output) : null;
}

async function cancel(id: string | null, context: CommandContext, output: Output): Promise<CommandResult> {
  const { port, language, actor } = context;
  const target = id ?? port.status().sale?.transactionId;
  if (target === undefined) return refuse(output, 'sale.unknown');
  const cancelled = await port.cancelSale(target);
  if (!cancelled.ok) return refuse(output, cancelled.error.code, cancelled.error.detail);
  port.recordAudit(actor, 'sale.cancel', cancelled.value.transactionId);
  output.print(saleLines(cancelled.value, language));
  return null;
}

/** A sale that was not accepted is a refusal too, whose text the view has shown. */
const ended = (sale: SaleView): CommandResult =>
  sale.outcome && sale.outcome.result !== 'accepted' ? sale.outcome.code : null;

async function watch(id: string, context: CommandContext, output: Output): Promise<CommandResult> {
  const { port, language } = context;
  const sale = port.sale(id);
  if (!sale) return refuse(output, 'sale.unknown', id);
  let last = sale;
  if (sale.phase !== 'ended') {
    output.print([say(language, 'wait.begin')]);
    const signal = output.untilKey();
    const stop = port.follow(null, (numbered) => {
      const event = numbered?.event;
      if (event?.type === 'sale' && event.sale.transactionId === sale.transactionId && output.ready())
        output.print([eventLine(event, language)]);
    });
    try {
      last = (await Promise.race([port.saleEnded(id, waitMostMs), aborted(signal)])) ?? port.sale(id) ?? sale;
    } finally {
      stop();
    }
  }
  if (last.phase !== 'ended') {
    output.print([say(language, 'wait.stopped')]);
    return null;
  }
  output.print(saleLines(last, language));
  return ended(last);
}

async function follow({ port, language }: CommandContext, output: Output): Promise<void> {
  output.print([say(language, 'follow.begin')]);
  let skipped = false;
  const stop = port.follow(null, (numbered) => {
    if (!output.ready()) {
      skipped = true;
      return;
    }
    const lines = skipped ? [say(language, 'follow.skipped')] : [];
    skipped = false;
    lines.push(numbered ? eventLine(numbered.event, language) : say(language, 'follow.reset'));
    output.print(lines);
  });
  try {
    await aborted(output.untilKey());
  } finally {
    stop();
  }
}
