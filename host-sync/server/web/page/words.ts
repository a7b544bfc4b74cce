/**
 * Every word of the member's pages in both languages, and how amounts and times are written. Text only.
 */
export type Language = 'zh' | 'en';

const words = {
  zh: {
    title: '会员',
    phone: '手机号',
    sendCode: '获取验证码',
    codeSent: '如果该号码是会员，验证码已发送，5 分钟内有效。',
    code: '验证码（6 位数字）',
    logIn: '登录',
    logOut: '退出登录',
    points: '积分',
    reserved: '处理中',
    owed: '待扣',
    tier: '等级',
    memberships: '我的会员卡',
    memberCode: '会员码',
    showCode: '出示',
    close: '关闭',
    coupons: '优惠券',
    noCoupons: '暂无优惠券',
    onCard: '在手机卡中',
    blocked: '已停用',
    expired: '已过期',
    used: '已用完',
    until: '有效期至',
    only: '仅限',
    offers: '优惠活动',
    noOffers: '暂无优惠活动',
    statement: '积分明细',
    noLines: '暂无明细',
    offline: '离线，显示的是',
    offlineOf: '的数据',
    language: 'English',
    refresh: '刷新',
    showAtTill: '请在收银台出示',
  },
  en: {
    title: 'Member',
    phone: 'Phone number',
    sendCode: 'Send me a code',
    codeSent: 'If this number is a member’s, a code was sent. It is valid for 5 minutes.',
    code: 'Code (6 digits)',
    logIn: 'Log in',
    logOut: 'Log out',
    points: 'Points',
    reserved: 'reserved',
    owed: 'owed',
    tier: 'Tier',
    memberships: 'My memberships',
    memberCode: 'Member code',
    showCode: 'Show',
    close: 'Close',
    coupons: 'Coupons',
    noCoupons: 'No coupons yet',
    onCard: 'on the card in the phone',
    blocked: 'blocked',
    expired: 'expired',
    used: 'used up',
    until: 'until',
    only: 'only for',
    offers: 'Offers',
    noOffers: 'No offers at present',
    statement: 'Points statement',
    noLines: 'No movements yet',
    offline: 'Offline: as of',
    offlineOf: '',
    language: '中文',
    refresh: 'Refresh',
    showAtTill: 'Show this at the till',
  },
} as const satisfies Record<Language, Record<string, string>>;
export type Words = { readonly [Name in keyof (typeof words)['en']]: string };
export const wordsOf = (language: Language): Words => words[language];

/** Refusals by the host's code, and what to do. */
const refusals: Readonly<Record<string, readonly [string, string]>> = {
  'access.denied': ['验证码不正确或已失效，请重新获取。', 'The code is wrong or no longer valid. Ask for another one.'],
  'access.rateLimited': ['操作过于频繁，请一分钟后再试。', 'Too many tries. Wait a minute and try again.'],
  'input.malformed': ['请检查输入的号码。', 'Check the number you typed.'],
  offline: ['网络不可用，请稍后再试。', 'No network. Try again later.'],
};
const unknownRefusal = ['暂时无法处理，请稍后再试。', 'This did not work. Try again later.'] as const;
export const refusalText = (code: string, language: Language): string =>
  (refusals[code] ?? unknownRefusal)[language === 'zh' ? 0 : 1];

const causes: Readonly<Record<string, readonly [string, string]>> = {
  earn: ['获得', 'earned'],
  spend: ['使用', 'spent'],
  spendLate: ['使用', 'spent'],
  timeOut: ['退回', 'returned'],
  refund: ['退款', 'refund'],
  void: ['撤销', 'void'],
  reversal: ['冲正', 'reversed'],
  expiry: ['过期', 'expired'],
  reserve: ['预留', 'reserved'],
  grant: ['离线额度', 'set aside for offline use'],
  release: ['离线额度退回', 'set aside, returned'],
};
/** What moved points, and at which partner of the merchant; the host's own word where there is no other. */
export function causeText(cause: string, partner: string | null, language: Language): string {
  const text = causes[cause]?.[language === 'zh' ? 0 : 1] ?? cause;
  if (partner === null) return text;
  return language === 'zh' ? `在${partner}${text}` : `${text} at ${partner}`;
}

const exponents: Readonly<Record<string, number>> = { JPY: 0, KWD: 3 };
/** `CNY 200.00` of 20000: by digits, never through a fraction. */
export function amountText(minor: number, currency: string): string {
  const exponent = exponents[currency] ?? 2;
  const digits = String(minor).padStart(exponent + 1, '0');
  const whole = digits.slice(0, digits.length - exponent);
  const text = exponent === 0 ? whole : `${whole}.${digits.slice(-exponent)}`;
  return `${currency === 'CNY' ? '¥' : `${currency} `}${text}`;
}

const two = (value: number): string => String(value).padStart(2, '0');
export function dayText(atMs: number): string {
  const at = new Date(atMs);
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
}
export function timeText(atMs: number): string {
  const at = new Date(atMs);
  return `${dayText(atMs)} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
