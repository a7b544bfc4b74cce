/**
 * Shows that a bank card's application and number are read as EMV says: with and without a directory, over T=0 and T=1, in both
 * forms; that a card which refuses, misbehaves or has no end is an error within bounds; and that every truncation and flipped
 * bit of every answer gives no other number. How: against the simulated card, and published strings.
 */
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { type Bytes, concat, hex, toHex } from '../../../terminal/kernel/bytes.js';
import {
  type BankApplication,
  type BankCardMisbehaviour,
  type BankCardSetup,
  bankCardMisbehaviours,
  debitCard,
  SimulatedBankCard,
} from '../../sim/bank-card.js';
import { runDialogue } from '../../sim/wallet/run-dialogue.js';
import { protocolOf } from '../atr/atr.js';
import { type BankCard, readBankCard } from './bank-card.js';
import { commandsMax } from './exchange.js';
import { decodeDirectoryRecord, decodeFileControl } from './file-control.js';
import { decodeOptions, fillOptions } from './processing-options.js';
import { Findings } from './records.js';

const credit: BankApplication = {
  ...{ ...debitCard, id: 'a000000333010102', label: 'UnionPay Credit', priority: 2 },
  ...{ number: '6250941006528599', template: '80', wants: '' },
};
const visa: BankApplication = { ...debitCard, id: 'a0000000031010', label: 'VISA', number: '4761739001010119' };

function card(setup: Partial<BankCardSetup> = {}, how: BankCardMisbehaviour = 'none'): SimulatedBankCard {
  const simulated = new SimulatedBankCard({ applications: [debitCard], ...setup });
  simulated.misbehaviour = how;
  return simulated;
}
const read = (simulated: SimulatedBankCard, respond = (command: Bytes) => simulated.respond(command)) =>
  runDialogue(readBankCard(protocolOf(simulated.atr)).dialogue, respond);
const digitsOf = ({ number }: BankCard): string => number.lend((ascii) => String.fromCharCode(...ascii));
/** What a reading came to: number and application, or the code. */
const said = (result: ReturnType<typeof read>): string =>
  result.ok ? `${digitsOf(result.value)} ${result.value.applicationId}` : result.error.code;
const one = (application: Partial<BankApplication>): Partial<BankCardSetup> => ({
  applications: [{ ...debitCard, ...application }],
});

t.test('a debit card, in each way that a card may be made', (t) => {
  for (const protocol of ['T0', 'T1'] as const)
    for (const environment of ['there', 'blocked', 'none'] as const)
      for (const template of ['77', '80'] as const) {
        const result = read(card({ protocol, environment, ...one({ template }) }));
        const name = `${protocol}, environment ${environment}, template ${template}`;
        t.ok(result.ok, name);
        if (!result.ok) continue;
        t.equal(digitsOf(result.value), debitCard.number, name);
        const { number, ...rest } = result.value;
        t.ok(number.hasLuhnDigit);
        t.same(rest, {
          ...{ applicationId: 'a000000333010101', scheme: 'unionPay', label: 'UnionPay Debit' },
          ...{ expiry: '3012', sequenceNumber: 1 },
        });
      }
  t.end();
});

t.test('the commands, over T=1 and T=0', (t) => {
  const t1 = card({ protocol: 'T1' });
  const sent: string[] = [];
  read(t1, (command) => {
    sent.push(toHex(command));
    return t1.respond(command);
  });
  t.same(sent, [
    '00a404000e315041592e5359532e444446303100',
    '00b2010c00',
    '00b2020c00',
    '00a4040008a00000033301010100',
    // Country and currency 156, no date, no random number.
    '80a800000d830b015601560000000000000000',
    '00b2010c00',
    '00b2011400',
    '00b2021400',
  ]);
  const t0 = card({ protocol: 'T0' });
  read(t0);
  t.same(t0.commands.slice(0, 6), ['00a40400', '00c00000', '00b2010c', '00b2010c', '00b2020c', '00a40400']);
  t.end();
});

