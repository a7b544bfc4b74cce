/**
 * A small world for the host's tests: a host on a store with a settable clock, boxes that chain their records, phones that
 * prove their keys. For tests only; phones and boxes here follow the protocol's text, not the shipped box's code.
 */
import { generateKeyPairSync, sign } from 'node:crypto';
import type { Test } from 'tap';
import { encodeContext, type Operation } from '../../../drivers/protocols/member/layout.js';
import { phoneProof } from '../../../drivers/protocols/member/proof.js';
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { nativeCrypto, nativeIds } from '../../../terminal/kernel/native.js';
import type { Clock, Random, TransactionId } from '../../../terminal/kernel/ports.js';
import { monotonicMs, wallMs } from '../../../terminal/kernel/units.js';
import {
  type Bill,
  bodyDigest,
  chainHash,
  encodeRecord,
  genesisHash,
  type RecordDraft,
  type TapCredential,
  transactionIdBytes,
} from '../../protocol/record.js';
import type { AuthoriseResponse, Envelope, RecordAnswer, RecordsResponse } from '../../protocol/sync.js';
import { createHost, type Host } from '../host.js';
import type { KeyVault, OpenPass, OpenTag, Realm } from '../ledger/context.js';
import type { SignatureAsked, SignSmartTap } from '../service/types.js';
import type { HostStore } from '../storage/port.js';
import { openSqliteStore } from '../storage/sqlite.js';

/** 2026-03-01T04:00:00Z. */
export const startMs = 1_772_337_600_000;

/** Bytes that differ at each draw and are the same in each run. */
export function countingRandom(seed = 1): Random {
  let drawn = seed;
  return {
    bytes: (length) => {
      const parts: number[] = [];
      for (let block = 0; parts.length < length; block++)
        parts.push(...nativeCrypto.sha256(new TextEncoder().encode(`${drawn} ${block}`)));
      drawn++;
      return Uint8Array.from(parts.slice(0, length));
    },
  };
}

/** Hides nothing, but shows that what is stored went through it: a mark, then the bytes turned round. */
export const testVault: KeyVault = {
  wrap: (plain) => Uint8Array.from([0x57, ...[...plain].map((byte) => byte ^ 0xa5)]),
  unwrap: (wrapped) => Uint8Array.from([...wrapped.subarray(1)].map((byte) => byte ^ 0xa5)),
};

/** Keys that sign in tests: the host's, and a terminal's. */
export const signerOf = (kind: 'rsa' | 'ec') => {
  const { privateKey, publicKey } =
    kind === 'rsa'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    publicKey: new Uint8Array(publicKey.export({ format: 'der', type: 'spki' })),
    sign: (data: Uint8Array): Uint8Array => new Uint8Array(sign('sha256', data, privateKey)),
  };
};
export const hostSigner = signerOf('ec');

export interface World {
  readonly host: Host;
  readonly store: HostStore;
  readonly clock: Clock & { nowMs: number };
  readonly random: Random;
  /** Enrols a box; at another merchant's counter where one is named. */
  box(name?: string, merchantId?: string): Promise<Box>;
  /** Registers a member's phone with a merchant (the host's own); the same number again adds a phone to the member. */
  phone(number: string, merchantId?: string): Promise<Phone & { readonly memberCode: string }>;
  close(): Promise<void>;
}

export const testRules = {
  currency: 'CNY',
  earnPoints: 1,
  earnPerMinor: 100,
  spendMinor: 100,
  spendPerPoints: 100,
  couponPartial: true,
} as const;

export async function openWorld(
  options: {
    path?: string;
    realm?: Realm;
    rules?: boolean;
    seed?: number;
    openPass?: OpenPass;
    signSmartTap?: SignSmartTap;
    signatureAsked?: (asked: SignatureAsked) => void;
    openTag?: OpenTag;
  } = {},
): Promise<World> {
  const store = openSqliteStore(options.path ?? ':memory:');
  const clock = { nowMs: startMs, wallMs: () => wallMs(clock.nowMs), monotonicMs: () => monotonicMs(clock.nowMs) };
  const random = countingRandom(options.seed);
  const host = await createHost({
    store,
    crypto: nativeCrypto,
    random,
    clock,
    vault: testVault,
    realm: options.realm ?? 'real',
    merchantId: 'SHOULI',
    soon: (task) => void setImmediate(task),
    sign: (data) => hostSigner.sign(data),
    ...(options.openPass && { openPass: options.openPass }),
    ...(options.signSmartTap && { signSmartTap: options.signSmartTap }),
    ...(options.signatureAsked && { signatureAsked: options.signatureAsked }),
    ...(options.openTag && { openTag: options.openTag }),
  });
  if (options.rules !== false && !(await host.rules.current())) must(await host.rules.publish(testRules));
  return {
    host,
    store,
    clock,
    random,
    box: async (name = 'till', merchantId) => {
      const { code } = await host.terminals.drawEnrolmentCode(name);
      const claimed = must(
        await host.terminals.claimEnrolmentCode({ code, source: 'test', realm: options.realm ?? 'real' }),
      );
      if (merchantId !== undefined) must(await host.merchants.assign(claimed.terminalId, merchantId));
      return new Box(host, clock, claimed.terminalId, options.realm === 'simulated');
    },
    phone: async (number, merchantId = '') => {
      const phone = new Phone('member', random.bytes(8), random.bytes(16), random);
      const member = must(
        await host.members.register({ phone: number, name: 'member', keyId: phone.keyId, key: phone.key, merchantId }),
      );
      return Object.assign(phone, { memberCode: member.memberCode });
    },
    close: () => store.close(),
  };
}

