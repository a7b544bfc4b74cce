/**
 * Shows the card's side of the vpcd protocol against a plain TCP server in vpcd's place: power, ATR, commands however they
 * are split, tears before and after the card acted, and no answer without power.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { type Bytes, concat, equalBytes, hex, toHex } from '../../terminal/kernel/bytes.js';
import { type CardScript, createVirtualCard, virtualAtr } from './vpcd.js';

const atr = virtualAtr(hex('0102'));
const message = (payload: Bytes) => concat(new Uint8Array([payload.length >> 8, payload.length & 255]), payload);
const powerOn = message(hex('01'));
const getAtr = message(hex('04'));

/** A slot with the card in it; `next` gives what came from the card until the slot was closed. */
async function openSlot(t: Test, script: Partial<CardScript> = {}) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => sockets.push(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const card = createVirtualCard({
    script: { atr, respond: (command) => concat(command, hex('9000')), ...script },
    port: (server.address() as AddressInfo).port,
  });
  t.teardown(async () => {
    await card.remove();
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const connected = once(server, 'connection');
  await card.insert();
  await connected;
  const slot = () => sockets.at(-1) as Socket;
  const receive = async (length: number): Promise<Bytes> => {
    let seen: Bytes = new Uint8Array(0);
    while (seen.length < length) seen = concat(seen, (await once(slot(), 'data'))[0] as Buffer);
    return seen;
  };
  return { card, slot, receive, server };
}

t.test('an ATR with its check byte', async (t) => {
  t.equal(toHex(virtualAtr()), '3b80800101');
  t.equal(toHex(atr), '3b828001010200');
});

t.test('power, ATR and commands, in one piece and byte by byte', async (t) => {
  const { slot, receive } = await openSlot(t);
  slot().write(getAtr);
  t.ok(equalBytes(await receive(2 + atr.length), message(atr)));
  slot().write(powerOn);
  const command = hex('00A4040000');
  slot().write(message(command));
  t.ok(equalBytes(await receive(9), message(concat(command, hex('9000')))));
  for (const byte of message(command)) slot().write(new Uint8Array([byte]));
  t.ok(equalBytes(await receive(9), message(concat(command, hex('9000')))));
});

t.test('a tear before the card acted, and after', async (t) => {
  for (const [when, acted] of [
    ['before', 0],
    ['after', 1],
  ] as const) {
    let lost = 0;
    const { card, slot } = await openSlot(t, { powerLost: () => lost++ });
    card.tearAt(1, when);
    slot().write(concat(powerOn, message(hex('00A40400'))));
    await once(slot().resume(), 'close');
    t.equal(card.commandsSeen, acted, when);
    t.notOk(card.inserted);
    t.equal(lost, 1, 'the card lost its power once');
  }
});

t.test('a script may tear; a reset ends the session in the card', async (t) => {
  let lost = 0;
  const { slot } = await openSlot(t, { respond: () => 'tear', powerLost: () => lost++ });
  slot().write(concat(powerOn, message(hex('02'))));
  slot().write(message(hex('00A40400')));
  await once(slot().resume(), 'close');
  t.equal(lost, 2);
});

t.test('a card that was never powered leaves and comes again instead of answering', async (t) => {
  const { card, slot, server } = await openSlot(t);
  const again = once(server, 'connection');
  slot().write(message(hex('00A40400')));
  await again;
  t.equal(card.commandsSeen, 0);
  t.ok(card.inserted);
  const third = once(server, 'connection');
  slot().write(concat(getAtr, getAtr, getAtr));
  await third;
  t.ok(card.inserted, 'also when it is only looked at');
});

t.test('a slot that is not there rejects the insertion', async (t) => {
  const card = createVirtualCard({ script: { atr, respond: () => hex('9000') }, port: 9 });
  await t.rejects(card.insert());
  t.notOk(card.inserted);
});
