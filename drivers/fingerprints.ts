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
