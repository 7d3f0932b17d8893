/** What a process says when its version has ended. */
export const endedAtCut = (epoch: number): string =>
  `this version has ended: all its tasks here are at the cut to version ${epoch}; start that one: its code where that is new, this again after "baleen exclude" or "baleen return" (one process after the other is a rolling upgrade)`;
