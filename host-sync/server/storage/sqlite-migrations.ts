/**
 * Migrations of the embedded host's SQLite file, in order; each is applied once and never edited after a release.
 * Must only hold SQL. Constraints here are the last line: what they refuse is a bug above.
 */

/** Marks the file as ours (PRAGMA application_id): "SHLH". */
export const applicationId = 0x53484c48;

const first = `
CREATE TABLE setting (id TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE secret (id TEXT NOT NULL PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE terminal (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'quarantined', 'revoked')),
  reason TEXT NOT NULL,
  epoch INTEGER NOT NULL CHECK (epoch >= 1),
  epochRaisedAtMs INTEGER NOT NULL,
  fingerprint TEXT,
  certificateEndsMs INTEGER,
  enrolledAtMs INTEGER NOT NULL,
  quarantinedCount INTEGER NOT NULL CHECK (quarantinedCount >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE enrolmentCode (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  expiresAtMs INTEGER NOT NULL,
  usedBy TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE enrolmentAttempt (
  id TEXT NOT NULL PRIMARY KEY,
  failures INTEGER NOT NULL,
  lockedUntilMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE span (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  epoch INTEGER NOT NULL,
  first INTEGER NOT NULL CHECK (first >= 1),
  last INTEGER NOT NULL CHECK (last >= first),
  firstPrevious TEXT NOT NULL,
  lastHash TEXT NOT NULL,
  endKey TEXT NOT NULL,
  hashKey TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spanByEnd ON span (endKey);
CREATE INDEX spanByHash ON span (hashKey);

CREATE TABLE record (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  position TEXT,
  digest TEXT NOT NULL,
  kind TEXT NOT NULL,
  tap TEXT,
  outcome TEXT NOT NULL CHECK (outcome IN ('accepted', 'refused')),
  answer TEXT NOT NULL,
  postedAtMs INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX recordByPosition ON record (position) WHERE position IS NOT NULL;
CREATE UNIQUE INDEX recordByTap ON record (tap) WHERE tap IS NOT NULL;
CREATE TABLE tombstone (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  reversal TEXT NOT NULL,
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sale (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('plainSale', 'pointsEarn', 'pointsSpend', 'couponDeduct', 'cardDebit', 'cardCredit')),
  terminalId TEXT NOT NULL,
  memberId TEXT,
  couponId TEXT,
  currency TEXT NOT NULL,
  totalMinor INTEGER NOT NULL CHECK (totalMinor >= 0),
  points INTEGER NOT NULL CHECK (points >= 0),
  rulesVersion INTEGER,
  tierBasisPoints INTEGER NOT NULL,
  coveredMinor INTEGER NOT NULL CHECK (coveredMinor >= 0),
  correctionMinor INTEGER NOT NULL CHECK (correctionMinor >= 0),
  originalId TEXT,
  originalRefundMinor INTEGER NOT NULL CHECK (originalRefundMinor >= 0),
  state TEXT NOT NULL CHECK (state IN ('reserved', 'pending', 'accepted', 'timedOut', 'reversed', 'voided')),
  refundedMinor INTEGER NOT NULL CHECK (refundedMinor >= 0 AND refundedMinor <= totalMinor),
  undone INTEGER NOT NULL CHECK (undone >= 0),
  expiresAtMs INTEGER,
  riskMinor INTEGER NOT NULL CHECK (riskMinor >= 0),
  cardCounter INTEGER,
  cardWritten INTEGER NOT NULL CHECK (cardWritten IN (0, 1)),
  atMs INTEGER NOT NULL
) STRICT;
CREATE INDEX saleByExpiry ON sale (expiresAtMs) WHERE expiresAtMs IS NOT NULL;

CREATE TABLE member (
  id TEXT NOT NULL PRIMARY KEY,
  phone TEXT NOT NULL,
  name TEXT NOT NULL,
  earnedPoints INTEGER NOT NULL CHECK (earnedPoints >= 0),
  registeredAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX memberByPhone ON member (phone);
CREATE TABLE memberKey (
  id TEXT NOT NULL PRIMARY KEY,
  memberId TEXT NOT NULL REFERENCES member (id) DEFERRABLE INITIALLY DEFERRED,
  state TEXT NOT NULL CHECK (state IN ('active', 'blocked')),
  blockedAtMs INTEGER,
  wrapped BLOB NOT NULL,
  registeredAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX memberKeyByMember ON memberKey (memberId);

CREATE TABLE coupon (
  id TEXT NOT NULL PRIMARY KEY,
  holder TEXT NOT NULL CHECK (holder IN ('host', 'card')),
  memberId TEXT REFERENCES member (id) DEFERRABLE INITIALLY DEFERRED,
  openMember TEXT,
  cardKeyId TEXT,
  currency TEXT NOT NULL,
  initialMinor INTEGER NOT NULL CHECK (initialMinor >= 1),
  expiresAtMs INTEGER,
  sweepAtMs INTEGER,
  limitCategory TEXT,
  limitProducts TEXT,
  state TEXT NOT NULL CHECK (state IN ('active', 'blocked')),
  cardCounter INTEGER NOT NULL CHECK (cardCounter >= 0),
  pendingSale TEXT,
  issuedAtMs INTEGER NOT NULL,
  CHECK ((holder = 'card') = (cardKeyId IS NOT NULL))
) STRICT;
CREATE INDEX couponByMember ON coupon (memberId) WHERE memberId IS NOT NULL;
CREATE INDEX couponByOpenMember ON coupon (openMember) WHERE openMember IS NOT NULL;
CREATE UNIQUE INDEX couponByCard ON coupon (cardKeyId) WHERE cardKeyId IS NOT NULL;
CREATE INDEX couponBySweep ON coupon (sweepAtMs) WHERE sweepAtMs IS NOT NULL;
CREATE TRIGGER couponKeepsItsHolder BEFORE UPDATE OF holder ON coupon WHEN new.holder <> old.holder
  BEGIN SELECT RAISE(ABORT, 'a coupon has one holder'); END;

CREATE TABLE account (
  id TEXT NOT NULL PRIMARY KEY,
  unit TEXT NOT NULL,
  side TEXT NOT NULL CHECK (side IN ('debit', 'credit')),
  balance INTEGER NOT NULL CHECK (balance >= 0),
  lines INTEGER NOT NULL CHECK (lines >= 0)
) STRICT, WITHOUT ROWID;
CREATE TABLE entry (
  id TEXT NOT NULL PRIMARY KEY,
  cause TEXT NOT NULL,
  record TEXT,
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE line (
  id TEXT NOT NULL PRIMARY KEY,
  entry TEXT NOT NULL REFERENCES entry (id) DEFERRABLE INITIALLY DEFERRED,
  account TEXT NOT NULL REFERENCES account (id) DEFERRABLE INITIALLY DEFERRED,
  unit TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount <> 0),
  balanceAfter INTEGER NOT NULL CHECK (balanceAfter >= 0),
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER entryIsImmutable BEFORE UPDATE ON entry BEGIN SELECT RAISE(ABORT, 'an entry is immutable'); END;
CREATE TRIGGER entryStays BEFORE DELETE ON entry BEGIN SELECT RAISE(ABORT, 'an entry is immutable'); END;
CREATE TRIGGER lineIsImmutable BEFORE UPDATE ON line BEGIN SELECT RAISE(ABORT, 'a line is immutable'); END;
CREATE TRIGGER lineStays BEFORE DELETE ON line BEGIN SELECT RAISE(ABORT, 'a line is immutable'); END;

CREATE TABLE rules (
  id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  value TEXT NOT NULL,
  validFromMs INTEGER NOT NULL,
  validToMs INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE catalogueVersion (
  id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL,
  publishedAtMs INTEGER NOT NULL,
  replacedAtMs INTEGER,
  products INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE product (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  priceMinor INTEGER NOT NULL CHECK (priceMinor >= 0),
  category TEXT NOT NULL,
  sinceVersion INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE productHistory (
  id TEXT NOT NULL PRIMARY KEY,
  code TEXT NOT NULL,
  version INTEGER NOT NULL,
  priceMinor INTEGER CHECK (priceMinor >= 0),
  category TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX productHistoryByCode ON productHistory (code);

CREATE TABLE consumption (
  id TEXT NOT NULL PRIMARY KEY,
  record TEXT NOT NULL,
  memberId TEXT,
  businessId TEXT,
  terminalId TEXT NOT NULL,
  amountMinor INTEGER NOT NULL CHECK (amountMinor >= 0),
  currency TEXT NOT NULL,
  category TEXT NOT NULL,
  location TEXT NOT NULL,
  merchant TEXT NOT NULL,
  atMs INTEGER NOT NULL,
  clockDoubtful INTEGER NOT NULL CHECK (clockDoubtful IN (0, 1))
) STRICT;
CREATE INDEX consumptionByMember ON consumption (memberId, id) WHERE memberId IS NOT NULL;
CREATE INDEX consumptionByBusinessId ON consumption (businessId, id) WHERE businessId IS NOT NULL;
CREATE INDEX consumptionByTerminal ON consumption (terminalId, id);
CREATE TABLE consumptionMonth (
  id TEXT NOT NULL PRIMARY KEY,
  memberId TEXT NOT NULL,
  month TEXT NOT NULL,
  category TEXT NOT NULL,
  currency TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 0),
  amountMinor INTEGER NOT NULL CHECK (amountMinor >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX consumptionMonthByMember ON consumptionMonth (memberId, id);

CREATE TABLE deadLetter (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  transactionId TEXT NOT NULL,
  kind TEXT NOT NULL,
  code TEXT NOT NULL,
  detail TEXT NOT NULL,
  body BLOB NOT NULL,
  worthMinor INTEGER,
  currency TEXT,
  worthPoints INTEGER,
  atMs INTEGER NOT NULL,
  standing TEXT NOT NULL CHECK (standing IN ('open', 'settled')),
  settledAtMs INTEGER,
  settledBy TEXT,
  note TEXT
) STRICT;
CREATE INDEX deadLetterByTerminal ON deadLetter (terminalId, id);
CREATE INDEX deadLetterByStanding ON deadLetter (standing, id);
CREATE TABLE quarantine (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  body BLOB NOT NULL,
  previousHash TEXT NOT NULL,
  atMs INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantineByTerminal ON quarantine (terminalId, id);
CREATE TABLE alarm (
  id TEXT NOT NULL PRIMARY KEY,
  sameness TEXT NOT NULL,
  code TEXT NOT NULL,
  terminalId TEXT,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  count INTEGER NOT NULL CHECK (count >= 1),
  firstAtMs INTEGER NOT NULL,
  lastAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX alarmBySameness ON alarm (sameness);
CREATE INDEX alarmByTerminal ON alarm (terminalId, id) WHERE terminalId IS NOT NULL;
`;

