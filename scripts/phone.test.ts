// Shows the phone as a process: it is made, registered by message files, shown, tapped and torn over its control socket, and it
// keeps its counter when it is killed. A reader's end of vpcd is played here over TCP, so that no pcscd is needed.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { formatRegistration } from '../drivers/protocols/member/messages.js';
import { decodePresentAnswer, presentCommand, selectCommand } from '../drivers/protocols/member/session.js';
import { PhoneControl } from '../drivers/sim/phone/control.js';
import type { PhoneEvent, PhoneView } from '../drivers/sim/phone/phone.js';
import { nativeCrypto, nativeKeyAgreement } from '../terminal/kernel/native.js';

const script = fileURLToPath(new URL('./phone.js', import.meta.url));
const run = async (...options: string[]): Promise<string> =>
  (await promisify(execFile)(process.execPath, [script, ...options])).stdout;

/** The reader's end of vpcd: listens, powers what connects, and sends commands. */
class ReaderSlot {
  readonly #server: Server = createServer();
  #socket: Socket | null = null;
  #received = Buffer.alloc(0);
  #arrived: () => void = () => {};

  static async open(): Promise<ReaderSlot> {
    const slot = new ReaderSlot();
    slot.#server.listen(0, '127.0.0.1');
    await once(slot.#server, 'listening');
    return slot;
  }
  get port(): number {
    const address = this.#server.address();
    return typeof address === 'object' && address ? address.port : 0;
  }
  /** Waits for a card, powers it and gives its ATR. */
  async card(): Promise<Buffer> {
    const [socket] = (await once(this.#server, 'connection')) as [Socket];
    this.#socket = socket;
    this.#received = Buffer.alloc(0);
    socket.on('error', () => {});
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#arrived();
    });
    socket.on('close', () => this.#arrived());
    this.#send(Uint8Array.of(1));
    return this.ask(Uint8Array.of(4));
  }
  /** One message and its answer; rejects when the card left. */
  async ask(message: Uint8Array): Promise<Buffer> {
    this.#send(message);
    for (;;) {
      const length = this.#received.length >= 2 ? this.#received.readUInt16BE(0) : Number.POSITIVE_INFINITY;
      if (this.#received.length >= 2 + length) {
        const answer = this.#received.subarray(2, 2 + length);
        this.#received = this.#received.subarray(2 + length);
        return answer;
      }
      if (this.#socket?.closed) throw new Error('the card left');
      await new Promise<void>((arrived) => {
        this.#arrived = arrived;
      });
    }
  }
  #send(message: Uint8Array): void {
    this.#socket?.write(Buffer.concat([Uint8Array.of(message.length >> 8, message.length & 255), message]));
  }
  close(): void {
    this.#socket?.destroy();
    this.#server.close();
  }
}

async function startServing(...options: string[]): Promise<ChildProcess> {
  const child = spawn(process.execPath, [script, 'serve', ...options], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  for await (const line of lines) if (line.includes('"ready"')) return child;
  throw new Error('the phone did not start');
}

t.test('a phone as a process', { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'phone-'));
  const slot = await ReaderSlot.open();
  const children: ChildProcess[] = [];
  t.teardown(() => {
    for (const child of children) child.kill('SIGKILL');
    slot.close();
    rmSync(folder, { recursive: true });
  });
  const [state, socket, inbox, outbox] = ['phone.json', 'control', 'in', 'out'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ];
  mkdirSync(inbox);
  const serve = async () => {
    const child = await startServing(
      '--state',
      state,
      '--control',
      socket,
      '--port',
      String(slot.port),
      '--in',
      inbox,
      '--out',
      outbox,
    );
    children.push(child);
    return child;
  };
  const context = new Uint8Array(40);
  const nonce = new Uint8Array(16);
  const presented = async () => {
    await slot.ask(selectCommand(nativeCrypto, 'M1'));
    const answer = decodePresentAnswer(await slot.ask(presentCommand('member', nonce, context)));
    return answer.ok ? answer.value.counter : answer.error.code;
  };

  t.match(await run('--help'), /serve/);
  await run('new', '--state', state, '--number', '13800138000');
  await t.rejects(run('new', '--state', state, '--number', '13800138000'), 'a phone is not made twice');
  t.match(await run('show', '--state', state), /not registered/);

  const merchant = nativeKeyAgreement.generateKeyPair();
  const message = `from: 1069001\nto: 13800138000\n\n${formatRegistration('M1', '0123456789ABCDEF', merchant.publicKey)}\n`;
  writeFileSync(join(inbox, 'r1.sms'), message);
  let child = await serve();
  t.same([readdirSync(inbox), readdirSync(outbox)], [[], ['r1-answer.sms']], 'what waited was answered at the start');
  await t.rejects(
    run('messages', '--state', state, '--in', inbox, '--out', outbox),
    /in use/,
    'one process for one phone',
  );
  const shown = JSON.parse(await run('show', '--state', state, '--json')) as PhoneView;
  t.match(shown, { memberships: [{ merchantId: 'M1', useCounter: 0, card: null }] });

  const events: PhoneEvent[] = [];
  let control = await PhoneControl.open(socket, (event) => events.push(event));
  await control.request({ do: 'follow' });
  const first = slot.card();
  t.match(await control.request({ do: 'tap' }), { taps: 1, inField: true });
  t.equal((await first).toString('hex'), '3b86800153484f554c4903');
  t.equal(await presented(), 1);
  t.match(await control.ask({ do: 'tap' }), { ok: false }, 'it is at the reader already');
  t.match(await control.request({ do: 'remove' }), {
    inField: false,
    memberships: [{ useCounter: 1 }],
    commandsInTap: 2,
  });
  t.match(events, [
    { event: 'inField' },
    { instruction: 'select', status: '9000' },
    { instruction: 'present', status: '9000' },
    { event: 'leftField' },
  ]);

  await control.request({ do: 'tearAt', apdu: 2, moment: 'after' });
  const second = slot.card();
  await control.request({ do: 'tap' });
  await second;
  await t.rejects(presented(), /the card left/);
  t.match(await control.request({ do: 'show' }), { inField: false, memberships: [{ useCounter: 2 }] });

  child.kill('SIGKILL');
  await once(child, 'exit');
  await t.rejects(control.request({ do: 'show' }));
  child = await serve();
  control = await PhoneControl.open(socket);
  const third = slot.card();
  await control.request({ do: 'tap', until: 'presented' });
  await third;
  t.equal(await presented(), 3, 'a killed phone never uses a counter again');
  await t.rejects(slot.ask(selectCommand(nativeCrypto, 'M1')), 'it left when it had presented');

  t.match(await control.ask({ do: 'dance' } as never), { ok: false }, 'a request that there is not');
  t.match(await control.ask({ do: 'tap', until: 'never' } as never), { ok: false });
  t.match(await control.ask({ do: 'tearAt', apdu: 1, moment: 'after', bytes: 97 }), { ok: false });
  await control.request({ do: 'stop' });
  const [code] = await once(child, 'exit');
  t.equal(code, 0);
  t.match(await run('show', '--state', state), /phone 13800138000\nmember of M1.*\n {2}taps proved: 3/);
  t.notMatch(
    await run('show', '--state', state, '--json'),
    new RegExp(JSON.parse(readFileSync(state, 'utf8')).memberships[0].memberKey),
  );
});

t.test(
  'memberships from the command line: joined by consent, listed, and held out one at a time',
  { timeout: 60_000 },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'phone-'));
    const slot = await ReaderSlot.open();
    t.teardown(() => {
      slot.close();
      rmSync(folder, { recursive: true });
    });
    const [state, inbox, outbox] = ['phone.json', 'in', 'out'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    mkdirSync(inbox);
    mkdirSync(outbox);
    await run('new', '--state', state, '--number', '13800138000');
    for (const merchantId of ['M1', 'M2', 'M3']) {
      const { publicKey } = nativeKeyAgreement.generateKeyPair();
      const text = formatRegistration(merchantId, '0123456789ABCDEF', publicKey);
      writeFileSync(join(inbox, `${merchantId}.sms`), `from: 1069001\nto: 13800138000\n\n${text}\n`);
    }
    const handled = await run('messages', '--state', state, '--in', inbox, '--out', outbox, '--join', 'M1', 'M3');
    t.equal(handled, 'M1: registered\nM2: notAgreed\nM3: registered\n');
    t.same(readdirSync(outbox).sort(), ['M1-answer.sms', 'M3-answer.sms'], 'no word to the merchant that was refused');
    t.match(await run('show', '--state', state), /^phone 13800138000\nmember of M1, [^\n]*\n.*\nmember of M3, /s);

    const card = slot.card();
    const port = ['--port', String(slot.port)];
    const tapped = run('tap', '--state', state, ...port, '--until', 'presented', '--membership', 'M3');
    await card;
    for (const merchantId of ['M1', 'M2'])
      t.equal((await slot.ask(selectCommand(nativeCrypto, merchantId))).toString('hex'), '6a82', merchantId);
    t.match((await slot.ask(selectCommand(nativeCrypto, 'M3'))).toString('hex'), /9000$/);
    await slot.ask(presentCommand('member', new Uint8Array(16), new Uint8Array(40)));
    await tapped;
    const { memberships } = JSON.parse(await run('show', '--state', state, '--json')) as PhoneView;
    t.match(memberships, [
      { merchantId: 'M1', useCounter: 0 },
      { merchantId: 'M3', useCounter: 1 },
    ]);
    await t.rejects(run('tap', '--state', state, ...port, '--membership', 'M2'), /no membership of M2/);
    await t.rejects(run('tap', '--state', state, ...port, '--membership', 'M 2'), /letters and digits/);
  },
);

