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

/** What lies in the field: a phone's application, a wallet, a tag. 'tear' is no answer. */
export interface HeldCard {
  readonly atr?: Uint8Array;
  respond(command: Uint8Array): Uint8Array | 'tear';
  powerLost(): void;
}

/** The member application of a registered phone. */
export function memberPhone(): HeldCard {
  const membership = newMembership({
    merchantId: 'SHOULI',
    merchantPublicKey: '02'.repeat(33),
    token: 'benchbenchbench1',
    answer: '',
    memberKeyId: toHex(nativeRandom.bytes(8)),
    memberKey: toHex(nativeRandom.bytes(16)),
  });
  const state = withMembership(newPhoneState('13800138000'), membership);
  return new MemberApplication(new VolatileMemory(state), nativeRandom);
}

const contactlessAtr = Uint8Array.of(0x3b, 0x80, 0x80, 0x01, 0x01);
let presented = 0;

/** Holds a card to the reader once more. */
export function present(card: HeldCard): TimedLink {
  card.powerLost();
  presented += 1;
  let cardMs = 0;
  return {
    id: `bench-${presented}`,
    atr: card.atr ?? contactlessAtr,
    cardMs: () => cardMs,
    transmit: async (command) => {
      const startedAt = performance.now();
      const answer = card.respond(command);
      // An answer of a device comes in a later turn of the loop; that turn is the card's time too.
      await new Promise<void>((resolve) => setImmediate(resolve));
      cardMs += performance.now() - startedAt;
      return ok(answer === 'tear' ? new Uint8Array(0) : new Uint8Array(answer));
    },
    close: async () => {},
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
