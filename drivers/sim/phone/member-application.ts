/**
 * The application in the phone that a reader talks to: answers APDUs as docs/protocols/phone.md says, and wrongly only
 * where it was told to. Must not know files, sockets or messages, and must not use the terminal's codec.
 */
import { type Bytes, hex, toHex } from '../../../terminal/kernel/bytes.js';
import {
  applicationIdOf,
  type Exchange,
  exchangeOf,
  localProofOfPhone,
  openCommand,
  openPhoneSession,
  type PhoneChance,
  type PhoneSession,
  proofOfPhone,
  proofOfTerminal,
  same,
  sealAnswer,
  signP256,
} from './phone-crypto.js';
import {
  type Membership,
  membershipOf,
  type PhoneMemory,
  type PhoneResult,
  resultsMax,
  useCounterMax,
  withMembership,
} from './phone-state.js';

const messagesMax = 256;

const ok = 0x9000;
const wrongLength = 0x6700;
const notAuthenticated = 0x6982;
const counterUsedUp = 0x6983;
const outOfOrder = 0x6985;
const secureMessagingBroken = 0x6988;
const wrongData = 0x6a80;
const noApplication = 0x6a82;
const noCardRecord = 0x6a83;
const wrongParameters = 0x6a86;
const noSuchKey = 0x6a88;
const unknownInstruction = 0x6d00;
const unknownClass = 0x6e00;
const moreByGetResponse = 0x6100;

/** How a phone is told to misbehave. */
export interface Misbehaviour {
  /** Prove with a key that differs in one bit. */
  readonly wrongKey: boolean;
  /** Repeat the nonce, counter, proof and signature of the last exchange. */
  readonly replay: boolean;
  /** Answer SIGN with a credential that differs in one bit. */
  readonly wrongCredential: boolean;
  /** Answer SIGN with the credential before the newest. */
  readonly formerCredential: boolean;
  /** Sign with a key that the credential does not name. */
  readonly wrongSigner: boolean;
  /** Answer PRESENT with more than a short answer may hold. */
  readonly oversized: boolean;
  /** Answer PRESENT with `61 xx` and leave the rest to GET RESPONSE (ISO 7816-4 §11.8), which no answer here needs. */
  readonly chained: boolean;
  /** At the next WRITE SLOT store this many bytes of the record (0…96) and leave the field. */
  readonly tearAfterBytes: number | null;
}
export const wellBehaved: Misbehaviour = {
  wrongKey: false,
  replay: false,
  wrongCredential: false,
  formerCredential: false,
  wrongSigner: false,
  oversized: false,
  chained: false,
  tearAfterBytes: null,
};

/** Behind SELECT all is about the one membership that was selected; no other is read or written. */
type Phase =
  | { readonly at: 'idle' }
  | { readonly at: 'selected'; readonly merchantId: string; readonly nonce: Bytes | null }
  | { readonly at: 'presented'; readonly merchantId: string; readonly exchange: Exchange; readonly proof: Bytes }
  | { readonly at: 'secure'; readonly merchantId: string; readonly session: PhoneSession };

interface Command {
  readonly cla: number;
  readonly ins: number;
  readonly p1: number;
  readonly p2: number;
  readonly header: Bytes;
  readonly data: Bytes;
}

/** What became of a command inside the session. */
interface Acted {
  readonly status: number;
  readonly data: Bytes;
}

const empty = new Uint8Array(0);
const word = (status: number): Bytes => Uint8Array.of(status >> 8, status & 255);
const withStatus = (data: Bytes, status: number): Bytes => new Uint8Array(Buffer.concat([data, word(status)]));

/** Cases 1 to 4, short and extended (ISO/IEC 7816-4 §5.2); null when the lengths do not add up. */
function readCommand(bytes: Bytes): Command | null {
  const [cla, ins, p1, p2, first = 0] = bytes;
  if (cla === undefined || ins === undefined || p1 === undefined || p2 === undefined) return null;
  const command = (data: Bytes): Command => ({ cla, ins, p1, p2, header: bytes.slice(0, 4), data });
  const left = bytes.length - 4;
  if (left <= 1) return command(empty);
  if (first !== 0) return left === 1 + first || left === 2 + first ? command(bytes.slice(5, 5 + first)) : null;
  if (left === 3) return command(empty);
  const length = ((bytes[5] ?? 0) << 8) | (bytes[6] ?? 0);
  if (length === 0 || left < 3) return null;
  return left === 3 + length || left === 5 + length ? command(bytes.slice(7, 7 + length)) : null;
}

/** Reads RESULT's plaintext; null when it is not one. */
function readResult(plain: Bytes): PhoneResult | null {
  const bytes = Buffer.from(plain);
  const outcome = (['accepted', 'refused', 'unknown'] as const)[bytes[0] ?? 255];
  const textLength = bytes[16] ?? 255;
  if (outcome === undefined || textLength > 48 || bytes.length !== 17 + textLength) return null;
  const balance = (at: number) => {
    const value = bytes.readUIntBE(at, 6);
    return value === 0xffff_ffff_ffff ? null : value;
  };
  const currency = bytes.subarray(13, 16);
  return {
    outcome,
    points: balance(1),
    couponMinor: balance(7),
    currency: currency.every((byte) => byte === 0) ? null : currency.toString('latin1'),
    text: bytes.subarray(17).toString('utf8'),
  };
}

