import { ErrorSummary, Notice } from './form.tsx'
import type { Frame } from './frame.ts'
import { link } from './link.ts'
import { Shell, Time, toDocument } from './shell.tsx'
import { type Texts, texts } from './texts.ts'

export interface Device {
  readonly id: string
  readonly created_at: string
  readonly last_used_at: string
  readonly address: string | null
  readonly user_agent: string | null
  readonly isCurrent: boolean
}

export interface SessionsData {
  /** The device of this request first. */
  readonly devices: readonly Device[]
  readonly done?: keyof Texts['sessions']['done'] | undefined
  /** The device to sign out was not found. */
  readonly isGone?: boolean
}

export function sessionsPage(frame: Frame, { devices, done, isGone = false }: SessionsData): string {
  const text = texts[frame.language].sessions
  const hasOthers = devices.some(({ isCurrent }) => !isCurrent)
  return toDocument(
    <Shell frame={frame} title={text.title} hasError={isGone}>
      <h1>{text.title}</h1>
      {done && !isGone ? <Notice>{text.done[done]}</Notice> : null}
      <ErrorSummary frame={frame} errors={isGone ? [{ text: text.gone }] : []} />
      <p>{text.intro}</p>
      <ul class="devices">
        {devices.map((device) => (
          <DeviceItem frame={frame} device={device} />
        ))}
      </ul>
      {hasOthers ? (
        <section class="card" aria-labelledby="others">
          <h2 id="others">{text.othersTitle}</h2>
          <p>{text.others}</p>
          <form method="post" action={link(frame, 'account/sessions')}>
            <input type="hidden" name="end" value="others" />
            <button type="submit" class="danger">
              {text.endOthers}
            </button>
          </form>
        </section>
      ) : (
        <p class="rule">{text.none}</p>
      )}
    </Shell>,
  )
}

function DeviceItem({ frame, device }: { readonly frame: Frame; readonly device: Device }) {
  const text = texts[frame.language].sessions
  const name = agentName(texts[frame.language].agents, device.user_agent)
  return (
    <li class="card">
      <div class="device">
        <h2>
          {name} {device.isCurrent ? <span class="badge">{text.current}</span> : null}
        </h2>
        <dl>
          <div>
            <dt>{text.lastUsed}</dt>
            <dd>
              <Time frame={frame} at={device.last_used_at} />
            </dd>
          </div>
          <div>
            <dt>{text.signedIn}</dt>
            <dd>
              <Time frame={frame} at={device.created_at} />
            </dd>
          </div>
          <div>
            <dt>{text.address}</dt>
            <dd>{device.address ?? text.unknownAddress}</dd>
          </div>
        </dl>
      </div>
      {device.isCurrent ? null : (
        <form method="post" action={link(frame, 'account/sessions')}>
          <input type="hidden" name="end" value={device.id} />
          <button type="submit" class="quiet" aria-label={text.endOne(name)}>
            {text.end}
          </button>
        </form>
      )}
    </li>
  )
}

// The order matters: most browsers also name others, such as Chrome and Safari.
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:A|iOS)?\//, 'Edge'],
  [/\bOPR\//, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\b(?:HeadlessChrome|Chrome|CriOS|Chromium)\//, 'Chrome'],
  [/\bVersion\/[\d.]+ .*Safari\//, 'Safari'],
]
const systems: readonly (readonly [RegExp, string])[] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bLinux\b/, 'Linux'],
]
const longestName = 40

/** Returns what people call the sender of a `User-Agent` header. */
function agentName(text: Texts['agents'], userAgent: string | null): string {
  if (userAgent === null || userAgent.trim() === '') return text.unknown
  const find = (table: typeof browsers) => table.find(([pattern]) => pattern.test(userAgent))?.[1]
  const [browser, system] = [find(browsers), find(systems)]
  if (browser && system) return text.on(browser, system)
  const product = /^[\w .+-]+/.exec(userAgent.replace(/\/.*$/s, ''))?.[0].trim()
  return browser ?? system ?? (product ? text.app(product.slice(0, longestName)) : text.unknown)
}
