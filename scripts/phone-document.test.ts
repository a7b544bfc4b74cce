// Shows that the worked example in docs/protocols/phone.md is what the code does today, that it has the values of an independent
// implementation (vectors/make.py), and that the document's tables name every status word and every byte of the record.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { statusWord } from '../drivers/protocols/member/layout.js';
import { documentPath, withWorkedExample, workedExample } from './phone-document.js';

const document = readFileSync(documentPath(), 'utf8');

t.test('the worked example is up to date', async (t) => {
  t.equal(withWorkedExample(document), document, 'else: node out/scripts/phone-document.js --write');
  t.throws(() => withWorkedExample('no place for it'));
});

t.test('and has the values of an independent implementation', async (t) => {
  const vectors = JSON.parse(
    readFileSync(new URL('../drivers/protocols/member/vectors/member.json', import.meta.url), 'utf8'),
  ) as Record<string, string> & {
    readonly steps: readonly Record<string, string>[];
    readonly earn: Record<string, string>;
    readonly debit: Record<string, string>;
  };
  const joined = workedExample().replaceAll(/\n {16}/g, '');
  const names = [
    'sharedSecret',
    'registrationMessage',
    'keyMessage',
    'memberKeyId',
    'cardKey',
    'recordKey',
    'record1',
    'record2',
    'couponMessage',
  ];
  for (const name of names) t.ok(joined.includes(vectors[name] ?? '?'), name);
  for (const tap of [vectors.earn, vectors.debit])
    for (const name of ['transcript', 'proof']) t.ok(joined.includes(tap[name] ?? '?'), name);
  for (const name of ['terminalProof', 'encryptionKey', 'macKey', 'confirm'])
    t.ok(joined.includes(vectors.debit[name] ?? '?'), name);
  for (const step of vectors.steps)
    t.ok(joined.includes(step['command'] ?? '?') && joined.includes(step['answer'] ?? '?'));
});

t.test('every status word is explained', async (t) => {
  for (const word of Object.values(statusWord))
    t.match(document, new RegExp(`\\b${word.toString(16).toUpperCase()}\\b`));
});

t.test('the record’s table leaves no byte out', async (t) => {
  const table = document.slice(document.indexOf('| offset | bytes |'), document.indexOf('**Tear rules.**'));
  const rows = [...table.matchAll(/^\| (\d+) \| (\d+) \| (\w+)/gm)].map(
    ([, at, bytes]) => [Number(at), Number(bytes)] as const,
  );
  t.equal(rows.length, 14);
  let offset = 0;
  for (const [at, bytes] of rows) {
    t.equal(at, offset);
    offset += bytes;
  }
  t.equal(offset, 96);
});
