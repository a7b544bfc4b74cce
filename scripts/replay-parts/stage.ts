/**
 * The stage of a replay: a host and a box as processes of their own in a data folder of its own, GBP, simulated realm.
 * Must not sell; play.ts does.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type AdminClient, openAdminClient } from '../host/admin-client.js';
import { startProcess } from '../start-parts/process.js';
import { openTill, type Till } from './till.js';

export interface Stage {
  readonly till: Till;
  readonly admin: AdminClient;
  /** The box's database, to be opened once the box has stopped. */
  readonly terminalFile: string;
  stopTerminal(): Promise<void>;
  /** Ends everything and removes the folder. */
  close(): Promise<void>;
}

const patienceMs = 60_000;
const lookEveryMs = 50;

/** Looks again and again; throws with what was waited for when it does not come. */
export async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const endAt = Date.now() + patienceMs;
  while (!(await look())) {
    if (Date.now() > endAt) throw new Error(`waited ${patienceMs / 1000} s for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
}

/** Starts host and box and waits until the box may sell. Rejects when one of them does not come up; then nothing is left. */
export async function openStage(): Promise<Stage> {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-replay-'));
  const hostFolder = path.join(folder, 'host');
  const bootstrap = path.join(folder, 'bootstrap.json');
  const closes: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
  const close = async (): Promise<void> => {
    for (const step of closes.splice(0).reverse()) await step();
  };
  try {
    const words = ['--data-folder', hostFolder, '--realm', 'simulated', '--bootstrap-enrolment', bootstrap];
    const shop = ['--port', '0', '--currency', 'GBP', '--merchant', 'Online retail', '--location', 'United Kingdom'];
    const host = await startProcess(
      'host',
      'host-sync/server/main.js',
      [...words, ...shop],
      path.join(folder, 'host.log'),
    );
    closes.push(host.stop);
    const admin = openAdminClient(hostFolder);
    closes.push(() => admin.close());
    const box = await startProcess<{ readonly localApi: { readonly port: number; readonly tokenFile: string } }>(
      'terminal',
      'scripts/replay-parts/box-child.js',
      [folder, bootstrap],
      path.join(folder, 'terminal.log'),
    );
    closes.push(box.stop);
    const { port, tokenFile } = box.ready.localApi;
    const till = openTill(port, readFileSync(tokenFile, 'utf8').trim());
    closes.push(() => till.close());
    await until('the box to have its rules', async () => {
      const { directivesVersion, stopped, sync } = await till.status();
      return directivesVersion !== null && stopped === null && sync.state === 'online';
    });
    return { till, admin, terminalFile: path.join(folder, 'terminal.db'), stopTerminal: box.stop, close };
  } catch (error) {
    await close();
    throw error;
  }
}
