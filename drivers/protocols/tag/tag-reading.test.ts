/**
 * Shows that tags are read as the standards say: published layouts come apart, and every truncation, every flipped bit, every
 * length past the tag and every refused command is an error or another message, never a throw and never without end.
 */
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { Ntag21x, ntag21xAtr, type2Misbehaviours } from '../../sim/tag/ntag21x.js';
import { Ntag424, type NtagMisbehaviour, ntagMisbehaviours } from '../../sim/tag/ntag424.js';
import { runDialogue } from '../../sim/wallet/run-dialogue.js';
import { readUid, saidBy } from './tag.js';
import { findNdef, isStorageCard, isType2, readType2 } from './type2.js';
import { readType4, type4MessageBytesMax } from './type4.js';

const uid = '04958caa5c5e80';
const key = Buffer.alloc(16);
const ntag = (how: NtagMisbehaviour = 'none'): Ntag424 => {
  const tag = new Ntag424({
    address: 'https://a.example/?',
    uid: Buffer.from(uid, 'hex'),
    piccKey: key,
    fileKey: key,
    counter: 0,
  });
  tag.misbehaviour = how;
  return tag;
};
const read4 = (respond: (command: Bytes) => Bytes) => runDialogue(readType4(), respond);
const read2 = (respond: (command: Bytes) => Bytes) => runDialogue(readType2(), respond);
const codeOf = (result: { ok: true } | { ok: false; error: { code: string } }): string =>
  result.ok ? 'read' : result.error.code;

/** NFC Forum Type 4 Tag, appendix: a tag with "http://www.nxp.com" style content, answers written out. */
function type4(container: string, file: string, answers: string[] = []): (command: Bytes) => Bytes {
  let selected = '';
  return (command) => {
    const text = toHex(command);
    answers.push(text);
    if (text.startsWith('00a40400')) return hex('9000');
    if (text.startsWith('00a4000c')) {
      selected = text.slice(10);
      return hex('9000');
    }
    const at = Number.parseInt(text.slice(4, 8), 16);
    const length = Number.parseInt(text.slice(8, 10), 16) || 256;
    const content = hex(selected === 'e103' ? container : file);
    return concat(content.subarray(at, at + length), hex('9000'));
  };
}
const container = '000f20003b00340406e104003200 00'.replace(' ', '');
const uriRecord = 'd1010855016e78702e636f6d';
const file = `000c${uriRecord}`.padEnd(100, '0');

t.test('a Type 4 tag’s commands and message', (t) => {
  const asked: string[] = [];
  const read = read4(type4(container, file, asked));
  t.ok(read.ok);
  if (read.ok) t.same([toHex(read.value), saidBy(read.value)], [uriRecord, { ok: true, value: 'http://www.nxp.com' }]);
  t.same(asked, [
    '00a4040007d276000085010100',
    '00a4000c02e103',
    '00b000000f',
    '00a4000c02e104',
    '00b0000002',
    '00b000020c',
  ]);
  const small = container.replace('003b', '000f');
  const long = `${'d1010b5402656e'}${'41'.repeat(8)}`;
  const asked2: string[] = [];
  t.ok(read4(type4(small, `0020${long.padEnd(64, '0')}`.padEnd(100, '0'), asked2)).ok);
  t.same(asked2.slice(5), ['00b000020f', '00b000110f', '00b0002002'], 'in pieces that the tag can answer');
  t.end();
});

t.test('what a Type 4 tag may not say', (t) => {
  const change = (from: string, to: string): string => container.replace(from, to);
  const cases: readonly (readonly [string, string, string, string])[] = [
    ['a container too short', change('000f2000', '000e2000'), file, 'input.malformed'],
    ['version 1', change('000f20', '000f10'), file, 'input.unsupported'],
    ['answers too short', change('20003b', '20000e'), file, 'input.malformed'],
    ['another control', change('0406', '0506'), file, 'input.malformed'],
    ['no reading', '000f20003b00340406e1040032ff00', file, 'card.unreadable'],
    ['longer than its file', container, `0031${file.slice(4)}`, 'input.malformed'],
    [
      'longer than is read',
      change('0032', 'ffff'),
      `0${(type4MessageBytesMax + 1).toString(16)}${file.slice(4)}`,
      'input.tooLong',
    ],
    ['empty', container, `0000${file.slice(4)}`, 'card.noApplication'],
    ['cut in the message', container, file.slice(0, 20), 'input.truncated'],
  ];
  for (const [name, cc, content, code] of cases) t.equal(codeOf(read4(type4(cc, content))), code, name);
  for (let at = 0; at < 6; at++) {
    let sent = 0;
    const refusing = type4(container, file);
    const code = codeOf(read4((command) => (sent++ === at ? hex('6982') : refusing(command))));
    t.equal(code, at === 0 ? 'card.noApplication' : 'card.unreadable', `refused at ${at}`);
    sent = 0;
    t.match(codeOf(read4((command) => (sent++ === at ? hex('90') : refusing(command)))), /^input\./, `cut at ${at}`);
  }
  t.end();
});

t.test('the simulated NTAG 424, well and misbehaving', (t) => {
  const expected = {
    replaying: 'read',
    wrongKey: 'read',
    forged: 'read',
    oversized: 'input.malformed',
    cut: 'input.truncated',
    empty: 'card.noApplication',
    none: 'read',
  } as const;
  for (const how of ntagMisbehaviours) {
    const tag = ntag(how);
    t.equal(codeOf(read4((command) => tag.respond(command))), expected[how], how);
  }
  const tag = ntag();
  const said = [0, 1].map(() => {
    const read = read4((command) => tag.respond(command));
    tag.powerLost();
    return read.ok && saidBy(read.value);
  });
  t.match(said[0], { value: /^https:\/\/a\.example\/\?picc_data=[0-9A-F]{32}&cmac=[0-9A-F]{16}$/ });
  t.notSame(said[0], said[1], 'each tap has its own message');
  const own = runDialogue(readUid(), (command) => tag.respond(command));
  t.ok(own.ok && toHex(own.value) === uid);
  for (const answer of ['049011229000', '90', '6a81', `${'04'.repeat(10)}9000`])
    t.notOk(runDialogue(readUid(), () => hex(answer)).ok, `UID ${answer}`);
  t.end();
});

