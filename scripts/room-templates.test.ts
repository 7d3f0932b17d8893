import { expect, test } from 'vitest';
import { checkFile } from './boundaries.ts';
import { isRoomKind, isRoomName, newRoom, type RoomKind } from './room-templates.ts';

test.each<RoomKind>(['connector', 'processor', 'sink'])(
  'a new %s keeps the rules of the layout and has a test',
  (kind) => {
    const room = newRoom(kind, 'http-poll');
    for (const [file, text] of Object.entries(room.files))
      expect(checkFile(`${room.folder}/${file}`, text)).toEqual([]);
    expect(Object.keys(room.files).some((file) => file.endsWith('.test.ts'))).toBe(true);
    expect(room.files['index.ts']).toContain("name: 'http-poll'");
    expect(room.importLine).toBe("import httpPoll from './http-poll/index.ts';");
  },
);

test.each(['', 'Http', '../etc', 'a_b', '-a', 'a--b', 'a'.repeat(41)])('%j is no name of a room', (name) => {
  expect(isRoomName(name)).toBe(false);
});

test('a kind is one of three', () => {
  expect([isRoomKind('sink'), isRoomKind('toString'), isRoomKind('')]).toEqual([true, false, false]);
});
