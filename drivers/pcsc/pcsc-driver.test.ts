/**
 * Shows the driver's own behaviour: names that last, state and reasons, cards and links across a child's death, damping.
 * How: a fake child that speaks real frames under manual time; and the conformance suite of all drivers on it.
 */
import t from 'tap';
import { hex } from '../../terminal/kernel/bytes.js';
import { nativeClock } from '../../terminal/kernel/native.js';
import { durationMs } from '../../terminal/kernel/units.js';
import { driverConformance } from '../contract/conformance.js';
import type { DeviceEvent } from '../contract/driver.js';
import type { ApduLink } from '../contract/transport.js';
import type { VasMode } from '../protocols/vas/session.js';
import { echoing, FakeReaderChild } from '../sim/fake-reader-child.js';
import { ManualTime } from '../sim/manual-time.js';
import { virtualAtr } from '../sim/vpcd.js';
import { readerFrames } from './frames.js';
import type { PcscOptions } from './options.js';
import { PcscDriver } from './pcsc-driver.js';

const acr = 'ACS ACR122U PICC Interface';
const select = hex('00A40400');
const second = durationMs(1_000);

function open(options: Partial<PcscOptions> = {}, polling: VasMode | null = null) {
  const time = new ManualTime();
  const children: FakeReaderChild[] = [];
  const events: DeviceEvent[] = [];
  const driver = new PcscDriver({
    clock: time.clock,
    schedule: time.schedule,
    options,
    polling,
    spawn: () => {
      const child = new FakeReaderChild();
      children.push(child);
      return child;
    },
  });
  const started = driver.start((event) => events.push(event));
  const child = () => children.at(-1) ?? new FakeReaderChild();
  const state = (device: string) => driver.statuses().find((status) => status.device === device)?.state;
  const reason = (device: string) => driver.statuses().find((status) => status.device === device)?.error?.detail;
  const links = () => events.flatMap((event): ApduLink[] => (event.type === 'cardPresented' ? [event.link] : []));
  const removals = () => events.flatMap((event) => (event.type === 'cardRemoved' ? [event.linkId] : []));
  return { time, children, events, driver, started, child, state, reason, links, removals };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));

t.test('without pcscd: started, absent, with the reason; ready by itself once it is there', async (t) => {
  const { child, started, state, reason } = open();
  child().send({ type: 'hello', version: 1 });
  child().send({ type: 'serviceDown', code: 'device.absent', detail: 'pcscd is not running: there is no socket' });
  await started;
  t.equal(state('pcsc'), 'absent');
  t.match(reason('pcsc'), 'pcscd is not running');
  child().send({ type: 'serviceUp' });
  child().send({ type: 'looked' });
  t.match(reason('pcsc'), 'no reader is plugged in');
  child().send({ type: 'readerAdded', reader: 1, name: `${acr} 00 00` });
  t.equal(state('pcsc'), 'ready');
  t.equal(state('reader-1'), 'ready');
});

t.test('no permission for the socket is failing, not absent: a person must act', async (t) => {
  const { child, state } = open();
  child().send({ type: 'hello', version: 1 });
  child().send({ type: 'serviceDown', code: 'device.denied', detail: 'no permission' });
  t.equal(state('pcsc'), 'failing');
});

t.test('a child that says nothing holds the start up for three seconds, no longer', async (t) => {
  const { time, started, state } = open();
  time.advance(3_000);
  await started;
  t.equal(state('pcsc'), 'opening');
});

t.test('a reader keeps its name over a replug and over a new child', async (t) => {
  const { child, time, driver, children } = open();
  child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 00 01']);
  child().send({ type: 'readerRemoved', reader: 1 });
  child().send({ type: 'readerAdded', reader: 3, name: `${acr} 02 00` });
  const names = () => driver.statuses().map((status) => `${status.device} ${status.description} ${status.state}`);
  const expected = [
    'pcsc PC/SC service (pcscd) ready',
    `reader-1 ${acr} 02 00 ready`,
    'reader-2 OMNIKEY 5422 00 01 ready',
  ];
  t.strictSame(names(), expected);
  child().end();
  time.advance(50);
  t.equal(children.length, 2);
  child().comeUp(['OMNIKEY 5422 00 01', `${acr} 02 00`]);
  t.strictSame(names(), expected, 'also when pcscd lists them the other way round');
});

