/**
 * The name of a Smart Tap session's one answer, made alike by the box that opens it and the host that it is held back for.
 * Pure.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Crypto } from '../../../terminal/kernel/ports.js';
import { answerName } from '../wallet-pass/wallet-pass.js';
import { type SessionFace, signedBytes } from './channel.js';

type Named = { readonly nonce: Bytes; readonly ephemeral: Pick<SessionFace['ephemeral'], 'publicKey'> };

/** 16 bytes in hex. Of the terminal's own nonce and key: an answer opens under no others, so the name can come once only. */
export const sessionName = (crypto: Pick<Crypto, 'sha256'>, face: Named, collectorId: number): string =>
  answerName(crypto, signedBytes(face, face.nonce, collectorId));
