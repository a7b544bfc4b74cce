// Who may import whom. Run by scripts/check-imports.ts, which also fails when a source file was not read at all.
// Type-only imports count: a type is a dependency too. Tests and scripts are exempt from the folder rules; only the
// rules on cycles, unresolved modules and test files hold for them.

const TEST = '\\.test\\.ts$';
/** Simulated worlds and devices, and the stages of recordings. */
const SIM = '^(?!node_modules/).*/(sim|vectors/stages)/';
const OURS = '^(terminal|drivers|host-sync|config|scripts)/';
const KERNEL = '^terminal/kernel/';
const NATIVE = '^terminal/kernel/native(-chip)?\\.ts$';
/** Composition roots: they wire everything and nothing imports them. */
const MAIN = '(^|/)main\\.ts$';
const PORT = '^terminal/runtime/.*\\bports?\\.ts$';
const PURE_PACKAGES = '^node_modules/(zod|string-width)/';
/** What a test builds its cases from. */
const FIXTURES = '-fixtures\\.ts$';
/** One vocabulary for both ends, as pure as the kernel (docs/decisions/imports.md). */
const VOCABULARY = ['^host-sync/protocol/', '^drivers/protocols/'];
/** The pure folders: a function of their arguments and nothing else. */
const PURE = [
  { name: 'core', path: '^terminal/core/', also: VOCABULARY },
  { name: 'drivers-protocols', path: '^drivers/protocols/', also: [] },
  { name: 'host-sync-protocol', path: '^host-sync/protocol/', also: [] },
  { name: 'host-ledger', path: '^host-sync/server/ledger/', also: VOCABULARY },
];

/** Files under `from` may import, of this project's own files, only those under `allowed`; packages are free. */
function folder(name, from, allowed, comment) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from, pathNot: [TEST, SIM, MAIN] },
    to: { path: OURS, pathNot: [from, ...allowed] },
  };
}

/** Of these folders only types may be imported: what they do stays behind the port. */
function typesOnly(name, from, to) {
  return {
    name,
    comment: 'A type is a word that both sides share; a value would be a second way in.',
    severity: 'error',
    from: { path: from, pathNot: [TEST, SIM] },
    to: { path: to, dependencyTypesNot: ['type-only'] },
  };
}

/** Files under `from` may import nothing at all but `allowed`: no package, no node: module. */
function closed(name, from, allowed, comment) {
  return {
    name,
    comment,
    severity: 'error',
    from: { path: from, pathNot: [TEST, SIM, NATIVE] },
    to: { pathNot: [from, ...allowed] },
  };
}

/** A package whose native code can hang or that owns a file is loaded in few places only. */
function owner(packages, places) {
  return {
    name: `only-owner-loads-${packages[0].replaceAll(/[^a-z0-9]+/g, '-').replace(/^-/, '')}`,
    comment: `${packages.join(', ')} may be imported only by ${places.join(', ')}`,
    severity: 'error',
    from: { path: OURS, pathNot: [TEST, SIM, '^scripts/', ...places] },
    to: { path: packages.map((name) => `(^|/)${name}(/|$)`) },
  };
}