t.test('the end of the child ends open links, says so once, and the next child serves', async (t) => {
  const { child, time, links, removals, state, reason } = open();
  child().comeUp([`${acr} 00 00`]);
  child().present(1, 1, () => new Promise(() => {}));
  const link = links()[0];
  const outcome = link?.transmit(select, second);
  child().send({ type: 'serviceDown', code: 'device.absent', detail: 'pcscd has ended' });
  child().end('ended by SIGKILL');
  const ended = await outcome;
  t.equal(ended && !ended.ok && ended.error.code, 'device.closed');
  t.strictSame(removals(), [link?.id]);
  t.equal(state('reader-1'), 'absent');
  t.match(reason('reader-1'), 'pcscd has ended');
  time.advance(50);
  child().comeUp([`${acr} 00 00`]);
  child().present(1, 1, echoing);
  t.equal(links().length, 2);
  t.not(links()[1]?.id, link?.id, 'the same numbers of another child are another link');
  t.ok((await links()[1]?.transmit(select, second))?.ok);
});

t.test('a command that stays stuck in the reader costs the child', async (t) => {
  const { child, time, links, removals, driver } = open();
  child().comeUp([`${acr} 00 00`]);
  child().present(1, 1, () => new Promise(() => {}));
  const outcome = links()[0]?.transmit(select, second);
  time.advance(1_001);
  const ended = await outcome;
  t.equal(ended && !ended.ok && ended.error.code, 'device.timedOut');
  t.match(driver.statuses()[1]?.counters, { cards: 1, exchanges: 1, timeouts: 1 });
  t.notOk(child().killed, 'not yet');
  time.advance(1_000);
  t.ok(child().killed);
  await turn();
  t.equal(removals().length, 1);
});

t.test('a reader that is held reports no card and lets its card go; the other goes on', async (t) => {
  const { child, state, links, removals, driver } = open();
  child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 00 01']);
  child().present(1, 1, () => new Promise(() => {}));
  const outcome = links()[0]?.transmit(select, second);
  driver.serve(`${acr} 00`, false);
  const ended = await outcome;
  t.equal(ended && !ended.ok && ended.error.code, 'device.closed', 'what was under way is ended');
  t.strictSame(removals(), [links()[0]?.id]);
  t.match(child().received.at(-1), { type: 'release', card: 1 });
  t.equal(state('reader-1'), 'disabled');
  child().present(1, 3, echoing);
  t.equal(links().length, 1, 'its cards do not count');
  child().present(2, 2, echoing);
  t.equal(links().length, 2);
  child().send({ type: 'readerRemoved', reader: 1 });
  t.equal(state('reader-1'), 'absent', 'that it went is still seen');
  child().send({ type: 'readerAdded', reader: 5, name: `${acr} 04 00` });
  t.equal(state('reader-1'), 'disabled');
  driver.serve(`${acr} 00`, true);
  t.equal(state('reader-1'), 'ready');
  child().present(5, 4, echoing);
  t.equal(links().length, 3);
});

t.test('who listens in on one reader gets its frames, both ways, and no other reader’s', async (t) => {
  const { child, links, driver } = open();
  child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 00 01']);
  const heard: string[] = [];
  driver.listenIn(`${acr} 00`, (what, bytes) => {
    const frames = what === 'about' ? null : readerFrames.stream().push(bytes);
    heard.push(frames ? `${what} ${frames.ok ? frames.value[0]?.type : 'broken'}` : what);
  });
  child().present(2, 2, echoing);
  child().present(1, 1, echoing);
  await links()[0]?.transmit(select, second);
  await links()[1]?.transmit(select, second);
  child().remove(1, 1);
  t.strictSame(heard, ['about', 'in readerAdded', 'in cardPresented', 'out transmit', 'in answer', 'in cardRemoved']);
  driver.listenIn(`${acr} 00`, null);
  child().present(1, 3, echoing);
  t.equal(heard.length, 6);
});

t.test('nfc-pcsc that cannot be loaded is an absent service with the reason', async (t) => {
  const { child, started, state, reason } = open();
  child().send({ type: 'hello', version: 1 });
  child().send({ type: 'serviceDown', code: 'device.driverMissing', detail: 'nfc-pcsc cannot be loaded: no file' });
  child().end('ended by SIGKILL');
  await started;
  t.equal(state('pcsc'), 'absent');
  t.match(reason('pcsc'), 'cannot be loaded');
});

