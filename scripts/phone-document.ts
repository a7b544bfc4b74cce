// Makes the worked example of docs/protocols/phone.md: the terminal's code and the simulated phone talk to each other with fixed
// keys and nonces, and what they said is written down byte by byte. Usage: phone-document [--write]; without it, it only checks.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { encodeCardRecord } from '../drivers/protocols/member/card-record.js';
import { memberKeyId, sealIssuedCard, unwrapMemberKey } from '../drivers/protocols/member/key-exchange.js';
import {
  applicationIdOf,
  encodeContext,
  type KeyName,
  type PresentationContext,
} from '../drivers/protocols/member/layout.js';
import {
  couponMessageHead,
  formatCardCoupon,
  formatRegistration,
  parseKeyMessage,
} from '../drivers/protocols/member/messages.js';
import { cardKey, grantSession, recordKey } from '../drivers/protocols/member/proof.js';
import {
  decodeDoneAnswer,
  decodePresentAnswer,
  decodeRecordsAnswer,
  decodeSelectAnswer,
  decodeSignAnswer,
  encodeResult,
  mutualCommand,
  openSession,
  presentCommand,
  readRecordsCommand,
  resultCommand,
  type SealedStep,
  selectCommand,
  signCommand,
  transcriptOf,
  writeSlotCommand,
} from '../drivers/protocols/member/session.js';
import { SimulatedPhone } from '../drivers/sim/phone/phone.js';
import { handleMessage } from '../drivers/sim/phone/phone-messages.js';
import { newPhoneState, VolatileMemory } from '../drivers/sim/phone/phone-state.js';
import { type Bytes, concat, hex, uintBE, utf8 } from '../terminal/kernel/bytes.js';
import { nativeCrypto, nativeKeyAgreement } from '../terminal/kernel/native.js';
import { phonePrivate, phonePublic, signedTapRows } from './phone-document-parts/credential.js';
import { contentParts, type ExampleMember, erasureParts } from './phone-document-parts/packages.js';
import { block, row, value } from './phone-document-parts/rows.js';

const run = (first: number, length: number): Bytes => Uint8Array.from({ length }, (_, at) => first + at);

/** Everything that is drawn at random in real life. */
const fixed = {
  merchantId: 'M1001',
  token: '7Q2M9XK4T0VBE5HD',
  merchantPrivate: uintBE(0x1111, 6),
  ephemeralPrivate: uintBE(0x2222, 6),
  memberKey: run(0x10, 16),
  siteKey: run(0x40, 16),
  cardKeyId: hex('c0c1c2c3c4c5c6c7'),
  issueIv: run(0x70, 16),
  terminalNonce: run(0xa0, 16),
  phoneNonce: run(0xb0, 16),
  transactionId: hex('0198c0de00007000800000000000000a'),
  terminal: hex('0a0b0c0d0e0f'),
} as const;
const merchantPublic = hex('020dcc7648c78a3118f2612866fe83ef19f40304f623399e1211a10f2b3d1c05cf');
const scalar = (value: Bytes): Bytes => concat(new Uint8Array(32 - value.length), value);

function registrationPart() {
  const message = formatRegistration(fixed.merchantId, fixed.token, merchantPublic);
  const draws = [fixed.memberKey, scalar(fixed.ephemeralPrivate), phonePrivate];
  const chance = { bytes: (): Bytes => draws.shift() ?? new Uint8Array(0) };
  const handled = handleMessage(newPhoneState('13800138000'), message, chance);
  const answer = handled.answer ?? '';
  const { wrappedKey } = value(parseKeyMessage(answer));
  const merchant = { privateKey: scalar(fixed.merchantPrivate), publicKey: merchantPublic };
  value(unwrapMemberKey(nativeKeyAgreement, merchant, fixed.token, wrappedKey));
  const shared = nativeKeyAgreement.sharedSecret(merchant.privateKey, wrappedKey.subarray(0, 33)) ?? hex('');
  const info = concat(utf8('shouli member key 1'), wrappedKey.subarray(0, 33), merchantPublic);
  const derived = nativeKeyAgreement.hkdfSha256(shared, utf8(fixed.token), info, 28);
  const text = [
    '### 1. Registration',
    block(
      row('merchant key', merchant.privateKey),
      row('M', merchantPublic),
      row('message', message),
      row('e', scalar(fixed.ephemeralPrivate)),
      row('E', wrappedKey.subarray(0, 33)),
      row('memberKey', fixed.memberKey),
      row('Z', shared),
      row('AES key', derived.subarray(0, 16)),
      row('IV', derived.subarray(16)),
      row('phone’s key', phonePrivate),
      row('P', phonePublic),
      row('ciphertext', wrappedKey.subarray(33, -16)),
      row('tag', wrappedKey.subarray(-16)),
      row('answer', answer),
      row('memberKeyId', memberKeyId(nativeCrypto, fixed.merchantId, fixed.token)),
      row('application', applicationIdOf(nativeCrypto, fixed.merchantId)),
    ),
  ];
  return { text, state: handled.state };
}

