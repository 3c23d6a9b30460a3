/**
 * Whether a browser forbids a page to reach this URL: an HTTPS page no plain HTTP or WebSocket, except on its own
 * machine (W3C Mixed Content, "potentially trustworthy").
 */
export function isMixedContent(page: string, url: string): boolean {
  const [from, to] = [parsed(page), parsed(url)];
  if (from?.protocol !== 'https:' || (to?.protocol !== 'http:' && to?.protocol !== 'ws:')) return false;
  return !/^(localhost|.*\.localhost|127(\.\d+){3}|\[::1\])$/.test(to.hostname);
}

function parsed(url: string): URL | null {
  try {
    return new URL(url);
  } catch {
    return null;
  }
}
