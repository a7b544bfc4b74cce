/**
 * The kinds of HID input devices as drivers: scanners, magnetic stripe readers, keypads. Says which devices are whose;
 * must not open any (input-driver.ts does).
 */
import {
  type HidScannerOptions,
  judgeDevice,
  judgeKeypad,
  judgeStripeReader,
  type KeypadOptions,
  type StripeReaderOptions,
} from './device-rules.js';
import { HidInputDriver, type HidPorts } from './input-driver.js';

export class HidScannerDriver extends HidInputDriver {
  constructor(options: HidScannerOptions, ports: HidPorts) {
    super(
      {
        ...{ name: 'hid-scanner', counter: 'codes', sensitive: false, enabled: options.enabled },
        named: [...options.devices, ...options.keyboards],
        settings: options,
        judge: (device) => judgeDevice(device, options),
      },
      ports,
    );
  }
}

/** Readers that are no keyboard. A stripe may be a bank card's: sensitive. */
export class StripeReaderDriver extends HidInputDriver {
  constructor(options: StripeReaderOptions, ports: HidPorts) {
    super(
      {
        ...{ name: 'hid-stripe', counter: 'swipes', sensitive: true, enabled: options.enabled },
        named: options.devices,
        settings: options,
        judge: (device) => judgeStripeReader(device, options),
      },
      ports,
    );
  }
}

/** Numeric keypads that the configuration names. A member's phone number passes, or worse: sensitive. */
export class KeypadDriver extends HidInputDriver {
  constructor(options: KeypadOptions, ports: HidPorts) {
    super(
      {
        ...{ name: 'hid-keypad', counter: 'numbers', sensitive: true, enabled: options.devices.length > 0 },
        named: options.devices,
        settings: options,
        judge: (device) => judgeKeypad(device, options),
      },
      ports,
    );
  }
}
