/**
 * What a bank card says of a directory or an application when it is selected, and of its applications in the directory (EMV
 * Book 1 §11.3.4, §12.2.3). Pure. Keeps no view of an answer.
 */
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import { type DecodeError, decodeError, ok, type Result } from '../../../terminal/kernel/result.js';
import { decodeTlv, findTlv, type Tlv } from '../ber-tlv/ber-tlv.js';

const tag = {
  fci: 0x6f,
  name: 0x84,
  proprietary: 0xa5,
  directory: 0x88,
  pdol: 0x9f38,
  label: 0x50,
  preferredName: 0x9f12,
  codeTable: 0x9f11,
  record: 0x70,
  application: 0x61,
  applicationName: 0x4f,
  priority: 0x87,
} as const;
const nameBytesMin = 5;
const nameBytesMax = 16;
const labelBytesMax = 16;
/** ISO 8859-1, the one table of EMV Book 3 annex B whose letters are shown here. */
const latin1 = 1;

/** What an application is called: its label, or its preferred name where its letters are known here. */
export interface NamingParts {
  readonly label: string | null;
}

export interface FileControl extends NamingParts {
  /** 5…16 bytes. */
  readonly name: Bytes;
  /** Short file identifier of the directory, 1…10; null: it has none. */
  readonly directory: number | null;
  /** Processing options data object list; null: the application wants nothing. */
  readonly pdol: Bytes | null;
}

/** @returns what a SELECT answered, or `input.…` */
export function decodeFileControl(data: Bytes): Result<FileControl, DecodeError> {
  const inside = onlyTemplate(data, tag.fci, 'file control information');
  if (!inside.ok) return inside;
  const name = nameOf(inside.value, tag.name);
  if (!name.ok) return name;
  const proprietary = findTlv(inside.value, tag.proprietary);
  if (!proprietary) return decodeError('input.malformed', 0, 'no proprietary template');
  const directory = findTlv(proprietary.children, tag.directory);
  if (directory && !isDirectory(directory)) return decodeError('input.malformed', directory.offset, 'directory file');
  return ok({
    name: name.value,
    directory: directory?.value[0] ?? null,
    pdol: findTlv(proprietary.children, tag.pdol)?.value.slice() ?? null,
    label: labelIn(proprietary.children),
  });
}

const isDirectory = ({ value: [file = 0], value }: Tlv): boolean => value.length === 1 && file >= 1 && file <= 10;

export interface DirectoryEntry extends NamingParts {
  readonly name: Bytes;
  /** 1 (first) … 15; null: the card has no wish. */
  readonly priority: number | null;
}

/** @returns the applications in one record of the directory, or `input.…` */
export function decodeDirectoryRecord(data: Bytes): Result<readonly DirectoryEntry[], DecodeError> {
  const inside = onlyTemplate(data, tag.record, 'directory record');
  if (!inside.ok) return inside;
  const entries: DirectoryEntry[] = [];
  for (const { tag: kind, children } of inside.value) {
    if (kind !== tag.application) continue;
    const name = nameOf(children, tag.applicationName);
    if (!name.ok) return name;
    const priority = findTlv(children, tag.priority);
    if (priority && priority.value.length !== 1) return decodeError('input.malformed', priority.offset, 'priority');
    const wish = (priority?.value[0] ?? 0) & 0x0f;
    entries.push({ name: name.value, priority: wish === 0 ? null : wish, label: labelIn(children) });
  }
  return ok(entries);
}

/** The children of the one object that an answer is. */
export function onlyTemplate(data: Bytes, kind: number, what: string): Result<readonly Tlv[], DecodeError> {
  const decoded = decodeTlv(data, 'filled');
  if (!decoded.ok) return decodeError(decoded.error.code, decoded.error.offset, `${what}: ${decoded.error.detail}`);
  const [only, more] = decoded.value;
  if (!only) return decodeError('input.truncated', 0, `${what}: nothing`);
  if (only.tag !== kind) return decodeError('input.malformed', only.offset, `${what}: another template`);
  if (more) return decodeError('input.tooLong', more.offset, `${what}: more than one template`);
  return ok(only.children);
}

function nameOf(objects: readonly Tlv[], kind: number): Result<Bytes, DecodeError> {
  const found = findTlv(objects, kind);
  if (!found) return decodeError('input.malformed', 0, 'an application without its name');
  if (found.value.length < nameBytesMin || found.value.length > nameBytesMax)
    return decodeError('input.outOfRange', found.offset, `a name of ${found.value.length} bytes`);
  return ok(found.value.slice());
}

/** Book 1 §12.4: the preferred name where its code table is had, else the label. What cannot be shown is no label. */
function labelIn(objects: readonly Tlv[]): string | null {
  const table = findTlv(objects, tag.codeTable)?.value;
  const preferred = findTlv(objects, tag.preferredName);
  const named = preferred && table?.length === 1 && table[0] === latin1 ? shown(preferred.value) : null;
  const label = findTlv(objects, tag.label);
  return named ?? (label ? shown(label.value) : null);
}

/** A letter of ISO 8859-1 has the code of its place; controls and the soft hyphen are none. */
function shown(bytes: Bytes): string | null {
  const text = String.fromCharCode(...bytes.subarray(0, labelBytesMax + 1)).trim();
  return bytes.length <= labelBytesMax && /^[\x20-\x7e\xa0-\xac\xae-\xff]+$/.test(text) ? text : null;
}
