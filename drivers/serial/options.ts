/**
 * Options of barcode scanners on serial lines, as rows for the configuration schema. Data only.
 */
export const serialOptions = [
  {
    key: 'paths',
    type: 'list',
    default: [],
    form: { pattern: /^\/[^\p{Cc}]+$/u, says: 'a path from /' },
    help: 'Serial lines of scanners, by their lasting names: /dev/serial/by-id/usb-… (never /dev/ttyUSB0, which moves). Empty: every line whose scanner is known by vendor and product.',
  },
  { key: 'ignoredPaths', type: 'list', default: [], help: 'Lines never opened, where one only looks like a scanner.' },
  {
    key: 'baud',
    type: 'integer',
    default: 9_600,
    min: 1_200,
    max: 921_600,
    unit: 'baud',
    help: 'Speed of the scanner’s line, 8 data bits, no parity, 1 stop bit. USB scanners ignore it.',
  },
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
