/**
 * Network transport: one raw TCP socket as bytes, as receipt printers listen on (port 9100). Nothing on it is encrypted or
 * authenticated: it belongs on the shop's own network.
 */
import { connect } from 'node:net';
import { printable } from '../../terminal/kernel/redaction.js';
import { err, ok, type Result } from '../../terminal/kernel/result.js';
import type { ByteTransport, DeviceError } from '../contract/transport.js';

/**
 * The system asks for a connection at once, after 1 s and after 3 s, and the driver begins a new attempt on the whole second: with
 * this it asks each second, and a printer that comes back in the middle of an attempt does not wait for its end.
 */
const connectTimeoutMs = 1_900;
/** After so long without a byte, and then as often, the system asks whether the other side still lives; ten silences end it. */
const keepAliveMs = 1_000;

/** Host and port of `192.168.1.50:9100` or `[fd00::1]:9100`; null where it is neither. */
export function readAddress(text: string): { readonly host: string; readonly port: number } | null {
  const [, bracketed, plain, digits = ''] = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9.-]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number.parseInt(digits, 10);
  const host = bracketed ?? plain;
  return host !== undefined && port >= 1 && port <= 65_535 ? { host, port } : null;
}

const errorOf = (error: Error & { readonly code?: string }): DeviceError => ({
  code: error.code === 'EACCES' ? 'device.denied' : 'device.absent',
  detail: printable(error.message),
});

/** Opens the socket. Fails with device.absent, device.denied, or device.failed for what is no address. */
export async function openTcpTransport(text: string): Promise<Result<ByteTransport, DeviceError>> {
  const address = readAddress(text);
  if (!address) return err({ code: 'device.failed', detail: printable(`${text} is no host:port`) });
  const socket = connect({ ...address, noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs });
  const failed = await new Promise<DeviceError | null>((resolve) => {
    const timer = setTimeout(() => {
      socket.destroy();
      resolve({ code: 'device.absent', detail: printable(`${text} does not answer`) });
    }, connectTimeoutMs);
    socket.once('connect', () => {
      clearTimeout(timer);
      resolve(null);
    });
    socket.on('error', (error) => {
      clearTimeout(timer);
      resolve(errorOf(error));
    });
  });
  if (failed) return err(failed);
  let closing = false;
  return ok({
    write: (bytes) =>
      new Promise((resolve) => {
        socket.write(bytes, (error) => resolve(error ? err(errorOf(error)) : ok(undefined)));
      }),
    onData: (listener) => {
      socket.on('data', (chunk: Buffer) => listener(new Uint8Array(chunk)));
    },
    onClosed: (listener) => {
      socket.on('close', () => {
        if (!closing) listener({ code: 'device.closed', detail: 'the printer closed the connection' });
      });
      // Between opening and listening it may have gone.
      if (socket.destroyed) listener({ code: 'device.closed', detail: 'the printer closed the connection' });
    },
    close: () =>
      new Promise((resolve) => {
        closing = true;
        socket.destroy();
        resolve();
      }),
  });
}