const second = `
CREATE TABLE cardWriter (
  id TEXT NOT NULL PRIMARY KEY,
  transactionId TEXT NOT NULL
) STRICT, WITHOUT ROWID;
`;

const third = `
CREATE TABLE cardDoubt (
  id TEXT NOT NULL PRIMARY KEY,
  saleId TEXT NOT NULL,
  amountMinor INTEGER NOT NULL CHECK (amountMinor >= 1)
) STRICT, WITHOUT ROWID;
`;

const fourth = `
ALTER TABLE catalogueVersion ADD COLUMN codes TEXT;
ALTER TABLE terminal ADD COLUMN publicKeys TEXT NOT NULL DEFAULT '[]';
ALTER TABLE terminal ADD COLUMN recordsHeld INTEGER NOT NULL DEFAULT 0 CHECK (recordsHeld >= 0);
ALTER TABLE terminal ADD COLUMN directivesVersion INTEGER NOT NULL DEFAULT 0 CHECK (directivesVersion >= 0);
UPDATE terminal SET recordsHeld = (SELECT count(*) FROM record WHERE record.terminalId = terminal.id);
CREATE TABLE allowance (
  id TEXT NOT NULL PRIMARY KEY,
  terminalId TEXT NOT NULL,
  openTerminal TEXT,
  memberId TEXT,
  couponId TEXT,
  openHolder TEXT,
  unit TEXT NOT NULL,
  amount INTEGER NOT NULL CHECK (amount >= 1),
  grantedAtMs INTEGER NOT NULL,
  expiresAtMs INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'released', 'writtenOff')),
  returned INTEGER NOT NULL CHECK (returned >= 0 AND returned <= amount),
  endedAtMs INTEGER,
  endedBy TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX allowanceByTerminal ON allowance (openTerminal, id) WHERE openTerminal IS NOT NULL;
CREATE UNIQUE INDEX allowanceByHolder ON allowance (openHolder) WHERE openHolder IS NOT NULL;
CREATE INDEX allowanceByMember ON allowance (memberId, id) WHERE memberId IS NOT NULL;
CREATE INDEX allowanceByCoupon ON allowance (couponId, id) WHERE couponId IS NOT NULL;
CREATE INDEX memberKeyBlocked ON memberKey (state, id);
CREATE INDEX couponBlocked ON coupon (state, id);
`;

