import type { Lang } from './types';

/** Every failure of a call: `Problem` when the server answered, `NoAnswer` when nobody did. */
export class ApiError extends Error {}

export class NoAnswer extends ApiError {}

export class Problem extends ApiError {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly detail: string,
    readonly errors: { field: string; detail: string }[],
    readonly retryAfterS: number | null,
  ) {
    super(`${status} ${code}: ${detail}`);
  }
}

interface Options {
  method?: string;
  body?: unknown;
  key?: string;
  timeoutMs?: number;
  lang?: Lang;
}

/** One call to /api/v1. Waits 10 s unless told otherwise; the answer's JSON, or undefined for 204. */
export async function call<T>(path: string, { method = 'GET', body, key, timeoutMs = 10_000, lang = 'vi' }: Options = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: 'application/json', 'Accept-Language': lang };
  if (method !== 'GET') headers['X-Tuoi'] = '1';
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (key) headers['Idempotency-Key'] = key;
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const answer = await fetch(`/api/v1${path}`, {
      method, headers, signal: late.signal, credentials: 'same-origin', cache: 'no-store',
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!answer.ok) throw await problem(answer);
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  } catch (error) {
    if (error instanceof ApiError) throw error;
    throw new NoAnswer(`${method} ${path}: no answer`);
  } finally {
    clearTimeout(timer);
  }
}

async function problem(answer: Response): Promise<Problem> {
  const after = Number(answer.headers.get('Retry-After')) || null;
  let body: { type?: string; title?: string; detail?: string; field?: string; errors?: { field: string; detail: string }[] } = {};
  try {
    body = await answer.json();
  } catch {
    // A proxy in between answers in HTML: the status is all there is to show.
  }
  const detail = body.detail ?? body.title ?? String(answer.status);
  const errors = body.errors ?? (body.field ? [{ field: body.field, detail }] : []);
  return new Problem(answer.status, (body.type ?? '').split('/').pop() ?? '', detail, errors, after);
}

/** A new command's own name; the same key never waters twice. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
}
