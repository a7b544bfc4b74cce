// Counts the assertions in a TAP stream, each exactly once: a subtest's closing line repeats what its assertions said,
// so it counts only when it reports a failure that none of them did (a time-out, a crash, a wrong plan).
import { inspect } from 'node:util';
import { Parser, type Result } from 'tap-parser';

export interface TapFailure {
  readonly name: string;
  /** The last that passed, which is all that is known of a test that hung; what the test said: expected, found, place. */
  readonly details: string;
}

export interface TapCounts {
  readonly files: number;
  readonly passed: number;
  readonly failures: readonly TapFailure[];
  /** Skipped and to-do assertions, with their reasons. */
  readonly skips: readonly string[];
}

const DETAIL_DEPTH_MAX = 8;
/** The runner's own words for a file without a test. */
const EMPTY_FILE = 'no tests found';

function nameOf(result: Result): string {
  return result.fullname === '' ? result.name : result.fullname;
}

function directiveOf(result: Result): string | undefined {
  const directive = result.skip || result.todo;
  if (!directive) return undefined;
  return typeof directive === 'string' && directive !== '' ? directive : 'no reason given';
}

export class TapCounter {
  readonly #parser = new Parser();
  readonly #failures: TapFailure[] = [];
  readonly #skips: string[] = [];
  #passed = 0;
  #files = 0;
  #lastPassed = 'none';

  /** `onFile` is told each finished top-level test (a file, under the runner). */
  constructor(onFile: (name: string, ok: boolean) => void = () => {}) {
    this.#watch(this.#parser, (result) => {
      this.#files += 1;
      onFile(result.name, result.ok);
    });
  }

  write(text: string): void {
    this.#parser.write(text);
  }

  end(): TapCounts {
    this.#parser.end();
    if (this.#parser.results?.ok === false && this.#failures.length === 0) {
      this.#failures.push({ name: 'the TAP stream is broken', details: inspect(this.#parser.results.failures) });
    }
    return { files: this.#files, passed: this.#passed, failures: this.#failures, skips: this.#skips };
  }

  #watch(parser: Parser, onClosed?: (result: Result) => void): void {
    let failuresBeforeChild = 0;
    let skipsBeforeChild = 0;
    parser.on('child', (child: Parser) => {
      failuresBeforeChild = this.#failures.length;
      skipsBeforeChild = this.#skips.length;
      this.#watch(child);
    });
    parser.on('bailout', (reason: string) => {
      if (parser === this.#parser) this.#failures.push({ name: 'bail out', details: String(reason) });
    });
    parser.on('assert', (result: Result) => {
      if (result.closingTestPoint) {
        const isSaid = this.#failures.length > failuresBeforeChild;
        const reason = directiveOf(result);
        // A file that runs no test is a broken file, though the runner calls it skipped.
        if (onClosed !== undefined && reason === EMPTY_FILE)
          this.#failures.push({ name: nameOf(result), details: reason });
        else if (reason !== undefined && this.#skips.length === skipsBeforeChild) this.#skip(result, reason);
        else if (reason === undefined && !result.ok && !isSaid) this.#fail(result);
      } else {
        this.#leaf(result);
      }
      onClosed?.(result);
    });
  }

  #leaf(result: Result): void {
    const reason = directiveOf(result);
    if (reason !== undefined) this.#skip(result, reason);
    else if (result.ok) {
      this.#passed += 1;
      this.#lastPassed = nameOf(result);
    } else this.#fail(result);
  }

  #fail(result: Result): void {
    const diag = result.diag === null ? '' : inspect(result.diag, { depth: DETAIL_DEPTH_MAX, breakLength: 100 });
    this.#failures.push({ name: nameOf(result), details: `the last that passed: ${this.#lastPassed}\n${diag}` });
  }

  #skip(result: Result, reason: string): void {
    this.#skips.push(`${nameOf(result)}: ${reason}`);
  }
}
