/**
 * One command to a bank card and its whole answer, over T=0 and T=1 (EMV Book 1 §9.3.1 and annex A): the rest that a T=0 card
 * holds ready (61xx), the length that it wants (6Cxx), within bounds. Pure, sans-I/O. Must not know what a command means.
 */
import { type Bytes, concat } from '../../../terminal/kernel/bytes.js';
import type { CardProtocol } from '../atr/atr.js';
import { type Dialogue, dialogueFault } from '../card-dialogue.js';
import { type AnswerApdu, encodeCommand, splitAnswer } from '../member/apdu.js';

/** What one reading may cost, whatever the card says. */
export const commandsMax = 160;
/** Longest data of an answer: commands of EMV have short lengths. */
export const answerBytesMax = 256;

export interface Talk {
  readonly protocol: CardProtocol;
  /** Commands that may still be sent in this reading. */
  commandsLeft: number;
}

/** ISO/IEC 7816-4 §5.1; `data` of 0…255 bytes. Whatever length the answer has is taken. */
export interface Command {
  readonly cla: number;
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  readonly data: Bytes;
}

export type End = Extract<Dialogue<never>, { end: unknown }>;
export const fault = (...given: Parameters<typeof dialogueFault>): End => ({ end: dialogueFault(...given) });

const nothing = new Uint8Array(0);
const getResponse: Command = { cla: 0, ins: 0xc0, p1: 0, p2: 0, data: nothing };

/**
 * Sends a command and hands the answer's data with its last status word to `then`, which must copy what it keeps: the answer's
 * bytes are overwritten with zeros behind it. Ends with `input.…` for an answer against the rules or more than commandsMax.
 */
export function exchange<T>(
  talk: Talk,
  what: string,
  command: Command,
  then: (answer: AnswerApdu) => Dialogue<T>,
): Dialogue<T> {
  return ask(talk, { what, then, command, length: 256, isLengthTold: false, soFar: nothing });
}

interface Asking<T> {
  readonly what: string;
  readonly then: (answer: AnswerApdu) => Dialogue<T>;
  readonly command: Command;
  /** Bytes wanted (Ne), 1…256. */
  readonly length: number;
  /** The card has said how long its answer is: it says so once. */
  readonly isLengthTold: boolean;
  readonly soFar: Bytes;
}

function ask<T>(talk: Talk, asking: Asking<T>): Dialogue<T> {
  const { command, length, what } = asking;
  if (talk.commandsLeft-- <= 0) {
    asking.soFar.fill(0);
    return fault('input.tooLong', null, `${what}: more than ${commandsMax} commands`);
  }
  // T=0 has no place for both lengths: a command with data is sent without the second, and 61xx says what there is.
  const isLengthSent = command.data.length === 0 || talk.protocol === 'T1';
  return {
    send: encodeCommand({ ...command, answerBytesMax: isLengthSent ? length : 0 }),
    next: (answer) => {
      const led = heard(talk, asking, answer);
      answer.fill(0);
      return led;
    },
  };
}

function heard<T>(talk: Talk, asking: Asking<T>, answer: Bytes): Dialogue<T> {
  const { what } = asking;
  const split = splitAnswer(answer);
  if (!split.ok) {
    asking.soFar.fill(0);
    return fault(split.error.code, null, `${what}: ${split.error.detail}`);
  }
  const { status } = split.value;
  const data = concat(asking.soFar, split.value.data);
  asking.soFar.fill(0);
  if (data.length > answerBytesMax) {
    data.fill(0);
    return fault('input.tooLong', status, `${what}: more than ${answerBytesMax} bytes`);
  }
  const told = status & 0xff || 256;
  if (status >> 8 === 0x61)
    return ask(talk, { ...asking, command: getResponse, length: told, isLengthTold: false, soFar: data });
  if (status >> 8 === 0x6c && !asking.isLengthTold)
    return ask(talk, { ...asking, length: told, isLengthTold: true, soFar: data });
  const led = asking.then({ data, status });
  data.fill(0);
  return led;
}
