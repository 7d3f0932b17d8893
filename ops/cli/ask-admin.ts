/** Asks the admin server of a running `baleen up`. */
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';

const ANSWER_MS = 30_000;

/** The parsed answer. Throws SERVICE_UNREACHABLE, or CONFIG_INVALID with the server's own words. */
export async function askAdmin(url: string, path: string): Promise<unknown> {
  try {
    const response = await fetch(`${url}${path}`, { signal: AbortSignal.timeout(ANSWER_MS) });
    const body: unknown = await response.json();
    if (response.ok) return body;
    throw refused(body, response.status);
  } catch (error) {
    if (isPipelineError(error)) throw error;
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new PipelineError(
      'SERVICE_UNREACHABLE',
      `expected an answer of the admin server at ${url}, found: ${messageOf(cause)}; is "baleen up" being stopped? Try again, or look into its log`,
      { cause: error },
    );
  }
}

function refused(body: unknown, status: number): PipelineError {
  const text =
    typeof body === 'object' && body !== null && 'error' in body && typeof body.error === 'string'
      ? body.error
      : `status ${status}`;
  return new PipelineError(status === 400 || status === 404 ? 'CONFIG_INVALID' : 'SERVICE_UNREACHABLE', text);
}