t.test('strings as published by others', (t) => {
  // The examples of the node-tlv package and of public EMV tutorials.
  const control = decodeFileControl(hex('6f20840e315041592e5359532e4444463031a50e8801015f2d046b6f656e9f110101'));
  t.match(control, { ok: true, value: { directory: 1, pdol: null, label: null } });
  const record = decodeDirectoryRecord(hex('7020611e4f07a000000004101050104445424954204d415354455243415244870101'));
  t.ok(record.ok);
  if (record.ok) t.match(record.value, [{ label: 'DEBIT MASTERCARD', priority: 1 }]);
  const visa = decodeFileControl(
    hex(
      '6f378407a0000000031010a52c5004564953418701029f38069f1a025f2a025f2d046e6f656e9f1101019f120c5649534120436c6173736963',
    ),
  );
  t.match(visa, { ok: true, value: { label: 'VISA Classic' } });
  if (visa.ok) t.same(fillOptions(visa.value.pdol), { ok: true, value: hex('830401560156') });
  const findings = new Findings();
  t.ok(findings.take(hex('701857126292210000001346d301222000000447000f5f340100')).ok);
  t.same([findings.expiry, findings.sequenceNumber], ['3012', 0]);
  const number = findings.handOver();
  t.equal(typeof number === 'string' ? number : number.masked(), '629221******1346');
  t.end();
});

t.test('several applications: the card’s wish, then the next one that can be had', (t) => {
  const both = (first: Partial<BankApplication>, second: Partial<BankApplication> = {}) => ({
    applications: [
      { ...credit, ...second },
      { ...debitCard, ...first },
    ],
  });
  t.equal(said(read(card(both({})))), `${debitCard.number} ${debitCard.id}`, 'priority 1 before 2');
  t.equal(said(read(card(both({ priority: 0 })))), `${credit.number} ${credit.id}`, 'no wish stands behind');
  t.equal(
    said(read(card(both({ priority: 0x81 })))),
    `${debitCard.number} ${debitCard.id}`,
    'the upper bit is no rank',
  );
  for (const refuses of ['blocked', 'terminated', 'conditions'] as const) {
    t.equal(said(read(card(both({ refuses })))), `${credit.number} ${credit.id}`, refuses);
    const none = said(read(card(both({ refuses }, { refuses }))));
    t.equal(none, refuses === 'conditions' ? 'chip.unreadable' : 'chip.blocked', `both ${refuses}`);
    const byName = said(read(card({ ...both({ refuses }, { refuses }), environment: 'none' })));
    t.equal(byName, refuses === 'conditions' ? 'chip.unreadable' : 'chip.blocked', `both ${refuses}, by name`);
  }
  const foreign = { ...debitCard, id: 'a0000006581010' };
  t.equal(
    said(read(card({ applications: [foreign, visa] }))),
    `${visa.number} ${visa.id}`,
    'unknown ones are passed over',
  );
  for (const environment of ['there', 'none'] as const)
    t.equal(said(read(card({ applications: [foreign], environment }))), 'chip.noApplication');
  t.equal(said(read(card({ isBlocked: true }))), 'chip.blocked');
  t.equal(said(read(card({ applications: [] }))), 'chip.noApplication');
  t.equal(said(read(card(), () => hex('6d00'))), 'chip.noApplication', 'a card that knows none of this');
  t.end();
});

t.test('by name: longer names, one after the other', (t) => {
  const amex = { ...debitCard, id: 'a000000025010801', label: 'AMEX' };
  t.match(read(card({ applications: [amex], environment: 'none' })), {
    ok: true,
    value: { scheme: 'amex', applicationId: amex.id },
  });
  const two = [
    { ...visa, id: `${visa.id}01`, refuses: 'blocked' as const },
    { ...visa, id: `${visa.id}02`, number: '4012001037141112' },
  ];
  t.equal(said(read(card({ applications: two, environment: 'none' }))), `4012001037141112 ${visa.id}02`);
  const deaf = card({ applications: [{ ...visa, id: `${visa.id}01` }], environment: 'none', protocol: 'T1' });
  const first = (command: Bytes) =>
    deaf.respond(command[3] === 2 ? concat(command.slice(0, 3), hex('00'), command.slice(4)) : command);
  t.equal(said(read(deaf, first)), `${visa.number} ${visa.id}01`, 'a card that does not know "the next one"');
  t.end();
});

