//! SHA-256.

use ring::digest::{SHA256, digest};

/// The first `bytes` bytes (at most 32) of the SHA-256 of `data`, in hexadecimal.
pub fn short(data: &[u8], bytes: usize) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digest = digest(&SHA256, data);
    let halves = digest.as_ref().iter().take(bytes).flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(DIGITS[usize::from(half)])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_text_has_its_known_digest() {
        assert_eq!(short(b"", 8), "e3b0c44298fc1c14");
    }
}
