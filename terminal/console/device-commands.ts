/**
 * Device commands: list, show, test, disable, enable and record, against the terminal port.
 * Must not decide whether a device may be tried or recorded; the box does.
 */
import type { DeviceDeskPort, TrialSight } from '../runtime/port.js';
import { aborted, type CommandContext, type CommandResult, type Output, refuse } from './command-context.js';
import { describedLines, deviceLines, sightLine } from './device-views.js';
import type { Command } from './grammar.js';
import { say } from './texts.js';
import { jsonLine } from './views.js';

type DeviceCommand = Extract<Command, { name: 'device' }>;

/** How long a device is tried out, in milliseconds. */
const trialMs = 30_000;

/** @throws TerminalError of the store, when what a person disabled cannot be remembered */
export function runDeviceCommand(
  command: DeviceCommand,
  context: CommandContext,
  output: Output,
): CommandResult | Promise<CommandResult> {
  const { port, language } = context;
  switch (command.act) {
    case 'list': {
      const [devices, unclaimed] = [port.devices(), port.deviceDesk.unclaimed()];
      output.print(command.json ? [jsonLine({ devices, unclaimed })] : deviceLines(devices, unclaimed, language));
      return null;
    }
    case 'show': {
      const device = port.deviceDesk.describe(command.device);
      if (!device.ok) return refuse(output, device.error.code, device.error.detail);
      output.print(command.json ? [jsonLine(device.value)] : describedLines(device.value, language));
      return null;
    }
    case 'test':
      return tryOut(command.device, context, output);
    case 'disable':
    case 'enable':
      return setEnabled(command.device, command.act === 'enable', context, output);
    case 'record':
      return record(command.device, command.file, context, output);
  }
}

async function tryOut(
  device: string,
  { port, language, actor }: CommandContext,
  output: Output,
): Promise<CommandResult> {
  let count = 0;
  const see = (sight: TrialSight): void => {
    if (sight.type !== 'cardGone') count++;
    if (output.ready()) output.print([sightLine(sight, language)]);
  };
  const started = port.deviceDesk.tryOut(device, trialMs, see);
  if (!started.ok) return refuse(output, started.error.code, started.error.detail);
  const trial = started.value;
  port.recordAudit(actor, 'device.test', device);
  output.print([say(language, `trial.wants.${trial.wants}`)]);
  const why = (await Promise.race([trial.ended, aborted(output.untilKey())])) ?? 'stopped';
  trial.stop();
  output.print([`${say(language, `trial.ended.${why}`)} ${say(language, 'trial.count')}${count}`]);
  if (why === 'time' && count === 0) return refuse(output, 'device.timedOut', device);
  return null;
}

function setEnabled(
  device: string,
  enabled: boolean,
  { port, language, actor }: CommandContext,
  output: Output,
): CommandResult {
  const changed = port.deviceDesk.setEnabled(device, enabled);
  if (!changed.ok) return refuse(output, changed.error.code, changed.error.detail);
  port.recordAudit(actor, enabled ? 'device.enable' : 'device.disable', `${device} ${changed.value.identity ?? ''}`);
  output.print(deviceLines([changed.value], [], language));
  return null;
}

function record(
  device: string,
  file: string | null,
  { port, language, actor }: CommandContext,
  output: Output,
): CommandResult {
  const desk: DeviceDeskPort = port.deviceDesk;
  if (file === null) {
    const ended = desk.stopRecording(device);
    if (!ended) return refuse(output, 'device.notBeingRecorded', device);
    output.print([
      `${say(language, 'recording.ended')}${ended.file}  ${ended.bytes} B  ${ended.ended ?? ''}`.trimEnd(),
    ]);
    return null;
  }
  const begun = desk.record(device, file);
  if (!begun.ok) return refuse(output, begun.error.code, begun.error.detail);
  port.recordAudit(actor, 'device.record', `${device} ${file}`);
  output.print([`${say(language, 'recording.begun')}${file}`, say(language, 'recording.caution')]);
  return null;
}
