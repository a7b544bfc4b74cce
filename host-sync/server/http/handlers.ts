/**
 * Handlers: one small function for each operation of the host interface, from checked input to the host's word.
 * Must not check who is calling (access.ts has) nor read a body that no schema has passed.
 */

import type { z } from 'zod';
import { toHex } from '../../../terminal/kernel/bytes.js';
import type { Result } from '../../../terminal/kernel/result.js';
import type { InquiryRequest } from '../../protocol/inquiry.js';
import type { SmartTapRequest } from '../../protocol/smart-tap.js';
import {
  type AllowanceRequest,
  type AuthoriseRequest,
  bellWaitMsMax,
  type EnrolRequest,
  type EnrolResponse,
  type epochRequestSchema,
  type RecordsRequest,
  type renewRequestSchema,
  type SessionRequest,
} from '../../protocol/sync.js';
import type { Schedule } from '../messages/port.js';
import type { Authority } from '../pki/authority.js';
import { verifyCertificateRequest } from '../pki/certificate-request.js';
import type { Host, Refusal } from '../service/types.js';
import type { bellQuerySchema, directivesQuerySchema, Operation } from './contract.js';
import { ProblemError } from './problem.js';

export interface HandlerOptions {
  readonly host: Host;
  readonly authority: Authority;
  readonly schedule: Schedule;
}

/** What a handler gets: the checked terminal, the checked input, and where the request came from. */
export interface Call {
  /** Of the certificate; empty where the operation needs none. */
  readonly terminalId: string;
  readonly body: unknown;
  readonly query: unknown;
  readonly address: string;
}

export type Handlers = Readonly<Record<Operation['name'], (call: Call) => Promise<unknown>>>;

async function answered<T>(result: Promise<Result<T, Refusal>>): Promise<T> {
  const settled = await result;
  if (settled.ok) return settled.value;
  throw new ProblemError(settled.error.code, settled.error.detail);
}

/** The handlers of one host. Each trusts `call.body` and `call.query` to have passed the operation's schemas. */
export function createHandlers({ host, authority, schedule }: HandlerOptions): Handlers {
  const certify = async (
    terminalId: string,
    requestKey: Parameters<typeof authority.issueDevice>[1],
  ): Promise<string> => {
    const issued = authority.issueDevice(terminalId, requestKey);
    const spki = new Uint8Array(requestKey.export({ format: 'der', type: 'spki' }));
    await answered(host.terminals.setCertificate(terminalId, issued.fingerprint, issued.endsAtWallMs, spki));
    return issued.pem;
  };
  const publicKeyOf = (pem: string) => {
    const key = verifyCertificateRequest(pem);
    if (!key.ok) throw new ProblemError(key.error.code, key.error.detail);
    return key.value;
  };
  return {
    health: async () => ({ status: 'ok' }),
    enrol: async ({ body, address }): Promise<EnrolResponse> => {
      const request = body as EnrolRequest;
      // The request first: a wrong one must not use the code up, and says nothing about the code.
      const key = publicKeyOf(request.request);
      const claimed = await host.terminals.claimEnrolmentCode({
        code: request.code,
        source: address,
        realm: request.realm,
      });
      if (!claimed.ok) {
        if (claimed.error.code === 'enrolment.locked')
          await host.alarm('enrolment.locked', null, address, 'wrong enrolment codes');
        throw new ProblemError(claimed.error.code, '');
      }
      const { terminalId, epoch, siteKey } = claimed.value;
      const certificate = await certify(terminalId, key);
      return {
        terminalId,
        epoch,
        certificate,
        authority: authority.certificatePem,
        siteKey: siteKey && toHex(siteKey),
      };
    },
    renew: async ({ body, terminalId }) => {
      const key = publicKeyOf((body as z.infer<typeof renewRequestSchema>).request);
      return { certificate: await certify(terminalId, key), authority: authority.certificatePem };
    },
    authorise: ({ body, terminalId }) => answered(host.authorise(terminalId, body as AuthoriseRequest)),
    records: ({ body, terminalId }) => answered(host.intake(terminalId, body as RecordsRequest)),
    session: ({ body, terminalId }) => answered(host.openSession(terminalId, body as SessionRequest)),
    smartTap: ({ body, terminalId }) => answered(host.signSmartTap(terminalId, body as SmartTapRequest)),
    inquiry: ({ body, terminalId }) => answered(host.inquire(terminalId, body as InquiryRequest)),
    directives: ({ query, terminalId }) => {
      const { catalogueVersion } = query as z.infer<typeof directivesQuerySchema>;
      return answered(host.directives(terminalId, catalogueVersion === undefined ? null : Number(catalogueVersion)));
    },
    bell: async ({ query, terminalId }) => {
      const { known, waitMs } = query as z.infer<typeof bellQuerySchema>;
      let rung = (): void => {};
      const ring = new Promise<void>((resolve) => {
        rung = resolve;
      });
      const stop = host.onDirectives((changed) => {
        if (changed === null || changed === terminalId) rung();
      });
      const cancel = schedule(Math.min(Number(waitMs), bellWaitMsMax), () => rung());
      try {
        const version = await answered(host.directivesVersion(terminalId));
        if (version !== Number(known)) return { version };
        await ring;
        return { version: await answered(host.directivesVersion(terminalId)) };
      } finally {
        stop();
        cancel();
      }
    },
    allowances: ({ body, terminalId }) => answered(host.requestAllowance(terminalId, body as AllowanceRequest)),
    epoch: ({ body, terminalId }) =>
      answered(host.raiseEpoch(terminalId, (body as z.infer<typeof epochRequestSchema>).reason)),
  };
}
