/**
 * The member's pages in Debian's Chromium at a phone's size, against a whole host: log in by the message, points and coupons,
 * the code as a picture, several memberships, offline, both languages, the keyboard alone, and the names a screen reader is given.
 * With SHOULI_SCREENSHOTS=folder it leaves pictures there.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { type BrowserContext, chromium, type Page } from 'playwright-core';
import t, { type Test } from 'tap';
import { freePort, openTestHost, type TestHost } from '../sim/running-host.js';

t.setTimeout(180_000);
const chromiumFile = '/usr/bin/chromium';
const phone = '13800138000';
const skip = existsSync(chromiumFile) ? false : 'Debian’s chromium is not installed';

async function seed(host: TestHost): Promise<void> {
  await host.run('merchant.set', { merchant: '好味餐厅 Haowei', location: '人民路店' });
  await host.run('member.enlist', { phone, name: '王芳' });
  const issue = { holder: 'host', member: phone, currency: 'CNY', amountMinor: 30_000 };
  await host.run('coupon.issue', issue);
  const blocked = await host.run<{ code: string }>('coupon.issue', {
    ...issue,
    amountMinor: 5_000,
    limitCategory: 'cake',
  });
  await host.run('coupon.block', { code: blocked.code });
  const expiresAtMs = Date.now() + 7 * 86_400_000;
  await host.run('offer.publish', {
    title: '下午茶半价 Tea at half price',
    text: '周一至周五 14:00–17:00',
    expiresAtMs,
  });
}

/** The same number is a member of a second merchant of this host. */
async function seedCafe(host: TestHost): Promise<string> {
  await host.run('merchant.add', { id: 'CAFE', name: '街角咖啡 Corner Café', location: 'Street 2' });
  const member = { phone, name: 'Wang Fang', merchant: 'CAFE' };
  const { memberCode } = await host.run<{ memberCode: string }>('member.enlist', member);
  await host.run('coupon.issue', { holder: 'host', member: memberCode, currency: 'CNY', amountMinor: 4_200 });
  return memberCode;
}

/** The code in the newest message to the phone. */
function codeSent(host: TestHost): string {
  const folder = path.join(host.dataFolder, 'messages', 'out');
  const texts = readdirSync(folder)
    .sort()
    .map((name) => readFileSync(path.join(folder, name), 'utf8'));
  return /验证码 ([0-9]{6})/.exec(texts.at(-1) ?? '')?.[1] ?? '';
}

async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['SHOULI_SCREENSHOTS'];
  if (folder) await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

interface Opened {
  readonly host: TestHost;
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors in the page, those of the content policy among them. */
  readonly problems: readonly string[];
}
/** A whole host, seeded, and its page on a phone that speaks Chinese. */
async function openPhone(t: Test, more: (host: TestHost) => Promise<unknown>): Promise<Opened> {
  const pagesPort = await freePort();
  // Waits are real here: the browser's own are.
  const schedule = (delayMs: number, run: () => void): (() => void) => {
    const timer = setTimeout(run, delayMs);
    return () => clearTimeout(timer);
  };
  const host = await openTestHost(t, { pagesPort, schedule });
  await seed(host);
  await more(host);
  const browser = await chromium.launch({
    executablePath: chromiumFile,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--disable-background-networking', '--disable-sync'],
  });
  t.teardown(() => browser.close());
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    locale: 'zh-CN',
    deviceScaleFactor: 2,
  });
  const page = await context.newPage();
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !/403|ERR_INTERNET_DISCONNECTED|ERR_FAILED/.test(message.text()))
      problems.push(message.text());
  });
  await page.goto(`http://localhost:${pagesPort}/`);
  return { host, page, context, problems };
}

