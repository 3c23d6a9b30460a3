//! The URL under which a client reaches the server that was chosen for it.

/// A server's public URL for a client that used `hostname`. It names the balancer, so that the server can tell it how
/// many of its clients have arrived.
pub fn url(public_url: &str, hostname: &str, balancer: &str) -> String {
    let url = public_url.replace("{host}", hostname);
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}via={balancer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_filled_in_and_the_balancer_named() {
        assert_eq!(url("ws://{host}:5001/ws", "chat.example", "lb-1"), "ws://chat.example:5001/ws?via=lb-1");
        assert_eq!(url("wss://fixed.example/ws?x=1", "h", "lb-1"), "wss://fixed.example/ws?x=1&via=lb-1");
    }
}
