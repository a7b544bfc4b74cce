/**
 * The member's pages: log in, then points, codes, coupons, offers and statement; the last ones seen stay readable offline.
 * Must hold no rule: what may be done the host decides.
 */
import { type ComponentChildren, render } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import { create as createQr } from 'qrcode';
import { stepSeconds } from '../../../../drivers/protocols/screen-code/screen-code.js';
import {
  type Coupon,
  closeSession,
  fetchOverviews,
  forget,
  hostNowMs,
  keepChoice,
  keepOverviews,
  keptChoice,
  keptOverviews,
  keptScreenKey,
  type Overview,
  openSession,
  Refused,
  screenCodeNow,
  sendCode,
} from './host.js';
import { amountText, causeText, dayText, type Language, refusalText, timeText, type Words, wordsOf } from './words.js';

const languageKey = 'language';
const refreshMs = 30_000;

interface Spoken {
  readonly language: Language;
  readonly words: Words;
}

/** A code as a picture that a scanner reads; the same text stands below it. */
function Qr({ text }: { readonly text: string }) {
  const { modules } = createQr(text, { errorCorrectionLevel: 'M' });
  const { size, data } = modules;
  const path = Array.from({ length: size * size }, (_, at) =>
    data[at] ? `M${(at % size) + 4} ${Math.floor(at / size) + 4}h1v1h-1z` : '',
  ).join('');
  return (
    <svg class="qr" viewBox={`0 0 ${size + 8} ${size + 8}`} role="img" aria-label={text} shape-rendering="crispEdges">
      <title>{text}</title>
      <path class="paper" d={`M0 0h${size + 8}v${size + 8}h-${size + 8}z`} />
      <path d={path} />
    </svg>
  );
}

interface Shown {
  readonly title: string;
  readonly code: string;
  /** When another code is shown, by the host's clock; null: this one stays. */
  readonly endsAtMs: number | null;
}
const stepMs = stepSeconds * 1_000;

/** The member's code: a new one every half minute, or the lasting one where this browser cannot make those. */
function useMemberCode(memberCode: string): Pick<Shown, 'code' | 'endsAtMs'> {
  const [shown, setShown] = useState<Pick<Shown, 'code' | 'endsAtMs'>>({ code: memberCode, endsAtMs: null });
  useEffect(() => {
    const screenKey = keptScreenKey(memberCode);
    if (!screenKey) return;
    let timer: ReturnType<typeof setTimeout>;
    const next = async (): Promise<void> => {
      const code = await screenCodeNow(screenKey);
      if (code === null) return;
      const leftMs = stepMs - (hostNowMs() % stepMs);
      setShown({ code, endsAtMs: hostNowMs() + leftMs });
      timer = setTimeout(() => void next(), leftMs + 50);
    };
    void next();
    return () => clearTimeout(timer);
  }, [memberCode]);
  return shown;
}

/** A bar that runs out with the code. */
function Left({ endsAtMs }: { readonly endsAtMs: number }) {
  const goneMs = stepMs - (endsAtMs - hostNowMs());
  return <div class="left" aria-hidden="true" style={{ animationDelay: `-${Math.max(0, goneMs)}ms` }} />;
}

/** The code large, for the scanner at the till; Escape or the button closes it, and focus goes back to where it was. */
function CodeDialog({ shown, words, onClose }: { shown: Shown | null; words: Words; onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const isOpen = shown !== null;
  useEffect(() => {
    if (isOpen) dialog.current?.showModal();
  }, [isOpen]);
  if (!shown) return null;
  return (
    <dialog ref={dialog} aria-labelledby="shown-title" onClose={onClose}>
      <h2 id="shown-title">{shown.title}</h2>
      <p class="quiet">{words.showAtTill}</p>
      <Qr text={shown.code} />
      {shown.endsAtMs !== null && <Left key={shown.code} endsAtMs={shown.endsAtMs} />}
      <p class="code">{shown.code}</p>
      <button type="button" onClick={() => dialog.current?.close()}>
        {words.close}
      </button>
    </dialog>
  );
}

function Login({ spoken, onOpened }: { spoken: Spoken; onOpened: () => Promise<void> }) {
  const { words, language } = spoken;
  const [phone, setPhone] = useState('');
  const [code, setCode] = useState('');
  const [sent, setSent] = useState(false);
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<string | null>(null);
  const attempt = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setRefusal(null);
    try {
      await work();
    } catch (error) {
      setRefusal(error instanceof Refused ? error.code : 'unknown');
    }
    setBusy(false);
  };
  const submit = (event: Event): void => {
    event.preventDefault();
    void attempt(async () => {
      if (!sent) {
        await sendCode(phone.trim());
        setSent(true);
        return;
      }
      await openSession(phone.trim(), code.trim());
      await onOpened();
    });
  };
  return (
    <form class="panel" onSubmit={submit}>
      <label>
        {words.phone}
        <input
          type="tel"
          autocomplete="tel"
          required
          pattern="\+?[0-9]{5,20}"
          value={phone}
          onInput={(event) => {
            setPhone(event.currentTarget.value);
            setSent(false);
          }}
        />
      </label>
      {sent && (
        <label>
          {words.code}
          <input
            inputMode="numeric"
            autocomplete="one-time-code"
            required
            pattern="[0-9]{6}"
            value={code}
            ref={(input) => input?.focus()}
            onInput={(event) => setCode(event.currentTarget.value)}
          />
        </label>
      )}
      <p aria-live="polite">
        {refusal ? <strong class="refusal">{refusalText(refusal, language)}</strong> : sent ? words.codeSent : ''}
      </p>
      <button type="submit" disabled={busy}>
        {sent ? words.logIn : words.sendCode}
      </button>
      {sent && (
        <button type="button" class="plain" disabled={busy} onClick={() => void attempt(() => sendCode(phone.trim()))}>
          {words.sendCode}
        </button>
      )}
    </form>
  );
}

