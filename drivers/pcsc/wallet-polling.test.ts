/** Shows the polling frames as published, each with its CRC. */
import t from 'tap';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { crcA, pollingFrame } from './wallet-polling.js';

t.test('frames and their CRC_A', (t) => {
  t.equal(toHex(pollingFrame('vasOrPayment')), '6a01000000f6f1');
  t.equal(toHex(pollingFrame('vasAndPayment')), '6a010000017fe0');
  t.equal(toHex(pollingFrame('vasOnly')), '6a01000002e4d2');
  t.equal(toHex(pollingFrame('paymentOnly')), '6a010000036dc3');
  t.equal(toHex(crcA(hex('0000'))), 'a01e', 'ISO/IEC 14443-3 annex B');
  t.equal(toHex(crcA(hex('1234'))), '26cf', 'ISO/IEC 14443-3 annex B');
  t.end();
});
