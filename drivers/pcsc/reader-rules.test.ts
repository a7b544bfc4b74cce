/**
 * Shows the pure rules about readers: which one has come back, which are used, which are fields, what lights up, which PC/SC
 * failure means what, and that each option is described once. How: names as pcscd writes them, plain tables.
 */
import t from 'tap';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { pcscOptions, pcscOptionsDefault } from './options.js';
import { readPcscError } from './pcsc-errors.js';
import { readerModel } from './reader-models.js';
import {
  findReturned,
  identityOfReader,
  isContactless,
  isContactSlot,
  isVirtual,
  parseReaderName,
  refusalReason,
} from './reader-names.js';
import { pollingFrame } from './wallet-polling.js';

const acr = 'ACS ACR122U PICC Interface';

t.test('a reader is known again after a replug, which counts its index up', async (t) => {
  const away = [`${acr} 00 00`, `${acr} 01 00`, 'HID Global OMNIKEY 5422 (OKCM0012345) 02 01'].map((name) => ({
    name: parseReaderName(name),
  }));
  const found = (name: string) => findReturned(parseReaderName(name), away)?.name.full ?? null;
  t.equal(found(`${acr} 01 00`), `${acr} 01 00`, 'the very name wins over the first of its model');
  t.equal(found(`${acr} 07 00`), `${acr} 00 00`, 'another index');
  t.equal(found('HID Global OMNIKEY 5422 (OKCM0012345) 00 01'), 'HID Global OMNIKEY 5422 (OKCM0012345) 02 01');
  t.equal(found('HID Global OMNIKEY 5422 (OKCM0012345) 00 00'), null, 'its contact slot is another reader');
  t.equal(found('HID Global OMNIKEY 5422 (OKCM0099999) 02 01'), null, 'another serial number is another reader');
  t.equal(found('Identiv uTrust 3700 F 00 00'), null);
  t.strictSame(parseReaderName('odd name'), { full: 'odd name', model: 'odd name', slot: '' });
});

t.test('the options say which readers are used; virtual ones only when allowed', async (t) => {
  const used = (name: string, options: Partial<typeof pcscOptionsDefault>) =>
    refusalReason(parseReaderName(name), { ...pcscOptionsDefault, ...options }) === null;
  t.ok(used(`${acr} 00 00`, {}));
  t.notOk(used('Virtual PCD 00 00', {}));
  t.ok(used('Virtual PCD 00 00', { virtualReaders: true }));
  t.ok(isVirtual(parseReaderName('Virtual PCD 00 01')));
  t.ok(used(`${acr} 00 00`, { names: ['omnikey', 'acr122'] }));
  t.notOk(used(`${acr} 00 00`, { names: ['omnikey'] }));
  t.notOk(used(`${acr} 00 00`, { names: ['acr122'], ignoredNames: ['picc'] }), 'ignoring wins');
  t.ok(used(`${acr} 00 00`, { ignoredNames: ['ICC', 'SAM'] }), 'PICC is not ICC');
  t.notOk(used('ACS ACR1281 Dual Reader ICC 00 00', { ignoredNames: ['icc'] }));
  t.notOk(used('ACS ACR1252 PICC [x ICC] 00 00', { ignoredNames: ['icc'] }), 'each place is looked at');
  t.ok(used(`${acr} 00 00`, { ignoredNames: [''] }), 'an empty text matches nothing');
});

t.test('a field is told from a slot for contacts; what the name does not say counts as contacts', async (t) => {
  const isField = (name: string) => isContactless(parseReaderName(name));
  for (const name of [
    `${acr} 00 00`,
    'ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00',
    'ACS ACR1552 1S CL Reader [ACR1552 1S CL Reader PICC] 00 00',
    'HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 01 00',
    'Identiv uTrust 3700 F Contactless Reader 00 00',
  ])
    t.ok(isField(name), name);
  for (const name of [
    'ACS ACR1552 1S CL Reader [ACR1552 1S CL Reader SAM] 01 00',
    'ACS ACR1281 Dual Reader ICC 00 00',
    'HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 00 00',
    'Gemalto PC Twin Reader 00 00',
  ])
    t.notOk(isField(name), name);
});

t.test('a slot for contacts is what the options name', async (t) => {
  const dual = 'ACS ACR1281 Dual Reader';
  const isSlot = (name: string, ...contactSlots: string[]) => isContactSlot(parseReaderName(name), { contactSlots });
  t.ok(isSlot(`${dual} ICC 00 00`, 'acr1281 dual reader icc'));
  t.ok(isSlot(`${dual} ICC 00 00`, 'gemalto', 'ICC'));
  t.ok(isSlot(`${dual} ICC 00 00`, ' icc'));
  t.notOk(isSlot(`${dual} PICC 00 01`, 'ICC', ' ICC'), 'its other half is a field');
  t.notOk(isSlot(`${dual} ICC 00 00`), 'a name alone says nothing');
  t.notOk(isSlot(`${dual} ICC 00 00`, ''), 'an empty text matches nothing');
});

