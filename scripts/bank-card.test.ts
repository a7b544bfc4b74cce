/**
 * Shows a bank card read on the real path, and that nothing of it stays: the shipped box and host as processes, the console's
 * socket, the driver's child, pcscd and a virtual reader with the simulated card. A technician tests the contact slot; then the
 * planted number and track 2 are looked for in every file that the box has (databases, logs, a recording of the other reader), in
 * all forms that they could have. The search itself is tried on files that hold them.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { loadConfig } from '../config/load.js';
import { debitCard, SimulatedBankCard } from '../drivers/sim/bank-card.js';
import { openPcscRig } from '../drivers/sim/pcscd.js';
import { createVirtualCard, type VirtualCard, vpcdPorts } from '../drivers/sim/vpcd.js';
import { startBox } from './start-parts/box.js';

t.setTimeout(300_000);
const patienceMs = 30_000;
const pin = '204060';
/** Occurs nowhere by chance. */
const canary = {
  number: '6292219073810264854',
  discretionary: '9184736205',
  holder: 'CANARY/WU',
} as const;
const configuration = `
[readers]
virtualReaders = true
names = ["Virtual PCD"]
contactSlots = ["Virtual PCD 00 01"]
[localApi]
enabled = false
`;

/** Every form in which a card's data could lie in a file, by name. */
function formsOf(): ReadonlyMap<string, Buffer> {
  const { number, discretionary, holder } = canary;
  const half = (digits: string): Buffer => Buffer.from(digits.length % 2 === 0 ? digits : `${digits}f`, 'hex');
  const track2 = `${number}d3012220${discretionary}`;
  const forms = new Map<string, Buffer>();
  const add = (name: string, bytes: Buffer): void => {
    forms.set(name, bytes);
    for (const [how, text] of [
      ['hex', bytes.toString('hex')],
      ['HEX', bytes.toString('hex').toUpperCase()],
      ['list', [...bytes].join(',')],
      ['spaced list', [...bytes].join(', ')],
    ] as const)
      forms.set(`${name}, ${how}`, Buffer.from(text));
    // Base64 by where the bytes begin; the ends depend on their neighbours.
    for (const shift of [0, 1, 2]) {
      const text = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
      forms.set(`${name}, base64 ${shift}`, Buffer.from(text.slice(4, -4)));
    }
  };
  add('number', Buffer.from(number));
  add('number in half bytes', half(number).subarray(0, -1));
  add('number by digits', Buffer.from([...number].map(Number)));
  add('number in UTF-16', Buffer.from(number, 'utf16le'));
  add('track 2', half(track2).subarray(0, -1));
  add('track 2 as text', Buffer.from(`${number}=3012220${discretionary}`));
  add('discretionary data', Buffer.from(discretionary));
  add('holder', Buffer.from(holder));
  return forms;
}

function filesIn(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name));
}

/** Which forms are found in which of these files. */
function found(files: readonly string[]): readonly string[] {
  const forms = formsOf();
  return files.flatMap((file) => {
    const content = readFileSync(file);
    return [...forms].filter(([, bytes]) => content.includes(bytes)).map(([name]) => `${path.basename(file)}: ${name}`);
  });
}

/** A technician at the console's socket. */
class Technician {
  screen = '';
  #read = 0;
  readonly #socket;
  constructor(socketFile: string) {
    this.#socket = connect(socketFile);
    this.#socket.setEncoding('utf8').on('data', (text: string) => {
      this.screen += text;
    });
    this.#socket.on('error', () => {});
  }
  type(text: string): void {
    this.#socket.write(text);
  }
  /** What was shown since the last time, up to `text`. */
  async until(text: string): Promise<string> {
    const deadline = Date.now() + patienceMs;
    for (;;) {
      const at = this.screen.indexOf(text, this.#read);
      if (at >= 0) {
        const shown = this.screen.slice(this.#read, at + text.length);
        this.#read = at + text.length;
        return shown;
      }
      if (Date.now() > deadline) throw new Error(`never shown: ${text}\n${this.screen.slice(-600)}`);
      await wait(10);
    }
  }
  async say(line: string, until = '> '): Promise<string> {
    this.type(`${line}\r`);
    await this.until(line);
    return this.until(until);
  }
  async enter(firstPin: string): Promise<void> {
    this.type('\r');
    for (const [prompt, secret] of [
      ['PIN: ', firstPin],
      ['New PIN (6-12 digits): ', pin],
      ['New PIN again: ', pin],
    ] as const) {
      await this.until(prompt);
      this.type(`${secret}\r`);
    }
    await this.until('> ');
  }
  leave(): void {
    this.#socket.destroy();
  }
}

t.test('the search finds what it looks for', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-canary-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const forms = [...formsOf()];
  forms.forEach(([, bytes], at) => {
    writeFileSync(path.join(folder, `f${at}`), Buffer.concat([Buffer.alloc(4_095), bytes, Buffer.alloc(7)]));
  });
  const hits = found(filesIn(folder));
  for (const [at, [name]] of forms.entries()) t.ok(hits.includes(`f${at}: ${name}`), name);
});

