/**
 * Options of the box and its sales, and of taps and wallet passes, as rows for the configuration schema. Data only.
 */
export const terminalOptions = [
  {
    key: 'category',
    type: 'text',
    default: 'retail',
    form: { pattern: /^[^\p{Cc}\p{Zl}\p{Zp}]{1,32}$/u, says: '1 to 32 characters' },
    help: 'Consumption category of this shop where no product says one, like dining or retail.',
  },
  {
    key: 'typedPointsClerks',
    type: 'list',
    default: [],
    form: { pattern: /^[^\p{Cc}\p{Zl}\p{Zp}]{1,32}$/u, says: '1 to 32 characters' },
    help: 'Clerks who may type points by hand instead of by the rule; ["*"] for all, empty for none.',
  },
  {
    key: 'topUpClerks',
    type: 'list',
    default: [],
    form: { pattern: /^[^\p{Cc}\p{Zl}\p{Zp}]{1,32}$/u, says: '1 to 32 characters' },
    help: 'Clerks who may take money for coupons and pay it back; ["*"] for all, empty for none.',
  },
  {
    key: 'tapInquiry',
    type: 'boolean',
    default: true,
    help: 'Does a phone, pass or secure tag on the reader, or a rotating code at the scanner, show the member’s balances while no sale is open? Only with the host; on the customer’s display, at the till and on the phone.',
  },
  {
    key: 'scannerSells',
    type: 'boolean',
    default: true,
    help: 'May products and command barcodes from the scanner make a sale without a till?',
  },
  {
    key: 'scannerUndoes',
    type: 'boolean',
    default: false,
    help: 'May command barcodes void and refund? Anybody who can show a code to the scanner could: only where customers cannot reach it.',
  },
  {
    key: 'scannerClerk',
    type: 'text',
    default: 'scanner',
    form: { pattern: /^[^\p{Cc}\p{Zl}\p{Zp}]{1,32}$/u, says: '1 to 32 characters' },
    help: 'The clerk named on sales that the scanner started.',
  },
  {
    key: 'expiredRefused',
    type: 'boolean',
    default: true,
    help: 'Is an item whose symbol says that its use-by date (AI 17) is past kept out of the basket? A till’s `scan` event names the date either way.',
  },
  {
    key: 'weighedForms',
    type: 'list',
    default: [],
    form: {
      pattern: /^(?=.{13}$)2[0-9]I+X?V+C$/,
      says: '13 characters: prefix 20 to 29, I for the article, X for a digit not read, V for the price in minor units, C',
    },
    help: 'Forms of the labels that this shop’s scales print, like 21IIIIIVVVVVC. The catalogue lists such an article as prefix and I digits (2112345); its price is the label’s.',
  },
  {
    key: 'credentialTimeoutMs',
    type: 'integer',
    default: 60_000,
    min: 1_000,
    max: 600_000,
    unit: 'ms',
    help: 'How long a sale waits for the member to tap or show a code.',
  },
  {
    key: 'authorisationTimeoutMs',
    type: 'integer',
    default: 5_000,
    min: 500,
    max: 60_000,
    unit: 'ms',
    help: 'How long the host may take to decide a spend; then it is reversed.',
  },
  {
    key: 'balanceTimeoutMs',
    type: 'integer',
    default: 1_500,
    min: 0,
    max: 10_000,
    unit: 'ms',
    help: 'How long an accepted earn waits for the new balance before the receipt says that it follows.',
  },
  {
    key: 'cardAgainTimeoutMs',
    type: 'integer',
    default: 60_000,
    min: 1_000,
    max: 600_000,
    unit: 'ms',
    help: 'How long a phone that left in mid-write is waited for.',
  },
  {
    key: 'siteDailyMaxMinor',
    type: 'integer',
    default: 20_000,
    min: 0,
    max: 1_000_000_000,
    unit: 'minor units',
    help: 'Most that one card may pay offline in a day where this box holds the site key; 0: nothing.',
  },
] as const;

export const tagOptions = [
  {
    key: 'originality',
    type: 'choice',
    default: 'off',
    choices: ['off', 'report', 'require'],
    help: 'Whether the chip of an NTAG21x is asked for NXP’s signature, on readers that can (ACR122U). report: with one more command, and `follow` and tills are told; require: a Type 2 tag whose signature fails or cannot be read here is no credential. Not tried on hardware.',
  },
] as const;

const passTypeForm = { pattern: /^[\x21-\x7e]{1,128}$/, says: '1 to 128 printable ASCII characters without spaces' };
const pathForm = { pattern: /^\/[^\p{Cc}]+$/u, says: 'a path from /' };

export const walletOptions = [
  {
    key: 'tapOrder',
    type: 'list',
    default: ['application', 'vas', 'smartTap'],
    form: { pattern: /^(application|vas|smartTap|tag)$/, says: 'application, vas, smartTap or tag' },
    help: 'What a phone or card on the reader is asked for, in this order; the first that answers is taken. application: the member application; vas: Apple Wallet; smartTap: Google Wallet; tag: NFC tags of members (NTAG 424, NTAG21x), best named last.',
  },
  {
    key: 'passTypeIds',
    type: 'list',
    default: [],
    form: passTypeForm,
    help: 'Apple pass type ids to ask for, at most 8, the likeliest first; empty: Apple Wallet is not asked.',
  },
  {
    key: 'passKeyFiles',
    type: 'list',
    default: [],
    form: pathForm,
    help: 'Private keys (PEM, P-256, mode 0600) that Apple passes are sealed for. Empty: the box holds the sealed answer back for its host, which has the keys (host.walletKeyFiles).',
  },
  {
    key: 'passMode',
    type: 'choice',
    default: 'vasOnly',
    choices: ['vasOnly', 'vasAndPayment', 'vasOrPayment'],
    help: 'What an iPhone is told about this reader: passes only, a pass and then a payment, or either.',
  },
  {
    key: 'signUpUrl',
    type: 'text',
    default: '',
    form: { pattern: /^https:\/\/[\x21-\x7e]{1,56}$/, says: 'an https address of at most 64 characters' },
    help: 'Address of the signed sign-up document that an iPhone without the pass is offered; empty: none.',
  },
  {
    key: 'collectorId',
    type: 'integer',
    default: 0,
    min: 0,
    max: 4_294_967_295,
    help: 'Collector id for Google Wallet as Google gave it; 0: Google Wallet is not asked.',
  },
  {
    key: 'collectorKeyFile',
    type: 'text',
    default: '',
    form: pathForm,
    help: 'Private key (PEM, P-256, mode 0600) whose public half is registered for the collector id. Empty: the host has it (host.collectorKeyFile), signs each session in mid-tap and opens what the phone says; Google Wallet is then not asked without the host.',
  },
  {
    key: 'collectorKeyVersion',
    type: 'integer',
    default: 1,
    min: 0,
    max: 4_294_967_295,
    help: 'Version under which that key is registered with Google; the host’s own where the host has the key.',
  },
  {
    key: 'hostSignatureMs',
    type: 'integer',
    default: 500,
    min: 100,
    max: 1_500,
    unit: 'ms',
    help: 'Without a collector key here: how long a phone in the field waits for the host’s signature. Past it Google Wallet is not asked in that tap.',
  },
  {
    key: 'tagAddresses',
    type: 'list',
    default: [],
    form: { pattern: /^https?:\/\/[\x21-\x7e]{1,200}$/, says: 'the beginning of a web address' },
    help: 'What the addresses on secure tags (NTAG 424) begin with, up to the question mark at the best. The host proves them (host.tagKeyFiles); any other tag is known by the member code on it or its UID.',
  },
] as const;
