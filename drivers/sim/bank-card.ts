/**
 * A bank card with contacts, simulated: directory, applications and their records, over T=0 or T=1, well and misbehaving.
 * Written from EMV Books 1 and 3 and ISO/IEC 7816-3; shares no code with the terminal's side. Must not be imported by anything
 * but tests and scripts.
 */
import type { Bytes } from '../../terminal/kernel/bytes.js';
import type { CardScript } from './vpcd.js';

export interface BankApplication {
  /** Name on the card, hex. */
  readonly id: string;
  readonly label: string;
  /** Preferred name and its code table (1: ISO 8859-1). */
  readonly preferred?: { readonly name: Buffer; readonly table: number };
  /** 0…15; bit 8 (0x80): the cardholder is asked. */
  readonly priority?: number;
  /** SELECT: 6283 blocked, 6285 terminated; GET PROCESSING OPTIONS: 6985. */
  readonly refuses?: 'blocked' | 'terminated' | 'conditions';
  /** 8…19 digits; null: no such object. */
  readonly number: string | null;
  /** As track 2 has it where that is another one; null: no track 2. */
  readonly trackNumber?: string | null;
  /** YYMMDD; null: no such object. */
  readonly expiry?: string | null;
  /** Two digits. */
  readonly sequence?: string;
  /** What the bank has on track 2 behind the service code, and the name on the card: never to be seen again. */
  readonly discretionary?: string;
  readonly holder?: string;
  /** Form of the answer to GET PROCESSING OPTIONS. */
  readonly template?: '77' | '80';
  /** Tags and lengths that it wants, hex. */
  readonly wants?: string;
}

export const bankCardMisbehaviours = [
  'none',
  /** Its directory has a record for every number. */
  'endlessDirectory',
  /** There is always another application of that name. */
  'endlessNext',
  /** More is always ready. */
  'endlessMore',
  /** No length is the right one. */
  'endlessLength',
  /** Answers longer than a short command may have. */
  'oversized',
  /** Its file locator names 254 records, which are all there. */
  'manyRecords',
  /** Records end in the middle. */
  'cut',
  /** The number is on it twice. */
  'twice',
  /** The number has a letter in it. */
  'letters',
] as const;
export type BankCardMisbehaviour = (typeof bankCardMisbehaviours)[number];

export interface BankCardSetup {
  readonly applications: readonly BankApplication[];
  readonly protocol?: 'T0' | 'T1';
  /** Its payment system environment: there, blocked, or none. */
  readonly environment?: 'there' | 'blocked' | 'none';
  /** Everything is refused: the card is blocked. */
  readonly isBlocked?: boolean;
  /** Tells this card's answer to reset from others; at most 10 characters. */
  readonly name?: string;
}

/** A debit card of a made-up bank; the number is a published test number. */
export const debitCard: BankApplication = {
  ...{ id: 'a000000333010101', label: 'UnionPay Debit', priority: 1, number: '6292210000001346' },
  ...{ expiry: '301231', sequence: '01', discretionary: '00000447000', holder: 'CHANG SAN/MS' },
  ...{ template: '77', wants: '9f1a025f2a029a039f3704' },
};

const hexBytes = (text: string): Buffer => Buffer.from(text, 'hex');
const sw = (code: number): Buffer => Buffer.of(code >> 8, code & 0xff);

/** One object: tag in hex, length by BER. */
function object(tag: string, ...values: readonly Buffer[]): Buffer {
  const value = Buffer.concat(values);
  const length =
    value.length < 0x80
      ? Buffer.of(value.length)
      : value.length < 0x100
        ? Buffer.of(0x81, value.length)
        : Buffer.of(0x82, value.length >> 8, value.length & 0xff);
  return Buffer.concat([hexBytes(tag), length, value]);
}
const padded = (digits: string): Buffer => hexBytes(digits.length % 2 === 0 ? digits : `${digits}f`);

const environmentName = Buffer.from('1PAY.SYS.DDF01', 'latin1');
const directoryFile = 1;
const recordFiles = [1, 2] as const;

/** EMV Book 1 §8: the two answers to reset that a bank card gives, with historical bytes. */
function answerToReset(protocol: 'T0' | 'T1', name: string): Buffer {
  const historical = Buffer.from(name, 'latin1');
  if (protocol === 'T0') return Buffer.concat([Buffer.of(0x3b, 0x60 | historical.length, 0x00, 0x00), historical]);
  const body = Buffer.concat([Buffer.of(0xe0 | historical.length, 0x00, 0x00, 0x81, 0x31, 0xfe, 0x45), historical]);
  return Buffer.concat([Buffer.of(0x3b), body, Buffer.of(body.reduce((check, byte) => check ^ byte, 0))]);
}

