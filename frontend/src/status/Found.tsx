import { type ReactNode, useId, useState } from 'react';
import { number, plural } from '../ui/format';

/** Rows of a table before its reader has to search. */
export const ROWS_SHOWN = 20;
/** Lines of a list before the rest is folded. */
export const LINES_SHOWN = 10;

interface FoundProps<Item> {
  /** In the order in which they are worth a row. */
  items: readonly Item[];
  nameOf: (item: Item) => string;
  /** How many there are, with those that the node does not list. */
  total: number;
  /** What one of them is called. */
  one: string;
  /** Their order, as in «those with the most users first». */
  order: string;
  children: (shown: readonly Item[]) => ReactNode;
}

/** The first of many, and a field that finds others by name. What is not shown is counted. */
export function Found<Item>({ items, nameOf, total, one, order, children }: FoundProps<Item>) {
  const [typed, setTyped] = useState('');
  const id = useId();
  const wanted = typed.trim().toLowerCase();
  const found = items.filter((item) => nameOf(item).toLowerCase().includes(wanted));
  const shown = found.slice(0, ROWS_SHOWN);
  const unlisted = total - items.length;
  return (
    <>
      {(items.length > ROWS_SHOWN || wanted !== '') && (
        <div className="find">
          <label htmlFor={id}>Find a {one}</label>
          <input
            id={id}
            type="search"
            autoComplete="off"
            spellCheck={false}
            value={typed}
            onChange={({ target }) => setTyped(target.value)}
          />
          <p className="faint" role="status">
            {wanted !== '' && `${number(found.length)} of ${plural(items.length, one)} found`}
          </p>
        </div>
      )}
      {shown.length > 0 && children(shown)}
      {found.length > shown.length && (
        <p className="nothing">
          {number(shown.length)} of {number(found.length)} are shown, {order}.
        </p>
      )}
      {unlisted > 0 && (
        <p className="nothing">
          This page does not know the names of {plural(unlisted, `other ${one}`, `other ${one}s`)}.
        </p>
      )}
    </>
  );
}

/** The first lines of a list; the rest is folded. */
export function Folded({ className, children: lines }: { className: string; children: readonly ReactNode[] }) {
  const rest = lines.slice(LINES_SHOWN);
  return (
    <>
      <ul className={className}>{lines.slice(0, LINES_SHOWN)}</ul>
      {rest.length > 0 && (
        <details className="fold">
          <summary>{number(rest.length)} more</summary>
          <ul className={className}>{rest}</ul>
        </details>
      )}
    </>
  );
}