t.test('labels', (t) => {
  const label = (application: Partial<BankApplication>) => {
    const result = read(card(one(application)));
    return result.ok ? result.value.label : result.error.code;
  };
  t.equal(label({ preferred: { name: Buffer.from('Débit', 'latin1'), table: 1 } }), 'Débit');
  t.equal(label({ preferred: { name: Buffer.from([0xb4, 0xd5]), table: 5 } }), 'UnionPay Debit', 'Cyrillic is not had');
  t.equal(label({ preferred: { name: Buffer.from('a\u001b[2J', 'latin1'), table: 1 } }), 'UnionPay Debit');
  t.equal(label({ label: 'BAD\u001b[2J' }), null, 'nothing that moves a screen');
  t.equal(label({ label: 'more than sixteen' }), null);
  t.equal(label({ label: '' }), null);
  t.end();
});

t.test('numbers', (t) => {
  const result = (application: Partial<BankApplication>) => {
    const got = read(card(one(application)));
    return got.ok ? `${digitsOf(got.value)} ${got.value.number.hasLuhnDigit}` : got.error.code;
  };
  t.equal(result({ number: '62922100' }), '62922100 false');
  t.equal(result({ number: '6292210000001346123' }), '6292210000001346123 false');
  t.equal(result({ number: '6292210', trackNumber: null }), 'input.outOfRange');
  t.equal(result({ number: '62922100000013461234', trackNumber: null }), 'input.outOfRange');
  t.equal(result({ number: '6292210000001346', trackNumber: '6292210000001353' }), 'chip.inconsistent');
  t.equal(result({ trackNumber: null }), '6292210000001346 true', 'without track 2');
  t.equal(result({ number: null, trackNumber: '6292210000001346' }), '6292210000001346 true', 'track 2 alone');
  t.equal(result({ number: null, trackNumber: null }), 'chip.unreadable');
  const expiry = (application: Partial<BankApplication>) => {
    const got = read(card(one(application)));
    return got.ok ? got.value.expiry : got.error.code;
  };
  t.equal(expiry({ expiry: '271130' }), '2711');
  t.equal(expiry({ expiry: null }), '3012', 'track 2 has it too');
  t.equal(expiry({ expiry: null, trackNumber: null }), null, 'unknown is not zero');
  for (const wrong of ['271330', '270030', '271100', '271132', '2a1130', '27113a'])
    t.equal(expiry({ expiry: wrong, trackNumber: null }), 'input.malformed', wrong);
  t.equal(said(read(card(one({ sequence: '1a' })))), 'input.malformed');
  t.end();
});

t.test('a card that misbehaves is an error, within bounds', (t) => {
  const expected: Readonly<Record<BankCardMisbehaviour, string>> = {
    none: `${debitCard.number} ${debitCard.id}`,
    endlessDirectory: `${debitCard.number} ${debitCard.id}`,
    endlessNext: `${debitCard.number} ${debitCard.id}`,
    endlessMore: 'input.tooLong',
    endlessLength: 'chip.noApplication',
    oversized: 'input.tooLong',
    manyRecords: 'input.tooLong',
    cut: 'input.truncated',
    twice: 'input.malformed',
    letters: 'input.malformed',
  };
  for (const how of bankCardMisbehaviours)
    for (const protocol of ['T0', 'T1'] as const) {
      const simulated = card({ protocol }, how);
      t.equal(said(read(simulated)), expected[how], `${how} ${protocol}`);
      t.ok(simulated.commands.length <= commandsMax, `${how}: ${simulated.commands.length} commands`);
    }
  const next = card({ ...one({ id: `${visa.id}01` }), environment: 'none' }, 'endlessNext');
  t.equal(said(read(next)), `${debitCard.number} ${visa.id}01`);
  let sent = 0;
  const endless = runDialogue(readBankCard('T0').dialogue, () => {
    sent++;
    return hex('6101');
  });
  t.equal(!endless.ok && endless.error.code, 'input.tooLong', 'more without a byte of it');
  t.equal(sent, commandsMax);
  t.end();
});