t.test('the member’s pages in a browser', { skip, timeout: 90_000 }, async (t) => {
  const { host, page, context, problems } = await openPhone(t, async () => {});

  // With the keyboard alone: number, Enter, a wrong code, the right one.
  await page.getByLabel('手机号').focus();
  await page.keyboard.type(phone);
  await page.keyboard.press('Enter');
  const code = page.getByLabel('验证码（6 位数字）');
  await code.waitFor();
  await picture(page, 'login');
  const right = codeSent(host);
  t.match(right, /^[0-9]{6}$/, 'the code came by message');
  await page.keyboard.type(right === '000000' ? '000001' : '000000');
  await page.keyboard.press('Enter');
  await page.getByText('验证码不正确或已失效，请重新获取。').waitFor();
  await code.fill(right);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: '优惠券' }).waitFor();
  t.equal(await page.title(), '好味餐厅 Haowei 会员');
  t.equal(await page.locator('html').getAttribute('lang'), 'zh');
  t.equal(await page.getByRole('radio').count(), 0, 'nothing to choose of one membership');
  t.ok(await page.getByText('¥300.00').first().isVisible());
  t.ok(await page.getByText('已停用 · 仅限 cake').isVisible(), 'why a coupon cannot be used');
  t.ok(await page.getByRole('heading', { name: '下午茶半价 Tea at half price' }).isVisible());
  await picture(page, 'account-zh');

  // The code at the till: opened and closed by the keyboard, focus goes back.
  const show = page.getByRole('button', { name: /^出示 SLC/ });
  t.equal(await show.count(), 1, 'a blocked coupon cannot be shown');
  await show.focus();
  await page.keyboard.press('Enter');
  const shown = page.getByRole('dialog', { name: '¥300.00' });
  const image = shown.getByRole('img');
  await image.waitFor();
  t.match(await image.getAttribute('aria-label'), /^SLC[0-9]{13}$/);
  await picture(page, 'code');
  await page.keyboard.press('Escape');
  await shown.waitFor({ state: 'hidden' });
  t.equal(await page.evaluate('document.activeElement.textContent'), '出示', 'focus is where it was');

  // The member's own code: another one each half minute.
  await page.getByRole('button', { name: '会员码' }).click();
  const own = page.getByRole('dialog', { name: '会员码' });
  t.match(await own.getByRole('img').getAttribute('aria-label'), /^SLR[0-9]{18}$/);
  await picture(page, 'member-code');
  await page.keyboard.press('Escape');

  await page.getByRole('button', { name: 'English' }).click();
  await page.getByRole('heading', { name: 'Coupons' }).waitFor();
  t.equal(await page.locator('html').getAttribute('lang'), 'en');
  await picture(page, 'account-en');

  // Every control has a name, and nothing is wider than the phone.
  const nameless = await page
    .locator('button, input')
    .evaluateAll(
      (found) =>
        found.filter((it) => !(it.textContent?.trim() || it.getAttribute('aria-label') || it.closest('label'))).length,
    );
  t.equal(nameless, 0);
  t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is cut off');

  // Without a network: the page itself and what it last saw.
  await page.evaluate('navigator.serviceWorker.ready.then(() => undefined)');
  await page.reload();
  await page.getByRole('heading', { name: 'Coupons' }).waitFor();
  await context.setOffline(true);
  await page.reload();
  await page.getByText(/^Offline: as of/).waitFor();
  await page.getByRole('button', { name: 'Member code' }).click();
  const unseen = page.getByRole('dialog', { name: 'Member code' }).getByRole('img', { name: /^SLR/ });
  await unseen.waitFor();
  t.pass('the rotating code needs no network');
  await page.keyboard.press('Escape');
  t.ok(await page.getByText('¥300.00').first().isVisible());
  await picture(page, 'offline');
  await context.setOffline(false);

  // A lost phone: an operator blocks the member, and the page forgets.
  await host.run('member.block', { who: phone });
  await page.reload();
  await page.getByLabel('Phone number').waitFor();
  t.equal(await page.evaluate("localStorage.getItem('overviews')"), null, 'nothing of the member stays on the phone');
  t.same(problems, [], 'no error in the page, none of the content policy');
});

