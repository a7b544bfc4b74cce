/**
 * Options of the technician console, as rows for the configuration schema. Data only.
 */
export const consoleOptions = [
  {
    key: 'serialPath',
    type: 'text',
    default: '',
    form: { pattern: /^\/[^\p{Cc}]+$/u, says: 'a path from /' },
    help: 'Serial line of the technician console, like /dev/serial/by-id/usb-…; empty: none.',
  },
  {
    key: 'serialBaud',
    type: 'integer',
    default: 115_200,
    min: 1_200,
    max: 921_600,
    unit: 'baud',
    help: 'Speed of that serial line, 8 data bits, no parity, 1 stop bit.',
  },
  {
    key: 'socket',
    type: 'boolean',
    default: true,
    help: 'Open console.sock in the data folder for scripts/console; only the user that runs the box may open it.',
  },
  {
    key: 'idleMinutes',
    type: 'integer',
    default: 10,
    min: 1,
    max: 240,
    unit: 'minutes',
    help: 'A technician who types nothing for so long is logged out.',
  },
  {
    key: 'language',
    type: 'choice',
    default: 'en',
    choices: ['en', 'zh'],
    help: 'Language of tables and prompts until the technician chooses; refusals are shown in both.',
  },
] as const;