module.exports = {
  forbidden: [
    {
      name: 'no-circular',
      comment: 'Modules that import each other have no order in which they can be understood.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'An import that cannot be found escapes every other rule. Optional packages are loaded lazily.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true, pathNot: ['^@abandonware/noble'] },
    },
    {
      name: 'nothing-imports-tests',
      severity: 'error',
      from: { pathNot: TEST },
      to: { path: TEST },
    },
    {
      name: 'nothing-imports-main',
      comment: 'main.ts is a composition root. Tests, simulated worlds and scripts may start it.',
      severity: 'error',
      from: { pathNot: [TEST, SIM, '^scripts/'] },
      to: { path: MAIN },
    },
    {
      name: 'nothing-imports-sim',
      comment: 'Simulated worlds and devices are for tests and scripts.',
      severity: 'error',
      from: { pathNot: [TEST, SIM, '^scripts/'] },
      to: { path: SIM },
    },
    {
      name: 'nothing-imports-fixtures',
      comment: 'Fixtures are for tests, for each other, and for the generated documents.',
      severity: 'error',
      from: { pathNot: [TEST, SIM, FIXTURES, '^scripts/'] },
      to: { path: FIXTURES },
    },
    {
      name: 'nothing-imports-scripts',
      severity: 'error',
      from: { pathNot: [TEST, '^scripts/'] },
      to: { path: '^scripts/' },
    },
    {
      name: 'no-development-packages',
      comment: 'What runs on the box may not need a development dependency.',
      severity: 'error',
      from: { path: OURS, pathNot: [TEST, SIM, '^scripts/', '^drivers/contract/'] },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm', 'npm-optional', 'type-only'] },
    },

    closed(
      'kernel-imports-nothing',
      KERNEL,
      [],
      'kernel is the floor: it imports nothing, native.ts and native-chip.ts apart.',
    ),
    {
      name: 'kernel-native-only-cryptography',
      comment: 'native.ts and native-chip.ts alone reach outside: cryptography, inflating and UUIDs.',
      severity: 'error',
      from: { path: NATIVE },
      to: {
        pathNot: [
          KERNEL,
          '^(node:)?(crypto|zlib)$',
          '^node_modules/@noble/(ciphers|curves|hashes)/',
          '^node_modules/uuid/',
        ],
      },
    },
    ...PURE.map(({ name, path, also }) =>
      closed(`pure-${name}`, path, [KERNEL, PURE_PACKAGES, ...also], 'Pure: only the kernel and named pure packages.'),
    ),
    {
      name: 'pure-not-native',
      comment: 'Pure folders get cryptography through the synchronous port that the shell passes in.',
      severity: 'error',
      from: { path: PURE.map(({ path }) => path), pathNot: [TEST, SIM] },
      to: { path: NATIVE },
    },

    folder('drivers-contract', '^drivers/contract/', [KERNEL], 'contract → kernel'),
    {
      name: 'drivers-bus',
      comment:
        'drivers/<bus> → contract, protocols, supervised, fingerprints, kernel; a bus never imports another bus.',
      severity: 'error',
      from: { path: '^drivers/([^/]+)/', pathNot: [TEST, SIM, '^drivers/(contract|protocols)/'] },
      to: {
        path: OURS,
        pathNot: ['^drivers/$1/', '^drivers/(contract|protocols|supervised)/', '^drivers/fingerprints\\.ts$', KERNEL],
      },
    },
    folder(
      'drivers-fingerprints',
      '^drivers/fingerprints\\.ts$',
      ['^drivers/contract/', KERNEL],
      'fingerprints → contract',
    ),
    folder('drivers-registry', '^drivers/registry\\.ts$', ['^drivers/', KERNEL], 'registry → drivers'),

    folder('host-sync-spool', '^host-sync/spool/', [KERNEL], 'spool → kernel'),
    folder('host-sync-client', '^host-sync/client/', ['^host-sync/protocol/', KERNEL], 'client → protocol'),
    folder(
      'host-sync-server',
      '^host-sync/server/',
      ['^host-sync/(protocol|spool)/', '^drivers/protocols/', KERNEL],
      "server → protocol, spool and drivers/protocols, never terminal (but kernel) nor drivers' I/O",
    ),

    folder(
      'terminal-runtime',
      '^terminal/runtime/',
      ['^terminal/core/', '^terminal/store/', '^drivers/contract/', '^host-sync/client/', ...VOCABULARY, KERNEL],
      'runtime → core, contract, client, store, host-sync/protocol, drivers/protocols',
    ),
    folder(
      'terminal-store',
      '^terminal/store/',
      ['^terminal/core/', '^host-sync/client/.*outbox[^/]*\\.ts$', '^host-sync/protocol/', KERNEL],
      "store → core's types, host-sync/protocol, and the client's outbox port",
    ),
    typesOnly('terminal-store-core-types-only', '^terminal/store/', '^terminal/core/'),
    ...['console', 'local-api'].flatMap((name) => [
      folder(
        `terminal-${name}`,
        `^terminal/${name}/`,
        [PORT, '^terminal/(core|store)/', '^drivers/contract/', KERNEL],
        `${name} → a port that runtime exposes (runtime/port.ts, runtime/*-port.ts) and the types it is made of`,
      ),
      typesOnly(`terminal-${name}-types-only`, `^terminal/${name}/`, '^(terminal/(core|store)|drivers/contract)/'),
    ]),
    folder('config', '^config/', ['(^|/)options\\.ts$', KERNEL], 'config → */options.ts only'),

    owner(['nfc-pcsc', '@pokusew/pcsclite'], ['^drivers/pcsc/']),
    owner(['@abandonware/noble'], ['^drivers/ble/']),
    owner(['node-hid'], ['^drivers/hid/']),
    // The technician's line is a person at a keyboard, not a device that a driver would report.
    owner(['serialport', '@serialport/[^/]+'], ['^drivers/serial/', '^terminal/console/serial-line\\.ts$']),
    owner(['better-sqlite3'], ['^terminal/store/', '^host-sync/server/storage/']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^(out|data|\\.node|\\.tap)/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types', 'typings'],
    },
  },
};
