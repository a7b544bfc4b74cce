/**
 * HID report descriptors: which applications a device has, and where the fields of its input reports lie (Device Class
 * Definition for HID 1.11, section 6.2.2). Pure, and bounded for descriptors that mean harm. Must not know what a usage means.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';

/** Longest descriptor that Linux takes (HID_MAX_DESCRIPTOR_SIZE). */
export const descriptorBytesMax = 4_096;
const reportBitsMax = 8 * 4_096;
const collectionDepthMax = 16;
const globalStackMax = 4;
const usageRangesMax = 256;
const spansPerItemMax = 256;
const spansMax = 1_024;

export interface Usage {
  readonly page: number;
  readonly usage: number;
}

/** Neighbouring fields of one usage in an input report. */
export interface InputSpan extends Usage {
  /** The application collection around it; null: none. */
  readonly application: Usage | null;
  /** 1…255, or 0 where the device's reports have no id byte. */
  readonly reportId: number;
  /** Bits from the report's start, behind its id byte. */
  readonly bitOffset: number;
  /** Bits of one field. */
  readonly fieldBits: number;
  readonly count: number;
}

export interface ReportDescriptor {
  readonly applications: readonly Usage[];
  readonly inputs: readonly InputSpan[];
  /** Bits of each input report without its id byte, by report id. */
  readonly inputBits: ReadonlyMap<number, number>;
  /** Bits of each output report without its id byte, by report id. */
  readonly outputBits: ReadonlyMap<number, number>;
}

interface Globals {
  readonly page: number;
  readonly fieldBits: number;
  readonly count: number;
  readonly reportId: number;
}

/** Usages as the descriptor lists them; page null: the page that holds at the main item. */
interface UsageRange {
  readonly page: number | null;
  readonly first: number;
  readonly last: number;
}

interface Item {
  readonly type: number;
  readonly tag: number;
  readonly value: number;
  readonly bytes: number;
}

const itemType = { main: 0, global: 1, local: 2 } as const;
const applicationCollection = 1;
const constantFlag = 0x01;
const variableFlag = 0x02;
const longItem = 0xfe;

/**
 * Reads a whole descriptor of at most descriptorBytesMax bytes. Of output reports only the length is taken; feature reports are passed over.
 * @returns `input.tooLong` or `input.malformed` with the byte offset of the item
 */
export function decodeReportDescriptor(descriptor: Bytes): Result<ReportDescriptor, DecodeError> {
  if (descriptor.length > descriptorBytesMax)
    return decodeError('input.tooLong', descriptorBytesMax, 'descriptor longer than HID allows');
  const reader = new DescriptorReader();
  let at = 0;
  while (at < descriptor.length) {
    const prefix = descriptor[at] ?? 0;
    const isLong = prefix === longItem;
    const bytes = isLong ? 2 + (descriptor[at + 1] ?? 0) : ([0, 1, 2, 4][prefix & 3] ?? 0);
    if (at + 1 + bytes > descriptor.length) return decodeError('input.truncated', at, 'item past the end');
    if (!isLong) {
      let value = 0;
      for (let i = bytes; i > 0; i--) value = value * 256 + (descriptor[at + i] ?? 0);
      const problem = reader.take({ type: (prefix >> 2) & 3, tag: prefix >> 4, value, bytes });
      if (problem !== null) return decodeError('input.malformed', at, problem);
    }
    at += 1 + bytes;
  }
  if (reader.depth > 0) return decodeError('input.malformed', at, 'collection without an end');
  return ok(reader.found);
}

/** The state of HID's own parser (section 5.4): item after item, with a table of globals and a list of locals. */
class DescriptorReader {
  #globals: Globals = { page: 0, fieldBits: 0, count: 0, reportId: 0 };
  readonly #pushed: Globals[] = [];
  /** The application collection that each open collection belongs to. */
  readonly #collections: (Usage | null)[] = [];
  #usages: UsageRange[] = [];
  #rangeFirst: UsageRange | null = null;
  readonly #applications: Usage[] = [];
  readonly #inputs: InputSpan[] = [];
  readonly #inputBits = new Map<number, number>();
  readonly #outputBits = new Map<number, number>();

  get depth(): number {
    return this.#collections.length;
  }
  get found(): ReportDescriptor {
    return {
      applications: this.#applications,
      inputs: this.#inputs,
      inputBits: this.#inputBits,
      outputBits: this.#outputBits,
    };
  }

