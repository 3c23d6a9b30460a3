const PATHS = {
  send: 'M4 12 20 4l-5 16-4-6.5L4 12Zm7 1.5L20 4',
  people:
    'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7Zm-6 9c0-3.5 2.5-6 6-6s6 2.5 6 6M16 4.6a3.5 3.5 0 0 1 0 6.3M18 14.6c1.9.9 3 2.9 3 5.4',
  link: 'M10 14a4 4 0 0 0 5.7 0l3-3A4 4 0 0 0 13 5.3l-1 1M14 10a4 4 0 0 0-5.7 0l-3 3A4 4 0 0 0 11 18.7l1-1',
  leave: 'M14 4h4a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2h-4M10 16l-4-4 4-4M6 12h9',
  down: 'M12 5v14M6 13l6 6 6-6',
  clock: 'M12 7v5l3 2M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z',
  check: 'm5 13 4.5 4.5L19 7',
  checks: 'm2 13 4.5 4.5L15 8M11 16l1.5 1.5L22 8',
  alert: 'M12 8v5M12 16.5v.1M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18Z',
  gap: 'M4 9l3-3 3 3 4-4 3 3 3-3M4 19l3-3 3 3 4-4 3 3 3-3',
} as const;

export type IconName = keyof typeof PATHS;

/** Decoration next to a text, unless it has a `label` of its own. */
export function Icon({ name, label }: { name: IconName; label?: string }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 24 24"
      {...(label ? { role: 'img', 'aria-label': label } : { 'aria-hidden': true })}
    >
      {label && <title>{label}</title>}
      <path d={PATHS[name]} />
    </svg>
  );
}
