/**
 * Options of USB barcode scanners in HID POS mode and in keyboard mode, as rows for the configuration schema. Data only.
 */
const identity = {
  pattern: /^[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:[^\p{Cc}]+)?$/u,
  says: 'vendor:product or vendor:product:serial in hex',
} as const;

export const hidOptions = [
  {
    key: 'enabled',
    type: 'boolean',
    default: true,
    help: 'Look for USB barcode scanners in HID POS mode. Keyboards, and scanners that pretend to be one, are never opened unless `keyboards` names them.',
  },
  {
    key: 'devices',
    type: 'list',
    default: [],
    help: 'Use only these scanners, each as vendor:product or vendor:product:serial in hex as `device list` on the console shows them, like 0c2e:0b87:S1234. Empty: every scanner in HID POS mode.',
  },
  {
    key: 'ignoredDevices',
    type: 'list',
    default: [],
    help: 'Scanners never opened, written like devices; wins over them.',
  },
  {
    key: 'idleGapMs',
    type: 'integer',
    default: 100,
    min: 10,
    max: 2_000,
    unit: 'ms',
    help: 'A long code whose rest does not follow for so long is dropped; half a code is never used.',
  },
  {
    key: 'keyboards',
    type: 'list',
    default: [],
    form: identity,
    help: 'Scanners that type as a keyboard, written like devices. They are taken from the rest of the system: what a person types on a keyboard named here is lost.',
  },
  {
    key: 'keyboardLayout',
    type: 'choice',
    default: 'us',
    choices: ['us', 'de', 'fr'],
    help: 'The national layout that scanners in keyboard mode were set to.',
  },
  {
    key: 'keyboardEnd',
    type: 'choice',
    default: 'enter',
    choices: ['enter', 'tab', 'gap'],
    help: 'The key behind each code of a scanner in keyboard mode; gap: none, a code ends when nothing follows for keyboardGapMs.',
  },
  {
    key: 'keyboardGapMs',
    type: 'integer',
    default: 150,
    min: 20,
    max: 2_000,
    unit: 'ms',
    help: 'Longest silence between two keys of one code.',
  },
  {
    key: 'keyboardPrefixes',
    type: 'list',
    default: [],
    help: 'Texts that scanners in keyboard mode put before a code, taken off. AIM identifiers such as ]C1 need no line: they are always known and taken off.',
  },
  {
    key: 'keyboardSuffixes',
    type: 'list',
    default: [],
    help: 'Texts that scanners in keyboard mode put behind a code, before the end key, taken off.',
  },
] as const;

/** Magnetic stripe readers. */
export const stripeReaderOptions = [
  {
    key: 'enabled',
    type: 'boolean',
    default: true,
    help: 'Look for USB magnetic stripe readers that are no keyboard (usage page 8E, or MagTek’s own). What they read is never recorded or logged.',
  },
  {
    key: 'devices',
    type: 'list',
    default: [],
    form: identity,
    help: 'Use only these readers, each as vendor:product or vendor:product:serial. Empty: every one.',
  },
] as const;

/** Numeric keypads. */
export const keypadOptions = [
  {
    key: 'devices',
    type: 'list',
    default: [],
    form: identity,
    help: 'USB keypads whose numbers the box takes, each as vendor:product or vendor:product:serial. They are taken from the rest of the system, like scanners in keyboard mode.',
  },
  {
    key: 'gapMs',
    type: 'integer',
    default: 10_000,
    min: 1_000,
    max: 60_000,
    unit: 'ms',
    help: 'A number without Enter is forgotten when no key follows for so long.',
  },
] as const;