/** One command and its answer, written down. */
type Exchange = (title: string, command: Bytes, ...notes: readonly string[]) => Bytes;

function exchangeWith(phone: SimulatedPhone, text: string[]): Exchange {
  return (title, command, ...notes) => {
    const answer = phone.respond(command);
    if (!(answer instanceof Uint8Array)) throw new Error('the phone of the example answers');
    text.push(`**${title}**`, block(row('→', command), row('←', answer), ...notes));
    return answer;
  };
}

function presentation(exchange: Exchange, text: string[], key: KeyName, keyBytes: Bytes, asked: PresentationContext) {
  const context = encodeContext(asked);
  const selected = value(decodeSelectAnswer(exchange('SELECT', selectCommand(nativeCrypto, fixed.merchantId))));
  const command = presentCommand(key, fixed.terminalNonce, context);
  const presented = value(decodePresentAnswer(exchange('PRESENT', command)));
  const transcript = transcriptOf(selected, presented, { key, terminalNonce: fixed.terminalNonce, context });
  const { keyId, phoneNonce, counter } = transcript;
  const selector = uintBE(key === 'member' ? 0 : 1, 1);
  const all = concat(selector, keyId, fixed.terminalNonce, phoneNonce, uintBE(counter, 4), context);
  text.push(
    block(row('key', keyBytes), row('context', context), row('transcript', all), row('proof', presented.proof)),
  );
  return { transcript, proof: presented.proof };
}

const about = { transactionId: fixed.transactionId, terminal: fixed.terminal, currency: 'CNY' };

function earnPart(phone: SimulatedPhone): readonly string[] {
  const text = ['### 2. Earning 300 points on 300.00 yuan'];
  presentation(exchangeWith(phone, text), text, 'member', fixed.memberKey, {
    ...about,
    operation: 'earn',
    amountMinor: 30_000,
    points: 300,
  });
  return text;
}

const key = cardKey(nativeCrypto, fixed.siteKey, fixed.cardKeyId);
const recordKeyBytes = recordKey(nativeCrypto, fixed.siteKey, fixed.cardKeyId);
const issued = {
  cardKeyId: fixed.cardKeyId,
  couponNumber: 42,
  counter: 1,
  balanceMinor: 30_000,
  currency: 'CNY',
  expiresAtSeconds: 1_893_456_000,
  lastTransactionId: new Uint8Array(16),
  lastTerminal: fixed.terminal,
  lastKind: 'issue',
  lastAmountMinor: 30_000,
  limitCategory: 'cake',
} as const;
const issuedRecord = encodeCardRecord(nativeCrypto, recordKeyBytes, issued);

function issuePart(phone: SimulatedPhone, memory: VolatileMemory): readonly string[] {
  const coupon = {
    merchantId: fixed.merchantId,
    couponCode: 'SLC0000000000042',
    balanceMinor: 30_000,
    currency: 'CNY',
    expiresAtSeconds: 1_893_456_000,
  } as const;
  const head = couponMessageHead(coupon, 'C');
  const card = { cardKeyId: fixed.cardKeyId, cardKey: key, record: issuedRecord };
  const sealed = sealIssuedCard(nativeCrypto, fixed.memberKey, head, fixed.issueIv, card);
  const message = formatCardCoupon(coupon, sealed);
  const handled = handleMessage(memory.state, message, { bytes: () => hex('') });
  if (handled.outcome !== 'cardIssued') throw new Error(handled.outcome);
  memory.save(handled.state);
  if (phone.show().memberships[0]?.card?.record?.balanceMinor !== 30_000)
    throw new Error('the phone shows the balance');
  return [
    '### 3. A card-held coupon of 300.00 yuan, limited to cake',
    block(
      row('siteKey', fixed.siteKey),
      row('cardKeyId', fixed.cardKeyId),
      row('cardKey', key),
      row('recordKey', recordKeyBytes),
      row('record', issuedRecord),
      row('K5', nativeCrypto.aesCmac(fixed.memberKey, concat(hex('05'), utf8(head)))),
      row('K6', nativeCrypto.aesCmac(fixed.memberKey, concat(hex('06'), utf8(head)))),
      row('iv', fixed.issueIv),
      row('ciphertext', sealed.subarray(16, 144)),
      row('MAC', sealed.subarray(144)),
      row('message', message),
    ),
  ];
}