/** The value of a result that the test needs to be one. */
export function must<T>(
  result: { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: unknown },
): T {
  if (!result.ok) throw new Error(`refused: ${JSON.stringify(result.error)}`);
  return result.value;
}

/** A new transaction id, rising within a run. */
export const newId = (): TransactionId => nativeIds.transactionId();

/** A phone or card with one key, tapped at a box for one transaction. */
export class Phone {
  counter = 0;
  constructor(
    readonly name: 'member' | 'card',
    readonly keyId: Uint8Array,
    readonly key: Uint8Array,
    private readonly random: Random,
  ) {}

  tap(
    box: Box,
    transactionId: TransactionId,
    operation: Operation,
    amountMinor: number,
    points = 0,
    currency = 'CNY',
  ): TapCredential {
    this.counter++;
    const terminalNonce = this.random.bytes(16);
    const phoneNonce = this.random.bytes(16);
    const context = encodeContext({
      transactionId: transactionIdBytes(transactionId),
      terminal: hex(box.terminalId.slice(2)),
      operation,
      amountMinor,
      currency,
      points,
    });
    const proof = phoneProof(nativeCrypto, this.key, {
      key: this.name,
      keyId: this.keyId,
      terminalNonce,
      phoneNonce,
      counter: this.counter,
      context,
    });
    return {
      method: 'tap',
      key: this.name,
      keyId: toHex(this.keyId),
      terminalNonce: toHex(terminalNonce),
      phoneNonce: toHex(phoneNonce),
      counter: this.counter,
      proof: toHex(proof),
    };
  }
}

/** A keyed bill without lines. */
export const keyed = (totalMinor: number): Bill => ({ currency: 'CNY', totalMinor, lines: [], catalogueVersion: null });

type Loose<Draft> = Draft extends RecordDraft
  ? Omit<Draft, 'transactionId' | 'atWallMs' | 'clockDoubtful' | 'simulated' | 'clerk'> & Partial<Draft>
  : never;
/** A draft whose common fields may be left out. */
export type LooseDraft = Loose<RecordDraft>;

/** A box: gives records their place and hash, and sends them as told. */
export class Box {
  epoch = 1;
  sequence = 0;
  #hash: Uint8Array;

  constructor(
    readonly host: Host,
    private readonly clock: Clock,
    readonly terminalId: string,
    private readonly simulated = false,
  ) {
    this.#hash = genesisHash(nativeCrypto, terminalId, 1);
  }

  /** Writes a record into the box's journal. */
  record(draft: LooseDraft): Envelope {
    const whole = {
      transactionId: newId(),
      atWallMs: this.clock.wallMs(),
      clockDoubtful: false,
      simulated: this.simulated,
      clerk: 'clerk',
      ...draft,
    } as RecordDraft;
    this.sequence++;
    return this.seal(encodeRecord(whole, { terminalId: this.terminalId, epoch: this.epoch, sequence: this.sequence }));
  }

  /** Chains any bytes as the next body. */
  seal(body: Uint8Array): Envelope {
    const envelope = {
      body: new TextDecoder().decode(body),
      previousHash: toHex(this.#hash),
      attempt: 1,
      sentAtWallMs: this.clock.wallMs(),
    };
    this.#hash = chainHash(nativeCrypto, this.#hash, bodyDigest(nativeCrypto, body));
    return envelope;
  }

  /** A copy of this box as it stands: same identity, same history. */
  clone(): Box {
    const copy = new Box(this.host, this.clock, this.terminalId, this.simulated);
    copy.epoch = this.epoch;
    copy.sequence = this.sequence;
    copy.#hash = this.#hash;
    return copy;
  }

  async raise(reason: 'restored' | 'regressed' | 'forked'): Promise<void> {
    const { epoch } = must(await this.host.raiseEpoch(this.terminalId, reason));
    this.epoch = epoch;
    this.sequence = 0;
    this.#hash = genesisHash(nativeCrypto, this.terminalId, epoch);
  }

  async send(...records: readonly Envelope[]): Promise<RecordsResponse> {
    return must(await this.host.intake(this.terminalId, { records: [...records], newestSeen: [] }));
  }

  /** Sends one record in a batch and gives its answer. */
  async tell(draft: LooseDraft): Promise<RecordAnswer> {
    const [answer] = (await this.send(this.record(draft))).answers;
    if (!answer) throw new Error('no answer');
    return answer;
  }

  async ask(draft: LooseDraft): Promise<AuthoriseResponse> {
    return must(await this.host.authorise(this.terminalId, { record: this.record(draft), newestSeen: [] }));
  }
}

/** `accepted`, or the code of a refusal or delay: what most tests compare. */
export const said = (answer: RecordAnswer | undefined): string =>
  !answer ? 'nothing' : answer.outcome === 'accepted' ? 'accepted' : answer.code;

/** A test in a world of its own, whose ledger must recount to itself at the end. */
export function inWorld(
  t: Test,
  name: string,
  run: (t: Test, opened: { readonly world: World; readonly box: Box }) => Promise<void>,
): void {
  void t.test(name, async (t) => {
    const world = await openWorld();
    t.teardown(() => world.close());
    await run(t, { world, box: await world.box() });
    t.same(await world.host.checkStore(), [], 'the store is sound and the ledger recounts to itself');
  });
}
