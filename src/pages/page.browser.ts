// The only script of the pages. Every page works without it.

/** Fields show their password while the button beside them is pressed. */
for (const button of document.querySelectorAll<HTMLButtonElement>('button[data-shows]')) {
  const input = document.getElementById(button.dataset.shows ?? '')
  if (!(input instanceof HTMLInputElement)) continue
  const show = (isShown: boolean) => {
    input.type = isShown ? 'text' : 'password'
    button.setAttribute('aria-pressed', String(isShown))
  }
  button.hidden = false
  button.addEventListener('click', () => {
    show(input.type === 'password')
    input.focus()
  })
  // Browsers remember the content of text fields.
  input.form?.addEventListener('submit', () => show(false))
}

/** The server never sees the fragment of the page that was asked for. */
const back = document.querySelector<HTMLInputElement>('input[name="return"]')
if (back && location.hash !== '' && !back.value.includes('#')) back.value += location.hash

/** Browsers show a stored copy of a page on Back, also after signing out. */
window.addEventListener('pageshow', ({ persisted }) => {
  if (persisted) location.reload()
})

const localTime = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' })
for (const time of document.querySelectorAll('time')) {
  const at = new Date(time.dateTime)
  if (Number.isNaN(at.getTime())) continue
  time.title = time.textContent?.trim() ?? ''
  time.textContent = localTime.format(at)
}

document.querySelector<HTMLElement>('[role="alert"]')?.focus()

export {}
