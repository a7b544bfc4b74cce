/**
 * Checks of what people and messages give to administration. Must not coerce.
 */
import { plainText } from '../../protocol/record.js';

/** Digits with an optional plus, 5…20: mainland numbers and foreign ones in E.164. */
export const isPhone = (text: string): boolean => /^\+?[0-9]{5,20}$/.test(text);
/** 1…`lengthMax` characters without control characters. */
export const isPlainText = (text: string, lengthMax: number): boolean => plainText(lengthMax).safeParse(text).success;