/** Why a coupon cannot be used now; null: it can. */
function unusable(coupon: Coupon, words: Words): string | null {
  if (coupon.state === 'blocked') return words.blocked;
  if (coupon.expiresAtMs !== null && coupon.expiresAtMs <= Date.now()) return words.expired;
  return coupon.balanceMinor === 0 ? words.used : null;
}

function CouponRow({ coupon, words, onShow }: { coupon: Coupon; words: Words; onShow: (shown: Shown) => void }) {
  const why = unusable(coupon, words);
  const limit = coupon.limitCategory ?? coupon.limitProducts?.join(', ') ?? null;
  const amount = amountText(coupon.balanceMinor, coupon.currency);
  return (
    <li class={why ? 'ended' : ''}>
      <div>
        <b class="amount">{amount}</b>
        <span class="quiet"> / {amountText(coupon.initialMinor, coupon.currency)}</span>
        <br />
        <span class="quiet">
          {[
            why,
            coupon.holder === 'card' ? words.onCard : null,
            limit && `${words.only} ${limit}`,
            coupon.expiresAtMs !== null && `${words.until} ${dayText(coupon.expiresAtMs)}`,
          ]
            .filter(Boolean)
            .join(' · ') || coupon.code}
        </span>
      </div>
      {coupon.holder === 'host' && !why && (
        <button
          type="button"
          aria-label={`${words.showCode} ${coupon.code} ${amount}`}
          onClick={() => onShow({ title: amount, code: coupon.code, endsAtMs: null })}
        >
          {words.showCode}
        </button>
      )}
    </li>
  );
}

function Section({ title, empty, children }: { title: string; empty: string; children: readonly ComponentChildren[] }) {
  return (
    <section class="panel">
      <h2>{title}</h2>
      {children.length === 0 ? <p class="quiet">{empty}</p> : <ul>{children}</ul>}
    </section>
  );
}

/** Whose points and coupons are shown: one choice among the number's memberships, with arrow keys and by its name. */
function Chooser({
  overviews,
  chosen,
  words,
  onChoose,
}: {
  overviews: readonly Overview[];
  chosen: string;
  words: Words;
  onChoose: (memberCode: string) => void;
}) {
  return (
    <fieldset class="memberships">
      <legend>{words.memberships}</legend>
      {overviews.map(({ memberCode, merchant, points }) => (
        <label key={memberCode}>
          <input type="radio" name="membership" checked={memberCode === chosen} onChange={() => onChoose(memberCode)} />
          <span>
            {merchant}
            <br />
            <small>
              {points} {words.points}
            </small>
          </span>
        </label>
      ))}
    </fieldset>
  );
}

