/**
 * Stage of readers on PC/SC: the driver over a child process that says the recorded frames. Numbers of exchanges are the
 * run's own and are not compared.
 */
import { type Bytes, toHex } from '../../../terminal/kernel/bytes.js';
import { durationMs } from '../../../terminal/kernel/units.js';
import type { MemberSignal } from '../../contract/driver.js';
import { type Frame, readerFrames } from '../../pcsc/frames.js';
import { PcscDriver } from '../../pcsc/pcsc-driver.js';
import { readerModel } from '../../pcsc/reader-models.js';
import { type OpenStage, settingsOf, textOf } from './stage.js';

function framesOf(bytes: Bytes): readonly Frame[] {
  const frames = readerFrames.stream().push(bytes);
  if (!frames.ok) throw new Error(`no frame: ${frames.error.code}`);
  return frames.value;
}
const unnumbered = (frame: Frame): string =>
  toHex(readerFrames.encode('exchange' in frame ? { ...frame, exchange: 0 } : frame));

/** Which signal a reader's own command shows; null: none. */
function signalOf(reader: string, command: Bytes): MemberSignal | null {
  const rows = Object.entries(readerModel(reader)?.signals ?? {});
  const row = rows.find(([, signal]) => signal?.commands.some((each) => toHex(each) === toHex(command)));
  return (row?.[0] as MemberSignal | undefined) ?? null;
}

const pcscStage: OpenStage = ({ recording, time }) => {
  let toBox: (chunk: Bytes) => void = () => {};
  let ended: (how: string) => void = () => {};
  const sent: Extract<Frame, { type: 'transmit' }>[] = [];
  /** Recorded number of an exchange to the one that it has now. */
  const exchanges = new Map<number, number>();
  const say = (frame: Frame): void => toBox(readerFrames.encode(frame));
  const settings = settingsOf(recording, { contactSlots: [] as readonly string[], memberSignals: true });
  const driver = new PcscDriver({
    ...{ clock: time.clock, schedule: time.schedule },
    options: { ...settings, virtualReaders: true },
    spawn: () => {
      setImmediate(() => {
        say({ type: 'hello', version: readerFrames.version });
        say({ type: 'serviceUp' });
        say({ type: 'looked' });
      });
      return {
        pid: null,
        write: (bytes) => {
          for (const frame of framesOf(bytes)) {
            if (frame.type === 'ping') say({ type: 'pong', nonce: frame.nonce });
            if (frame.type === 'transmit') sent.push(frame);
          }
        },
        onData: (listener) => {
          toBox = listener;
        },
        onEnded: (listener) => {
          ended = listener;
        },
        kill: () => queueMicrotask(() => ended('ended by SIGKILL')),
      };
    },
  });
  return {
    driver,
    identity: recording.identity,
    plays: {
      in: (bytes) => {
        for (const frame of framesOf(bytes))
          say('exchange' in frame ? { ...frame, exchange: exchanges.get(frame.exchange) ?? frame.exchange } : frame);
      },
      out: (bytes, link) => {
        for (const frame of framesOf(bytes)) {
          const command = frame.type === 'show' ? frame.command : frame.type === 'escape' ? frame.commands[0] : null;
          const signal = command && signalOf(recording.identity, command);
          if (signal) driver.signal(signal);
          if (frame.type !== 'transmit') continue;
          const before = sent.length;
          void link?.transmit(frame.command, durationMs(60_000));
          const now = sent[before];
          if (now) exchanges.set(frame.exchange, now.exchange);
        }
      },
    },
    answersIn: (bytes) => framesOf(bytes).flatMap((frame) => (frame.type === 'answer' ? [toHex(frame.answer)] : [])),
    comparable: (line) =>
      line.moment === 'out' ? `out ${framesOf(line.bytes).map(unnumbered).join(' ')}` : textOf(line),
  };
};

export const pcscStages = { pcsc: pcscStage } as const;
