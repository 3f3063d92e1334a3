import { type BrowserContext, chromium } from 'playwright-core'
import { temporaryDirectory } from '../endOfFile.ts'
import { hasProgram } from '../requirements.ts'

export const hasChromium = hasProgram('chromium', 'chromium')

/** Debian's Chromium with an empty profile. It contacts only the pages that it is told to open. */
export function openChromium(
  options: Parameters<typeof chromium.launchPersistentContext>[1] = {},
  flags: readonly string[] = [],
): Promise<BrowserContext> {
  return chromium.launchPersistentContext(temporaryDirectory('chromium'), {
    executablePath: Bun.which('chromium') ?? 'chromium',
    headless: true,
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...flags,
    ],
    ...options,
  })
}
