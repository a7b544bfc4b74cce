/**
 * PIN blocks (ISO 9564-1): format 4 under AES, and the clear field of format 0. Pure; for the simulated PIN pad and for
 * tests: a clear PIN exists nowhere else. No error holds a digit.
 */
import { type Bytes, concat, decodeHex, hex, toHex } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { assert, type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { aesBlock } from '../dukpt/dukpt.js';

type Encrypt = Pick<Crypto, 'aesCbcEncrypt'>;
type Decrypt = Pick<Crypto, 'aesCbcDecrypt'>;
const isPin = (pin: string): boolean => /^[0-9]{4,12}$/.test(pin);
const isPan = (pan: string): boolean => /^[0-9]{8,19}$/.test(pan);

function xor(a: Bytes, b: Bytes): Bytes {
  assert(a.length === b.length, 'blocks of one length');
  return a.map((byte, at) => byte ^ (b[at] ?? 0));
}

/** Format 4 (§9.4.2): control 4, length, PIN, fill A; then 8 random bytes. */
function pinField4(pin: string, random: Bytes): Bytes {
  return concat(hex(`4${pin.length.toString(16)}${pin}`.padEnd(16, 'a')), random);
}
/** Number of digits beyond 12, the number from the left, zeros. */
function panField4(pan: string): Bytes {
  const digits = pan.padStart(12, '0');
  return hex(`${digits.length - 12}${digits}`.padEnd(32, '0'));
}

/** @param pin 4…12 digits; @param pan 8…19 digits; @param random 8 bytes; @returns 16 bytes */
export function encodePinBlock4(crypto: Encrypt, key: Bytes, pin: string, pan: string, random: Bytes): Bytes {
  assert(isPin(pin) && isPan(pan) && random.length === 8, 'a PIN, a number and 8 random bytes');
  const first = aesBlock(crypto, key, pinField4(pin, random));
  return aesBlock(crypto, key, xor(first, panField4(pan)));
}

/** @returns the PIN, or input.malformed: another key, another card number, or a damaged block; nobody can tell which */
export function decodePinBlock4(crypto: Decrypt, key: Bytes, block: Bytes, pan: string): Result<string, DecodeError> {
  if (block.length !== 16 || !isPan(pan)) return decodeError('input.malformed', 0, 'a block of 16 bytes and a number');
  const iv = new Uint8Array(16);
  const first = xor(crypto.aesCbcDecrypt(key, iv, block), panField4(pan));
  return readField(toHex(crypto.aesCbcDecrypt(key, iv, first).subarray(0, 8)), '4', 'a');
}

/** Format 0 (§9.3.2) before encryption: 8 bytes. The number needs 13 digits or more. */
export function encodePinField0(pin: string, pan: string): Bytes {
  assert(isPin(pin) && isPan(pan) && pan.length >= 13, 'a PIN and a number of 13 digits or more');
  return xor(hex(`0${pin.length.toString(16)}${pin}`.padEnd(16, 'f')), panField0(pan));
}
export function decodePinField0(field: Bytes, pan: string): Result<string, DecodeError> {
  if (field.length !== 8 || !isPan(pan) || pan.length < 13)
    return decodeError('input.malformed', 0, 'field of 8 bytes');
  return readField(toHex(xor(field, panField0(pan))), '0', 'f');
}
const panField0 = (pan: string): Bytes => {
  const digits = decodeHex(`0000${pan.slice(-13, -1)}`);
  assert(digits.ok, 'digits');
  return digits.value;
};

function readField(text: string, control: string, fill: string): Result<string, DecodeError> {
  const length = Number.parseInt(text.charAt(1), 16);
  const pin = text.slice(2, 2 + length);
  const isField = text.charAt(0) === control && isPin(pin) && pin.length === length;
  return isField && text.slice(2 + length) === fill.repeat(14 - length)
    ? ok(pin)
    : decodeError('input.malformed', 0, 'no PIN under this key and number');
}
