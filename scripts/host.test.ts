/**
 * Shows the host as a process of its own and its command line, as an operator uses them: start, status, rules, catalogue,
 * members, coupons, backup while it runs, restore after it was stopped, and what is said when nothing runs.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import t from 'tap';

const out = path.resolve(import.meta.dirname, '..');
const hostProcess = path.join(out, 'host-sync', 'server', 'main.js');
const hostCommand = path.join(out, 'scripts', 'host.js');
const backupCommand = path.join(out, 'scripts', 'backup.js');

interface Ready {
  readonly ready: true;
  readonly port: number;
  readonly adminSocket: string;
}

async function startHost(
  data: string,
  ...words: string[]
): Promise<{ readonly child: ChildProcess; readonly ready: Ready }> {
  const child = spawn(
    process.execPath,
    [hostProcess, '--data-folder', path.join(data, 'host'), '--port', '0', ...words],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let errors = '';
  child.stderr?.on('data', (chunk) => {
    errors += chunk;
  });
  if (!child.stdout) throw new Error('no output');
  const lines = createInterface({ input: child.stdout });
  const [line] = (await Promise.race([once(lines, 'line'), once(child, 'exit').then(() => [''])])) as [string];
  if (line === '') throw new Error(`the host ended: ${errors}`);
  return { child, ready: JSON.parse(line) as Ready };
}
async function stopHost(child: ChildProcess): Promise<number | null> {
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number | null];
  return code;
}

function cli(file: string, data: string, words: readonly string[]) {
  const ran = spawnSync(process.execPath, [file, ...words], {
    encoding: 'utf8',
    env: { ...process.env, SHOULI_DATA: data },
  });
  return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr };
}
const json = <T = Record<string, unknown>>(data: string, ...words: string[]): T => {
  const ran = cli(hostCommand, data, ['--json', ...words]);
  if (ran.status !== 0) throw new Error(`${words.join(' ')}: ${ran.stderr}`);
  return JSON.parse(ran.stdout) as T;
};

t.test('the operator’s day', async (t) => {
  const data = mkdtempSync(path.join(tmpdir(), 'shouli-hostcli-'));
  t.teardown(() => rmSync(data, { recursive: true, force: true }));
  const down = cli(hostCommand, data, ['status']);
  t.equal(down.status, 3);
  t.match(down.stderr, /host\.notRunning.*scripts\/start/);

  const { child, ready } = await startHost(data, '--merchant', '小店', '--currency', 'GBP');
  t.teardown(() => child.kill('SIGKILL'));
  t.match(ready, { ready: true, adminSocket: path.join(data, 'host', 'admin.sock') });
  t.ok(ready.port > 0);
  t.equal(statSync(ready.adminSocket).mode & 0o777, 0o600);
  t.match(json(data, 'status'), {
    realm: 'real',
    port: ready.port,
    terminals: 0,
    members: 0,
    deadLettersOpen: 0,
    blocked: 0,
  });
  t.match(json(data, 'enrol-code'), { code: /^.{4}(-.{4}){3}$/, authorityFingerprint: /^[0-9a-f]{64}$/ });
  t.match(json(data, 'rules', 'show'), { rules: { version: 1, currency: 'GBP', earnPoints: 1, earnPerMinor: 100 } });
  t.match(json(data, 'rules', 'set', '--earn', '2', '--partial', 'yes'), {
    version: 2,
    earnPoints: 2,
    couponPartial: true,
  });

  const file = path.join(data, 'products.csv');
  writeFileSync(file, 'StockCode,Description,UnitPrice\nA1,Cake,100.00\nB2,"Tea, green",2.55\nBAD,x,1.005\n');
  const other = cli(hostCommand, data, ['catalogue', 'import', file]);
  t.equal(other.status, 1, 'yuan, but the rules are in pounds');
  t.match(other.stderr, /GBP/);
  const imported = json(data, 'catalogue', 'import', file, '--currency', 'GBP');
  t.match(imported, { products: 2, badRows: 1, changed: 2, problems: [{ line: 4 }] });
  t.match(json(data, 'catalogue', 'show', 'B2'), { name: 'Tea, green', priceMinor: 255 });

  t.match(json(data, 'member', 'register', '13800000001', '--name', '张三'), { messageId: /./ });
  t.equal(readdirSync(path.join(data, 'host', 'messages', 'out')).length, 1);
  t.match(json(data, 'member', 'list'), { rows: [] });
  const { memberCode } = json<{ memberCode: string }>(data, 'member', 'enlist', '13800000002', '--name', '李四');
  const pass = ['--wallet', 'apple', '--issuer', 'pass.com.example.loyalty', '--number', 'M-17'];
  const bound = json<{ passId: string }>(data, 'member', 'pass', 'add', memberCode, ...pass);
  t.same(json(data, 'member', 'pass', 'add', '13800000002', ...pass), bound, 'the same pass again is the same');
  t.match(json(data, 'member', 'show', bound.passId), {
    memberCode,
    keys: [{ keyId: bound.passId, kind: 'pass', state: 'active' }],
  });
  json(data, 'member', 'enlist', '13800000003', '--name', '王五');
  const noPhone = cli(hostCommand, data, [
    ...['coupon', 'issue', '--amount', '1.00', '--currency', 'GBP', '--card', '--member', memberCode],
  ]);
  t.match(noPhone.stderr, /phone is registered/, 'nothing is sealed to a pass');
  t.match(cli(hostCommand, data, ['member', 'pass', 'add', '13800000003', ...pass]).stderr, /record\.conflict/);
  t.match(json(data, 'policy', '--passes-spend', 'yes'), { passesSpend: true });
  const tag = ['--kind', 'sun', '--uid', '04958CAA5C5E80'];
  const tagged = json<{ tagId: string }>(data, 'member', 'tag', 'add', memberCode, ...tag);
  t.match(tagged, { memberCode, tagId: /^[0-9a-f]{16}$/ });
  const bare = json<{ tagId: string }>(data, 'member', 'tag', 'add', memberCode, '--kind', 'uid', ...tag.slice(2));
  t.not(bare.tagId, tagged.tagId, 'a copy of its UID is not the tag');
  t.not(cli(hostCommand, data, ['member', 'tag', 'add', memberCode, '--kind', 'sun', '--uid', '04']).status, 0);
  t.match(json(data, 'policy', '--top-up-max', '200.00', '--top-up-balance-max', '900.00'), {
    ...{ topUpMaxMinor: 20_000, topUpBalanceMaxMinor: 90_000 },
  });
  t.match(json(data, 'policy', '--tags-spend', 'yes', '--phone-earns', 'no'), { tagsSpend: true, phoneEarns: false });
  const coupon = json<{ code: string }>(
    data,
    'coupon',
    'issue',
    '--amount',
    '300.00',
    '--currency',
    'GBP',
    '--products',
    'A1',
  );
  t.match(json(data, 'coupon', 'show', coupon.code), { balanceMinor: 30_000, limitProducts: ['A1'], holder: 'host' });
  const unknown = cli(hostCommand, data, ['--json', 'coupon', 'show', 'SLC0000000000000']);
  t.equal(unknown.status, 1);
  t.match(JSON.parse(unknown.stderr), { code: 'coupon.unknown' });
  t.match(
    cli(hostCommand, data, ['coupon', 'issue', '--amount', '1.005', '--currency', 'GBP']).stderr,
    /value\.malformed/,
  );
  const street = { name: 'Café', location: 'Street 2' };
  const added = ['merchants', 'add', 'CAFE', '--name', street.name, '--location', street.location];
  t.match(json(data, ...added), { id: 'CAFE', ...street });
  t.match(cli(hostCommand, data, added).stderr, /record\.conflict/);
  t.match(json(data, 'merchants', 'list'), [{ id: 'SHOULI' }, { id: 'CAFE' }]);
  t.match(json(data, 'member', 'enlist', '13800000003', '--name', '王五', '--merchant', 'CAFE'), { merchant: 'CAFE' });
  const federation = (...words: string[]) => cli(hostCommand, data, ['federation', ...words]);
  t.match(federation('offer', 'SHOULI', 'CAFE', '--rate', '3:0', '--by', 'SHOULI').stderr, /like 3:2/);
  t.match(json(data, 'federation', 'offer', 'SHOULI', 'CAFE', '--rate', '3:2', '--by', 'SHOULI'), { version: 1 });
  t.match(federation('confirm', 'SHOULI', 'CAFE', '1', '--by', 'SHOULI').stderr, /access\.denied/);
  t.match(json(data, 'federation', 'confirm', 'SHOULI', 'CAFE', '1', '--by', 'CAFE'), { isInForce: true });
  t.match(federation('list').stdout, /SHOULI at CAFE.*3:2.*in force/);
  t.match(federation('statement', 'CAFE', 'SHOULI').stderr, /agreement\.unknown/, 'nothing was shared yet');
  t.match(json(data, 'federation', 'end', 'SHOULI', 'CAFE', '1', '--by', 'CAFE'), { state: 'ended' });
  for (const words of [
    ['terminals'],
    ['federation', 'settlements', 'CAFE', 'SHOULI'],
    ['dead-letters', 'list'],
    ['alarms'],
    ['verify'],
    ['coupon', 'show', coupon.code],
    ['rules', 'show'],
  ]) {
    const ran = cli(hostCommand, data, words);
    t.equal(ran.status, 0, `${words.join(' ')}: ${ran.stderr}`);
    t.not(ran.stdout.trim(), '');
  }

  const second = spawnSync(process.execPath, [hostProcess, '--data-folder', path.join(data, 'host'), '--port', '0'], {
    encoding: 'utf8',
  });
  t.equal(second.status, 1);
  t.match(second.stderr, /another host runs/);
  t.equal(await stopHost(child), 0, 'SIGTERM ends it cleanly');
  t.notOk(existsSync(path.join(data, 'host', 'host.db-wal')), 'and the database is closed');
  const wrong = spawnSync(
    process.execPath,
    [hostProcess, '--data-folder', path.join(data, 'host'), '--port', '0', '--realm', 'simulated'],
    { encoding: 'utf8' },
  );
  t.match(wrong.stderr, /record\.wrongRealm/, 'a real folder is never a simulated one');
});

t.test('backup of the running host, restore into another folder and over the old one', async (t) => {
  const data = mkdtempSync(path.join(tmpdir(), 'shouli-hostcli-'));
  const elsewhere = mkdtempSync(path.join(tmpdir(), 'shouli-hostcli-'));
  t.teardown(() => {
    for (const folder of [data, elsewhere]) rmSync(folder, { recursive: true, force: true });
  });
  const { child } = await startHost(data);
  t.teardown(() => child.kill('SIGKILL'));
  const { code } = json<{ code: string }>(data, 'coupon', 'issue', '--amount', '300.00');
  const archive = path.join(elsewhere, 'host.backup');
  const made = cli(backupCommand, data, ['backup', 'host', archive, '--json']);
  t.equal(made.status, 0, made.stderr);
  t.match(JSON.parse(made.stdout), { file: archive, recoveryKeyDrawn: true, realm: 'real' });
  t.match(made.stderr, /Keep a copy of it away/);
  const recoveryKey = path.join(data, 'recovery.key');
  t.equal(statSync(recoveryKey).mode & 0o777, 0o600);
  t.same(readdirSync(path.join(data, 'host', 'snapshots')), [], 'nothing stays behind');
  const raw = readFileSync(archive);
  for (const name of ['vault.key', 'merchant.key', 'authority.key.pem'])
    t.notOk(
      raw.includes(readFileSync(path.join(data, 'host', 'keys', name)).subarray(0, 60)),
      `${name} is not in clear`,
    );
  const later = json<{ code: string }>(data, 'coupon', 'issue', '--amount', '1.00');

  t.match(cli(backupCommand, data, ['restore', 'host', archive]).stderr, /is running: stop it/);
  await stopHost(child);
  t.match(cli(backupCommand, data, ['restore', 'host', archive]).stderr, /--replace/);
  t.match(cli(backupCommand, elsewhere, ['restore', 'host', archive]).stderr, /no recovery key/);
  const restore = cli(backupCommand, elsewhere, ['restore', 'host', archive, '--recovery-key', recoveryKey, '--json']);
  t.equal(restore.status, 0, restore.stderr);
  t.match(JSON.parse(restore.stdout), { folder: path.join(elsewhere, 'host'), kept: null });
  t.same(readdirSync(elsewhere).sort(), ['host', 'host.backup']);
  const replaced = cli(backupCommand, data, ['restore', 'host', archive, '--replace', '--json']);
  t.equal(replaced.status, 0, replaced.stderr);
  const { kept } = JSON.parse(replaced.stdout) as { kept: string };
  t.ok(existsSync(path.join(kept, 'host.db')), 'what was there is kept');

  for (const folder of [elsewhere, data]) {
    const again = await startHost(folder);
    t.match(json(folder, 'coupon', 'show', code), { balanceMinor: 30_000 });
    t.equal(cli(hostCommand, folder, ['coupon', 'show', later.code]).status, 1, 'as it was at the backup');
    t.equal(await stopHost(again.child), 0);
    for (const name of readdirSync(path.join(folder, 'host', 'keys')).filter((file) => file !== 'registrations.json'))
      t.ok(
        readFileSync(path.join(folder, 'host', 'keys', name)).equals(readFileSync(path.join(kept, 'keys', name))),
        `${name} is the same key`,
      );
  }

  const damaged = Buffer.from(raw);
  damaged[damaged.length >> 1] = (damaged[damaged.length >> 1] ?? 0) ^ 1;
  writeFileSync(archive, damaged);
  const before = readFileSync(path.join(data, 'host', 'host.db'));
  t.match(cli(backupCommand, data, ['restore', 'host', archive, '--replace']).stderr, /store\.corrupt/);
  t.ok(readFileSync(path.join(data, 'host', 'host.db')).equals(before), 'a damaged backup touches nothing');
});
