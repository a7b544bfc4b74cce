// Shows that the worked example in docs/protocols/phone.md is what the code does today, that it has the values of an independent
// implementation (vectors/make.py), and that the document's tables name every status word, every label of a derivation, and every
// byte of the record and of a package's head.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { label, statusWord } from '../drivers/protocols/member/layout.js';
import { documentPath, withWorkedExample, workedExample } from './phone-document.js';

/** Texts, and the parts as messages. */
type PackageVector = Record<'encryptionKey' | 'macKey' | 'content' | 'signature' | 'sealed' | 'have', string> & {
  readonly parts: readonly string[];
  readonly needThird: string;
  readonly kept: string;
};

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
    readonly spend: Record<string, string>;
    readonly packageFull: PackageVector;
    readonly packageErase: PackageVector;
    readonly packageForfeit: PackageVector;
  };
  const joined = workedExample().replaceAll(/\n {16}/g, '');
  const names = [
    'sharedSecret',
    'registrationMessage',
    'signingKeyMessage',
    'phonePublic',
    'credential',
    'credentialSignerPublic',
    'memberKeyId',
    'cardKey',
    'recordKey',
    'record1',
    'record2',
    'couponMessage',
  ];
  for (const name of names) t.ok(joined.includes(vectors[name] ?? '?'), name);
  t.ok(joined.includes(vectors.spend['signature'] ?? '?'));
  for (const tap of [vectors.earn, vectors.debit, vectors.spend])
    for (const name of ['transcript', 'proof']) t.ok(joined.includes(tap[name] ?? '?'), name);
  for (const name of ['terminalProof', 'encryptionKey', 'macKey', 'confirm'])
    t.ok(joined.includes(vectors.debit[name] ?? '?'), name);
  for (const step of vectors.steps)
    t.ok(joined.includes(step['command'] ?? '?') && joined.includes(step['answer'] ?? '?'));
  const { packageFull, packageErase, packageForfeit } = vectors;
  for (const { encryptionKey, macKey, content, signature, sealed, parts } of [
    packageFull,
    packageErase,
    packageForfeit,
  ])
    for (const one of [encryptionKey, macKey, content, signature, sealed, ...parts]) t.ok(joined.includes(one), one);
  for (const said of [packageFull.needThird, packageFull.have, packageErase.kept, packageForfeit.have])
    t.ok(joined.includes(`←               ${said}`), said);
});

t.test('every status word is explained', async (t) => {
  for (const word of Object.values(statusWord))
    t.match(document, new RegExp(`\\b${word.toString(16).toUpperCase()}\\b`));
});

t.test('every label of a key or MAC is in the table of labels, and no other', async (t) => {
  const table = document.slice(
    document.indexOf('| label | with which key |'),
    document.indexOf('`applicationIdentifier` ='),
  );
  const named = [...table.matchAll(/^\| ((?:[0-9A-F]{2}(?:, )?)+) \|/gm)].flatMap(([, labels = '']) =>
    labels.split(', '),
  );
  const used = Object.values(label).map((byte) => byte.toString(16).toUpperCase().padStart(2, '0'));
  t.same(named.toSorted(), used.toSorted());
});

/** Offsets, lengths and names of a table's rows with fixed places. */
function placesOf(from: string, to: string) {
  const start = document.indexOf(from);
  const table = document.slice(start, document.indexOf(to, start));
  return [...table.matchAll(/^\| (\d+) \| (\d+) \| (\w+)/gm)].map(
    ([, at, bytes]) => [Number(at), Number(bytes)] as const,
  );
}

for (const [name, from, to, rows, total] of [
  ['the record’s table', '## The card record', '**Tear rules.**', 14, 96],
  ['the table of a package’s head', '### The content', '| section |', 6, 48],
  ['the table of a credential', '## The credential', '**What the phone', 9, 127],
] as const)
  t.test(`${name} leaves no byte out`, async (t) => {
    const places = placesOf(from, to);
    t.equal(places.length, rows);
    let offset = 0;
    for (const [at, bytes] of places) {
      t.equal(at, offset);
      offset += bytes;
    }
    t.equal(offset, total);
  });
