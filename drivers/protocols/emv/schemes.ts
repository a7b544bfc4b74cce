/**
 * Applications of bank cards that are known here: their names on the card, as rows. Pure.
 */
import { type Bytes, equalBytes, hex } from '../../../terminal/kernel/bytes.js';

export type Scheme = 'unionPay' | 'visa' | 'mastercard' | 'jcb' | 'amex' | 'discover';

/** An application identifier (ISO/IEC 7816-5): RID(5) ‖ PIX. A card's own name may go on behind it: partial selection. */
export interface ApplicationRow {
  readonly id: string;
  readonly scheme: Scheme;
}

/** In the order in which a card without a directory is asked. */
export const applicationRows: readonly ApplicationRow[] = [
  { id: 'a000000333010101', scheme: 'unionPay' }, // debit
  { id: 'a000000333010102', scheme: 'unionPay' }, // credit
  { id: 'a000000333010103', scheme: 'unionPay' }, // quasi-credit
  { id: 'a000000333010106', scheme: 'unionPay' }, // electronic cash
  { id: 'a0000000031010', scheme: 'visa' }, // debit and credit
  { id: 'a0000000032010', scheme: 'visa' }, // Electron
  { id: 'a0000000032020', scheme: 'visa' }, // V Pay
  { id: 'a0000000041010', scheme: 'mastercard' },
  { id: 'a0000000043060', scheme: 'mastercard' }, // Maestro
  { id: 'a0000000651010', scheme: 'jcb' },
  { id: 'a00000002501', scheme: 'amex' },
  { id: 'a0000001523010', scheme: 'discover' },
];

/** Does a card's name for an application begin with this identifier (EMV Book 1 §12.3.1)? */
export const beginsWith = (name: Bytes, id: Bytes): boolean =>
  name.length >= id.length && equalBytes(name.subarray(0, id.length), id);

/** @returns whose application this name is, or null: of nobody known here */
export const schemeOf = (name: Bytes): Scheme | null =>
  applicationRows.find((row) => beginsWith(name, hex(row.id)))?.scheme ?? null;
