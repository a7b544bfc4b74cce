/**
 * Command table: every console command with its words, its options and its help in both languages.
 * The grammar, the help and docs/console.md are made from it. Data only; must not act.
 */

/** `flag` stands alone; `text` takes the next word. */
export type OptionKind = 'flag' | 'text';

export interface CommandRow {
  readonly name: string;
  /** What follows the name, as a person writes it. */
  readonly usage: string;
  readonly options: Readonly<Record<string, OptionKind>>;
  /** Least and most words besides options. */
  readonly words: readonly [number, number];
  /** Short help, at most 40 columns, for the list. */
  readonly en: string;
  /** Short help, at most 24 columns. */
  readonly zh: string;
  /** Lines that `help <command>` adds, English and Chinese beside each other. */
  readonly more: readonly string[];
}

/** Most sale lines that fit a console line. */
export const saleWordsMax = 40;
/** Most rows that a list command shows. */
export const listRowsMax = 200;

export const commandTable = [
  {
    name: 'help',
    usage: '[command]',
    options: {},
    words: [0, 1],
    en: 'This list, or one command in full',
    zh: '帮助',
    more: [],
  },
  {
    name: 'status',
    usage: '[--json]',
    options: { json: 'flag' },
    words: [0, 0],
    en: 'The box at a glance',
    zh: '本机状态',
    more: [],
  },
  {
    name: 'device',
    usage: '[list | show NAME] [--json] | test NAME | disable NAME | enable NAME | record NAME FILE|stop',
    options: { json: 'flag' },
    words: [0, 3],
    en: 'Readers, scanners: see, test, record',
    zh: '设备查看、测试与录制',
    more: [
      'device list          all of them, and what is plugged in but not used  列表',
      'device show NAME     driver, identity, counters, last error            详情',
      'device test NAME     tap, scan; it prints, shows, switches, answers    测试',
      'device disable NAME  out of service, also after a restart              停用',
      'device enable NAME   back into service                                 启用',
      'device record NAME /new/file, then record NAME stop: what passes       录制',
      'A printer, display, relay or modem: record, then disable and enable, so that it begins with its line.',
      'What a scanner reads and a phone answers is in the file: use test codes, and keep it safe.',
      '录制文件含扫码内容及通信数据，请使用测试码并妥善保管。',
    ],
  },
  {
    name: 'queue',
    usage: '[n] [--json]',
    options: { json: 'flag' },
    words: [0, 1],
    en: 'What is unsent, why, what it is worth',
    zh: '待发队列及金额',
    more: [
      'Worth is in the currency of the records. A dead letter waits for a person.',
      '金额以记录货币计；死信需人工处理。',
    ],
  },
  {
    name: 'offline',
    usage: '[--json]',
    options: { json: 'flag' },
    words: [0, 0],
    en: 'What works without the host, its worth',
    zh: '离线能力及金额',
    more: ['Limits, allowances and the age of all that the box works by.', '离线限额、已分配额度及各数据的更新时间。'],
  },
  {
    name: 'allowance',
    usage: '<request | return> <SLM… | SLC… | id>',
    options: {},
    words: [2, 2],
    en: 'Ask for an allowance, or give one back',
    zh: '申请或退回离线额度',
    more: [
      "allowance request SLM…   check-in: slices of this member's points and coupons  会员签到",
      'allowance return ID      what is left goes back to the member                   退回余额',
    ],
  },
  {
    name: 'journal',
    usage: '[n] [--json]',
    options: { json: 'flag' },
    words: [0, 1],
    en: 'The newest journal entries',
    zh: '流水',
    more: [],
  },
  {
    name: 'sales',
    usage: '[n] [--json]',
    options: { json: 'flag' },
    words: [0, 1],
    en: 'The newest sales',
    zh: '交易列表',
    more: [],
  },
  {
    name: 'sale',
    usage: '<amount | code×n[@price]…> [plain | earn | spend N | coupon [CODE] | coupon-card] [options]',
    options: { ref: 'text', clerk: 'text', points: 'text', code: 'text', wait: 'flag' },
    words: [1, saleWordsMax],
    en: 'Start a sale',
    zh: '开始交易',
    more: [
      'sale 300.00 earn --wait            points for a bill of 300.00  消费积分累计',
      'sale 100.00 spend 500              500 points pay               积分抵扣',
      'sale 6901×2 "cake×1@9.90" coupon   the member\'s coupon pays    优惠券',
      '--ref R  your own reference; the same again finds the same sale    流水号',
      '--clerk NAME   --points N (typed, needs a right)   --code SLM…/SLC…/SLR… or phone number (instead of a tap)',
      '--wait  stay until it has ended; any key stops waiting             等待结束',
      'x or * may stand for ×. Without a service word the sale is plain.',
    ],
  },
  {
    name: 'wait',
    usage: '<ref | id>',
    options: {},
    words: [1, 1],
    en: 'Watch a sale until it has ended',
    zh: '等待交易结束',
    more: ['Any key stops waiting; the sale goes on.'],
  },
  {
    name: 'show',
    usage: '[sale] <ref | id> [--json]',
    options: { json: 'flag' },
    words: [1, 2],
    en: 'One sale',
    zh: '查看交易',
    more: [],
  },
  {
    name: 'cancel',
    usage: '[ref | id]',
    options: {},
    words: [0, 1],
    en: 'Cancel the open sale',
    zh: '取消交易',
    more: [],
  },
  {
    name: 'topup',
    usage: '<amount> [COUPON] [--code C] [--card] [--ref R] [--clerk NAME] [--wait]',
    options: { ref: 'text', clerk: 'text', code: 'text', card: 'flag', wait: 'flag' },
    words: [1, 2],
    en: 'Take money for a coupon, at the host or on the card',
    zh: '充值',
    more: [
      'topup 50.00 --wait            the member taps or shows a code; the only coupon is meant  充值',
      'topup 50.00 1234 --code SLM…  the coupon that ends in 1234, or its whole code            指定券',
      'topup 50.00 --card            the coupon on the card that is tapped                      卡内券',
      'Only with the host. Keep the money when it says accepted, or that a lost card gets it later; void pays it back.',
      '须联机；仅在显示成功或“下次刷卡入卡”时收款，撤销请用 void。',
    ],
  },
  {
    name: 'void',
    usage: '<ref | id> [--ref R] [--clerk NAME] [--wait]',
    options: { ref: 'text', clerk: 'text', wait: 'flag' },
    words: [1, 1],
    en: 'Undo a whole sale',
    zh: '撤销交易',
    more: [],
  },
  {
    name: 'refund',
    usage: '<ref | id> <amount> [--ref R] [--clerk NAME] [--wait]',
    options: { ref: 'text', clerk: 'text', wait: 'flag' },
    words: [2, 2],
    en: 'Give back a part of a sale',
    zh: '部分退款',
    more: [],
  },
  {
    name: 'receipt',
    usage: '<ref | id> [--print]',
    options: { print: 'flag' },
    words: [1, 1],
    en: 'The receipt again, marked COPY',
    zh: '重印小票（副本）',
    more: ['--print   on the printer instead of here  在打印机上打印'],
  },
  {
    name: 'sync',
    usage: '<now | watch>',
    options: {},
    words: [1, 1],
    en: 'Contact the host at once',
    zh: '立即同步',
    more: ['sync watch   with what is unsent as it becomes less; any key stops watching  显示发送进度'],
  },
  {
    name: 'follow',
    usage: '',
    options: {},
    words: [0, 0],
    en: 'Show events until a key is pressed',
    zh: '实时事件',
    more: [],
  },
  {
    name: 'audit',
    usage: '[n] [--json]',
    options: { json: 'flag' },
    words: [0, 1],
    en: 'Who did what at this box',
    zh: '审计记录',
    more: [],
  },
  {
    name: 'set-pin',
    usage: '',
    options: {},
    words: [0, 0],
    en: 'Change the PIN',
    zh: '修改密码',
    more: ['The PIN is asked for, never typed on the command line.', '密码另行输入，不写在命令中。'],
  },
  {
    name: 'backup',
    usage: '<file>',
    options: {},
    words: [1, 1],
    en: 'Copy the database to a new file',
    zh: '备份数据库',
    more: ['An absolute path on the box, like /var/backups/box.db.'],
  },
  {
    name: 'language',
    usage: '<en | zh>',
    options: {},
    words: [1, 1],
    en: 'Language of tables and prompts',
    zh: '语言',
    more: [],
  },
  {
    name: 'logout',
    usage: '',
    options: {},
    words: [0, 0],
    en: 'Log out (exit and Ctrl-D do the same)',
    zh: '退出',
    more: [],
  },
] as const satisfies readonly CommandRow[];

export type CommandName = (typeof commandTable)[number]['name'];

/** Other words for a command. */
export const commandAliases: Readonly<Record<string, CommandName>> = {
  exit: 'logout',
  quit: 'logout',
  '?': 'help',
  devices: 'device',
};

/** The row of a command or of its alias; null when there is none. */
export function commandRow(word: string): CommandRow | null {
  const name = Object.hasOwn(commandAliases, word) ? commandAliases[word] : word;
  return commandTable.find((row) => row.name === name) ?? null;
}
