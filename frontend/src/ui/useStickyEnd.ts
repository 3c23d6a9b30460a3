import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from 'react';

/** So near to the end, in pixels, one is reading the newest. */
const NEAR_PX = 64;

interface StickyEnd {
  box: RefObject<HTMLDivElement | null>;
  /** How much came while the user read further up. */
  unseen: number;
  toEnd: () => void;
}

/**
 * Keeps a scrolling box at its end while the user is there, and leaves it alone while the user reads further up.
 * What one has said oneself always brings one to the end.
 */
export function useStickyEnd(lastKey: string | undefined, length: number, ownKey: string | undefined): StickyEnd {
  const box = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const before = useRef({ lastKey, length, ownKey });
  const [unseen, setUnseen] = useState(0);

  const toEnd = useCallback(() => {
    const { current } = box;
    if (current) current.scrollTop = current.scrollHeight;
    atEnd.current = true;
    setUnseen(0);
  }, []);

  useLayoutEffect(() => {
    const { lastKey: oldLast, length: oldLength, ownKey: oldOwn } = before.current;
    before.current = { lastKey, length, ownKey };
    const spoke = ownKey !== undefined && ownKey !== oldOwn;
    if (atEnd.current || spoke) toEnd();
    else if (lastKey !== oldLast) setUnseen((count) => count + Math.max(1, length - oldLength));
  }, [lastKey, length, ownKey, toEnd]);

  useEffect(() => {
    const { current } = box;
    if (!current) return;
    const look = () => {
      atEnd.current = current.scrollHeight - current.scrollTop - current.clientHeight < NEAR_PX;
      if (atEnd.current) setUnseen(0);
    };
    // A growing composer, a keyboard on the screen, a turned phone.
    const resized = new ResizeObserver(() => {
      if (atEnd.current) current.scrollTop = current.scrollHeight;
    });
    current.addEventListener('scroll', look, { passive: true });
    resized.observe(current);
    return () => {
      current.removeEventListener('scroll', look);
      resized.disconnect();
    };
  }, []);

  return { box, unseen, toEnd };
}
