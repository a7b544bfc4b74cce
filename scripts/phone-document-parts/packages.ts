// The part of the worked example that is about content over the air: a full package with a part lost on its way, an erasure that a
// card with money stops, and one that names the card as forfeited. The host's codec makes them, the simulated phone takes them.
import {
  type EraseContent,
  encodePackageContent,
  type FullContent,
  formatPackagePart,
  packagePartCount,
  parsePackageAnswer,
  sealPackage,
  verifyPackageAnswer,
} from '../../drivers/protocols/member/package.js';
import { handleMessage, type MessageOutcome } from '../../drivers/sim/phone/phone-messages.js';
import type { VolatileMemory } from '../../drivers/sim/phone/phone-state.js';
import { type Bytes, concat, hex, utf8 } from '../../terminal/kernel/bytes.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import { credentialRows, exampleCredential } from './credential.js';
import { block, row, value } from './rows.js';

/** Whom the packages of the example are for. */
export interface ExampleMember {
  readonly merchantId: string;
  readonly memberKeyId: Bytes;
  readonly memberKey: Bytes;
  readonly cardKeyId: Bytes;
}

const signerPrivate = hex('0000000000000000000000000000000000000000000000000000000000003333');
const signer = hex('038570e95d85825286db92c78317679bdd8ffe3c90d0af84291bf64132b66fcc99');

const exampleContent = (member: ExampleMember): FullContent => ({
  kind: 'full',
  merchantName: '面包店',
  rules: { version: 3, currency: 'CNY', earnPoints: 1, earnPerMinor: 100, spendMinor: 100, spendPerPoints: 100 },
  coupons: [
    {
      couponNumber: 43,
      balanceMinor: 5_000,
      currency: 'CNY',
      expiresAtSeconds: 1_893_456_000,
      limit: { kind: 'category', category: 'cake' },
    },
    { couponNumber: 44, balanceMinor: 100, currency: 'CNY', expiresAtSeconds: 0, limit: { kind: 'products' } },
  ],
  offers: [{ expiresAtSeconds: 1_893_456_000, title: '半价', text: 'Cake 蛋糕' }],
  leftOut: { coupons: 0, offers: 2 },
  credential: exampleCredential(member),
});

interface ExamplePackage {
  readonly version: number;
  readonly content: FullContent | EraseContent;
  readonly iv: Bytes;
  /** A signature is drawn anew each time; these are the ones that RFC 6979 gives. The phone verifies them. */
  readonly signature: Bytes;
}

const run = (first: number): Bytes => Uint8Array.from({ length: 16 }, (_, at) => first + at);
const fullPackage = (member: ExampleMember): ExamplePackage => ({
  version: 1,
  content: exampleContent(member),
  iv: run(0x80),
  signature: hex(
    '2b10928c5fe3951388444950e9163d0e0dce894d663031a60e4494e6cde1e496d948c01c484940cbaaa9fbc1e541bd073e0c469504a5177d1ac7dbc123ad5f0f',
  ),
});
const erasePackage: ExamplePackage = {
  version: 2,
  content: { kind: 'erase', forfeitedCards: [] },
  iv: run(0x90),
  signature: hex(
    'f409fa384c99c644b6c2e554f82475a1ca9e8c7938acdf514f16e82bea004182ecea74490a85d579486cd1b0820c6de17cffac1f4d5eee74252b21593ec7436a',
  ),
};
const forfeitPackage = (cardKeyId: Bytes): ExamplePackage => ({
  version: 3,
  content: { kind: 'erase', forfeitedCards: [cardKeyId] },
  iv: run(0xc0),
  signature: hex(
    '7f9b35697a590974d03b4749ae8c9c251097fa1b973b611f2f7bb16effd4051c76c13a6adbd404035c991cdf74a7d5711ebac2b8ce9a955f1d0e0fd26a8b8592',
  ),
});

/** A package's rows, and its parts as messages. */
function made(member: ExampleMember, { version, content, iv, signature }: ExamplePackage) {
  const { merchantId, memberKeyId, memberKey } = member;
  const head = { merchantId, version, memberKeyId, signer };
  const bytes = encodePackageContent(head, content);
  const sealed = sealPackage(nativeCrypto, memberKey, head, iv, bytes, signature);
  const headBytes = utf8(`SHOULI1 PKG ${merchantId} ${version}`);
  const rows = [
    row('content', bytes),
    row('signature', signature),
    row('KE', nativeCrypto.aesCmac(memberKey, concat(hex('08'), headBytes))),
    row('KM', nativeCrypto.aesCmac(memberKey, concat(hex('09'), headBytes))),
    row('sealed', sealed),
  ];
  const messages = Array.from({ length: packagePartCount(sealed.length) }, (_, at) =>
    formatPackagePart(nativeCrypto, memberKey, head, sealed, at + 1),
  );
  return { rows, messages };
}

/** Hands one message to the phone; its rows. Throws when it says or does something else than wanted. */
function exchange(memory: VolatileMemory, member: ExampleMember, message: string, wanted: MessageOutcome): string {
  const { state, outcome, answer } = handleMessage(memory.state, message, { bytes: () => hex('') });
  if (outcome !== wanted) throw new Error(`the phone of the example did ${outcome}, not ${wanted}`);
  memory.save(state);
  if (answer !== null && !verifyPackageAnswer(nativeCrypto, member.memberKey, value(parsePackageAnswer(answer))))
    throw new Error('the phone of the example answers by its key');
  return `${row('→', message)}\n${row('←', answer ?? '(nothing)')}`;
}

/** Messages in turn: all but the last one are kept. */
const inTurn = (
  memory: VolatileMemory,
  member: ExampleMember,
  messages: readonly string[],
  last: MessageOutcome,
): string =>
  block(
    ...messages.map((message, at) =>
      exchange(memory, member, message, at < messages.length - 1 ? 'packagePartKept' : last),
    ),
  );

/** Section 5 of the example: what the phone shows from now on, its credential among it. */
export function contentParts(memory: VolatileMemory, member: ExampleMember): readonly string[] {
  const full = made(member, fullPackage(member));
  const lost = full.messages[2] ?? '';
  const last = full.messages.at(-1) ?? '';
  return [
    '### 5. Content: a package whose third part is lost on its way',
    block(row('signer’s key', signerPrivate), row('signer', signer), ...credentialRows(member), ...full.rows),
    'The other parts, in order; the last one is answered with what is missing:',
    inTurn(memory, member, [...full.messages.slice(0, 2), ...full.messages.slice(3)], 'packagePartKept'),
    'The third part, and later the last one once more:',
    block(exchange(memory, member, lost, 'packageApplied'), exchange(memory, member, last, 'packageKnown')),
  ];
}

/** Sections 7 and 8, on a phone whose card still holds money. */
export function erasureParts(memory: VolatileMemory, member: ExampleMember): readonly string[] {
  const erase = made(member, erasePackage);
  const forfeit = made(member, forfeitPackage(member.cardKeyId));
  return [
    '### 7. An erasure, while the card holds 200.00 yuan',
    block(...erase.rows),
    inTurn(memory, member, erase.messages, 'cardInUse'),
    '### 8. An erasure that names the card as forfeited',
    block(...forfeit.rows),
    inTurn(memory, member, forfeit.messages, 'membershipErased'),
    'The phone has no membership of `M1001` any more. The last part comes once more:',
    block(exchange(memory, member, forfeit.messages.at(-1) ?? '', 'erasedBefore')),
  ];
}
