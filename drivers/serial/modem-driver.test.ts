/**
 * Shows that the modem driver passes the conformance suite on a pseudo-terminal through the real serial library, and carries
 * each message at most once, deletes what came only when the folder has it, and comes back from every refusal. How: a modem
 * written from the standards alone, behind the driver's ports with a clock that moves when told; the folder is the real spool.
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import t from 'tap';
import { encodeMessageFile } from '../../host-sync/spool/message-file.js';
import { MessageSpool } from '../../host-sync/spool/message-spool.js';
import { spoolFiles } from '../../host-sync/spool/spool-files.js';
import { hex } from '../../terminal/kernel/bytes.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { ok } from '../../terminal/kernel/result.js';
import { driverConformance } from '../contract/conformance.js';
import { AnswerReader, lineCharactersMax, readCondition, readEnd, readList } from '../protocols/gsm-modem/answers.js';
import { decodeDeliverTpdu, encodeSubmitTpdu } from '../protocols/sms/tpdu.js';
import { modemOnPty, SimulatedGsmModem } from '../sim/gsm-modem.js';
import { ManualTime } from '../sim/manual-time.js';
import { openPtyPair } from '../sim/pty.js';
import { laterTriesMax, lookMessagesMs, ModemDriver } from './modem-driver.js';
import { openSerialTransport } from './serial-transport.js';

const options = { baud: 115_200, ownNumber: '10690000', homePrefix: '+86' };

t.test('conformance on a pseudo-terminal', async (t) =>
  driverConformance(t, ['plug'], async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'shouli-modem-'));
    const paths = [path.join(folder, 'line'), path.join(folder, 'device')] as const;
    let pair = await openPtyPair(...paths);
    let far = modemOnPty(pair.device);
    const pullOut = async () => {
      far.close();
      await pair.close();
    };
    return {
      driver: new ModemDriver(
        { ...options, paths: [pair.line] },
        {
          clock: nativeClock,
          schedule: (delayMs, run) => {
            const timer = setTimeout(run, delayMs);
            return () => clearTimeout(timer);
          },
          open: (line) => openSerialTransport(line, 115_200),
          exists: existsSync,
          isSimulated: () => true,
          openSpool: () => new MessageSpool(path.join(folder, 'messages'), spoolFiles, nativeClock),
        },
      ),
      plug: {
        pullOut,
        putBack: async () => {
          pair = await openPtyPair(...paths);
          far = modemOnPty(pair.device);
        },
      },
      close: pullOut,
    };
  }),
);

async function rig(t: { testdir(content: Record<string, never>): string; teardown(run: () => unknown): void }) {
  const folder = t.testdir({});
  const time = new ManualTime();
  let toDriver: (chunk: Uint8Array) => void = () => {};
  const modem = new SimulatedGsmModem((text) => {
    for (const byte of Buffer.from(text, 'latin1')) queueMicrotask(() => toDriver(Uint8Array.of(byte)));
  });
  const spool = new MessageSpool(folder, spoolFiles, nativeClock);
  const driver = new ModemDriver(
    { ...options, paths: ['/dev/modem'] },
    {
      clock: time.clock,
      schedule: time.schedule,
      exists: () => true,
      isSimulated: () => true,
      openSpool: () => spool,
      open: async () =>
        ok({
          write: async (bytes) => {
            modem.feed(bytes);
            return ok(undefined);
          },
          onData: (listener) => {
            toDriver = listener;
          },
          onClosed: () => {},
          close: async () => {},
        }),
    },
  );
  const turn = async (): Promise<void> => {
    for (let i = 0; i < 200; i++) await new Promise((resolve) => setImmediate(resolve));
  };
  const list = (name: string): string[] => readdirSync(path.join(folder, name)).filter((each) => each.endsWith('.sms'));
  const put = (id: string, text: string): void =>
    writeFileSync(
      path.join(folder, 'out', `${id}.sms`),
      encodeMessageFile({ from: '10690000', to: '+8613800000001', text }),
    );
  const look = async (): Promise<void> => {
    time.advance(lookMessagesMs);
    await turn();
  };
  t.teardown(() => driver.stop());
  return { folder, time, modem, driver, turn, list, put, look, state: () => driver.statuses()[0] };
}

t.test('sends in either alphabet and in parts; what nobody knows is not sent again', async (t) => {
  const r = await rig(t);
  const long = 'SHOULI1_CPN '.repeat(30);
  const chinese = '您的优惠券😀'.repeat(20);
  r.put('1', 'hello');
  r.put('2', long);
  r.put('3', chinese);
  await r.driver.start(() => {});
  await r.turn();
  t.same(r.list('sent').sort(), ['1.sms', '2.sms', '3.sms']);
  t.equal(r.modem.sent.map(({ text }) => text).join(''), `hello${long}${chinese}`);
  t.ok(r.modem.sent.every(({ to }) => to === '+8613800000001'));
  t.match(r.modem.sent.filter(({ header }) => header !== '')[0]?.header, /^050003..0301$/);
  const before = r.modem.sent.length;
  r.modem.mood.sends.push('silence');
  r.put('4', 'silent');
  await r.look();
  r.time.advance(60_000);
  await r.turn();
  t.same(r.list('unsure'), ['4.sms']);
  r.modem.mood.sends.push(500, 21, 331);
  r.put('5', 'unknown error');
  r.put('6', 'rejected');
  r.put('7', 'no network');
  await r.look();
  t.same(r.list('unsure').sort(), ['4.sms', '5.sms']);
  t.same(r.list('unsent'), ['6.sms']);
  t.same(r.list('out'), ['7.sms'], 'certainly not taken: kept');
  t.match(r.state(), { state: 'failing', error: { code: 'device.failed' } });
  await r.look();
  t.match(r.state(), { state: 'ready', error: null });
  t.same(
    r.modem.sent.slice(before).map(({ text }) => text),
    ['silent', 'no network'],
  );
  t.match(r.state()?.counters, { sent: 4, unsure: 2, unsent: 1 });
});

t.test(
  'what came is deleted when the folder has it, once, in parts, and what is unfit does not fill the SIM',
  async (t) => {
    const r = await rig(t);
    await r.driver.start(() => {});
    await r.turn();
    renameSync(path.join(r.folder, 'in'), path.join(r.folder, 'away'));
    r.modem.arrive('+8613800000001', 'SHOULI1 KEY x');
    await r.turn();
    t.equal(r.modem.sim.size, 1, 'no folder: it stays on the SIM');
    t.match(r.state(), { state: 'failing', error: { detail: 'the message folder cannot be used' } });
    mkdirSync(path.join(r.folder, 'in'));
    await r.look();
    t.equal(r.modem.sim.size, 0);
    const [name = ''] = r.list('in');
    t.equal(
      readFileSync(path.join(r.folder, 'in', name), 'utf8'),
      'from: 13800000001\nto: 10690000\n\nSHOULI1 KEY x\n',
    );
    r.modem.arrive('+8613800000001', 'SHOULI1 KEY x');
    r.modem.arrive('13900000002', '二', '050003070202');
    r.modem.arrive('13900000002', '一', '050003070201');
    r.modem.store('0791448720003023');
    r.modem.store('not hex');
    await r.turn();
    await r.look();
    t.same([...r.modem.sim.values()], ['NOT HEX'], 'what was garbled on the line is never deleted');
    t.equal(r.list('in').length, 2, 'the same message again is one');
    t.ok(r.list('in').some((each) => readFileSync(path.join(r.folder, 'in', each), 'utf8').includes('一二')));
    t.match(r.state()?.counters, { refused: 1 });
  },
);

t.test('a number that the network never takes holds up the others only so long', async (t) => {
  const r = await rig(t);
  r.modem.mood.sends.push(...Array.from({ length: laterTriesMax }, () => 41));
  r.put('1', 'to nobody');
  r.put('2', 'to somebody');
  await r.driver.start(() => {});
  for (let looks = 0; looks < laterTriesMax; looks++) await r.look();
  t.same([r.list('unsent'), r.list('sent'), r.list('out')], [['1.sms'], ['2.sms'], []]);
});

t.test('an OK without the number of the message is not taken for its sending', async (t) => {
  const r = await rig(t);
  r.modem.mood.sends.push('bareOk');
  r.put('1', 'perhaps');
  await r.driver.start(() => {});
  await r.turn();
  t.same([r.list('unsure'), r.list('sent')], [['1.sms'], []]);
});

t.test('a SIM with a PIN and a modem that says nothing are failing, and come back', async (t) => {
  const r = await rig(t);
  r.modem.mood.pinWanted = true;
  r.put('1', 'waits');
  await r.driver.start(() => {});
  await r.turn();
  t.match(r.state(), { state: 'failing', error: { detail: /PIN/ } });
  r.modem.mood.pinWanted = false;
  r.modem.mood.mute = true;
  await r.look();
  r.time.advance(5_000);
  await r.turn();
  t.match(r.state(), { state: 'failing', error: { detail: 'ATE0: no answer' } });
  r.modem.mood.mute = false;
  await r.look();
  t.match(r.state(), { state: 'ready' });
  t.same(r.list('sent'), ['1.sms']);
});

t.test(
  'asked for its network it answers between two looks, once for all who ask; a silent one is known as that',
  async (t) => {
    const r = await rig(t);
    t.equal(await r.driver.askCondition(null), null, 'no modem yet');
    await r.driver.start(() => {});
    await r.turn();
    const before = r.modem.commands.length;
    const asked = [r.driver.askCondition(null), r.driver.askCondition('modem-1')];
    await r.turn();
    const condition = { known: true, device: 'modem-1', network: 'home', signalDbm: -73 } as const;
    t.same(await Promise.all(asked), [condition, condition]);
    t.same(
      r.modem.commands.slice(before).filter((command) => !command.startsWith('AT+CMGL')),
      ['AT+CSQ', 'AT+CREG?'],
    );
    t.equal(await r.driver.askCondition('modem-2'), null);
    r.modem.mood.mute = true;
    const silent = r.driver.askCondition(null);
    for (let seconds = 0; seconds < 12; seconds++) {
      r.time.advance(1_000);
      await r.turn();
    }
    t.match(await silent, { known: false, device: 'modem-1', error: { code: 'device.timedOut' } });
    const torn = r.driver.askCondition(null);
    r.driver.serve('/dev/modem', false);
    t.match(await torn, { known: false, error: { code: 'device.closed' } });
    t.match(await r.driver.askCondition(null), { known: false, error: { code: 'device.closed' } });
  },
);

t.test('network and signal: each state, no level, and what is no answer', async (t) => {
  const condition = (signal: string, network: string) => readCondition([signal], [network]);
  t.same(condition('+CSQ: 0,99', '+CREG: 0,5'), { network: 'roaming', signalDbm: -113 });
  t.same(condition('+CSQ: 31,0', '+CREG: 2,2,"00C3","A1"'), { network: 'searching', signalDbm: -51 });
  t.same(condition('+CSQ: 99,99', '+CREG: 0,3'), { network: 'denied', signalDbm: null });
  t.same(condition('+CSQ:7,0', '+CREG:0,4'), { network: 'none', signalDbm: -99 });
  for (const [signal, network] of [
    ['', '+CREG: 0,1'],
    ['+CSQ: 7,0', ''],
    ['+CSQ: 700,0', '+CREG: 0,1'],
    ['+CSQ: 7,0', '+CREG: 0,9'],
  ] as const)
    t.equal(condition(signal, network), null, `${signal} ${network}`);
});

t.test('codec: a known message, every truncation and flipped bit; lines and their bounds', (t) => {
  const known = hex('07911326040000F0040B911346610089F60000208062917314080CC8F71D14969741F977FD07');
  t.match(decodeDeliverTpdu(known), { ok: true, value: { from: '+31641600986', text: 'How are you?', place: null } });
  for (let length = 0; length < known.length; length++)
    t.match(decodeDeliverTpdu(known.subarray(0, length)), { ok: false }, `${length}`);
  for (let bit = 0; bit < 8 * known.length; bit++) {
    const flipped = known.slice();
    flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    t.doesNotThrow(() => decodeDeliverTpdu(flipped));
  }
  t.equal(
    encodeSubmitTpdu('+46708251358', { coding: 'gsm7', header: hex(''), body: Buffer.from('hellohello') }).length,
    22,
  );
  const reader = new AnswerReader();
  t.same(reader.push(Buffer.from(`${'x'.repeat(lineCharactersMax + 50)}\r\nOK\r\n> `)), [
    { kind: 'line', text: 'OK' },
    { kind: 'prompt' },
  ]);
  t.same(readEnd('+CMS ERROR: 331'), { ok: false, code: 331 });
  t.same(readEnd('+CMS ERROR: 99999'), { ok: false, code: -1 });
  t.equal(readEnd('+CMGS: 7'), null);
  const listed = readList([
    '+CMGL: 3,1,,2',
    '^RSSI: 18',
    '00',
    '00041',
    '000412',
    '+CMGL: 4,1,,24',
    '0041',
    '+CMGL: 5,1,,1',
  ]);
  t.same(listed, [
    { index: 3, pdu: hex('000412') },
    { index: 4, pdu: null },
    { index: 5, pdu: null },
  ]);
  t.end();
});