export class MemberApplication {
  #phase: Phase = { at: 'idle' };
  /** What GET RESPONSE would fetch, of a phone that is told to chain. */
  #kept: Bytes | null = null;
  misbehaviour: Misbehaviour = wellBehaved;
  /** The one merchant whose membership its owner holds out; null: every merchant's may be selected. */
  chosen: string | null = null;

  constructor(
    private readonly memory: PhoneMemory,
    private readonly chance: PhoneChance,
  ) {}

  /** The membership that was selected; null: none, or it is gone. */
  #selected(): Membership | null {
    return this.#phase.at === 'idle' ? null : membershipOf(this.memory.state, this.#phase.merchantId);
  }

  #save(membership: Membership): void {
    this.memory.save(withMembership(this.memory.state, membership));
  }

  /** The field is gone: nonce and session are forgotten. */
  powerLost(): void {
    this.#phase = { at: 'idle' };
  }

  /** One command in, one answer out; 'tear': the phone left the field in mid-write. */
  respond(bytes: Bytes): Bytes | 'tear' {
    const command = readCommand(bytes);
    if (command === null) return word(wrongLength);
    const kept = this.#kept;
    this.#kept = null;
    if (kept && command.ins === 0xc0) return kept;
    const answer = this.#answerTo(command);
    return command.ins === 0x10 && answer !== 'tear' ? this.#misshapen(answer) : answer;
  }

  #misshapen(answer: Bytes): Bytes {
    const length = answer.length - 2;
    if (length === 0) return answer;
    if (this.misbehaviour.oversized)
      return Buffer.concat([answer.subarray(0, length), new Uint8Array(300), answer.subarray(length)]);
    if (!this.misbehaviour.chained) return answer;
    this.#kept = answer;
    return word(moreByGetResponse | length);
  }

  #answerTo(command: Command): Bytes | 'tear' {
    if (command.cla === 0x00) return command.ins === 0xa4 ? this.#select(command) : word(unknownInstruction);
    if (command.cla === 0x80) return this.#plain(command);
    return command.cla === 0x84 ? this.#secure(command) : word(unknownClass);
  }

  #select(command: Command): Bytes {
    this.#phase = { at: 'idle' };
    if (command.p1 !== 0x04 || command.p2 !== 0x00) return word(wrongParameters);
    const membership = this.memory.state.memberships.find(
      ({ merchantId }) =>
        (this.chosen === null || this.chosen === merchantId) && same(command.data, applicationIdOf(merchantId)),
    );
    if (!membership) return word(noApplication);
    const { merchantId, memberKeyId, card, recorded } = membership;
    const nonce = this.misbehaviour.replay && recorded ? hex(recorded.phoneNonce) : this.chance.bytes(16);
    this.#phase = { at: 'selected', merchantId, nonce };
    const head = [Uint8Array.of(1, card ? 1 : 0), hex(memberKeyId)];
    const cardKeyId = card ? hex(card.keyId) : new Uint8Array(8);
    return withStatus(Buffer.concat([...head, cardKeyId, nonce]), ok);
  }

  #plain(command: Command): Bytes {
    if (command.ins === 0x10) return this.#present(command);
    if (command.ins === 0x12) return this.#mutual(command);
    if (command.ins === 0x14) return this.#sign(command);
    return word(unknownInstruction);
  }

  #present(command: Command): Bytes {
    const { data, p1 } = command;
    if (data.length !== 56) return word(wrongLength);
    if (p1 > 1 || command.p2 !== 0) return word(wrongParameters);
    const membership = this.#selected();
    if (this.#phase.at !== 'selected' || this.#phase.nonce === null || membership === null) return word(outOfOrder);
    const { merchantId, nonce } = this.#phase;
    const { card, recorded } = membership;
    const held =
      p1 === 0 ? { id: membership.memberKeyId, key: membership.memberKey } : card && { id: card.keyId, key: card.key };
    if (held === null) return word(noSuchKey);
    if (membership.useCounter >= useCounterMax) return word(counterUsedUp);
    const nonces = { terminal: data.slice(0, 16), phone: nonce };
    const counter = membership.useCounter + 1;
    const key = hex(held.key);
    if (this.misbehaviour.wrongKey) key[0] = (key[0] ?? 0) ^ 1;
    const exchange = exchangeOf(p1, key, hex(held.id), nonces, counter, data.slice(16));
    const proof = proofOfPhone(exchange);
    this.#phase = { at: 'presented', merchantId, exchange, proof };
    if (this.misbehaviour.replay && recorded)
      return this.#presentAnswer(recorded.counter, hex(recorded.proof), hex(recorded.localProof));
    // The counter is on the disk before the proof leaves: a phone that loses power never uses one twice.
    const local = localProofOfPhone(exchange, data.slice(32, 38));
    const kept = {
      ...{ phoneNonce: toHex(nonces.phone), counter, proof: toHex(proof), localProof: toHex(local) },
      signature: null,
    };
    this.#save({ ...membership, useCounter: counter, recorded: kept });
    return this.#presentAnswer(counter, proof, local);
  }

  #presentAnswer(counter: number, proof: Bytes, local: Bytes): Bytes {
    const data = Buffer.alloc(36);
    data.writeUInt32BE(counter);
    data.set(proof, 4);
    data.set(local, 20);
    return withStatus(data, ok);
  }

  #sign(command: Command): Bytes {
    if (command.data.length !== 0) return word(wrongLength);
    if (command.p1 !== 0 || command.p2 !== 0) return word(wrongParameters);
    const membership = this.#selected();
    if (this.#phase.at !== 'presented' || membership === null) return word(outOfOrder);
    const { signingKey, recorded } = membership;
    const { replay, wrongCredential, wrongSigner, formerCredential } = this.misbehaviour;
    const shown = formerCredential ? membership.formerCredential : membership.credential;
    if (shown === null || signingKey === null) return word(noSuchKey);
    const { exchange, proof } = this.#phase;
    const key = hex(signingKey);
    if (wrongSigner) key[31] = (key[31] ?? 0) ^ 2;
    const credential = hex(shown);
    if (wrongCredential) credential[20] = (credential[20] ?? 0) ^ 1;
    const isAgain = replay && recorded?.signature != null;
    const signature = isAgain
      ? hex(recorded.signature ?? '')
      : signP256(key, Buffer.from('shouli tap 1 '), exchange.transcript, proof);
    if (recorded && !replay) this.#save({ ...membership, recorded: { ...recorded, signature: toHex(signature) } });
    return withStatus(Buffer.concat([credential, signature]), ok);
  }

  #mutual(command: Command): Bytes {
    if (command.data.length !== 16) return word(wrongLength);
    if (command.p1 !== 0 || command.p2 !== 0) return word(wrongParameters);
    if (this.#phase.at !== 'presented') return word(outOfOrder);
    const { exchange, merchantId } = this.#phase;
    // One try for each PRESENT: nobody guesses proofs at the speed of the link.
    this.#phase = { at: 'selected', merchantId, nonce: null };
    if (!same(command.data, proofOfTerminal(exchange))) return word(notAuthenticated);
    const { session, confirm } = openPhoneSession(exchange);
    this.#phase = { at: 'secure', merchantId, session };
    return withStatus(confirm, ok);
  }

  #secure(command: Command): Bytes | 'tear' {
    const membership = this.#selected();
    if (this.#phase.at !== 'secure' || membership === null) return word(notAuthenticated);
    const { session, merchantId } = this.#phase;
    const plain = session.next < messagesMax ? openCommand(session, command.header, command.data) : null;
    if (plain === null) {
      this.#phase = { at: 'selected', merchantId, nonce: null };
      return word(secureMessagingBroken);
    }
    const done = this.#act(membership, command, plain);
    if (done === 'tear') {
      this.#phase = { at: 'idle' };
      return 'tear';
    }
    this.#phase = { at: 'secure', merchantId, session: { ...session, next: session.next + 1 } };
    return sealAnswer(session, done.status, done.data);
  }

  #act(membership: Membership, command: Command, plain: Bytes): Acted | 'tear' {
    const refuse = (status: number) => ({ status, data: empty });
    const { card } = membership;
    if (command.ins === 0x30) return this.#writeSlot(membership, command, plain);
    if (command.p1 !== 0 || command.p2 !== 0) return refuse(wrongParameters);
    if (command.ins === 0x20) {
      if (plain.length !== 0) return refuse(wrongData);
      return card ? { status: ok, data: hex(card.slots.join('')) } : refuse(noCardRecord);
    }
    if (command.ins !== 0x40) return refuse(unknownInstruction);
    const result = readResult(plain);
    if (result === null) return refuse(wrongData);
    this.#save({ ...membership, results: [...membership.results, result].slice(-resultsMax) });
    return refuse(ok);
  }

  #writeSlot(membership: Membership, command: Command, plain: Bytes): Acted | 'tear' {
    const { card } = membership;
    const refuse = (status: number) => ({ status, data: empty });
    if (command.p1 > 1 || command.p2 !== 0) return refuse(wrongParameters);
    if (card === null) return refuse(noCardRecord);
    if (plain.length !== 96 || !same(plain.subarray(1, 9), hex(card.keyId))) return refuse(wrongData);
    const slot = command.p1 as 0 | 1;
    const torn = this.misbehaviour.tearAfterBytes;
    const stored = torn === null ? toHex(plain) : toHex(plain.subarray(0, torn)) + card.slots[slot].slice(2 * torn);
    const slots: [string, string] = slot === 0 ? [stored, card.slots[1]] : [card.slots[0], stored];
    this.#save({ ...membership, card: { ...card, slots } });
    return torn === null ? refuse(ok) : 'tear';
  }
}
