export function TypingLine({ names }: { names: readonly string[] }) {
  return (
    <p className="typing" data-shown={names.length > 0}>
      <span className="typing-dots" aria-hidden="true">
        <i />
        <i />
        <i />
      </span>
      <span>
        <TypingWords names={names} />
      </span>
    </p>
  );
}

function TypingWords({ names: [first, second, ...more] }: { names: readonly string[] }) {
  if (first === undefined) return null;
  if (more.length > 0) return 'Several people are typing';
  return (
    <>
      <bdi>{first}</bdi>
      {second === undefined ? (
        ' is typing'
      ) : (
        <>
          {' and '}
          <bdi>{second}</bdi>
          {' are typing'}
        </>
      )}
    </>
  );
}
