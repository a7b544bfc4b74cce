/**
 * The GATT services that the box uses, as rows: UUIDs in 32 lower-case hex digits. Data only.
 */
export interface GattService {
  readonly service: string;
  /** The box writes here. */
  readonly toDevice: string;
  /** The box subscribes here. */
  readonly fromDevice: string;
}

/** Nordic UART Service: bytes as over a serial line. Barcode scanners with a Bluetooth LE serial mode offer it. */
export const uartService: GattService = {
  service: '6e400001b5a3f393e0a9e50e24dcca9e',
  toDevice: '6e400002b5a3f393e0a9e50e24dcca9e',
  fromDevice: '6e400003b5a3f393e0a9e50e24dcca9e',
};

/** A member's phone: commands and answers of the contactless application, in fragments. */
export const memberService: GattService = {
  service: 'e80b0001790e4e099d511c7ea162f10e',
  toDevice: 'e80b0002790e4e099d511c7ea162f10e',
  fromDevice: 'e80b0003790e4e099d511c7ea162f10e',
};
