/**
 * Options of the box and its sales, as rows for the configuration schema. Data only.
 */
export const terminalOptions = [
  {
    key: 'category',
    type: 'text',
    default: 'retail',
    help: 'Consumption category of this shop where no product says one, like dining or retail.',
  },
  {
    key: 'typedPointsClerks',
    type: 'list',
    default: [],
    help: 'Clerks who may type points by hand instead of by the rule; ["*"] for all, empty for none.',
  },
  {
    key: 'scannerSells',
    type: 'boolean',
    default: true,
    help: 'May products and command barcodes from the scanner make a sale without a till?',
  },
  { key: 'scannerClerk', type: 'text', default: 'scanner', help: 'The clerk named on sales that the scanner started.' },
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
