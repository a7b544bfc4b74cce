/** Shows what each credential may do in each situation, written out by hand beside the table that judges. */
import t from 'tap';
import {
  isProvenOffline,
  isStrongEnough,
  needs,
  type OfflineProof,
  type Operation,
  offlineProofs,
  type Situation,
} from './assurance.js';
import type { Credential } from './record.js';

const hex = (bytes: number): string => 'a5'.repeat(bytes);
const credentials: Readonly<Record<string, Credential>> = {
  code: { method: 'memberCode', code: 'SLM0000000000000' },
  phone: { method: 'phoneNumber', number: '13800000000' },
  uid: { method: 'tagUid', tagId: hex(8) },
  screen: { method: 'screenCode', code: 'SLR123456789461192462' },
  pass: { method: 'walletPass', wallet: 'apple', passId: hex(8), answer: hex(16), answeredAtMs: 1 },
  sealed: { method: 'sealedPass', issuer: 'pass.a', answer: hex(16), sealed: hex(60) },
  tag: { method: 'sunTag', address: 'https://a.example/' },
  tap: {
    ...{ method: 'tap', key: 'member', keyId: hex(8), terminalNonce: hex(16), phoneNonce: hex(16) },
    ...{ counter: 1, proof: hex(16) },
  },
};

t.test('who may do what, with the host, where the merchant opted in, and without the host', (t) => {
  const may: Readonly<Record<Operation, Readonly<Record<Exclude<Situation, 'maybe'>, string>>>> = {
    identify: {
      online: 'code phone uid screen pass sealed tag tap',
      optedIn: 'code phone uid screen pass sealed tag tap',
      offline: 'code phone uid screen pass sealed tag tap',
    },
    earnPoints: {
      online: 'code phone uid screen pass sealed tag tap',
      optedIn: 'code phone uid screen pass sealed tag tap',
      offline: 'code phone uid screen pass sealed tag tap',
    },
    spendPoints: { online: 'tap', optedIn: 'screen pass sealed tag tap', offline: 'tap' },
    hostCoupon: { online: 'tap', optedIn: 'screen pass sealed tag tap', offline: 'tap' },
    topUpHost: {
      online: 'code phone uid screen pass sealed tag tap',
      optedIn: 'code phone uid screen pass sealed tag tap',
      offline: '',
    },
    cardCoupon: { online: 'tap', optedIn: 'tap', offline: 'tap' },
    topUpCard: { online: 'tap', optedIn: 'tap', offline: '' },
    inquire: { online: 'screen pass sealed tag tap', optedIn: 'screen pass sealed tag tap', offline: '' },
  };
  for (const operation of Object.keys(needs) as Operation[])
    for (const situation of ['online', 'optedIn', 'offline'] as const) {
      const able = Object.entries(credentials).filter(([, each]) => isStrongEnough(operation, each, situation));
      t.equal(able.map(([name]) => name).join(' '), may[operation][situation], `${operation} ${situation}`);
    }
  t.end();
});

t.test('by what a tap must be verified at a box without its host', (t) => {
  const all: readonly OfflineProof[] = ['credential', 'localKey', 'siteKey'];
  const sets = Array.from({ length: 8 }, (_, bits) => all.filter((_each, at) => ((bits >> at) & 1) === 1));
  const good = (operation: keyof typeof offlineProofs, only: boolean): string =>
    sets
      .filter((proofs) => isProvenOffline(operation, proofs, only))
      .map((proofs) => proofs.map(([letter]) => letter).join(''))
      .join(' ');
  const every = ' c l cl s cs ls cls';
  t.same([good('earnPoints', false), good('earnPoints', true)], [every, every]);
  for (const operation of ['spendPoints', 'hostCoupon'] as const)
    t.same([good(operation, false), good(operation, true)], ['c l cl cs ls cls', 'c cl cs cls'], operation);
  t.same([good('cardCoupon', false), good('cardCoupon', true)], ['s cs ls cls', 'cs cls']);
  t.same(
    Object.keys(offlineProofs).filter((operation) => needs[operation as Operation].offline === null),
    [],
  );
  t.end();
});
