/**
 * What the simulated wallets need of TLV and NDEF, written from the documents for the phone's side and shared with no code of
 * the terminal. Plain and trusting: it reads only what the terminal sends.
 */

/** One data object; `tag` in hex. */
export function tlv(tag: string, value: Buffer): Buffer {
  const length = value.length < 0x80 ? Buffer.of(value.length) : Buffer.of(0x81, value.length);
  return Buffer.concat([Buffer.from(tag, 'hex'), length, value]);
}

/** A flat list of objects as tag (hex) → value. Throws where it does not come out even. */
export function readTlv(bytes: Buffer): Map<string, Buffer> {
  const objects = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const tagLength = (bytes.readUInt8(at) & 0x1f) === 0x1f ? 2 : 1;
    const tag = bytes.toString('hex', at, at + tagLength);
    at += tagLength;
    let length = bytes.readUInt8(at++);
    if (length === 0x81) length = bytes.readUInt8(at++);
    if (at + length > bytes.length) throw new RangeError(`${tag} ends too early`);
    objects.set(tag, bytes.subarray(at, at + length));
    at += length;
  }
  return objects;
}

/** A record with an external type, or a text record named by its id. */
export interface Named {
  readonly name: string;
  readonly payload: Buffer;
  readonly isText?: boolean;
}

export function ndefMessage(...records: readonly Named[]): Buffer {
  return Buffer.concat(
    records.map(({ name, payload, isText = false }, index) => {
      const short = payload.length < 256;
      const flags = (index === 0 ? 0x80 : 0) + (index === records.length - 1 ? 0x40 : 0) + (short ? 0x10 : 0);
      const length = Buffer.alloc(short ? 1 : 4);
      length.writeUIntBE(payload.length, 0, length.length);
      const type = Buffer.from(isText ? 'T' : name);
      const id = Buffer.from(isText ? name : '');
      const head = Buffer.of(flags + (isText ? 0x08 + 0x01 : 0x04), type.length);
      return Buffer.concat([head, length, isText ? Buffer.of(id.length) : Buffer.alloc(0), type, id, payload]);
    }),
  );
}

/** Records of external types as type → payload. Throws where a record ends too early. */
export function readNdef(bytes: Buffer): Map<string, Buffer> {
  const records = new Map<string, Buffer>();
  for (let at = 0; at < bytes.length; ) {
    const flags = bytes.readUInt8(at);
    const typeLength = bytes.readUInt8(at + 1);
    const isShort = (flags & 0x10) !== 0;
    const length = isShort ? bytes.readUInt8(at + 2) : bytes.readUInt32BE(at + 2);
    if ((flags & 0x0f) !== 0x04) throw new RangeError('only external records without an id are read');
    at += isShort ? 3 : 6;
    if (at + typeLength + length > bytes.length) throw new RangeError('a record ends too early');
    records.set(
      bytes.toString('latin1', at, at + typeLength),
      bytes.subarray(at + typeLength, at + typeLength + length),
    );
    at += typeLength + length;
  }
  return records;
}

export const statusBytes = (status: number): Buffer => Buffer.of(status >> 8, status & 0xff);

/** The field's command: header and data of a short command APDU. */
export function readCommand(command: Uint8Array): { readonly header: string; readonly data: Buffer } {
  const bytes = Buffer.from(command);
  const length = bytes.length > 5 ? bytes.readUInt8(4) : 0;
  return { header: bytes.toString('hex', 0, 4), data: bytes.subarray(5, 5 + length) };
}
