/**
 * Tags: reads the tag in the field and makes a credential of it: the message of a secure tag, unproved, for the host to
 * prove; the member code that is written on it; or its bare UID.
 * Must not decide what a tag may do. It holds no key of any tag.
 */
import type { ApduLink } from '../../drivers/contract/transport.js';
import { type DialogueError, dialogueFault } from '../../drivers/protocols/card-dialogue.js';
import { readUid, saidBy, tagId } from '../../drivers/protocols/tag/tag.js';
import { isStorageCard, isType2, readType2 } from '../../drivers/protocols/tag/type2.js';
import { readType4 } from '../../drivers/protocols/tag/type4.js';
import type { TagCredential } from '../../host-sync/protocol/record.js';
import { classifyCode } from '../core/codes.js';
import { type Bytes, toHex } from '../kernel/bytes.js';
import type { Clock, Crypto } from '../kernel/ports.js';
import { ok, type Result } from '../kernel/result.js';
import { runDialogue } from './run-dialogue.js';

export interface TagPorts {
  /** What the addresses of the merchant's secure tags begin with. */
  readonly addresses: readonly string[];
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
}
type Read = Promise<Result<TagCredential, DialogueError>>;

/** Longest address that a record carries; the host proves none beyond it. */
const addressForm = /^[\x21-\x7e]{1,256}$/;

export class Tags {
  constructor(private readonly ports: TagPorts) {}

  /** @returns the credential; `card.noApplication` where no tag is there, or what went wrong on the way */
  async read(link: ApduLink): Read {
    const { clock } = this.ports;
    if (isStorageCard(link.atr)) {
      if (!isType2(link.atr)) return dialogueFault('card.noApplication', null, 'another kind of storage card');
      const tag = await runDialogue(link, readType2(), clock);
      return tag.ok ? this.#credential(tag.value.message, async () => ok(tag.value.uid)) : tag;
    }
    const message = await runDialogue(link, readType4(), clock);
    return message.ok ? this.#credential(message.value, () => runDialogue(link, readUid(), clock)) : message;
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
