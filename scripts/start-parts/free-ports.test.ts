// Shows that every taken port is named at once with a free one to use instead, and that ports which nobody will listen on
// are not asked for. Real listeners on loopback.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'tap';
import { loadConfig } from '../../config/load.js';
import { requireFreePorts } from './free-ports.js';

async function taken(t: { teardown(end: () => unknown): void }): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

function configOf(text: string) {
  const loaded = loadConfig(text);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  return loaded.value;
}

test('two taken ports are told together, with what to write', async (t) => {
  const [host, api] = [await taken(t), await taken(t)];
  const config = configOf(`[host]\nport = ${host}\n[localApi]\nport = ${api}`);
  const refused = await requireFreePorts(config, true, '/box/shouli.toml').then(
    () => null,
    (error: Error) => error.message,
  );
  t.match(refused, `TCP port ${host} of the host is taken`);
  t.match(refused, `TCP port ${api} of the local API is taken`);
  t.match(refused, /\/box\/shouli\.toml:\n {4}\[host\]\n {4}port = [0-9]+\n {4}\[localApi\]\n {4}port = [0-9]+$/);
});

test('a port that will not be listened on may be taken', async (t) => {
  const port = await taken(t);
  const config = configOf(`[host]\nport = ${port}\n[localApi]\nport = ${port}\nenabled = false`);
  await t.resolves(requireFreePorts(config, false, '/box/shouli.toml'), 'host elsewhere, local API off');
  await t.rejects(requireFreePorts(config, true, '/box/shouli.toml'), /is taken/);
});
