/** Shows the polling frames as published, each with its CRC, and what an ACR122U would be sent; no other reader is sent anything. */
import t from 'tap';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { crcA, pollingCommands, pollingFrame } from './wallet-polling.js';

t.test('frames and their CRC_A', (t) => {
  t.equal(toHex(pollingFrame('vasOrPayment')), '6a01000000f6f1');
  t.equal(toHex(pollingFrame('vasAndPayment')), '6a010000017fe0');
  t.equal(toHex(pollingFrame('vasOnly')), '6a01000002e4d2');
  t.equal(toHex(pollingFrame('paymentOnly')), '6a010000036dc3');
  t.equal(toHex(crcA(hex('0000'))), 'a01e', 'ISO/IEC 14443-3 annex B');
  t.equal(toHex(crcA(hex('1234'))), '26cf', 'ISO/IEC 14443-3 annex B');
  t.end();
});

t.test('an ACR122U is sent four commands for each frame', (t) => {
  const commands = pollingCommands('ACS ACR122U PICC Interface 00 00', 'vasOnly');
  t.same(commands?.map(toHex), [
    'ff00000006d43205ff0100',
    'ff00000004d44a0100',
    'ff00000005d408633d00',
    'ff00000009d4426a01000002e4d2',
  ]);
  t.equal(pollingCommands('Virtual PCD 00 00', 'vasOnly'), null);
  t.end();
});
