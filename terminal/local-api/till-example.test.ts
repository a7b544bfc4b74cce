/**
 * Shows that the till printed in docs/protocols/local-api.md works as it stands there: run as a process of its own against
 * the API, started before the box listens, with a sale open that is not its own. And that the page names every call.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { nativeRandom } from '../kernel/native.js';
import { HandSchedule, PortDouble } from '../sim/port-double.js';
import { localApiOpenApi } from './openapi.js';
import { startLocalApi } from './server.js';

const page = readFileSync(path.join(process.cwd(), 'docs/protocols/local-api.md'), 'utf8');

t.test('the till on the page sells', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-till-'));
  const tokenFile = path.join(folder, 'till-token');
  const port = new PortDouble();
  const start = (listenPort: number) =>
    startLocalApi({
      port,
      random: nativeRandom,
      schedule: new HandSchedule().schedule,
      listenPort,
      allowedOrigins: [],
      tokenFile,
    });
  const first = await start(0);
  await first.close();
  t.ok(existsSync(tokenFile));
  const till = path.join(folder, 'till.mjs');
  writeFileSync(till, /```js\n([\s\S]*?)```/.exec(page)?.[1] ?? '');
  const child = spawn(process.execPath, [till, tokenFile, `http://127.0.0.1:${first.port}`, 'page-1', '30000']);
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString('utf8');
  });
  child.stderr.on('data', (chunk: Buffer) => {
    out += chunk.toString('utf8');
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  await port.startSale({ command: { service: 'plainSale' }, reference: 'other', clerk: 'c', origin: 'console' });
  const api = await start(first.port);
  t.teardown(async () => {
    child.kill();
    await api.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const until = async (condition: () => boolean): Promise<void> => {
    const end = Date.now() + 30_000;
    while (!condition()) {
      if (Date.now() > end) throw new Error(`the till does not go on: ${out}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  };
  port.end('other');
  await until(() => port.sale('page-1') !== null);
  t.match(port.commands[1], { command: { service: 'pointsEarn' }, purchase: { amountMinor: 30_000 }, origin: 'till' });
  await until(() => port.waits.length > 0);
  port.end('page-1');
  t.equal(await ended, 0, out);
  t.match(out, /RECEIPT[\s\S]*accepted left to pay: 0/);
});

t.test('the page and the OpenAPI document name the same calls', async (t) => {
  const document = (await localApiOpenApi()) as {
    paths: Record<string, Record<string, { responses: Record<string, unknown> }>>;
  };
  const calls = Object.entries(document.paths).flatMap(([target, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${target}`),
  );
  t.same(calls.sort(), [
    'DELETE /v1/sales/{reference}',
    'GET /v1/devices',
    'GET /v1/events',
    'GET /v1/queue',
    'GET /v1/sales',
    'GET /v1/sales/{reference}',
    'GET /v1/status',
    'PUT /v1/sales/{reference}',
  ]);
  for (const call of calls) t.match(page, call);
  const refs = [...JSON.stringify(document).matchAll(/#\/components\/schemas\/([A-Za-z]+)/g)].map((match) => match[1]);
  const { components } = document as unknown as { components: { schemas: Record<string, unknown> } };
  // The data of an event: OpenAPI has no place to refer to it.
  const used = new Set([...refs, 'Inquiry']);
  t.same([...used].sort(), Object.keys(components.schemas).sort(), 'every name is defined and used');
});