t.test('tap from the command line', { timeout: 60_000 }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'phone-'));
  const slot = await ReaderSlot.open();
  t.teardown(() => {
    slot.close();
    rmSync(folder, { recursive: true });
  });
  const state = join(folder, 'phone.json');
  await run('new', '--state', state, '--number', '+8613800138000');
  const card = slot.card();
  const tapped = run(
    'tap',
    '--state',
    state,
    '--port',
    String(slot.port),
    '--until',
    'removed',
    '--seconds',
    '3600',
    '--json',
  );
  await card;
  t.equal(
    (await slot.ask(selectCommand(nativeCrypto, 'M1'))).toString('hex'),
    '6a82',
    'an unregistered phone has no application',
  );
  slot.close();
  t.match(await tapped, /"inField"[\s\S]*"select","status":"6a82"[\s\S]*"leftField"/);

  const again = await ReaderSlot.open();
  t.teardown(() => again.close());
  const next = again.card();
  const torn = run(
    'tap',
    '--state',
    state,
    '--port',
    String(again.port),
    '--slow',
    '1',
    '--tear',
    '1',
    '--misbehave',
    'oversized',
  );
  await next;
  await t.rejects(again.ask(selectCommand(nativeCrypto, 'M1')), /left/, 'torn at its first command');
  await torn;
  await t.rejects(run('tap', '--state', state, '--misbehave', 'politely'), /Allowed choices/);
  await t.rejects(run('tap', '--state', state, '--port', '1'), 'no reader there');
  await t.rejects(run('tap', '--state', state, '--seconds', '0x5'), /whole number/);
});

