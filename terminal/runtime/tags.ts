/**
 * Tags: reads the tag in the field and makes a credential of it: the message of a secure tag, unproved, for the host to
 * prove; the member code that is written on it; or its bare UID. Where the merchant wants it, a Type 2 tag's chip is asked for
 * its maker's signature behind that.
 * Must not decide what a tag may do. It holds no secret of any tag.
 */
import type { ApduLink, DeviceError } from '../../drivers/contract/transport.js';
import { type DialogueError, dialogueFault } from '../../drivers/protocols/card-dialogue.js';
import {
  isChipGenuine,
  type MakerKey,
  makerKeys,
  readSigCommand,
} from '../../drivers/protocols/originality/originality.js';
import { readUid, saidBy, tagId } from '../../drivers/protocols/tag/tag.js';
import { isStorageCard, isType2, readType2 } from '../../drivers/protocols/tag/type2.js';
import { readType4 } from '../../drivers/protocols/tag/type4.js';
import type { TagCredential } from '../../host-sync/protocol/record.js';
import { classifyCode } from '../core/codes.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import type { ChipCrypto, Clock, Crypto } from '../kernel/ports.js';
import { ok, type Result } from '../kernel/result.js';
import { durationMs } from '../kernel/units.js';
import type { TagView } from './port.js';
import { runDialogue } from './run-dialogue.js';

/** Whether a Type 2 tag's chip is asked for its maker's signature, and whether a tag without a good one is no credential. */
export interface Originality {
  readonly mode: 'report' | 'require';
  /** Whose signature counts, any of them. A simulator's key stands here on simulated boxes only. */
  readonly makers: readonly MakerKey[];
  readonly crypto: ChipCrypto;
}

export interface TagPorts {
  /** What the addresses of the merchant's secure tags begin with. */
  readonly addresses: readonly string[];
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Null: no chip is asked, and nothing is told. */
  readonly originality: Originality | null;
  /** What was found out of a tag that was read, where `originality` is there. */
  readonly found: (tag: TagView) => void;
}
type Read = Promise<Result<TagCredential, DialogueError>>;

/** Whose chips are genuine: NXP's, and on a simulated box the simulator's too. A real box never takes the simulator's. */
export const chipMakers = (simulated: boolean, simulatedMaker: MakerKey | null): readonly MakerKey[] =>
  simulated && simulatedMaker ? [makerKeys.ntag21x, simulatedMaker] : [makerKeys.ntag21x];

/** Longest wait for a chip's signature: one short command, behind everything that the tap needs. */
const signatureMs = durationMs(500);
/** Longest address that a record carries; the host proves none beyond it. */
const addressForm = /^[\x21-\x7e]{1,256}$/;

export class Tags {
  constructor(private readonly ports: TagPorts) {}

  /**
   * @returns the credential; `card.noApplication` where no tag is there, `tag.notGenuine` or `tag.signatureUnread` where the
   * maker's signature is required and does not hold or cannot be had, or what went wrong on the way
   */
  async read(link: ApduLink): Read {
    const { clock } = this.ports;
    if (isStorageCard(link.atr)) {
      if (!isType2(link.atr)) return dialogueFault('card.noApplication', null, 'another kind of storage card');
      const tag = await runDialogue(link, readType2(), clock);
      if (!tag.ok) return tag;
      const { message, uid } = tag.value;
      const read = await this.#credential(message, async () => ok(uid));
      return read.ok ? this.#withSignature(link, uid, read.value) : read;
    }
    const message = await runDialogue(link, readType4(), clock);
    if (!message.ok) return message;
    const read = await this.#credential(message.value, () => runDialogue(link, readUid(), clock));
    if (read.ok) this.#tell(read.value, 'notAsked', null);
    return read;
  }

  /** Asks last: a chip that does not know the command falls silent until it is presented again. */
  async #withSignature(link: ApduLink, uid: Bytes, credential: TagCredential): Read {
    const { originality } = this.ports;
    if (!originality) return ok(credential);
    const asked = await askChip(link, uid, originality);
    if (!asked.ok) return asked;
    const chipGenuine = asked.value;
    const code = originality.mode === 'require' ? refusalOf[chipGenuine] : null;
    this.#tell(credential, chipGenuine, code);
    return code ? dialogueFault(code, null, 'the maker’s signature is required') : ok(credential);
  }

  /** Three findings, none of which follows from another. */
  #tell({ method }: TagCredential, chipGenuine: TagView['chipGenuine'], refused: TagView['refused']): void {
    if (!this.ports.originality) return;
    const messageFresh = method === 'sunTag' ? 'hostDecides' : 'noProof';
    this.ports.found({ chipGenuine, messageFresh, productKnown: 'notKnownHere', refused });
  }

  async #credential(message: Bytes | null, uid: () => Promise<Result<Bytes, DialogueError>>): Read {
    const said = message && saidBy(message);
    if (said && !said.ok)
      return dialogueFault(said.error.code, null, `message, byte ${said.error.offset}: ${said.error.detail}`);
    const text = said?.value ?? '';
    if (addressForm.test(text) && this.ports.addresses.some((address) => text.startsWith(address)))
      return ok({ method: 'sunTag', address: text });
    if (text.startsWith('SLM') && classifyCode(text).kind === 'member') return ok({ method: 'memberCode', code: text });
    const read = await uid();
    return read.ok ? ok({ method: 'tagUid', tagId: tagId(this.ports.crypto, 'uid', toHex(read.value)) }) : read;
  }
}

const refusalOf: Readonly<Record<TagView['chipGenuine'], TagView['refused']>> = {
  ...{ yes: null, no: 'tag.notGenuine' },
  ...{ unread: 'tag.signatureUnread', notAsked: 'tag.signatureUnread' },
};

/** Nobody is left to have been asked: the tag has gone, or a sale took it from an inquiry. */
const isGone = ({ code }: DeviceError): boolean => code === 'device.cardRemoved' || code === 'device.closed';

/** One command at most. An answer of another length than a signature's is none. */
async function askChip(
  link: ApduLink,
  uid: Bytes,
  asking: Originality,
): Promise<Result<TagView['chipGenuine'], DialogueError>> {
  const answer = await link.passThrough?.(readSigCommand, signatureMs);
  if (!answer) return ok('notAsked');
  if (!answer.ok) return isGone(answer.error) ? dialogueFault(answer.error.code, null, 'signature') : ok('unread');
  const verdicts = asking.makers.map((maker) => isChipGenuine(asking.crypto, maker, uid, answer.value));
  if (verdicts.some((verdict) => verdict.ok && verdict.value)) return ok('yes');
  return ok(verdicts.some((verdict) => verdict.ok) ? 'no' : 'unread');
}
