/**
 * Options of barcode scanners, receipt printers, displays, radio modules, PIN pads, modems and relay boards on lines of bytes,
 * as rows for the configuration schema. Data only.
 */
const pathsRow = <Help extends string>(help: Help) =>
  ({
    key: 'paths',
    type: 'list',
    default: [],
    form: { pattern: /^\/[^\p{Cc}]+$/u, says: 'a path from /' },
    help,
  }) as const;
const baudRow = <Help extends string>(help: Help) =>
  ({ key: 'baud', type: 'integer', default: 9_600, min: 1_200, max: 921_600, unit: 'baud', help }) as const;

export const serialOptions = [
  pathsRow(
    'Serial lines of scanners, by their lasting names: /dev/serial/by-id/usb-… (never /dev/ttyUSB0, which moves). Empty: every line whose scanner is known by vendor and product.',
  ),
  { key: 'ignoredPaths', type: 'list', default: [], help: 'Lines never opened, where one only looks like a scanner.' },
  baudRow('Speed of the scanner’s line, 8 data bits, no parity, 1 stop bit. USB scanners ignore it.'),
  {
    key: 'idleGapMs',
    type: 'integer',
    default: 100,
    min: 10,
    max: 2_000,
    unit: 'ms',
    help: 'A code without CR or LF is dropped when nothing follows for so long; half a code is never used.',
  },
  {
    key: 'prefixes',
    type: 'list',
    default: [],
    help: 'Texts that scanners put before a code, taken off. AIM identifiers such as ]C1 need no line: they are always known and taken off.',
  },
  {
    key: 'suffixes',
    type: 'list',
    default: [],
    help: 'Texts that scanners put behind a code, before CR or LF, taken off.',
  },
] as const;

export const printerOptions = [
  pathsRow(
    'ESC/POS receipt printers on serial lines, USB-serial among them, by their lasting names: /dev/serial/by-id/usb-…. The first that can print prints.',
  ),
  {
    key: 'addresses',
    type: 'list',
    default: [],
    form: { pattern: /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/, says: 'host:port' },
    help: 'ESC/POS receipt printers on the network, like 192.168.1.50:9100, tried after those of `paths`. The connection is plain: the shop’s own network only.',
  },
  baudRow('Speed of the serial lines, 8 data bits, no parity, 1 stop bit.'),
  { key: 'cut', type: 'boolean', default: true, help: 'Cut each slip off. Printers without a blade ignore it.' },
  {
    key: 'answers',
    type: 'boolean',
    default: true,
    help: 'The printers tell of paper and cover (DLE EOT), and when a slip is printed. False: for printers that never send anything; then nobody knows whether a slip came out.',
  },
  {
    key: 'qr',
    type: 'text',
    default: '',
    form: { pattern: /^[\x21-\x7e]{0,213}$/, says: 'at most 213 printable ASCII characters without blanks' },
    help: 'Content of a QR code under each receipt, such as the address of the members’ pages. Empty: none.',
  },
] as const;

export const displayOptions = [
  pathsRow(
    'Customer’s displays of 2 × 20 characters on serial lines, by their lasting names: /dev/serial/by-id/usb-….',
  ),
  baudRow('Speed of the displays’ lines, 8 data bits, no parity, 1 stop bit.'),
  {
    key: 'commands',
    type: 'choice',
    default: 'cd5220',
    choices: ['cd5220', 'escpos'],
    help: 'The command set that the displays are switched to; most know CD5220.',
  },
  {
    key: 'chinese',
    type: 'boolean',
    default: false,
    help: 'The displays have Chinese characters (GB 18030). False: English words, digits and signs alone.',
  },
] as const;

export const moduleOptions = [
  pathsRow(
    'Infrared and radio modules (2.4 GHz and others) over which members’ devices speak, on serial lines, by their lasting names: /dev/serial/by-id/usb-….',
  ),
  baudRow(
    'Speed of the modules’ lines, 8 data bits, no parity, 1 stop bit; also how long the box reckons with for what it sends.',
  ),
] as const;

export const pinPadOptions = [
  pathsRow('PIN pads on serial lines, by their lasting names: /dev/serial/by-id/usb-….'),
  baudRow('Speed of the pads’ serial lines, 8 data bits, no parity, 1 stop bit.'),
  {
    key: 'devices',
    type: 'list',
    default: [],
    form: {
      pattern: /^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}:[^\p{Cc}]+$/u,
      says: 'vendor:product:serial in hex, the serial as it is',
    },
    help: 'PIN pads on USB with vendor-defined HID reports, each by vendor:product:serial as `device list` on the console shows them. Never without the serial number: a PIN is keyed on the shop’s own pad only.',
  },
  {
    key: 'model',
    type: 'choice',
    default: 'generic',
    choices: ['generic'],
    help: 'What the pads speak; generic is docs/protocols/pin-pad.md, and there is no other yet.',
  },
] as const;

export const modemOptions = [
  pathsRow(
    'GSM modems that carry the messages of the host beside this box, by their lasting names: /dev/serial/by-id/usb-…. Not together with host.smppHost.',
  ),
  {
    key: 'baud',
    type: 'integer',
    default: 115_200,
    min: 1_200,
    max: 921_600,
    unit: 'baud',
    help: 'Speed of the serial lines, 8 data bits, no parity, 1 stop bit.',
  },
] as const;

export const relayOptions = [
  pathsRow(
    'The relay board that opens a gate or a cash drawer, on a serial line, by its lasting name: /dev/serial/by-id/usb-…. One only.',
  ),
  baudRow('Speed of the board’s line, 8 data bits, no parity, 1 stop bit.'),
  {
    key: 'board',
    type: 'choice',
    default: 'lcus',
    choices: ['lcus', 'kmtronic'],
    help: 'Which commands the board takes: lcus (A0, relay, state, sum: the common boards with a CH340) or kmtronic (FF, relay, state).',
  },
  { key: 'channel', type: 'integer', default: 1, min: 1, max: 8, help: 'The relay of the board, counted from 1.' },
  {
    key: 'pulseMs',
    type: 'integer',
    default: 500,
    min: 50,
    max: 10_000,
    unit: 'ms',
    help: 'How long the relay is on. A sale that ends meanwhile does not switch it on a second time.',
  },
  {
    key: 'opensOn',
    type: 'choice',
    default: 'never',
    choices: ['never', 'accepted', 'sales', 'coupons'],
    help: 'Which sales switch it on, once each, behind their last commit. accepted: every accepted one, voids and refunds too (a cash drawer). sales: accepted ones but voids and refunds (a gate). coupons: those that a coupon paid (a gate with coupons as tickets). never: by hand only, device test.',
  },
] as const;
