/**
 * What scripts/start says when everything runs: where things are and what to try. Text only.
 */
import type { Box } from './box.js';

export interface WelcomeFacts {
  readonly box: Box;
  readonly simulated: boolean;
  /** The number of the simulated member. */
  readonly number: string;
  /** What is there, in words; null: nothing. */
  readonly devices: string | null;
  readonly dataFolder: string;
  /** The folder that was named to start; null: the one that every command takes by itself. */
  readonly dataNamed: string | null;
  /** Where the host is when it is not the embedded one. */
  readonly hostUrl: string;
}

const row = (name: string, text: string, more = ''): string =>
  `  ${name.padEnd(11)} ${more ? `${text.padEnd(23)} ${more}` : text}`;

/** The lines after a start, 80 columns wide but for long paths. */
export function welcome(facts: WelcomeFacts): readonly string[] {
  const { box, simulated, devices, dataFolder } = facts;
  const named = facts.dataNamed === null ? '' : ` --data ${facts.dataNamed}`;
  const { localApi, consoleSocket, firstPin } = box.terminal.ready;
  const api = localApi ? `http://127.0.0.1:${localApi.port}` : 'off (localApi.enabled)';
  return [
    '',
    ...(simulated
      ? [
          'SIMULATED 模拟: reader, phone, scanner, printer, display, relay; their sales are',
          'marked and kept in a folder of their own, apart from real ones.',
        ]
      : [devices ? `Devices: ${devices}` : 'No device is plugged in yet; it is taken up when it comes.']),
    '',
    box.host
      ? row('host', `https://localhost:${box.host.ready.port}`, 'scripts/shouli host --help')
      : row('host', facts.hostUrl, 'elsewhere, by sync.hostUrl'),
    ...(box.host && box.host.ready.pagesPort !== null
      ? [row('members', `http://localhost:${box.host.ready.pagesPort}`, 'their pages; the code comes by message')]
      : []),
    row('local API', api, localApi ? 'docs/protocols/local-api.md' : ''),
    ...(localApi ? [row('till token', localApi.tokenFile)] : []),
    consoleSocket
      ? row('console', `scripts/console${named}`, firstPin ? '' : 'PIN forgotten? docs/console.md')
      : row('console', 'off (console.socket)'),
    ...(firstPin ? [row('first PIN', firstPin, 'shown this once, changed at login')] : []),
    row('data, logs', dataFolder),
    ...(simulated ? tryIt(facts.number, named) : []),
    '',
    'Ctrl-C ends it; nothing is left half-done.',
  ];
}

const tryIt = (number: string, named: string): readonly string[] => [
  '',
  'Try it in a second terminal (README.md goes further):',
  `  scripts/shouli host member register ${number} --name 王芳${named}`,
  `  ${`scripts/console${named}`.padEnd(30)}  log in, then: sale 300 earn --wait`,
  `  ${`scripts/shouli tap${named}`.padEnd(30)}  in a third: the phone is held to the reader`,
];
