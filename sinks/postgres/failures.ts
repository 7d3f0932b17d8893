/** What a failure of PostgreSQL means for the sink: try again, or stop. SQLSTATE: PostgreSQL manual, appendix A. */
import { DatabaseError } from 'pg';
import { isPipelineError, messageOf, PipelineError } from '#pipeline/errors.ts';

/** Classes and codes after which the same batch may succeed; everything else with a SQLSTATE would fail again. */
const PASSING = [
  '08', // connection
  '25006', // read-only: a primary that became a standby
  '25P03', // idle in transaction for too long: this process was paused
  '40', // serialization, deadlock
  '53', // out of disk, memory, connections
  '55P03', // lock not available
  '57014', // cancelled, statement timeout
  '57P', // shutdown, crash, starting up
  '58', // system error
];

export const isPassing = (sqlState: string): boolean => PASSING.some((prefix) => sqlState.startsWith(prefix));

export interface FailurePlace {
  /** Host and database, printable. */
  readonly server: string;
  /** What was being done, such as `copy into transfers`. */
  readonly doing: string;
  /** Id of the record on a line of the `COPY`, counted from 1; undefined when there is none. */
  readonly idOfLine?: (line: number) => string | undefined;
}

/** Hostile text on one line, quoted and short. */
const quoted = (text: string): string =>
  JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}...` : text);

/** The error to throw: SINK_UNAVAILABLE or SINK_REFUSED; an error that is not the server's stays as it is. */
export function sinkFailure(error: unknown, place: FailurePlace): unknown {
  if (isPipelineError(error) || error instanceof TypeError || error instanceof RangeError) return error;
  const { server, doing } = place;
  if (!(error instanceof DatabaseError)) {
    // No SQLSTATE: the connection was refused, cut or silent. Some socket errors have only a code.
    const code = error instanceof Error && 'code' in error ? String(error.code) : null;
    return new PipelineError(
      'SINK_UNAVAILABLE',
      `postgres ${server}: ${doing} needs a connection, found ${code ?? messageOf(error)}; is the server running and reachable?`,
      { facts: { server, doing, code }, cause: error },
    );
  }
  const sqlState = error.code ?? 'unknown';
  const line = /^COPY [^,]+, line (\d+)/.exec(error.where ?? '')?.[1];
  const id = line === undefined ? undefined : place.idOfLine?.(Number(line));
  const column = error.column ?? /, column ([^:]+)/.exec(error.where ?? '')?.[1];
  const where = [
    error.table === undefined ? '' : ` table ${error.table}`,
    column === undefined ? '' : ` column ${column}`,
    id === undefined ? '' : ` record ${quoted(id)}`,
  ].join('');
  const found = `postgres ${server}: ${doing} failed with SQLSTATE ${sqlState} (${quoted(messageOf(error))})${where}`;
  const facts = { server, doing, sqlState, table: error.table, column, id };
  return isPassing(sqlState)
    ? new PipelineError('SINK_UNAVAILABLE', `${found}; it is tried again`, { facts, cause: error })
    : new PipelineError('SINK_REFUSED', `${found}; ${nextStep(sqlState)}`, { facts, cause: error });
}

function nextStep(sqlState: string): string {
  if (sqlState.startsWith('28')) return 'check user and password in the URL';
  if (sqlState === '3D000') return 'create the database, or name another one in the URL';
  if (sqlState === '42501') return 'grant CREATE on the database, or let an owner create the schema first';
  if (sqlState.startsWith('42'))
    return 'the tables are not those of this version: use another schema, or restore them';
  return 'the value cannot be stored: the record names where it came from in `causes`';
}
