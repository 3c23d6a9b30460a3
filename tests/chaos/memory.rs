//! What servers that have little memory may forget, as far as it can be known from outside.

/// A server that has a message keeps it until more than this was said after it in its room. Half of what a ring holds then:
/// messages arrive in another order than they are said in, and those that were said again take their room twice.
pub const KEPT_MIN: u64 = RING_BYTES_SHORT / 2;
/// `ring_bytes_short` of the server's limits.
const RING_BYTES_SHORT: u64 = 8 * 1024;
/// One message in so many is long, where memory is short.
const LONG: u64 = 16;
/// What a message takes besides its text, in bytes.
const OVERHEAD: u64 = 110;

/// The text of a message, always the same, and what it takes in a ring.
pub fn text(number: u64, is_memory_short: bool) -> (String, u64) {
    let mut text = number.to_string();
    if is_memory_short && number.is_multiple_of(LONG) {
        text.push(' ');
        text.extend(std::iter::repeat_n('x', (number * 37 % 4000) as usize));
    }
    let weight = text.len() as u64 + OVERHEAD;
    (text, weight)
}

/// Which message has this text.
pub fn number(text: &str) -> u64 {
    text.split(' ').next().unwrap().parse().unwrap()
}
