/**
 * A phone with Apple Wallet, simulated from the public facts on VAS: passes that are sealed to a merchant's key and given out
 * on request. Shares no code with the terminal's side; misbehaves as it is told.
 */
import { createCipheriv, createECDH, createHash, ECDH } from 'node:crypto';
import { readCommand, readTlv, statusBytes, tlv } from './wallet-bytes.js';

export interface ApplePass {
  readonly passTypeId: string;
  /** The merchant's public key on P-256, compressed or not, as the pass was issued with. */
  readonly merchantKey: Uint8Array;
  readonly message: string;
}

/** How the wallet misbehaves. */
export const appleMisbehaviours = [
  'none',
  /** The phone is locked: 6287. */
  'locked',
  /** The owner must choose a pass: 6984. */
  'mustChoose',
  /** Gives the first answer that it ever gave again, whatever is asked. */
  'replay',
  /** Seals to a key of its own under the merchant's key id. */
  'wrongKey',
  /** Names a key id that nobody has. */
  'wrongKeyId',
  /** Seals for another pass type than it was asked for. */
  'wrongPass',
  /** A message of 120 bytes instead of 64 at most. */
  'oversized',
  /** An x that lies on no point of the curve. */
  'offCurve',
  /** One bit of the answer is not as it was made. */
  'flipped',
  /** Its clock is an hour slow. */
  'stale',
] as const;
export type AppleMisbehaviour = (typeof appleMisbehaviours)[number];

const curve = 'prime256v1';
const secondsFrom1970To2001 = 978_307_200;
const sha256 = (...parts: readonly (Buffer | string)[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};
const pointOf = (key: Uint8Array): Buffer =>
  ECDH.convertKey(key, curve, undefined, undefined, 'uncompressed') as unknown as Buffer;

export class AppleWallet {
  misbehaviour: AppleMisbehaviour = 'none';
  /** Pass types asked for and sign-up addresses shown, as they came. */
  readonly asked: { readonly passType: string; readonly url: string | null; readonly moreFollow: boolean }[] = [];
  #selected = false;
  #recorded: Buffer | null = null;

  constructor(
    private readonly passes: readonly ApplePass[],
    private readonly nowMs: () => number,
    private readonly random: (length: number) => Buffer,
  ) {}

  powerLost(): void {
    this.#selected = false;
  }

  respond(command: Uint8Array): Buffer {
    const { header, data } = readCommand(command);
    if (header === '00a40400') return this.#select(data);
    if (!this.#selected) return statusBytes(0x6985);
    if (header === '80ca0101' || header === '80ca0100') return this.#getData(data, header.endsWith('01'));
    return statusBytes(0x6d00);
  }

  #select(name: Buffer): Buffer {
    this.#selected = name.toString('latin1') === 'OSE.VAS.01';
    if (!this.#selected) return statusBytes(0x6a82);
    const about = [
      tlv('50', Buffer.from('ApplePay')),
      tlv('9f21', Buffer.of(1, 0)),
      tlv('9f24', this.random(4)),
      tlv('9f23', Buffer.from('0000003e', 'hex')),
    ];
    return Buffer.concat([tlv('6f', Buffer.concat(about)), statusBytes(0x9000)]);
  }

  #getData(data: Buffer, isFull: boolean): Buffer {
    const request = readTlv(data);
    const passType = request.get('9f25');
    const capabilities = request.get('9f26');
    if (request.get('9f22')?.toString('hex') !== '0100' || passType?.length !== 32 || capabilities?.length !== 4)
      return statusBytes(0x6a80);
    const url = request.get('9f29')?.toString('utf8') ?? null;
    this.asked.push({ passType: passType.toString('hex'), url, moreFollow: capabilities.readUInt8(3) >= 0x80 });
    if (!isFull) return url === null ? statusBytes(0x6a80) : statusBytes(0x9000);
    const pass = this.passes.find(({ passTypeId }) => sha256(passTypeId).equals(passType));
    if (!pass) return statusBytes(0x6a83);
    if (this.misbehaviour === 'locked') return statusBytes(0x6287);
    if (this.misbehaviour === 'mustChoose') return statusBytes(0x6984);
    const sealed = this.misbehaviour === 'replay' && this.#recorded ? this.#recorded : this.#seal(pass);
    this.#recorded ??= sealed;
    return Buffer.concat([
      tlv('70', Buffer.concat([tlv('9f2a', Buffer.alloc(0)), tlv('9f27', sealed)])),
      statusBytes(0x9000),
    ]);
  }

  #seal(pass: ApplePass): Buffer {
    const how = this.misbehaviour;
    const merchant = pointOf(pass.merchantKey);
    const own = createECDH(curve);
    const x = own.generateKeys().subarray(1, 33);
    const other = createECDH(curve);
    const secret = own.computeSecret(how === 'wrongKey' ? other.generateKeys() : merchant);
    const typeHash = sha256(how === 'wrongPass' ? `${pass.passTypeId}.other` : pass.passTypeId);
    const block = Buffer.from('00000001', 'hex');
    const info = Buffer.concat([Buffer.from('\rid-aes256-GCMApplePay encrypted VAS data', 'latin1'), typeHash]);
    const cipher = createCipheriv('aes-256-gcm', sha256(secret, block, info), Buffer.alloc(16));
    const seconds = Math.floor(this.nowMs() / 1_000) - secondsFrom1970To2001 - (how === 'stale' ? 3_600 : 0);
    const time = Buffer.alloc(4);
    time.writeUInt32BE(seconds);
    const message = Buffer.from(how === 'oversized' ? 'x'.repeat(120) : pass.message, 'utf8');
    const ciphertext = Buffer.concat([
      cipher.update(Buffer.concat([time, message])),
      cipher.final(),
      cipher.getAuthTag(),
    ]);
    const keyId =
      how === 'wrongKeyId' ? Buffer.from('ffffffff', 'hex') : sha256(merchant.subarray(1, 33)).subarray(0, 4);
    const point = how === 'offCurve' ? Buffer.concat([Buffer.alloc(31), Buffer.of(2)]) : x;
    const sealed = Buffer.concat([keyId, point, ciphertext]);
    if (how === 'flipped') sealed.writeUInt8(sealed.readUInt8(40) ^ 1, 40);
    return sealed;
  }
}
