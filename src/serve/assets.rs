//! The frontend's build, embedded in the binary: the chat and the status pages.

use std::borrow::Cow;

use bytes::Bytes;
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::wire::coding::Coding;
use crate::wire::{Request, Response, Status};

/// What the browser may load and connect to. Balancers and servers live at other addresses than the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src *; img-src 'self' data:; style-src 'self'; script-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// Letters of the hash in a file's name.
const HASH_LETTERS: usize = 8;

const MISSING: &str =
    "This binary was built without its frontend. Run `make build`, which builds the frontend first.\n";

#[derive(RustEmbed)]
#[folder = "frontend/dist"]
#[allow_missing = true]
struct Files;

/// The page that a kind of node shows at `/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// The chat.
    Chat,
    /// An application server's status.
    Server,
    /// A balancer's status.
    Balancer,
}

impl Page {
    fn file(self) -> &'static str {
        match self {
            Self::Chat => "index.html",
            Self::Server => "server.html",
            Self::Balancer => "balancer.html",
        }
    }
}

/// Whether the binary holds the frontend.
pub fn are_embedded() -> bool {
    Files::get(Page::Chat.file()).is_some()
}

/// Answers a request for `/` by `page`, and for the files that pages load. `None`: it is for none of these.
pub fn respond(page: Page, request: &Request<'_>) -> Option<Response> {
    respond_from(|path| Files::get(path).map(File::from), page, request)
}

/// One file as the build wrote it.
struct File {
    body: Bytes,
    /// Of what it holds.
    etag: String,
}

impl From<EmbeddedFile> for File {
    fn from(file: EmbeddedFile) -> Self {
        let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..12]));
        let body = match file.data {
            Cow::Borrowed(bytes) => Bytes::from_static(bytes),
            Cow::Owned(bytes) => bytes.into(),
        };
        Self { body, etag }
    }
}

fn respond_from(get: impl Fn(&str) -> Option<File>, page: Page, request: &Request<'_>) -> Option<Response> {
    let path = match request.path {
        "/" => page.file(),
        // Other pages are not to be had at this node's address, their files are; variants only in
        // their place.
        path => path.strip_prefix('/').filter(|path| path.starts_with("assets/") && !is_variant(path))?,
    };
    let variant = |coding: Coding| Some((coding, get(&format!("{path}{}", coding.extension()))?));
    let Some((coding, file)) = Coding::wanted(request).into_iter().find_map(variant) else {
        return (request.path == "/").then(|| Response {
            status: Status::UNAVAILABLE,
            ..Response::ok("text/plain; charset=utf-8", MISSING)
        });
    };
    let is_page = request.path == "/";
    let caching = if has_hash(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let not_modified = is_known(request, &file.etag);
    let body = if not_modified { Bytes::new() } else { file.body };
    let status = if not_modified { Status::NOT_MODIFIED } else { Status::OK };
    let mut response = Response { status, ..Response::ok(content_type(path), body) }
        .with("ETag", file.etag)
        .with("Cache-Control", caching.into())
        .with("Vary", "Accept-Encoding".into())
        .with("X-Content-Type-Options", "nosniff".into());
    if let Some(name) = coding.name() {
        response = response.with("Content-Encoding", name.into());
    }
    Some(if is_page {
        response.with("Content-Security-Policy", CONTENT_SECURITY_POLICY.into())
    } else {
        response
    })
}

/// Whether the client has the file already (RFC 9110, section 13.1.2): a list of tags, which a
/// proxy that changes the coding makes weak.
fn is_known(request: &Request<'_>, etag: &str) -> bool {
    let tags = request.values("if-none-match").flat_map(|value| value.split(|byte| *byte == b','));
    let mut tags = tags.map(<[u8]>::trim_ascii);
    tags.any(|tag| tag == b"*" || tag.strip_prefix(b"W/").unwrap_or(tag) == etag.as_bytes())
}

/// Whether the name changes with the content, as in `assets/index-B7x_kQ2a.js`. A hash of Vite has
/// eight letters of base64url, which may be dashes too.
fn has_hash(path: &str) -> bool {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem).as_bytes();
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-' || *byte == b'_';
    stem.split_last_chunk::<HASH_LETTERS>()
        .is_some_and(|(name, hash)| name.ends_with(b"-") && hash.iter().all(is_letter))
}

