/**
 * A phone with a wallet as a card behind the virtual reader (drivers/sim/vpcd.ts): what comes in goes to the wallet, and each
 * answer waits for `pause`, so that a slow phone can be had. Must not know what the wallet says.
 */
import { type Bytes, toHex, utf8 } from '../../../terminal/kernel/bytes.js';
import { type CardScript, virtualAtr } from '../vpcd.js';

export interface SimulatedWallet {
  respond(command: Bytes): Bytes;
  powerLost(): void;
}

export interface WalletPhoneSetup {
  readonly wallet: SimulatedWallet;
  /** Resolves when the next answer may leave; absent: at once. */
  readonly pause?: () => Promise<void>;
  /** Sees the header of each command and the status word of its answer, both hex. */
  readonly onCommand?: (header: string, status: string) => void;
  /** Tells this phone's answer to reset from others; at most 15 characters. */
  readonly name?: string;
}

export function walletPhone(setup: WalletPhoneSetup): CardScript {
  const { wallet, pause, onCommand, name = 'WALLET' } = setup;
  return {
    atr: virtualAtr(utf8(name)),
    respond: async (command) => {
      const answer = wallet.respond(command);
      onCommand?.(toHex(command.subarray(0, 4)), toHex(answer.subarray(-2)));
      await pause?.();
      return answer;
    },
    powerLost: () => wallet.powerLost(),
  };
}
