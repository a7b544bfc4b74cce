/**
 * An NTAG 424 DNA, simulated: a Type 4 tag whose address mirrors an encrypted identity and a MAC (NXP AN12196), written from
 * the documents for the tag's side and shared with no code of the terminal. Each presentation is one tap of its counter.
 */
import { createCipheriv } from 'node:crypto';
import type { Bytes } from '../../../terminal/kernel/bytes.js';

export const ntagMisbehaviours = [
  'none',
  /** Gives the message of its first tap again. */
  'replaying',
  /** Has another file key than it was issued with. */
  'wrongKey',
  /** The last digit of the MAC is changed. */
  'forged',
  /** Claims a message longer than its file. */
  'oversized',
  /** Gives one byte less than was asked for. */
  'cut',
  'empty',
] as const;
export type NtagMisbehaviour = (typeof ntagMisbehaviours)[number];

export interface NtagSetup {
  /** Up to and with the question mark. */
  readonly address: string;
  /** 7 bytes. */
  readonly uid: Buffer;
  readonly piccKey: Buffer;
  readonly fileKey: Buffer;
  /** Of the tap before the first. */
  readonly counter: number;
}

const zero = Buffer.alloc(16);
const block = (key: Buffer, data: Buffer): Buffer =>
  createCipheriv('aes-128-ecb', key, null).setAutoPadding(false).update(data);
const xor = (a: Buffer, b: Buffer): Buffer => Buffer.from(a.map((byte, index) => byte ^ (b[index] ?? 0)));
/** Doubling in GF(2^128), NIST SP 800-38B §6.1. */
function doubled(value: Buffer): Buffer {
  const number = BigInt(`0x${value.toString('hex')}`) << 1n;
  const reduced = number >> 128n ? (number & ((1n << 128n) - 1n)) ^ 0x87n : number;
  return Buffer.from(reduced.toString(16).padStart(32, '0'), 'hex');
}
/** CMAC of one block at most, which is all that this tag needs. */
function cmac(key: Buffer, data: Buffer): Buffer {
  const first = doubled(block(key, zero));
  if (data.length === 16) return block(key, xor(data, first));
  const padded = Buffer.concat([data, Buffer.of(0x80), zero]).subarray(0, 16);
  return block(key, xor(padded, doubled(first)));
}

const status = { done: 0x9000, notFound: 0x6a82, notAllowed: 0x6985, wrongOffset: 0x6b00, unknown: 0x6d00 } as const;

export class Ntag424 {
  misbehaviour: NtagMisbehaviour = 'none';
  #counter: number;
  #file: 'none' | 'container' | 'ndef' = 'none';
  #inApplication = false;
  /** The file as this presentation shows it. */
  #shown: Buffer | null = null;
  #first: Buffer | null = null;

  constructor(private readonly setup: NtagSetup) {
    this.#counter = setup.counter;
  }

  /** The address of the next tap, without a reader. */
  nextAddress(): string {
    this.#counter++;
    const { address, uid, piccKey, fileKey } = this.setup;
    const counter = Buffer.alloc(3);
    counter.writeUIntLE(this.#counter, 0, 3);
    const identity = Buffer.concat([Buffer.of(0xc7), uid, counter, Buffer.alloc(5, this.#counter)]);
    const vector = Buffer.concat([Buffer.from('3cc300010080', 'hex'), uid, counter]);
    const key = this.misbehaviour === 'wrongKey' ? xor(fileKey, Buffer.alloc(16, 0xff)) : fileKey;
    const whole = cmac(cmac(key, vector), Buffer.alloc(0));
    const short = Buffer.from([1, 3, 5, 7, 9, 11, 13, 15].map((at) => whole[at] ?? 0));
    if (this.misbehaviour === 'forged') short[7] = (short[7] ?? 0) ^ 1;
    const hex = (bytes: Buffer): string => bytes.toString('hex').toUpperCase();
    return `${address}picc_data=${hex(block(piccKey, identity))}&cmac=${hex(short)}`;
  }

  powerLost(): void {
    this.#file = 'none';
    this.#inApplication = false;
    this.#shown = null;
  }

  respond(command: Bytes): Bytes {
    const bytes = Buffer.from(command);
    const answer = this.#answer(bytes.toString('hex', 0, 4), bytes);
    return new Uint8Array(typeof answer === 'number' ? Buffer.of(answer >> 8, answer & 0xff) : answer);
  }

  #answer(header: string, bytes: Buffer): Buffer | number {
    const data = bytes.subarray(5, 5 + (bytes[4] ?? 0)).toString('hex');
    if (header === '00a40400') {
      this.#inApplication = data === 'd2760000850101';
      this.#file = 'none';
      return this.#inApplication ? status.done : status.notFound;
    }
    if (header === '00a4000c') {
      if (!this.#inApplication) return status.notAllowed;
      this.#file = data === 'e103' ? 'container' : data === 'e104' ? 'ndef' : 'none';
      return this.#file === 'none' ? status.notFound : status.done;
    }
    // The reader's own command: it knows the UID from the anticollision.
    if (header === 'ffca0000') return Buffer.concat([this.setup.uid, Buffer.of(0x90, 0x00)]);
    if (!header.startsWith('00b0')) return status.unknown;
    if (this.#file === 'none') return status.notAllowed;
    const content = this.#file === 'container' ? Buffer.from('001720010000ff0406e104010000ff', 'hex') : this.#ndef();
    const offset = bytes.readUInt16BE(2);
    const length = bytes[4] || 256;
    if (offset >= content.length) return status.wrongOffset;
    const read = content.subarray(offset, offset + length);
    const given = this.misbehaviour === 'cut' && this.#file === 'ndef' ? read.subarray(0, -1) : read;
    return Buffer.concat([given, Buffer.of(0x90, 0x00)]);
  }

  /** The file of 256 bytes; the first reading of a presentation counts the tap. */
  #ndef(): Buffer {
    if (this.misbehaviour === 'replaying' && this.#first) return this.#first;
    if (this.#shown) return this.#shown;
    const uri = Buffer.from(this.nextAddress().replace('https://', ''), 'latin1');
    const record = Buffer.concat([Buffer.of(0xd1, 0x01, uri.length + 1, 0x55, 0x04), uri]);
    const file = Buffer.alloc(256);
    record.copy(file, 2);
    file.writeUInt16BE(this.misbehaviour === 'oversized' ? 0xffff : this.misbehaviour === 'empty' ? 0 : record.length);
    this.#shown = file;
    this.#first ??= file;
    return file;
  }
}
