/**
 * Supervises the child process of a bus: starts it, asks whether it lives, kills it when it does not answer, starts the
 * next after a pause that grows. Must not know devices; frames go to its owner.
 */
import type { Clock } from '../../terminal/kernel/ports.js';
import { type DurationMs, durationMs, type MonotonicMs, seconds } from '../../terminal/kernel/units.js';
import type { Schedule } from '../contract/driver.js';
import type { DeviceError } from '../contract/transport.js';
import { type FrameCodec, type LifeFrame, lifeRows } from './frame-codec.js';
import type { ChildPipe, SpawnChild } from './spawn-child.js';

/** From start to first frame, on a slow board under load. */
export const helloTimeoutMs = 15_000;
/** Heartbeats without any frame after which it is taken for dead. Two, because the first may be the box's own pause. */
const missedMax = 2;
/** Pause before the first restart; doubles with each life that was short. */
export const restartDelayMinMs = 50;
/** A life this long forgets the failures before it. */
const stableAfter = seconds(10);
/** How long stop() waits for the process to be gone. */
const stopTimeoutMs = 1_500;

export interface SupervisedProcessSetup<Frame> {
  /** For the technician: `reader process`. */
  readonly name: string;
  readonly codec: FrameCodec<Frame | LifeFrame>;
  readonly spawn: SpawnChild;
  readonly clock: Clock;
  readonly schedule: Schedule;
  readonly heartbeat: DurationMs;
  readonly restartDelayMax: DurationMs;
  /** Every frame but hello and pong. */
  readonly onFrame: (frame: Frame | LifeFrame) => void;
  /** This life is over; the next is on its way. */
  readonly onEnded: (error: DeviceError) => void;
}

interface Life {
  readonly child: ChildPipe;
  readonly since: MonotonicMs;
  missed: number;
  /** Why it was condemned, or what it said itself; else its exit tells. */
  lastWord: DeviceError | null;
  cancelTimer: () => void;
}

export class SupervisedProcess<Frame extends { readonly type: string }> {
  #life: Life | null = null;
  #cancelRestart: () => void = () => {};
  #stopped = true;
  #shortLives = 0;
  #nonce = 0;
  #whenEnded: () => void = () => {};
  /** Lives started so far. */
  starts = 0;

  constructor(private readonly setup: SupervisedProcessSetup<Frame>) {}

  get pid(): number | null {
    return this.#life?.child.pid ?? null;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#begin();
  }

  /** Kills it and starts no other; resolves when it is gone, at the latest after 1.5 s. */
  stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelRestart();
    const life = this.#life;
    if (!life) return Promise.resolve();
    life.cancelTimer();
    return new Promise((resolve) => {
      const cancel = this.setup.schedule(stopTimeoutMs, resolve);
      this.#whenEnded = () => {
        cancel();
        resolve();
      };
      life.child.kill();
    });
  }

  /** Sends a frame to the living child; between two lives it is dropped. */
  send(frame: Frame | LifeFrame): void {
    this.#life?.child.write(this.setup.codec.encode(frame));
  }

  /** Replaces a child that cannot be used any more. */
  condemn(detail: string): void {
    const life = this.#life;
    if (!life || life.lastWord?.code === 'device.timedOut') return;
    life.lastWord = { code: 'device.timedOut', detail };
    life.cancelTimer();
    life.child.kill();
  }

  #begin(): void {
    this.starts++;
    const child = this.setup.spawn();
    const life: Life = {
      child,
      since: this.setup.clock.monotonicMs(),
      missed: 0,
      lastWord: null,
      cancelTimer: () => {},
    };
    this.#life = life;
    life.cancelTimer = this.setup.schedule(helloTimeoutMs, () => this.condemn(`the ${this.setup.name} did not start`));
    const stream = this.setup.codec.stream();
    child.onData((chunk) => {
      const frames = stream.push(chunk);
      if (frames.ok) for (const frame of frames.value) this.#received(life, frame);
      else this.condemn(`the ${this.setup.name} sent an unreadable frame: ${frames.error.code}`);
    });
    child.onEnded((how) => this.#ended(life, how));
  }

  #received(life: Life, frame: Frame | LifeFrame): void {
    if (this.#life !== life || this.#stopped) return;
    life.missed = 0;
    if (isLifeFrame(frame)) {
      if (frame.type === 'hello') {
        life.cancelTimer();
        if (frame.version === this.setup.codec.version) this.#beat(life);
        else this.condemn(`the ${this.setup.name} speaks version ${frame.version}`);
        return;
      }
      if (frame.type === 'pong') return;
    }
    const isDown = isLifeFrame(frame) && frame.type === 'serviceDown';
    life.lastWord = isDown ? { code: frame.code, detail: frame.detail } : null;
    this.setup.onFrame(frame);
  }

  #beat(life: Life): void {
    if (life.missed >= missedMax) {
      this.condemn(`the ${this.setup.name} does not answer`);
      return;
    }
    life.missed++;
    this.#nonce = (this.#nonce + 1) % 2 ** 32;
    this.send({ type: 'ping', nonce: this.#nonce });
    life.cancelTimer = this.setup.schedule(this.setup.heartbeat, () => this.#beat(life));
  }

  #ended(life: Life, how: string): void {
    if (this.#life !== life) return;
    this.#life = null;
    life.cancelTimer();
    if (this.#stopped) {
      this.#whenEnded();
      return;
    }
    if (this.setup.clock.monotonicMs() - life.since >= stableAfter) this.#shortLives = 0;
    const delay = durationMs(Math.min(restartDelayMinMs * 2 ** this.#shortLives, this.setup.restartDelayMax));
    if (delay < this.setup.restartDelayMax) this.#shortLives++;
    this.#cancelRestart = this.setup.schedule(delay, () => this.#begin());
    this.setup.onEnded(life.lastWord ?? { code: 'device.failed', detail: `the ${this.setup.name} ${how}` });
  }
}

const isLifeFrame = (frame: { readonly type: string }): frame is LifeFrame => frame.type in lifeRows;
