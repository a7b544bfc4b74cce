/**
 * The wallets' common door, OSE.VAS.01: which wallet is on the phone, and what it says of itself when it is selected.
 * Pure. Must not know what is asked of the wallet afterwards.
 */
import { type Bytes, equalBytes, utf8 } from '../../../terminal/kernel/bytes.js';
import { ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeTlv, findTlv, type Tlv } from '../ber-tlv/ber-tlv.js';
import { type DialogueError, dialogueFault, statusText } from '../card-dialogue.js';
import { encodeCommand, splitAnswer } from '../member/apdu.js';

const oseName = utf8('OSE.VAS.01');

/** SELECT by name: 00 A4 04 00 0A "OSE.VAS.01" 00. */
export const selectOseCommand = (): Bytes =>
  encodeCommand({ cla: 0x00, ins: 0xa4, p1: 0x04, p2: 0x00, data: oseName, answerBytesMax: 256 });

export type Wallet =
  | {
      readonly wallet: 'apple';
      /** Major and minor version, 0100 is the known one. */
      readonly version: Bytes;
      /** Fresh at each selection; nothing that a pass answers is bound to it. */
      readonly nonce: Bytes | null;
    }
  | {
      readonly wallet: 'google';
      /** 32 bytes; null from older wallets: select Smart Tap itself. */
      readonly deviceNonce: Bytes | null;
    };

const tag = { template: 0x6f, label: 0x50, appleVersion: 0x9f21, appleNonce: 0x9f24, googleNonce: 0xc2 } as const;
const labels = { apple: utf8('ApplePay'), google: utf8('AndroidPay') } as const;
const googleNonceBytes = 32;
const appleNonceBytes = 4;
const appleMajor = 1;

/** @returns the wallet, or `card.noApplication` (no wallet, or one that is not known here), `input.…` with what was wrong */
export function decodeOseAnswer(answer: Bytes): Result<Wallet, DialogueError> {
  const split = splitAnswer(answer);
  if (!split.ok) return dialogueFault(split.error.code, null, split.error.detail);
  const { data, status } = split.value;
  if (status !== 0x9000) return dialogueFault('card.noApplication', status, statusText(status));
  const decoded = decodeTlv(data);
  if (!decoded.ok)
    return dialogueFault(decoded.error.code, status, `byte ${decoded.error.offset}: ${decoded.error.detail}`);
  const template = findTlv(decoded.value, tag.template);
  const label = template && findTlv(template.children, tag.label)?.value;
  if (!template || !label) return dialogueFault('input.malformed', status, 'no label');
  if (equalBytes(label, labels.apple)) return apple(template, status);
  if (equalBytes(label, labels.google)) return google(template, status);
  return dialogueFault('card.noApplication', status, 'another wallet');
}

function apple(template: Tlv, status: number): Result<Wallet, DialogueError> {
  const version = findTlv(template.children, tag.appleVersion)?.value;
  if (version?.length !== 2 || version[0] !== appleMajor)
    return dialogueFault('input.unsupported', status, 'VAS version');
  const nonce = findTlv(template.children, tag.appleNonce)?.value ?? null;
  if (nonce && nonce.length !== appleNonceBytes) return dialogueFault('input.malformed', status, 'nonce');
  return ok({ wallet: 'apple', version, nonce });
}

function google(template: Tlv, status: number): Result<Wallet, DialogueError> {
  const deviceNonce = findTlv(template.children, tag.googleNonce)?.value ?? null;
  if (deviceNonce && deviceNonce.length !== googleNonceBytes)
    return dialogueFault('input.malformed', status, 'device nonce');
  return ok({ wallet: 'google', deviceNonce });
}
