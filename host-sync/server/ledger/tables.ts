/**
 * The host's tables as data: columns with their kinds, and which columns can be looked up. Row types follow from them.
 * Pure; engines read it to load and write rows. Every table has one text key `id`; no engine's dialect may appear here.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';

interface ColumnOf<Kind extends 'text' | 'integer' | 'bytes', Nullable extends boolean, Value> {
  readonly kind: Kind;
  readonly nullable: Nullable;
  /** Never set: carries the type only. */
  readonly value?: Value;
}
export type Column = ColumnOf<'text' | 'integer' | 'bytes', boolean, unknown>;

const text = { kind: 'text', nullable: false } as ColumnOf<'text', false, string>;
const textOrNull = { kind: 'text', nullable: true } as ColumnOf<'text', true, string>;
const integer = { kind: 'integer', nullable: false } as ColumnOf<'integer', false, number>;
const integerOrNull = { kind: 'integer', nullable: true } as ColumnOf<'integer', true, number>;
const bytes = { kind: 'bytes', nullable: false } as ColumnOf<'bytes', false, Bytes>;
/** Text that is one of these words. */
const oneOf = <const Words extends readonly string[]>(..._words: Words): ColumnOf<'text', false, Words[number]> => ({
  kind: 'text',
  nullable: false,
});