function Account({ overview, offline, spoken }: { overview: Overview; offline: boolean; spoken: Spoken }) {
  const { words, language } = spoken;
  const [shown, setShown] = useState<Shown | 'member' | null>(null);
  const memberCode = { title: words.memberCode, ...useMemberCode(overview.memberCode) };
  return (
    <>
      {offline && (
        <p class="offline" role="status">
          {words.offline} {timeText(overview.atMs)} {words.offlineOf}
        </p>
      )}
      <section class="card">
        <p>
          {overview.name} · {words.tier} {overview.tier}
        </p>
        <p>
          <b class="points">{overview.points}</b> {words.points}
        </p>
        <p>
          {[
            overview.pointsReserved > 0 && `${words.reserved} ${overview.pointsReserved}`,
            overview.pointsOwed > 0 && `${words.owed} ${overview.pointsOwed}`,
          ]
            .filter(Boolean)
            .join(' · ')}
        </p>
        <button type="button" onClick={() => setShown('member')}>
          {words.memberCode}
        </button>
      </section>
      <Section title={words.coupons} empty={words.noCoupons}>
        {overview.coupons.map((coupon) => (
          <CouponRow key={coupon.code} coupon={coupon} words={words} onShow={setShown} />
        ))}
      </Section>
      <Section title={words.offers} empty={words.noOffers}>
        {overview.offers.map((offer) => (
          <li key={offer.id} class="offer">
            <h3>{offer.title}</h3>
            <p>{offer.text}</p>
            <p class="quiet">
              {words.until} {dayText(offer.expiresAtMs)}
            </p>
          </li>
        ))}
      </Section>
      <Section title={words.statement} empty={words.noLines}>
        {overview.statement.map((line) => (
          <li key={`${line.entry} ${line.balanceAfter}`}>
            <div>
              {causeText(line.cause, line.partner ?? null, language)}
              <br />
              <span class="quiet">{timeText(line.atMs)}</span>
            </div>
            <div class="figures">
              <b>{line.change > 0 ? `+${line.change}` : line.change}</b>
              <br />
              <span class="quiet">{line.balanceAfter}</span>
            </div>
          </li>
        ))}
      </Section>
      <CodeDialog shown={shown === 'member' ? memberCode : shown} words={words} onClose={() => setShown(null)} />
    </>
  );
}

function Page() {
  const [language, setLanguage] = useState<Language>(() => {
    const kept = localStorage.getItem(languageKey);
    return kept === 'zh' || kept === 'en' ? kept : navigator.language.startsWith('zh') ? 'zh' : 'en';
  });
  const words = wordsOf(language);
  const [overviews, setOverviews] = useState<readonly Overview[]>(keptOverviews);
  const [choice, setChoice] = useState<string | null>(keptChoice);
  const overview = overviews.find(({ memberCode }) => memberCode === choice) ?? overviews[0] ?? null;
  const [offline, setOffline] = useState(false);
  useEffect(() => {
    document.documentElement.lang = language;
    document.title = overview ? `${overview.merchant} ${words.title}` : words.title;
  }, [language, overview, words]);
  const refresh = useCallback(async (): Promise<void> => {
    try {
      const fresh = await fetchOverviews();
      keepOverviews(fresh);
      setOverviews(fresh);
      setOffline(false);
    } catch (error) {
      // Only the host's own word ends a session here; anything else is a network that is away.
      if (error instanceof Refused && error.code === 'access.denied') {
        forget();
        setOverviews([]);
      } else setOffline(true);
    }
  }, []);
  useEffect(() => {
    void refresh();
    const timer = setInterval(() => document.visibilityState === 'visible' && void refresh(), refreshMs);
    const look = (): void => void refresh();
    for (const moment of ['online', 'offline', 'focus'] as const) addEventListener(moment, look);
    return () => {
      clearInterval(timer);
      for (const moment of ['online', 'offline', 'focus'] as const) removeEventListener(moment, look);
    };
  }, [refresh]);
  const logOut = async (): Promise<void> => {
    await closeSession().catch(() => {});
    forget();
    setOverviews([]);
  };
  return (
    <>
      <header>
        <h1>{overview?.merchant ?? words.title}</h1>
        <button
          type="button"
          class="plain"
          lang={language === 'zh' ? 'en' : 'zh'}
          onClick={() => {
            const other = language === 'zh' ? 'en' : 'zh';
            localStorage.setItem(languageKey, other);
            setLanguage(other);
          }}
        >
          {words.language}
        </button>
      </header>
      <main>
        {overview ? (
          <>
            {overviews.length > 1 && (
              <Chooser
                overviews={overviews}
                chosen={overview.memberCode}
                words={words}
                onChoose={(memberCode) => {
                  keepChoice(memberCode);
                  setChoice(memberCode);
                }}
              />
            )}
            <Account key={overview.memberCode} overview={overview} offline={offline} spoken={{ language, words }} />
            <div class="ends">
              <button type="button" class="plain" onClick={() => void refresh()}>
                {words.refresh}
              </button>
              <button type="button" class="plain" onClick={() => void logOut()}>
                {words.logOut}
              </button>
            </div>
          </>
        ) : (
          <Login spoken={{ language, words }} onOpened={refresh} />
        )}
      </main>
    </>
  );
}

const root = document.getElementById('app');
if (root) render(<Page />, root);
if ('serviceWorker' in navigator) void navigator.serviceWorker.register('/service-worker.js');
