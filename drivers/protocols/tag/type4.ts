/**
 * Type 4 tags (NFC Forum Type 4 Tag 1.2 §5; NTAG 424 DNA): select the NDEF application, read its capability container, read
 * the NDEF file. Pure, sans-I/O. Must not know what the message says.
 */
import { type Bytes, concat, hex, readUintBE } from '../../../terminal/kernel/bytes.js';
import { ok } from '../../../terminal/kernel/result.js';
import { type Dialogue, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';

/** Longest message that is read, in bytes; NTAG 424's file holds 256. */
export const type4MessageBytesMax = 1_024;
const applicationName = hex('d2760000850101');
const containerFile = hex('e103');
const containerBytes = 15;
/** Shortest longest answer that the standard lets a tag have. */
const answerBytesMin = 15;
/** What is asked for at once at most: every reader passes it. */
const chunkBytesMax = 240;
const nothing = new Uint8Array(0);

type End = Extract<Dialogue<Bytes>, { end: unknown }>;
const fault = (...given: Parameters<typeof dialogueFault>): End => ({ end: dialogueFault(...given) });

/** Sends a command that must answer 9000 with `length` bytes. */
function step(
  send: Bytes,
  length: number | null,
  what: string,
  absent: 'card.noApplication' | 'card.unreadable',
  then: (data: Bytes) => Dialogue<Bytes>,
): Dialogue<Bytes> {
  return {
    send,
    next: (answer) => {
      const split = splitAnswer(answer);
      if (!split.ok) return fault(split.error.code, null, `${what}: ${split.error.detail}`);
      const { data, status } = split.value;
      if (status !== 0x9000) return fault(absent, status, `${what}: ${statusText(status)}`);
      if (length !== null && data.length !== length)
        return fault(
          data.length < length ? 'input.truncated' : 'input.tooLong',
          status,
          `${what}: ${data.length} bytes, not ${length}`,
        );
      return then(data);
    },
  };
}
const selectFile = (file: Bytes): Bytes =>
  encodeCommand({ cla: 0, ins: 0xa4, p1: 0x00, p2: 0x0c, data: file, answerBytesMax: 0 });
const readBinary = (offset: number, length: number): Bytes =>
  encodeCommand({ cla: 0, ins: 0xb0, p1: offset >> 8, p2: offset & 0xff, data: nothing, answerBytesMax: length });

/**
 * Reads the tag's NDEF message.
 * @returns the message; `card.noApplication` (no Type 4 tag, or an empty one), `card.unreadable` (it refuses to be read),
 * `input.…` (an answer or a length against the standard)
 */
export function readType4(): Dialogue<Bytes> {
  const select = encodeCommand({ cla: 0, ins: 0xa4, p1: 0x04, p2: 0, data: applicationName, answerBytesMax: 256 });
  return step(select, null, 'application', 'card.noApplication', () =>
    step(selectFile(containerFile), null, 'container file', 'card.unreadable', () =>
      step(readBinary(0, containerBytes), containerBytes, 'container', 'card.unreadable', readContainer),
    ),
  );
}

/** CCLEN(2) version(1) MLe(2) MLc(2), then the NDEF file's control: 04 06 file(2) size(2) read(1) write(1). */
function readContainer(container: Bytes): Dialogue<Bytes> {
  const at = (offset: number): number => container[offset] ?? 0;
  const version = at(2) >> 4;
  if (readUintBE(container.subarray(0, 2)) < containerBytes) return fault('input.malformed', null, 'container length');
  if (version !== 2 && version !== 3) return fault('input.unsupported', null, 'mapping version');
  const answerMax = readUintBE(container.subarray(3, 5));
  if (answerMax < answerBytesMin) return fault('input.malformed', null, 'longest answer');
  if (at(7) !== 0x04 || at(8) !== 0x06) return fault('input.malformed', null, 'NDEF file control');
  if (at(13) !== 0) return fault('card.unreadable', null, 'the file is not open for reading');
  const size = readUintBE(container.subarray(11, 13));
  return step(selectFile(container.slice(9, 11)), null, 'NDEF file', 'card.unreadable', () =>
    step(readBinary(0, 2), 2, 'message length', 'card.unreadable', (length) => {
      const whole = readUintBE(length);
      if (whole === 0) return fault('card.noApplication', null, 'an empty tag');
      if (whole + 2 > size) return fault('input.malformed', null, 'the message is longer than its file');
      if (whole > type4MessageBytesMax) return fault('input.tooLong', null, 'message');
      return readOn(nothing, whole, Math.min(answerMax, chunkBytesMax));
    }),
  );
}

function readOn(soFar: Bytes, whole: number, chunk: number): Dialogue<Bytes> {
  if (soFar.length === whole) return { end: ok(soFar) };
  const length = Math.min(chunk, whole - soFar.length);
  return step(readBinary(2 + soFar.length, length), length, 'message', 'card.unreadable', (data) =>
    readOn(concat(soFar, data), whole, chunk),
  );
}
