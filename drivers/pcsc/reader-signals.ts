/**
 * Light and sound of readers that have them: which reader understands what, as rows. Pure.
 * Must hold only commands that the reader keeps for itself: nothing here may reach a card.
 */
import { type Bytes, hex } from '../../terminal/kernel/bytes.js';
import type { MemberSignal } from '../contract/driver.js';

interface SignalRow {
  /** Part of the reader's name, lower case. */
  readonly name: string;
  readonly commands: Readonly<Record<MemberSignal, Bytes>>;
}

/**
 * ACS ACR122U API, "Bi-color LED and Buzzer Control": FF 00 40 P2 04 T1 T2 repetitions buzzer. P2: bits 0, 1 final red and
 * green, bits 2, 3 update red and green. T1, T2 in 100 ms; buzzer 01: during T1. The reader is busy while it sounds, so
 * `hold`, which stands before the exchange, is silent.
 */
const signalRows: readonly SignalRow[] = [
  {
    name: 'acr122',
    commands: {
      hold: hex('FF00400F0400000000'),
      done: hex('FF00400E0401000101'),
      tapAgain: hex('FF00400D0401010201'),
      refused: hex('FF00400D0404000101'),
      idle: hex('FF00400D0400000000'),
    },
  },
];

/** @returns the reader's pseudo-APDU for the signal, or null for a reader that is not known to have light or sound */
export function signalCommand(readerName: string, signal: MemberSignal): Bytes | null {
  const lower = readerName.toLowerCase();
  return signalRows.find((row) => lower.includes(row.name))?.commands[signal] ?? null;
}
