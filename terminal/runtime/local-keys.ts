/**
 * Local keys: members' keys as this box alone can use them, sealed under a key that lies beside the device key and never in
 * the database. Checks and seals allowances as they arrive. Must not log or return a key to anybody but the tap that needs it.
 */
import { localProof, type Transcript } from '../../drivers/protocols/member/proof.js';
import { type Allowance, allowanceBytes, type Directives } from '../../host-sync/protocol/sync.js';
import { type Bytes, decodeUtf8, equalBytes, hex, toHex, utf8 } from '../kernel/bytes.js';
import { parseJson } from '../kernel/json.js';
import type { Crypto, KeyAgreement, Random } from '../kernel/ports.js';
import type { NewDirectives, StoredGrant } from '../store/port.js';

export const sealingKeyBytes = 16;
const ivBytes = 12;
const associated = utf8('shouli local keys 1');

export class LocalKeys {
  constructor(
    private readonly crypto: Crypto & Pick<KeyAgreement, 'aesGcmEncrypt' | 'aesGcmDecrypt'>,
    private readonly random: Random,
    private readonly sealingKey: Bytes,
  ) {}

  /** IV drawn anew ‖ ciphertext ‖ tag, hex; empty where there is nothing to seal. */
  #seal(keys: Allowance['keys']): string {
    if (keys.length === 0) return '';
    const iv = this.random.bytes(ivBytes);
    const sealed = this.crypto.aesGcmEncrypt(this.sealingKey, iv, associated, utf8(JSON.stringify(keys)));
    return toHex(iv) + toHex(sealed);
  }

  #open(sealed: string): Allowance['keys'] {
    const bytes = sealed === '' ? null : hex(sealed);
    const plain =
      bytes &&
      this.crypto.aesGcmDecrypt(this.sealingKey, bytes.subarray(0, ivBytes), associated, bytes.subarray(ivBytes));
    const text = plain ? decodeUtf8(plain) : null;
    const json = text?.ok ? parseJson(text.value) : null;
    return json?.ok ? (json.value as Allowance['keys']) : [];
  }

  /** Does this tap prove a key that the sealed ones hold? null: its key is not among them. */
  proofHolds(sealed: string, transcript: Transcript, proof: Bytes): boolean | null {
    const keyId = toHex(transcript.keyId);
    const held = this.#open(sealed).find((key) => key.keyId === keyId);
    return held ? equalBytes(localProof(this.crypto, hex(held.localKey), transcript), proof) : null;
  }

  /**
   * The directives as they are stored: allowances that the host's authority has signed for this terminal, their keys sealed.
   * @returns them, and how many were turned away
   */
  take(
    directives: Directives,
    terminalId: string,
    authorityKey: Bytes,
  ): { readonly directives: NewDirectives; readonly rejected: number } {
    const good = directives.allowances.filter(
      (allowance) =>
        allowance.terminalId === terminalId &&
        this.crypto.verifySignature(authorityKey, allowanceBytes(allowance), hex(allowance.signature)),
    );
    const allowances = good.map(
      ({ keys, signature: _, ...grant }): StoredGrant => ({
        ...grant,
        keyIds: keys.map(({ keyId }) => keyId),
        sealedKeys: this.#seal(keys),
      }),
    );
    return { directives: { ...directives, allowances }, rejected: directives.allowances.length - good.length };
  }
}
