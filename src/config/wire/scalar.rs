//! Durations and sizes as they are written.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::config::quantity;

/// A duration: `"250ms"`, `"2m"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::config) struct Time(pub(in crate::config) Duration);

impl Time {
    /// So many seconds.
    pub(super) const fn secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// So many minutes.
    pub(super) const fn mins(minutes: u64) -> Self {
        Self::secs(minutes * 60)
    }

    /// So many hours.
    pub(super) const fn hours(hours: u64) -> Self {
        Self::mins(hours * 60)
    }
}

impl TryFrom<String> for Time {
    type Error = quantity::Invalid;
    fn try_from(text: String) -> Result<Self, quantity::Invalid> {
        quantity::parse_duration(&text).map(Self)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        quantity::format_duration(time.0)
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": quantity::DURATION_PATTERN,
            "description": "A duration: a whole number and one of `ms`, `s`, `m`, `h`, `d`.",
            "examples": ["250ms", "10s", "5m", "72h", "14d"],
        })
    }
}

/// A size in bytes: `"512MiB"`, `"20GiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(in crate::config) struct Size(pub(in crate::config) u64);

impl Size {
    /// So many gibibytes.
    pub(super) const fn gib(gibibytes: u64) -> Self {
        Self(gibibytes << 30)
    }
}

impl TryFrom<String> for Size {
    type Error = quantity::Invalid;
    fn try_from(text: String) -> Result<Self, quantity::Invalid> {
        quantity::parse_size(&text).map(Self)
    }
}

impl From<Size> for String {
    fn from(size: Size) -> Self {
        quantity::format_size(size.0)
    }
}

impl JsonSchema for Size {
    fn schema_name() -> Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": quantity::SIZE_PATTERN,
            "description": "A size: a whole number and one of `B`, `KiB`, `MiB`, `GiB`, `TiB`.",
            "examples": ["512MiB", "20GiB"],
        })
    }
}
