//! SHA-256.

use std::fmt::Write;

use ring::digest::{SHA256, digest};

/// The first `bytes` bytes (at most 32) of the SHA-256 of `data`, in hexadecimal.
pub fn short(data: &[u8], bytes: usize) -> String {
    let digest = digest(&SHA256, data);
    digest.as_ref().iter().take(bytes).fold(String::new(), |mut text, byte| {
        // Writing into a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_text_has_its_known_digest() {
        assert_eq!(short(b"", 8), "e3b0c44298fc1c14");
    }
}
