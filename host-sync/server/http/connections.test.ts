// Open sockets under which terminals stay served: idle strangers make room, one terminal cannot take the others' places.
// Sockets are emitters with an endpoint; nothing is opened.
import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import t from 'tap';
import { ConnectionGuard } from './connections.js';

class FakeSocket extends EventEmitter {
  destroyed = false;
  readonly remoteAddress = '10.0.0.1';
  constructor(readonly remotePort: number) {
    super();
  }
  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit('close');
  }
}

function open(guard: ConnectionGuard, port: number, terminalId: string | null): FakeSocket {
  const socket = new FakeSocket(port);
  guard.admit(socket as unknown as Socket);
  if (terminalId) guard.prove(socket, terminalId);
  return socket;
}

t.test('a terminal that opens more and more loses its own oldest, and the others none', async (t) => {
  const guard = new ConnectionGuard({ openMax: 100, perTerminalMax: 3 });
  const honest = open(guard, 1, 't-1');
  const rogue = Array.from({ length: 50 }, (_, at) => open(guard, 100 + at, 't-2'));
  t.equal(guard.open, 4);
  t.notOk(honest.destroyed);
  t.same(
    rogue.map(({ destroyed }) => destroyed),
    [...new Array(47).fill(true), false, false, false],
    'its newest are served',
  );
  for (const socket of rogue) socket.destroy();
  t.equal(guard.open, 1);
  t.notOk(open(guard, 999, 't-2').destroyed, 'and it may come again');
});

t.test('strangers make room, the longest there first; proven ones stay', async (t) => {
  const guard = new ConnectionGuard({ openMax: 3, perTerminalMax: 3 });
  const proven = open(guard, 1, 't-1');
  const [first, second] = [open(guard, 2, null), open(guard, 3, null)];
  const third = open(guard, 4, null);
  t.same([proven.destroyed, first.destroyed, second.destroyed, third.destroyed], [false, true, false, false]);
  t.equal(guard.evicted, 1);
});
