/**
 * The schema: every section of the configuration file and its option rows. The only source of options and their help.
 */

import { bleOptions } from '../drivers/ble/options.js';
import { hidOptions, keypadOptions, stripeReaderOptions } from '../drivers/hid/options.js';
import { pcscOptions } from '../drivers/pcsc/options.js';
import {
  displayOptions,
  modemOptions,
  moduleOptions,
  pinPadOptions,
  printerOptions,
  relayOptions,
  serialOptions,
} from '../drivers/serial/options.js';
import { syncOptions } from '../host-sync/client/options.js';
import { hostOptions } from '../host-sync/server/options.js';
import { consoleOptions } from '../terminal/console/options.js';
import { localApiOptions } from '../terminal/local-api/options.js';
import { tagOptions, terminalOptions, walletOptions } from '../terminal/runtime/options.js';
import type { OptionRow, OptionsOf } from './option.js';

const sections = {
  terminal: { title: 'The box and its sales', rows: terminalOptions },
  wallet: { title: 'Taps, and passes in phone wallets', rows: walletOptions },
  tags: { title: 'NFC tags of members', rows: tagOptions },
  sync: { title: 'The box’s side of the host', rows: syncOptions },
  readers: { title: 'Contactless readers (PC/SC)', rows: pcscOptions },
  scanners: { title: 'Barcode scanners on serial lines', rows: serialOptions },
  hidScanners: { title: 'Barcode scanners in HID POS mode', rows: hidOptions },
  stripeReaders: { title: 'Magnetic stripe readers (HID)', rows: stripeReaderOptions },
  keypads: { title: 'Numeric keypads (HID)', rows: keypadOptions },
  printers: { title: 'Receipt printers', rows: printerOptions },
  displays: { title: 'Customer’s displays', rows: displayOptions },
  modules: { title: 'Infrared and radio modules', rows: moduleOptions },
  pinPads: { title: 'PIN pads', rows: pinPadOptions },
  modems: { title: 'GSM modems', rows: modemOptions },
  relays: { title: 'The relay of a gate or a cash drawer', rows: relayOptions },
  bluetooth: { title: 'Scanners and phones over Bluetooth LE', rows: bleOptions },
  console: { title: 'The technician console', rows: consoleOptions },
  localApi: { title: 'The local API for tills', rows: localApiOptions },
  host: { title: 'The embedded host', rows: hostOptions },
} as const satisfies Readonly<Record<string, { readonly title: string; readonly rows: readonly OptionRow[] }>>;

export const schema: Readonly<Record<string, { readonly title: string; readonly rows: readonly OptionRow[] }>> =
  sections;

/** The whole configuration as the program reads it: `config.terminal.category`. */
export type Config = { readonly [Section in keyof typeof sections]: OptionsOf<(typeof sections)[Section]['rows']> };
