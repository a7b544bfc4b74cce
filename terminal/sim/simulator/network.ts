/**
 * The network between one box and the host: requests and replies take time, get lost, come twice or late, or there is no way
 * at all for a while. Implements the client's host port over the host's own services. Must not decide anything of value.
 */
import type { HostFailure, HostPort, HostResult } from '../../../host-sync/client/host-port.js';
import type { Host, Refusal } from '../../../host-sync/server/host.js';
import { err, ok, type Result } from '../../kernel/result.js';
import type { Faults } from './faults.js';
import type { Chance, VirtualTime } from './virtual-time.js';

export interface NetworkWorld {
  readonly time: VirtualTime;
  readonly chance: Chance;
  readonly faults: Pick<Faults, 'strikes'>;
  /** The host as it is now, and which life of it that is; null: it does not run. */
  readonly host: () => { readonly host: Host; readonly life: number } | null;
}

const batchDeadlineMs = 30_000;
const failure = (code: HostFailure['code'], httpStatus: number | null = null): HostFailure => ({
  code,
  detail: '',
  httpStatus,
  retryAfterMs: null,
});
/** As the host's HTTP layer maps its refusals. */
const statusOf = (code: string): number =>
  code === 'host.busy' || code === 'host.storeFailed' ? 503 : code.startsWith('input.') ? 400 : 403;

export class Network {
  #outUntilMs = 0;
  /** The box's certificate has ended: the host lets it renew, and nothing else. */
  isExpired = false;

  constructor(
    private readonly world: NetworkWorld,
    private readonly name: string,
  ) {}

  /** No way to the host for so long. */
  cut(forMs: number): void {
    this.#outUntilMs = this.world.time.nowMs + forMs;
  }
  heal(): void {
    this.#outUntilMs = 0;
  }

  /** The port of one run of the box's process: what comes after its end is heard by nobody. */
  port(terminalId: string, isAlive: () => boolean): HostPort {
    const call = <T>(
      deadlineMs: number,
      run: (host: Host) => Promise<Result<T, Refusal>>,
      isRenewal = false,
    ): Promise<HostResult<T>> =>
      this.#call(deadlineMs, isAlive, (host) =>
        this.isExpired && !isRenewal ? Promise.resolve(err({ code: 'certificate.expired', detail: '' })) : run(host),
      );
    return {
      authorise: (record, newestSeen, deadlineMs) =>
        call(deadlineMs, (host) => host.authorise(terminalId, { record, newestSeen: [...newestSeen] })),
      sendRecords: (records, _, newestSeen) =>
        call(batchDeadlineMs, (host) =>
          host.intake(terminalId, { records: [...records], newestSeen: [...newestSeen] }),
        ),
      openSession: (request, deadlineMs) => call(deadlineMs, (host) => host.openSession(terminalId, request)),
      inquire: (request, deadlineMs) => call(deadlineMs, (host) => host.inquire(terminalId, request)),
      signSmartTap: (request, deadlineMs) => call(deadlineMs, (host) => host.signSmartTap(terminalId, request)),
      directives: (catalogueVersion) => call(batchDeadlineMs, (host) => host.directives(terminalId, catalogueVersion)),
      bell: async () => err(failure('host.noAnswer')),
      requestAllowance: (request) => call(batchDeadlineMs, (host) => host.requestAllowance(terminalId, request)),
      raiseEpoch: (reason) => call(batchDeadlineMs, (host) => host.raiseEpoch(terminalId, reason)),
      renew: async () => {
        const renewed = await call(
          batchDeadlineMs,
          async (host) => {
            this.isExpired = false;
            return ok(await host.terminals.get(terminalId));
          },
          true,
        );
        return renewed.ok ? ok({ certificate: '', authority: '' }) : renewed;
      },
    };
  }

  #call<T>(
    deadlineMs: number,
    isAlive: () => boolean,
    run: (host: Host) => Promise<Result<T, Refusal>>,
  ): Promise<HostResult<T>> {
    const { chance, faults, time } = this.world;
    const sentTo = this.world.host()?.life;
    return new Promise((resolve) => {
      let isAwaited = true;
      const cancel = time.after(deadlineMs, () => tell(err(failure('host.noAnswer'))));
      const tell = (result: HostResult<T>): void => {
        cancel();
        isAwaited = false;
        if (isAlive()) resolve(result);
      };
      const refuse = (): void => void time.after(5, () => tell(err(failure('host.unreachable'))));
      if (time.nowMs < this.#outUntilMs) {
        refuse();
        return;
      }
      const latency = (): number =>
        faults.strikes('late', this.name) ? chance.between(1_000, 60_000) : chance.between(1, 80);
      const reach = (): void => {
        const target = this.world.host();
        if (!target) {
          refuse();
          return;
        }
        // TLS binds what was sent to the process that it was sent to. Another one gets only what still waits for its connection.
        if (target.life !== sentTo && !(isAwaited && isAlive())) return;
        run(target.host).then((result) => {
          // A host that stopped meanwhile has done it, and tells nobody.
          if (faults.strikes('replyLost', this.name)) return;
          time.after(latency(), () => {
            if (this.world.host()?.life !== target.life) return;
            tell(result.ok ? ok(result.value) : err(failure(result.error.code, statusOf(result.error.code))));
          });
        }, this.bug);
      };
      if (!faults.strikes('requestLost', this.name)) time.after(latency(), reach);
      if (faults.strikes('doubled', this.name)) time.after(latency(), reach);
    });
  }

  /** What a host's service throws is a bug of the host. */
  bug: (error: unknown) => void = () => {};
}
