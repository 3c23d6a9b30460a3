/** A speech bubble made of three nodes; one of them is another colour, for it does not matter which. */
export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" aria-hidden="true">
      <path
        className="mark-bubble"
        d="M8 3h16a6 6 0 0 1 6 6v10a6 6 0 0 1-6 6H14l-6.3 5a1 1 0 0 1-1.7-.8V25a6 6 0 0 1-4-6V9a6 6 0 0 1 6-6Z"
      />
      <path className="mark-links" d="M10 17.5 16 9l6 8.5Z" />
      <circle className="mark-node" cx="16" cy="9" r="3.1" />
      <circle className="mark-node" cx="10" cy="17.5" r="3.1" />
      <circle className="mark-other" cx="22" cy="17.5" r="3.1" />
    </svg>
  );
}

export function Brand() {
  return (
    <span className="brand">
      <Mark />
      <span className="brand-name">Distr Chat</span>
    </span>
  );
}
