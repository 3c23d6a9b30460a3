import { expect, test } from 'vitest';
import { acknowledge, lose, mark, messageKey, place, type Said, type Timeline, TIMELINE_MAX } from './timeline';

function said(time: number, stream: string, seq: number, id = `${stream}-${seq}`): Said {
  return {
    ...{ kind: 'message', key: messageKey('ann', id, id), from: 'ann', text: id, time, stream, seq, id },
    ...{ own: false, acknowledged: true },
  };
}

const build = (...entries: Said[]): Timeline => entries.reduce<Timeline>(place, []);
const ids = (timeline: Timeline) => timeline.map((entry) => (entry.kind === 'message' ? entry.id : 'gap'));

test('any order of arrival gives the same list: by time, then stream, then seq', () => {
  const entries = [said(1, 'b', 1), said(2, 'a', 1), said(2, 'a', 2), said(2, 'b', 2), said(3, 'a', 3)];
  const expected = ['b-1', 'a-1', 'a-2', 'b-2', 'a-3'];
  expect(ids(build(...entries))).toEqual(expected);
  expect(ids(build(...entries.toReversed()))).toEqual(expected);
});

test('the same message twice is one, and changes nothing', () => {
  const once = build(said(1, 'a', 1));
  expect(place(once, said(1, 'a', 1))).toBe(once);
});

test('a repeated send that got a second place is shown once, at the first one, in either order', () => {
  const first = said(1, 'a', 9, 'x');
  const second = said(5, 'b', 1, 'x');
  const between = said(3, 'a', 10);
  expect(build(first, between, second)).toEqual([first, between]);
  expect(build(second, between, first)).toEqual([first, between]);
});

test('the list is bounded and forgets the oldest', () => {
  const many = Array.from({ length: TIMELINE_MAX + 2 }, (_, index) => said(index, 'a', index));
  const timeline = build(...many);
  expect(timeline).toHaveLength(TIMELINE_MAX);
  expect(timeline[0]).toMatchObject({ seq: 2 });
  expect(place(timeline, said(0, 'a', 0))).toEqual(timeline);
});

test('a gap stands between what was and what came after', () => {
  const before = build(said(1, 'a', 1), said(2, 'a', 2));
  const after = said(9, 'a', 7);
  expect(ids(place(mark(before, after), after))).toEqual(['a-1', 'a-2', 'gap', 'a-7']);
});

test('a gap with nothing after it stands at the end, once', () => {
  const before = build(said(1, 'a', 1));
  expect(ids(mark(mark(before, undefined), undefined))).toEqual(['a-1', 'gap']);
  expect(ids(place(mark(before, undefined), said(2, 'a', 5)))).toEqual(['a-1', 'gap', 'a-5']);
});

test('where nothing was, nothing is missing', () => {
  expect(mark([], said(1, 'a', 1))).toEqual([]);
});

test('an acknowledgement marks one message', () => {
  const timeline = build({ ...said(1, 'a', 1), acknowledged: false });
  expect(acknowledge(timeline, messageKey('ann', 'a-1', 'a-1'))[0]).toMatchObject({ acknowledged: true });
  expect(acknowledge(timeline, messageKey('bob', 'a-1', 'a-1'))).toBe(timeline);
});

test('what is lost stands behind what came before it in its stream, whatever others said meanwhile', () => {
  const before = build(said(1, 'a', 1), said(2, 'a', 2), said(3, 'b', 1));
  const timeline = place(lose(before, 'a', 3, 4), said(5, 'a', 5));
  expect(ids(timeline)).toEqual(['a-1', 'a-2', 'gap', 'b-1', 'a-5']);
  expect(timeline[2]).toMatchObject({ lost: 2 });
  expect(lose(timeline, 'a', 3, 4)).toBe(timeline);
});

test('what is lost of a stream that nothing is shown of stands behind everything', () => {
  expect(ids(lose(build(said(1, 'a', 1)), 'b', 7, 7))).toEqual(['a-1', 'gap']);
  expect(ids(place(lose([], 'a', 1, 1), said(1, 'a', 2)))).toEqual(['gap', 'a-2']);
});