t.test('a phone with a wallet answers the selection, and says what it was asked', async (t) => {
  const slot = await ReaderSlot.open();
  t.teardown(() => slot.close());
  const key = `02${'00'.repeat(31)}05`;
  const words = ['wallet', 'google', '--collector', '7', '--key', key, '--number', '1', '--misbehave', 'mustChoose'];
  const ran = run(...words, '--seconds', '1', '--port', String(slot.port));
  await slot.card();
  const selected = await slot.ask(Buffer.from('00a404000a4f53452e5641532e303100', 'hex'));
  t.match(selected.toString('latin1'), /AndroidPay/);
  t.match(await ran, /command 00a40400, status 9000[\s\S]*left the reader/);
  await t.rejects(run('wallet', 'google', '--collector', '7', '--key', '05', '--number', '1'), /a point of P-256/);
});

t.test('a tag answers as a card, and as a storage card behind the reader', async (t) => {
  const slot = await ReaderSlot.open();
  t.teardown(() => slot.close());
  const held = ['--uid', '04958caa5c5e80', '--seconds', '1', '--port', String(slot.port)];
  const keys = ['--picc-key', '00'.repeat(16), '--file-key', '00'.repeat(16)];
  const sun = ['tag', 'sun', '--address', 'https://a.example/?', ...keys, '--counter', '7', ...held];
  const ran = run(...sun, '--misbehave', 'forged');
  await slot.card();
  t.equal((await slot.ask(Buffer.from('00a4040007d276000085010100', 'hex'))).toString('hex'), '9000');
  t.equal((await slot.ask(Buffer.from('00a4040007d276000085010200', 'hex'))).toString('hex'), '6a82');
  t.match(await ran, /command 00a40400, status 9000[\s\S]*left the reader/);
  const text = run('tag', 'text', '--text', 'SLM1234567890128', ...held);
  t.equal((await slot.card()).toString('hex'), '3b8f8001804f0ca0000003060300030000000068');
  t.match((await slot.ask(Buffer.from('ffb0000010', 'hex'))).toString('hex'), /^04958c95aa5c5e8028000000e11012009000$/);
  await text;
  await t.rejects(run('tag', 'sun', ...sun.slice(2), '--uid', '04'), /7 bytes in hex/);
  await t.rejects(run('tag', 'text', '--text', '标签', ...held), /ASCII/);
});
