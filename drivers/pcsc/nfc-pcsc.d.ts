/**
 * What the PC/SC child uses of nfc-pcsc 0.8.1, which brings no types. Written from its source; nothing else is declared,
 * so that nothing else is used by accident.
 */
declare module 'nfc-pcsc' {
  import type { EventEmitter } from 'node:events';

  /** The reader of @pokusew/pcsclite that nfc-pcsc wraps and exposes. */
  export interface RawReader extends EventEmitter {
    readonly name: string;
    /** PC/SC state bits of the last report; undefined before the first. The upper 16 bits count card events. */
    readonly state: number | undefined;
    readonly SCARD_STATE_PRESENT: number;
    on(event: 'status', listener: (status: { readonly state: number; readonly atr?: Buffer }) => void): this;
  }

  export interface Card {
    readonly atr?: Buffer;
  }

  export class Reader extends EventEmitter {
    readonly name: string;
    readonly reader: RawReader;
    readonly connection: { readonly type: number; readonly protocol: number | undefined } | null;
    /** True makes it send a Get UID command to every card by itself. */
    autoProcessing: boolean;
    /** `CONNECT_MODE_DIRECT`: without a card, for control() alone. */
    connect(mode?: 'CONNECT_MODE_CARD' | 'CONNECT_MODE_DIRECT'): Promise<unknown>;
    /** PC_to_RDR_Escape. Throws synchronously when there is no connection; rejects with a ControlError. */
    control(command: Buffer, answerBytesMax: number): Promise<Buffer>;
    /** Throws synchronously when there is no connection. */
    disconnect(): Promise<unknown>;
    /** Throws synchronously when there is no card; resolves with an empty buffer when the card leaves meanwhile. */
    transmit(command: Buffer, answerBytesMax: number): Promise<Buffer>;
    on(event: 'card' | 'card.off', listener: (card: Card) => void): this;
    on(event: 'end', listener: () => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
  }

  export class NFC extends EventEmitter {
    /** Spins on the calling thread until pcscd answers. */
    constructor();
    on(event: 'reader', listener: (reader: Reader) => void): this;
    on(event: 'error', listener: (error: Error) => void): this;
  }
}
