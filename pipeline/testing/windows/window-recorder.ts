/** Runs declared windows in tests, and writes down what comes out. */
import { isPipelineError } from '#pipeline/errors.ts';
import { createStoreHarness } from '#pipeline/testing/store-harness.ts';
import { type WindowOptions, windows } from '#pipeline/windows/windows.ts';

/** What is emitted as `name key [start,end) result #revision phase`, and what is late as `late name key [start,end) input`. */
export function recordWindows<In extends number | string, State, Out, Name extends string>(
  options: Omit<WindowOptions<In, State, Out, Name>, 'changed' | 'late'>,
) {
  const out: string[] = [];
  const harness = createStoreHarness(
    windows({
      ...options,
      changed: ({ name, key, startMs, endMs, result, revision, phase }) =>
        out.push(`${name} ${key} [${startMs},${endMs}) ${result} #${revision} ${phase}`),
      late: ({ name, key, startMs, endMs, input, isRetraction }) =>
        out.push(`late ${name} ${key} [${startMs},${endMs}) ${isRetraction ? '-' : ''}${input}`),
    }),
  );
  return {
    harness,
    add: (key: string, timeMs: number, input: In) => harness.handle.add(key, timeMs, input),
    remove: (key: string, timeMs: number, input: In) => harness.handle.remove(key, timeMs, input),
    /** What came out since the last call. */
    taken: () => out.splice(0),
  };
}

/** What `work` throws; undefined when it throws nothing. */
function thrown(work: () => void): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return undefined;
}
/** Its text. */
export const messageOf = (work: () => void): string => String(thrown(work));
/** Its code, when it is a PipelineError. */
export const codeOf = (work: () => void): string => {
  const error = thrown(work);
  return isPipelineError(error) ? error.code : String(error);
};