/** Answers of one good reading, with the commands' headers. */
function answersOf(setup: Partial<BankCardSetup>): {
  readonly simulated: SimulatedBankCard;
  readonly lengths: number[];
} {
  const simulated = card(setup);
  const lengths: number[] = [];
  read(simulated, (command) => {
    const answer = simulated.respond(command);
    lengths.push(answer.length);
    return answer;
  });
  return { simulated, lengths };
}

t.test('every truncation and every flipped bit of every answer: the same number, or none', (t) => {
  const secrets = [debitCard.number ?? '', debitCard.discretionary ?? '', debitCard.holder ?? ''];
  const setups: readonly Partial<BankCardSetup>[] = [
    { protocol: 'T1' },
    { protocol: 'T0', ...one({ template: '80' }) },
    { protocol: 'T1', environment: 'none', ...one({ id: `${visa.id}01` }) },
  ];
  for (const setup of setups) {
    const { lengths } = answersOf(setup);
    let failed = 0;
    let tried = 0;
    const change = (at: number, by: (answer: Bytes) => Bytes): void => {
      const simulated = card(setup);
      let number = 0;
      const result = read(simulated, (command) => {
        const answer = simulated.respond(command);
        return number++ === at ? by(answer) : answer;
      });
      tried++;
      if (result.ok) {
        if (digitsOf(result.value) !== debitCard.number) t.fail(`another number by answer ${at}`);
        return;
      }
      failed++;
      for (const secret of secrets)
        if (result.error.detail.includes(secret)) t.fail(`a detail says ${result.error.code} with what is secret`);
    };
    lengths.forEach((length, at) => {
      for (let cut = 0; cut < length; cut++) change(at, (answer) => answer.subarray(0, cut));
      for (let bit = 0; bit < length * 8; bit++)
        change(at, (answer) => {
          const changed = answer.slice();
          changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          return changed;
        });
    });
    t.ok(tried > 3_000 && failed > tried / 4, `${failed} of ${tried} are errors`);
  }
  t.end();
});

t.test('any answers at all end', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 20 }),
      fc.constantFrom('T0', 'T1'),
      (answers, protocol) => {
        let at = 0;
        let sent = 0;
        runDialogue(readBankCard(protocol as 'T0' | 'T1').dialogue, () => {
          sent++;
          return concat(answers[at++ % Math.max(1, answers.length)] ?? hex(''), hex(at % 3 === 0 ? '6a83' : '9000'));
        });
        return sent <= commandsMax;
      },
    ),
    { numRuns: 2_000, seed: 3 },
  );
  t.end();
});

