/**
 * Runs inside the rig's virtual machine: every scenario in turn, each told to the host with its outcome.
 */
import { bleScenarios } from './guest/ble-scenario.js';
import { hidScenarios } from './guest/hid-scenarios.js';
import { HostLine } from './guest/host-line.js';
import { Rig } from './guest/scenario.js';
import { usbScenarios } from './guest/usb-scenarios.js';

const host = new HostLine();
const rig = new Rig(host);
const only = process.env['SHOULI_ONLY'] ?? '';
const chosen = [...hidScenarios, ...usbScenarios, ...bleScenarios].filter(({ name }) => name.includes(only));
for (const scenario of chosen) {
  host.tell({ begins: scenario.name });
  const at = performance.now();
  let failure: string | null = null;
  try {
    await scenario.run(rig);
  } catch (error) {
    failure = error instanceof Error ? error.message : 'unknown';
    console.error(error);
  }
  host.tell({ ends: scenario.name, failure, tookMs: Math.round(performance.now() - at) });
}
host.tell({ end: true });
// An ordinary exit waits for reads that never end.
process.kill(process.pid, 'SIGKILL');
