/**
 * Routes: each call of the local API against the terminal port. Must not check what the schemas have checked, and must
 * not decide anything about a sale.
 */
import type { FastifyInstance, FastifyReply } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { TransactionId } from '../kernel/ports.js';
import type { SaleView, TerminalPort } from '../runtime/port.js';
import type { EventStreams } from './event-stream.js';
import { Refused } from './problem.js';
import {
  devicesSchema,
  emptyQuerySchema,
  problemSchema,
  queueQuerySchema,
  queueSchema,
  saleParamsSchema,
  saleQuerySchema,
  saleRequestSchema,
  saleSchema,
  salesQuerySchema,
  salesSchema,
  statusSchema,
} from './schema.js';
import { deviceBody, queueBody, saleBody, saleCommand, statusBody } from './wire.js';

const problem = (description: string) => ({ description, content: { 'application/json': { schema: problemSchema } } });
const answer = (description: string) => ({ description, content: { 'application/json': { schema: saleSchema } } });
/** Problems that any call may answer with, by status. */
const problems = {
  400: problem('The request is not as it must be.'),
  401: problem('No pairing token, or a wrong one.'),
  403: problem('A foreign Host or Origin, or the clerk may not.'),
  429: problem('Too many requests.'),
  500: problem('A bug in the box. Look the sale up before trying again.'),
  503: problem('The box cannot now (storage, host, rules).'),
};
const notFound = { 404: problem('No such sale.') };
const conflict = { 409: problem('Busy, the reference is taken, or too late.') };
const impossible = { 422: problem('The sale cannot be as asked (product, amount, original).') };
const tooLarge = {
  413: problem('The body is over 64 KB.'),
  415: problem('Not application/json.'),
};

export interface RouteParts {
  readonly port: TerminalPort;
  readonly streams: EventStreams;
}

/** Adds every call under /v1. */
export function addRoutes(server: FastifyInstance, parts: RouteParts): void {
  addStart(server, parts.port);
  addSaleRoutes(server, parts.port);
  addLookRoutes(server, parts.port);
  addEvents(server, parts.streams);
}

function found(sale: SaleView | null): SaleView {
  if (!sale) throw new Refused('sale.unknown');
  return sale;
}

function addStart(server: FastifyInstance, port: TerminalPort): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.put(
    '/v1/sales/:reference',
    {
      schema: {
        operationId: 'startSale',
        summary: 'Start a sale, void or refund under the till’s own reference, or find the one it named before',
        params: saleParamsSchema,
        querystring: emptyQuerySchema,
        body: saleRequestSchema,
        response: {
          200: answer('The reference named this sale before; nothing was started.'),
          201: answer('The box took it.'),
          ...problems,
          ...conflict,
          ...tooLarge,
          ...impossible,
        },
      },
    },
    async (request, reply) => {
      const { reference } = request.params;
      const known = port.sale(reference)?.reference === reference;
      const started = await port.startSale(saleCommand(reference, request.body));
      if (!started.ok) throw new Refused(started.error.code, started.error.detail);
      return reply.code(known ? 200 : 201).send(saleBody(started.value));
    },
  );
}

function addSaleRoutes(server: FastifyInstance, port: TerminalPort): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/v1/sales/:reference',
    {
      schema: {
        operationId: 'lookUpSale',
        summary: 'One sale by the till’s reference or the transaction id; with wait, as soon as it has ended',
        params: saleParamsSchema,
        querystring: saleQuerySchema,
        response: { 200: saleSchema, ...problems, ...notFound },
      },
    },
    async (request) => {
      const { reference } = request.params;
      const sale = found(port.sale(reference));
      const waitMs = request.query.wait * 1000;
      return saleBody(waitMs > 0 && sale.phase !== 'ended' ? found(await port.saleEnded(reference, waitMs)) : sale);
    },
  );
  app.delete(
    '/v1/sales/:reference',
    {
      schema: {
        operationId: 'cancelSale',
        summary: 'Cancel the open sale; one that was cancelled before answers the same',
        params: saleParamsSchema,
        querystring: emptyQuerySchema,
        response: { 200: saleSchema, ...problems, ...notFound, ...conflict },
      },
    },
    async (request) => {
      const { reference } = request.params;
      const cancelled = await port.cancelSale(reference);
      if (cancelled.ok) return saleBody(cancelled.value);
      const sale = port.sale(reference);
      // The answer to the first cancel may have been lost: a sale that ended so is what was asked for.
      if (sale?.outcome?.result === 'refused' && sale.outcome.code === 'sale.cancelled') return saleBody(sale);
      throw new Refused(cancelled.error.code, cancelled.error.detail);
    },
  );
  app.get(
    '/v1/sales',
    {
      schema: {
        operationId: 'listSales',
        summary: 'Sales, newest first; before: continue behind this transaction id',
        querystring: salesQuerySchema,
        response: { 200: salesSchema, ...problems },
      },
    },
    async (request) => {
      const { limit, before } = request.query;
      return { sales: port.sales(limit, before === undefined ? null : (before as TransactionId)).map(saleBody) };
    },
  );
}

function addLookRoutes(server: FastifyInstance, port: TerminalPort): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/v1/status',
    {
      schema: {
        operationId: 'status',
        summary: 'The box at a glance, with the open sale',
        querystring: emptyQuerySchema,
        response: { 200: statusSchema, ...problems },
      },
    },
    async () => statusBody(port.status()),
  );
  app.get(
    '/v1/devices',
    {
      schema: {
        operationId: 'devices',
        summary: 'Readers and scanners and their state',
        querystring: emptyQuerySchema,
        response: { 200: devicesSchema, ...problems },
      },
    },
    async () => ({ devices: port.devices().map(deviceBody) }),
  );
  app.get(
    '/v1/queue',
    {
      schema: {
        operationId: 'queue',
        summary: 'What the host has not had yet, why, and what it is worth; then the dead letters',
        querystring: queueQuerySchema,
        response: { 200: queueSchema, ...problems },
      },
    },
    async (request) => queueBody(port.queue(request.query.limit), port.status().sync),
  );
}

function addEvents(server: FastifyInstance, streams: EventStreams): void {
  const app = server.withTypeProvider<ZodTypeProvider>();
  app.get(
    '/v1/events',
    {
      schema: {
        operationId: 'followEvents',
        summary: 'Events sale, device, sync, scan, inquiry and reset as server-sent events; Last-Event-ID resumes',
        querystring: emptyQuerySchema,
        headers: z.looseObject({ 'last-event-id': z.string().optional() }),
        response: {
          200: {
            description: 'id: <boot>:<number>, event: its type, data: JSON.',
            content: { 'text/event-stream': { schema: z.string() } },
          },
          ...problems,
        },
      },
    },
    (request, reply: FastifyReply) => {
      if (streams.full) throw new Refused('access.rateLimited', 'too many followers');
      const headers = { ...reply.getHeaders(), 'content-type': 'text/event-stream; charset=utf-8' };
      reply.hijack();
      reply.raw.writeHead(200, headers as Record<string, string>);
      const lastEventId: unknown = request.headers['last-event-id'];
      streams.open(reply.raw, typeof lastEventId === 'string' ? lastEventId : undefined);
    },
  );
}
