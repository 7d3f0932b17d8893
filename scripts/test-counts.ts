/** What a run of vitest says in its JSON report, counted. */

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** Full names of the tests that were skipped. */
  readonly skippedNames: readonly string[];
}

/** What is read of the report; vitest writes more. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

/** A file that could not be run at all counts as one failed test. */
export function countTests(report: VitestReport): TestCounts {
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === 'failed').length;
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && !file.assertionResults.some(({ status }) => status === 'failed'),
  ).length;
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const skippedNames = tests
    .filter(({ status }) => status !== 'passed' && status !== 'failed')
    .map(({ fullName }) => fullName.trim());
  return { passed, failed: failed + broken, skipped: skippedNames.length, skippedNames };
}

/** Skipped tests whose name gives no reason that CI accepts: only Docker and the internet may be missing there. */
export const unexcused = (names: readonly string[]): readonly string[] =>
  names.filter((name) => !/docker|internet/i.test(name));

/** The last line of `npm test`. */
export const formatCounts = ({ passed, failed, skipped }: Omit<TestCounts, 'skippedNames'>): string =>
  `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
