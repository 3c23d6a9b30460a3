import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** So near to the end, in pixels, one is reading the newest. */
const NEAR_PX = 64;

interface StickyEnd {
  box: RefObject<HTMLDivElement | null>;
  /** What the rows are in. */
  column: RefObject<HTMLDivElement | null>;
  atEnd: boolean;
  /** How much came while the user read further up. */
  unseen: number;
  toEnd: () => void;
}

/** The row that is read, and where it was on the screen. */
interface Anchor {
  row: Element;
  top: number;
}

/**
 * Keeps a scrolling box at its end while the user is there. While the user reads further up, what is read stays where it
 * is, whatever comes, goes or grows above it. What one has said oneself always brings one to the end.
 */
export function useStickyEnd(arrivals: number, ownKey: string | undefined): StickyEnd {
  const box = useRef<HTMLDivElement>(null);
  const column = useRef<HTMLDivElement>(null);
  const anchor = useRef<Anchor | null>(null);
  const [own, setOwn] = useState(ownKey);
  /** How much had come when the user went away from the end; `null` while there. */
  const [leftAt, setLeftAt] = useState<number | null>(null);
  const atEnd = leftAt === null;

  const toEnd = useCallback(() => setLeftAt(null), []);
  if (own !== ownKey) {
    setOwn(ownKey);
    if (ownKey !== undefined) setLeftAt(null);
  }

  // After each drawing: which of them has moved something is not asked.
  useLayoutEffect(() => {
    const { current } = box;
    if (!current) return;
    if (atEnd) {
      current.scrollTop = current.scrollHeight;
    } else if (anchor.current?.row.isConnected) {
      current.scrollTop += topOf(anchor.current.row, current) - anchor.current.top;
    } else {
      anchor.current = anchorIn(current, column.current);
    }
  });

  useEffect(() => {
    const { current } = box;
    if (!current) return;
    const look = () => {
      const isEnd = current.scrollHeight - current.scrollTop - current.clientHeight < NEAR_PX;
      anchor.current = isEnd ? null : anchorIn(current, column.current);
      setLeftAt((left) => (isEnd ? null : (left ?? arrivals)));
    };
    current.addEventListener('scroll', look, { passive: true });
    return () => current.removeEventListener('scroll', look);
  }, [arrivals]);

  useEffect(() => {
    const { current } = box;
    if (!current || !atEnd) return;
    // A growing composer, a keyboard on the screen, a turned phone.
    const resized = new ResizeObserver(() => {
      current.scrollTop = current.scrollHeight;
    });
    resized.observe(current);
    return () => resized.disconnect();
  }, [atEnd]);

  return { box, column, atEnd, unseen: atEnd ? 0 : arrivals - leftAt, toEnd };
}

/** The first row that is seen. */
function anchorIn(box: Element, column: Element | null): Anchor | null {
  const rows = column?.children;
  if (!rows) return null;
  const { top } = box.getBoundingClientRect();
  let [first, last] = [0, rows.length];
  while (first < last) {
    const middle = (first + last) >> 1;
    const row = rows[middle];
    if (row && row.getBoundingClientRect().bottom <= top) first = middle + 1;
    else last = middle;
  }
  const row = rows[first];
  return row ? { row, top: topOf(row, box) } : null;
}

function topOf(row: Element, box: Element): number {
  return row.getBoundingClientRect().top - box.getBoundingClientRect().top;
}