const fifth = `
ALTER TABLE terminal ADD COLUMN retiredKeys TEXT NOT NULL DEFAULT '[]';
ALTER TABLE enrolmentCode ADD COLUMN replaces TEXT;
ALTER TABLE allowance ADD COLUMN heldBy TEXT;
UPDATE allowance SET heldBy = terminalId WHERE state = 'open';
CREATE INDEX allowanceByHeld ON allowance (heldBy, id) WHERE heldBy IS NOT NULL;
`;

const sixth = `
CREATE TABLE pageLogin (
  id TEXT NOT NULL PRIMARY KEY,
  codeHash TEXT NOT NULL,
  salt TEXT NOT NULL,
  expiresAtMs INTEGER NOT NULL,
  failures INTEGER NOT NULL CHECK (failures >= 0),
  sent INTEGER NOT NULL CHECK (sent >= 0),
  countedFromMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pageSession (
  id TEXT NOT NULL PRIMARY KEY,
  memberId TEXT NOT NULL,
  handle TEXT NOT NULL,
  openedAtMs INTEGER NOT NULL,
  expiresAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX pageSessionByMember ON pageSession (memberId, id);
CREATE TABLE screenKey (
  id TEXT NOT NULL PRIMARY KEY,
  memberId TEXT NOT NULL,
  wrapped BLOB NOT NULL,
  endsAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX screenKeyByMember ON screenKey (memberId, id);
CREATE TABLE offer (
  id TEXT NOT NULL PRIMARY KEY,
  title TEXT NOT NULL,
  text TEXT NOT NULL,
  earnedPointsMin INTEGER NOT NULL CHECK (earnedPointsMin >= 0),
  publishedAtMs INTEGER NOT NULL,
  expiresAtMs INTEGER NOT NULL,
  withdrawnAtMs INTEGER
) STRICT, WITHOUT ROWID;
`;

