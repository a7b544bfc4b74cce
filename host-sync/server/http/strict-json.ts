/**
 * Strict JSON bodies for fastify: size, nesting, duplicate keys and dangerous names are refused before anything is built.
 * Must not know what a body means. Used by the terminals' interface and by administration alike.
 */
import type { FastifyInstance } from 'fastify';
import { decodeUtf8 } from '../../../terminal/kernel/bytes.js';
import { parseJson } from '../../../terminal/kernel/json.js';
import { ProblemError } from './problem.js';

/** Our deepest message is the catalogue of the directives: five levels. */
export const bodyDepthMax = 12;

/** Replaces fastify's parsers: JSON alone, strict; every other type is 415. */
export function useStrictJson(server: FastifyInstance): void {
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    const text = decodeUtf8(body as Buffer);
    const parsed = text.ok
      ? parseJson(text.value, { lengthMax: (body as Buffer).length, depthMax: bodyDepthMax })
      : text;
    if (parsed.ok) {
      done(null, parsed.value);
      return;
    }
    // Nesting is a matter of form here; 413 is for size alone, which fastify has counted.
    const { detail, offset } = parsed.error;
    done(new ProblemError('input.malformed', `${detail} (at ${offset})`), undefined);
  });
}