  /** @returns what is wrong with the item, or null */
  take(item: Item): string | null {
    if (item.type === itemType.global) return this.#takeGlobal(item);
    if (item.type === itemType.local) return this.#takeLocal(item);
    if (item.type !== itemType.main) return null;
    const problem = this.#takeMain(item);
    this.#usages = [];
    this.#rangeFirst = null;
    return problem;
  }

  #takeGlobal({ tag, value }: Item): string | null {
    switch (tag) {
      case 0x0:
        this.#globals = { ...this.#globals, page: value & 0xffff };
        return null;
      case 0x7:
        this.#globals = { ...this.#globals, fieldBits: value };
        return null;
      case 0x8:
        this.#globals = { ...this.#globals, reportId: value };
        return value >= 1 && value <= 255 ? null : 'report id outside 1…255';
      case 0x9:
        this.#globals = { ...this.#globals, count: value };
        return null;
      case 0xa:
        this.#pushed.push(this.#globals);
        return this.#pushed.length <= globalStackMax ? null : 'pushed too deep';
      case 0xb: {
        const popped = this.#pushed.pop();
        if (!popped) return 'pop without push';
        this.#globals = popped;
        return null;
      }
      default:
        return null;
    }
  }

  #takeLocal({ tag, value, bytes }: Item): string | null {
    // Four bytes carry their own page (section 6.2.2.8).
    const page = bytes === 4 ? Math.floor(value / 0x1_0000) : null;
    const usage = value % 0x1_0000;
    if (tag === 0x0) this.#usages.push({ page, first: usage, last: usage });
    if (tag === 0x1) this.#rangeFirst = { page, first: usage, last: usage };
    if (tag === 0x2) {
      const { first, page: firstPage } = this.#rangeFirst ?? { first: usage, page };
      if (first > usage) return 'usage range runs backwards';
      this.#usages.push({ page: firstPage, first, last: usage });
      this.#rangeFirst = null;
    }
    return this.#usages.length <= usageRangesMax ? null : 'too many usages';
  }

  #takeMain({ tag, value }: Item): string | null {
    if (tag === 0xa) return this.#openCollection(value);
    if (tag === 0xc) return this.#closeCollection();
    if (tag === 0x9) return this.#lengthen(this.#outputBits) === null ? 'report too long' : null;
    return tag === 0x8 ? this.#placeInput(value) : null;
  }

  /** @returns where the fields of the item begin; null: the report would be too long */
  #lengthen(bits: Map<number, number>): number | null {
    const { fieldBits, count, reportId } = this.#globals;
    const offset = bits.get(reportId) ?? 0;
    const end = offset + fieldBits * count;
    if (end > reportBitsMax) return null;
    bits.set(reportId, end);
    return offset;
  }

  #openCollection(type: number): string | null {
    if (this.#collections.length >= collectionDepthMax) return 'collections too deep';
    const first = this.#usages[0];
    const usage: Usage = { page: first?.page ?? this.#globals.page, usage: first?.first ?? 0 };
    if (type === applicationCollection) this.#applications.push(usage);
    this.#collections.push(type === applicationCollection ? usage : (this.#collections.at(-1) ?? null));
    return null;
  }

  #closeCollection(): string | null {
    return this.#collections.pop() === undefined ? 'end without a collection' : null;
  }

  #placeInput(flags: number): string | null {
    const { fieldBits, count } = this.#globals;
    const bitOffset = this.#lengthen(this.#inputBits);
    if (bitOffset === null) return 'report too long';
    if ((flags & constantFlag) !== 0 || count === 0 || fieldBits === 0) return null;
    // An array's fields name usages by value; only where it can name a single one is it certain what they hold.
    const isOne = this.#usages.length === 1 && this.#usages[0]?.first === this.#usages[0]?.last;
    if ((flags & variableFlag) === 0 && !isOne) return null;
    return this.#placeFields(bitOffset);
  }

  /** One usage a field, in order; the last usage holds for all fields that remain (section 6.2.2.8). */
  #placeFields(bitOffset: number): string | null {
    const { fieldBits, count, reportId, page } = this.#globals;
    const application = this.#collections.at(-1) ?? null;
    const lastRange = this.#usages.length - 1;
    let field = 0;
    for (const [index, range] of this.#usages.entries()) {
      for (let usage = range.first; usage <= range.last && field < Math.min(count, spansPerItemMax); usage++) {
        const isLast = index === lastRange && usage === range.last;
        this.#inputs.push({
          page: range.page ?? page,
          usage,
          application,
          reportId,
          bitOffset: bitOffset + field * fieldBits,
          fieldBits,
          count: isLast ? count - field : 1,
        });
        if (this.#inputs.length > spansMax) return 'too many fields';
        field += 1;
      }
    }
    return null;
  }
}
