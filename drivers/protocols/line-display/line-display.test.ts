/**
 * Shows that both lines come out on a display as they were meant, in either command set, in pieces of every size, and that
 * no text becomes a command. How: a display written from the command lists alone.
 */
import fc from 'fast-check';
import iconv from 'iconv-lite';
import t from 'tap';
import { SimulatedLineDisplay } from '../../sim/line-display.js';
import { type DisplayCommands, type DisplayText, encodeDisplay, resetDisplay } from './line-display.js';

const encode = (character: string) => new Uint8Array(iconv.encode(character, 'gb18030'));
const commandSets: readonly DisplayCommands[] = ['cd5220', 'escpos'];

function shown(commands: DisplayCommands, texts: readonly DisplayText[], pieceBytes = 1_000) {
  const display = new SimulatedLineDisplay();
  display.feed(resetDisplay(true));
  for (const text of texts) {
    const bytes = encodeDisplay(text, commands, encode);
    for (let at = 0; at < bytes.length; at += pieceBytes) display.feed(bytes.subarray(at, at + pieceBytes));
  }
  return display;
}

for (const commands of commandSets) {
  t.test(`${commands}: what was told last, in pieces of every size`, async (t) => {
    for (let pieceBytes = 1; pieceBytes < 50; pieceBytes++) {
      const display = shown(
        commands,
        [
          ['好味道餐厅', '欢迎光临 WELCOME'],
          ['TOTAL         300.00', ''],
        ],
        pieceBytes,
      );
      t.same(display.lines, ['TOTAL         300.00', '']);
      t.same(display.unknown, []);
    }
    t.same(shown(commands, [['好味道餐厅', '请出示手机 TAP PHONE']]).lines, ['好味道餐厅', '请出示手机 TAP PHONE']);
  });

  t.test(`${commands}: cut to the width, never within a character; what it cannot show is ?`, async (t) => {
    t.same(shown(commands, [['x一二三四五六七八九十', 'ABCDEFGHIJKLMNOPQRSTUVW']]).lines, [
      'x一二三四五六七八九',
      'ABCDEFGHIJKLMNOPQRST',
    ]);
    t.same(shown(commands, [['a\u001b@b\rc', '\u{20000}é\u{1f600}']]).lines, ['a?@b?c', '??é??']);
  });

  t.test(`${commands}: no text becomes a command`, async (t) => {
    const text = fc.string({ unit: 'binary', maxLength: 30 });
    fc.assert(
      fc.property(text, text, (upper, lower) => {
        const display = shown(commands, [
          [upper, lower],
          ['after', 'wards'],
        ]);
        t.same([display.lines, display.unknown], [['after', 'wards'], []]);
      }),
      { numRuns: 200, seed: 20_261_128 },
    );
  });
}