t.test('virtual and ignored readers are shown as disabled and report no card', async (t) => {
  const { child, state, links, driver } = open({ ignoredNames: ['omnikey'] });
  child().comeUp(['Virtual PCD 00 00', 'OMNIKEY 5422 00 00']);
  child().present(1, 1, echoing);
  child().present(2, 2, echoing);
  t.strictSame([state('reader-1'), state('reader-2'), state('pcsc')], ['disabled', 'disabled', 'absent']);
  t.equal(links().length, 0);
  t.strictSame(
    driver.statuses().map((status) => status.simulated),
    [false, true, false],
  );
});

t.test('switched off, it starts no process', async (t) => {
  const { children, started, state } = open({ enabled: false });
  await started;
  t.equal(children.length, 0);
  t.equal(state('pcsc'), 'disabled');
});

t.test(
  'a card that cannot be read does not make the reader fail; a reader in use elsewhere does, until a card works',
  async (t) => {
    const { child, state } = open();
    child().comeUp([`${acr} 00 00`]);
    child().send({ type: 'readerFailed', reader: 1, code: 'device.cardRemoved', detail: 'unresponsive card' });
    t.equal(state('reader-1'), 'ready');
    child().send({ type: 'readerFailed', reader: 1, code: 'device.busy', detail: 'sharing violation' });
    t.equal(state('reader-1'), 'failing');
    child().present(1, 1, echoing);
    t.equal(state('reader-1'), 'ready');
  },
);

t.test('member signals reach readers that have light, and no other', async (t) => {
  const { child, driver } = open();
  child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 00 01']);
  driver.signal('done');
  t.match(
    child().received.filter((frame) => frame.type === 'show'),
    [{ reader: 1, command: hex('FF00400E0401000101') }],
  );
  const quiet = open({ memberSignals: false });
  quiet.child().comeUp([`${acr} 00 00`]);
  quiet.driver.signal('done');
  t.notOk(quiet.child().received.some((frame) => frame.type === 'show'));
});

const escapes = (child: FakeReaderChild) => child.received.filter((frame) => frame.type === 'escape');

t.test('readers that take escape commands get light and sound that way; slots for contacts never', async (t) => {
  const { child, driver } = open();
  child().comeUp(['ACS ACR1252 CL Reader [ACR1252 Dual Reader PICC] 00 00', 'ACS ACR1252 CL Reader [SAM] 00 01']);
  driver.signal('done');
  t.same(escapes(child()), [{ type: 'escape', reader: 1, commands: [hex('E00000290102'), hex('E0000028010A')] }]);
});

t.test('a reader that refuses its own commands serves on and says why, until it is plugged in again', async (t) => {
  const { child, state, reason } = open();
  child().comeUp(['ACS ACR1252 CL Reader PICC 00 00']);
  child().send({ type: 'escapeFailed', reader: 1, code: 'device.denied', detail: 'SCardControl error: 0x80100016' });
  t.match(reason('reader-1'), /^no light, sound or polling: SCardControl error/);
  child().present(1, 1, echoing);
  t.equal(state('reader-1'), 'ready');
  t.match(reason('reader-1'), /^no light/, 'a card does not hide it');
  child().send({ type: 'readerRemoved', reader: 1 });
  child().send({ type: 'readerAdded', reader: 2, name: 'ACS ACR1252 CL Reader PICC 01 00' });
  t.equal(reason('reader-1'), undefined);
});

t.test(
  'a reader that refuses a card’s own commands three times in a row is asked no more until plugged in again',
  async (t) => {
    const { child, state, reason, links } = open();
    child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 CL 00 01']);
    let card = 0;
    const ask = async (answer: string, reader = 1) => {
      child().present(reader, ++card, (command) => (command[0] === 0xff ? hex(answer) : echoing(command)));
      const link = links().at(-1);
      const passed = await link?.passThrough?.(hex('3C00'), second);
      t.ok((await link?.transmit(select, second))?.ok, 'the link is whole after it');
      child().remove(reader, card);
      return passed === undefined ? 'not asked' : passed.ok ? 'passed' : passed.error.code;
    };
    t.equal(await ask('6300', 2), 'not asked', 'no way through that reader is known');
    const [refused, silent, good] = ['6300', 'D543019000', 'D54300AA9000'];
    for (const answer of [refused, refused, silent]) await ask(answer);
    t.equal(await ask(good), 'passed', 'a silent card is no refusal of the reader');
    for (let time = 0; time < 3; time++) t.equal(await ask(refused), 'device.unsupported');
    t.equal(await ask(good), 'not asked');
    t.equal(state('reader-1'), 'ready', 'it goes on serving cards');
    t.match(reason('reader-1'), /^no makers’ signatures/);
    child().send({ type: 'readerRemoved', reader: 1 });
    child().send({ type: 'readerAdded', reader: 3, name: `${acr} 01 00` });
    t.equal(reason('reader-1'), undefined);
    t.equal(await ask(good, 3), 'passed');
  },
);

