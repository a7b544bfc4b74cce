/**
 * Shows a technician's session key by key on a stream in memory: log-in, editing, history, Ctrl-C and Ctrl-D, idle
 * log-out, and that no PIN is ever shown. What the session writes is collected; timers run when the test says so.
 */
import { duplexPair } from 'node:stream';
import t from 'tap';
import { nativeRandom } from '../kernel/native.js';
import { monotonicMs, wallMs } from '../kernel/units.js';
import type { TrialSight } from '../runtime/port.js';
import { HandSchedule, PortDouble } from '../sim/port-double.js';
import { Dialogue } from './dialogue.js';
import { Login } from './login.js';
import { Session } from './session.js';

const idleMs = 600_000;

class Technician {
  readonly hand = new HandSchedule();
  readonly port = new PortDouble();
  readonly login = new Login({ port: this.port, random: nativeRandom, clock: { monotonicMs: () => monotonicMs(0) } });
  readonly bugs: unknown[] = [];
  readonly #pair = duplexPair();
  readonly session: Session;
  screen = '';
  ended = false;
  #seen = 0;

  constructor(readonly afterLogout: 'begin' | 'end' = 'begin') {
    const [near, far] = this.#pair;
    far.setEncoding('utf8');
    far.on('data', (text: string) => {
      this.screen += text;
    });
    far.on('end', () => {
      this.ended = true;
    });
    this.session = new Session({
      stream: near,
      dialogue: this.dialogue(),
      schedule: this.hand.schedule,
      idleMs,
      afterLogout,
      onBug: (error) => this.bugs.push(error),
    });
  }
  dialogue(): Dialogue {
    const { port, login } = this;
    return new Dialogue({ port, login, currency: () => 'CNY', languageDefault: 'en', where: 'serial' });
  }
  type(text: string | Uint8Array): void {
    this.#pair[1].write(text);
  }
  /** Waits until new output holds `text`, and gives that output. Fails the test by its time limit. */
  async until(text: string): Promise<string> {
    const end = Date.now() + 20_000;
    for (;;) {
      const fresh = this.screen.slice(this.#seen);
      const at = fresh.indexOf(text);
      if (at >= 0) {
        this.#seen += at + text.length;
        return fresh.slice(0, at + text.length);
      }
      if (Date.now() > end) throw new Error(`never shown: ${text}\nshown: ${JSON.stringify(fresh.slice(-400))}`);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  /** Everything that is under way has come to rest. */
  async rest(): Promise<void> {
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
  /** Logs in with a PIN that has been changed already. */
  async enter(): Promise<void> {
    const first = await this.login.drawFirstPin();
    await this.login.change(first ?? '', '204060', 'test');
    this.session.begin();
    await this.until('PIN: ');
    this.type('204060\r');
    await this.until('t-0123456789ab> ');
  }
}

t.test('the first log-in must change the PIN before anything else; no PIN is ever shown', async (t) => {
  const technician = new Technician();
  const first = (await technician.login.drawFirstPin()) ?? '';
  technician.session.begin();
  t.match(await technician.until('PIN: '), /Shouli 0\.1\.0 {2}t-0123456789ab/);
  technician.type('status\r');
  await technician.until('access.denied');
  technician.hand.pass(1_000);
  await technician.until('PIN: ');
  technician.type(`${first}\r`);
  await technician.until('access.pinMustChange');
  await technician.until('New PIN (6-12 digits): ');
  technician.type('111111\r');
  await technician.until('access.pinWeak');
  technician.type('204060\r');
  await technician.until('New PIN again: ');
  technician.type('204061\r');
  await technician.until('not the same');
  technician.type('204060\r');
  await technician.until('New PIN again: ');
  technician.type('204060\r');
  await technician.until('PIN changed.');
  await technician.until('> ');
  // Neither recalled from history nor pasted back from the kill ring.
  technician.type('\u001b[A\u001b[A\u0019\r');
  await technician.until('> ');
  technician.type('audit\r');
  await technician.until('console.pinChanged');
  for (const secret of [first, '204060', '204061', '111111']) t.notMatch(technician.screen, secret);
  t.match(technician.screen, /\*{8}\r\n/);
  t.same(technician.bugs, []);
});

t.test('CR, LF and CRLF each end one line, also when split', async (t) => {
  const technician = new Technician();
  await technician.enter();
  for (const ending of ['\r', '\n', '\r\n']) {
    technician.type(`language en${ending}`);
    await technician.until('Language: English');
    await technician.until('> ');
  }
  technician.type('language en\r');
  await technician.until('> ');
  technician.type('\nsales\r\n\n\n');
  await technician.until('none');
  await technician.rest();
  const plain = technician.screen.replace(/\u001b\[[0-9;]*[A-Z]/g, '');
  const prompt = 't-0123456789ab> ';
  t.equal(
    plain.slice(plain.lastIndexOf('none')),
    `none\r\n${prompt}\r\n${prompt}\r\n${prompt}`,
    'one empty line for each lone LF',
  );
});

t.test('line editing and history work, Ctrl-C clears, Ctrl-Z does not stop the box', async (t) => {
  const technician = new Technician();
  await technician.enter();
  technician.type('languXge zh\u001b[D\u001b[D\u001b[D\u001b[D\u001b[D\u007fa\r');
  await technician.until('语言：中文');
  technician.type('language en\r');
  await technician.until('Language: English');
  await technician.until('> ');
  technician.type('\u001b[A\u001b[A\r');
  await technician.until('语言：中文');
  await technician.until('> ');
  technician.type('sale 300.00 earn\u0003');
  await technician.until('^C');
  technician.type('\u001a\u001c\u001alanguage en\r');
  await technician.until('Language: English');
  t.equal(technician.port.commands.length, 0, 'what Ctrl-C cleared was not run');
});

t.test('a sale from the keyboard; refusals in both languages; the receipt again is a copy', async (t) => {
  const technician = new Technician();
  await technician.enter();
  technician.type('sale 300.00 earn --ref r1 --clerk 张三\r');
  const shown = await technician.until('> ');
  t.match(shown, /total {6}¥300\.00/);
  t.match(shown, /张三/);
  t.match(shown, /tap the phone/);
  t.match(technician.port.commands[0], {
    command: { service: 'pointsEarn' },
    purchase: { amountMinor: 30_000 },
    reference: 'r1',
  });
  technician.type('sale 1.00\r');
  await technician.until('sale.busy');
  await technician.until('请先完成或取消');
  technician.port.end('r1');
  technician.type('receipt r1\r');
  t.match(await technician.until('total 300.00'), /COPY 副本/);
  technician.type('receipt r1 --print\r');
  await technician.until('device.absent');
  technician.port.printEnd = { printed: 'whole', device: 'printer-1' };
  technician.type('receipt r1 --print\r');
  await technician.until('printer-1  printed');
  technician.port.printEnd = {
    ...{ printed: 'unknown', device: 'printer-1', error: { code: 'device.paperOut', detail: '' } },
  };
  technician.type('receipt r1 --print\r');
  await technician.until('look at the paper');
  await technician.until('Put in a roll');
  technician.type('sale １２\r');
  await technician.until('value.malformed');
  await technician.until('金额或数字无效');
  technician.type('void r1\r');
  await technician.until('waiting: tap the phone');
  technician.type('cancel\r');
  await technician.until('sale.cancelled');
  technician.port.failNext = new Error('a bug with a secret 204060');
  technician.type('sale 5.00\r');
  await technician.until('box.failed');
  await technician.until('> ');
  t.equal(technician.bugs.length, 1);
  t.notMatch(technician.screen, '204060');
});

t.test('allowances are asked for and given back, and the audit says by whom', async (t) => {
  const line = new Technician();
  await line.enter();
  line.type('allowance request SLM0000000000017\r');
  await line.until('granted: 1');
  t.same(line.port.allowancesAsked, [{ reason: 'checkIn', code: 'SLM0000000000017' }]);
  line.type('allowance return 01890000-0000-7000-8000-000000000001\r');
  await line.until('allowance.unknown');
  t.match(line.port.auditEntries.at(-1), { action: 'allowance.request' });
});

t.test('wait and follow show events until a key, never inside a typed line', async (t) => {
  const technician = new Technician();
  await technician.enter();
  technician.type('sale 10.00 spend 5 --ref r1 --wait\r');
  await technician.until('Any key stops waiting');
  technician.port.prompt('r1', 'hold');
  await technician.until('hold the phone still');
  technician.port.end('r1', 'points.tooFew');
  await technician.until('REFUSED points.tooFew');
  await technician.until('> ');
  technician.type('follow\r');
  await technician.until('Following events');
  technician.port.publish({ type: 'scan', device: 'scanner-1', code: '690\u001b[2J1' });
  t.match(await technician.until('scanner-1  690␛[2J1'), /scan/);
  technician.type('x');
  await technician.until('> ');
  t.equal(technician.port.followers, 0);
  technician.type('stat');
  technician.port.publish({ type: 'scan', device: 'scanner-1', code: '123' });
  await technician.rest();
  technician.type('us\r');
  await technician.until('ready for a sale');
  t.notMatch(technician.screen, '123\r');
});

t.test('five wrong PINs lock; what was typed ahead of a wrong PIN is forgotten', async (t) => {
  const technician = new Technician();
  const first = (await technician.login.drawFirstPin()) ?? '';
  technician.session.begin();
  for (let tries = 1; tries <= 5; tries++) {
    technician.type(`13570246\r${first}\r`);
    await technician.until('access.denied');
    await technician.rest();
    technician.hand.pass(1_000);
    await technician.until('PIN: ');
  }
  technician.type(`${first}\r`);
  t.match(await technician.until('access.locked'), /./);
  await technician.until('30 s');
  t.notMatch(technician.screen, /\*{9}/);
});

t.test('idle technicians are logged out, also from follow; Ctrl-D and logout do it by hand', async (t) => {
  const technician = new Technician();
  await technician.enter();
  technician.type('half a li');
  await technician.rest();
  technician.hand.pass(idleMs - 1);
  technician.type('n');
  await technician.rest();
  technician.hand.pass(idleMs - 1);
  t.notMatch(technician.screen, 'Logged out');
  technician.hand.pass(1);
  await technician.until('Logged out: nothing was typed');
  await technician.until('PIN: ');
  technician.type('204060\r');
  await technician.until('> ');
  technician.type('follow\r');
  await technician.until('Following events');
  technician.hand.pass(idleMs);
  await technician.until('Logged out');
  await technician.until('PIN: ');
  await technician.rest();
  t.equal(technician.screen.endsWith('PIN: '), true, 'the stopped command asks nothing more');
  t.equal(technician.port.followers, 0);
  technician.hand.pass(idleMs * 3);
  technician.type('204060\r');
  await technician.until('> ');
  technician.type('\u0004');
  await technician.until('PIN: ');
  technician.type('204060\r');
  await technician.until('> ');
  technician.type('\u001b[A\r');
  await technician.until('> ');
  technician.type('logout\r');
  await technician.until('PIN: ');
  t.same(
    technician.port.auditEntries.filter(({ action }) => action === 'console.logout').map(({ detail }) => detail),
    ['idle', 'idle', 'asked', 'asked'],
  );
});

t.test('on a socket log-out ends the line, and a lost line logs out', async (t) => {
  const technician = new Technician('end');
  await technician.enter();
  technician.type('exit\r');
  await technician.until('Logged out.');
  await technician.rest();
  t.equal(technician.ended, true);
  const lost = new Technician('end');
  await lost.enter();
  lost.session.close('lineLost');
  lost.session.close('lineLost');
  lost.type('status\r');
  await lost.rest();
  t.equal(lost.hand.pending, 0, 'no timer is left');
  t.same(lost.port.auditEntries.at(-1)?.detail, 'lineLost');
});

t.test('input is bounded, and no byte of the peer comes back as a control character', async (t) => {
  const technician = new Technician();
  await technician.enter();
  technician.type('x'.repeat(5_000));
  await technician.rest();
  technician.type('\r');
  await technician.until('command.unknown');
  await technician.until('> ');
  t.notMatch(technician.screen, 'x'.repeat(300));
  const before = technician.screen.length;
  technician.type(Buffer.from([0x61, 0xc2, 0x9b, 0x32, 0x4a, 0x00, 0x07, 0x9b, 0xff, 0xe2, 0x80, 0xae, 0x62, 0x0d]));
  await technician.until('command.unknown');
  const echoed = technician.screen.slice(before);
  t.match(echoed, 'a2Jb', 'what can be shown stays');
  t.notMatch(echoed, /[\u0000-\u0007\u0080-\u009f\u202e\ufffd]/);
});

t.test('fault 49: a line that sends without end and takes nothing fills no memory, logged in or not', async (t) => {
  const [near, far] = duplexPair();
  const technician = new Technician();
  const session = new Session({
    stream: near,
    dialogue: technician.dialogue(),
    schedule: technician.hand.schedule,
    idleMs,
    afterLogout: 'begin',
    onBug: (error) => technician.bugs.push(error),
  });
  session.begin();
  // Ctrl-D greets anew, Ctrl-C and Enter ask again: each answers with more than the key that asked.
  for (let chunk = 0; chunk < 400; chunk++) {
    far.write('\u0004\u0003\r'.repeat(100));
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.ok(near.writableLength < 131_072, `${near.writableLength} bytes wait`);
  far.setEncoding('utf8');
  let shown = '';
  far.on('data', (text: string) => {
    shown += text;
  });
  const end = Date.now() + 20_000;
  while (near.writableLength > 0 && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
  shown = '';
  far.write('\u0003');
  while (!shown.includes('PIN: ') && Date.now() < end) await new Promise((resolve) => setImmediate(resolve));
  t.match(shown, 'PIN: ', 'it asks again when the line takes its answers');
  session.close('closing');
  t.strictSame(technician.bugs, []);
});

t.test(
  'devices: list with what nobody claims, one in full, a trial that a key stops, and refusals with their codes',
  async (t) => {
    const technician = new Technician();
    const row = { bus: 'serial', sensitive: false, simulated: false, sinceWallMs: wallMs(0) } as const;
    const scanner = { ...row, device: 'scanner-1', identity: '0c2e:0caa:S1', description: 'Xenon (0c2e:0caa:S1)' };
    technician.port.deviceList = [
      { ...scanner, state: 'ready', error: null, counters: { codes: 7 } },
      {
        ...{ ...scanner, device: 'reader-2', bus: 'pcsc', identity: 'ICC 00', sensitive: true, state: 'failing' },
        ...{ counters: {}, error: { code: 'device.denied', detail: 'polkit' } },
      },
    ];
    technician.port.unclaimedList = [
      {
        ...{ bus: 'serial', vendorId: '10c4', productId: 'ea60', serial: '0001', name: 'CP2102', usage: null },
        ...{
          place: '/dev/serial/by-id/x',
          why: 'may be anything',
          configuration: ['[scanners]', 'paths = ["/dev/x"]'],
        },
      },
    ];
    await technician.enter();
    const say = async (line: string, until: string) => {
      technician.type(`${line}\r`);
      return technician.until(until);
    };
    t.match(
      await say('device list', '> '),
      /scanner-1.*ready[\s\S]*10c4:ea60:0001 {2}CP2102[\s\S]*paths = \["\/dev\/x"\]/,
    );
    t.match(await say('device', '> '), /reader-2.*FAILING/, 'without a word: the list');
    t.match(await say('devices --json', '> '), /"unclaimed":\[\{"bus":"serial"/);
    t.match(await say('device show scanner-1', '> '), /identity +0c2e:0caa:S1[\s\S]*codes +7/);
    t.match(await say('device show reader-2', '> '), /device\.denied polkit[\s\S]*Check groups/);
    await say('device show nobody', 'device.unknown');
    await say('device test scanner-1', 'any key stops');
    technician.port.see({ type: 'code', text: '6901234567892' });
    await technician.until('code    6901234567892');
    technician.type('\u0003');
    t.match(await technician.until('> '), /Stopped\. Seen: 1/);
    t.ok(technician.port.deskCalls.includes('stop'));
    await say('device test scanner-1', 'any key stops');
    technician.port.endTrial('time');
    await technician.until('device.timedOut');
    await say('device test scanner-1', 'any key stops');
    technician.port.see({ type: 'slip', end: { printed: 'whole', device: 'printer-1' } });
    technician.port.endTrial('done');
    t.match(await technician.until('> '), /printer-1 {2}printed[\s\S]*Done\. Seen: 1/);
    await say('device test scanner-1', 'any key stops');
    const error = { code: 'device.failed', detail: '' } as const;
    technician.port.see({ type: 'pulse', end: { switched: 'sent', device: 'relay-1' } });
    technician.port.see({ type: 'pulse', end: { switched: 'unknown', device: 'relay-1', error } });
    technician.port.endTrial('done');
    t.match(
      await technician.until('> '),
      /relay-1 {2}on, then off: sent;[\s\S]*relay-1 {2}perhaps switched on.*device\.failed[\s\S]*Seen: 2/,
    );
    await say('device test scanner-1', 'any key stops');
    const bankCard: Extract<TrialSight, { type: 'bankCard' }> = {
      type: 'bankCard',
      scheme: 'unionPay',
      label: 'UnionPay Debit',
      number: '629221******1346',
      hasLuhnDigit: true,
      expiry: '3012',
    };
    technician.port.see(bankCard);
    technician.port.see({ ...bankCard, label: null, hasLuhnDigit: false, expiry: null });
    technician.port.see({ type: 'unread', code: 'chip.blocked' });
    technician.port.endTrial('stopped');
    t.match(
      await technician.until('> '),
      /card {4}UnionPay {2}UnionPay Debit {2}629221\*{6}1346 {2}12\/30\r\ncard {4}UnionPay {2}- {2}629221\*{6}1346 {2}- {2}\(wrong check digit\)\r\nunread {2}This bank card/,
    );
    await say('language zh', '中文');
    await say('device test scanner-1', '按任意键停止');
    technician.port.see(bankCard);
    technician.port.see({ type: 'unread', code: 'chip.noApplication' });
    await technician.until('银行卡  银联  UnionPay Debit  629221******1346  12/30');
    await technician.until('未读出  卡内无');
    technician.port.endTrial('sale');
    await technician.until('交易开始，测试结束');
    await technician.until('> ');
    t.match(await say('device disable scanner-1', '> '), /scanner-1.*停用/);
    await say('device record reader-2 /tmp/a.rec', 'device.notRecorded');
    await say('device record scanner-1 /tmp/a.rec', '正在录制到 /tmp/a.rec');
    await say('device record scanner-1 stop', '录制完成：/tmp/a.rec  12 B');
    await say('device record reader-2 stop', 'device.notBeingRecorded');
    const audited = technician.port.auditEntries.map(({ action, detail }) => `${action} ${detail}`);
    for (const entry of [
      'device.test scanner-1',
      'device.disable scanner-1 0c2e:0caa:S1',
      'device.record scanner-1 /tmp/a.rec',
    ])
      t.ok(audited.includes(entry), entry);
    t.same(technician.bugs, []);
  },
);
