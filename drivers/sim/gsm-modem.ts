/**
 * A simulated GSM modem: AT commands in PDU mode, a SIM with places, written from TS 27.005 and 23.040 without a line of the
 * driver's codec. Misbehaves on request. For tests and scripts.
 */
import { constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';

export interface ModemMood {
  /** Ends of the next sendings, in order: an error's number, `silence`, `ok`, or an OK without a number. */
  readonly sends: (number | 'silence' | 'ok' | 'bareOk')[];
  pinWanted: boolean;
  mute: boolean;
}

const swap = (digits: string): string => (digits.length % 2 ? `${digits}f` : digits).replace(/(.)(.)/g, '$2$1');

export class SimulatedGsmModem {
  readonly mood: ModemMood = { sends: [], pinWanted: false, mute: false };
  /** What the network took: the PDU behind the centre's address. */
  readonly sent: { readonly to: string; readonly text: string; readonly header: string }[] = [];
  readonly commands: string[] = [];
  /** Messages on the SIM by their place. */
  readonly sim = new Map<number, string>();
  #line = '';
  #wanted = 0;
  #echo = true;

  constructor(private readonly answer: (text: string) => void) {}

  feed(chunk: Uint8Array): void {
    for (const byte of chunk) this.#byte(String.fromCharCode(byte));
  }

  /** A message in UCS-2 comes from the network and is told of. */
  arrive(from: string, text: string, header = ''): void {
    const data = Buffer.from(text, 'utf16le').swap16().toString('hex');
    const digits = from.replace('+', '');
    const length = (header.length + data.length) / 2;
    const pdu = [
      '0791448720003023',
      header === '' ? '04' : '44',
      digits.length.toString(16).padStart(2, '0'),
      from.startsWith('+') ? '91' : '81',
      swap(digits),
      '0008',
      '52111010101000',
      length.toString(16).padStart(2, '0'),
      header,
      data,
    ].join('');
    this.store(pdu);
  }
  /** A PDU as it is. */
  store(pdu: string): void {
    let place = 1;
    while (this.sim.has(place)) place++;
    this.sim.set(place, pdu.toUpperCase());
    if (!this.mood.mute) this.answer(`\r\n+CMTI: "SM",${place}\r\n`);
  }

  #byte(character: string): void {
    if (this.#wanted > 0) {
      if (character === '\x1b') this.#wanted = 0;
      else if (character === '\x1a') this.#take();
      else this.#line += character;
      if (this.#wanted === 0) this.#line = '';
      return;
    }
    if (character === '\x1b') return;
    if (this.#echo && !this.mood.mute) this.answer(character);
    if (character !== '\r') {
      this.#line += character;
      return;
    }
    const command = this.#line;
    this.#line = '';
    this.commands.push(command);
    if (!this.mood.mute) this.#command(command);
  }

  #command(command: string): void {
    const [, length] = /^AT\+CMGS=([0-9]+)$/.exec(command) ?? [];
    const [, place] = /^AT\+CMGD=([0-9]+)$/.exec(command) ?? [];
    if (length !== undefined) {
      this.#wanted = Number(length);
      this.answer('\r\n> ');
    } else if (place !== undefined) {
      this.sim.delete(Number(place));
      this.answer('\r\nOK\r\n');
    } else if (command === 'AT+CMGL=4') {
      for (const [at, pdu] of this.sim) this.answer(`\r\n+CMGL: ${at},1,,${pdu.length / 2 - 8}\r\n${pdu}`);
      this.answer('\r\n\r\nOK\r\n');
    } else if (command === 'AT+CPIN?')
      this.answer(`\r\n+CPIN: ${this.mood.pinWanted ? 'SIM PIN' : 'READY'}\r\n\r\nOK\r\n`);
    else if (command === 'AT+CSQ') this.answer('\r\n+CSQ: 20,99\r\n\r\nOK\r\n');
    else if (command === 'AT+CREG?') this.answer('\r\n+CREG: 0,1\r\n\r\nOK\r\n');
    else if (/^(ATE0|AT\+CMEE=1|AT\+CMGF=0|AT\+CNMI=2,1,0,0,0)$/.test(command)) {
      if (command === 'ATE0') this.#echo = false;
      this.answer('\r\nOK\r\n');
    } else this.answer('\r\nERROR\r\n');
  }

  #take(): void {
    const pdu = this.#line;
    const isWhole = pdu.startsWith('00') && pdu.length / 2 - 1 === this.#wanted;
    this.#wanted = 0;
    const mood = this.mood.sends.shift() ?? 'ok';
    if (!isWhole) this.answer('\r\n+CMS ERROR: 304\r\n');
    else if (typeof mood === 'number') this.answer(`\r\n+CMS ERROR: ${mood}\r\n`);
    else {
      this.sent.push(this.#read(pdu.slice(2)));
      if (mood === 'bareOk') this.answer('\r\nOK\r\n');
      if (mood === 'ok') this.answer('\r\n+CMGS: 7\r\n\r\nOK\r\n');
    }
  }

  #read(pdu: string) {
    const digits = Number.parseInt(pdu.slice(4, 6), 16);
    const end = 8 + digits + (digits % 2);
    const to = (pdu.slice(6, 8) === '91' ? '+' : '') + swap(pdu.slice(8, end)).slice(0, digits);
    const coding = pdu.slice(end + 2, end + 4);
    const length = Number.parseInt(pdu.slice(end + 4, end + 6), 16);
    const data = Buffer.from(pdu.slice(end + 6), 'hex');
    const head = Number.parseInt(pdu.slice(0, 2), 16) & 0x40 ? 1 + (data[0] ?? 0) : 0;
    const header = data.subarray(0, head).toString('hex');
    if (coding === '08') {
      if (data.length !== length) throw new Error('UDL');
      return { to, header, text: new TextDecoder('utf-16be').decode(data.subarray(head)) };
    }
    if (data.length !== Math.ceil((length * 7) / 8)) throw new Error('UDL');
    const bits = [...data].map((octet) => octet.toString(2).padStart(8, '0').split('').reverse().join('')).join('');
    let text = '';
    for (let septet = Math.ceil((head * 8) / 7); septet < length; septet++) {
      const code = Number.parseInt([...bits.slice(7 * septet, 7 * septet + 7)].reverse().join(''), 2);
      text += code === 0x11 ? '_' : code === 0 ? '@' : String.fromCharCode(code);
    }
    return { to, header, text };
  }
}

/** Attaches it to the device's end of a pseudo-terminal. */
export function modemOnPty(device: string): { readonly modem: SimulatedGsmModem; close(): void } {
  const file = openSync(device, constants.O_RDWR | constants.O_NOCTTY);
  const stream = new ReadStream(file);
  const modem = new SimulatedGsmModem((text) => writeSync(file, text));
  stream.on('data', (chunk: Buffer) => modem.feed(chunk));
  stream.on('error', () => {});
  return { modem, close: () => void stream.destroy() };
}
