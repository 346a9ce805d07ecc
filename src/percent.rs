//! Percent-encoding, as URLs carry it.

use std::fmt::Write;

/// Undoes percent-encoding; what is not well encoded stays as it is.
pub(crate) fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).filter(|two| *first == b'%' && two.iter().all(u8::is_ascii_hexdigit));
        let escaped = digits.and_then(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok());
        bytes.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Encodes what no request line may hold; what is encoded already stays.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
        let fits = byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
        // Writing into a string cannot fail.
        let _ = if fits { out.write_char(char::from(byte)) } else { write!(out, "%{byte:02X}") };
        out
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_well_encoded_is_decoded() {
        assert_eq!(decoded("a%20b%2Fc%zz%2"), "a b/c%zz%2");
        assert_eq!(decoded("%+1"), "%+1");
    }

    #[test]
    fn what_is_encoded_already_stays() {
        assert_eq!(encoded("/a%20b?ü c"), "/a%20b?%C3%BC%20c");
    }

    proptest! {
        #[test]
        fn decoding_undoes_encoding(text in "[^%]{0,20}") {
            prop_assert_eq!(decoded(&encoded(&text)), text);
        }
    }
}
