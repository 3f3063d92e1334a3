import { call, isSignedIn, onSignedOut, signIn, signOut } from './session.js'

const find = (selector) => document.querySelector(selector)
const showStatus = (text) => {
  find('[role=status]').textContent = text
}

find('#sign-in').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { username, password } = Object.fromEntries(new FormData(event.target))
  event.target.reset()
  await attempt(async () => {
    await signIn(username, password)
    await showNotes()
  })
})

find('#add').addEventListener('submit', async (event) => {
  event.preventDefault()
  const { note } = Object.fromEntries(new FormData(event.target))
  event.target.reset()
  await attempt(async () => {
    await request('/notes', { method: 'POST', body: note })
    await showNotes()
  })
})

find('#sign-out').addEventListener('click', async () => {
  await attempt(signOut)
})

onSignedOut((text) => {
  find('#sign-in').hidden = false
  find('main').hidden = true
  find('ul').replaceChildren()
  showStatus(text)
})

async function showNotes() {
  const { username, notes } = await (await request('/notes')).json()
  find('#sign-in').hidden = true
  find('main').hidden = false
  find('#who').textContent = username
  // textContent, so that notes are never parsed as HTML.
  find('ul').replaceChildren(...notes.map((text) => Object.assign(document.createElement('li'), { textContent: text })))
}

async function request(path, init) {
  const response = await call(path, init)
  if (!response.ok) throw new Error((await response.json()).detail)
  return response
}

async function attempt(action) {
  showStatus('')
  try {
    await action()
  } catch (error) {
    showStatus(error.message)
  }
}

await attempt(async () => {
  if (await isSignedIn()) await showNotes()
})
