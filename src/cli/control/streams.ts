import type { Deps } from '../../domain/deps.ts'
import type { Finding, ImportReport } from '../../domain/import/importUsers.ts'
import type { ExportedPart, LogExport } from '../../domain/publishedLog/exportLog.ts'
import { type ExportedUser, exportUsers } from '../../domain/users/exportUsers.ts'
import { AppError } from '../../error.ts'
import { exportAudit } from './auditExport.ts'
import { actor } from './auditOperations.ts'
import { type AuditReport, type VerificationProgress, verifyAudit } from './auditVerification.ts'
import { type ImportRequest, importBy } from './importRequest.ts'
import { type Refusal, refusalOf, socketPath } from './socket.ts'

/**
 * The response: one JSON object per line, the last of which ends it. Without that, it was cut off.
 */
type Event =
  | { readonly bad: { readonly place: number; readonly faults: readonly string[] } }
  | { readonly warned: { readonly place: number; readonly warnings: readonly string[] } }
  | { readonly users: readonly ExportedUser[] }
  | { readonly refusal: Refusal }
  | { readonly report: ImportReport }
  | { readonly exported: number }
  | { readonly progress: VerificationProgress }
  | { readonly verification: AuditReport }
  /** `content` is in base64. */
  | { readonly part: { readonly path: string; readonly content: string } }
  | { readonly log: LogExport }

type Send = (event: Event) => Promise<void>

/** The options are sent in a header, the file in the body. */
const requestHeader = 'audittrail-request'

/**
 * Operations with more data than fits in memory. They end with the command: an import that has not
 * received the end of its file imports no one.
 */
export const streamedOperations: Readonly<Record<string, (deps: Deps, request: Request) => Response>> = {
  importUsers: (deps, request) =>
    streamed(deps, 'importUsers', async (send) => {
      const asked: ImportRequest = JSON.parse(
        Buffer.from(request.headers.get(requestHeader) ?? '', 'base64').toString(),
      )
      const file = request.body ?? new Blob([]).stream()
      const report = ({ place, errors, warnings }: Finding) =>
        send(errors.length > 0 ? { bad: { place, faults: errors } } : { warned: { place, warnings } })
      await send({ report: await importBy(deps, asked, file, report) })
    }),

  exportUsers: (deps) =>
    streamed(deps, 'exportUsers', async (send) => {
      await send({ exported: await exportUsers(deps, actor, (users) => send({ users })) })
    }),

  verifyAudit: (deps) =>
    streamed(deps, 'verifyAudit', async (send) => {
      let failure: unknown
      const verification = await verifyAudit(deps, (progress) => {
        if (failure !== undefined) throw failure
        send({ progress }).catch((error: unknown) => {
          failure = error
        })
      })
      await send({ verification })
    }),

  exportAudit: (deps, request) =>
    streamed(deps, 'exportAudit', async (send) => {
      const personal = request.headers.get(requestHeader) === 'personal'
      const log = await exportAudit(deps, actor, { personal }, ({ path, content }) =>
        send({ part: { path, content: content.toString('base64') } }),
      )
      await send({ log })
    }),
}

function streamed(deps: Deps, name: string, work: (send: Send) => Promise<void>): Response {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
  const writer = writable.getWriter()
  const send: Send = (event) => writer.write(Buffer.from(`${JSON.stringify(event)}\n`))
  const run = async () => {
    try {
      await work(send)
    } catch (error) {
      await send({ refusal: refusalOf(deps, name, error) })
    }
    await writer.close()
  }
  // The command may be gone by now.
  void run().catch(() => {})
  return new Response(readable)
}

