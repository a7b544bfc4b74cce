/**
 * The guest's line to the host: asks for devices to be plugged in and out, and tells what the scenarios found.
 */
import { createReadStream, openSync, writeSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { GuestLine, Request } from '../requests.js';

const linePath = '/dev/ttyS1';

export class HostLine {
  readonly #out = openSync(linePath, 'w');
  readonly #waiting = new Map<number, (problem: string | null) => void>();
  #last = 0;

  constructor() {
    createInterface({ input: createReadStream(linePath) }).on('line', (text) => {
      if (!text.startsWith('{')) return;
      const { answer, problem } = JSON.parse(text) as { readonly answer: number; readonly problem: string | null };
      this.#waiting.get(answer)?.(problem);
      this.#waiting.delete(answer);
    });
  }

  tell(line: GuestLine): void {
    writeSync(this.#out, `${JSON.stringify(line)}\n`);
  }

  /** Resolves when the host has done it; rejects with its reason. */
  ask(request: Request): Promise<void> {
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, (problem) => (problem === null ? resolve() : reject(new Error(problem))));
      this.tell({ ...request, number });
    });
  }
}
