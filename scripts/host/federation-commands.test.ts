// The federation commands over a host that is played: what is asked, and the statement as table and as CSV over two pages.
import { Command } from 'commander';
import t from 'tap';
import type { FederationStatement } from '../../host-sync/server/host.js';
import { parseCsv } from './csv.js';
import { federationCommand } from './federation-commands.js';

const row = (sale: string, issuerPoints: number, change: number, balance: number) => ({
  ...{ atMs: 1_772_337_600_000, sale, cause: change < 0 ? 'refund' : 'spend', issuer: 'SHOULI' },
  ...{ agreement: 'SHOULI/CAFE/000001', issuerPoints, acceptorPoints: change, change, balance },
});
const page = (rows: FederationStatement['rows'], next: string | null): FederationStatement => ({
  ...{ merchant: 'CAFE', partner: 'SHOULI', fromMs: 1_772_337_600_000, untilMs: 1_772_424_000_000 },
  ...{ opening: 0, claims: 20, debts: 0, ownPointsTaken: 0, partnerPointsTaken: 30, settled: 20, closing: 0 },
  ...{ settlement: null, rows, next },
});
const pages = [page([row('one', 32, 21, 21)], 'more'), page([row('one', -2, -1, 20)], null)];

async function ran(...words: string[]) {
  const asked: object[] = [];
  const shown: string[] = [];
  const program = new Command('host').addCommand(
    federationCommand({
      run: (body) =>
        body({
          show: (_value, human) => void shown.push(human()),
          note: () => undefined,
          call: async (name: string, input?: object) => {
            asked.push({ name, ...input });
            return pages[asked.length - 1] as never;
          },
        }),
    }),
  );
  await program.parseAsync(['node', 'host', 'federation', ...words]);
  return { asked, text: shown.join('\n') };
}

t.test('CSV: the whole period with every line once, opening first and closing last', async (t) => {
  const { asked, text } = await ran('statement', 'CAFE', 'SHOULI', '--csv');
  t.match(asked, [
    { name: 'federation.statement', fromMs: null, untilMs: null, cursor: null },
    { fromMs: 1_772_337_600_000, untilMs: 1_772_424_000_000, cursor: 'more' },
  ]);
  const { rows, problems } = parseCsv(text);
  t.same(problems, []);
  t.same(rows[0]?.cells, [
    ...['time', 'transaction', 'cause', 'issuer', 'agreement', 'issuerPoints', 'acceptorPoints', 'change', 'balance'],
  ]);
  t.same(
    rows.slice(1).map(({ cells }) => [cells[2], cells[7], cells[8]]),
    [
      ['opening', '0', '0'],
      ['spend', '21', '21'],
      ['refund', '-1', '20'],
      ['settled', '-20', '0'],
      ['closing', '0', '0'],
    ],
  );
});

t.test('a table: one page, its figures, and where it goes on', async (t) => {
  const { asked, text } = await ran('statement', 'CAFE', 'SHOULI', '--from', '2026-03-01', '--until', '2026-03-01');
  const day = new Date(2026, 2, 1).getTime();
  t.match(asked, [{ merchant: 'CAFE', partner: 'SHOULI', fromMs: day, untilMs: day + 86_400_000, limit: 100 }]);
  t.match(text, /20 \(for 30 of SHOULI\)/);
  t.match(text, /SHOULI\/CAFE\/000001 +21 +21/);
  t.match(text, /more: --cursor more/);
});
