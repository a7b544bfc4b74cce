/**
 * Shows that each fault of nfc-pcsc that the virtual readers cannot be made to show, or not reliably, ends inside the
 * child in a plain report. How: an emitter that misbehaves exactly as nfc-pcsc 0.8.1 was seen to, in its place.
 */
import { EventEmitter } from 'node:events';
import type { Card, NFC, RawReader, Reader } from 'nfc-pcsc';
import t from 'tap';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { CardMover, type NfcSource } from './card-mover.js';
import type { Frame } from './frames.js';

const present = 0x20;
const select = hex('00A40400');

class FakeRaw extends EventEmitter {
  state: number | undefined = 0x10;
  readonly SCARD_STATE_PRESENT = present;
  constructor(readonly name: string) {
    super();
  }
}

/** The parts of nfc-pcsc's Reader, with its behaviour left to each test. */
class FakeReader extends EventEmitter {
  readonly reader: FakeRaw;
  connection: Reader['connection'] = null;
  autoProcessing = true;
  connects = 0;
  answer: () => Promise<Buffer> = async () => Buffer.from('9000', 'hex');
  constructor(readonly name: string) {
    super();
    this.reader = new FakeRaw(name);
  }
  /** In place of a connection that stands at once. */
  slow: ((protocol: number | undefined) => Promise<void>) | null = null;
  readonly plainConnect = async (mode?: string): Promise<void> => {
    this.connects++;
    const protocol = mode === 'CONNECT_MODE_DIRECT' ? undefined : 2;
    if (this.slow) await this.slow(protocol);
    else this.connection = { type: 2, protocol };
  };
  connect: (mode?: string) => Promise<void> = this.plainConnect;
  disconnect = async (): Promise<void> => {
    this.connection = null;
  };
  transmit = (): Promise<Buffer> => this.answer();
  readonly controlled: string[] = [];
  escaped: () => Promise<Buffer> = async () => Buffer.alloc(0);
  control = (command: Buffer): Promise<Buffer> => {
    this.controlled.push(command.toString('hex'));
    return this.escaped();
  };
  async tap(atr = '3b80800101'): Promise<void> {
    await this.connect();
    this.emit('card', { atr: Buffer.from(atr, 'hex') } satisfies Card);
  }
}

const errorOf = (name: string, sentence: string): Error =>
  Object.assign(new Error('An error occurred.'), { name, previous: new Error(sentence) });

async function open(readerName = 'Test 00 00') {
  const nfc = new EventEmitter();
  const frames: Frame[] = [];
  const givenUp: string[] = [];
  const mover = new CardMover(
    nfc as unknown as NfcSource,
    (frame) => frames.push(frame),
    (detail) => givenUp.push(detail),
  );
  const reader = new FakeReader(readerName);
  nfc.emit('reader', reader as unknown as Reader & { reader: RawReader } as Reader);
  await turn();
  return { nfc: nfc as unknown as NFC, mover, frames, givenUp, reader };
}
const types = (frames: readonly Frame[]) => frames.map((frame) => frame.type);
const turn = () => new Promise((resolve) => setImmediate(resolve));
const last = (frames: readonly Frame[]) => frames.at(-1);

async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error('the condition did not come');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

t.test('no command of its own goes to a card, and the first look ends after the readers', async (t) => {
  const { reader, frames } = await open();
  t.equal(reader.autoProcessing, false);
  t.strictSame(types(frames), ['readerAdded', 'looked']);
});

t.test('an error of NFC or of a reader does not end the process', async (t) => {
  const { nfc, reader, givenUp } = await open();
  t.doesNotThrow(() => nfc.emit('error', new Error('SCardListReaders error: Command cancelled.(0x80100002)')));
  t.doesNotThrow(() => reader.emit('error', new Error('SCardGetStatusChange error: RPC transport error.(0x80100013)')));
  reader.emit('end');
  await until(() => givenUp.length > 0);
  t.match(givenUp[0], 'not watched', 'a reader that nobody watches any more costs the process, not the reader');
});

t.test('a failed connect that is emitted under its own message is reported', async (t) => {
  const { reader, frames } = await open();
  reader.emit(errorOf('ConnectError', 'SCardConnect error: Sharing violation.(0x8010000b)') as unknown as string);
  t.match(last(frames), { type: 'readerFailed', code: 'device.busy' });
  const before = frames.length;
  reader.emit(errorOf('DisconnectError', 'SCardDisconnect error: Card was removed.(0x80100069)') as unknown as string);
  t.equal(frames.length, before, 'a failed disconnect after a removal is not news');
});

