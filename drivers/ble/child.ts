/**
 * Entry of the Bluetooth child process: waits for an adapter, loads noble, and moves frames until the adapter is gone. One
 * process serves one life of the adapter; the box starts the next. Arguments: where the kernel lists adapters, and which one
 * it is (adapters.ts; the first by default). Must hold no key and no session, write nothing to its standard streams, and never outlive the box.
 */
import { cannotLoad } from '../contract/transport.js';
import { openChildEnd } from '../supervised/child-end.js';
import { chosenAdapter } from './adapters.js';
import { type BleFrame, bleFrames } from './frames.js';
import { Radio } from './radio.js';

const [adaptersFolder = '', configured = ''] = process.argv.slice(2);
/** Between two looks for an adapter. */
const lookAgainMs = 250;

let radio: Radio | null = null;
let watch: BleFrame | null = null;
const box = openChildEnd<BleFrame>(bleFrames, (frame) => {
  if (frame.type === 'watch') watch = frame;
  radio?.handle(frame);
});

let adapter = chosenAdapter(adaptersFolder, configured);
if (adapter === null) {
  const detail = configured === '' ? 'no Bluetooth adapter' : `no Bluetooth adapter ${configured}`;
  box.report({ type: 'serviceDown', code: 'device.absent', detail });
}
while (adapter === null) {
  await new Promise((resolve) => setTimeout(resolve, lookAgainMs));
  adapter = chosenAdapter(adaptersFolder, configured);
}
const { identity, name } = adapter;
// noble would take the first adapter that is switched on, which may be another one.
process.env['NOBLE_HCI_DEVICE_ID'] = name.slice('hci'.length);
// The whole adapter, without the kernel's own Bluetooth above it: over the shared channel noble's connect waits inside a call
// to the kernel until the other end answers, and every other link of the adapter with it.
process.env['HCI_CHANNEL_USER'] = '1';
const library = await import('@abandonware/noble').catch((error: unknown) => cannotLoad('noble', error));
if ('code' in library) {
  box.endWith(library);
} else {
  radio = new Radio(library.default, `${name} (${identity})`, box.report, box.endWith);
  if (watch) radio.handle(watch);
  setInterval(() => {
    if (chosenAdapter(adaptersFolder, configured)?.name !== name)
      box.endWith({ code: 'device.absent', detail: 'the Bluetooth adapter went away' });
  }, lookAgainMs);
}
