/**
 * The raw limit of a reader process: sends back on file descriptor 3 whatever comes.
 */
import { Socket } from 'node:net';

const pipe = new Socket({ fd: 3, readable: true, writable: true });
pipe.on('end', () => process.exit(0));
pipe.on('data', (chunk) => pipe.write(chunk));
