/**
 * Plays a recording on its stage and says what came of it, line by line, beside what was recorded. Time moves when told, by
 * the recorded times.
 */
import { toHex } from '../../../terminal/kernel/bytes.js';
import { eventLines, type Moment, type RecordedLine, type Recording } from '../../contract/recording.js';
import type { ApduLink } from '../../contract/transport.js';
import { ManualTime } from '../../sim/manual-time.js';
import { bleStages } from './ble.js';
import { hidStages } from './hid.js';
import { lineStages } from './lines.js';
import { pcscStages } from './pcsc.js';
import { type OpenStage, type Stage, settle, textOf } from './stage.js';
import { talkStages } from './talks.js';

/** One for each driver that can be recorded. */
export const stages: Readonly<Record<string, OpenStage>> = {
  ...pcscStages,
  ...hidStages,
  ...lineStages,
  ...talkStages,
  ...bleStages,
};

/** Longest step of time: what a timer begins is settled before the next is due. */
const stepMs = 10;
/** What starting a driver over a child process takes. */
const settlings = 8;
/** What comes from the device: it is played whether or not the driver has said it already. */
const isStimulus = (moment: Moment): boolean => moment === 'in' || moment === 'opened';

export interface Played {
  /** Lines as they are compared: what passed and what the driver reported. */
  readonly lines: readonly string[];
  /** Answers that who held the link was given, in hex; an error's code where it was none. */
  readonly answers: readonly string[];
}

/** The lines that are played: a recording that says when its line was opened begins there. */
function playedLines({ lines }: Recording): readonly RecordedLine[] {
  const opened = lines.findIndex(({ moment }) => moment === 'opened');
  return lines.slice(Math.max(0, opened)).filter(({ moment }) => moment !== 'about');
}

function stageOf(recording: Recording, time: ManualTime, ahead: () => readonly RecordedLine[]): Stage {
  const open = stages[recording.driver];
  if (!open) throw new Error(`no stage for the driver ${recording.driver}: add one to drivers/vectors/stages`);
  return open({ recording, time, ahead });
}

/** What `play` has to give. */
export function recorded(recording: Recording): Played {
  const stage = stageOf(recording, new ManualTime(), () => []);
  const comparable = stage.comparable ?? textOf;
  const lines = playedLines(recording);
  return {
    lines: lines.map(comparable),
    answers: lines.flatMap(({ bytes, moment }) => (moment === 'in' ? (stage.answersIn?.(bytes) ?? []) : [])),
  };
}

/** Plays it through the shipped driver. */
export async function play(recording: Recording): Promise<Played> {
  const time = new ManualTime();
  const lines = playedLines(recording);
  let position = 0;
  const stage = stageOf(recording, time, () => lines.slice(position + 1));
  const comparable = stage.comparable ?? textOf;
  const saysOpening = lines.some(({ moment }) => moment === 'opened');
  const said: string[] = [];
  const answers: string[] = [];
  let link: ApduLink | null = null;
  const note = (line: Omit<RecordedLine, 'atMs'>): void => {
    const isOfLine = line.moment === 'opened' || line.moment === 'closed';
    if (line.moment !== 'about' && (saysOpening || !isOfLine)) said.push(comparable(line));
  };
  const { driver } = stage;
  driver.listenIn(stage.identity, (moment, bytes) => note({ moment, bytes }));
  const started = driver.start((event) => {
    for (const line of eventLines(event)) note(line);
    if (event.type === 'cardPresented' || event.type === 'cardInserted')
      link = stage.answersIn ? listened(event.link, answers) : event.link;
  });
  for (let count = 0; count < settlings; count++) await settle();
  let atMs = lines[0]?.atMs ?? 0;
  for (const [index, line] of lines.entries()) {
    for (; atMs < line.atMs; atMs = Math.min(line.atMs, atMs + stepMs)) {
      time.advance(Math.min(stepMs, line.atMs - atMs));
      await settle();
    }
    position = index;
    if (isStimulus(line.moment) || said.length <= index) await stage.plays[line.moment]?.(line.bytes, link);
    await settle();
  }
  driver.listenIn(stage.identity, null);
  const result = { lines: [...said], answers: [...answers] };
  await Promise.all([driver.stop(), drained(time), started]);
  return result;
}

/** The link, with every answer that it gives. */
function listened(link: ApduLink, answers: string[]): ApduLink {
  const { transmit } = link;
  return Object.assign(link, {
    transmit: async (...words: Parameters<ApduLink['transmit']>) => {
      const answer = await transmit.apply(link, words);
      answers.push(answer.ok ? toHex(answer.value) : answer.error.code);
      return answer;
    },
  });
}

/** Stopping a driver waits for times of its own. */
async function drained(time: ManualTime): Promise<void> {
  for (let passedMs = 0; passedMs < 3_000; passedMs += 100) {
    await settle();
    time.advance(100);
  }
}
