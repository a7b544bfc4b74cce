/**
 * Shows that a secure unique message is read and proved by NXP's published examples, and that every truncation, every changed
 * character and every wrong key is refused: no message but the tag's own passes.
 */
import t from 'tap';
import { concat, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../../terminal/kernel/native.js';
import { openSun, type SunKeys, type SunLayout, sunAddressLengthMax } from './sun.js';

const zeros: SunKeys = { picc: new Uint8Array(16), file: new Uint8Array(16) };
const encrypted: SunLayout = {
  identity: { kind: 'encrypted', parameter: 'picc_data' },
  mac: 'cmac',
  macFrom: null,
  fileData: null,
};
const withData: SunLayout = { ...encrypted, macFrom: 'enc', fileData: 'enc' };
const plain: SunLayout = { ...encrypted, identity: { kind: 'plain', uid: 'uid', counter: 'ctr' } };

/** NXP AN12196: all keys zero. */
const published = 'https://ntag.nxp.com/424?picc_data=EF963FF7828658A599F3041510671E88&cmac=94EED9EE65337086';
const publishedWithData =
  'https://www.my424dna.com/?picc_data=FD91EC264309878BE6345CBE53BADF40&enc=CEE9A53E3E463EF1F459635736738962&cmac=ECC1E7F6C6C73BF6';

const open = (layout: SunLayout, address: string, keys = zeros) => openSun(nativeCrypto, keys, layout, address);

/** A tag of its own: another key, identity in the clear. */
const fileKey = hex('00112233445566778899aabbccddeeff');
function plainAddress(uid: string, counter: number): string {
  const text = counter.toString(16).padStart(6, '0');
  const lsb = hex(text).reverse();
  const key = nativeCrypto.aesCmac(fileKey, concat(hex('3cc300010080'), hex(uid), lsb));
  const mac = nativeCrypto.aesCmac(key, new Uint8Array(0)).filter((_, index) => index % 2 === 1);
  return `https://a.example/?uid=${uid}&ctr=${text}&cmac=${toHex(mac)}`;
}

t.test('published messages', (t) => {
  const first = open(encrypted, published);
  t.ok(first.ok);
  if (first.ok) t.same([toHex(first.value.uid), first.value.counter], ['04de5f1eacc040', 61]);
  const second = open(withData, publishedWithData);
  t.ok(second.ok);
  if (second.ok) {
    t.same([toHex(second.value.uid), second.value.counter], ['04958caa5c5e80', 8]);
    t.same(second.value.fileData, utf8('xxxxxxxxxxxxxxxx'));
  }
  t.end();
});

t.test('in the clear the counter comes most significant byte first', (t) => {
  for (const counter of [0, 1, 256, 0x010203, 0xffffff]) {
    const read = open(plain, plainAddress('04aabbccddeeff', counter), { ...zeros, file: fileKey });
    t.ok(read.ok && read.value.counter === counter && toHex(read.value.uid) === '04aabbccddeeff', `${counter}`);
  }
  t.end();
});

t.test('every truncation is refused', (t) => {
  for (const [layout, address] of [
    [encrypted, published],
    [withData, publishedWithData],
  ] as const)
    for (let length = 0; length < address.length; length++)
      t.notOk(open(layout, address.slice(0, length)).ok, `cut to ${length}`);
  t.end();
});

t.test('every flipped bit of identity, data and MAC is refused', (t) => {
  for (const [layout, address] of [
    [encrypted, published],
    [withData, publishedWithData],
  ] as const)
    for (const [parameter] of address.matchAll(/[0-9A-F]{16,}/g)) {
      const original = hex(parameter);
      for (let bit = 0; bit < original.length * 8; bit++) {
        const changed = original.slice();
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const read = open(layout, address.replace(parameter, toHex(changed).toUpperCase()));
        // The padding behind UID and counter is the tag's random: nothing covers it, and nothing is read from it.
        t.ok(!read.ok || (read.value.fileData === null && isOnlyPadding(original, changed)), `bit ${bit}`);
      }
    }
  t.end();
  function isOnlyPadding(before: Uint8Array, after: Uint8Array): boolean {
    const read = (bytes: Uint8Array) => nativeCrypto.aesCbcDecrypt(zeros.picc, new Uint8Array(16), bytes);
    return before.length === 16 && toHex(read(before).subarray(0, 11)) === toHex(read(after).subarray(0, 11));
  }
});

t.test('what is refused, and as what', (t) => {
  const other = { ...zeros, picc: fileKey };
  const cases: readonly (readonly [string, SunLayout, string, SunKeys, string])[] = [
    ['another identity key', encrypted, published, other, 'tag.wrongKey'],
    ['another file key', encrypted, published, { ...zeros, file: fileKey }, 'tag.forged'],
    ['the text under the MAC changed', withData, publishedWithData.replace('cmac=', 'CMAC='), zeros, 'input.truncated'],
    ['data left out of the MAC', { ...withData, macFrom: null }, publishedWithData, zeros, 'tag.forged'],
    ['LRP', encrypted, published.replace('picc_data=', `picc_data=${'00'.repeat(8)}`), zeros, 'tag.lrpMode'],
    ['a MAC twice', encrypted, `${published}&cmac=94EED9EE65337086`, zeros, 'input.malformed'],
    ['no hex', encrypted, published.replace('EF96', 'EG96'), zeros, 'input.malformed'],
    ['a MAC too long', encrypted, `${published}00`, zeros, 'input.tooLong'],
    ['an address too long', encrypted, published.padEnd(sunAddressLengthMax + 1, '0'), zeros, 'input.tooLong'],
    ['no query', encrypted, 'https://ntag.nxp.com/424', zeros, 'input.truncated'],
    ['in the fragment', encrypted, published.replace('?', '?#'), zeros, 'input.truncated'],
    ['nothing', encrypted, '', zeros, 'input.truncated'],
  ];
  for (const [name, layout, address, keys, code] of cases) {
    const read = open(layout, address, keys);
    t.equal(read.ok ? 'read' : read.error.code, code, name);
  }
  t.end();
});
