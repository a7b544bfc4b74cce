/**
 * A card in the field of a driver in this process: the simulated phone's application behind the shipped link's shape, with
 * the time that each answer took added up, so that the box's own time is what is left of a tap.
 */

import type { DeviceEvent, Driver } from '../../drivers/contract/driver.js';
import type { ApduLink } from '../../drivers/contract/transport.js';
import { MemberApplication } from '../../drivers/sim/phone/member-application.js';
import { newMembership, newPhoneState, VolatileMemory, withMembership } from '../../drivers/sim/phone/phone-state.js';
import { toHex } from '../../terminal/kernel/bytes.js';
import { nativeRandom } from '../../terminal/kernel/native.js';
import { ok } from '../../terminal/kernel/result.js';

/** One presentation of the phone. */
export interface TimedLink extends ApduLink {
  /** Milliseconds that the card has taken for its answers so far. */
  readonly cardMs: () => number;
}

/** A registered phone that can be held to the reader again and again. */
export function createCards(): { readonly present: () => TimedLink } {
  const membership = newMembership({
    merchantId: 'SHOULI',
    merchantPublicKey: '02'.repeat(33),
    token: 'benchbenchbench1',
    answer: '',
    memberKeyId: toHex(nativeRandom.bytes(8)),
    memberKey: toHex(nativeRandom.bytes(16)),
  });
  const state = withMembership(newPhoneState('13800138000'), membership);
  const application = new MemberApplication(new VolatileMemory(state), nativeRandom);
  let presented = 0;
  return {
    present: () => {
      application.powerLost();
      presented += 1;
      let cardMs = 0;
      return {
        id: `bench-${presented}`,
        atr: Uint8Array.of(0x3b, 0x80, 0x80, 0x01, 0x01),
        cardMs: () => cardMs,
        transmit: async (command) => {
          const startedAt = performance.now();
          const answer = application.respond(command);
          // An answer of a device comes in a later turn of the loop; that turn is the card's time too.
          await new Promise<void>((resolve) => setImmediate(resolve));
          cardMs += performance.now() - startedAt;
          return ok(answer === 'tear' ? new Uint8Array(0) : answer);
        },
        close: async () => {},
      };
    },
  };
}

/** A driver without a device: it reports what the bench tells it to. */
export class BenchDriver implements Driver {
  readonly name = 'bench';
  readonly bus = 'pcsc';
  #emit: (event: DeviceEvent) => void = () => {};
  async start(emit: (event: DeviceEvent) => void): Promise<void> {
    this.#emit = emit;
  }
  statuses(): readonly [] {
    return [];
  }
  serve(): void {}
  listenIn(): void {}
  signal(): void {}
  async stop(): Promise<void> {}
  report(event: DeviceEvent): void {
    this.#emit(event);
  }
}
