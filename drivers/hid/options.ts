/**
 * Options of barcode scanners in HID POS mode, as rows for the configuration schema. Data only.
 */
export const hidOptions = [
  {
    key: 'enabled',
    type: 'boolean',
    default: true,
    help: 'Look for USB barcode scanners in HID POS mode. Keyboards, and scanners that pretend to be one, are never opened.',
  },
  {
    key: 'devices',
    type: 'list',
    default: [],
    help: 'Use only these scanners, each as vendor:product or vendor:product:serial in hex as `status` on the console shows them, like 0c2e:0b87:S1234. Empty: every scanner in HID POS mode.',
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
] as const;