fn is_variant(path: &str) -> bool {
    let extensions = Coding::ALL.map(Coding::extension);
    extensions.iter().any(|extension| !extension.is_empty() && path.ends_with(extension))
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("json" | "map") => "application/json",
        Some("png") => "image/png",
        Some("woff2") => "font/woff2",
        _ => "application/octet-stream",
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILES: [&str; 6] = [
        "index.html",
        "assets/a-B7x_kQ2a.js",
        "assets/a-B7x_kQ2a.js.br",
        "assets/a-B7x_kQ2a.js.gz",
        "assets/b-B7x_kQ2a.css",
        "assets/b-B7x_kQ2a.css.gz",
    ];

    fn get(path: &str, lines: &str) -> Option<(Response, String)> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let file = |name: &str| {
            let name = FILES.into_iter().find(|known| *known == name)?;
            Some(File { body: name.into(), etag: format!("\"{}\"", name.len()) })
        };
        let response = respond_from(file, Page::Chat, &Request::parse(head.as_bytes()).unwrap())?;
        let head = String::from_utf8(response.head(true).to_vec()).unwrap();
        Some((response, head))
    }

    #[test]
    fn the_variant_is_sent_that_the_client_wants_and_caches_are_told() {
        for (path, accept, file, coding) in [
            ("/assets/a-B7x_kQ2a.js", "gzip, br", "assets/a-B7x_kQ2a.js.br", "br"),
            ("/assets/a-B7x_kQ2a.js", "gzip, br;q=0.1", "assets/a-B7x_kQ2a.js.gz", "gzip"),
            ("/assets/a-B7x_kQ2a.js", "deflate", "assets/a-B7x_kQ2a.js", ""),
            ("/assets/b-B7x_kQ2a.css", "gzip, br", "assets/b-B7x_kQ2a.css.gz", "gzip"),
            ("/assets/b-B7x_kQ2a.css", "br", "assets/b-B7x_kQ2a.css", ""),
            ("/", "br", "index.html", ""),
        ] {
            let (response, head) = get(path, &format!("Accept-Encoding: {accept}\r\n")).unwrap();
            assert_eq!(response.body, file.as_bytes(), "{path} {accept}");
            let told = head.lines().find_map(|line| line.strip_prefix("Content-Encoding: "));
            assert_eq!(told.unwrap_or_default(), coding, "{path} {accept}");
            assert!(head.contains("\r\nVary: Accept-Encoding\r\n"), "{head}");
            let kind = content_type(path.replace("/assets", "").trim_start_matches('/'));
            let kind = if path == "/" { "text/html; charset=utf-8" } else { kind };
            assert!(head.contains(&format!("\r\nContent-Type: {kind}\r\n")), "{head}");
        }
        assert!(get("/assets/a-B7x_kQ2a.js.br", "").is_none() && get("/assets/none.js", "").is_none());
    }

    /// Each variant has a tag of its own (RFC 9110, section 8.8.3.3).
    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let path = "/assets/a-B7x_kQ2a.js";
        for (tags, status) in [
            ("\"20\"", 304),
            ("W/\"20\"", 304),
            ("\"1\", \"20\"", 304),
            ("*", 304),
            ("\"23\"", 200),
            ("20", 200),
        ] {
            let (response, _) = get(path, &format!("If-None-Match: {tags}\r\n")).unwrap();
            assert_eq!(response.status.0, status, "{tags}");
            assert_eq!(response.body.is_empty(), status == 304);
        }
        let (response, _) = get(path, "Accept-Encoding: br\r\nIf-None-Match: \"23\"\r\n").unwrap();
        assert_eq!(response.status, Status::NOT_MODIFIED);
    }

    #[test]
    fn a_hash_may_hold_dashes() {
        for path in ["assets/index-B7x_kQ2a.js", "assets/useStore-Ab-d_f-h.js", "assets/a-b---------.css"] {
            assert!(has_hash(path), "{path}");
        }
        for path in
            ["assets/favicon.svg", "assets/a-B7x_kQ2.js", "assets/ab7x_kQ2a.js", "index.html", "a", ""]
        {
            assert!(!has_hash(path), "{path}");
        }
    }
}