t.test('an empty answer is a card that left, and so is a transmit that throws at once', async (t) => {
  const { reader, frames, mover } = await open();
  await reader.tap();
  reader.answer = async () => Buffer.alloc(0);
  mover.handle({ type: 'transmit', card: 1, exchange: 1, command: select });
  await until(() => last(frames)?.type === 'failed');
  t.match(last(frames), { exchange: 1, code: 'device.cardRemoved' });
  reader.answer = () => {
    throw errorOf('TransmitError', 'SCardTransmit error: Transaction failed.(0x80100016)');
  };
  mover.handle({ type: 'transmit', card: 1, exchange: 2, command: select });
  await until(() => frames.some((frame) => frame.type === 'failed' && frame.exchange === 2));
  t.match(last(frames), { type: 'failed', exchange: 2, code: 'device.cardRemoved' });
  mover.handle({ type: 'transmit', card: 99, exchange: 3, command: select });
  t.match(last(frames), { type: 'failed', exchange: 3, code: 'device.cardRemoved' }, 'an unknown card is gone');
});

t.test('one command at a time and reader: a second would run beside the first on the library’s threads', async (t) => {
  const { reader, frames, mover } = await open();
  await reader.tap();
  let asked = 0;
  let finish: (answer: Buffer) => void = () => {};
  reader.answer = () => {
    asked += 1;
    return new Promise((resolve) => {
      finish = resolve;
    });
  };
  mover.handle({ type: 'transmit', card: 1, exchange: 1, command: select });
  mover.handle({ type: 'transmit', card: 1, exchange: 2, command: select });
  t.match(last(frames), { type: 'failed', exchange: 2, code: 'device.busy' });
  t.equal(asked, 1);
  finish(Buffer.from('9000', 'hex'));
  await until(() => last(frames)?.type === 'answer');
  t.match(last(frames), { exchange: 1 });
});

t.test('a card that comes before the last one was let go is connected anew, not without a protocol', async (t) => {
  const { reader, frames } = await open();
  await reader.tap();
  reader.emit('card.off', {});
  // The disconnect is still under way: nfc-pcsc believes it is connected and invents a connection.
  reader.connection = { type: 2, protocol: undefined };
  reader.emit('card', { atr: Buffer.from('3b00', 'hex') });
  await turn();
  t.equal(types(frames).filter((type) => type === 'cardPresented').length, 1, 'not presented yet');
  reader.connection = null;
  await until(() => types(frames).filter((type) => type === 'cardPresented').length === 2);
  t.equal(reader.connects, 2);
});

t.test('a reader that never lets its last card go costs the process', async (t) => {
  const { reader, givenUp } = await open();
  reader.connection = { type: 2, protocol: undefined };
  reader.emit('card', { atr: Buffer.from('3b00', 'hex') });
  await until(() => givenUp.length > 0);
  t.match(givenUp[0], 'did not let');
});

t.test('one card for another between two looks of pcscd is a removal and a new presentation', async (t) => {
  const { reader, frames } = await open();
  reader.reader.state = present | (3 << 16);
  await reader.tap();
  reader.reader.emit('status', { state: present | 0x100 | (3 << 16), atr: Buffer.from('3b01', 'hex') });
  t.equal(last(frames)?.type, 'cardPresented', 'another program using the card is no swap');
  reader.reader.emit('status', { state: present | (5 << 16), atr: Buffer.from('3b01', 'hex') });
  await until(() => last(frames)?.type === 'cardPresented' && frames.length > 3);
  t.match(frames.slice(-2), [
    { type: 'cardRemoved', card: 1 },
    { type: 'cardPresented', card: 2, atr: hex('3B01') },
  ]);
  t.equal(reader.connects, 2, 'with a connection of its own');
});

t.test('a card that pcscd has not powered yet is presented once its ATR is known', async (t) => {
  const { reader, frames } = await open();
  await reader.tap('');
  await turn();
  t.notOk(types(frames).includes('cardPresented'));
  reader.reader.emit('status', { state: present | 0x100, atr: Buffer.from('3b80800101', 'hex') });
  reader.reader.emit('status', { state: present, atr: Buffer.from('3b80800101', 'hex') });
  t.strictSame(
    frames.filter((frame) => frame.type === 'cardPresented').map((frame) => toHex(frame.atr)),
    ['3b80800101'],
  );
  await reader.tap('');
  reader.emit('card.off', {});
  reader.reader.emit('status', { state: present, atr: Buffer.from('3b80800101', 'hex') });
  t.equal(types(frames).filter((type) => type === 'cardPresented').length, 1, 'not for a card that has left');
});

