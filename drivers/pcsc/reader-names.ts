/**
 * What a PC/SC reader's name says: which device it was before a replug, whether the options want it, what it can show.
 * Pure. pcscd 1.9 and 2 build names as `model [interface] (serial) index slot`, with index and slot in two hex digits.
 */
import { printable } from '../../terminal/kernel/redaction.js';
import type { PcscOptions } from './options.js';

export interface ReaderName {
  readonly full: string;
  /** Model with interface and serial number where there are any: what stays the same when it is plugged in elsewhere. */
  readonly model: string;
  /** Slot of a reader with several, two hex digits; empty when the name has none. */
  readonly slot: string;
}

export function parseReaderName(full: string): ReaderName {
  const parts = /^(.+) [0-9A-F]{2} ([0-9A-F]{2})$/.exec(full);
  return { full, model: parts?.[1] ?? full, slot: parts?.[2] ?? '' };
}

/**
 * Which of the readers that are away has come back: the one of the same full name, else one of the same model and slot,
 * because pcscd counts the index in the name up at each replug.
 */
export function findReturned<T extends { readonly name: ReaderName }>(name: ReaderName, away: readonly T[]): T | null {
  return (
    away.find((candidate) => candidate.name.full === name.full) ??
    away.find((candidate) => candidate.name.model === name.model && candidate.name.slot === name.slot) ??
    null
  );
}

/** Readers of vsmartcard's vpcd: no hardware, and open to every program on the box. */
export const isVirtual = (name: ReaderName): boolean => name.full.startsWith('Virtual PCD');

/**
 * Does the name say that this is a field and not a slot for contacts? Readers with both name each (PICC and ICC at ACS, CL at
 * HID Global). A name that says nothing counts as contacts.
 */
export const isContactless = (name: ReaderName): boolean =>
  isVirtual(name) ||
  (/\bPICC\b|contactless|\bCL\b|[0-9]CL\b|\bNFC\b|ACR122/i.test(name.full) && !/\b(SAM|ICC)\b/i.test(name.full));

/** Do the options say that this is a slot for cards with contacts? An empty text matches nothing. */
export const isContactSlot = (name: ReaderName, options: Pick<PcscOptions, 'contactSlots'>): boolean =>
  options.contactSlots.some((part) => namesIt(name, part));

/**
 * Does the name contain this text, any case, from the beginning of a word? ICC names a slot for contacts and not PICC, the field
 * beside it.
 */
function namesIt(name: ReaderName, part: string): boolean {
  const [whole, wanted] = [name.full.toLowerCase(), part.toLowerCase()];
  if (wanted === '') return false;
  const isWordFirst = /^[a-z0-9]/.test(wanted);
  for (let at = whole.indexOf(wanted); at >= 0; at = whole.indexOf(wanted, at + 1))
    if (!isWordFirst || !/[a-z0-9]/.test(whole.charAt(at - 1))) return true;
  return false;
}

/**
 * What a reader is known by: model with interface and serial number, and slot. Two of one model without serial numbers are
 * told apart by the order in which they came. Printable.
 */
export function identityOfReader(name: ReaderName, taken: readonly string[]): string {
  const base = printable(name.slot === '' ? name.model : `${name.model} ${name.slot}`, 120);
  for (let number = 2, identity = base; ; number++) {
    if (!taken.includes(identity)) return identity;
    identity = `${base} #${number}`;
  }
}

/** @returns why the options keep this reader out of use, or null when it is used */
export function refusalReason(name: ReaderName, options: PcscOptions): string | null {
  const contains = (part: string): boolean => namesIt(name, part);
  if (isVirtual(name) && !options.virtualReaders) return 'virtual readers are not allowed by the configuration';
  if (options.ignoredNames.some(contains)) return 'ignored by the configuration';
  if (options.names.length > 0 && !options.names.some(contains)) return 'not among the configured readers';
  return null;
}