/** Imports a file on the server that has DATA_DIR open. */
export async function askServerToImport(
  dataDirectory: string,
  asked: ImportRequest,
  source: AsyncIterable<Uint8Array>,
  report: (finding: Finding) => void,
): Promise<ImportReport> {
  const header = Buffer.from(JSON.stringify(asked)).toString('base64')
  const aborting = new AbortController()
  let failure: unknown
  const body = bodyOf(source, (error) => {
    failure = error
    aborting.abort()
  })
  try {
    for await (const event of ask(dataDirectory, 'importUsers', aborting.signal, { [requestHeader]: header }, body)) {
      if ('bad' in event) report({ place: event.bad.place, errors: event.bad.faults, warnings: [] })
      else if ('warned' in event) report({ ...event.warned, errors: [] })
      else if ('report' in event) return event.report
    }
  } catch (error) {
    throw failure ?? withImportHint(error)
  }
  throw failure ?? withImportHint(serverStopped())
}

/** Exports users from the server that has DATA_DIR open. Returns how many. */
export async function askServerToExport(
  dataDirectory: string,
  take: (users: readonly ExportedUser[]) => Promise<void>,
): Promise<number> {
  for await (const event of ask(dataDirectory, 'exportUsers', new AbortController().signal)) {
    if ('users' in event) await take(event.users)
    else if ('exported' in event) return event.exported
  }
  throw serverStopped()
}

/** Verifies the audit log on the server that has DATA_DIR open. */
export async function askServerToVerify(
  dataDirectory: string,
  onProgress: (progress: VerificationProgress) => void,
  signal: AbortSignal,
): Promise<AuditReport> {
  for await (const event of ask(dataDirectory, 'verifyAudit', signal)) {
    if ('progress' in event) onProgress(event.progress)
    else if ('verification' in event) return event.verification
  }
  throw serverStopped()
}

/** Exports the audit log from the server that has DATA_DIR open. */
export async function askServerToExportAudit(
  dataDirectory: string,
  { personal }: { readonly personal: boolean },
  take: (part: ExportedPart) => Promise<void>,
): Promise<LogExport> {
  const headers = personal ? { [requestHeader]: 'personal' } : {}
  for await (const event of ask(dataDirectory, 'exportAudit', new AbortController().signal, headers)) {
    if ('part' in event) await take({ path: event.part.path, content: Buffer.from(event.part.content, 'base64') })
    else if ('log' in event) return event.log
  }
  throw serverStopped()
}

/** Yields the events of a response. Throws the server's error. */
async function* ask(
  dataDirectory: string,
  name: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
  body?: ReadableStream<Uint8Array>,
): AsyncGenerator<Event> {
  const response = await fetch(`http://localhost/${name}`, {
    unix: socketPath(dataDirectory) ?? '',
    method: 'POST',
    headers,
    signal,
    ...(body ? { body } : {}),
  }).catch(() => undefined)
  let rest = ''
  const decoder = new TextDecoder()
  try {
    for await (const chunk of response?.body ?? []) {
      const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const event = JSON.parse(line) as Event
        if ('refusal' in event) throw new AppError(event.refusal.code, event.refusal.message)
        yield event
      }
    }
  } catch (error) {
    throw error instanceof AppError ? error : serverStopped()
  }
  // An older server rejects an unknown operation with one object and no line break.
  if (rest !== '') {
    const { refusal } = JSON.parse(rest) as { refusal: Refusal }
    throw new AppError(refusal.code, refusal.message)
  }
}

/** Returns a stream in which a failing source does not look like the end of the file. */
function bodyOf(source: AsyncIterable<Uint8Array>, onFailure: (error: unknown) => void): ReadableStream<Uint8Array> {
  const iterator = source[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const next = await iterator.next().catch((error: unknown) => {
        onFailure(error)
        controller.error(error)
      })
      try {
        if (next?.done) controller.close()
        else if (next) controller.enqueue(next.value)
      } catch {
        // The server has responded before the end of the file, and fetch has closed the stream.
      }
    },
  })
}

/** A server that stops may have imported the users without a response. */
function withImportHint(error: unknown): unknown {
  if (!(error instanceof AppError && error.code === 'unavailable')) return error
  const hint = 'Either all users were imported or none. Run "audittrail user list" before you try again.'
  return new AppError('unavailable', `${error.message} ${hint}`, { cause: error })
}

function serverStopped(): AppError {
  return new AppError('unavailable', 'The server stopped before it finished.')
}