t.test('a Type 2 tag: known by its ATR, read in blocks', (t) => {
  t.ok(isStorageCard(ntag21xAtr) && isType2(ntag21xAtr));
  t.notOk(
    isType2(hex('3b8f8001804f0ca000000306030001000000006a')),
    'MIFARE Classic 1K is a storage card, and no Type 2 tag',
  );
  t.notOk(isStorageCard(hex('3b8180018080')), 'an ISO card');
  for (let length = 0; length < ntag21xAtr.length; length++) t.notOk(isStorageCard(ntag21xAtr.subarray(0, length)));
  const expected = {
    none: 'read',
    pastEnd: 'input.truncated',
    badCheck: 'input.malformed',
    cut: 'input.truncated',
    empty: 'read',
  } as const;
  for (const how of type2Misbehaviours) {
    const tag = new Ntag21x(Buffer.from(uid, 'hex'), 'SLM1234567890128');
    tag.misbehaviour = how;
    const read = read2((command) => tag.respond(command));
    t.equal(codeOf(read), expected[how], how);
    if (!read.ok) continue;
    t.equal(toHex(read.value.uid), uid);
    const said = read.value.message && saidBy(read.value.message);
    t.same(said, how === 'empty' ? null : { ok: true, value: 'SLM1234567890128' });
  }
  t.end();
});

t.test('every truncation and every flipped bit of a Type 2 tag ends, within its size', (t) => {
  const tag = new Ntag21x(Buffer.from(uid, 'hex'), 'SLM1234567890128');
  const memory = concat(
    ...[0, 4, 8, 12, 16].map((page) =>
      tag.respond(hex(`ffb000${page.toString(16).padStart(2, '0')}10`)).subarray(0, 16),
    ),
  );
  const over =
    (bytes: Bytes) =>
    (command: Bytes): Bytes => {
      const at = (command[3] ?? 0) * 4;
      return at >= bytes.length ? hex('6a81') : concat(bytes.subarray(at, at + 16), hex('9000'));
    };
  t.ok(read2(over(memory)).ok);
  for (let length = 0; length < 48; length++) t.notOk(read2(over(memory.subarray(0, length))).ok, `cut to ${length}`);
  let other = 0;
  for (let bit = 0; bit < memory.length * 8; bit++) {
    const changed = memory.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    const read = read2(over(changed));
    if (bit < 72) t.notOk(read.ok, `bit ${bit} of the UID and its check bytes`);
    if (!read.ok || !read.value.message || !saidBy(read.value.message).ok) other++;
  }
  t.ok(other > 72, 'lengths and controls are checked too');
  t.end();
});

t.test('TLVs: any bytes, any size', (t) => {
  const find = (area: string, size: number) => {
    const found = findNdef(hex(area), size);
    return found.ok
      ? found.value instanceof Uint8Array
        ? toHex(found.value)
        : found.value
      : `${found.error.code} ${found.error.offset}`;
  };
  t.equal(find('0000030241420000', 8), '4142');
  t.equal(find('03ff', 600), 'more');
  t.equal(find(`03ff0100${'41'.repeat(256)}`, 600), '41'.repeat(256));
  t.equal(find('03ffffff', 600), 'input.truncated 0', 'a length of 65,535');
  t.equal(find('03ff0010', 600), 'input.malformed 0', 'three bytes for a short length');
  t.equal(find('0103a00c34', 5), null);
  t.equal(find('fd', 1), 'input.truncated 0');
  t.equal(find('01ff', 8), 'more');
  t.equal(find('01ff', 3), 'input.truncated 0');
  t.equal(find('fe0302', 8), null, 'nothing behind the end');
  t.equal(find('0300', 8), null, 'an empty message');
  t.equal(find('', 0), null);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat({ max: 2_040 }), (area, size) => {
      const found = findNdef(area.slice(0, size), size);
      return found.ok || found.error.offset <= area.length;
    }),
    { numRuns: 5_000, seed: 5 },
  );
  t.end();
});

t.test('what a message says: every truncation, and what is neither address nor text', (t) => {
  const message = hex(uriRecord);
  for (let length = 0; length < message.length; length++)
    t.notOk(saidBy(message.subarray(0, length)).ok, `cut to ${length}`);
  const cases: readonly (readonly [string, string, unknown])[] = [
    ['an unknown prefix', 'd10103552441 42'.replace(' ', ''), null],
    ['UTF-16', 'd101055482656e0041', null],
    ['a media type', 'd2010141 41'.replace(' ', ''), null],
    ['a smart poster', 'd1020153 7041'.replace(' ', ''), null],
    ['an address of nothing', 'd1010055', 'input.truncated'],
    ['a language past the end', 'd101025405 41'.replace(' ', ''), 'input.truncated'],
    ['no UTF-8', 'd101025504ff', 'input.malformed'],
  ];
  for (const [name, bytes, expected] of cases) {
    const said = saidBy(hex(bytes));
    t.equal(said.ok ? said.value : said.error.code, expected, name);
  }
  t.same(saidBy(concat(hex('d1010a5402656e'), utf8('SLM1234'))), { ok: true, value: 'SLM1234' });
  t.end();
});
