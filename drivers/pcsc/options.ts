/**
 * Options of the PC/SC driver: rows of key, type, default and help, from which the configuration's schema is made.
 * Must not import the configuration, and must hold no value that a row does not describe.
 */

/** The driver's options as it reads them. Each field is one row of pcscOptions. */
export interface PcscOptions {
  readonly enabled: boolean;
  /** Parts of reader names, any case, from the beginning of a word; empty means every reader. */
  readonly names: readonly string[];
  /** Likewise; wins over `names`. */
  readonly ignoredNames: readonly string[];
  /** Likewise: slots for cards with contacts. */
  readonly contactSlots: readonly string[];
  readonly virtualReaders: boolean;
  readonly memberSignals: boolean;
  readonly walletPolling: boolean;
  readonly refuseTwoCards: boolean;
  readonly heartbeatMs: number;
  readonly answerGraceMs: number;
  readonly restartDelayMaxMs: number;
}

const namePart = { pattern: /\S/, says: 'a part of a reader’s name' } as const;

export const pcscOptions = [
  {
    key: 'enabled',
    type: 'boolean',
    default: true,
    help: 'Look for contactless readers through the PC/SC service (pcscd).',
  },
  {
    key: 'names',
    type: 'list',
    default: [],
    form: namePart,
    help: 'Use only readers whose name contains one of these texts (any case, from the beginning of a word). Empty: every reader. `device list` on the console shows the names.',
  },
  {
    key: 'ignoredNames',
    type: 'list',
    default: [],
    form: namePart,
    help: 'Never use readers whose name contains one of these texts (any case, from the beginning of a word), such as the slot for a SAM inside a reader.',
  },
  {
    key: 'contactSlots',
    type: 'list',
    default: [],
    form: namePart,
    help: 'Readers whose name contains one of these texts (any case, from the beginning of a word) are slots for bank cards with contacts: what is put in there is never taken for a phone, and never recorded. A combined reader has two names: name the half with contacts, such as ICC.',
  },
  {
    key: 'virtualReaders',
    type: 'boolean',
    default: false,
    help: 'Use virtual readers (Virtual PCD). For demonstrations and tests: any program on the box can pretend to be a card there.',
  },
  {
    key: 'memberSignals',
    type: 'boolean',
    default: true,
    help: 'Tell the member by the light and sound of readers that have them (ACR122U, ACR1252U, ACR1552U) to hold, to take the phone away, or to tap again.',
  },
  {
    key: 'walletPolling',
    type: 'boolean',
    default: false,
    help: 'Send Apple’s polling frame on readers that can (ACR122U), so that an iPhone shows the pass by itself; in the mode of wallet.passMode, where wallet.passTypeIds names a pass. Not tried on hardware.',
  },
  {
    key: 'refuseTwoCards',
    type: 'boolean',
    default: false,
    help: 'Ask readers that can count (ACR122U) how many cards lie in the field before one is talked to; two are refused. Costs one command a tap. Not tried on hardware; readers that present no card or only one when two lie there do so by themselves.',
  },
  {
    key: 'heartbeatMs',
    type: 'integer',
    default: 2000,
    min: 200,
    max: 60_000,
    unit: 'ms',
    help: 'How often the reader process is asked whether it lives; after two missed answers it is replaced.',
  },
  {
    key: 'answerGraceMs',
    type: 'integer',
    default: 1000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    help: 'How much longer than its time-out a command may stay in a reader before the reader process is replaced.',
  },
  {
    key: 'restartDelayMaxMs',
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    help: 'Longest pause before a reader process that failed again and again is started once more.',
  },
] as const;

export const pcscOptionsDefault = Object.fromEntries(
  pcscOptions.map((option) => [option.key, option.default]),
) as unknown as PcscOptions;
