/**
 * Scan desk: what a scanned code is to this box: a member's or coupon's code, an item, or a command that begins or cancels a
 * sale without a till. Keeps the basket that the scanner fills. Must decide nothing about a sale.
 */
import { expiryDay, type ProductCode } from '../../drivers/protocols/gs1/product-code.js';
import { type Credential, credentialOfCode } from '../../host-sync/protocol/record.js';
import { classifyCode } from '../core/codes.js';
import { type Basket, emptyBasket, type StartBarcode, scanInto } from '../core/scan-basket.js';
import type { ItemMarks, SaleCommand, TerminalEvent } from './port.js';
import { serviceOfBarcode, shopDay } from './sale-view.js';
import type { WallClock } from './wall-clock.js';

/** What the merchant lets a scanner do without a till. */
export interface ScanRights {
  readonly scannerClerk: string;
  readonly scannerSells: boolean;
  /** Anybody can show a barcode to the scanner: undoing by one is the merchant's choice. */
  readonly scannerUndoes: boolean;
  /** Items whose symbol says that their use-by date is past are kept out of the basket. */
  readonly expiredRefused: boolean;
  /** Forms of the labels that this shop's scales print, like `21IIIIIVVVVVC`. */
  readonly weighedForms: readonly string[];
}

export interface ScanDeskPorts {
  readonly rights: ScanRights;
  readonly clock: Pick<WallClock, 'now' | 'doubtful'>;
  readonly isSaleOpen: () => boolean;
  /** A member's or coupon's code for the open sale. */
  readonly takeCode: (code: string) => void;
  /** A member's code while no sale is open. */
  readonly inquire: (credential: Credential) => void;
  /** @returns whether the sale began */
  readonly start: (command: SaleCommand) => boolean;
  readonly cancel: () => void;
  /** Tells who scanned that it was not taken. */
  readonly refuse: () => void;
  readonly publish: (event: TerminalEvent) => void;
}

export class ScanDesk {
  #basket: Basket = emptyBasket;

  constructor(private readonly ports: ScanDeskPorts) {}

  /** A till that sells by itself has its own bill: what was scanned for it is not sold a second time. */
  emptyBasket(): void {
    this.#basket = emptyBasket;
  }

  scanned(device: string, code: string, aim: string | null): void {
    const { rights } = this.ports;
    const scanned = classifyCode(code, { aim, weighedForms: rights.weighedForms });
    if (scanned.kind === 'member' || scanned.kind === 'coupon') {
      const credential = credentialOfCode(code);
      if (this.ports.isSaleOpen()) this.ports.takeCode(code);
      else if (scanned.kind === 'member' && credential) this.ports.inquire(credential);
      return;
    }
    if (scanned.kind === 'product') {
      const marks = scanned.marks && this.#marks(scanned.marks);
      const isPast = marks !== null && this.#isPast(marks.expiresOn);
      const more = { ...(marks ? { marks } : {}), ...(isPast ? { problem: 'product.expired' as const } : {}) };
      this.ports.publish({ type: 'scan', device, code: scanned.code, ...more });
      if (isPast) {
        this.ports.refuse();
        return;
      }
    }
    if (!rights.scannerSells) return;
    const [basket, wish] = scanInto(this.#basket, scanned);
    this.#basket = basket;
    if (wish.wish === 'refused') this.ports.refuse();
    if (wish.wish === 'cancel') this.ports.cancel();
    if (wish.wish === 'start') this.#start(wish.barcode);
  }

  #marks({ expiry, ...marks }: ProductCode): ItemMarks {
    const thisYear = Number(shopDay(this.ports.clock.now().atWallMs).slice(0, 4));
    return { ...marks, expiresOn: expiry && expiryDay(expiry, thisYear) };
  }

  /** By a clock that may be wrong nothing is past. */
  #isPast(expiresOn: string | null): boolean {
    const { clock, rights } = this.ports;
    if (expiresOn === null || !rights.expiredRefused || clock.doubtful) return false;
    return expiresOn < shopDay(clock.now().atWallMs);
  }

  /** At once, so that what the scanner sends right behind the command belongs to the next basket. */
  #start(barcode: StartBarcode): void {
    const { rights } = this.ports;
    const command = serviceOfBarcode(barcode);
    const isUndo = command.service === 'void' || command.service === 'refund';
    const mayStart = !isUndo || rights.scannerUndoes;
    const started =
      mayStart &&
      this.ports.start({
        command,
        ...(isUndo ? {} : { purchase: { lines: this.#basket.lines } }),
        reference: null,
        clerk: rights.scannerClerk,
        origin: 'scanner',
      });
    // A basket that could not be sold stays, so that the clerk need not scan it all again.
    if (!started) this.ports.refuse();
    else if (!isUndo) this.#basket = emptyBasket;
  }
}