t.test('light and sound wait for no exchange and delay none', async (t) => {
  const { reader, frames, mover } = await open();
  const order: string[] = [];
  let finish: (answer: Buffer) => void = () => {};
  mover.handle({ type: 'show', reader: 1, command: hex('FF00400F0400000000') });
  await reader.tap();
  reader.answer = () => {
    order.push('reader');
    return new Promise((resolve) => {
      finish = resolve;
    });
  };
  mover.handle({ type: 'show', reader: 1, command: hex('FF00400F0400000000') });
  mover.handle({ type: 'show', reader: 1, command: hex('FF00400F0400000000') });
  t.strictSame(order, ['reader'], 'none without a card, and never two at once');
  mover.handle({ type: 'transmit', card: 1, exchange: 5, command: select });
  t.strictSame(order, ['reader'], 'the command waits for the light');
  reader.answer = async () => Buffer.from('9000', 'hex');
  finish(Buffer.from('9000', 'hex'));
  await until(() => last(frames)?.type === 'answer');
  t.strictSame(
    frames.filter((frame) => frame.type === 'answer').map((frame) => frame.exchange),
    [5],
    'the light itself reports nothing',
  );
});

t.test('escape commands go over the card’s connection, or over one of their own that ends with them', async (t) => {
  const { reader, mover, frames } = await open();
  const commands = [hex('E00000290102'), hex('E0000028010A')];
  mover.handle({ type: 'escape', reader: 1, commands });
  await until(() => reader.controlled.length === 2 && reader.connection === null);
  t.equal(reader.connects, 1);
  await reader.tap();
  mover.handle({ type: 'escape', reader: 1, commands });
  mover.handle({ type: 'transmit', card: 1, exchange: 1, command: select });
  await until(() => last(frames)?.type === 'answer');
  t.equal(reader.controlled.length, 4);
  t.equal(reader.connects, 2, 'the card’s own');
  t.ok(reader.connection, 'which stays');
});

t.test('a card that comes in mid-polling, or is being connected, never shares a connection with it', async (t) => {
  for (const first of ['poll', 'card'] as const) {
    const { reader, mover, frames } = await open();
    let connections = 0;
    const seen: number[] = [];
    // As pcsclite does it: what is being connected does not count as connected yet.
    const native = async (protocol: number | undefined): Promise<void> => {
      seen.push(++connections);
      await turn();
      await turn();
      reader.connection = { type: 2, protocol };
    };
    const wrapped = reader.connect;
    reader.slow = native;
    reader.disconnect = async () => {
      connections--;
      reader.connection = null;
    };
    t.not(wrapped, reader.plainConnect, 'the library’s own calls pass by the mover');
    const poll = () => mover.handle({ type: 'escape', reader: 1, commands: [hex('FF00'), hex('FF01')] });
    if (first === 'poll') poll();
    const tapped = reader.tap();
    if (first === 'card') poll();
    await tapped;
    await until(() => last(frames)?.type === 'cardPresented');
    t.same(reader.connection, { type: 2, protocol: 2 }, `${first} first: the card’s own`);
    t.equal(Math.max(...seen), 1, 'one at a time');
    t.equal(connections, 1, 'and only the card’s is left');
    mover.handle({ type: 'transmit', card: 1, exchange: 1, command: select });
    await until(() => last(frames)?.type === 'answer');
  }
});

t.test('a reader that refuses three times in a row is asked no more, and that is said once', async (t) => {
  const { reader, mover, frames } = await open();
  const refuse = () => Promise.reject(errorOf('ControlError', 'SCardControl error: Transaction failed.(0x80100016)'));
  const attempt = async () => {
    const before = reader.controlled.length;
    mover.handle({ type: 'escape', reader: 1, commands: [hex('E00000290102')] });
    await turn();
    await turn();
    return reader.controlled.length - before;
  };
  const said = () => frames.filter((frame) => frame.type === 'escapeFailed');
  reader.escaped = refuse;
  t.same([await attempt(), await attempt()], [1, 1]);
  reader.escaped = async () => Buffer.alloc(0);
  t.equal(await attempt(), 1, 'one that is taken wipes the refusals out');
  reader.escaped = refuse;
  t.same([await attempt(), await attempt(), said().length], [1, 1, 0]);
  t.same([await attempt(), said().length], [1, 1]);
  t.same([await attempt(), said().length], [0, 1]);
  t.match(said(), [{ reader: 1, code: 'device.denied' }]);
});

t.test('a reader that is pulled out takes its card along', async (t) => {
  const { reader, frames } = await open();
  await reader.tap();
  reader.emit('end');
  t.strictSame(types(frames).slice(-2), ['cardRemoved', 'readerRemoved']);
});
