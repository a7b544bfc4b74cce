/**
 * Shows what stays of a PIN entry: nothing. `device test` of a PIN pad on a real box says in both languages what came, and neither
 * PIN nor card number nor block nor key serial number is found in its database, its other files, its log or the console's output; a
 * recording is refused. How: the shipped terminal and console as processes, a simulated pad on a pseudo-terminal, and a search for
 * what was planted, in every form in which it could lie there.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { padOnPty } from '../drivers/sim/pin-pad.js';
import { openPtyPair } from '../drivers/sim/pty.js';
import { hex } from '../terminal/kernel/bytes.js';
import { nativeCrypto, nativeRandom } from '../terminal/kernel/native.js';

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const plantedPin = '739164820517';
const technicianPin = '204060';
const schedule = (delayMs: number, run: () => void) => {
  const timer = setTimeout(run, delayMs);
  return () => clearTimeout(timer);
};

/** The bytes of a secret as text, as themselves and in the usual writings. */
function formsOf(text: string): readonly Buffer[] {
  const raw = /^[0-9A-F]+$/.test(text) && text.length % 2 === 0 ? [Buffer.from(text, 'hex')] : [];
  return [text, text.toLowerCase(), ...raw, ...raw.map((bytes) => bytes.toString('base64'))].map((form) =>
    Buffer.from(form),
  );
}

/** Every file in a folder as it is now. */
const filesIn = (folder: string): readonly (readonly [name: string, bytes: Buffer])[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .map((name) => [name, readFileSync(name)]);

/** A box with one PIN pad and nothing else, and its output so far. */
async function startBox(t: { teardown(run: () => unknown): void }, data: string, line: string) {
  mkdirSync(data);
  const off = ['readers', 'hidScanners', 'stripeReaders', 'localApi'].map((name) => `[${name}]\nenabled = false`);
  writeFileSync(path.join(data, 'shouli.toml'), `${off.join('\n')}\n[pinPads]\npaths = ["${line}"]\n`);
  const box = spawn(process.execPath, [script('./terminal.js'), '--data', data], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(box, 'exit');
  t.teardown(async () => {
    box.kill();
    await ended;
  });
  const log: Buffer[] = [];
  for (const stream of [box.stdout, box.stderr]) stream.on('data', (chunk: Buffer) => log.push(chunk));
  const [ready] = (await once(createInterface(box.stdout), 'line')) as [string];
  const { firstPin } = JSON.parse(ready) as { readonly firstPin: string };
  const stop = async () => {
    box.kill();
    await ended;
  };
  return { firstPin, stop, log: () => Buffer.concat(log) };
}

/** What the shipped console prints for these lines. */
async function type(data: string, ...lines: readonly string[]): Promise<string> {
  const client = spawn(process.execPath, [script('./console.js'), '--data', data], { stdio: ['pipe', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [client.stdout, client.stderr])
    stream.setEncoding('utf8').on('data', (piece: string) => {
      text += piece;
    });
  client.stdin.end(`${lines.join('\n')}\n`);
  await once(client, 'close');
  return text;
}

t.test('a device test of a PIN pad leaves nothing of the entry behind', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-pin-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const pair = await openPtyPair(path.join(folder, 'line'), path.join(folder, 'device'));
  t.teardown(() => pair.close());
  const far = padOnPty(pair.device, {
    ...{ crypto: nativeCrypto, random: nativeRandom, schedule, counter: 0xab00 },
    ...{ initialKey: new Uint8Array(16).fill(7), initialKeyId: hex('f1e2d3c4b5a69788') },
  });
  t.teardown(() => far.close());
  const sent: string[] = [];
  far.pad.mood.cable = (frame) => {
    sent.push(Buffer.from(frame).toString('latin1'));
    return frame;
  };
  far.pad.pin = plantedPin;
  const data = path.join(folder, 'data');
  const recording = path.join(folder, 'pad.rec');
  const box = await startBox(t, data, pair.line);
  const english = await type(
    data,
    ...[box.firstPin, technicianPin, technicianPin, `device record pinpad-1 ${recording}`],
    ...['device test pinpad-1', 'device show pinpad-1', 'audit'],
  );
  const chinese = await type(data, technicianPin, 'language zh', 'device test pinpad-1');
  t.match(english, /Key a made-up PIN/);
  t.match(english, /entered; block ISO 9564 format 4, key serial number …ab01/, 'counter AB01 of 32 bits');
  t.match(english, /device\.notRecorded/);
  t.match(english, /device\.test/, 'who tried it is in the audit');
  t.match(chinese, /已输入；密文 ISO 9564 格式 4，密钥序列号 …ab02/);
  const running = filesIn(folder);
  await box.stop();

  const answers = sent.flatMap(
    (frame) => /PE\x1c[0-9a-f]{16}\x1c00\x1c([0-9A-F]{24})\x1c([0-9A-F]{32})/.exec(frame) ?? [],
  );
  const asked = far.pad.heard.map((text) => text.split(' ')[2] ?? '');
  const [pan = ''] = asked;
  t.equal(answers.length, 6, 'two entries');
  t.match(pan, /^[0-9]{16}$/);
  const planted = [plantedPin, pan, ...answers.filter((_, at) => at % 3 !== 0)];
  t.equal(planted.length, 6);
  t.notOk(existsSync(recording));
  const stopped = filesIn(folder);
  t.ok(
    running.some(([name]) => name.endsWith('terminal.db-wal')) &&
      stopped.some(([name]) => name.endsWith('terminal.db')),
  );
  const places = [
    ...running,
    ...stopped,
    ['log', box.log()] as const,
    ['console', Buffer.from(english + chinese)] as const,
  ];
  const hits = (secrets: readonly string[]) =>
    places.flatMap(([name, bytes]) =>
      secrets.flatMap((secret) =>
        formsOf(secret).some((form) => bytes.includes(form)) ? [`${secret} in ${name}`] : [],
      ),
    );
  t.same(hits(planted), []);
  t.ok(hits(['pinpad-1']).length >= 2, 'the search finds what is there: the audit’s row and the console’s');
});
