/**
 * Registration and coupon messages at the host: sends the merchant's fixed-format texts, binds the key a phone answers with.
 * The texts and their cryptography are drivers/protocols/member's. Must not log a text: tokens and keys are in them.
 */

import {
  type IssuedCard,
  memberKeyId,
  sealIssuedCard,
  unwrapMemberKey,
} from '../../../drivers/protocols/member/key-exchange.js';
import {
  type CouponIssue,
  couponMessageHead,
  formatCardCoupon,
  formatHostCoupon,
  formatRegistration,
  parseKeyMessage,
  registrationToken,
  registrationTokenCharacters,
} from '../../../drivers/protocols/member/messages.js';
import { isPackageAnswer } from '../../../drivers/protocols/member/package.js';
import type { Bytes } from '../../../terminal/kernel/bytes.js';
import type { Clock, Crypto, KeyAgreement, KeyPair, Random } from '../../../terminal/kernel/ports.js';
import { err, ok } from '../../../terminal/kernel/result.js';
import type { Answered, CouponView, Host, IssueCouponRequest, MemberView } from '../service/types.js';
import type { HostVault } from '../vault.js';
import { currentKey } from './current-key.js';
import { hashText, type PendingRegistrations } from './pending-registrations.js';
import { type Handling, type IncomingMessage, type MessagePort, numberPattern } from './port.js';
import type { Refresh } from './refresh.js';

export interface RegistrationOptions {
  readonly host: Pick<Host, 'members' | 'coupons' | 'merchants'>;
  readonly port: MessagePort;
  readonly pending: PendingRegistrations;
  readonly vault: Pick<HostVault, 'merchantKeys'>;
  readonly crypto: Crypto;
  readonly agreement: KeyAgreement;
  readonly random: Random;
  readonly clock: Clock;
  /** 1 to 16 ASCII letters and digits: the host's own merchant as phones know it. */
  readonly merchantId: string;
  /** How long an answer is waited for. */
  readonly tokenValidMs: number;
  /** The key behind a key id, opened for one sealing; null where there is none. */
  readonly memberKeyOf: (keyId: string) => Promise<Bytes | null>;
  /** Content packages: what changes here goes to the phone that way too. */
  readonly refresh: Pick<Refresh, 'changed' | 'phoneRegistered' | 'handle'>;
}

export interface Registration {
  /** Sends the registration message of a merchant (null: the host's own). `input.malformed` · `access.rateLimited` · `merchant.unknown` */
  invite(
    phone: string,
    name: string,
    merchantId?: string | null,
  ): Answered<{ readonly messageId: string; readonly expiresAtMs: number }>;
  /** Issues a coupon and sends its message; null `messageId`: its member is not known, the code is handed over otherwise. */
  issueCoupon(request: IssueCouponRequest): Answered<{ readonly code: string; readonly messageId: string | null }>;
  /** Sends a host-held coupon's message again. `coupon.unknown` · `coupon.wrongHolder` */
  resendCoupon(code: string): Answered<{ readonly messageId: string }>;
  /** The port's handler. */
  handle(message: IncomingMessage): Promise<Handling>;
}

const rejected = (reason: string): Handling => ({ outcome: 'rejected', reason });

const issueOf = (merchantId: string, coupon: CouponView): CouponIssue => ({
  merchantId,
  couponCode: coupon.code,
  balanceMinor: coupon.balanceMinor,
  currency: coupon.currency,
  expiresAtSeconds: coupon.expiresAtMs === null ? 0 : Math.floor(coupon.expiresAtMs / 1000),
});

/** What phones seal their keys to: each merchant's own pair; null: no such merchant. */
const keysOf = async (options: RegistrationOptions, merchantId: string): Promise<KeyPair | null> =>
  merchantId === options.merchantId
    ? options.vault.merchantKeys()
    : options.host.merchants.registrationKeys(merchantId);

async function handleKey(options: RegistrationOptions, message: IncomingMessage): Promise<Handling> {
  const parsed = parseKeyMessage(message.text);
  if (!parsed.ok) return rejected(`not a key message (${parsed.error.code} at ${parsed.error.offset})`);
  const { token, wrappedKey } = parsed.value;
  const pending = options.pending.find(token, options.clock.wallMs());
  if (!pending) return rejected('no registration waits for this token (unknown or expired)');
  if (pending.phone !== message.from) return rejected('the answer comes from another number');
  const answerHash = hashText(message.text);
  if (pending.answerHash !== null)
    return pending.answerHash === answerHash ? { outcome: 'done' } : rejected('this token was used');
  const merchantId = pending.merchantId ?? options.merchantId;
  const keys = await keysOf(options, merchantId);
  if (!keys) return rejected('its merchant is not known here');
  const opened = unwrapMemberKey(options.agreement, keys, token, wrappedKey);
  if (!opened.ok) return rejected(`the key cannot be opened (at ${opened.error.offset})`);
  const { memberKey: key, publicKey } = opened.value;
  const keyId = memberKeyId(options.crypto, merchantId, token);
  const bound = await options.host.members.register({
    phone: pending.phone,
    name: pending.name,
    keyId,
    key,
    publicKey,
    merchantId: merchantId === options.merchantId ? '' : merchantId,
  });
  if (!bound.ok) return rejected(`refused: ${bound.error.code}`);
  await options.refresh.phoneRegistered(bound.value.memberCode);
  // After the key is bound: a crash in between handles the message again, and the same key id and key is the same member.
  options.pending.markAnswered(token, message.text);
  return { outcome: 'done' };
}

