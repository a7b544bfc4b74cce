/**
 * An NTAG213 behind a PC/SC reader, simulated: a Type 2 tag with a text on it and the simulator's signature in its chip, the
 * reader's READ BINARY for it, and its way for the chip's own commands, as an ACR122U's. Written from the documents and shared
 * with no code of the terminal.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { signChip } from './chip-maker.js';

export const type2Misbehaviours = [
  'none',
  /** Its message claims to go past the tag. */
  'pastEnd',
  /** A check byte of the UID is wrong, as of a badly made copy. */
  'badCheck',
  /** Blocks come one byte short. */
  'cut',
  /** No message on it. */
  'empty',
] as const;
export type Type2Misbehaviour = (typeof type2Misbehaviours)[number];

/** What its chip says when it is asked for its maker's signature. */
export const chipAnswers = [
  'signed',
  /** One bit of the signature is wrong. */
  'wrong',
  /** The signature of another chip. */
  'copied',
  /** One byte less of it. */
  'cut',
  /** It knows of none and falls silent, as an older kind does. */
  'silent',
  /** Its reader passes nothing through. */
  'unpassed',
] as const;
export type ChipAnswer = (typeof chipAnswers)[number];

/** ATR of a storage card: ISO 14443A part 3, MIFARE Ultralight (PC/SC part 3 §3.1.3.2.3.2). */
export const ntag21xAtr = new Uint8Array(Buffer.from('3b8f8001804f0ca0000003060300030000000068', 'hex'));

const pages = 45;
const dataPages = 36;

export class Ntag21x {
  readonly atr = ntag21xAtr;
  misbehaviour: Type2Misbehaviour = 'none';
  chip: ChipAnswer = 'signed';

  /** `uid` of 7 bytes; `text` up to 120 characters of ASCII. */
  constructor(
    private readonly uid: Buffer,
    private readonly text: string,
  ) {}

  #memory(): Buffer {
    const memory = Buffer.alloc(pages * 4);
    const { uid } = this;
    const xor = (bytes: Buffer, seed: number): number => bytes.reduce((sum, byte) => sum ^ byte, seed);
    uid.copy(memory, 0, 0, 3);
    memory[3] = xor(uid.subarray(0, 3), 0x88) ^ (this.misbehaviour === 'badCheck' ? 1 : 0);
    uid.copy(memory, 4, 3);
    memory[8] = xor(uid.subarray(3), 0);
    Buffer.of(0xe1, 0x10, (dataPages * 4) / 8, 0x00).copy(memory, 12);
    const text = Buffer.from(this.text, 'latin1');
    const record = Buffer.concat([
      Buffer.of(0xd1, 0x01, text.length + 3, 0x54, 0x02),
      Buffer.from('en', 'latin1'),
      text,
    ]);
    // Factory contents of an NTAG213: a lock control TLV ahead of the message.
    const lock = Buffer.from('0103a00c34', 'hex');
    const length = this.misbehaviour === 'pastEnd' ? 0xfe : this.misbehaviour === 'empty' ? 0 : record.length;
    const message = this.misbehaviour === 'empty' ? Buffer.alloc(0) : record;
    Buffer.concat([lock, Buffer.of(0x03, length), message, Buffer.of(0xfe)]).copy(memory, 16);
    return memory;
  }

  powerLost(): void {}

  /** The reader's answer to the chip's READ_SIG: D5 43, the PN532's status (01: nobody answered), the chip's answer. */
  #signature(): Buffer {
    const { uid, chip } = this;
    if (chip === 'silent') return Buffer.from('d543019000', 'hex');
    const signed = Buffer.from(uid);
    if (chip === 'copied') signed[6] = (signed[6] ?? 0) ^ 0x01;
    const signature = Buffer.from(signChip(new Uint8Array(signed)));
    if (chip === 'wrong') signature[31] = (signature[31] ?? 0) ^ 0x01;
    const given = chip === 'cut' ? signature.subarray(1) : signature;
    return Buffer.concat([Buffer.of(0xd5, 0x43, 0x00), given, Buffer.of(0x90, 0x00)]);
  }

  respond(command: Bytes): Bytes {
    if (this.chip !== 'unpassed' && Buffer.from(command).toString('hex') === 'ff00000004d4423c00')
      return new Uint8Array(this.#signature());
    const [cla, instruction, , page = 0, length = 0] = command;
    const at = page * 4;
    if (cla !== 0xff || instruction !== 0xb0 || at >= pages * 4) return new Uint8Array([0x6a, 0x81]);
    const memory = this.#memory();
    // Behind the last page the tag begins anew at its first.
    const block = Buffer.concat([memory, memory]).subarray(at, at + length);
    const given = this.misbehaviour === 'cut' ? block.subarray(0, -1) : block;
    return new Uint8Array(Buffer.concat([given, Buffer.of(0x90, 0x00)]));
  }
}
