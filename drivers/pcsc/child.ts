/**
 * Entry of the PC/SC child process: waits for pcscd, loads nfc-pcsc, and moves frames between the box and the cards until
 * either is gone. One process serves one life of pcscd; the box starts the next.
 * Must hold no key and no session, write nothing to its standard streams, and never outlive the box.
 */
import { cannotLoad } from '../contract/transport.js';
import { openChildEnd } from '../supervised/child-end.js';
import { CardMover } from './card-mover.js';
import { type Frame, readerFrames } from './frames.js';
import { pcscdSocketPath, watchPcscd } from './pcscd-socket.js';

/** Between two looks for pcscd: well within the two seconds in which the box promises to be back. */
const lookAgainMs = 250;
/** Without any reader nobody says that the first look is over. */
const firstLookMs = 100;

let mover: CardMover | null = null;
const box = openChildEnd<Frame>(readerFrames, (frame) => mover?.handle(frame));

async function pcscdPresence(path: string): Promise<void> {
  let reported = '';
  for (;;) {
    const watch = await watchPcscd(path);
    if (!('code' in watch)) {
      watch.onGone(() => box.endWith({ code: 'device.absent', detail: 'pcscd has ended' }));
      return;
    }
    if (watch.detail !== reported) box.report({ type: 'serviceDown', ...watch });
    reported = watch.detail;
    await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  }
}

await pcscdPresence(process.env['PCSCLITE_CSOCK_NAME'] ?? pcscdSocketPath);
const library = await import('nfc-pcsc').catch((error: unknown) => cannotLoad('nfc-pcsc', error));
if ('code' in library) {
  box.endWith(library);
} else {
  const nfc = new library.NFC();
  const started = new CardMover(nfc, box.report, (detail) => box.endWith({ code: 'device.failed', detail }));
  mover = started;
  box.report({ type: 'serviceUp' });
  setTimeout(() => started.looked(), firstLookMs);
}
