/**
 * A phone with Google Wallet, simulated from the public facts on Smart Tap 2.1: it checks the collector's signature, makes the
 * channel and gives out its pass. Shares no code with the terminal's side; misbehaves as it is told.
 */
import { createCipheriv, createECDH, createHmac, createPublicKey, ECDH, hkdfSync, verify } from 'node:crypto';
import { deflateSync } from 'node:zlib';
import { type Named, ndefMessage, readCommand, readNdef, statusBytes, tlv } from './wallet-bytes.js';

export interface GooglePass {
  /** Whose terminals may read it, with the public keys registered for that collector by version. */
  readonly collectorId: number;
  readonly keys: ReadonlyMap<number, Uint8Array>;
  readonly service: 'ly' | 'of' | 'gc' | 'et' | 'tr' | 'gr';
  readonly number: string;
}

export const googleMisbehaviours = [
  'none',
  /** The owner must choose a pass: 9302. */
  'mustChoose',
  /** Says once that it is not ready (9200), then goes on. */
  'busyOnce',
  /** Never is ready. */
  'busy',
  /** Gives its data in parts of 40 bytes. */
  'chained',
  /** Never ends giving parts. */
  'endless',
  /** 4 MB of zeros, compressed to 4 kB. */
  'bomb',
  /** A bundle of 16 kB, in parts. */
  'oversized',
  /** The device key is no point of the curve. */
  'offCurve',
  /** Derives its keys from another secret. */
  'wrongKey',
  /** Gives the bundle of an earlier session again. */
  'replay',
  /** Does not encrypt. */
  'plain',
  /** One bit of the bundle is not as it was made. */
  'flipped',
  /** Answers under another session id. */
  'wrongSession',
  /** Does not raise the sequence. */
  'oldSequence',
] as const;
export type GoogleMisbehaviour = (typeof googleMisbehaviours)[number];

const curve = 'prime256v1';
const partBytes = 240;
const spkiHeader = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex');
const compressed = (key: ReturnType<typeof createECDH>): Buffer =>
  key.getPublicKey(null, 'compressed') as unknown as Buffer;

interface Channel {
  readonly sessionId: Buffer;
  readonly collectorId: number;
  readonly encryptionKey: Buffer;
  readonly macKey: Buffer;
}

export class GoogleWallet {
  misbehaviour: GoogleMisbehaviour = 'none';
  /** Newer wallets give their nonce with the selection of OSE.VAS.01; older ones only with that of Smart Tap. */
  nonceInOse = true;
  /** Sequences of the requests, as they came. */
  readonly sequences: number[] = [];
  #nonce: Buffer | null = null;
  #device = createECDH(curve);
  #channel: Channel | null = null;
  #busyLeft = 1;
  #parts: Buffer[] = [];
  #recorded: Buffer | null = null;

  constructor(
    private readonly pass: GooglePass,
    private readonly random: (length: number) => Buffer,
  ) {}

  powerLost(): void {
    this.#nonce = null;
    this.#channel = null;
    this.#parts = [];
  }

