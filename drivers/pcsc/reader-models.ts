/**
 * What single reader models can do beyond moving commands to a card, as rows: light and sound, polling for wallets, counting
 * the cards in the field, passing a card its own commands. Pure. All but the last are commands that the reader keeps for
 * itself: none of them may reach a card.
 * From the makers' published manuals and open programs; none was tried on hardware.
 */
import { type Bytes, concat, hex, uintBE } from '../../terminal/kernel/bytes.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { MemberSignal } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';

/**
 * How a reader takes a command of its own. exchange: as a pseudo-APDU in a card's place, one command, while a card is there.
 * escape: as PC_to_RDR_Escape (CCID 1.1 §6.1.8), with or without a card; libccid passes it on only where it was allowed to.
 */
export interface OwnCommands {
  readonly way: 'exchange' | 'escape';
  readonly commands: readonly Bytes[];
}

/** A pseudo-APDU that carries a card's own command, and the card's answer out of its answer (see ApduLink.passThrough). */
export interface PassThrough {
  readonly wrap: (command: Bytes) => Bytes;
  readonly open: (answer: Bytes) => Result<Bytes, DeviceError>;
}

interface ReaderModel {
  /** Part of the reader's name, lower case. */
  readonly name: string;
  readonly signals?: Readonly<Record<MemberSignal, OwnCommands>>;
  /** The commands that send one polling frame; the last carries it, and that no card answers it is the good outcome. */
  readonly polling?: (frame: Bytes) => readonly Bytes[];
  /** A pseudo-APDU that looks for two cards of type A, and how many cards its answer names; null: that is no such answer. */
  readonly cardsInField?: { readonly command: Bytes; readonly count: (answer: Bytes) => number | null };
  readonly passThrough?: PassThrough;
}

/**
 * ACS ACR122U API, "Bi-color LED and Buzzer Control": FF 00 40 P2 04 T1 T2 repetitions buzzer. P2: bits 0, 1 final red and
 * green, bits 2, 3 update red and green. T1, T2 in 100 ms; buzzer 01: during T1. The reader is busy while it sounds, so
 * `hold`, which stands before the exchange, is silent.
 */
const pseudo = (command: string): OwnCommands => ({ way: 'exchange', commands: [hex(command)] });

/** ACR1252U API §5.8, ACR1552U reference §6.2: E0 00 00 29 01 lights; E0 00 00 28 01 sound in 10 ms. */
const escaped = (lights: string, ...sound: readonly string[]): OwnCommands => ({
  way: 'escape',
  commands: [`E000002901${lights}`, ...sound].map((command) => hex(command)),
});
const short = 'E0000028010A';
const long = 'E00000280128';

/** ACR122U API §6.1, Direct Transmit: FF 00 00 00 Lc, then a command of the PN532 inside. */
const direct = (command: Bytes): Bytes => concat(hex('ff000000'), uintBE(command.length, 1), command);

/**
 * PN532 User Manual §7.3.9, InCommunicateThru: D4 42 command → D5 43 status answer; status: 0 in its low six bits is good. The
 * PN532 adds and checks the CRC. A pseudo-APDU in the card's place: it needs no leave of libccid.
 */
const throughPn532: PassThrough = {
  wrap: (command) => direct(concat(hex('d442'), command)),
  open: (answer) => {
    const [first, second, status = 0] = answer;
    const isPassed = answer.length >= 5 && answer.at(-2) === 0x90 && answer.at(-1) === 0x00;
    if (!isPassed || first !== 0xd5 || second !== 0x43)
      return err({ code: 'device.unsupported', detail: 'the reader does not pass commands through' });
    if ((status & 0x3f) !== 0)
      return err({ code: 'device.failed', detail: `no answer of the card: PN532 error ${status & 0x3f}` });
    return ok(answer.slice(3, -2));
  },
};

const models: readonly ReaderModel[] = [
  {
    name: 'acr122',
    signals: {
      hold: pseudo('FF00400F0400000000'),
      done: pseudo('FF00400E0401000101'),
      tapAgain: pseudo('FF00400D0401010201'),
      refused: pseudo('FF00400D0404000101'),
      idle: pseudo('FF00400D0400000000'),
    },
    // PN532 User Manual §7: RFConfiguration (32, item 05: give up on a target at once), InListPassiveTarget (4A, one of type
    // A: the look between two frames), WriteRegister (08, CIU_BitFraming 633D: whole bytes), InCommunicateThru (42).
    polling: (frame) => [
      direct(hex('d43205ff0100')),
      direct(hex('d44a0100')),
      direct(hex('d408633d00')),
      direct(concat(hex('d442'), frame)),
    ],
    passThrough: throughPn532,
    cardsInField: {
      command: direct(hex('d44a0200')),
      count: (answer) => {
        const [first, second, cards] = answer;
        const isAnswer = first === 0xd5 && second === 0x4b && cards !== undefined && cards <= 2;
        return isAnswer && answer.length >= 5 && answer.at(-2) === 0x90 && answer.at(-1) === 0x00 ? cards : null;
      },
    },
  },
  {
    // Bit 0 red, bit 1 green.
    name: 'acr1252',
    signals: {
      hold: escaped('03'),
      done: escaped('02', short),
      tapAgain: escaped('01', short),
      refused: escaped('01', long),
      idle: escaped('00'),
    },
  },
  {
    // Bit 0 blue, bit 1 green.
    name: 'acr1552',
    signals: {
      hold: escaped('01'),
      done: escaped('02', short),
      tapAgain: escaped('00', short),
      refused: escaped('00', long),
      idle: escaped('00'),
    },
  },
  // The simulated card behind it plays its reader too, and that as an ACR122U in this.
  { name: 'virtual pcd', passThrough: throughPn532 },
];

/** @returns the row of this reader; null: it is not known to have commands of its own */
export function readerModel(readerName: string): ReaderModel | null {
  const lower = readerName.toLowerCase();
  return models.find((row) => lower.includes(row.name)) ?? null;
}
