//! What pages of other origins are told (the Fetch standard, sections 3.2 and 4.8).

use super::http::Request;
use super::response::Response;

/// For how long a browser may remember it, in seconds; Chrome takes no more.
const MAX_AGE: &str = "7200";

/// The same answer, which pages of `origin` may read.
pub fn allow(response: Response, origin: &str) -> Response {
    response.with("Access-Control-Allow-Origin", origin.to_owned())
}

/// The answer to `OPTIONS` where pages of `origin` may ask by these methods. They may send whatever
/// they name: a page's own `fetch` may be wrapped by a tracer that adds fields.
pub fn preflight(request: &Request<'_>, origin: &str, methods: &str) -> Response {
    let response = allow(Response::options(methods), origin)
        .with("Access-Control-Allow-Methods", methods.to_owned())
        .with("Access-Control-Max-Age", MAX_AGE.to_owned());
    match asked_for(request) {
        Some(names) => response
            .with("Access-Control-Allow-Headers", names)
            .with("Vary", "Access-Control-Request-Headers".to_owned()),
        None => response,
    }
}

/// The names that the browser asks for, as one list; `None`: none, or something that is no list of
/// names.
fn asked_for(request: &Request<'_>) -> Option<String> {
    let lists: Option<Vec<_>> = request
        .values("access-control-request-headers")
        .map(|value| std::str::from_utf8(value).ok().filter(|list| is_list_of_names(list)))
        .collect();
    lists.filter(|lists| !lists.is_empty()).map(|lists| lists.join(", "))
}

/// RFC 9110, section 5.6.2, less the letters that no field is named by.
fn is_list_of_names(list: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
    };
    list.split(',').all(|name| is_name(name.trim_matches([' ', '\t'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(lines: &str) -> String {
        let head = format!("OPTIONS /assign HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let request = Request::parse(head.as_bytes()).unwrap();
        let head = preflight(&request, "https://chat.example", "GET, HEAD").head(true);
        String::from_utf8(head.to_vec()).unwrap()
    }

    #[test]
    fn a_preflight_is_told_all_that_it_asks() {
        let lines = "Origin: https://chat.example\r\nAccess-Control-Request-Method: GET\r\n\
                     Access-Control-Request-Headers: traceparent,tracestate\r\n";
        assert_eq!(
            answer(lines),
            "HTTP/1.1 204 No Content\r\nAllow: GET, HEAD\r\nAccess-Control-Allow-Origin: https://chat.example\r\n\
             Access-Control-Allow-Methods: GET, HEAD\r\nAccess-Control-Max-Age: 7200\r\n\
             Access-Control-Allow-Headers: traceparent,tracestate\r\nVary: Access-Control-Request-Headers\r\n\r\n"
        );
    }

    #[test]
    fn only_names_are_said_again() {
        assert!(!answer("").contains("Allow-Headers"));
        for wrong in ["a b", "a;b", "", "a,", "\u{e9}", "<script>"] {
            let told = answer(&format!("Access-Control-Request-Headers: {wrong}\r\n"));
            assert!(!told.contains("Allow-Headers"), "{wrong}: {told}");
        }
        let lines = "Access-Control-Request-Headers: a\r\nAccess-Control-Request-Headers: b, c\r\n";
        assert!(answer(lines).contains("Allow-Headers: a, b, c\r\n"));
    }
}
