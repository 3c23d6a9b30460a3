/** Three servers in a ring; in turn each of them stops, and the messages take the other way. */
export function Cluster() {
  return (
    <svg className="cluster" viewBox="0 0 320 220" aria-hidden="true">
      {LINKS.map(({ from, to, name }) => (
        <g key={name} className={`cluster-link ${name}`}>
          <line x1={from.x} y1={from.y} x2={to.x} y2={to.y} />
          <line className="cluster-pulse" x1={from.x} y1={from.y} x2={to.x} y2={to.y} pathLength={100} />
        </g>
      ))}
      {NODES.map(({ x, y, name }) => (
        <g key={name} className={`cluster-node ${name}`} transform={`translate(${x} ${y})`}>
          <circle className="cluster-halo" r="34" />
          <circle className="cluster-disc" r="22" />
          <path className="cluster-lines" d="M-9-4H9M-9 4H4" />
        </g>
      ))}
    </svg>
  );
}

const [A, B, C] = [
  { x: 160, y: 46, name: 'a' },
  { x: 60, y: 172, name: 'b' },
  { x: 260, y: 172, name: 'c' },
] as const;

const NODES = [A, B, C];

/** A link is named by the node that it does not touch. */
const LINKS = [
  { from: B, to: C, name: 'not-a' },
  { from: A, to: C, name: 'not-b' },
  { from: A, to: B, name: 'not-c' },
];
