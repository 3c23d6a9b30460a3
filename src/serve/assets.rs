//! The frontend's build, embedded in the binary: the chat and the status pages.

use rust_embed::RustEmbed;

use crate::wire::{Request, Response, Status};

/// What the browser may load and connect to. Balancers and servers live at other addresses than the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; connect-src *; img-src 'self' data:; style-src 'self'; script-src 'self'; \
     frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

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
    let path = match request.path {
        "/" => page.file(),
        // Other pages are not to be had at this node's address, their files are.
        path => path.strip_prefix('/').filter(|path| path.starts_with("assets/"))?,
    };
    let Some(file) = Files::get(path) else {
        return (request.path == "/").then(|| Response {
            status: Status::UNAVAILABLE,
            ..Response::ok("text/plain; charset=utf-8", MISSING)
        });
    };
    let etag = format!("\"{}\"", hex(&file.metadata.sha256_hash()[..12]));
    let is_page = request.path == "/";
    let caching = if has_hash(path) { "public, max-age=31536000, immutable" } else { "no-cache" };
    let not_modified = request.values("if-none-match").any(|value| value == etag.as_bytes());
    let body = match file.data {
        _ if not_modified => bytes::Bytes::new(),
        std::borrow::Cow::Borrowed(bytes) => bytes::Bytes::from_static(bytes),
        std::borrow::Cow::Owned(bytes) => bytes.into(),
    };
    let status = if not_modified { Status::NOT_MODIFIED } else { Status::OK };
    let response = Response { status, ..Response::ok(content_type(path), body) }
        .with("ETag", etag)
        .with("Cache-Control", caching.into())
        .with("X-Content-Type-Options", "nosniff".into());
    Some(if is_page {
        response.with("Content-Security-Policy", CONTENT_SECURITY_POLICY.into())
    } else {
        response
    })
}

/// Whether the name changes with the content, as in `assets/index-B7x_kQ2a.js`.
fn has_hash(path: &str) -> bool {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    stem.rsplit_once('-').is_some_and(|(_, hash)| hash.len() == 8)
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
