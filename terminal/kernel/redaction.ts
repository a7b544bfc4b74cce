/**
 * Redaction: makes text from outside safe to show or log. Secrets are kept out by never being given to a logger;
 * this is the second net, and the one place that neutralises control characters.
 */

/**
 * Control, invisible, bidirectional and line-separator characters and lone surrogates become visible symbols; at most
 * `lengthMax` UTF-16 code units of the text stay, never half a character, with `…` behind what was cut.
 */
export function printable(text: string, lengthMax = 200): string {
  const cut = text.length > lengthMax ? `${text.slice(0, wholeLength(text, lengthMax))}…` : text;
  return cut.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : code === 0x7f ? '\u2421' : '\ufffd';
  });
}

/** Where to cut so that a surrogate pair at the end is not torn. */
function wholeLength(text: string, lengthMax: number): number {
  const last = text.charCodeAt(lengthMax - 1);
  return last >= 0xd800 && last < 0xdc00 ? lengthMax - 1 : lengthMax;
}

/** A member's phone number as others may see it: `138****0000`. */
export function maskPhone(phone: string): string {
  return phone.length < 8 ? '****' : `${phone.slice(0, 3)}****${phone.slice(-4)}`;
}

/** Field names whose values never reach a log, at any depth that the logger is configured for. */
export const secretFields = [
  'pin',
  'pan',
  'pinBlock',
  'keySerialNumber',
  'key',
  'memberKey',
  'siteKey',
  'sessionKeys',
  'token',
  'pairingToken',
  'enrolmentCode',
  'code',
  'privateKey',
  'password',
  'authorization',
  'proof',
  'pan',
  'cardNumber',
  'track2',
] as const;