t.test(
  'one number, two memberships: chosen by the keyboard, each by itself, offline too',
  { skip, timeout: 90_000 },
  async (t) => {
    let cafe = '';
    const { host, page, context, problems } = await openPhone(t, async (host) => {
      cafe = await seedCafe(host);
    });
    await page.getByLabel('手机号').fill(phone);
    await page.keyboard.press('Enter');
    await page.getByLabel('验证码（6 位数字）').waitFor();
    await page.getByLabel('验证码（6 位数字）').fill(codeSent(host));
    await page.keyboard.press('Enter');
    const group = page.getByRole('group', { name: '我的会员卡' });
    await group.waitFor();
    const choices = group.getByRole('radio');
    t.equal(await choices.count(), 2);
    const [own, other] = [
      group.getByRole('radio', { name: /^好味餐厅 Haowei/ }),
      group.getByRole('radio', { name: /^街角咖啡 Corner Café/ }),
    ];
    t.ok(await own.isChecked(), 'the host’s own merchant first');
    t.ok(await page.getByText('¥300.00').first().isVisible());
    t.notOk(await page.getByText('¥42.00').first().isVisible(), 'nothing of the other is shown');
    await picture(page, 'memberships-zh');

    const codeShown = async (name: string): Promise<string> => {
      await page.getByRole('button', { name }).click();
      const image = page.getByRole('dialog', { name }).getByRole('img', { name: /^SLR/ });
      await image.waitFor();
      const text = await image.getAttribute('aria-label');
      await page.keyboard.press('Escape');
      return text ?? '';
    };
    const ownCode = await codeShown('会员码');
    await own.focus();
    await page.keyboard.press('ArrowRight');
    await page.getByText('¥42.00').first().waitFor();
    t.ok(await other.isChecked(), 'by the arrow key');
    t.equal(await page.evaluate('document.activeElement.type'), 'radio', 'and focus stays on the choice');
    t.equal(await page.getByRole('heading', { level: 1 }).textContent(), '街角咖啡 Corner Café');
    t.equal(await page.title(), '街角咖啡 Corner Café 会员');
    t.notOk(await page.getByText('¥300.00').first().isVisible());
    t.notOk(await page.getByText('下午茶半价 Tea at half price').isVisible(), 'nor the other merchant’s offer');
    t.ok(await page.getByText(/^Wang Fang/).isVisible(), 'the name that this merchant knows');
    const otherCode = await codeShown('会员码');
    t.match(ownCode, /^SLR[0-9]{18}$/);
    t.not(otherCode.slice(0, 12), ownCode.slice(0, 12), 'a code of its own');
    await page.getByRole('button', { name: 'English' }).click();
    await page.getByRole('group', { name: 'My memberships' }).waitFor();
    await picture(page, 'memberships-en');
    t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'), 'nothing is cut off');

    // Without a network: the choice stays, and each membership has what was seen of it last.
    await page.evaluate('navigator.serviceWorker.ready.then(() => undefined)');
    await page.reload();
    await page.getByText('¥42.00').first().waitFor();
    await context.setOffline(true);
    await page.reload();
    await page.getByText(/^Offline: as of/).waitFor();
    t.ok(await page.getByText('¥42.00').first().isVisible());
    t.equal((await codeShown('Member code')).slice(0, 12), otherCode.slice(0, 12));
    await picture(page, 'memberships-offline');
    await page.getByRole('radio', { name: /^好味餐厅/ }).focus();
    await page.keyboard.press('Space');
    await page.getByText('¥300.00').first().waitFor();
    t.ok(await page.getByText(/^Offline: as of/).isVisible());
    t.equal((await codeShown('Member code')).slice(0, 12), ownCode.slice(0, 12));
    await context.setOffline(false);

    // The phone is reported lost by its membership at the café: nothing of either stays.
    await host.run('member.block', { who: cafe });
    await page.reload();
    await page.getByLabel('Phone number').waitFor();
    t.equal(
      await page.evaluate("['overviews', 'screenKeys', 'chosen'].filter((key) => localStorage.getItem(key)).join()"),
      '',
    );
    t.same(problems, [], 'no error in the page, none of the content policy');
  },
);