export const tables = {
  /** Merchant, realm, policy, versions: small named JSON values. */
  setting: { columns: { id: text, value: text }, lookups: [] },
  terminal: {
    columns: {
      id: text,
      name: text,
      state: oneOf('active', 'quarantined', 'revoked'),
      /** Why it is not active; empty while it is. */
      reason: text,
      epoch: integer,
      /** When that epoch began; 0 for the first. */
      epochRaisedAtMs: integer,
      /** SHA-256 of the current certificate in hex; null until one is issued. */
      fingerprint: textOrNull,
      certificateEndsMs: integerOrNull,
      enrolledAtMs: integer,
      quarantinedCount: integer,
      /** JSON list of its certified public keys (SPKI in hex), the newest first: releases are signed with them. */
      publicKeys: text,
      /** Records of it that have a final answer here, of all epochs. */
      recordsHeld: integer,
      /** Counts what changed for this terminal alone; with the host's own count it makes the directives' version. */
      directivesVersion: integer,
      /** JSON list of public keys (SPKI in hex) of boxes that another has replaced: they reach nothing any more. */
      retiredKeys: text,
      /** The record of it that was answered last: a box that names another which is not here knows a later host than this. */
      newestRecord: textOrNull,
      /** Whose counter it stands on; empty: the host's own merchant. */
      merchantId: text,
    },
    lookups: [],
  },
  /** One-time codes; the id is the SHA-256 of the code in hex. `replaces`: the terminal whose place the new box takes. */
  enrolmentCode: {
    columns: { id: text, name: text, expiresAtMs: integer, usedBy: textOrNull, replaces: textOrNull },
    lookups: [],
  },
  /** Wrong codes per place they came from. */
  enrolmentAttempt: { columns: { id: text, failures: integer, lockedUntilMs: integer }, lookups: [] },
  /** One unbroken run of a terminal's chain; id is terminal/epoch/first. The run that starts at 1 is the watermark. */
  span: {
    columns: {
      id: text,
      terminalId: text,
      epoch: integer,
      first: integer,
      last: integer,
      /** Hash that the first record says it follows, and the hash of the last, in hex. */
      firstPrevious: text,
      lastHash: text,
      /** terminal/epoch/last. */
      endKey: text,
      /** terminal/lastHash. */
      hashKey: text,
    },
    lookups: ['endKey', 'hashKey'],
  },
  /** Every record with its final answer; id is the transaction's. */
  record: {
    columns: {
      id: text,
      terminalId: text,
      /** terminal/epoch/sequence, unique; null where an unreadable body had no place. */
      position: textOrNull,
      digest: text,
      kind: text,
      /** key name:key id:counter of a verified tap, unique; null without one. */
      tap: textOrNull,
      outcome: oneOf('accepted', 'refused'),
      /** The answer's JSON text as it was given. */
      answer: text,
      postedAtMs: integer,
      /** The transaction that it completes, undoes or pays out; null: none. */
      original: textOrNull,
    },
    lookups: ['position', 'tap'],
  },
  /** A reversal that came before its original; id is the original's transaction. */
  tombstone: { columns: { id: text, terminalId: text, reversal: text, atMs: integer }, lookups: [] },
  /** A record that was put off for another that had not come; id is its own transaction. Gone with its final answer. */
  waiting: { columns: { id: text, sinceMs: integer }, lookups: [] },
  /** What void, refund, completion and time-out need of an accepted transaction; id is its record's. */
  sale: {
    columns: {
      id: text,
      kind: oneOf(
        'plainSale',
        'pointsEarn',
        'pointsSpend',
        'couponDeduct',
        'cardDebit',
        'cardCredit',
        'topUp',
        'topUpVoid',
        'cardTopUp',
        'cardTopUpVoid',
      ),
      terminalId: text,
      memberId: textOrNull,
      couponId: textOrNull,
      currency: text,
      totalMinor: integer,
      /** Earn: points posted with bonus. Spend: points that pay. */
      points: integer,
      /** Earn by rule: the rule's version, and the tier's multiplier in basis points; typed points have no version. */
      rulesVersion: integerOrNull,
      tierBasisPoints: integer,
      coveredMinor: integer,
      /** Correction due that the card's write takes along. */
      correctionMinor: integer,
      /** Of a cardCredit, topUpVoid or cardTopUpVoid: the sale it gives back, and whether it did so itself. */
      originalId: textOrNull,
      originalRefundMinor: integer,
      /** reserved: held; pending: the card alone knows; accepted: posted; the rest are ends. */
      state: oneOf('reserved', 'pending', 'accepted', 'timedOut', 'reversed', 'voided'),
      refundedMinor: integer,
      /**
       * Points or minor units already undone by refunds. Of a cardTopUp: what of it is not paid in, or not any more; 0 once
       * its money is due to the card or on it.
       */
      undone: integer,
      /** When the reservation falls back; null where none is open. */
      expiresAtMs: integerOrNull,
      /** Of what it covered: borne by the merchant, since it could not be taken. Of a pointsSpend: in points. */
      riskMinor: integer,
      /** The card's counter that the debit or credit writes; null without a card. */
      cardCounter: integerOrNull,
      /** 1 once the card is known to hold the write. */
      cardWritten: integer,
      atMs: integer,
      /** Of a pointsSpend that a partner's points pay in part: whose membership, under which agreement's version. */
      partnerMemberId: textOrNull,
      agreementId: textOrNull,
      /** Points of the partner taken for it, and how many of the sale's own points those pay. */
      partnerPoints: integer,
      partnerShare: integer,
      /** Of a cardTopUp: its coupon, by which all top-ups of a card are found. */
      topUpOf: textOrNull,
    },
    lookups: ['topUpOf'],
  },
  /** The merchants beside the host's own, and the host's own under the id that phones know it by. */
  merchant: {
    columns: { id: text, name: text, location: text, createdAtMs: integer },
    lookups: [],
  },
  /** One version of what two merchants agreed: the issuer's points pay at the acceptor. id is issuer/acceptor/version. */
  agreement: {
    columns: {
      id: text,
      issuer: text,
      acceptor: text,
      version: integer,
      /** The rate: so many of the issuer's points for so many of the acceptor's. */
      issuerPoints: integer,
      acceptorPoints: integer,
      validFromMs: integer,
      /** From then on it pays nothing; null: until it is ended. */
      validToMs: integerOrNull,
      /** Most of the acceptor's points that it pays on one day; null: no limit. */
      dailyPointsMax: integerOrNull,
      /** The day counted now (days since 1970 in the policy's offset), and what was reserved on it. */
      day: integer,
      dayPoints: integer,
      state: oneOf('offered', 'confirmed', 'ended'),
      /** The merchant that offered it; the other one confirms. */
      offeredBy: text,
      offeredAtMs: integer,
      confirmedAtMs: integerOrNull,
      endedAtMs: integerOrNull,
      /** JSON: the persons who offered, confirmed and ended it. */
      persons: text,
      /** acceptor while it is confirmed and not ended. */
      openAcceptor: textOrNull,
    },
    lookups: ['openAcceptor'],
  },
  /** What two merchants owe each other in all, and what of it is settled; id is first/second, in order. */
  clearing: {
    columns: {
      id: text,
      items: integer,
      /** Time of the newest item; times of items never go back. */
      lastAtMs: integer,
      /** Where the first issued the points: the second's points paid, of those given back, and points of the first taken. */
      firstDue: integer,
      firstBack: integer,
      firstTaken: integer,
      secondDue: integer,
      secondBack: integer,
      secondTaken: integer,
      settledUntilMs: integer,
      settledFirstDue: integer,
      settledFirstBack: integer,
      settledSecondDue: integer,
      settledSecondBack: integer,
    },
    lookups: [],
  },
  /** Immutable; one line of both merchants' statements. id is first/second/time/ordinal. Totals are those behind it. */
  clearingItem: {
    columns: {
      id: text,
      ordinal: integer,
      issuer: text,
      acceptor: text,
      agreementId: text,
      entry: text,
      sale: text,
      cause: text,
      /** Points of the issuer taken, negative: given back; and the acceptor's points that they paid. */
      issuerPoints: integer,
      acceptorPoints: integer,
      firstDue: integer,
      firstBack: integer,
      firstTaken: integer,
      secondDue: integer,
      secondBack: integer,
      secondTaken: integer,
      atMs: integer,
    },
    lookups: [],
  },
  /** Immutable; id is first/second/until. Totals are all that is settled up to it. */
  settlement: {
    columns: {
      id: text,
      fromMs: integer,
      untilMs: integer,
      /** What each of the two owes the other for this period; negative: more was given back than paid. */
      firstOwes: integer,
      secondOwes: integer,
      settledFirst: integer,
      settledSecond: integer,
      settledBy: text,
      atMs: integer,
    },
    lookups: [],
  },
  member: {
    columns: {
      /** The member code: SLM and 13 digits. */
      id: text,
      phone: text,
      name: text,
      /** Points earned in all, less what was taken back; decides the tier. */
      earnedPoints: integer,
      registeredAtMs: integer,
      /** Whose member; empty: the host's own merchant's. One person has a row for each merchant, under one number. */
      merchantId: text,
    },
    lookups: ['phone'],
  },
  /** A member's business ids: keys of phones and cards, passes in wallets, tags; id is the key id in hex. */
  memberKey: {
    columns: {
      id: text,
      memberId: text,
      state: oneOf('active', 'blocked'),
      blockedAtMs: integerOrNull,
      /** The key as the vault wrapped it; empty for passes and tags, which the host holds no key of their own for. */
      wrapped: bytes,
      registeredAtMs: integer,
      /** Each is taken only where it is presented as what it is. */
      kind: oneOf('phone', 'pass', 'tag'),
      /** The phone's own P-256 key, compressed, which a credential names; empty: it cannot sign. */
      publicKey: bytes,
      /** The credential that was made for it last; empty: none. */
      credential: bytes,
      /** When its phone was found to have signed for a proof that is none, and was blocked for it; null: never, or let in again since. */
      misusedAtMs: integerOrNull,
    },
    lookups: ['memberId'],
  },
  coupon: {
    columns: {
      /** SLC and 13 digits. */
      id: text,
      /** Only one holder, ever. */
      holder: oneOf('host', 'card'),
      memberId: textOrNull,
      /** memberId while a host-held coupon may still pay; null afterwards, so that old ones cost nothing. */
      openMember: textOrNull,
      cardKeyId: textOrNull,
      currency: text,
      initialMinor: integer,
      expiresAtMs: integerOrNull,
      /** When its rest may be written off; null when it has been or never will. */
      sweepAtMs: integerOrNull,
      limitCategory: textOrNull,
      /** JSON list of product codes; null: not limited to products. */
      limitProducts: textOrNull,
      state: oneOf('active', 'blocked'),
      /** Counter of the card's record that the mirror stands at; 0 for a host-held one. */
      cardCounter: integer,
      /** The debit or credit that is authorised but not yet known to be written or not. */
      pendingSale: textOrNull,
      issuedAtMs: integer,
    },
    lookups: ['openMember', 'cardKeyId', 'memberId'],
  },
  /** A key or coupon that is blocked; id begins with when it was, so that the newest are found first. */
  block: { columns: { id: text, subject: text }, lookups: ['subject'] },
  /** Which transaction a record of a card names as its writer, once seen; id is coupon/counter. */
  cardWriter: { columns: { id: text, transactionId: text }, lookups: [] },
  /** An authorised write with a correction of which nobody can tell yet whether it was made; id is coupon/counter. */
  cardDoubt: { columns: { id: text, saleId: text, amountMinor: integer }, lookups: [] },
  /** A slice of a member's points or of a host-held coupon, moved into an account of one terminal. */
  allowance: {
    columns: {
      id: text,
      terminalId: text,
      /** terminalId while the terminal may spend it; null once it is asked back, so that old ones cost nothing. */
      openTerminal: textOrNull,
      memberId: textOrNull,
      couponId: textOrNull,
      /** memberId or couponId / terminalId while open: one at a time for each. */
      openHolder: textOrNull,
      unit: text,
      amount: integer,
      grantedAtMs: integer,
      expiresAtMs: integer,
      /** open: the terminal has it. released: it gave the rest back. writtenOff: a person took it back without its word. */
      state: oneOf('open', 'released', 'writtenOff'),
      /** What came back by release or write-off. */
      returned: integer,
      endedAtMs: integerOrNull,
      /** Who wrote it off; null otherwise. */
      endedBy: textOrNull,
      /** terminalId until it is released or written off. */
      heldBy: textOrNull,
    },
    lookups: ['openTerminal', 'openHolder', 'memberId', 'couponId', 'heldBy'],
  },
  account: {
    columns: {
      id: text,
      unit: text,
      side: oneOf('debit', 'credit'),
      /** On the normal side; never negative, by a constraint of every store. */
      balance: integer,
      /** How many lines it has. */
      lines: integer,
    },
    lookups: [],
  },
  /** Immutable. */
  entry: { columns: { id: text, cause: text, record: textOrNull, atMs: integer }, lookups: [] },
  /** Immutable; id is account#ordinal, so that a statement is a range of ids. */
  line: {
    columns: {
      id: text,
      entry: text,
      account: text,
      unit: text,
      /** Debit positive, credit negative. */
      amount: integer,
      balanceAfter: integer,
      atMs: integer,
    },
    lookups: [],
  },
  rules: {
    columns: { id: text, version: integer, value: text, validFromMs: integer, validToMs: integerOrNull },
    lookups: [],
  },
  catalogueVersion: {
    columns: {
      id: text,
      version: integer,
      publishedAtMs: integer,
      replacedAtMs: integerOrNull,
      products: integer,
      /** JSON list of the product codes that this version changed or took away; null where they were too many. */
      codes: textOrNull,
    },
    lookups: [],
  },
  /** The current catalogue; id is the product's code. */
  product: {
    columns: { id: text, name: text, priceMinor: integer, category: text, sinceVersion: integer },
    lookups: [],
  },
  /** What a product was from a version on; only changes. id is code@version. */
  productHistory: {
    columns: { id: text, code: text, version: integer, priceMinor: integerOrNull, category: text },
    lookups: ['code'],
  },
  /** One per sale; id is the sale's transaction. */
  consumption: {
    columns: {
      id: text,
      record: text,
      memberId: textOrNull,
      businessId: textOrNull,
      terminalId: text,
      amountMinor: integer,
      currency: text,
      category: text,
      location: text,
      merchant: text,
      atMs: integer,
      clockDoubtful: integer,
    },
    lookups: ['memberId', 'businessId', 'terminalId'],
  },
  /** Running sums; id is member/month/category/currency. */
  consumptionMonth: {
    columns: {
      id: text,
      memberId: text,
      month: text,
      category: text,
      currency: text,
      count: integer,
      amountMinor: integer,
    },
    lookups: ['memberId'],
  },
  deadLetter: {
    columns: {
      /** The body's SHA-256 in hex. */
      id: text,
      terminalId: text,
      transactionId: text,
      kind: text,
      code: text,
      detail: text,
      body: bytes,
      /** What the record was worth: minor units with currency, and points; null where it could not be read. */
      worthMinor: integerOrNull,
      currency: textOrNull,
      worthPoints: integerOrNull,
      atMs: integer,
      standing: oneOf('open', 'settled'),
      settledAtMs: integerOrNull,
      settledBy: textOrNull,
      note: textOrNull,
    },
    lookups: ['terminalId', 'standing'],
  },
  /** Records of a terminal that is held; id is the body's SHA-256 in hex. */
  quarantine: {
    columns: { id: text, terminalId: text, body: bytes, previousHash: text, atMs: integer },
    lookups: ['terminalId'],
  },
  /** One row per thing that happened, with a count; id begins with its first time, so that ids sort by it. */
  alarm: {
    columns: {
      id: text,
      /** code/terminal/subject: what makes two alarms the same. */
      sameness: text,
      code: text,
      terminalId: textOrNull,
      subject: text,
      detail: text,
      count: integer,
      firstAtMs: integer,
      lastAtMs: integer,
    },
    lookups: ['terminalId', 'sameness'],
  },
  /** The code that a member was last sent for the member's pages; id is the member's. */
  pageLogin: {
    columns: {
      id: text,
      /** SHA-256 of member, salt and code in hex. */
      codeHash: text,
      salt: text,
      expiresAtMs: integer,
      /** Wrong codes given for it. */
      failures: integer,
      /** Messages sent since `countedFromMs`. */
      sent: integer,
      countedFromMs: integer,
    },
    lookups: [],
  },
  /** An open session of the member's pages; id is the SHA-256 of its token in hex. */
  pageSession: {
    columns: { id: text, memberId: text, handle: text, openedAtMs: integer, expiresAtMs: integer },
    lookups: ['memberId'],
  },
  /** Seed of the rotating codes that a session's page shows; id is their handle. */
  screenKey: {
    columns: {
      id: text,
      memberId: text,
      /** The seed as the vault wrapped it. */
      wrapped: bytes,
      /** When its session ends. What was shown before still earns. */
      endsAtMs: integer,
    },
    lookups: ['memberId'],
  },
  /** The highest counter that a secure tag was met with; id is the tag's. */
  tag: {
    columns: {
      id: text,
      counter: integer,
      /** When that was, by the clock that its sale was made by. */
      atMs: integer,
      /** Lower counters taken since, of sales that had been made before. */
      lateUses: integer,
    },
    lookups: [],
  },
  /**
   * What inquiries have used up. Of a tap: key name:key id, with the highest counter asked with; of a pass or rotating code: its
   * key as in a record's `tap`.
   */
  inquiryUse: {
    columns: { id: text, memberId: text, terminalId: text, counter: integer, atMs: integer },
    lookups: ['memberId'],
  },
  /** What the merchant offers members from a tier on; id sorts by when it was published. */
  offer: {
    columns: {
      id: text,
      title: text,
      text: text,
      /** Points earned in all from which on a member sees it. */
      earnedPointsMin: integer,
      publishedAtMs: integer,
      expiresAtMs: integer,
      withdrawnAtMs: integerOrNull,
    },
    lookups: [],
  },
  /** The newest content package of a member's phone, and what is known of its journey; id is the member's. */
  phonePackage: {
    columns: {
      id: text,
      /** Of this package; 0: none was made yet. Rises with each. */
      version: integer,
      kind: oneOf('full', 'erase'),
      /** Which phone's key it is sealed for. */
      keyId: text,
      /** As it is cut into messages; empty: none was made yet. */
      sealed: bytes,
      /** SHA-256 of its content without the version, in hex: the same again needs no other. */
      contentHash: text,
      /** due: to be made. sent: on its way. confirmed: the phone has it. kept: not erased, its card holds money. stalled: given up. */
      state: oneOf('due', 'sent', 'confirmed', 'kept', 'stalled'),
      /** `open` while something is to be done by itself, `renew` while nothing but a renewal is; null otherwise. */
      open: textOrNull,
      /** Parts to be sent now: bit n − 1 stands for part n. */
      toSend: integer,
      /** Messages sent for this version, and of those reminders without a word from the phone. */
      messages: integer,
      reminders: integer,
      lastSentAtMs: integer,
      /** When another one is to be made; null: not. */
      dueAtMs: integerOrNull,
      madeAtMs: integer,
      /** The newest version that the phone said it has, and when; 0: none. */
      haveVersion: integer,
      haveAtMs: integerOrNull,
      /** When its credential wants to be renewed; null: it has none, or is not renewed by itself. */
      renewAtMs: integerOrNull,
    },
    lookups: ['open'],
  },
  /** Keys of the site, wrapped by the vault. */
  secret: { columns: { id: text, wrapped: bytes }, lookups: [] },
} as const;

export type TableName = keyof typeof tables;
type ValueOf<C> =
  C extends ColumnOf<'text' | 'integer' | 'bytes', infer Nullable, infer Value>
    ? Nullable extends true
      ? Value | null
      : Value
    : never;
type RowOf<T extends TableName> = {
  readonly [Name in keyof (typeof tables)[T]['columns']]: ValueOf<(typeof tables)[T]['columns'][Name]>;
};
/** The row type of each table. */
export type Rows = { readonly [T in TableName]: RowOf<T> };
export type Row<T extends TableName> = Rows[T];
/** Columns of a table that can be looked up by equality. */
export type Lookup<T extends TableName> = (typeof tables)[T]['lookups'][number];
/** Columns by which due rows are found. */
export interface DueColumns {
  readonly sale: 'expiresAtMs';
  readonly coupon: 'sweepAtMs';
}

/** Tables whose rows are written once and never changed. */
export const immutableTables: readonly TableName[] = ['entry', 'line', 'clearingItem', 'settlement'];
/** Most rows that one value of a lookup loads, those of the highest ids; a plan that needs more must page. */
export const lookupRowsMax = 256;
