/**
 * Stages of the drivers that hold conversations over lines of bytes: modems, radio modules, PIN pads. What the box gave them
 * (messages, commands, entries) is given again when they asked for it in the recording.
 */
import { hex, toHex } from '../../../terminal/kernel/bytes.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import { KeySerials } from '../../protocols/pin-pad/key-serials.js';
import { ModemDriver, type ModemSpool } from '../../serial/modem-driver.js';
import { ModuleDriver } from '../../serial/module-driver.js';
import { PinPadDriver } from '../../serial/pin-pad-driver.js';
import { obeying, recordedLine, recordedPath } from './lines.js';
import { jsonOf, type OpenStage, orderOf, type Playing, settingsOf } from './stage.js';

/** Long enough for whatever the recording says became of a command. */
const linkTimeout = durationMs(60_000);

/** The message folder as the driver met it: what it took and where it put what came, in the recorded order. */
function recordedSpool({ ahead }: Playing): ModemSpool {
  const given = new Set<unknown>();
  return {
    claim: () => {
      for (const line of ahead()) {
        if (line.moment === 'in' || line.moment === 'out') return null;
        if (line.moment !== 'order' || given.has(line)) continue;
        const order = orderOf(line.bytes);
        if (!('send' in order)) continue;
        given.add(line);
        return order.send;
      }
      return null;
    },
    receive: () => {
      for (const line of ahead()) {
        const said = line.moment === 'end' && !given.has(line) ? (jsonOf(line) as Record<string, unknown>) : {};
        if (!('received' in said)) continue;
        given.add(line);
        return said['end'] as ReturnType<ModemSpool['receive']>;
      }
      return 'full';
    },
    settle: () => {},
    giveBack: () => {},
  };
}

const modemStage: OpenStage = (playing) => {
  const { plays, ports } = recordedLine(playing);
  const settings = settingsOf(playing.recording, { baud: 115_200, ownNumber: '', homePrefix: '' });
  const spool = recordedSpool(playing);
  const driver = new ModemDriver({ ...settings, paths: [recordedPath] }, { ...ports, openSpool: () => spool });
  const obey = obeying(driver, (order) => 'askCondition' in order && driver.askCondition(null));
  return { driver, identity: recordedPath, plays: { ...plays, ...obey } };
};

const moduleStage: OpenStage = (playing) => {
  const { plays, ports } = recordedLine(playing);
  const driver = new ModuleDriver({ ...settingsOf(playing.recording, { baud: 9_600 }), paths: [recordedPath] }, ports);
  const { order } = obeying(driver, () => {});
  return {
    driver,
    identity: recordedPath,
    plays: {
      ...plays,
      order: (bytes, link) => {
        const what = orderOf(bytes);
        if ('transmit' in what) void link?.transmit(hex(what.transmit), linkTimeout);
        else if ('release' in what) void link?.close();
        else return order?.(bytes, link);
      },
    },
  };
};

/** Names that the box drew for the entries, in their order: every frame that begins one says its name. */
function entryNames({ recording: { lines } }: Playing): string[] {
  const written = lines.flatMap(({ bytes, moment }) => (moment === 'out' ? [toHex(bytes)] : []));
  const begun = written.flatMap((frame) => /50451c((?:3[0-9]|6[1-6]){16})1c/.exec(frame)?.[1] ?? []);
  return [...new Set(begun)].map((name) => String.fromCharCode(...hex(name)));
}

const pinPadStage =
  (bus: 'serial' | 'hid'): OpenStage =>
  (playing) => {
    const { plays, ports } = recordedLine(playing);
    const names = entryNames(playing);
    const { model } = settingsOf(playing.recording, { model: 'generic' as const });
    const driver = new PinPadDriver(bus, model, {
      ...ports,
      wanted: () => [{ identity: recordedPath, path: recordedPath, description: 'recorded' }],
      random: { bytes: (length) => hex(names.shift() ?? '00'.repeat(length)) },
      keySerials: new KeySerials(),
    });
    const obey = obeying(driver, (order) => {
      if ('askPin' in order) void driver.askPin({ device: null, ...order.askPin });
      if ('cancelPin' in order) driver.cancelPin(null);
    });
    return { driver, identity: recordedPath, plays: { ...plays, ...obey } };
  };

export const talkStages = {
  'serial-modem': modemStage,
  'serial-module': moduleStage,
  'serial-pinpad': pinPadStage('serial'),
  'hid-pinpad': pinPadStage('hid'),
} as const satisfies Readonly<Record<string, OpenStage>>;
