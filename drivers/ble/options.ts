/**
 * Options of Bluetooth Low Energy devices, as rows for the configuration schema. Data only.
 */
const address = {
  pattern: /^[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){5}$/,
  says: 'six pairs of hex digits with colons',
} as const;

export const bleOptions = [
  {
    key: 'scanners',
    type: 'list',
    default: [],
    form: address,
    help: 'Barcode scanners over Bluetooth LE (Nordic UART service), by address, like c0:11:22:33:44:55; at most 8. `device list` on the console shows scanners that are near. Only these are connected: anybody can advertise a scanner.',
  },
  {
    key: 'adapter',
    type: 'text',
    default: '',
    form: {
      pattern: /^(onBoard|[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}(:[^\p{Cc}]{1,64})?)?$/u,
      says: 'vendor:product or vendor:product:serial in hex, onBoard, or nothing',
    },
    help: 'The Bluetooth adapter by its USB identity, like 0a12:0001, as the row `ble` of `device list` says it; onBoard: one that is not on USB, such as a Pi’s own; nothing: the first that the system lists. The box has it for itself: nothing else on this computer can use it meanwhile.',
  },
  {
    key: 'phones',
    type: 'boolean',
    default: false,
    help: 'Serve members’ phones over Bluetooth LE, beside or in place of a contactless reader.',
  },
  {
    key: 'phoneRssiMin',
    type: 'integer',
    default: -55,
    min: -100,
    max: 0,
    unit: 'dBm',
    help: 'A phone whose signal is weaker is not at the counter. About −50 is a hand’s breadth, −70 some metres; phones differ.',
  },
  {
    key: 'idleGapMs',
    type: 'integer',
    default: 300,
    min: 50,
    max: 5_000,
    unit: 'ms',
    help: 'A code without CR or LF is dropped when nothing follows for so long; half a code is never used.',
  },
  {
    key: 'gattTimeoutMs',
    type: 'integer',
    default: 5_000,
    min: 200,
    max: 30_000,
    unit: 'ms',
    help: 'Longest wait for any single step with a device: connecting, finding its service, subscribing, writing.',
  },
  {
    key: 'heartbeatMs',
    type: 'integer',
    default: 2_000,
    min: 200,
    max: 60_000,
    unit: 'ms',
    help: 'How often the Bluetooth process is asked whether it lives; after two missed answers it is replaced.',
  },
  {
    key: 'restartDelayMaxMs',
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    help: 'Longest pause before a Bluetooth process that failed again and again is started once more.',
  },
] as const;