async function cardMessage(
  options: RegistrationOptions,
  coupon: CouponIssue,
  card: IssuedCard,
  member: MemberView,
): Promise<string | null> {
  const keyId = currentKey(member);
  const memberKey = keyId && (await options.memberKeyOf(keyId));
  if (!memberKey) return null;
  const head = couponMessageHead(coupon, 'C');
  return formatCardCoupon(coupon, sealIssuedCard(options.crypto, memberKey, head, options.random.bytes(16), card));
}

/** Issues and sends; a card-held coupon needs a member with a phone, since its key travels sealed to that phone alone. */
async function issueCoupon(
  options: RegistrationOptions,
  request: IssueCouponRequest,
): ReturnType<Registration['issueCoupon']> {
  const member = request.memberCode === null ? null : await options.host.members.byCode(request.memberCode);
  if (request.memberCode !== null && !member) return err({ code: 'credential.unknown', detail: 'no such member' });
  if (request.holder === 'card' && !(member && currentKey(member)))
    return err({ code: 'credential.unknown', detail: 'a card-held coupon needs a member whose phone is registered' });
  const issued = await options.host.coupons.issue(request);
  if (!issued.ok) return issued;
  const view = await options.host.coupons.byCode(issued.value.code);
  if (!view) return err({ code: 'coupon.unknown', detail: 'the coupon just issued cannot be read' });
  if (!member) return ok({ code: view.code, messageId: null });
  const coupon = { ...issueOf(member.merchant, view), balanceMinor: request.amountMinor };
  const { card } = issued.value;
  const text = card ? await cardMessage(options, coupon, card, member) : formatHostCoupon(coupon);
  if (text === null)
    return err({
      code: 'credential.blocked',
      detail: `coupon ${view.code} was issued, but its phone was blocked: issue another`,
    });
  const messageId = await options.port.send({ to: member.phone, text });
  // A card too: the phone's credential names the one that it may pay from.
  await options.refresh.changed(member.memberCode);
  return ok({ code: view.code, messageId });
}

async function resendCoupon(options: RegistrationOptions, code: string): ReturnType<Registration['resendCoupon']> {
  const coupon = await options.host.coupons.byCode(code);
  const member = coupon?.memberCode ? await options.host.members.byCode(coupon.memberCode) : null;
  if (!coupon || !member) return err({ code: 'coupon.unknown', detail: 'no coupon of a member has this code' });
  if (coupon.holder === 'card') return err({ code: 'coupon.wrongHolder', detail: 'a card is issued once' });
  const text = formatHostCoupon(issueOf(member.merchant, coupon));
  return ok({ messageId: await options.port.send({ to: member.phone, text }) });
}

/** Joins the host's members and coupons with the message port. */
export function createRegistration(options: RegistrationOptions): Registration {
  return {
    invite: async (phone, name, wished = null) => {
      if (!numberPattern.test(phone))
        return err({ code: 'input.malformed', detail: 'a phone number has 3 to 15 digits' });
      const merchantId = wished ?? options.merchantId;
      const keys = await keysOf(options, merchantId);
      if (!keys) return err({ code: 'merchant.unknown', detail: merchantId });
      const token = registrationToken(options.random.bytes(registrationTokenCharacters));
      const now = options.clock.wallMs();
      const expiresAtMs = now + options.tokenValidMs;
      if (!options.pending.add({ token, phone, name, expiresAtMs, merchantId }, now))
        return err({ code: 'access.rateLimited', detail: 'too many registrations wait for an answer' });
      const text = formatRegistration(merchantId, token, keys.publicKey);
      return ok({ messageId: await options.port.send({ to: phone, text }), expiresAtMs });
    },
    issueCoupon: (request) => issueCoupon(options, request),
    resendCoupon: (code) => resendCoupon(options, code),
    handle: (message) =>
      isPackageAnswer(message.text) ? options.refresh.handle(message) : handleKey(options, message),
  };
}
