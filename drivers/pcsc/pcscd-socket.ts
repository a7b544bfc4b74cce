/**
 * A connection to pcscd's socket that carries nothing: it shows that pcscd is there before anything is loaded that would
 * spin without it, and its end shows the moment pcscd goes, which nfc-pcsc never notices. Must not speak pcscd's protocol.
 */
import { connect } from 'node:net';
import type { DeviceError } from '../contract/transport.js';

/** Where libpcsclite looks, unless PCSCLITE_CSOCK_NAME says otherwise. */
export const pcscdSocketPath = '/run/pcscd/pcscd.comm';

export interface PcscdWatch {
  /** Called once, when pcscd has gone. */
  onGone(listener: () => void): void;
}

/** Connects once. @returns the watch, or why pcscd cannot be used: device.absent or device.denied */
export function watchPcscd(path: string): Promise<PcscdWatch | DeviceError> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let gone = false;
    let listener: (() => void) | null = null;
    socket.once('connect', () =>
      resolve({
        onGone(whenGone) {
          listener = whenGone;
          if (gone) whenGone();
        },
      }),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(refusal(path, error.code)));
    socket.on('close', () => {
      gone = true;
      listener?.();
    });
    socket.resume();
  });
}

function refusal(path: string, code: string | undefined): DeviceError {
  if (code === 'EACCES' || code === 'EPERM')
    return { code: 'device.denied', detail: `no permission for pcscd's socket ${path}` };
  const why = code === 'ENOENT' ? `there is no socket ${path}` : `nothing answers at ${path} (${code ?? 'unknown'})`;
  return { code: 'device.absent', detail: `pcscd is not running: ${why}; sudo systemctl enable --now pcscd.socket` };
}