const seventh = 'ALTER TABLE terminal ADD COLUMN newestRecord TEXT;';

const eighth = `
CREATE TABLE tag (
  id TEXT NOT NULL PRIMARY KEY,
  counter INTEGER NOT NULL CHECK (counter >= 0),
  atMs INTEGER NOT NULL,
  lateUses INTEGER NOT NULL CHECK (lateUses >= 0)
) STRICT, WITHOUT ROWID;
`;

// Which of the ids without a key are tags, is known of those whose message was seen. Any other tag stands as a pass, and
// counts again once it is bound as a tag.
const ninth = `
ALTER TABLE memberKey ADD COLUMN kind TEXT NOT NULL DEFAULT 'phone' CHECK (kind IN ('phone', 'pass', 'tag'));
UPDATE memberKey SET kind = CASE WHEN id IN (SELECT id FROM tag) THEN 'tag' ELSE 'pass' END WHERE length(wrapped) = 0;
`;

// A CHECK cannot be changed in place: the table is copied, with the kinds of top-ups added.
const tenth = `
CREATE TABLE saleOfMoreKinds (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('plainSale', 'pointsEarn', 'pointsSpend', 'couponDeduct', 'cardDebit', 'cardCredit', 'topUp', 'topUpVoid')),
  terminalId TEXT NOT NULL,
  memberId TEXT,
  couponId TEXT,
  currency TEXT NOT NULL,
  totalMinor INTEGER NOT NULL CHECK (totalMinor >= 0),
  points INTEGER NOT NULL CHECK (points >= 0),
  rulesVersion INTEGER,
  tierBasisPoints INTEGER NOT NULL,
  coveredMinor INTEGER NOT NULL CHECK (coveredMinor >= 0),
  correctionMinor INTEGER NOT NULL CHECK (correctionMinor >= 0),
  originalId TEXT,
  originalRefundMinor INTEGER NOT NULL CHECK (originalRefundMinor >= 0),
  state TEXT NOT NULL CHECK (state IN ('reserved', 'pending', 'accepted', 'timedOut', 'reversed', 'voided')),
  refundedMinor INTEGER NOT NULL CHECK (refundedMinor >= 0 AND refundedMinor <= totalMinor),
  undone INTEGER NOT NULL CHECK (undone >= 0),
  expiresAtMs INTEGER,
  riskMinor INTEGER NOT NULL CHECK (riskMinor >= 0),
  cardCounter INTEGER,
  cardWritten INTEGER NOT NULL CHECK (cardWritten IN (0, 1)),
  atMs INTEGER NOT NULL
) STRICT;
INSERT INTO saleOfMoreKinds SELECT * FROM sale;
DROP TABLE sale;
ALTER TABLE saleOfMoreKinds RENAME TO sale;
CREATE INDEX saleByExpiry ON sale (expiresAtMs) WHERE expiresAtMs IS NOT NULL;
`;

