/**
 * OpenAPI: the local API's description, made from the schemas that check its requests. Serves nothing.
 */
import fastifySwagger from '@fastify/swagger';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import type { TerminalPort } from '../runtime/port.js';
import { apiSchemas } from './schema.js';
import { buildLocalApi } from './server.js';

interface OpenApi {
  readonly components?: { readonly schemas?: Readonly<Record<string, unknown>> };
}

/** Data of events alone, which OpenAPI has no place to refer to. */
const eventSchemas = ['Inquiry'] as const;

/** The library names each schema once as input and once as output; what no call or event refers to is left out. */
function withoutUnused(document: OpenApi): OpenApi {
  const schemas = document.components?.schemas ?? {};
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    for (const [, name] of JSON.stringify(value).matchAll(/"#\/components\/schemas\/([A-Za-z]+)"/g)) {
      if (name === undefined || used.has(name)) continue;
      used.add(name);
      visit(schemas[name] ?? null);
    }
  };
  visit({ ...document, components: null });
  for (const name of eventSchemas) visit({ $ref: `#/components/schemas/${name}` });
  const kept = Object.fromEntries(Object.entries(schemas).filter(([name]) => used.has(name)));
  return { ...document, components: { ...document.components, schemas: kept } };
}

/** The OpenAPI 3.1 document of the local API, as plain data ready for JSON. */
export async function localApiOpenApi(): Promise<unknown> {
  const { app } = await buildLocalApi(
    {
      // No call is served, so no port is asked.
      port: {} as TerminalPort,
      schedule: () => () => undefined,
      allowedOrigins: [],
      onBug: (error) => {
        throw error;
      },
    },
    async (server) => {
      await server.register(fastifySwagger, {
        openapi: {
          openapi: '3.1.0',
          info: {
            title: 'Shouli local API',
            version: '1',
            description:
              'What a till beside the box talks to. Read docs/protocols/local-api.md first: it says when to send what again.',
          },
          servers: [{ url: 'http://127.0.0.1:8411' }],
          components: { securitySchemes: { pairingToken: { type: 'http', scheme: 'bearer' } } },
          security: [{ pairingToken: [] }],
        },
        transform: createJsonSchemaTransform({ schemaRegistry: apiSchemas }),
        transformObject: createJsonSchemaTransformObject({ schemaRegistry: apiSchemas }),
      });
    },
  );
  try {
    await app.ready();
    return withoutUnused(app.swagger() as OpenApi);
  } finally {
    await app.close();
  }
}
