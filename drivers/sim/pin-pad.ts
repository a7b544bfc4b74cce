/**
 * A simulated PIN pad with AES DUKPT behind the serial pad's frames: bytes in, bytes out, as over a cable. The one place where
 * a clear PIN exists, given by the test that holds it.
 */
import { type Bytes, concat, toHex } from '../../terminal/kernel/bytes.js';
import type { Crypto, Random } from '../../terminal/kernel/ports.js';
import { keySerialNumber, nextCounter, transactionKey, workingKey } from '../protocols/dukpt/dukpt.js';
import { betweenFrames, encodePadFrame, readPadFrames } from '../protocols/pin-pad/pad-frame.js';
import { encodePinBlock4 } from '../protocols/pinblock/pinblock.js';

export interface SimulatedPadSetup {
  readonly crypto: Pick<Crypto, 'aesCbcEncrypt'>;
  readonly random: Random;
  readonly initialKey: Bytes;
  /** 8 bytes. */
  readonly initialKeyId: Bytes;
  /** The last counter used; kept by who starts the pad anew: no counter is used twice. */
  readonly counter: number;
}

export class SimulatedPinPad {
  #state = betweenFrames;
  #counter: number;
  /** What the member keys next; null: the cancel key. */
  pin: string | null = null;

  constructor(private readonly setup: SimulatedPadSetup) {
    this.#counter = setup.counter;
  }
  get counter(): number {
    return this.#counter;
  }

  /** @returns what the pad sends for these bytes */
  receive(bytes: Bytes): Bytes {
    const step = readPadFrames(this.#state, bytes);
    this.#state = step.state;
    return concat(...step.texts.map((text) => encodePadFrame(this.#answer(text))));
  }

  #answer(text: string): string {
    const [command, pan = ''] = text.split('\u001c');
    if (command !== 'PE' || !/^[0-9]{8,19}$/.test(pan)) return 'PE\u001c01';
    if (this.pin === null) return 'PE\u001c01';
    const counter = nextCounter(this.#counter);
    if (counter === null) return 'PE\u001c03';
    // Counted before it is used: a key of this counter never comes back.
    this.#counter = counter;
    const { crypto, initialKey, initialKeyId, random } = this.setup;
    const transaction = transactionKey(crypto, initialKey, initialKeyId, counter);
    const key = workingKey(crypto, transaction, 'pin', initialKeyId, counter);
    const block = encodePinBlock4(crypto, key, this.pin, pan, random.bytes(8));
    return ['PE', '00', toHex(keySerialNumber(initialKeyId, counter)), toHex(block)].join('\u001c');
  }
}
