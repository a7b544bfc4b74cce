/**
 * Shows that a card torn away at any command or any byte of the write, with the box's power cut at any place between its
 * effects and commits, ends whole and paid exactly once, without the host, by the site key (and the other box with or without it).
 * Shipped box, host and simulated phone in virtual time; with everything that may come after each by SHOULI_TEARING=all.
 */
import t from 'tap';
import { testTearing } from './tearing-test.js';

t.test('every tear, every power cut, and their crossing', (t) =>
  testTearing(t, 'couponCard', ['offline', 'bothOffline']),
);