t.test('a technician tests the contact slot, and nothing of the card stays', async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'shouli-bank-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  const rig = await openPcscRig();
  t.teardown(() => rig.close());
  const dataFolder = path.join(folder, 'data');
  mkdirSync(dataFolder, { mode: 0o700 });
  const configFile = path.join(dataFolder, 'shouli.toml');
  writeFileSync(configFile, configuration);
  const config = loadConfig(configuration);
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const box = await startBox({
    ...{ dataFolder, configFile, config: config.value, simulated: false, freePorts: true },
    ...{ scannerLine: null, printerLine: null, displayLine: null, relayLine: null },
  });
  let isUp = true;
  const stop = async (): Promise<void> => {
    if (isUp) await box.stop();
    isUp = false;
  };
  t.teardown(stop);
  const { consoleSocket, firstPin } = box.terminal.ready;
  const technician = new Technician(consoleSocket ?? '');
  t.teardown(() => technician.leave());
  await technician.enter(firstPin ?? '');

  let made = 0;
  const card = (protocol: 'T0' | 'T1', slot: 0 | 1 = 1): VirtualCard => {
    const application = { ...debitCard, ...canary };
    const script = new SimulatedBankCard({ applications: [application], protocol, name: `CANARY${made++}` });
    const virtual = createVirtualCard({ script, port: vpcdPorts[slot] });
    t.teardown(() => virtual.remove());
    return virtual;
  };
  let list = '';
  while (!list.includes('Virtual PCD 00 01')) list = await technician.say('device list');
  const slot = /(reader-\d+) .*Virtual PCD 00 01/.exec(list)?.[1] ?? '';
  const field = /(reader-\d+) .*Virtual PCD 00 00/.exec(list)?.[1] ?? '';
  t.ok(slot && field, 'both readers are there');
  const recording = path.join(folder, 'field.rec');
  await technician.say(`device record ${field} ${recording}`);
  await technician.say(`device record ${slot} ${path.join(folder, 'slot.rec')}`, 'device.notRecorded');

  await technician.say(`device test ${slot}`, 'Insert a bank card');
  for (const protocol of ['T0', 'T1'] as const) {
    const whole = card(protocol);
    await whole.insert();
    t.match(
      await technician.until('12/30'),
      /UnionPay {2}UnionPay Debit {2}629221\*{9}4854 {2}12\/30/,
      `read over ${protocol}`,
    );
    await whole.remove();
    await technician.until('taken away');
  }
  const torn = card('T1');
  torn.tearAt(8, 'after');
  await torn.insert();
  await technician.until('The phone or card left the reader.');
  const again = card('T0');
  await again.insert();
  await technician.until('629221');
  technician.type('\u0003');
  await technician.until('Stopped.');
  await technician.say('language zh');
  await technician.say(`device test ${slot}`, '请插入银行卡');
  await technician.until('银联');
  technician.type('\u0003');
  await technician.until('已停止');
  await technician.say('language en');
  await again.remove();

  // The same card in the reader that nobody configured as a slot: named, and asked nothing.
  const stray = card('T0', 0);
  await technician.say(`device test ${field}`, 'Hold a phone or card');
  await stray.insert();
  await technician.until('this reader is not configured for');
  technician.type('\u0003');
  await technician.until('Stopped.');
  for (let shown = ''; !shown.includes('device.wrongSlot'); ) shown = await technician.say(`device show ${field}`);
  t.equal(stray.commandsSeen, 0, 'and asked nothing');
  await stray.remove();
  await technician.say(`device record ${field} stop`, 'Recorded');
  const audit = await technician.say('audit');
  t.match(audit, `device.test`);
  await technician.say('journal');

  const alive = filesIn(dataFolder);
  t.same(found(alive), [], 'while it runs');
  await stop();
  const screen = path.join(folder, 'screen.txt');
  writeFileSync(screen, technician.screen);
  const files = filesIn(folder);
  for (const wanted of ['terminal.db', 'terminal.log', 'host.log', 'field.rec', 'screen.txt'])
    t.ok(
      files.some((file) => file.endsWith(wanted)),
      `${wanted} was looked through`,
    );
  t.ok(statSync(recording).size > 0);
  t.notOk(files.some((file) => file.endsWith('slot.rec')));
  t.same(found(files), [], 'after its end');
});
