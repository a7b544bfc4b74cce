/**
 * The manifest: what an archive is a backup of, so that a host is never restored over a box.
 * Must hold no secret.
 */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { writePrivateFile } from '../../host-sync/server/pki/key-files.js';
import { TerminalError } from '../../terminal/kernel/errors.js';
import { parseJson } from '../../terminal/kernel/json.js';

const manifestSchema = z.strictObject({
  kind: z.enum(['host', 'box']),
  version: z.literal(1),
  madeAtMs: z.int().min(0),
  realm: z.enum(['real', 'simulated']).nullable(),
});
export type Manifest = z.infer<typeof manifestSchema>;

export function writeManifest(file: string, manifest: Omit<Manifest, 'version'>): void {
  writePrivateFile(file, JSON.stringify({ version: 1, ...manifest }));
}

/** Reads an unpacked manifest. Throws `store.corrupt`, or `input.unsupported` when it is of the other kind. */
export function readManifest(file: string, kind: Manifest['kind']): Manifest {
  const json = parseJson(readFileSync(file, 'utf8'));
  const parsed = manifestSchema.safeParse(json.ok ? json.value : null);
  if (!parsed.success) throw new TerminalError('store.corrupt', 'backup: its manifest cannot be read');
  if (parsed.data.kind !== kind)
    throw new TerminalError('input.unsupported', `this is a backup of a ${parsed.data.kind}`);
  return parsed.data;
}