t.test('polling: on empty fields of readers that can, again and again, only where it is wanted', async (t) => {
  const polling = open({ walletPolling: true }, 'vasOnly');
  polling.child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 CL 00 01']);
  const sent = () => escapes(polling.child()).map((frame) => frame.type === 'escape' && frame.reader);
  polling.time.advance(200);
  t.same(sent(), [1]);
  t.match(escapes(polling.child()), [{ commands: { length: 4 } }]);
  polling.child().present(1, 1, echoing);
  polling.time.advance(1_000);
  t.same(sent(), [1], 'a card is not disturbed');
  polling.child().remove(1, 1);
  polling.time.advance(400);
  t.same(sent(), [1, 1, 1]);
  await polling.driver.stop();
  polling.time.advance(1_000);
  t.same(sent(), [1, 1, 1], 'not after the end');
  for (const quiet of [open({ walletPolling: true }, null), open({}, 'vasOnly')]) {
    quiet.child().comeUp([`${acr} 00 00`]);
    quiet.time.advance(1_000);
    t.same(escapes(quiet.child()), []);
  }
});

t.test('two cards in one field are refused, one is presented, and so is one that nobody could count', async (t) => {
  const { child, driver, links, time } = open({ refuseTwoCards: true });
  child().comeUp([`${acr} 00 00`, 'OMNIKEY 5422 CL 00 01']);
  const counters = () => driver.statuses().find((status) => status.device === 'reader-1')?.counters;
  const seeing = (cards: string) => (command: Uint8Array) =>
    command[0] === 0xff ? hex(`D54B${cards}9000`) : echoing(command);
  child().present(1, 1, seeing('02014400200401020304024400200405060708'));
  await turn();
  t.equal(links().length, 0);
  t.match(counters(), { cards: 1, twoCards: 1 });
  t.ok(
    child().received.some((frame) => frame.type === 'release' && frame.card === 1),
    'both are let go',
  );
  t.match(
    child().received.filter((frame) => frame.type === 'show'),
    [{ reader: 1 }],
    'and the member sees it',
  );
  child().remove(1, 1);
  child().present(1, 2, seeing('01014400200401020304'));
  await turn();
  t.equal(links().length, 1);
  const answer = await links()[0]?.transmit(select, second);
  t.ok(answer?.ok, 'the link is whole after the look');
  child().remove(1, 2);
  child().present(1, 3, () => hex('6300'));
  await turn();
  t.equal(links().length, 2, 'a reader that cannot say');
  child().present(2, 4, echoing);
  t.equal(links().length, 3, 'a reader without such a command is not asked');
  child().remove(1, 3);
  child().present(1, 5, () => new Promise(() => {}));
  child().remove(1, 5);
  await turn();
  t.equal(links().length, 3, 'a card that left during the look was never there');
  child().present(1, 6, () => new Promise(() => {}));
  time.advance(600);
  await turn();
  t.equal(links().length, 3, 'one that cannot be looked at in time is let go, not presented dead');
});

const bankAtr = hex('3b6500002063cb6800');
const inserted = (events: readonly DeviceEvent[]) =>
  events.flatMap((event): ApduLink[] => (event.type === 'cardInserted' ? [event.link] : []));

