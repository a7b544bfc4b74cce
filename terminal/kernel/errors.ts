/**
 * The one table of codes: severity, who may retry, and the texts for technician and clerk in both languages.
 * Console help and docs/errors.md are generated from it. Tests compare codes, never texts.
 */

export type Retry = 'never' | 'later' | 'afterReconnect' | 'operator';
export type Severity = 'info' | 'warning' | 'error' | 'critical';

interface ErrorRow {
  readonly severity: Severity;
  readonly retry: Retry;
  /** What the technician or clerk reads: what happened and what to do. */
  readonly en: string;
  readonly zh: string;
}

const row = (severity: Severity, retry: Retry, en: string, zh: string): ErrorRow => ({ severity, retry, en, zh });

export const errorTable = {
  // Input from outside
  'input.truncated': row('warning', 'never', 'The data ends too early.', '数据不完整。'),
  'input.malformed': row('warning', 'never', 'The data is not in the expected form.', '数据格式错误。'),
  'input.tooLong': row('warning', 'never', 'The data is longer than allowed.', '数据过长。'),
  'input.outOfRange': row('warning', 'never', 'A value is outside its range.', '数值超出范围。'),
  'input.unsupported': row('warning', 'never', 'This version or type is not supported.', '不支持的版本或类型。'),
  'value.malformed': row(
    'warning',
    'never',
    'Not a valid amount or number. Use plain digits, like 300.00.',
    '金额或数字无效，请输入如 300.00。',
  ),
  'value.notAnInteger': row('warning', 'never', 'The value must be a whole number.', '必须为整数。'),
  'value.outOfRange': row('warning', 'never', 'The value is too large or too small.', '数值过大或过小。'),

  // A sale at this box
  'sale.busy': row(
    'info',
    'later',
    'Another sale is open. Finish or cancel it first.',
    '有未完成的交易，请先完成或取消。',
  ),
  'sale.unknown': row('warning', 'never', 'No such sale at this box.', '本机无此交易。'),
  'sale.referenceConflict': row(
    'error',
    'never',
    'This reference was used for another sale. Use a new one.',
    '该流水号已用于其他交易，请换新号。',
  ),
  'sale.cancelled': row('info', 'never', 'Cancelled. Nothing was charged.', '已取消，未扣款。'),
  'sale.timedOut': row('info', 'never', 'Nobody tapped in time. Nothing was charged.', '等待超时，未扣款。'),
  'sale.interrupted': row(
    'warning',
    'never',
    'The box restarted in mid-sale. Nothing was charged; start again.',
    '交易中断，未扣款，请重新交易。',
  ),
  'sale.tooLate': row('info', 'never', 'Too late to cancel: use void.', '交易已完成，请使用撤销。'),
  'sale.notAllowed': row('warning', 'operator', 'This clerk may not do that.', '该收银员无此权限。'),
  'sale.empty': row('warning', 'never', 'Nothing to pay: the amount is zero.', '金额为零。'),
  'product.unknown': row('warning', 'never', 'The product is not in the catalogue.', '商品不存在。'),
  'product.expired': row('warning', 'never', 'The use-by date of this item has passed.', '该商品已过保质期。'),
  'product.ambiguous': row(
    'warning',
    'never',
    'Several products have this name. Use the code.',
    '名称不唯一，请使用商品编码。',
  ),
  'bill.wrongTotal': row('warning', 'never', 'The lines do not add up to the total.', '明细与合计不符。'),
  'bill.tooLong': row('warning', 'never', 'Too many lines on one bill.', '明细行数过多。'),

  // The member and what proves them
  'credential.unknown': row('warning', 'never', 'This member is not known here.', '会员不存在。'),
  'credential.wrongProof': row('error', 'never', 'The phone did not prove its key.', '手机密钥验证失败。'),
  'credential.replayed': row('error', 'never', 'This tap was used before.', '重复的凭证。'),
  'credential.blocked': row('warning', 'never', 'This phone is blocked.', '该手机已挂失。'),
  'credential.tooWeak': row(
    'warning',
    'never',
    'A shown code cannot spend points. Tap the phone.',
    '会员码不能消费积分，请刷手机。',
  ),
  'credential.missing': row(
    'info',
    'afterReconnect',
    'This phone has no credential for paying without the host. Pay otherwise, or when the host answers.',
    '该手机无离线支付凭证，请联网后再试或用其他方式支付。',
  ),
  'credential.forged': row(
    'error',
    'never',
    'The credential of this phone is not by this merchant.',
    '该手机的离线凭证不是本商户签发的。',
  ),
  'credential.outOfTime': row(
    'warning',
    'afterReconnect',
    'The credential of this phone has ended or has not begun.',
    '该手机的离线凭证已过期或尚未生效。',
  ),
  'credential.clockDoubtful': row(
    'warning',
    'afterReconnect',
    'The clock of this box is in doubt, so no credential is taken. Set the clock or reach the host.',
    '终端时钟不可信，不能验证离线凭证，请校时或联网。',
  ),
  'pass.none': row('info', 'never', 'This phone has no pass of this shop.', '该手机无本店卡券。'),
  'pass.locked': row('info', 'later', 'Unlock the phone and tap again.', '请解锁手机后重新感应。'),
  'pass.mustChoose': row(
    'info',
    'later',
    'Choose the pass on the phone and tap again.',
    '请在手机上选择卡券后重新感应。',
  ),
  'pass.unknownKey': row(
    'error',
    'operator',
    'The pass is sealed for a merchant key that is not here. Check the wallet keys.',
    '卡券使用的商户密钥不在本机，请检查钱包密钥配置。',
  ),
  'pass.forged': row(
    'error',
    'never',
    'What the pass said does not open: changed on the way, or of another shop.',
    '卡券数据验证失败：被篡改或不属于本店。',
  ),
  'pass.outOfTime': row(
    'warning',
    'never',
    'The pass speaks of another time. Check the clocks of phone and box.',
    '卡券时间不符，请检查手机与终端的时间。',
  ),
  'pass.walletBusy': row('info', 'later', 'The phone is not ready. Tap again.', '手机未就绪，请重新感应。'),
  'pass.refusedTerminal': row(
    'error',
    'operator',
    'The wallet refused this terminal. Check collector id, key and key version.',
    '钱包拒绝本终端，请检查商户编号、密钥及其版本。',
  ),
  'pass.hostSilent': row(
    'warning',
    'later',
    'This wallet is read with the host, which does not answer. Use another way, or tap again later.',
    '读取该钱包需联网，主机无应答。请用其他方式或稍后重试。',
  ),
  'tag.wrongKey': row(
    'warning',
    'never',
    'This tag belongs to somebody else, or its keys are not known here.',
    '该标签非本店所有或密钥未知。',
  ),
  'tag.forged': row('error', 'never', 'This tag did not prove its key.', '标签密钥验证失败。'),
  'tag.lrpMode': row(
    'warning',
    'operator',
    'This tag works in LRP mode, which is not supported. Issue it in AES mode.',
    '标签处于 LRP 模式，不受支持，请以 AES 模式发行。',
  ),
  'tag.notGenuine': row(
    'warning',
    'never',
    'The chip of this tag is not proved to be genuine: it may be a copy. Give the member another tag.',
    '标签芯片未通过原厂签名验证，可能是仿制品，请更换会员标签。',
  ),
  'tag.signatureUnread': row(
    'warning',
    'later',
    'This shop wants the signature of the chip, and it could not be read. Tap again, or use another reader or tag.',
    '本店要求验证标签的原厂签名，但未能读取。请重新感应，或更换读卡器或标签。',
  ),
  'chip.notInserted': row('info', 'later', 'Nobody inserted a bank card in time.', '未在规定时间内插入银行卡。'),
  'chip.noApplication': row(
    'warning',
    'never',
    'No bank application that is known here is on this card.',
    '卡内无本机支持的银行卡应用。',
  ),
  'chip.blocked': row(
    'warning',
    'never',
    'This bank card or its application is blocked. The bank can say why.',
    '该银行卡或其应用已被锁定，请联系发卡行。',
  ),
  'chip.unreadable': row(
    'warning',
    'later',
    'The bank card could not be read. Wipe the chip and insert it again.',
    '银行卡无法读取，请擦净芯片后重新插卡。',
  ),
  'chip.inconsistent': row(
    'error',
    'never',
    'The bank card contradicts itself: its two numbers differ.',
    '银行卡数据矛盾：两处卡号不一致。',
  ),
  'card.noApplication': row(
    'info',
    'never',
    "This phone or card is not a member's. Register it first.",
    '非会员手机或卡，请先注册。',
  ),
  'card.refusedTerminal': row(
    'error',
    'operator',
    'The phone does not accept this terminal: the keys differ.',
    '手机拒绝本终端，密钥不一致。',
  ),
  'card.exchangeForged': row(
    'error',
    'later',
    'The exchange with the phone was disturbed or forged. Tap again.',
    '与手机的通信被干扰或伪造，请重新贴近。',
  ),
  'card.absent': row('info', 'never', 'This phone carries no coupon on its card.', '该手机卡内无优惠券。'),
  'card.unreadable': row(
    'warning',
    'later',
    'The phone could not be read. Tap again and hold still.',
    '读取失败，请重新贴近手机。',
  ),
  'card.recordInvalid': row(
    'error',
    'operator',
    'The coupon on the card is not genuine or is damaged.',
    '卡内优惠券无效。',
  ),
  'card.recordStale': row(
    'error',
    'operator',
    'The coupon on the card is older than the host knows.',
    '卡内优惠券记录过旧。',
  ),
  'card.unknown': row(
    'warning',
    'operator',
    'The phone left too early: not accepted. If the card was charged, it is given back at its next tap.',
    '手机过早移开，交易未接受；如已扣款，下次贴卡时退回。',
  ),
  'card.another': row(
    'warning',
    'later',
    'That is another phone. Tap the one that began the sale.',
    '请使用同一部手机。',
  ),
  'card.siteLimit': row(
    'warning',
    'never',
    'The offline limit of this card for today is used up.',
    '该卡今日离线额度已用完。',
  ),

  // Without the host
  'offline.tooLong': row(
    'warning',
    'afterReconnect',
    'The host has not been reached for too long; nothing of value is accepted until it is.',
    '离线时间过长，联网前不能受理。',
  ),
  'offline.limit': row(
    'warning',
    'afterReconnect',
    'The limit for sales without the host is used up.',
    '离线额度已用完，请联网后再试。',
  ),
  'allowance.tooLow': row(
    'info',
    'afterReconnect',
    'What this box may spend of it without the host is not enough.',
    '本机离线额度不足。',
  ),
  'allowance.unknown': row('error', 'operator', 'No such allowance belongs to this terminal.', '终端无此离线额度。'),
  'allowance.wrongSignature': row(
    'critical',
    'operator',
    'The release of an allowance is not signed by this terminal.',
    '离线额度退回签名无效。',
  ),
  'allowance.notAllowed': row('info', 'never', 'The policy gives no allowance for this.', '未开通离线额度。'),

  // Points, coupons, refunds
  'points.tooFew': row('info', 'never', 'Not enough points.', '积分不足。'),
  'points.notAllowed': row('warning', 'never', 'Points cannot be used like this here.', '不能如此使用积分。'),
  'coupon.unknown': row('warning', 'never', 'No such coupon.', '优惠券不存在。'),
  'coupon.balanceTooLow': row('info', 'never', 'The coupon does not cover the price.', '优惠券余额不足。'),
  'coupon.expired': row('info', 'never', 'The coupon has expired.', '优惠券已过期。'),
  'coupon.notForProduct': row('info', 'never', 'The coupon is not for these products.', '优惠券不适用于该商品。'),
  'coupon.wrongHolder': row(
    'warning',
    'never',
    'This coupon lives on the card: tap the phone.',
    '该券存于卡内，请刷手机。',
  ),
  'original.unknown': row('warning', 'never', 'The sale to undo is not known here.', '原交易不存在。'),
  'original.notVoidable': row(
    'warning',
    'never',
    'That sale cannot be undone (already voided, or refunded in part).',
    '原交易不可撤销。',
  ),
  'coupon.noTopUp': row('warning', 'never', 'This top-up is not allowed here.', '此充值不被允许。'),
  'coupon.ambiguous': row(
    'info',
    'never',
    'The member has several coupons: name one by its last 4 digits.',
    '会员有多张券，请指定券号末4位。',
  ),
  'coupon.topUpSpent': row(
    'warning',
    'never',
    'The coupon does not hold the whole top-up any more.',
    '券余额已不足该笔充值，不能撤销。',
  ),
  'refund.tooLarge': row('warning', 'never', 'The refund is more than what is left of the sale.', '退款超出可退金额。'),
  'rules.unknown': row('error', 'later', 'The rules for points and coupons have not arrived yet.', '规则尚未下发。'),

  // Records and the host
  'record.conflict': row(
    'critical',
    'operator',
    'The same transaction id came with other contents.',
    '同一交易号内容不一致。',
  ),
  'record.malformed': row('error', 'operator', 'The host cannot read this record.', '记录格式错误。'),
  'record.reversed': row('info', 'never', 'The transaction was reversed.', '交易已冲正。'),
  'record.wrongRealm': row(
    'error',
    'operator',
    'A simulated record met the real host, or the reverse.',
    '模拟与正式环境不符。',
  ),
  'record.chainBroken': row(
    'critical',
    'operator',
    "The terminal's history forks or goes back.",
    '终端流水分叉或倒退。',
  ),
  'record.foreign': row(
    'critical',
    'operator',
    "A record of another terminal came under this terminal's certificate.",
    '记录与终端证书不符。',
  ),
  'host.unreachable': row(
    'warning',
    'afterReconnect',
    'The host cannot be reached; this needs it.',
    '无法连接主机，此操作需联网。',
  ),
  'host.noAnswer': row(
    'warning',
    'afterReconnect',
    'The host did not answer in time. Nothing was charged.',
    '主机未及时应答，未扣款。',
  ),
  'host.busy': row('info', 'later', 'The host is busy.', '主机繁忙。'),
  'host.quarantined': row('error', 'operator', 'The host holds this terminal in quarantine.', '终端已被隔离。'),
  'host.storeFailed': row('critical', 'later', 'The host could not store the record.', '主机存储失败。'),
  'host.refused': row('error', 'operator', 'The host refused the request.', '主机拒绝请求。'),
  'host.untrusted': row(
    'critical',
    'operator',
    "The host's certificate is not the one this box trusts.",
    '主机证书不受信任。',
  ),
  'host.answerInvalid': row('error', 'later', "The host's answer could not be understood.", '主机应答无法识别。'),
  'enrolment.codeWrong': row(
    'warning',
    'operator',
    'The enrolment code is wrong, used or expired. Draw a new one.',
    '注册码错误、已用或过期。',
  ),
  'enrolment.locked': row(
    'error',
    'later',
    'Too many wrong enrolment codes. Wait and draw a new one.',
    '注册码错误次数过多。',
  ),
  'enrolment.requestInvalid': row('error', 'never', 'The certificate request is not valid.', '证书请求无效。'),
  'certificate.expired': row(
    'error',
    'later',
    "The terminal's certificate is not valid now. It renews by itself; check both clocks.",
    '终端证书不在有效期内，将自动更新，请检查时钟。',
  ),
  'enrolment.credentialsInvalid': row(
    'critical',
    'operator',
    "This box's stored key and certificate are damaged or do not belong together. Restore them or enrol again.",
    '本机密钥或证书损坏，请恢复或重新注册。',
  ),

  // The box
  'terminal.notEnrolled': row(
    'warning',
    'operator',
    'The box is not enrolled with a host yet. Draw an enrolment code at the host.',
    '终端尚未注册，请在主机上生成注册码。',
  ),
  'terminal.restored': row(
    'warning',
    'afterReconnect',
    'The box was restored from a backup and waits for the host to begin a new history for it.',
    '终端已从备份恢复，需连接主机后继续。',
  ),
  'terminal.cloned': row(
    'critical',
    'operator',
    'Another box uses the identity of this one. Stop both, then at the true one: shouli transfer reenrol.',
    '本机身份被另一台终端复制使用，请停机后执行 shouli transfer reenrol。',
  ),
  'terminal.replaced': row(
    'critical',
    'operator',
    'Another box has taken the place of this one. Bring what is unsent to that box or to the host: shouli transfer.',
    '本机已被替换，请用 shouli transfer 导出未发送的记录。',
  ),
  'store.full': row(
    'critical',
    'operator',
    'The storage is full. Sales are refused until there is room.',
    '存储已满，暂停交易。',
  ),
  'store.failed': row('critical', 'operator', 'The storage failed. Sales are stopped.', '存储故障，停止交易。'),
  'store.corrupt': row(
    'critical',
    'operator',
    'The database is damaged. Sales are stopped. Save its records (shouli salvage FILE), then restore a backup.',
    '数据库损坏，停止交易。请先导出记录（shouli salvage FILE），再恢复备份。',
  ),
  'store.chainBroken': row(
    'critical',
    'operator',
    'The stored history was changed from outside: records are missing or altered. Keep the file and call service.',
    '本机流水被改动或缺失，请保留数据并联系维护。',
  ),
  'store.newer': row(
    'critical',
    'operator',
    'The database was written by a newer version. Install that version.',
    '数据库版本较新。',
  ),
  'device.absent': row('warning', 'later', 'The device is not there. Plug it in.', '设备未连接，请插好。'),
  'device.busy': row('info', 'later', 'The device is in use.', '设备忙。'),
  'device.denied': row(
    'error',
    'operator',
    'The system refuses access to the device. Check groups and udev rules.',
    '无设备访问权限，请检查用户组和 udev 规则。',
  ),
  'device.cardRemoved': row('info', 'later', 'The phone or card left the reader.', '手机或卡已移开。'),
  'device.wrongSlot': row(
    'warning',
    'operator',
    'A card came that this reader is not configured for. Check readers.contactSlots.',
    '读到与配置不符的卡，请检查 readers.contactSlots。',
  ),
  'device.timedOut': row('warning', 'later', 'The device did not answer in time.', '设备无响应。'),
  'device.closed': row('info', 'later', 'The device was closed.', '设备已关闭。'),
  'device.failed': row('error', 'afterReconnect', 'The device reports an error.', '设备故障。'),
  'device.paperOut': row('warning', 'operator', 'The printer has no paper. Put in a roll.', '打印机缺纸，请装纸。'),
  'device.coverOpen': row(
    'warning',
    'operator',
    'The cover of the printer is open. Close it.',
    '打印机上盖未关，请合上。',
  ),
  'device.keysSpent': row(
    'error',
    'operator',
    'The PIN pad has no keys left. Have it loaded with new ones.',
    '密码键盘密钥已用尽，请重新灌装密钥。',
  ),
  'device.keyReused': row(
    'critical',
    'operator',
    'The PIN pad used a key a second time. The entry was thrown away: take the pad out of service.',
    '密码键盘重复使用密钥，本次输入已作废，请停用该键盘。',
  ),
  'device.unsupported': row('warning', 'never', 'The device cannot do this.', '设备不支持。'),
  'device.driverMissing': row(
    'error',
    'operator',
    'The program part for this device cannot be loaded. Run the installation (npm ci) again.',
    '缺少该设备的驱动程序，请重新安装（npm ci）。',
  ),
  'device.unknown': row('warning', 'never', 'No such device. Type device list.', '无此设备，请输入 device list。'),
  'device.notRecorded': row(
    'warning',
    'never',
    'Card numbers or PINs pass here: recorded on a simulated box only.',
    '该设备涉及卡号或密码，仅模拟环境可录制。',
  ),
  'device.recordingFailed': row(
    'warning',
    'operator',
    'The recording could not be written. Name a new file in a folder of the box.',
    '录制文件无法写入，请另选文件。',
  ),
  'device.notBeingRecorded': row('info', 'never', 'This device is not being recorded.', '该设备未在录制。'),
  'config.invalid': row('critical', 'operator', 'The configuration is wrong; every problem is listed.', '配置错误。'),

  // Access
  'access.denied': row('warning', 'never', 'Not allowed.', '无权限。'),
  'access.locked': row('warning', 'later', 'Locked after too many wrong tries.', '多次错误，已锁定。'),
  'access.pinMustChange': row('info', 'operator', 'Change the first PIN before anything else.', '请先修改初始密码。'),
  'access.pinWeak': row(
    'warning',
    'never',
    'Choose 6 to 12 digits, not all alike and not in a row.',
    '密码须为 6 至 12 位数字，不可过于简单。',
  ),
  'access.rateLimited': row('warning', 'later', 'Too many requests.', '请求过于频繁。'),

  // What a technician types and a till calls
  'command.unknown': row('warning', 'never', 'No such command. Type help.', '无此命令，请输入 help。'),
  'command.malformed': row(
    'warning',
    'never',
    'The command is not complete or not right. Type help and its name.',
    '命令格式错误，请输入 help 加命令名。',
  ),
  'request.notFound': row('warning', 'never', 'There is nothing at this address.', '地址不存在。'),
  'box.failed': row(
    'critical',
    'operator',
    'The box met an error of its own. Look the sale up before trying again.',
    '本机内部错误，重试前请先查询交易。',
  ),

  // Merchants of one host
  'merchant.unknown': row('warning', 'operator', 'The host serves no such merchant.', '无此商户。'),
  'agreement.unknown': row('warning', 'operator', 'The two merchants have no such agreement.', '商户之间无此协议。'),
} as const satisfies Readonly<Record<string, ErrorRow>>;

export type ErrorCode = keyof typeof errorTable;
export const isErrorCode = (text: string): text is ErrorCode => Object.hasOwn(errorTable, text);

/** An operational failure: becomes an event; its text comes from the table, `detail` is for the technician and holds no secret. */
export class TerminalError extends Error {
  constructor(
    readonly code: ErrorCode,
    readonly detail = '',
  ) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = 'TerminalError';
  }
  get retry(): Retry {
    return errorTable[this.code].retry;
  }
}
