/**
 * Are the TCP ports free that the box is going to listen on? Asked before anything starts, so that all that stands in the
 * way is told at once. Must not keep a port.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Config } from '../../config/schema.js';
import { StartRefused } from './refusal.js';

/** How far a free port is looked for above a taken one. */
const searchMax = 50;

interface Wanted {
  readonly whose: string;
  readonly section: string;
  readonly key: string;
  readonly address: string;
  readonly port: number;
}

/** The error code of listening there; null when it worked. */
async function listenProblem(address: string, port: number): Promise<string | null> {
  const server = createServer();
  try {
    server.listen(port, address);
    await once(server, 'listening');
    return null;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown';
  } finally {
    server.close();
  }
}

async function freeAbove(address: string, port: number): Promise<number | null> {
  for (let next = port + 1; next <= Math.min(port + searchMax, 65_535); next++)
    if ((await listenProblem(address, next)) === null) return next;
  return null;
}

function wantedOf(config: Config, isEmbedded: boolean): readonly Wanted[] {
  const { host, localApi } = config;
  return [
    ...(isEmbedded && host.port !== 0
      ? [{ whose: 'the host', section: 'host', key: 'port', address: host.listenAddress, port: host.port }]
      : []),
    ...(isEmbedded && host.pagesPort !== 0
      ? [
          {
            ...{ whose: 'the members’ pages', section: 'host', key: 'pagesPort' },
            ...{ address: host.pagesAddress, port: host.pagesPort },
          },
        ]
      : []),
    ...(localApi.enabled
      ? [{ whose: 'the local API', section: 'localApi', key: 'port', address: '127.0.0.1', port: localApi.port }]
      : []),
  ];
}

/** @throws StartRefused naming every port that is taken, what holds it, and what to write into the configuration */
export async function requireFreePorts(config: Config, isEmbedded: boolean, configFile: string): Promise<void> {
  const problems: string[] = [];
  const lines: string[] = [];
  for (const { whose, section, key, address, port } of wantedOf(config, isEmbedded)) {
    const code = await listenProblem(address, port);
    if (code === null) continue;
    if (code !== 'EADDRINUSE') {
      problems.push(`${whose} cannot listen on ${address} port ${port}: ${code}`);
      continue;
    }
    problems.push(`TCP port ${port} of ${whose} is taken by another program: ss -ltnp 'sport = :${port}' names it`);
    lines.push(`    [${section}]`, `    ${key} = ${(await freeAbove(address, port)) ?? port + searchMax}`);
  }
  if (problems.length === 0) return;
  const advice =
    lines.length > 0 ? ['  End that program, or choose another port in', `  ${configFile}:`, ...lines] : [];
  throw new StartRefused([...problems, ...advice].join('\n'), 3);
}
