/**
 * NTAG 424 DNA's secure unique message, as its address carries it (NXP AN12196 §3.3–3.4): which tag, which tap, and the proof.
 * Pure. Must not judge freshness: whoever remembers counters checks that this one rose. LRP mode (AN12304) is refused.
 */
import { type Bytes, concat, decodeHex, equalBytes, hex, readUintBE, utf8 } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { type DecodeError, decodeError, err, ok, type Result } from '../../../terminal/kernel/result.js';

export type SunCrypto = Pick<Crypto, 'aesCmac' | 'aesCbcEncrypt' | 'aesCbcDecrypt'>;

/** The tag's two keys, 16 bytes each: SDMMetaReadKey and SDMFileReadKey, the latter diversified by whoever made the tag. */
export interface SunKeys {
  readonly picc: Bytes;
  readonly file: Bytes;
}

/** How the tag's address is built: the names of its query parameters. */
export interface SunLayout {
  /** Encrypted UID and counter in one parameter, or both in the clear. */
  readonly identity:
    | { readonly kind: 'encrypted'; readonly parameter: string }
    | { readonly kind: 'plain'; readonly uid: string; readonly counter: string };
  readonly mac: string;
  /** The parameter at whose value the MAC's input begins; null: the input is empty. */
  readonly macFrom: string | null;
  /** The parameter with encrypted file data; null: none. Must lie within the MAC's input. */
  readonly fileData: string | null;
}

export interface SunTap {
  /** 7 bytes. */
  readonly uid: Bytes;
  /** 0…16,777,215, one higher at each tap. */
  readonly counter: number;
  /** File data in the clear; null where the layout has none. */
  readonly fileData: Bytes | null;
}

/** `tag.wrongKey`: the identity opens to nothing known; `tag.forged`: made up or changed; `tag.lrpMode`: the tag's other mode. */
export type SunRefusal = DecodeError | { readonly code: 'tag.wrongKey' | 'tag.forged' | 'tag.lrpMode' };

/** Longest address that is looked at, in characters; NTAG 424's file holds 256 bytes. */
export const sunAddressLengthMax = 256;
const uidBytes = 7;
const counterBytes = 3;
const macBytes = 8;
const blockBytes = 16;
/** With LRP the encrypted identity is a random(8) ahead of its block. */
const lrpIdentityBytes = 24;
/** UID mirrored, counter mirrored, 7 bytes of UID. */
const identityTag = 0xc7;
const label = { mac: hex('3cc300010080'), encryption: hex('c33c00010080') } as const;
const zeroIv = new Uint8Array(blockBytes);

/**
 * Reads and proves the message in an address.
 * @returns the tap, or `input.…` with the offset in characters (a parameter is missing, twice there, no hex, of a wrong
 * length), or a refusal by the keys
 */
export function openSun(
  crypto: SunCrypto,
  keys: SunKeys,
  layout: SunLayout,
  address: string,
): Result<SunTap, SunRefusal> {
  if (address.length > sunAddressLengthMax) return decodeError('input.tooLong', sunAddressLengthMax, 'address');
  const mac = hexParameter(address, layout.mac, macBytes);
  if (!mac.ok) return mac;
  const identity = readIdentity(crypto, keys.picc, layout, address);
  if (!identity.ok) return identity;
  const { uid, counter } = identity.value;
  const input = macInput(layout, address, mac.value.at);
  if (!input.ok) return input;
  const macKey = crypto.aesCmac(keys.file, concat(label.mac, uid, counter));
  const whole = crypto.aesCmac(macKey, input.value);
  if (
    !equalBytes(
      whole.filter((_, index) => index % 2 === 1),
      mac.value.bytes,
    )
  )
    return err({ code: 'tag.forged' });
  const fileData = layout.fileData === null ? null : openFileData(crypto, keys.file, uid, counter, layout, address);
  if (fileData && !fileData.ok) return fileData;
  return ok({ uid, counter: readUintBE(counter.slice().reverse()), fileData: fileData?.value ?? null });
}

interface Identity {
  readonly uid: Bytes;
  /** Least significant byte first, as it goes into the keys. */
  readonly counter: Bytes;
}

