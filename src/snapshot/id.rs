//! The name of a snapshot.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// When a snapshot was taken, in UTC, and four hex digits that tell it from others of the same second:
/// `20261121T030004Z-9f3c`. Sorts by time. Safe as a file name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SnapshotId(String);

/// A text that is no snapshot's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no snapshot's id: one looks like 20261121T030004Z-9f3c")]
pub struct InvalidId(String);

impl SnapshotId {
    /// The id for a snapshot taken at `time`; the last digits of `number` tell it from its neighbours, so that
    /// snapshots of one second sort by it too.
    pub fn new(time: Timestamp, number: u64) -> Self {
        Self(format!("{}-{:04x}", time.strftime("%Y%m%dT%H%M%SZ"), number & 0xffff))
    }

    /// Takes a text as an id.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let digit = |c: u8| c.is_ascii_digit();
        let hex = |c: u8| matches!(c, b'0'..=b'9' | b'a'..=b'f');
        let fits = |(at, c): (usize, u8)| match at {
            8 => c == b'T',
            15 => c == b'Z',
            16 => c == b'-',
            17.. => hex(c),
            _ => digit(c),
        };
        if text.len() == 21 && text.bytes().enumerate().all(fits) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId(text.to_owned()))
        }
    }

    /// Its spelling.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for SnapshotId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        Self::parse(&text)
    }
}

impl std::str::FromStr for SnapshotId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl From<SnapshotId> for String {
    fn from(id: SnapshotId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_time_in_utc_and_four_digits() {
        let time: Timestamp = "2026-11-21T04:00:04.5+01:00".parse().unwrap();
        assert_eq!(SnapshotId::new(time, 0x5_9f3c).as_str(), "20261121T030004Z-9f3c");
    }

    #[test]
    fn what_could_name_another_folder_is_no_id() {
        for text in ["", "..", "20261121T030004Z-9F3C", "20261121T030004Z-9f3c/", "2026112/T030004Z-9f3c"] {
            assert!(SnapshotId::parse(text).is_err(), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn ids_are_read_back_and_sort_by_time_then_number(
            a in 0_i64..4_000_000_000, b in 0_i64..4_000_000_000, x in 0_u64..0xffff, y in 0_u64..0xffff,
        ) {
            let id = |second, number| SnapshotId::new(Timestamp::from_second(second).unwrap(), number);
            proptest::prop_assert_eq!(SnapshotId::parse(id(a, x).as_str()).unwrap(), id(a, x));
            proptest::prop_assert_eq!(id(a, x).cmp(&id(b, y)), (a, x).cmp(&(b, y)));
        }
    }
}