const eleventh = `
CREATE TABLE inquiryUse (
  id TEXT NOT NULL PRIMARY KEY,
  memberId TEXT NOT NULL,
  terminalId TEXT NOT NULL,
  counter INTEGER NOT NULL CHECK (counter >= 0),
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX inquiryUseByMember ON inquiryUse (memberId, id);
`;

const twelfth = `
ALTER TABLE terminal ADD COLUMN merchantId TEXT NOT NULL DEFAULT '';
ALTER TABLE member ADD COLUMN merchantId TEXT NOT NULL DEFAULT '';
DROP INDEX memberByPhone;
CREATE UNIQUE INDEX memberByPhone ON member (phone, merchantId);
ALTER TABLE sale ADD COLUMN partnerMemberId TEXT REFERENCES member (id) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE sale ADD COLUMN agreementId TEXT;
ALTER TABLE sale ADD COLUMN partnerPoints INTEGER NOT NULL DEFAULT 0 CHECK (partnerPoints >= 0);
ALTER TABLE sale ADD COLUMN partnerShare INTEGER NOT NULL DEFAULT 0 CHECK (partnerShare >= 0 AND partnerShare <= points);
CREATE TABLE merchant (
  id TEXT NOT NULL PRIMARY KEY,
  name TEXT NOT NULL,
  location TEXT NOT NULL,
  createdAtMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE agreement (
  id TEXT NOT NULL PRIMARY KEY,
  issuer TEXT NOT NULL,
  acceptor TEXT NOT NULL CHECK (acceptor <> issuer),
  version INTEGER NOT NULL CHECK (version >= 1),
  issuerPoints INTEGER NOT NULL CHECK (issuerPoints >= 1),
  acceptorPoints INTEGER NOT NULL CHECK (acceptorPoints >= 1),
  validFromMs INTEGER NOT NULL,
  validToMs INTEGER,
  dailyPointsMax INTEGER,
  day INTEGER NOT NULL,
  dayPoints INTEGER NOT NULL CHECK (dayPoints >= 0),
  state TEXT NOT NULL CHECK (state IN ('offered', 'confirmed', 'ended')),
  offeredBy TEXT NOT NULL,
  offeredAtMs INTEGER NOT NULL,
  confirmedAtMs INTEGER,
  endedAtMs INTEGER,
  persons TEXT NOT NULL,
  openAcceptor TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX agreementByAcceptor ON agreement (openAcceptor, id) WHERE openAcceptor IS NOT NULL;
CREATE TABLE clearing (
  id TEXT NOT NULL PRIMARY KEY,
  items INTEGER NOT NULL CHECK (items >= 0),
  lastAtMs INTEGER NOT NULL,
  firstDue INTEGER NOT NULL CHECK (firstDue >= firstBack),
  firstBack INTEGER NOT NULL CHECK (firstBack >= 0),
  firstTaken INTEGER NOT NULL CHECK (firstTaken >= 0),
  secondDue INTEGER NOT NULL CHECK (secondDue >= secondBack),
  secondBack INTEGER NOT NULL CHECK (secondBack >= 0),
  secondTaken INTEGER NOT NULL CHECK (secondTaken >= 0),
  settledUntilMs INTEGER NOT NULL,
  settledFirstDue INTEGER NOT NULL CHECK (settledFirstDue BETWEEN 0 AND firstDue),
  settledFirstBack INTEGER NOT NULL CHECK (settledFirstBack BETWEEN 0 AND firstBack),
  settledSecondDue INTEGER NOT NULL CHECK (settledSecondDue BETWEEN 0 AND secondDue),
  settledSecondBack INTEGER NOT NULL CHECK (settledSecondBack BETWEEN 0 AND secondBack)
) STRICT, WITHOUT ROWID;
CREATE TABLE clearingItem (
  id TEXT NOT NULL PRIMARY KEY,
  ordinal INTEGER NOT NULL CHECK (ordinal >= 1),
  issuer TEXT NOT NULL,
  acceptor TEXT NOT NULL,
  agreementId TEXT NOT NULL REFERENCES agreement (id) DEFERRABLE INITIALLY DEFERRED,
  entry TEXT NOT NULL REFERENCES entry (id) DEFERRABLE INITIALLY DEFERRED,
  sale TEXT NOT NULL,
  cause TEXT NOT NULL,
  issuerPoints INTEGER NOT NULL,
  acceptorPoints INTEGER NOT NULL,
  firstDue INTEGER NOT NULL,
  firstBack INTEGER NOT NULL,
  firstTaken INTEGER NOT NULL,
  secondDue INTEGER NOT NULL,
  secondBack INTEGER NOT NULL,
  secondTaken INTEGER NOT NULL,
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE settlement (
  id TEXT NOT NULL PRIMARY KEY,
  fromMs INTEGER NOT NULL,
  untilMs INTEGER NOT NULL CHECK (untilMs > fromMs),
  firstOwes INTEGER NOT NULL,
  secondOwes INTEGER NOT NULL,
  settledFirst INTEGER NOT NULL,
  settledSecond INTEGER NOT NULL,
  settledBy TEXT NOT NULL,
  atMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TRIGGER clearingItemStays BEFORE UPDATE ON clearingItem BEGIN SELECT RAISE(ABORT, 'immutable'); END;
CREATE TRIGGER clearingItemKept BEFORE DELETE ON clearingItem BEGIN SELECT RAISE(ABORT, 'immutable'); END;
CREATE TRIGGER settlementStays BEFORE UPDATE ON settlement BEGIN SELECT RAISE(ABORT, 'immutable'); END;
CREATE TRIGGER settlementKept BEFORE DELETE ON settlement BEGIN SELECT RAISE(ABORT, 'immutable'); END;
`;

