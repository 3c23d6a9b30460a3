/** A name always has the same colour, on every screen. */
export function Avatar({ name }: { name: string }) {
  return (
    <span className="avatar" style={{ '--hue': hue(name) }} aria-hidden="true">
      {String.fromCodePoint(name.trim().codePointAt(0) ?? 0).toUpperCase()}
    </span>
  );
}

export function hue(name: string): number {
  // FNV-1a, for it scatters short names well.
  let hash = 0x811c9dc5;
  for (const character of name) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193);
  return (hash >>> 0) % 360;
}
