/**
 * Fingerprints: what a device says of itself → which driver takes it. Rows only; what is not here is listed, never taken.
 */
export interface SerialFingerprint {
  /** USB vendor and product id, four lower-case hex digits. Product null: every product of that vendor that shows a serial line. */
  readonly vendorId: string;
  readonly productId: string | null;
  readonly device: string;
  readonly driver: 'serialScanner';
}

/** Barcode scanners in their USB serial (CDC ACM) mode. Ids from the public USB id list; none was tried on hardware. */
export const serialFingerprints: readonly SerialFingerprint[] = [
  { vendorId: '0c2e', productId: null, device: 'Honeywell (Metrologic) scanner', driver: 'serialScanner' },
  { vendorId: '05e0', productId: '1701', device: 'Zebra (Symbol) scanner, CDC', driver: 'serialScanner' },
  { vendorId: '05f9', productId: null, device: 'Datalogic (PSC) scanner', driver: 'serialScanner' },
  { vendorId: '1eab', productId: null, device: 'Newland scanner', driver: 'serialScanner' },
];

/** The row of a serial line's USB ids; null: not known, not taken. */
export function serialFingerprint(
  vendorId: string | undefined,
  productId: string | undefined,
): SerialFingerprint | null {
  const vendor = vendorId?.toLowerCase();
  const product = productId?.toLowerCase();
  return (
    serialFingerprints.find(
      (row) => row.vendorId === vendor && (row.productId === null || row.productId === product),
    ) ?? null
  );
}

/** MagTek: its stripe readers have usages of their own. From the public USB id list. */
export const magTekVendorId = '0801';

export interface HidFingerprint {
  /** USB vendor id, four lower-case hex digits. */
  readonly vendorId: string;
  readonly maker: string;
  /** How its scan reports are laid out where its own descriptor does not say. */
  readonly scanReport: 'withAim' | 'withoutAim';
}

/** Makers of barcode scanners. Ids from the public USB id list; none was tried on hardware. */
export const hidFingerprints: readonly HidFingerprint[] = [
  { vendorId: '0c2e', maker: 'Honeywell (Metrologic)', scanReport: 'withAim' },
  { vendorId: '0536', maker: 'Honeywell (Hand Held Products)', scanReport: 'withAim' },
  { vendorId: '05e0', maker: 'Zebra (Symbol)', scanReport: 'withAim' },
  { vendorId: '05f9', maker: 'Datalogic (PSC)', scanReport: 'withAim' },
  { vendorId: '065a', maker: 'Opticon', scanReport: 'withAim' },
  { vendorId: '1eab', maker: 'Newland', scanReport: 'withoutAim' },
];

/** The row of a HID device's vendor id; null: not a known maker of scanners. */
export function hidFingerprint(vendorId: string): HidFingerprint | null {
  return hidFingerprints.find((row) => row.vendorId === vendorId.toLowerCase()) ?? null;
}
