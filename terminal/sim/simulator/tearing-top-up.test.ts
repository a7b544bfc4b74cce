/**
 * Shows that a top-up of the card, with the card torn away at any command or any byte of the write and the box's power cut at
 * any place between its effects and commits, leaves the money in the drawer and its amount on the card, at once or at the
 * card's next visit, or neither. Shipped box, host and simulated phone in virtual time; with everything that may come after each by SHOULI_TEARING=all.
 */
import t from 'tap';
import { testTearing } from './tearing-test.js';

t.test('every tear, every power cut, and their crossing', (t) =>
  testTearing(t, 'topUpCard', ['online', 'otherOffline']),
);