t.test('a reader’s identity leaves out the index, and two of a kind are numbered', async (t) => {
  const first = identityOfReader(parseReaderName(`${acr} 00 00`), []);
  t.equal(first, `${acr} 00`);
  t.equal(identityOfReader(parseReaderName(`${acr} 03 00`), [first]), `${acr} 00 #2`);
  t.equal(identityOfReader(parseReaderName('odd\u001b[2J'), []), 'odd␛[2J');
});

const signals = ['hold', 'done', 'tapAgain', 'refused', 'idle'] as const;

t.test('only a reader that is known to have light and sound gets commands, and only ones that it keeps', async (t) => {
  for (const signal of signals) {
    const old = readerModel(`${acr} 00 00`)?.signals?.[signal];
    t.equal(old?.way, 'exchange');
    t.match(old?.commands.map(toHex), [/^ff0040[0-9a-f]{2}04[0-9a-f]{8}$/], signal);
    for (const name of [
      'ACS ACR1252 1S CL Reader [ACR1252 Dual Reader PICC] 00 00',
      'ACS ACR1552 CL Reader PICC 00 00',
    ]) {
      const own = readerModel(name)?.signals?.[signal];
      t.equal(own?.way, 'escape');
      t.match(own?.commands.map(toHex).join(' '), /^e0000029010[0-3]( e000002801(0a|28))?$/, `${name} ${signal}`);
    }
  }
  t.equal(readerModel('Virtual PCD 00 00')?.signals, undefined);
  t.equal(readerModel('HID Global OMNIKEY 5422 00 00'), null);
});

t.test('a polling frame is four commands to an ACR122U, and none to a reader that cannot', async (t) => {
  t.same(readerModel(`${acr} 00 00`)?.polling?.(pollingFrame('vasOnly')).map(toHex), [
    'ff00000006d43205ff0100',
    'ff00000004d44a0100',
    'ff00000005d408633d00',
    'ff00000009d4426a01000002e4d2',
  ]);
  t.equal(readerModel('ACS ACR1252 PICC 00 00')?.polling, undefined);
});

t.test(
  'a card’s own command goes through an ACR122U and comes back bare; what is no answer of the card is none',
  async (t) => {
    const through = readerModel(`${acr} 00 00`)?.passThrough;
    t.equal(through && toHex(through.wrap(hex('3C00'))), 'ff00000004d4423c00');
    const opened = (answer: string) => {
      const result = through?.open(hex(answer));
      return result?.ok ? toHex(result.value) : result?.error.code;
    };
    t.equal(opened('D54300AABB9000'), 'aabb');
    t.equal(opened('D543009000'), '');
    t.equal(opened('D543C0AA9000'), 'aa', 'the two high bits of the status say nothing of an error');
    for (const silent of ['D543019000', 'D54302AABB9000', 'D5433F9000'])
      t.equal(opened(silent), 'device.failed', silent);
    for (const other of ['', '6300', '6A81', '9000', 'D543', 'D5439000', 'D541009000', 'D54300AA6300'])
      t.equal(opened(other), 'device.unsupported', other);
    for (const name of ['ACS ACR1252 PICC 00 00', 'ACS ACR1552 CL Reader PICC 00 00'])
      t.equal(readerModel(name)?.passThrough, undefined, 'no public way is known');
  },
);

t.test('how many cards an ACR122U names, and null for every other answer', async (t) => {
  const field = readerModel(`${acr} 00 00`)?.cardsInField;
  t.equal(field && toHex(field.command), 'ff00000004d44a0200');
  const count = (answer: string) => field?.count(hex(answer));
  t.equal(count('D54B009000'), 0);
  t.equal(count('D54B010144002004AABBCCDD9000'), 1);
  t.equal(count('D54B020144002004AABBCCDD0244002004112233449000'), 2);
  for (const other of ['6300', '9000', 'D54B', 'D54B02', 'D54B039000', 'D541029000', 'D54B026300'])
    t.equal(count(other), null, other);
});

t.test('PC/SC failures by what they mean', async (t) => {
  const code = (sentence: string) =>
    readPcscError(Object.assign(new Error('wrapped'), { previous: new Error(sentence) })).code;
  t.equal(code('SCardTransmit error: Card was removed.(0x80100069)'), 'device.cardRemoved');
  t.equal(code('SCardTransmit error: Transaction failed.(0x80100016)'), 'device.cardRemoved');
  t.equal(code('SCardTransmit error: RPC transport error.(0x80100013)'), 'device.closed');
  t.equal(code('SCardConnect error: Sharing violation.(0x8010000b)'), 'device.busy');
  t.equal(code('SCardConnect error: Access denied.(0x8010006a)'), 'device.denied');
  t.equal(code('SCardTransmit error: Internal error.(0x80100001)'), 'device.failed');
  t.equal(readPcscError('no error at all').code, 'device.failed');
});

t.test('each option has one row, and each row one field', async (t) => {
  t.strictSame(Object.keys(pcscOptionsDefault).sort(), pcscOptions.map((option) => option.key).sort());
  for (const option of pcscOptions)
    if (option.type === 'integer') t.ok(option.default >= option.min && option.default <= option.max);
});