  respond(command: Uint8Array): Buffer {
    const { header, data } = readCommand(command);
    if (header === '00a40400') return this.#select(data);
    if (!this.#nonce) return statusBytes(0x6985);
    if (header === '90530000') return this.#isBusy() ? statusBytes(0x9200) : this.#negotiate(data);
    if (header === '90500000') return this.#channel ? this.#get(data, this.#channel) : statusBytes(0x9401);
    if (header === '90c00000') return this.#nextPart();
    return statusBytes(0x6d00);
  }

  #isBusy(): boolean {
    return this.misbehaviour === 'busy' || (this.misbehaviour === 'busyOnce' && this.#busyLeft-- > 0);
  }

  #select(name: Buffer): Buffer {
    const isOse = name.toString('latin1') === 'OSE.VAS.01';
    if (!isOse && name.toString('hex') !== 'a000000476d0000111') return statusBytes(0x6a82);
    this.#nonce = this.random(32);
    this.#device = createECDH(curve);
    this.#device.generateKeys();
    if (!isOse) {
      const nonce = { name: 'mdn', payload: Buffer.concat([Buffer.of(4), this.#nonce]) };
      return Buffer.concat([Buffer.from('00000001', 'hex'), ndefMessage(nonce), statusBytes(0x9000)]);
    }
    const own = this.nonceInOse ? [tlv('c2', this.#nonce), tlv('c3', compressed(this.#device))] : [];
    const about = [tlv('50', Buffer.from('AndroidPay')), tlv('c0', Buffer.of(0, 1)), ...own];
    return Buffer.concat([tlv('6f', Buffer.concat(about)), statusBytes(0x9000)]);
  }

  /** ses: as the terminal knows the session, unless told to misbehave. */
  #session(sessionId: Buffer, sequence: number): Named {
    const id = this.misbehaviour === 'wrongSession' ? this.random(8) : sessionId;
    const next = this.misbehaviour === 'oldSequence' ? sequence : sequence + 1;
    return { name: 'ses', payload: Buffer.concat([id, Buffer.of(next, 1)]) };
  }

  #negotiate(data: Buffer): Buffer {
    const request = readNdef(data).get('ngr');
    const inner = request && request.readUInt16BE() === 1 ? readNdef(request.subarray(2)) : null;
    const [session, parameters] = [inner?.get('ses'), inner?.get('cpr')];
    if (session?.length !== 10 || !parameters || parameters.length < 70) return statusBytes(0x9402);
    const proof = readNdef(parameters.subarray(70));
    const [signature, collector] = [proof.get('sig')?.subarray(1), proof.get('cld')?.subarray(1)];
    const [terminalNonce, terminalKey] = [parameters.subarray(0, 32), parameters.subarray(33, 66)];
    this.sequences.push(session.readUInt8(8));
    if (!signature || collector?.length !== 4 || parameters[32] !== 1) return statusBytes(0x9402);
    const key = this.pass.keys.get(parameters.readUInt32BE(66));
    const signed = Buffer.concat([terminalNonce, this.#nonce ?? Buffer.alloc(0), collector, terminalKey]);
    if (!key || collector.readUInt32BE() !== this.pass.collectorId || !isSigned(key, signed, signature))
      return statusBytes(0x9500);
    const deviceKey = compressed(this.#device);
    const ours = this.misbehaviour === 'wrongKey' ? otherKey() : this.#device;
    const secret = ours.computeSecret(terminalKey);
    const keys = Buffer.from(hkdfSync('sha256', secret, deviceKey, Buffer.concat([signed, signature]), 48));
    this.#channel = {
      sessionId: session.subarray(0, 8),
      collectorId: collector.readUInt32BE(),
      encryptionKey: keys.subarray(0, 16),
      macKey: keys.subarray(16),
    };
    const shown = this.misbehaviour === 'offCurve' ? Buffer.from(`02${'00'.repeat(31)}02`, 'hex') : deviceKey;
    const answer = ndefMessage(this.#session(session.subarray(0, 8), session.readUInt8(8)), {
      name: 'dpk',
      payload: shown,
    });
    return Buffer.concat([ndefMessage({ name: 'nrs', payload: answer }), statusBytes(0x9000)]);
  }

  #get(data: Buffer, channel: Channel): Buffer {
    const request = readNdef(data).get('srq');
    const inner = request && request.readUInt16BE() === 1 ? readNdef(request.subarray(2)) : null;
    const [session, merchant, services, terminal] = ['ses', 'mer', 'slr', 'pcr'].map((name) => inner?.get(name));
    if (session?.length !== 10 || !merchant || !services || terminal?.length !== 5) return statusBytes(0x9402);
    this.sequences.push(session.readUInt8(8));
    if (!session.subarray(0, 8).equals(channel.sessionId)) return statusBytes(0x9403);
    if (readNdef(merchant).get('cld')?.readUInt32BE(1) !== channel.collectorId) return statusBytes(0x9404);
    const wanted = readNdef(services).get('str')?.readUInt8(0);
    if (this.misbehaviour === 'mustChoose') return statusBytes(0x9302);
    if (wanted !== 0 && !(wanted === 3 && this.pass.service === 'ly')) return statusBytes(0x9001);
    const mayCompress = (terminal.readUInt8(0) & 0x40) !== 0;
    const reb = this.misbehaviour === 'replay' && this.#recorded ? this.#recorded : this.#bundle(channel, mayCompress);
    this.#recorded ??= reb;
    const answer = ndefMessage(this.#session(session.subarray(0, 8), session.readUInt8(8)), {
      name: 'reb',
      payload: reb,
    });
    const whole = ndefMessage({ name: 'srs', payload: answer });
    const size = this.misbehaviour === 'chained' || this.misbehaviour === 'endless' ? 40 : partBytes;
    this.#parts = [];
    for (let at = 0; at < whole.length; at += size) this.#parts.push(whole.subarray(at, at + size));
    return this.#nextPart();
  }

  #nextPart(): Buffer {
    const part = this.misbehaviour === 'endless' ? this.#parts[0] : this.#parts.shift();
    if (!part) return statusBytes(0x9405);
    return Buffer.concat([part, statusBytes(this.#parts.length > 0 ? 0x9100 : 0x9000)]);
  }

  #bundle(channel: Channel, mayCompress: boolean): Buffer {
    const number = { name: 'n', isText: true, payload: Buffer.concat([Buffer.of(0), Buffer.from(this.pass.number)]) };
    const issuer = { name: 'i', payload: Buffer.from('0401020304ff', 'hex') };
    const object = { name: this.pass.service, payload: ndefMessage(issuer, number) };
    const message = ndefMessage({ name: 'asv', payload: ndefMessage(issuer, object) });
    const plain =
      this.misbehaviour === 'bomb'
        ? deflateSync(Buffer.alloc(4 * 1_024 * 1_024))
        : this.misbehaviour === 'oversized'
          ? Buffer.alloc(16_384)
          : mayCompress
            ? deflateSync(message)
            : message;
    if (this.misbehaviour === 'plain') return Buffer.concat([Buffer.of(0), message, Buffer.alloc(44)]);
    const iv = this.random(12);
    const cipher = createCipheriv('aes-128-ctr', channel.encryptionKey, Buffer.concat([iv, Buffer.alloc(4)]));
    const sealed = Buffer.concat([iv, cipher.update(plain), cipher.final()]);
    const mac = createHmac('sha256', channel.macKey).update(sealed).digest();
    const bundle = Buffer.concat([Buffer.of(mayCompress ? 3 : 1), sealed, mac]);
    if (this.misbehaviour === 'flipped') bundle.writeUInt8(bundle.readUInt8(20) ^ 1, 20);
    return bundle;
  }
}

function otherKey(): ReturnType<typeof createECDH> {
  const key = createECDH(curve);
  key.generateKeys();
  return key;
}

function isSigned(publicKey: Uint8Array, signed: Buffer, signature: Buffer): boolean {
  const point = ECDH.convertKey(publicKey, curve, undefined, undefined, 'uncompressed') as unknown as Buffer;
  const key = createPublicKey({ key: Buffer.concat([spkiHeader, point]), format: 'der', type: 'spki' });
  return verify('sha256', signed, key, signature);
}
