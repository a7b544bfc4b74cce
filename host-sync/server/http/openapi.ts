/**
 * The OpenAPI 3.1 document of the host interface, made from the same rows and schemas that check requests.
 * Pure; scripts/docs writes it to docs/protocols/host.openapi.json.
 */
import { z } from 'zod';
import { errorTable, isErrorCode } from '../../../terminal/kernel/errors.js';
import { recordSchema } from '../../protocol/record.js';
import { problemSchema } from '../../protocol/sync.js';
import { type Operation, operations, sharedProblems, statusOf } from './contract.js';

type Json = Readonly<Record<string, unknown>>;

const accessText: Readonly<Record<Operation['access'], string>> = {
  anyone: 'No client certificate is needed.',
  renewal: 'A client certificate of this host; it may have expired. Not for revoked terminals.',
  records:
    'A valid client certificate; of a revoked or held terminal the records are kept in quarantine and answered `later`.',
  active: 'A valid client certificate of an active terminal.',
};

/** `input`: what travels, before a schema's own transformations. */
const schemaOf = (schema: z.ZodType): Json => {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input', target: 'draft-2020-12' });
  return rest;
};

/** A record travels as text inside an envelope: the schema is of what that text says. */
const recordText = (schema: Json): Json => ({
  description: 'What the text in an envelope’s `body` says. Its UTF-8 bytes are its identity; nobody encodes it anew.',
  ...schema,
});

const codeText = (code: string): string => (isErrorCode(code) ? `\`${code}\`: ${errorTable[code].en}` : `\`${code}\``);

function problemResponses(operation: Operation): Json {
  const hasBody = operation.request !== null;
  const shared = Object.keys(sharedProblems).filter((code) => {
    if (code === 'input.tooLong' || code === 'input.unsupported') return hasBody;
    if (code === 'access.denied') return operation.access !== 'anyone';
    if (code === 'access.rateLimited') return operation.name === 'enrol';
    return true;
  });
  const byAccess = {
    anyone: [],
    renewal: ['host.quarantined', 'terminal.replaced'],
    records: ['certificate.expired', 'terminal.replaced'],
    active: ['certificate.expired', 'host.quarantined', 'terminal.replaced'],
  };
  const byStatus = new Map<number, string[]>();
  for (const code of [...shared, ...byAccess[operation.access], ...operation.problems]) {
    const status = statusOf(code);
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const entries = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    entries.map(([status, codes]) => [
      String(status),
      {
        description: codes.map(codeText).join('\n\n'),
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Problem' } } },
      },
    ]),
  );
}

function queryParameters(query: z.ZodType): readonly Json[] {
  const { properties = {}, required = [] } = schemaOf(query) as {
    properties?: Record<string, Json>;
    required?: readonly string[];
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
}

function operationObject(operation: Operation): Json {
  return {
    operationId: operation.name,
    summary: operation.summary,
    description: accessText[operation.access],
    security: operation.access === 'anyone' ? [] : [{ clientCertificate: [] }],
    ...(operation.query ? { parameters: queryParameters(operation.query) } : {}),
    ...(operation.request
      ? {
          requestBody: {
            required: true,
            description: `At most ${operation.bodyBytesMax} bytes.`,
            content: { 'application/json': { schema: schemaOf(operation.request) } },
          },
        }
      : {}),
    responses: {
      '200': { description: 'Done.', content: { 'application/json': { schema: schemaOf(operation.response) } } },
      ...problemResponses(operation),
    },
  };
}

/** The whole document as plain data. */
export function hostOpenApi(): Json {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Shouli host interface',
      version: '1',
      description:
        'What a terminal says to its host over mutual TLS. The prose, with byte-level examples, is docs/protocols/host.md.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: 'https://localhost:8443', description: 'The embedded host' }],
    paths: Object.fromEntries(
      operations.map((operation) => [operation.path, { [operation.method.toLowerCase()]: operationObject(operation) }]),
    ),
    components: {
      securitySchemes: {
        clientCertificate: { type: 'mutualTLS', description: 'The certificate that enrolment gave.' },
      },
      schemas: { Problem: schemaOf(problemSchema), Record: recordText(schemaOf(recordSchema)) },
    },
  };
}
