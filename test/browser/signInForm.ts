import type { Page } from 'playwright-core'

export const password = 'a long enough pass phrase'

/** Fills in and sends the form of the sign-in page. */
export async function enterPassword(page: Page, username = 'admin'): Promise<void> {
  await page.getByLabel('Username').fill(username)
  await page.getByLabel('Password', { exact: true }).fill(password)
  await page.getByRole('button', { name: 'Sign in' }).click()
}
