/**
 * Views of devices: the list, one in full, what nobody claims, and what a trial showed. Lines for a screen of 80 columns; only
 * lines to be copied into the configuration stay whole. Must not ask the box anything.
 */
import type { ModemCondition, PrintEnd, PulseEnd, UnclaimedDevice } from '../../drivers/contract/driver.js';
import { errorTable } from '../kernel/errors.js';
import { printable } from '../kernel/redaction.js';
import type { BankCardSight, DeviceDescription, PinSight, TerminalPort, TrialSight } from '../runtime/port.js';
import type { Language } from './grammar.js';
import { fit, renderPairs, renderTable } from './table.js';
import { say } from './texts.js';
import { clockText, durationText, troubleGroups, troublePairs } from './views.js';

type Device = ReturnType<TerminalPort['devices']>[number];

/** Longest line of the configuration that is shown, in characters. */
const configurationLineMax = 400;

const whatItIs = ({ simulated, description }: Device, language: Language): string =>
  `${simulated ? `${say(language, 'simulated')} ` : ''}${description}`;

/** All devices with their troubles, then those that no driver has. */
export function deviceLines(
  devices: readonly Device[],
  unclaimed: readonly UnclaimedDevice[],
  language: Language,
): string[] {
  const lines = devices.length === 0 ? [say(language, 'none')] : deviceTable(devices, language);
  return unclaimed.length === 0 ? lines : [...lines, '', ...unclaimedLines(unclaimed, language)];
}

function deviceTable(devices: readonly Device[], language: Language): string[] {
  const columns = [
    { title: say(language, 'column.device'), least: 8 },
    { title: say(language, 'column.bus') },
    { title: say(language, 'column.state') },
    { title: say(language, 'column.since') },
    { title: say(language, 'column.what'), least: 16 },
  ];
  const rows = devices.map((device) => [
    device.device,
    device.bus,
    say(language, `device.${device.state}`),
    clockText(device.sinceWallMs),
    whatItIs(device, language),
  ]);
  const troubles = devices.flatMap(({ description, device, error }) =>
    // One that is simply not there: its row has said so.
    error && !(error.code === 'device.absent' && (error.detail === '' || error.detail === description))
      ? [{ label: fit(device, 20), trouble: error }]
      : [],
  );
  return [...renderTable(columns, rows), ...renderPairs(troubleGroups(troubles, language))];
}

function unclaimedLines(unclaimed: readonly UnclaimedDevice[], language: Language): string[] {
  return [
    say(language, 'unclaimed.title'),
    ...unclaimed.flatMap((device) => {
      const { vendorId, productId, serial } = device;
      const ids = [vendorId, productId, serial].filter((part) => part !== '').join(':');
      const usage = device.usage === null ? '' : `  ${say(language, 'label.usage')} ${device.usage}`;
      const pairs = renderPairs([
        [`  ${device.bus}`, `${ids}  ${device.name}${usage}`.trimStart()],
        ['', device.place],
        ['', device.why],
      ]);
      if (device.configuration.length === 0) return pairs;
      const lines = device.configuration.map((line) => `      ${printable(line, configurationLineMax)}`);
      return [...pairs, `    ${say(language, 'unclaimed.claim')}`, ...lines];
    }),
  ];
}

/** One device in full. */
export function describedLines(device: DeviceDescription, language: Language): string[] {
  const { recording, error } = device;
  return renderPairs([
    [say(language, 'column.device'), `${device.device}  ${whatItIs(device, language)}`],
    [say(language, 'label.driver'), `${device.driver}  (${device.bus})`],
    [say(language, 'label.identity'), device.identity ?? say(language, 'none')],
    [say(language, 'column.state'), say(language, `device.${device.state}`)],
    [say(language, 'column.since'), `${clockText(device.sinceWallMs)} (${durationText(device.forMs)})`],
    ...Object.entries(device.counters).map(([name, count]): [string, string] => [`  ${fit(name, 20)}`, String(count)]),
    ...(error ? troublePairs(say(language, 'label.lastError'), error, language) : []),
    ...(recording
      ? [
          [
            say(language, 'label.recording'),
            `${recording.file}  ${recording.bytes} B  ${recording.ended ?? ''}`,
          ] as const,
        ]
      : []),
  ]);
}

/** What became of a slip of paper. */
export const slipLine = (end: PrintEnd, language: Language): string =>
  endLine(end, say(language, `slip.${end.printed}`));
/** What became of a relay's pulse. */
const pulseLine = (end: PulseEnd, language: Language): string => endLine(end, say(language, `pulse.${end.switched}`));
const endLine = (end: PrintEnd | PulseEnd, words: string): string =>
  fit(`${end.device ?? ''}  ${words}${'error' in end ? `  ${end.error.code}` : ''}`, 80);

function bankCardText({ scheme, label, number, expiry, hasLuhnDigit }: BankCardSight, language: Language): string {
  const until = expiry === null ? '-' : `${expiry.slice(2)}/${expiry.slice(0, 2)}`;
  const parts = [say(language, `scheme.${scheme}`), label ?? '-', number, until];
  return [...parts, ...(hasLuhnDigit ? [] : [say(language, 'trial.wrongCheckDigit')])].join('  ');
}

/** What came of an entry on a PIN pad. */
function pinLine(end: PinSight, language: Language): string {
  if (end.result === 'entered') {
    const form = say(language, end.blockBytes === 16 ? 'pin.bytes16' : 'pin.bytes8');
    return `${say(language, 'pin.entered')}${form}${say(language, 'pin.keySerial')}${end.keySerialEnd}`;
  }
  return `${say(language, `pin.${end.result}`)}${'code' in end ? end.code : ''}`;
}

/** What a modem says of its network. */
function modemLine(condition: ModemCondition, language: Language): string {
  if (!condition.known) return condition.error.code;
  const signal = condition.signalDbm === null ? say(language, 'unknown') : `${condition.signalDbm} dBm`;
  return `${say(language, `network.${condition.network}`)}  ${signal}`;
}

/** One thing that a device gave while it was tried out. */
export function sightLine(sight: TrialSight, language: Language): string {
  switch (sight.type) {
    case 'code':
      return fit(`${say(language, 'trial.code')}${sight.text}`, 80);
    case 'card':
      return fit(`${say(language, 'trial.card')}${sight.atr}`, 80);
    case 'bankCard':
      return fit(`${say(language, 'trial.bankCard')}${bankCardText(sight, language)}`, 80);
    case 'unread':
      return fit(`${say(language, 'trial.unread')}${errorTable[sight.code][language]}`, 80);
    case 'cardGone':
      return say(language, 'trial.cardGone');
    case 'pin':
      return fit(`${say(language, 'trial.pin')}${pinLine(sight.end, language)}`, 80);
    case 'slip':
      return slipLine(sight.end, language);
    case 'pulse':
      return pulseLine(sight.end, language);
    case 'shown':
      return `${say(language, 'trial.shown')}${sight.lines.map((line) => `[${line}]`).join(' ')}`;
    case 'modem':
      return fit(`${say(language, 'trial.modem')}${modemLine(sight.condition, language)}`, 80);
  }
}