const thirteenth = `
CREATE TABLE phonePackage (
  id TEXT NOT NULL PRIMARY KEY,
  version INTEGER NOT NULL CHECK (version >= 0),
  kind TEXT NOT NULL CHECK (kind IN ('full', 'erase')),
  keyId TEXT NOT NULL,
  sealed BLOB NOT NULL,
  contentHash TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('due', 'sent', 'confirmed', 'kept', 'stalled')),
  open TEXT,
  toSend INTEGER NOT NULL CHECK (toSend >= 0),
  messages INTEGER NOT NULL CHECK (messages >= 0),
  reminders INTEGER NOT NULL CHECK (reminders >= 0),
  lastSentAtMs INTEGER NOT NULL,
  dueAtMs INTEGER,
  madeAtMs INTEGER NOT NULL,
  haveVersion INTEGER NOT NULL CHECK (haveVersion >= 0),
  haveAtMs INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX phonePackageOpen ON phonePackage (open, id) WHERE open IS NOT NULL;
`;

const fourteenth = `
ALTER TABLE record ADD COLUMN original TEXT;
`;

const fifteenth = `
ALTER TABLE memberKey ADD COLUMN publicKey BLOB NOT NULL DEFAULT x'';
ALTER TABLE memberKey ADD COLUMN credential BLOB NOT NULL DEFAULT x'';
ALTER TABLE memberKey ADD COLUMN misusedAtMs INTEGER;
ALTER TABLE phonePackage ADD COLUMN renewAtMs INTEGER;
`;