t.test('the list of wanted data, and where the records are', (t) => {
  const filled = (list: string) => {
    const result = fillOptions(hex(list));
    return result.ok ? toHex(result.value) : `${result.error.code} ${result.error.offset}`;
  };
  t.equal(filled(''), '8300');
  t.equal(filled('9f1a039f3303df812901'), '830700015620000000', 'right, left, and zeros for the unknown');
  t.equal(filled('9f1a01'), '830156', 'a number keeps its right end');
  t.equal(filled('9f'), 'input.truncated 0');
  t.equal(filled('9f1a'), 'input.truncated 2');
  t.equal(filled('9f818181'), 'input.tooLong 0');
  t.equal(filled('0004'), 'input.malformed 0');
  t.equal(filled('9fff029aff'), 'input.truncated 4', 'a tag of three bytes, and half a tag');
  t.equal(filled('9a809a80'), 'input.tooLong 3', '256 bytes do not fit');
  const places = (data: string) => {
    const result = decodeOptions(hex(data));
    return result.ok
      ? result.value.map(({ file, first, last }) => `${file}:${first}-${last}`).join(' ')
      : result.error.code;
  };
  t.equal(places('800a7c000801010010010201'), '1:1-1 2:1-2');
  t.equal(places('770a82027c00940408010100'), '1:1-1');
  for (const [data, code] of [
    ['', 'input.truncated'],
    ['80027c00', 'input.malformed'],
    ['80017c', 'input.truncated'],
    ['80057c00080101', 'input.malformed'],
    ['80067c0000010100', 'input.outOfRange'],
    ['80067c00f8010100', 'input.outOfRange'],
    ['80067c0009010100', 'input.outOfRange'],
    ['80067c0008000100', 'input.outOfRange'],
    ['80067c0008020100', 'input.outOfRange'],
    ['80067c0008010102', 'input.outOfRange'],
    ['80067c000801010080067c0008010100', 'input.tooLong'],
    ['7706940408010100', 'input.malformed'],
    ['770482027c00', 'input.malformed'],
    ['7000', 'input.malformed'],
  ] as const)
    t.equal(places(data), code, data);
  t.end();
});

t.test('a number cannot be shown by accident, and can be wiped', (t) => {
  const result = read(card());
  if (!result.ok) throw new Error(result.error.code);
  const { number } = result.value;
  const forms = [
    String(number),
    `${number}`,
    JSON.stringify(result.value),
    inspect(result.value, { depth: 9, showHidden: true }),
    inspect(number, { showHidden: true }),
    Object.entries(number).join(),
    new Error(`card ${number}`).message,
    JSON.stringify(structuredClone({ ...result.value, number: String(number) })),
  ];
  for (const form of forms) t.notOk(form.includes('00000013'), form);
  t.match(forms[0], '629221******1346');
  t.throws(() => structuredClone(number).masked(), 'a clone has nothing');
  let lent: Bytes = new Uint8Array(0);
  number.lend((ascii) => {
    lent = ascii;
    t.equal(ascii.length, 16);
  });
  t.ok(
    lent.every((byte) => byte === 0),
    'what was lent is zeroed',
  );
  t.throws(() =>
    number.lend(() => {
      throw new Error('of the borrower');
    }),
  );
  const twin = read(card());
  t.ok(twin.ok && twin.value.number.equals(number));
  number.wipe();
  t.same([number.length, number.masked(), number.hasLuhnDigit], [0, '****', false]);
  t.notOk(twin.ok && twin.value.number.equals(number));
  t.notOk(number.equals(number), 'nothing equals nothing');
  t.end();
});

t.test('answers are zeroed behind the reading; what was found and is not handed over, too', (t) => {
  const simulated = card({ protocol: 'T0' });
  const given: Bytes[] = [];
  let step = readBankCard('T0').dialogue;
  while (!('end' in step)) {
    const answer = simulated.respond(step.send);
    given.push(answer);
    step = step.next(answer);
  }
  t.ok(given.length > 10 && given.every((answer) => answer.every((byte) => byte === 0)));
  const findings = new Findings();
  t.ok(findings.take(hex('700e5a0862922100000013465f340101')).ok);
  findings.wipe();
  t.same([findings.handOver(), findings.sequenceNumber], ['none', null]);
  const torn = readBankCard('T1');
  const other = card({ protocol: 'T1' });
  let at = torn.dialogue;
  for (let n = 0; n < 7 && !('end' in at); n++) at = at.next(other.respond(at.send));
  torn.forget();
  const rest = runDialogue(at, (command) => other.respond(command));
  t.match(rest, { ok: false, error: { code: 'chip.unreadable' } }, 'what was forgotten does not come back');
  t.end();
});
