/**
 * Defects: one mistake each, as somebody could make it in the shipped code, to show that the simulator finds it. Each is a
 * patch of the TypeScript source: `find` stands there exactly once. Must not be applied to anything but a copy.
 */

export interface Defect {
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** It is found within so many seeds, counted from 1. */
  readonly seeds: number;
  /** Events with faults in each; where 2,000 are too few to come to it. */
  readonly events?: number;
}

export const defects: readonly Defect[] = [
  {
    name: 'shown before it is stored',
    file: 'terminal/runtime/sale-runner.ts',
    find: '      this.ports.store.persist(sale, records, cause.atWallMs);\n',
    replace: '      queueMicrotask(() => this.ports.store.persist(sale, records, cause.atWallMs));\n',
    seeds: 20,
  },
  {
    name: 'a spend without an answer is not reversed',
    file: 'terminal/core/moves.ts',
    find: 'records: [reversalRecord(open.request, reason, at)],',
    replace: 'records: [],',
    seeds: 20,
  },
  {
    name: 'recovery takes an intent for a done sale',
    file: 'terminal/core/recovery.ts',
    find: "return endReversed({ ...open, credential }, at, 'interrupted', 'sale.interrupted');",
    replace: 'return endAccepted(open, at, credential, null, card, null);',
    seeds: 100,
  },
  {
    name: 'a card counts as written without having been read',
    file: 'terminal/core/handlers.ts',
    find: 'if (holds(event.slots, card.write)) return',
    replace: 'if (card) return',
    seeds: 100,
  },
  {
    name: 'the last records before a crash are not found again',
    file: 'terminal/store/outbox.ts',
    find: '      this.#recent.set(transactionIdFromBytes(row.id), { number: integer(row.number, 1), kind: row.kind });\n',
    replace: '      integer(row.number, 1);\n',
    seeds: 20,
  },
  {
    name: 'a record that the store has filed is forgotten',
    file: 'terminal/store/outbox.ts',
    find: 'for (const [id, { number, kind }] of this.#recent) this.#enter',
    replace: "for (const [id, { number, kind }] of this.#recent) if (kind !== 'consumption') this.#enter",
    seeds: 100,
    events: 9_000,
  },
  {
    name: 'the chain does not advance',
    file: 'terminal/store/journal.ts',
    find: '    counters.lastHash = hash;\n',
    replace: '',
    seeds: 20,
  },
  {
    name: 'an allowance is spent and not counted',
    file: 'terminal/store/offline-book.ts',
    find: '      this.#spend.run(use.amount, use.allowanceId);\n',
    replace: '',
    seeds: 200,
  },
  {
    name: 'an allowance that was given back may still be spent',
    file: 'terminal/store/offline-book.ts',
    find: '    this.#remove.run(id);\n    this.#removeNames.run(id);\n',
    replace: '',
    seeds: 100,
  },
  {
    name: 'a release says what was granted, not what is left',
    file: 'terminal/runtime/offline-desk.ts',
    find: '        remaining: row.remaining,\n        reason,',
    replace: '        remaining: row.remaining + 1,\n        reason,',
    seeds: 100,
  },
  {
    name: 'an allowance is spent after its end',
    file: 'terminal/core/offline.ts',
    find: 'reading.allowances.filter((slice) => nowMs < slice.expiresAtMs)',
    replace: 'reading.allowances.filter((slice) => nowMs < Number.MAX_SAFE_INTEGER || slice)',
    seeds: 200,
  },
  {
    name: 'floor limits do not bind',
    file: 'terminal/core/offline.ts',
    find: "if (!isWithin) return refuse('offline.limit');",
    replace: "if (!isWithin && coveredMinor < 0) return refuse('offline.limit');",
    seeds: 100,
  },
  {
    name: '"later" counts as an answer',
    file: 'host-sync/client/reducer.ts',
    find: "    if (answer.outcome === 'later') later.push(answer);\n    else finals.push(answer);",
    replace:
      "    if (answer.outcome === 'later') finals.push({ ...answer, outcome: 'refused' } as never);\n    else finals.push(answer);",
    seeds: 100,
  },
  {
    name: 'what a restored host lost is not sent again',
    file: 'host-sync/client/client.ts',
    find: 'if (!this.#guardStore(() => this.options.outbox.requeueAbove(effect.to))) return false;',
    replace: 'if (!this.#guardStore(() => {})) return false;',
    seeds: 100,
  },
  {
    name: 'a record that comes again is applied again',
    file: 'host-sync/server/ledger/intake.ts',
    find: "const stored = known?.digest === letter.digestHex ? known : facts.get('record', letter.digestId);",
    replace: "const stored = facts.get('record', letter.digestId);",
    seeds: 20,
  },
  {
    name: 'a refusal is not kept as a dead letter',
    file: 'host-sync/server/ledger/intake.ts',
    find: '    writes.push(deadLetter(terminal.id, letter, answer.code, answer.detail, context.nowMs));\n',
    replace: '    writes.push();\n',
    seeds: 200,
  },
  {
    name: 'a reversal before its original leaves no tombstone',
    file: 'host-sync/server/ledger/settle.ts',
    find: "    if (!draft.get('tombstone', record.original))\n",
    replace: '    if (record.original === record.transactionId)\n',
    seeds: 100,
  },
  {
    name: 'a completion in time posts nothing',
    file: 'host-sync/server/ledger/settle.ts',
    find: "    draft.put('sale', settled);\n    return accepted(balances(draft, settled), { notices });\n",
    replace: '    return accepted(balances(draft, settled), { notices });\n',
    seeds: 20,
  },
  {
    name: 'a reservation that ends gives nothing back',
    file: 'host-sync/server/ledger/settle.ts',
    find: "  if (sale.kind === 'pointsSpend') releaseSpend(draft, sale, cause);\n",
    replace: '',
    seeds: 20,
  },
  {
    name: 'debts are not repaid',
    file: 'host-sync/server/ledger/member-points.ts',
    find: '  const repaid = Math.min(balanceOf(facts, memberOwed(memberId)), amount);\n',
    replace: '  const repaid = Math.min(balanceOf(facts, memberOwed(memberId)), 0);\n',
    seeds: 100,
  },
  {
    name: 'without the host everything is given',
    file: 'terminal/core/handlers.ts',
    find: "  if (!event.hostReachable) return endRefused(state, 'host.unreachable');\n  return intend(state, event, credential, null, linkId);",
    replace:
      '  if (!event.hostReachable) return endAccepted(state, event, credential, null, null, linkId, null);\n  return intend(state, event, credential, null, linkId);',
    seeds: 100,
  },
  {
    name: 'a record is made anew for each attempt',
    file: 'terminal/store/outbox.ts',
    find: '      body: row.body,\n',
    replace: "      body: attempts > 0 ? row.body.replace('{', '{ ') : row.body,\n",
    seeds: 100,
  },
  {
    name: 'a reference names a new sale each time',
    file: 'terminal/runtime/terminal.ts',
    find: '      if (named) return named;\n',
    replace: '      if (named && !named.ok) return named;\n',
    seeds: 100,
  },
  {
    name: 'a reservation outlives its completion',
    file: 'host-sync/server/ledger/settle.ts',
    find: "    sale: { ...settled.sale, state: 'accepted', expiresAtMs: null },",
    replace: "    sale: { ...settled.sale, state: 'accepted' },",
    seeds: 100,
  },
  {
    name: 'a reversal of a reservation leaves it reserved',
    file: 'host-sync/server/ledger/settle.ts',
    find: "    releaseReserved(draft, sale, 'reversed', 'reversal');\n",
    replace: "    draft.put('sale', { ...sale, state: 'reversed', expiresAtMs: null });\n",
    seeds: 100,
  },
  {
    name: 'a used-up reservation is taken a second time by the late completion',
    file: 'host-sync/server/ledger/points.ts',
    find: '  const isOwed =\n    balanceOf(draft, memberPoints(memberId)) < own ||\n',
    replace:
      "  draft.post('spend', takeFromMember(draft, memberId, to, sale.points));\n  const isOwed =\n    balanceOf(draft, memberPoints(memberId)) < own ||\n",
    seeds: 100,
  },
  {
    name: 'a slice that was given back is taken from a restored host again',
    file: 'terminal/store/offline-book.ts',
    find: '      if (this.#known.get(grant.id) === undefined) {\n',
    replace: '      if (this.byId(grant.id) === null) {\n',
    seeds: 100,
  },
  {
    name: 'a top-up is paid in again by its completion',
    file: 'host-sync/server/ledger/top-up.ts',
    find: '[move(isInTime ? reserved : taken, balance, sale.coveredMinor)]',
    replace:
      '[move(taken, balance, sale.coveredMinor), ...(isInTime ? [move(reserved, balance, sale.coveredMinor)] : [])]',
    seeds: 20,
  },
  {
    name: 'a voided top-up is paid back beyond what the coupon holds',
    file: 'host-sync/server/ledger/top-up.ts',
    find: "  if (coveredMinor < original.coveredMinor)\n    return refused(isExpired(coupon, context.nowMs) ? 'coupon.expired' : 'coupon.topUpSpent', '', balances);\n  if (!isPosted) postTopUp(draft, original);\n  draft.post('topUpVoid', [move(balance, reserved, original.coveredMinor)]);",
    replace:
      "  if (!isPosted) postTopUp(draft, original);\n  const lacking = Math.max(0, original.coveredMinor - coveredMinor);\n  draft.post('topUpVoid', [move(balance, reserved, original.coveredMinor - lacking), move(riskBorne(original.currency), reserved, lacking)]);",
    seeds: 100,
  },
  {
    name: 'a void leaves the partner’s claim standing',
    file: 'host-sync/server/ledger/federation.ts',
    find: '  if (!between || entry === undefined || (points === 0 && share === 0)) return;\n',
    replace: '  if (!between || entry === undefined || points <= 0) return;\n',
    seeds: 200,
  },
  {
    name: 'the void of a top-up of a card counts as a purchase',
    file: 'host-sync/server/ledger/card-kinds.ts',
    find: "  kind === 'cardTopUpVoid' ? topUpPaidBack(",
    replace: "  kind === 'topUpVoid' ? topUpPaidBack(",
    seeds: 100,
  },
];
