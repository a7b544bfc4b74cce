/**
 * Shows the SMPP carrier against a simulated message centre over TCP: each message once, unsure where nobody knows, room and
 * window kept, line lost and found, deliveries acknowledged when they are on disk and repeated ones taken once. Time is turned
 * by hand.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { ManualTime } from '../../../../drivers/sim/manual-time.js';
import { encodeMessageFile } from '../../../spool/message-file.js';
import { MessageSpool, waitingPartsOfOneMax } from '../../../spool/message-spool.js';
import { ensurePrivateFolder, flushFolder, writePrivateFile } from '../../pki/key-files.js';
import { SimulatedMessageCentre, shownBy } from '../../sim/message-centre.js';
import { freePort } from '../../sim/running-host.js';
import { retryFirstMs, SmppCarrier, throttledMs } from './carrier.js';
import { connectTo } from './open.js';
import { answerWithinMs, keepAliveMs } from './session.js';

interface Test {
  testdir(content: Record<string, never>): string;
  teardown(run: () => unknown): void;
}
const files = { ensureFolder: ensurePrivateFolder, write: writePrivateFile, flushFolder };

async function until(what: string, is: () => boolean): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!is()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function rig(t: Test, more: { password?: string; window?: number; folder?: string; port?: number } = {}) {
  const folder = more.folder ?? t.testdir({});
  const time = new ManualTime();
  const centre = new SimulatedMessageCentre();
  const port = await centre.listen(more.port ?? 0);
  const clock = { wallMs: () => time.clock.wallMs() };
  const reports: string[] = [];
  const open = (): SmppCarrier =>
    new SmppCarrier({
      spool: new MessageSpool(folder, files, clock),
      connect: () => connectTo('127.0.0.1', port, false),
      who: { systemId: 'shop', password: more.password ?? 'secret77', systemType: 'vma' },
      ownNumber: '10690000',
      homePrefix: '+86',
      window: more.window ?? 5,
      lookEveryMs: 1_000,
      schedule: time.schedule,
      report: (event, facts) => reports.push(JSON.stringify({ event, ...facts })),
    });
  const carrier = open();
  t.teardown(async () => {
    const stopped = carrier.stop();
    let isOver = false;
    void stopped.finally(() => {
      isOver = true;
    });
    await until('stopped', () => {
      if (!isOver) time.advance(1_000);
      return isOver;
    });
    await centre.close();
  });
  const list = (name: string): string[] =>
    readdirSync(path.join(folder, name))
      .filter((each) => each.endsWith('.sms'))
      .sort();
  const put = (id: string, text: string, to = '13800000001'): void =>
    writeFileSync(path.join(folder, 'out', `${id}.sms`), encodeMessageFile({ from: '10690000', to, text }));
  const incoming = (): string[] => list('in').map((name) => readFileSync(path.join(folder, 'in', name), 'utf8'));
  return { folder, time, centre, port, carrier, open, reports, list, put, incoming };
}
type Rig = Awaited<ReturnType<typeof rig>>;
const bound = async ({ carrier }: Rig, times = 1): Promise<void> => {
  if (times === 1) carrier.start();
  await until('bound', () => carrier.counters.bound >= times);
};

t.test('messages go out once, in order, long ones in parts, in either alphabet; byte by byte', async (t) => {
  const r = await rig(t, { window: 1 });
  r.centre.mood.drip = true;
  const long = 'SHOULI1 CPN '.repeat(30);
  const chinese = '您的优惠券😀'.repeat(30);
  r.put('1', 'hello');
  r.put('2', long);
  r.put('3', chinese);
  await bound(r);
  await until('all sent', () => r.carrier.counters.sent === 3);
  t.same(r.centre.binds, [{ systemId: 'shop', password: 'secret77', type: 'vma' }]);
  t.same(r.list('sent'), ['1.sms', '2.sms', '3.sms']);
  t.same([...r.list('out'), ...r.list('sending')], []);
  const [first, ...rest] = r.centre.submitted;
  t.match(first, { from: '10690000', to: '13800000001', esmClass: 0, coding: 0 });
  t.equal(shownBy([first as never]), 'hello');
  const longParts = rest.filter(({ coding }) => coding === 0);
  t.equal(shownBy(longParts), long);
  t.ok(longParts.every(({ message }) => message.length <= 159));
  const chineseParts = rest.filter(({ coding }) => coding === 8);
  t.equal(shownBy(chineseParts), chinese);
  t.ok(chineseParts.every(({ message }) => message.length <= 140));
  t.same(
    chineseParts.map(({ message }) => [message[0], message[1], message[2], message[4], message[5]]),
    chineseParts.map((_, i) => [5, 0, 3, chineseParts.length, i + 1]),
  );
});

t.test('what nobody knows the fate of is never sent again: silence, a cut line, a crash', async (t) => {
  const r = await rig(t);
  r.centre.mood.submits.push('hangUp');
  r.put('cut', 'a');
  await bound(r);
  await until('unsure', () => r.list('unsure').length === 1);
  r.time.advance(retryFirstMs);
  await bound(r, 2);
  r.centre.mood.submits.push('silence');
  r.put('silent', 'b');
  r.time.advance(1_000);
  await until('asked', () => r.centre.submitted.length === 2);
  r.time.advance(answerWithinMs);
  await until('unsure', () => r.list('unsure').length === 2);
  r.time.advance(2 * retryFirstMs);
  await bound(r, 3);
  r.put('later', 'c');
  r.time.advance(1_000);
  await until('sent', () => r.list('sent').length === 1);
  t.same(
    r.centre.submitted.map(({ message }) => message.toString()),
    ['a', 'b', 'c'],
  );
  t.match(readFileSync(path.join(r.folder, 'unsure', 'cut.reason'), 'utf8'), /no answer for part 1 of 1/);
  // A carrier that died with a message in its hands.
  r.put('crash', 'd');
  renameSync(path.join(r.folder, 'out', 'crash.sms'), path.join(r.folder, 'sending', 'crash.sms'));
  r.open();
  t.same(r.list('unsure'), ['crash.sms', 'cut.sms', 'silent.sms']);
});

t.test('a centre without room is asked again later; one that refuses is believed', async (t) => {
  const r = await rig(t, { window: 1 });
  r.centre.mood.submits.push(0x58, 0x14, 0);
  r.put('1', 'first');
  await bound(r);
  await until('refused', () => r.centre.heard.filter((command) => command === 4).length === 1);
  t.same(r.list('sent'), []);
  for (const throttled of [1, 2]) {
    await until('told so', () => r.carrier.counters.throttled === throttled);
    r.time.advance(throttledMs);
  }
  await until('sent', () => r.list('sent').length === 1);
  t.equal(r.centre.submitted.length, 1);
  r.centre.mood.submits.push(0x0b);
  r.put('2', 'to nobody');
  writeFileSync(path.join(r.folder, 'out', '3.sms'), 'no message');
  r.time.advance(1_000);
  await until('unsent', () => r.list('unsent').length === 2);
  t.match(readFileSync(path.join(r.folder, 'unsent', '2.reason'), 'utf8'), /status 11 for part 1 of 1/);
});

t.test('no more than the window is under way', async (t) => {
  const r = await rig(t, { window: 3 });
  r.centre.holding = true;
  for (let i = 0; i < 20; i++) r.put(`m${i}`, `text ${i}`);
  await bound(r);
  while (r.carrier.counters.sent < 20) {
    await until('three held', () => r.centre.held.length === Math.min(3, 20 - r.carrier.counters.sent));
    const before = r.carrier.counters.sent;
    r.centre.release();
    await until(
      'answered',
      () => (r.carrier.counters.sent > before && r.centre.held.length > 0) || r.carrier.counters.sent === 20,
    );
  }
  t.equal(r.centre.widest, 3);
  t.equal(new Set(r.centre.submitted.map(({ message }) => message.toString())).size, 20);
});

t.test('a line that is away is tried again, more and more seldom, and messages wait whole', async (t) => {
  const port = await freePort();
  const r = await rig(t, { port });
  await r.centre.close();
  r.put('1', 'waits');
  r.carrier.start();
  let tries = 0;
  for (const retryMs of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
    await until('lost', () => r.reports.length > tries);
    t.match(r.reports[tries++], new RegExp(`ECONNREFUSED.*"retryMs":${retryMs}}`));
    if (tries < 8) r.time.advance(retryMs);
  }
  t.same(r.list('out'), ['1.sms']);
  await r.centre.listen(port);
  r.time.advance(60_000);
  await until('sent', () => r.list('sent').length === 1);
});

t.test('a wrong password is not tried in haste and shows nowhere', async (t) => {
  const r = await rig(t, { password: 'wr0ngpw' });
  r.put('1', 'waits');
  r.carrier.start();
  await until('refused', () => r.reports.length === 1);
  t.match(r.reports[0], /bind refused with status 14/);
  t.notOk(r.reports.join('').includes('wr0ngpw'));
  t.same(r.list('out'), ['1.sms']);
});

t.test('the keep-alive finds a dead line, and is answered itself', async (t) => {
  const r = await rig(t);
  await bound(r);
  t.equal(await r.centre.enquire(), 0);
  r.time.advance(keepAliveMs);
  r.time.advance(keepAliveMs);
  await until('asked', () => r.centre.heard.includes(0x15));
  r.centre.mood.mute = true;
  await until('line given up', () => {
    r.time.advance(keepAliveMs);
    return r.reports.some((line) => line.includes('no answer in time'));
  });
});

t.test('a delivery is acknowledged when it is on disk, and a repeated one is taken once', async (t) => {
  const r = await rig(t);
  await bound(r);
  const message = { from: '8613800000001', to: '10690000', text: 'SHOULI1 KEY x', international: true };
  t.equal(await r.centre.deliver(message), 0);
  t.same(r.incoming(), ['from: 13800000001\nto: 10690000\n\nSHOULI1 KEY x\n']);
  t.equal(await r.centre.deliver(message), 0, 'its answer was lost, say');
  const [name = ''] = r.list('in');
  renameSync(path.join(r.folder, 'in', name), path.join(r.folder, 'done', name));
  t.equal(await r.centre.deliver(message), 0, 'and after the host has dealt with it');
  t.same(r.list('in'), []);
  t.match(r.carrier.counters, { received: 1, repeated: 2 });
});

t.test('where it cannot be stored, the centre keeps it', async (t) => {
  const r = await rig(t);
  await bound(r);
  renameSync(path.join(r.folder, 'in'), path.join(r.folder, 'away'));
  const message = { from: '13800000001', to: '10690000', text: 'x' };
  t.equal(await r.centre.deliver(message), 0x64, 'temporary');
  mkdirSync(path.join(r.folder, 'in'));
  t.equal(await r.centre.deliver(message), 0);
  t.equal(r.list('in').length, 1);
});

t.test('parts in any order, repeated, over a restart; receipts and what is unfit', async (t) => {
  const r = await rig(t);
  await bound(r);
  const part = (sequence: number, text: string, total = 3) => ({
    from: '13800000001',
    to: '10690000',
    esmClass: 0x40,
    text: Buffer.concat([Buffer.from([5, 0, 3, 77, total, sequence]), Buffer.from(text)]),
  });
  for (const [sequence, text] of [
    [3, 'c'],
    [1, 'a'],
    [1, 'a'],
  ] as const)
    t.equal(await r.centre.deliver(part(sequence, text)), 0);
  t.same(r.list('in'), []);
  r.open();
  t.equal(await r.centre.deliver(part(2, 'b')), 0);
  t.same(r.incoming(), ['from: 13800000001\nto: 10690000\n\nabc\n']);
  t.same(r.list('parts'), []);
  const options = (sequence: number) => Buffer.from(`020c00020005020e000102020f00010${sequence}`, 'hex');
  const two = { from: '13900000002', to: '10690000' };
  t.equal(await r.centre.deliver({ ...two, text: 'y', options: options(2) }), 0);
  t.equal(await r.centre.deliver({ ...two, text: 'x', options: options(1) }), 0);
  t.match(r.incoming()[1] ?? r.incoming()[0], /xy|abc/);
  t.equal(r.list('in').length, 2);
  const payload = Buffer.concat([Buffer.from('04240002', 'hex'), Buffer.from('4f60', 'hex')]);
  t.equal(await r.centre.deliver({ ...two, text: '', coding: 8, options: payload }), 0, 'message_payload');
  t.equal(await r.centre.deliver({ ...two, text: 'id:1 stat:DELIVRD', esmClass: 4 }), 0, 'a receipt is no message');
  t.equal(r.list('in').length, 3);
  t.equal(await r.centre.deliver({ ...two, from: 'BANK', text: 'x' }), 0x66);
  t.equal(await r.centre.deliver({ ...two, text: 'x', coding: 4 }), 0x66, 'binary');
  t.equal(await r.centre.deliver({ ...part(1, 'x', 200) }), 0x66, 'too many parts');
  t.equal(r.list('in').length, 3);
  for (let reference = 0; reference < waitingPartsOfOneMax; reference++)
    t.equal(
      await r.centre.deliver({
        ...two,
        esmClass: 0x40,
        text: Buffer.from([5, 0, 3, reference, 2, 1, 0x41]),
      }),
      0,
    );
  t.equal(
    await r.centre.deliver({ ...two, esmClass: 0x40, text: Buffer.from([5, 0, 3, 200, 2, 1, 0x41]) }),
    0,
    'one sender cannot fill the folder: the oldest of it goes',
  );
  t.equal(r.list('parts').length, waitingPartsOfOneMax);
});

t.test('noise on the line ends the session, and the next one works', async (t) => {
  const r = await rig(t);
  await bound(r);
  r.centre.raw(Buffer.from('00000004', 'hex'));
  await until('lost', () => r.reports.some((line) => line.includes('input.malformed')));
  r.time.advance(retryFirstMs);
  await bound(r, 2);
  r.centre.raw(Buffer.from('7fffffff', 'hex'));
  await until('lost', () => r.reports.some((line) => line.includes('input.tooLong')));
  r.time.advance(2 * retryFirstMs);
  await bound(r, 3);
  r.centre.raw(Buffer.from('00000010000000030000000000000009', 'hex'));
  await until('refused', () => r.centre.heard.includes(0x80000000));
});
