/**
 * Shows that the void of a card's top-up, with the card torn away at any command or any byte of the write and the box's power
 * cut at any place between its effects and commits, takes the whole from the card and pays it back, or leaves both as they
 * were. Shipped box, host and simulated phone in virtual time; with everything that may come after each by SHOULI_TEARING=all.
 */
import t from 'tap';
import { testTearing } from './tearing-test.js';

t.test('every tear, every power cut, and their crossing', (t) =>
  testTearing(t, 'topUpCardVoid', ['online', 'otherOffline']),
);
