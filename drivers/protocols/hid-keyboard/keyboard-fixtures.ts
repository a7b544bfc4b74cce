/**
 * Reports of a keyboard that types a text, for tests and the rig: found by search in the layouts, so that it shares no
 * table of its own with them.
 */
import { type Bytes, hex } from '../../../terminal/kernel/bytes.js';
import { characterOf, type KeyboardLayout } from './layouts.js';

const modifier = { none: 0x00, leftControl: 0x01, leftShift: 0x02, rightAlt: 0x40 } as const;
export const released: Bytes = new Uint8Array(8);
export const enterReport: Bytes = hex('0000280000000000');

/** Key down and key up for each character. Throws where the layout cannot type it. */
export function typeReports(layout: KeyboardLayout, text: string): readonly Bytes[] {
  return [...text].flatMap((character) => {
    const [modifiers, usage] = strokeOf(layout, character);
    return [Uint8Array.of(modifiers, 0, usage, 0, 0, 0, 0, 0), released];
  });
}

function strokeOf(layout: KeyboardLayout, character: string): readonly [modifiers: number, usage: number] {
  if (character === '\u001d') return [modifier.leftControl, 0x30];
  for (const [modifiers, held] of [
    [modifier.none, { shift: false, altGr: false }],
    [modifier.leftShift, { shift: true, altGr: false }],
    [modifier.rightAlt, { shift: false, altGr: true }],
  ] as const)
    for (let usage = 0x04; usage <= 0x64; usage++)
      if (characterOf(layout, usage, held) === character) return [modifiers, usage];
  throw new Error(`${layout} cannot type ${character}`);
}
