// Runs the seeds that its parent names, one line in, one JSON line out. Must not judge: simulate.ts does.
import { createInterface } from 'node:readline';
import { simulate } from '../../terminal/sim/simulator/world.js';

for await (const line of createInterface({ input: process.stdin })) {
  const [seed = 0, events = 0] = line.split(' ').map(Number);
  process.stdout.write(`${JSON.stringify(await simulate({ seed, events }))}\n`);
}
