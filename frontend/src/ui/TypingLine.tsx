export function TypingLine({ names }: { names: readonly string[] }) {
  return (
    <p className="typing" data-shown={names.length > 0}>
      <span className="typing-dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      {typingWords(names)}
    </p>
  );
}

export function typingWords(names: readonly string[]): string {
  const [first, second, ...more] = names;
  if (first === undefined) return '';
  if (second === undefined) return `${first} is typing`;
  return more.length === 0 ? `${first} and ${second} are typing` : 'Several people are typing';
}