t.test(
  'a card with contacts in its slot is inserted, never presented; both slots of one reader by their names',
  async (t) => {
    const dual = 'ACS ACR1281 Dual Reader';
    const { child, driver, events, links, removals } = open({ contactSlots: ['Reader ICC'] });
    child().comeUp([`${dual} ICC 00 00`, `${dual} PICC 00 01`]);
    t.same([driver.isContactSlot('reader-1'), driver.isContactSlot('reader-2')], [true, false]);
    t.match(driver.statuses().slice(1), [{ sensitive: true }, { sensitive: false }]);
    child().present(1, 1, echoing, bankAtr);
    child().present(2, 2, echoing);
    t.same([inserted(events).map(({ id }) => id), links().map(({ id }) => id)], [['pcsc-1-1'], ['pcsc-1-2']]);
    t.ok((await inserted(events)[0]?.transmit(select, second))?.ok);
    child().remove(1, 1);
    t.same(removals(), ['pcsc-1-1']);
    driver.signal('done');
    t.notOk(child().received.some((frame) => frame.type === 'show' && frame.reader === 1));
    child().send({ type: 'readerRemoved', reader: 1 });
    child().send({ type: 'readerAdded', reader: 7, name: `${dual} ICC 03 00` });
    t.ok(driver.isContactSlot('reader-1'), 'also when it comes back under another name');
  },
);

t.test('a card in the wrong kind of reader is counted, named and let go, not taken for another', async (t) => {
  const { child, driver, events, links, reason, state } = open({ contactSlots: ['Gemalto'] });
  child().comeUp(['HID Global OMNIKEY 3121 00 00', `${acr} 01 00`, 'Gemalto PC Twin Reader 02 00']);
  for (const [reader, atr] of [
    [1, bankAtr],
    [2, bankAtr],
    [3, virtualAtr()],
  ] as const) {
    child().present(reader, reader, echoing, atr);
    const device = `reader-${reader}`;
    t.equal(state(device), 'ready', `${device} goes on`);
    t.match(reason(device), /contactSlots/);
    t.match(driver.statuses()[reader], { error: { code: 'device.wrongSlot' }, counters: { wrongSlot: 1, cards: 0 } });
    t.ok(child().received.some((frame) => frame.type === 'release' && frame.card === reader));
    child().remove(reader, reader);
  }
  t.same([links(), inserted(events)], [[], []]);
  t.notOk(child().received.some((frame) => frame.type === 'transmit'));
  t.ok(
    events.some((event) => event.type === 'deviceStateChanged' && event.status.error?.code === 'device.wrongSlot'),
    'and said',
  );
  child().present(1, 4, echoing);
  t.equal(reason('reader-1'), undefined, 'a card that belongs there takes the remark away');
  t.equal(links().length, 1);
  child().present(3, 5, echoing, hex('0102'));
  t.equal(inserted(events).length, 1, 'an answer to reset against the rules says nothing');
});

t.test('readers without end are remembered up to a bound', async (t) => {
  const { child, driver } = open();
  child().comeUp([]);
  for (let reader = 1; reader <= 40; reader++) {
    child().send({ type: 'readerAdded', reader, name: `Reader ${reader} 00 00` });
    child().send({ type: 'readerRemoved', reader });
  }
  t.equal(driver.statuses().length, 17);
  for (let reader = 41; reader <= 80; reader++)
    child().send({ type: 'readerAdded', reader, name: `Reader ${reader} 00 00` });
  t.equal(driver.statuses().length, 17, 'also when all are plugged in');
});

t.test('conformance, on a fake child', async (t) => {
  driverConformance(t, ['card', 'plug'], async () => {
    const children: FakeReaderChild[] = [];
    let here = true;
    let cards = 0;
    const child = () => children.at(-1) ?? new FakeReaderChild();
    let releaseCard: () => void = () => {};
    const served = new WeakSet<FakeReaderChild>();
    const serve = (born: FakeReaderChild) => {
      if (!here || served.has(born)) return;
      served.add(born);
      born.comeUp([`${acr} 00 00`]);
    };
    return {
      driver: new PcscDriver({
        clock: nativeClock,
        schedule: (delayMs, run) => {
          const timer = setTimeout(run, delayMs);
          return () => clearTimeout(timer);
        },
        spawn: () => {
          const born = new FakeReaderChild();
          children.push(born);
          setImmediate(() => serve(born));
          return born;
        },
      }),
      card: {
        insert: async (answers) => {
          const gone = new Promise<Uint8Array>((resolve) => {
            releaseCard = () => resolve(new Uint8Array(0));
          });
          const atr = virtualAtr(new Uint8Array([++cards]));
          child().present(1, cards, (command) => Promise.race([answers(command), gone]), atr);
          return atr;
        },
        remove: async () => {
          releaseCard();
          child().remove(1, cards);
        },
      },
      plug: {
        pullOut: async () => {
          here = false;
          child().end();
        },
        putBack: async () => {
          here = true;
          serve(child());
        },
      },
      close: async () => {},
    };
  });
});
