/**
 * The merchant's tag keys at the host: read from private files at the start, used to prove tags' messages.
 * Must not log or return a key.
 */
import path from 'node:path';
import { z } from 'zod';
import { openSun, type SunKeys, type SunLayout } from '../../drivers/protocols/sun/sun.js';
import { tagId } from '../../drivers/protocols/tag/tag.js';
import { hex, toHex } from '../../terminal/kernel/bytes.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';
import { nativeCrypto } from '../../terminal/kernel/native.js';
import type { OpenTag, TagOpening } from './ledger/context.js';
import { readPrivateFile } from './pki/key-files.js';

const name = z.string().regex(/^[A-Za-z0-9_.~-]{1,32}$/);
const key = z.string().regex(/^[0-9a-fA-F]{32}$/);
const seriesSchema = z.strictObject({
  /** What the addresses of this series begin with. */
  address: z.string().regex(/^https?:\/\/[\x21-\x7e]{1,200}$/),
  identity: z.union([z.strictObject({ encrypted: name }), z.strictObject({ uid: name, counter: name })]),
  mac: name,
  macFrom: name.nullable().default(null),
  fileData: name.nullable().default(null),
  piccKey: key,
  fileKey: key,
});

interface Series {
  readonly address: string;
  readonly layout: SunLayout;
  readonly keys: SunKeys;
}

/** @throws TerminalError config.invalid: a file that is missing, readable by others, or no description of a series */
function readSeries(file: string): Series {
  const content = readPrivateFile(file);
  const parsed = content && parseJson(content.toString('utf8'));
  const read = parsed?.ok ? seriesSchema.safeParse(parsed.value) : null;
  if (!read?.success) {
    // Names of fields only: a value could be a key.
    const where = read?.error.issues.map((issue) => issue.path.join('.') || 'its fields').join(', ');
    throw new TerminalError('config.invalid', `tagKeyFiles: ${path.basename(file)}: ${where ?? 'missing or no JSON'}`);
  }
  const { address, identity, mac, macFrom, fileData, piccKey, fileKey } = read.data;
  return {
    address,
    layout: {
      identity:
        'encrypted' in identity
          ? { kind: 'encrypted', parameter: identity.encrypted }
          : { kind: 'plain', uid: identity.uid, counter: identity.counter },
      ...{ mac, macFrom, fileData },
    },
    keys: { picc: hex(piccKey.toLowerCase()), file: hex(fileKey.toLowerCase()) },
  };
}

/** What proves messages of the series in these files. @throws TerminalError config.invalid as readSeries does */
export function tagOpener(files: readonly string[]): OpenTag {
  const known = files.map(readSeries);
  return (address) => {
    let refused: TagOpening = { ok: false, code: 'tag.wrongKey' };
    for (const { layout, keys } of known.filter((series) => address.startsWith(series.address))) {
      const opened = openSun(nativeCrypto, keys, layout, address);
      if (opened.ok)
        return { ok: true, tagId: tagId(nativeCrypto, 'sun', toHex(opened.value.uid)), counter: opened.value.counter };
      const { code } = opened.error;
      // Another series may have the key; what is no message at all is as good as forged.
      if (code !== 'tag.wrongKey') refused = { ok: false, code: code === 'tag.lrpMode' ? code : 'tag.forged' };
    }
    return refused;
  };
}
