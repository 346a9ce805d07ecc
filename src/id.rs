//! Ids that sort by time.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::sys;

/// The id of one run of warmkeep, or of one transaction: a UUID of version 7, whose text sorts by time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(String);

impl RunId {
    /// A new one.
    pub fn new() -> Result<Self> {
        Ok(Self::from_parts(sys::clock::now(), sys::random::bytes()?))
    }

    fn from_parts(at: Timestamp, random: [u8; 10]) -> Self {
        let ms = u64::try_from(at.as_millisecond()).unwrap_or(0) & 0xffff_ffff_ffff;
        let a = (u16::from(random[0] & 0x0f) << 8) | u16::from(random[1]);
        let b = (u16::from(random[2] & 0x3f) << 8) | u16::from(random[3]);
        let node = random[4..].iter().fold(0_u64, |node, byte| (node << 8) | u64::from(*byte));
        Self(format!("{:08x}-{:04x}-7{a:03x}-{:04x}-{node:012x}", ms >> 16, ms & 0xffff, b | 0x8000))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time_and_have_the_shape_of_a_uuid() {
        let id = |ms| RunId::from_parts(Timestamp::from_millisecond(ms).unwrap(), [0xff; 10]);
        assert_eq!(id(1_795_000_000_000).as_str(), "01a1ee56-5e00-7fff-bfff-ffffffffffff");
        assert!(id(1) < id(2) && id(0xffff) < id(0x1_0000));
    }
}
