/**
 * Smart Tap messages: a box that holds no collector key asks its host, in mid-tap, to sign a session with Google Wallet
 * (docs/protocols/smart-tap.md). Pure; shared by both ends. Must hold no key.
 */
import { z } from 'zod';

const hexOf = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`));

/** What a session's token weighs at most, in bytes. Sealed by the host for itself: nobody else reads it. */
const sessionTokenBytesMax = 256;
export const sessionTokenSchema = z.string().regex(new RegExp(`^([0-9a-f]{2}){1,${sessionTokenBytesMax}}$`));

export const smartTapRequestSchema = z.strictObject({
  collectorId: z.int().min(1).max(0xffffffff),
  /** Drawn by the box for this session alone. */
  terminalNonce: hexOf(32),
  /** As the phone gave it at its selection. */
  deviceNonce: hexOf(32),
});
export type SmartTapRequest = z.infer<typeof smartTapRequestSchema>;

export const smartTapResponseSchema = z.discriminatedUnion('outcome', [
  z.strictObject({
    outcome: z.literal('signed'),
    /** Under which version Google knows the key that signed. */
    keyVersion: z.int().min(0).max(0xffffffff),
    /** The session's own public key, compressed; its private half is in the token and nowhere else. */
    ephemeralKey: hexOf(33),
    /** ECDSA P-256 with SHA-256 over both nonces, collector and ephemeral key, DER. */
    signature: z.string().regex(/^([0-9a-f]{2}){8,72}$/),
    token: sessionTokenSchema,
  }),
  z.strictObject({ outcome: z.literal('refused'), code: z.enum(['pass.unknownKey', 'access.rateLimited']) }),
]);
export type SmartTapResponse = z.infer<typeof smartTapResponseSchema>;
export type SignedSession = Extract<SmartTapResponse, { outcome: 'signed' }>;
