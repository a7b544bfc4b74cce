/**
 * The child's end of the pipe to the box: frames in and out on file descriptor 3, heartbeats answered, and an end that
 * comes at once when the pipe does. Must not know a bus.
 */
import { Socket } from 'node:net';
import { printable } from '../../terminal/kernel/redaction.js';
import type { DeviceError } from '../contract/transport.js';
import type { FrameCodec, LifeFrame } from './frame-codec.js';

const pipeDescriptor = 3;
/** How long a last frame may take to leave. */
const lastWordMs = 200;

/** An ordinary exit waits for commands that are stuck in native code; this does not. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

export interface ChildEnd<Frame> {
  report(frame: Frame | LifeFrame): void;
  /** Says why, then ends this process. */
  endWith(error: DeviceError): void;
}

/** Says hello and hands every frame but pings to `handle`. An error that nobody catches ends the process with its reason. */
export function openChildEnd<Frame extends { readonly type: string }>(
  codec: FrameCodec<Frame | LifeFrame>,
  handle: (frame: Frame | LifeFrame) => void,
): ChildEnd<Frame> {
  const pipe = new Socket({ fd: pipeDescriptor, readable: true, writable: true });
  for (const end of ['error', 'end', 'close']) pipe.on(end, endAtOnce);
  const report = (frame: Frame | LifeFrame): void => {
    pipe.write(codec.encode(frame));
  };
  const endWith = (error: DeviceError): void => {
    setTimeout(endAtOnce, lastWordMs);
    pipe.write(codec.encode({ type: 'serviceDown', code: error.code, detail: error.detail }), endAtOnce);
  };
  const crashed = (error: unknown): void =>
    endWith({
      code: 'device.failed',
      detail: printable(error instanceof Error ? `${error.name}: ${error.message}` : 'unknown'),
    });
  process.on('uncaughtException', crashed);
  process.on('unhandledRejection', crashed);
  const stream = codec.stream();
  pipe.on('data', (chunk) => {
    const frames = stream.push(chunk);
    if (!frames.ok) endWith({ code: 'device.failed', detail: `unreadable frame: ${frames.error.code}` });
    for (const frame of frames.ok ? frames.value : []) {
      if (frame.type === 'ping') report({ type: 'pong', nonce: (frame as { readonly nonce: number }).nonce });
      else handle(frame);
    }
  });
  report({ type: 'hello', version: codec.version });
  return { report, endWith };
}