export class SimulatedBankCard implements CardScript {
  misbehaviour: BankCardMisbehaviour = 'none';
  readonly atr: Bytes;
  /** Headers of all commands, hex. */
  readonly commands: string[] = [];
  readonly #protocol: 'T0' | 'T1';
  #selected: BankApplication | 'environment' | null = null;
  #optionsGiven = false;
  /** What a T=0 card holds ready for GET RESPONSE. */
  #ready: Buffer | null = null;
  #lastFound = -1;

  constructor(private readonly setup: BankCardSetup) {
    this.#protocol = setup.protocol ?? 'T0';
    this.atr = new Uint8Array(answerToReset(this.#protocol, setup.name ?? 'BANK'));
  }

  powerLost(): void {
    this.#selected = null;
    this.#optionsGiven = false;
    this.#ready = null;
    this.#lastFound = -1;
  }
  /** As a card in a field is told that it came and went. */
  entered(): void {
    this.powerLost();
  }
  left(): void {
    this.powerLost();
  }

  respond(command: Bytes): Bytes {
    return new Uint8Array(this.#transmit(Buffer.from(command)));
  }

  /** ISO/IEC 7816-3 §12: what a T=0 card can take and give, and what T=1 carries whole. */
  #transmit(command: Buffer): Buffer {
    this.commands.push(command.subarray(0, 4).toString('hex'));
    const [, instruction = 0, , , third = 0] = command;
    const hasData = [0xa4, 0xa8].includes(instruction);
    if (command.length < 5) return sw(0x6700);
    const data = hasData ? command.subarray(5, 5 + third) : Buffer.alloc(0);
    if (data.length !== (hasData ? third : 0)) return sw(0x6700);
    const behind = command.length - 5 - data.length;
    // One length byte is all that T=0 has.
    if (behind !== (this.#protocol === 'T1' && hasData ? 1 : 0)) return sw(0x6700);
    if (instruction === 0xc0) return this.#rest(third);
    this.#ready = null;
    const answer = this.#act(command, data);
    const [body, status] = [answer.subarray(0, -2), answer.subarray(-2)];
    if (this.misbehaviour === 'oversized' && body.length > 0)
      return Buffer.concat([body, Buffer.alloc(300, 0x41), status]);
    if (this.misbehaviour === 'endlessLength') return sw(0x6c00 | ((third + 1) & 0xff));
    if (this.misbehaviour === 'endlessMore' && body.length > 0) return sw(0x6101);
    if (this.#protocol === 'T1' || body.length === 0) return answer;
    if (!hasData) return third === body.length ? answer : sw(0x6c00 | (body.length & 0xff));
    this.#ready = answer;
    return sw(0x6100 | (body.length & 0xff));
  }

  #rest(length: number): Buffer {
    if (this.misbehaviour === 'endlessMore') return Buffer.concat([Buffer.of(0x00), sw(0x6101)]);
    if (!this.#ready) return sw(0x6985);
    const wanted = this.#ready.length - 2;
    if (length !== (wanted & 0xff)) return sw(0x6c00 | (wanted & 0xff));
    const answer = this.#ready;
    this.#ready = null;
    return answer;
  }

  #act(command: Buffer, data: Buffer): Buffer {
    const [cla, instruction, p1 = 0, p2 = 0] = command;
    if (cla === 0x00 && instruction === 0xa4 && p1 === 0x04) return this.#select(data, p2 === 0x02);
    if (cla === 0x80 && instruction === 0xa8) return this.#options(data);
    if (cla === 0x00 && instruction === 0xb2 && (p2 & 7) === 4) return this.#record(p2 >> 3, p1);
    return sw(0x6d00);
  }

  #select(name: Buffer, next: boolean): Buffer {
    if (this.setup.isBlocked) return sw(0x6a81);
    this.#optionsGiven = false;
    const environment = this.setup.environment ?? 'there';
    if (name.equals(environmentName)) {
      if (environment === 'none') return sw(0x6a82);
      this.#selected = 'environment';
      const own = object('a5', object('88', Buffer.of(directoryFile)), object('5f2d', Buffer.from('zh')));
      const control = object('6f', object('84', environmentName), own);
      return environment === 'blocked' ? sw(0x6283) : Buffer.concat([control, sw(0x9000)]);
    }
    const { applications } = this.setup;
    const from = next ? this.#lastFound + 1 : 0;
    const at = applications.findIndex(
      ({ id }, index) => index >= from && hexBytes(id).subarray(0, name.length).equals(name),
    );
    if (at < 0 && next && this.misbehaviour === 'endlessNext') {
      this.#lastFound += 1;
      const tail = Buffer.of(this.#lastFound & 0xff);
      return Buffer.concat([object('6f', object('84', name, tail), object('a5')), sw(0x9000)]);
    }
    const application = applications[at];
    if (!application) return sw(0x6a82);
    this.#lastFound = at;
    this.#selected = application;
    if (application.refuses === 'blocked') return sw(0x6283);
    if (application.refuses === 'terminated') return sw(0x6285);
    return Buffer.concat([this.#control(application), sw(0x9000)]);
  }

  #control({ id, label, preferred, priority, wants }: BankApplication): Buffer {
    return object(
      '6f',
      object('84', hexBytes(id)),
      object(
        'a5',
        object('50', Buffer.from(label, 'latin1')),
        priority === undefined ? Buffer.alloc(0) : object('87', Buffer.of(priority)),
        wants === undefined ? Buffer.alloc(0) : object('9f38', hexBytes(wants)),
        preferred ? object('9f11', Buffer.of(preferred.table)) : Buffer.alloc(0),
        preferred ? object('9f12', preferred.name) : Buffer.alloc(0),
      ),
    );
  }

  #options(data: Buffer): Buffer {
    const application = this.#selected;
    if (application === null || application === 'environment') return sw(0x6985);
    if (application.refuses === 'conditions') return sw(0x6985);
    // EMV Book 3 §5.4: exactly as many bytes as were asked for, in template 83.
    const wanted = [
      ...hexBytes(application.wants ?? '')
        .toString('hex')
        .matchAll(/(?:[0-9a-f]f[0-9a-f]{2}|[0-9a-f]{2})([0-9a-f]{2})/g),
    ];
    const length = wanted.reduce((sum, [, bytes = '0']) => sum + Number.parseInt(bytes, 16), 0);
    if (data[0] !== 0x83 || data[1] !== length || data.length !== 2 + length) return sw(0x6700);
    this.#optionsGiven = true;
    const last = this.misbehaviour === 'manyRecords' ? 254 : 2;
    const locator = Buffer.of(recordFiles[0] << 3, 1, 1, 0, recordFiles[1] << 3, 1, last, 1, 11 << 3, 1, 1, 0);
    const profile = hexBytes('7c00');
    const answer =
      application.template === '80'
        ? object('80', profile, locator)
        : object('77', object('82', profile), object('94', locator));
    return Buffer.concat([answer, sw(0x9000)]);
  }

  #record(file: number, record: number): Buffer {
    if (this.#selected === 'environment') return this.#directory(file, record);
    if (this.#selected === null || !this.#optionsGiven) return sw(0x6985);
    const body = this.#recordOf(this.#selected, file, record);
    if (!body) return sw(0x6a83);
    const whole = object('70', body);
    return Buffer.concat([this.misbehaviour === 'cut' ? whole.subarray(0, -3) : whole, sw(0x9000)]);
  }

  #recordOf(application: BankApplication, file: number, record: number): Buffer | null {
    const { number, trackNumber = number, expiry, sequence, discretionary = '', holder } = application;
    const nothing = Buffer.alloc(0);
    if (file === recordFiles[0] && record === 1)
      return Buffer.concat([
        trackNumber === null
          ? nothing
          : object('57', padded(`${trackNumber}d${(expiry ?? '301231').slice(0, 4)}220${discretionary}`)),
        holder === undefined ? nothing : object('5f20', Buffer.from(holder, 'latin1')),
        object('9f1f', Buffer.from(discretionary, 'latin1')),
      ]);
    if (file === recordFiles[1] && record === 1) {
      const written =
        number === null ? null : this.misbehaviour === 'letters' ? `${number.slice(0, 5)}a${number.slice(6)}` : number;
      const own = written === null ? nothing : object('5a', padded(written));
      return Buffer.concat([
        expiry === null || expiry === undefined ? nothing : object('5f24', hexBytes(expiry)),
        // Erased objects leave zeros behind (EMV Book 3 annex B1).
        Buffer.alloc(2),
        own,
        this.misbehaviour === 'twice' ? own : nothing,
        sequence === undefined ? nothing : object('5f34', hexBytes(sequence)),
      ]);
    }
    if (file === recordFiles[1] && (record === 2 || this.misbehaviour === 'manyRecords'))
      // What a transaction would need: risk data objects, verification methods, country of the bank.
      return Buffer.concat([
        object('8c', hexBytes('9f02069f03069f1a0295055f2a029a039c019f37049f2103')),
        object('8e', Buffer.alloc(12)),
        object('5f28', hexBytes('0156')),
        object('90', Buffer.alloc(144, 0x55)),
      ]);
    return null;
  }

  #directory(file: number, record: number): Buffer {
    const { applications } = this.setup;
    const at = this.misbehaviour === 'endlessDirectory' ? (record - 1) % applications.length : record - 1;
    const application = applications[at];
    if (file !== directoryFile || !application) return sw(0x6a83);
    const { id, label, priority } = application;
    const entry = object(
      '61',
      object('4f', hexBytes(id)),
      object('50', Buffer.from(label, 'latin1')),
      priority === undefined ? Buffer.alloc(0) : object('87', Buffer.of(priority)),
    );
    return Buffer.concat([object('70', entry), sw(0x9000)]);
  }
}