function readIdentity(
  crypto: SunCrypto,
  piccKey: Bytes,
  layout: SunLayout,
  address: string,
): Result<Identity, SunRefusal> {
  if (layout.identity.kind === 'plain') {
    const uid = hexParameter(address, layout.identity.uid, uidBytes);
    if (!uid.ok) return uid;
    const counter = hexParameter(address, layout.identity.counter, counterBytes);
    if (!counter.ok) return counter;
    return ok({ uid: uid.value.bytes, counter: counter.value.bytes.slice().reverse() });
  }
  const sealed = hexParameter(address, layout.identity.parameter, null);
  if (!sealed.ok) return sealed;
  const { at, bytes } = sealed.value;
  if (bytes.length === lrpIdentityBytes) return err({ code: 'tag.lrpMode' });
  if (bytes.length !== blockBytes)
    return decodeError(bytes.length < blockBytes ? 'input.truncated' : 'input.tooLong', at, 'encrypted identity');
  const plain = crypto.aesCbcDecrypt(piccKey, zeroIv, bytes);
  if (plain[0] !== identityTag) return err({ code: 'tag.wrongKey' });
  return ok({
    uid: plain.slice(1, 1 + uidBytes),
    counter: plain.slice(1 + uidBytes, 1 + uidBytes + counterBytes),
  });
}

/** The text from the value of `macFrom` up to the MAC's own value, as the tag mirrored it: `ENC_HEX&cmac=`. */
function macInput(layout: SunLayout, address: string, macAt: number): Result<Bytes, DecodeError> {
  if (layout.macFrom === null) return ok(new Uint8Array(0));
  const from = parameter(address, layout.macFrom);
  if (!from.ok) return from;
  if (from.value.at > macAt) return decodeError('input.malformed', macAt, 'the MAC stands ahead of its input');
  const data = layout.fileData === null ? from : parameter(address, layout.fileData);
  if (!data.ok) return data;
  if (data.value.at < from.value.at || data.value.at > macAt)
    return decodeError('input.malformed', data.value.at, 'file data outside the MAC');
  return ok(utf8(address.slice(from.value.at, macAt)));
}

function openFileData(
  crypto: SunCrypto,
  fileKey: Bytes,
  uid: Bytes,
  counter: Bytes,
  layout: SunLayout,
  address: string,
): Result<Bytes, DecodeError> {
  const sealed = hexParameter(address, layout.fileData ?? '', null);
  if (!sealed.ok) return sealed;
  const { at, bytes } = sealed.value;
  if (bytes.length === 0 || bytes.length % blockBytes !== 0)
    return decodeError('input.truncated', at, 'file data is whole blocks');
  const key = crypto.aesCmac(fileKey, concat(label.encryption, uid, counter));
  // One block under a zero iv is the bare block cipher.
  const iv = crypto.aesCbcEncrypt(key, zeroIv, concat(counter, new Uint8Array(blockBytes - counterBytes)));
  return ok(crypto.aesCbcDecrypt(key, iv, bytes));
}

/** Where the parameter's value stands. One that is there twice is refused: which one was proved would be open. */
function parameter(address: string, name: string): Result<{ at: number; text: string }, DecodeError> {
  let found: { at: number; text: string } | null = null;
  const query = address.indexOf('?');
  const end = address.indexOf('#') < 0 ? address.length : address.indexOf('#');
  for (let at = query + 1; query >= 0 && at <= end; ) {
    const next = address.indexOf('&', at);
    const stop = next < 0 || next > end ? end : next;
    if (address.startsWith(`${name}=`, at) && at + name.length < stop) {
      if (found) return decodeError('input.malformed', at, `${name} twice`);
      const valueAt = at + name.length + 1;
      found = { at: valueAt, text: address.slice(valueAt, stop) };
    }
    at = stop + 1;
  }
  return found ? ok(found) : decodeError('input.truncated', address.length, `${name} is missing`);
}

/** A parameter in hex digits; `length` in bytes, null: any. */
function hexParameter(
  address: string,
  name: string,
  length: number | null,
): Result<{ at: number; bytes: Bytes }, DecodeError> {
  const found = parameter(address, name);
  if (!found.ok) return found;
  const { at, text } = found.value;
  const decoded = decodeHex(text);
  if (!decoded.ok) return decodeError('input.malformed', at + decoded.error.offset, decoded.error.detail);
  const bytes = decoded.value;
  if (length !== null && bytes.length !== length)
    return decodeError(bytes.length < length ? 'input.truncated' : 'input.tooLong', at, `${name}: ${length} bytes`);
  return ok({ at, bytes });
}
