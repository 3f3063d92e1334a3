import axe from 'axe-core'
import type { Page } from 'playwright-core'

/** Records violations of the content security policy from before the first byte is parsed. */
export async function watchPolicy(page: Page, violations: string[]): Promise<void> {
  await page.exposeFunction('reportViolation', (text: string) => violations.push(text))
  await page.addInitScript(`
    addEventListener('securitypolicyviolation', (event) =>
      reportViolation(event.violatedDirective + ' ' + event.blockedURI + ' ' + event.sourceFile))
  `)
  page.on('pageerror', (error) => violations.push(error.message))
  page.on('console', (message) => {
    if (/Content Security Policy|TrustedHTML|Refused to/.test(message.text())) violations.push(message.text())
  })
}

interface AxeResult {
  readonly id: string
  readonly nodes: readonly { readonly html: string; readonly failureSummary?: string }[]
}

/** Returns what axe-core finds on the page, at every impact. */
export async function accessibilityProblems(page: Page): Promise<string[]> {
  await page.evaluate(axe.source)
  const found: AxeResult[] = await page.evaluate(
    `axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)`,
  )
  return found.flatMap(({ id, nodes }) => nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`))
}

/** Returns the controls that are smaller than 44 × 44 pixels. */
export const smallTargets = `[...document.querySelectorAll('a, button, input:not([type=hidden]), label.choice')]
  .filter((element) => {
    const box = element.getBoundingClientRect()
    if (box.width <= 1 || element.closest('label.choice') !== null && element.localName === 'input') return false
    return box.height < 44 || box.width < 44
  })
  .map((element) => element.outerHTML)`

/** Returns whether nothing is wider than the window. */
export const fitsWidth = 'document.documentElement.scrollWidth <= innerWidth'
