/**
 * Device recorder: writes what passes at one device to a new file, line by line, up to a bound. One recording at a time.
 * Must not decide what may be recorded; the device desk does.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import {
  encodeRecordedLine,
  encodeRecordingHead,
  type Moment,
  type Recording,
  recordingBytesMax,
} from '../../drivers/contract/recording.js';
import { type Bytes, utf8 } from '../kernel/bytes.js';
import type { Clock } from '../kernel/ports.js';
import { printable } from '../kernel/redaction.js';
import { err, ok, type Result } from '../kernel/result.js';
import type { RecordingView, Refusal } from './port.js';

export class DeviceRecorder {
  #bytes = 0;
  #file: number | null;
  /** Why it ended by itself. */
  #ended: string | null = null;
  readonly #beganMs: number;

  private constructor(
    readonly device: string,
    private readonly path: string,
    file: number,
    private readonly clock: Clock,
  ) {
    this.#file = file;
    this.#beganMs = clock.monotonicMs();
  }

  /** Makes the file, which must not be there yet, readable by the box's own user only. Fails with device.recordingFailed. */
  static begin(
    device: string,
    path: string,
    head: Pick<Recording, 'driver' | 'identity'>,
    clock: Clock,
  ): Result<DeviceRecorder, Refusal> {
    try {
      const recorder = new DeviceRecorder(device, path, openSync(path, 'wx', 0o600), clock);
      recorder.#write(encodeRecordingHead(head));
      return ok(recorder);
    } catch (error) {
      return err({
        code: 'device.recordingFailed',
        detail: printable(error instanceof Error ? error.message : 'unknown'),
      });
    }
  }

  /** Takes the next thing; one that would pass the bound ends the recording instead. Never throws. */
  note(moment: Moment, bytes: Bytes): void {
    const atMs = Math.floor(this.clock.monotonicMs() - this.#beganMs);
    this.#write(encodeRecordedLine({ atMs, moment, bytes }));
  }

  get view(): RecordingView {
    return { file: this.path, bytes: this.#bytes, ended: this.#ended };
  }

  end(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }

  #write(text: string): void {
    if (this.#file === null) return;
    const bytes = utf8(text);
    try {
      if (this.#bytes + bytes.length > recordingBytesMax) throw new Error(`full at ${recordingBytesMax} bytes`);
      writeSync(this.#file, bytes);
      this.#bytes += bytes.length;
    } catch (error) {
      this.#ended = printable(error instanceof Error ? error.message : 'unknown');
      this.end();
    }
  }
}