// A CHECK cannot be changed in place: the table is copied once more, with the kinds of a card's top-ups added.
const sixteenth = `
CREATE TABLE saleOfMoreKinds (
  id TEXT NOT NULL PRIMARY KEY,
  kind TEXT NOT NULL CHECK (kind IN ('plainSale', 'pointsEarn', 'pointsSpend', 'couponDeduct', 'cardDebit', 'cardCredit', 'topUp', 'topUpVoid', 'cardTopUp', 'cardTopUpVoid')),
  terminalId TEXT NOT NULL,
  memberId TEXT,
  couponId TEXT,
  currency TEXT NOT NULL,
  totalMinor INTEGER NOT NULL CHECK (totalMinor >= 0),
  points INTEGER NOT NULL CHECK (points >= 0),
  rulesVersion INTEGER,
  tierBasisPoints INTEGER NOT NULL,
  coveredMinor INTEGER NOT NULL CHECK (coveredMinor >= 0),
  correctionMinor INTEGER NOT NULL CHECK (correctionMinor >= 0),
  originalId TEXT,
  originalRefundMinor INTEGER NOT NULL CHECK (originalRefundMinor >= 0),
  state TEXT NOT NULL CHECK (state IN ('reserved', 'pending', 'accepted', 'timedOut', 'reversed', 'voided')),
  refundedMinor INTEGER NOT NULL CHECK (refundedMinor >= 0 AND refundedMinor <= totalMinor),
  undone INTEGER NOT NULL CHECK (undone >= 0),
  expiresAtMs INTEGER,
  riskMinor INTEGER NOT NULL CHECK (riskMinor >= 0),
  cardCounter INTEGER,
  cardWritten INTEGER NOT NULL CHECK (cardWritten IN (0, 1)),
  atMs INTEGER NOT NULL,
  partnerMemberId TEXT REFERENCES member (id) DEFERRABLE INITIALLY DEFERRED,
  agreementId TEXT,
  partnerPoints INTEGER NOT NULL DEFAULT 0 CHECK (partnerPoints >= 0),
  partnerShare INTEGER NOT NULL DEFAULT 0 CHECK (partnerShare >= 0 AND partnerShare <= points)
) STRICT;
INSERT INTO saleOfMoreKinds SELECT * FROM sale;
DROP TABLE sale;
ALTER TABLE saleOfMoreKinds RENAME TO sale;
CREATE INDEX saleByExpiry ON sale (expiresAtMs) WHERE expiresAtMs IS NOT NULL;
`;

// A void in doubt holds its top-up also where no correction is in doubt with it.
const seventeenth = `
CREATE TABLE cardDoubtOfAny (
  id TEXT NOT NULL PRIMARY KEY,
  saleId TEXT NOT NULL,
  amountMinor INTEGER NOT NULL CHECK (amountMinor >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO cardDoubtOfAny SELECT * FROM cardDoubt;
DROP TABLE cardDoubt;
ALTER TABLE cardDoubtOfAny RENAME TO cardDoubt;
ALTER TABLE sale ADD COLUMN topUpOf TEXT;
UPDATE sale SET topUpOf = couponId WHERE kind = 'cardTopUp';
CREATE INDEX saleByTopUp ON sale (topUpOf, id) WHERE topUpOf IS NOT NULL;
`;

// Of coupons nobody noted when they were blocked: not before they were issued.
const eighteenth = `
CREATE TABLE block (
  id TEXT NOT NULL PRIMARY KEY,
  subject TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX blockBySubject ON block (subject);
INSERT INTO block SELECT printf('%015d', ifnull(blockedAtMs, registeredAtMs)) || '/' || id, id
  FROM memberKey WHERE state = 'blocked';
INSERT INTO block SELECT printf('%015d', issuedAtMs) || '/' || id, id FROM coupon WHERE state = 'blocked';
DROP INDEX memberKeyBlocked;
DROP INDEX couponBlocked;
`;

// Since when a record waits for another, by this host's clock: waiting has an end.
const nineteenth = `
CREATE TABLE waiting (
  id TEXT NOT NULL PRIMARY KEY,
  sinceMs INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`;

/** The schema's version is how many of these have been applied (PRAGMA user_version). */
export const migrations: readonly string[] = [
  first,
  second,
  third,
  fourth,
  fifth,
  sixth,
  seventh,
  eighth,
  ninth,
  tenth,
  eleventh,
  twelfth,
  thirteenth,
  fourteenth,
  fifteenth,
  sixteenth,
  seventeenth,
  eighteenth,
  nineteenth,
];
