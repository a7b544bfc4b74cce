/**
 * Opens the SMPP carrier that the settings ask for: password from its file, TCP or TLS, log lines.
 */
import net from 'node:net';
import path from 'node:path';
import tls from 'node:tls';
import type { Logger } from 'pino';
import { passwordMax } from '../../../../drivers/protocols/smpp/bodies.js';
import { TerminalError } from '../../../../terminal/kernel/errors.js';
import type { MessageSpool } from '../../../spool/message-spool.js';
import { readPrivateFile } from '../../pki/key-files.js';
import type { Schedule } from '../port.js';
import { SmppCarrier } from './carrier.js';
import type { CentreConnection } from './session.js';

export interface SmppSettings {
  readonly smppHost: string;
  readonly smppPort: number;
  readonly smppTls: string;
  readonly smppSystemId: string;
  readonly smppSystemType: string;
  readonly smppPasswordFile: string;
  readonly smppWindow: number;
  readonly merchantNumber: string;
  readonly homeNumberPrefix: string;
  readonly messageLookMs: number;
}

const connectWithinMs = 10_000;

/** Connects by TCP, or by TLS with the machine's authorities. Rejects with the system's error. */
export function connectTo(host: string, port: number, secure: boolean): Promise<CentreConnection> {
  return new Promise((resolve, reject) => {
    const socket = secure ? tls.connect({ host, port, servername: host }) : net.connect({ host, port });
    socket.setNoDelay(true);
    socket.setTimeout(connectWithinMs, () =>
      socket.destroy(Object.assign(new Error('connect'), { code: 'ETIMEDOUT' })),
    );
    socket.once('error', reject);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.setTimeout(0);
      socket.on('error', () => {});
      resolve({
        write: (bytes) => void socket.write(bytes),
        onData: (listener) => void socket.on('data', (chunk: Buffer) => listener(new Uint8Array(chunk))),
        onClosed: (listener) => void socket.on('close', listener),
        close: () => void socket.destroySoon(),
      });
    });
  });
}

/** Throws `config.invalid` where the password file is missing, too open or holds no password of SMPP. */
function readPassword(file: string): string {
  const content = readPrivateFile(file)
    ?.toString('utf8')
    .replace(/\r?\n$/, '');
  if (content === undefined || content.length > passwordMax || !/^[\x20-\x7e]+$/.test(content))
    throw new TerminalError(
      'config.invalid',
      `${path.basename(file)}: one line of 1 to ${passwordMax} ASCII characters is expected`,
    );
  return content;
}

/** The carrier, not yet started. */
export function openSmpp(
  settings: SmppSettings,
  ports: { readonly spool: MessageSpool; readonly schedule: Schedule; readonly logger: Logger },
): SmppCarrier {
  const { smppHost, smppPort, smppTls, smppSystemId, smppSystemType, smppPasswordFile, smppWindow } = settings;
  if (smppSystemId === '' || smppPasswordFile === '')
    throw new TerminalError('config.invalid', 'smppHost needs smppSystemId and smppPasswordFile');
  return new SmppCarrier({
    spool: ports.spool,
    schedule: ports.schedule,
    connect: () => connectTo(smppHost, smppPort, smppTls === 'yes'),
    who: { systemId: smppSystemId, password: readPassword(smppPasswordFile), systemType: smppSystemType },
    ownNumber: settings.merchantNumber,
    homePrefix: settings.homeNumberPrefix,
    window: smppWindow,
    lookEveryMs: settings.messageLookMs,
    report: (event, facts) => {
      if (event === 'bound') ports.logger.info(facts, 'SMS centre is bound');
      else ports.logger.warn({ event, ...facts }, 'SMS centre');
    },
  });
}
