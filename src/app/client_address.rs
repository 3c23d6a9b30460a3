//! Where a client really is, when it comes by way of proxies.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::wire::Request;

/// What the proxies that are trusted say of a request: every `X-Forwarded-For`, from the last to the first. Each proxy
/// appends the address that it was reached from, so a list is believed from its end, and only as far as those who wrote
/// it are trusted: what comes before was written by somebody else.
pub fn client_address(peer: IpAddr, forwarded: &[String], trusted: &[IpNet]) -> IpAddr {
    let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for item in forwarded {
        if !is_trusted(&client) {
            break;
        }
        let Ok(address) = item.parse::<IpAddr>() else { break };
        client = address.to_canonical();
    }
    client
}

/// The addresses in a request's `X-Forwarded-For`, the last first, as they were written.
pub fn forwarded_for(request: &Request<'_>) -> Vec<String> {
    let values: Vec<_> = request.values("x-forwarded-for").collect();
    let items = values.iter().rev().flat_map(|value| value.rsplit(|&byte| byte == b','));
    items.map(|item| String::from_utf8_lossy(item.trim_ascii()).into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, header: &str) -> String {
        let head = format!("GET /ws HTTP/1.1\r\nHost: a\r\n{header}\r\n");
        let request = Request::parse(head.as_bytes()).unwrap();
        let trusted = ["10.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap());
        client_address(peer.parse().unwrap(), &forwarded_for(&request), &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_are_believed_and_only_what_they_wrote() {
        let header = "X-Forwarded-For: 192.0.2.7, 198.51.100.3\r\nX-Forwarded-For: 10.1.1.1\r\n";
        assert_eq!(address("203.0.113.5", header), "203.0.113.5", "a stranger may write what it likes");
        assert_eq!(
            address("10.0.0.2", header),
            "198.51.100.3",
            "what comes before was written by a stranger"
        );
        assert_eq!(address("::ffff:10.0.0.2", "X-Forwarded-For: ::ffff:192.0.2.7\r\n"), "192.0.2.7");
        assert_eq!(address("::1", ""), "::1");
        assert_eq!(address("10.0.0.2", "X-Forwarded-For: unknown\r\n"), "10.0.0.2");
        assert_eq!(address("10.0.0.2", "X-Forwarded-For: 10.0.0.3,10.0.0.4\r\n"), "10.0.0.3");
    }
}
