/** What a process says when its version has ended. */
export const endedAtCut = (epoch: number): string =>
  `this version has ended: all its tasks here are at the cut to version ${epoch}; start that one (a rolling upgrade: one process after the other)`;
