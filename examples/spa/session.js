// The session is a cookie that no script can read. No token is in JavaScript, and a reload stays signed in.
const path = '/api/auth/session'
let notifySignedOut = () => {}

/** Sets the listener that gets a message when the user is signed out. */
export function onSignedOut(listener) {
  notifySignedOut = listener
}

/** Returns whether a user is signed in. */
export async function isSignedIn() {
  const response = await fetch(path)
  if (response.status === 401) return false
  await requireSuccess(response)
  return true
}

export async function signIn(username, password) {
  const headers = { 'content-type': 'application/json' }
  await requireSuccess(await fetch(path, { method: 'POST', headers, body: JSON.stringify({ username, password }) }))
}

export async function signOut() {
  const response = await fetch(path, { method: 'DELETE' })
  // 401: the session has already ended.
  if (response.status !== 401) await requireSuccess(response)
  notifySignedOut('Signed out.')
}

/** fetch, which also notices that the session has ended. */
export async function call(input, init) {
  const response = await fetch(input, init)
  if (response.status === 401) notifySignedOut('Please sign in again.')
  return response
}

async function requireSuccess(response) {
  if (!response.ok) throw new Error((await response.json()).detail)
}