function debitPart(phone: SimulatedPhone): readonly string[] {
  const text = ['### 4. Paying 100.00 yuan from the card'];
  const exchange = exchangeWith(phone, text);
  const { transcript } = presentation(exchange, text, 'card', key, {
    ...about,
    operation: 'cardDebit',
    amountMinor: 10_000,
    points: 0,
  });
  const grant = grantSession(nativeCrypto, key, transcript);
  const { encryptionKey, macKey } = grant.keys;
  const keyRows = [row('encryptionKey', encryptionKey), row('macKey', macKey)];
  const confirm = exchange('MUTUAL', mutualCommand(grant), ...keyRows);
  const sealed = (title: string, step: SealedStep, command: Bytes, answer: Bytes): Bytes => {
    const iv = (mark: string) =>
      nativeCrypto.aesCbcEncrypt(
        encryptionKey,
        new Uint8Array(16),
        concat(hex(mark), new Uint8Array(11), uintBE(step.pending.sequence, 4)),
      );
    const plain = (name: string, data: Bytes) => row(name, data.length === 0 ? '(none)' : data);
    const rows = [
      row('command iv', iv('43')),
      plain('command data', command),
      row('answer iv', iv('52')),
      plain('answer data', answer),
    ];
    return exchange(`${title}, number ${step.pending.sequence}`, step.command, ...rows);
  };
  const none = hex('');
  const channel = value(openSession(nativeCrypto, grant, transcript, confirm));
  const read = readRecordsCommand(nativeCrypto, channel);
  const before = value(
    decodeRecordsAnswer(
      nativeCrypto,
      read.pending,
      sealed('READ RECORDS', read, none, concat(issuedRecord, new Uint8Array(96))),
    ),
  );
  const debited = encodeCardRecord(nativeCrypto, recordKeyBytes, {
    ...issued,
    counter: 2,
    balanceMinor: 20_000,
    lastTransactionId: fixed.transactionId,
    lastKind: 'debit',
    lastAmountMinor: 10_000,
  });
  const write = writeSlotCommand(nativeCrypto, before.channel, 1, debited);
  const written = value(decodeDoneAnswer(nativeCrypto, write.pending, sealed('WRITE SLOT 1', write, debited, none)));
  const again = readRecordsCommand(nativeCrypto, written);
  const after = value(
    decodeRecordsAnswer(
      nativeCrypto,
      again.pending,
      sealed('READ RECORDS', again, none, concat(issuedRecord, debited)),
    ),
  );
  const told = {
    outcome: 'accepted',
    points: null,
    couponMinor: 20_000,
    currency: 'CNY',
    text: '已扣 100.00，余额 200.00',
  } as const;
  const result = resultCommand(nativeCrypto, after.channel, told);
  value(decodeDoneAnswer(nativeCrypto, result.pending, sealed('RESULT', result, encodeResult(told), none)));
  return text;
}

function signedPart(phone: SimulatedPhone, member: ExampleMember): readonly string[] {
  const text = ['### 6. Spending 200 points on 20.00 yuan at a box without its host'];
  const exchange = exchangeWith(phone, text);
  const { transcript, proof } = presentation(exchange, text, 'member', fixed.memberKey, {
    ...about,
    operation: 'spend',
    amountMinor: 2_000,
    points: 200,
  });
  const signed = value(decodeSignAnswer(exchange('SIGN', signCommand())));
  text.push(signedTapRows(member, transcript, proof, signed));
  return text;
}

/** The worked example as Markdown. */
export function workedExample(): string {
  const registration = registrationPart();
  const memory = new VolatileMemory(registration.state);
  const phone = new SimulatedPhone({ memory, chance: { bytes: () => fixed.phoneNonce } });
  const { merchantId, token, memberKey, cardKeyId } = fixed;
  const member = { merchantId, memberKeyId: memberKeyId(nativeCrypto, merchantId, token), memberKey, cardKeyId };
  const parts = [registration.text, earnPart(phone), issuePart(phone, memory), debitPart(phone)];
  // Behind the debit: the phone's card holds what is left of its coupon.
  parts.push(contentParts(memory, member), signedPart(phone, member), erasureParts(memory, member));
  return parts.flat().join('\n\n');
}

const begin = '<!-- worked example: begin -->';
const end = '<!-- worked example: end -->';

/** The document with its worked example made anew. */
export function withWorkedExample(document: string): string {
  const [from, to] = [document.indexOf(begin), document.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the document has no ${begin} … ${end}`);
  return `${document.slice(0, from)}${begin}\n\n${workedExample()}\n\n${document.slice(to)}`;
}

/** Where the document lies: beside the package.json above this file, compiled or not. */
export function documentPath(): string {
  let folder = import.meta.dirname;
  while (!existsSync(path.join(folder, 'package.json'))) {
    if (folder === path.dirname(folder)) throw new Error('no package.json above this file');
    folder = path.dirname(folder);
  }
  return path.join(folder, 'docs', 'protocols', 'phone.md');
}

function main(): number {
  const before = readFileSync(documentPath(), 'utf8');
  const after = withWorkedExample(before);
  if (process.argv.includes('--write')) writeFileSync(documentPath(), after);
  else if (before !== after) {
    console.error('docs/protocols/phone.md is out of date: run phone-document --write');
    return 1;
  }
  return 0;
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === import.meta.filename) process.exitCode = main();
