/**
 * Blocks: the keys and coupons that pay nothing any more, as boxes are told of them: in the order in which they were blocked.
 * Pure. Whether one pays at the host is its own row's state.
 */
import { timeKey } from './draft.js';
import { type Collector, type Facts, remove, type Write } from './facts.js';
import type { Row } from './tables.js';

/** The row of what (a key id or a coupon's code) is blocked at `atMs`. */
export const blockRow = (subject: string, atMs: number): Row<'block'> => ({
  id: `${timeKey(atMs)}/${subject}`,
  subject,
});

/** States what `unblock` reads. */
export const planUnblock = (need: Collector, subject: string): void => void need.find('block', 'subject', subject);
/** Boxes are told of it no more. */
export const unblock = (facts: Facts, subject: string): readonly Write[] =>
  facts.find('block', 'subject', subject).map(({ id }) => remove('block', id));
