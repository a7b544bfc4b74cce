/**
 * Report descriptors for tests of PIN pads on HID, built item by item by docs/protocols/pin-pad.md; none was captured from a device.
 */
import { type Bytes, concat, hex } from '../../../terminal/kernel/bytes.js';

/** Usage page FF00, usage 1, application; one byte fields from 0 to 255. */
const begin = hex('0600ff0901a101150026ff007508');
const end = hex('c0');
const fields = (count: number, item: string): Bytes =>
  concat(hex(`95${count.toString(16).padStart(2, '0')}`), hex(item));
const input = '09028102';
const output = '09039102';

/** 64 bytes each way, no ids. */
export const padDescriptor: Bytes = concat(begin, fields(64, input), fields(64, output), end);
/** Report 3: 32 bytes in, 16 out. */
export const numberedPadDescriptor: Bytes = concat(begin, hex('8503'), fields(32, input), fields(16, output), end);
/** The same beside a keyboard in one interface. */
export const mixedPadDescriptor: Bytes = concat(padDescriptor, hex('05010906a101c0'));
