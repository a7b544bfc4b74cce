/**
 * Entry of the PC/SC child process: waits for pcscd, loads nfc-pcsc, and moves frames between the box (file descriptor 3)
 * and the cards until either is gone. One process serves one life of pcscd; the box starts the next.
 * Must hold no key and no session, write nothing to its standard streams, and never outlive the box.
 */
import { Socket } from 'node:net';
import { printable } from '../../terminal/kernel/redaction.js';
import type { DeviceError } from '../contract/transport.js';
import { CardMover } from './card-mover.js';
import { encodeFrame, type Frame, FrameReader, framesVersion } from './frames.js';
import { pcscdSocketPath, watchPcscd } from './pcscd-socket.js';

const pipeDescriptor = 3;
/** Between two looks for pcscd: well within the two seconds in which the box promises to be back. */
const lookAgainMs = 250;
/** How long a last frame may take to leave. */
const lastWordMs = 200;
/** Without any reader nobody says that the first look is over. */
const firstLookMs = 100;

/** An ordinary exit waits for commands that are stuck in a reader; this does not. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL');
}

const pipe = new Socket({ fd: pipeDescriptor, readable: true, writable: true });
pipe.on('error', endAtOnce);
pipe.on('end', endAtOnce);
pipe.on('close', endAtOnce);

function report(frame: Frame): void {
  pipe.write(encodeFrame(frame));
}

function endWith(error: DeviceError): void {
  setTimeout(endAtOnce, lastWordMs);
  pipe.write(encodeFrame({ type: 'serviceDown', ...error }), endAtOnce);
}

process.on('uncaughtException', (error) =>
  endWith({ code: 'device.failed', detail: printable(`${error.name}: ${error.message}`) }),
);

async function pcscdPresence(path: string): Promise<void> {
  let reported = '';
  for (;;) {
    const watch = await watchPcscd(path);
    if (!('code' in watch)) {
      watch.onGone(() => endWith({ code: 'device.absent', detail: 'pcscd has ended' }));
      return;
    }
    if (watch.detail !== reported) report({ type: 'serviceDown', ...watch });
    reported = watch.detail;
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}

async function main(): Promise<void> {
  const reader = new FrameReader();
  let mover: CardMover | null = null;
  pipe.on('data', (chunk) => {
    const frames = reader.push(chunk);
    if (!frames.ok) endWith({ code: 'device.failed', detail: `unreadable frame: ${frames.error.code}` });
    for (const frame of frames.ok ? frames.value : []) {
      if (frame.type === 'ping') report({ type: 'pong', nonce: frame.nonce });
      else mover?.handle(frame);
    }
  });
  report({ type: 'hello', version: framesVersion });
  await pcscdPresence(process.env['PCSCLITE_CSOCK_NAME'] ?? pcscdSocketPath);
  const { NFC } = await import('nfc-pcsc').catch((error: unknown) => {
    throw new Error(`nfc-pcsc cannot be loaded: ${error instanceof Error ? error.message : 'unknown'}`);
  });
  const started = new CardMover(new NFC(), report, (detail) => endWith({ code: 'device.failed', detail }));
  mover = started;
  report({ type: 'serviceUp' });
  setTimeout(() => started.looked(), firstLookMs);
}

main().catch((error: unknown) =>
  endWith({ code: 'device.failed', detail: printable(error instanceof Error ? error.message : 'unknown') }),
);
