/**
 * What the BLE child uses of @abandonware/noble 1.9.2. Written from its source: the package is optional, and a build
 * must not need it. Nothing else is declared, so that nothing else is used by accident.
 */
declare module '@abandonware/noble' {
  import type { EventEmitter } from 'node:events';

  export interface Characteristic extends EventEmitter {
    readonly uuid: string;
    readonly properties: readonly string[];
    write(data: Buffer, withoutResponse: boolean, callback: (error: Error | null) => void): void;
    subscribe(callback: (error: Error | null) => void): void;
    on(event: 'data', listener: (data: Buffer, isNotification: boolean) => void): this;
  }
  export interface Service {
    readonly uuid: string;
    discoverCharacteristics(
      uuids: string[],
      callback: (error: Error | null, found: readonly Characteristic[]) => void,
    ): void;
  }
  export interface Peripheral extends EventEmitter {
    /** Twelve hex digits. */
    readonly id: string;
    /** Six pairs of lower-case hex digits with colons. */
    readonly address: string;
    readonly connectable: boolean;
    readonly advertisement: { readonly localName?: string; readonly serviceUuids?: readonly string[] };
    readonly rssi: number;
    /** What the device offered, also where the library asked for less; null until then. */
    readonly mtu: number | null;
    connect(callback: (error?: Error | string | null) => void): void;
    cancelConnect(): void;
    disconnect(): void;
    discoverServices(uuids: string[], callback: (error: Error | null, found: readonly Service[]) => void): void;
    on(event: 'connect' | 'disconnect', listener: (reason?: unknown) => void): this;
  }
  export interface Noble extends EventEmitter {
    /** The first look at it opens the adapter, and throws where that fails. */
    readonly state: string;
    startScanning(uuids: string[], allowDuplicates: boolean, callback?: (error: Error | null) => void): void;
    stopScanning(callback?: () => void): void;
    on(event: 'stateChange', listener: (state: string) => void): this;
    on(event: 'discover', listener: (peripheral: Peripheral) => void): this;
    on(event: 'scanStop', listener: () => void): this;
    on(event: 'warning', listener: (message: string) => void): this;
    /** Not public: the only place that tells whether a link is encrypted, asks how much the adapter takes, and tries again. */
    readonly _bindings: {
      readonly _handles?: Readonly<Record<number, string | undefined>>;
      readonly _hci: EventEmitter & { readonly _socket: EventEmitter; init(): void; readLeBufferSize(): void };
    };
  }
  const noble: Noble;
  export default noble;
}
