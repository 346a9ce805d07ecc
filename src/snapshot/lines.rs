//! The lines of a manifest: one JSON object an entry, names of any bytes spelled unambiguously.

use std::cmp::Ordering;
use std::fmt::Write as _;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::sys::tree::{Kind, Meta, Xattrs};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Line {
    /// Where, inside the volume; empty for the volume's folder itself. Spelled by [`spell`].
    pub(super) path: String,
    #[serde(rename = "type")]
    pub(super) kind: Sort,
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Seconds and nanoseconds.
    pub(super) mtime: (i64, u32),
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// Where a link points, spelled like a path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rdev: Option<(u32, u32)>,
    /// Entries with the same number are names of one inode; only the first of them has a `sha256`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) link: Option<u64>,
    /// A digest of the extended attributes; absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) xattrs: Option<String>,
    /// Of the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sha256: Option<String>,
}

/// What sort of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Sort {
    Folder,
    File,
    Symlink,
    Fifo,
    Character,
    Block,
}

impl Sort {
    /// `None` for what no snapshot holds.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Folder => Self::Folder,
            Kind::File => Self::File,
            Kind::Symlink => Self::Symlink,
            Kind::Fifo => Self::Fifo,
            Kind::Character => Self::Character,
            Kind::Block => Self::Block,
            Kind::Socket | Kind::Unknown => return None,
        })
    }
}

impl Line {
    /// What can be said without opening anything.
    pub(super) fn new(path: &[u8], kind: Sort, meta: &Meta) -> Self {
        Self {
            path: spell(path),
            kind,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            mtime: (meta.modified.seconds, meta.modified.nanos),
            size: matches!(kind, Sort::File | Sort::Symlink).then_some(meta.size),
            target: None,
            rdev: matches!(kind, Sort::Character | Sort::Block).then_some(meta.device),
            link: None,
            xattrs: None,
            sha256: None,
        }
    }

    /// The order in which a walk meets two entries.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let (one, two) = (read(&self.path), read(&other.path));
        one.split(|byte| *byte == b'/').cmp(two.split(|byte| *byte == b'/'))
    }

    /// What about `other` is not like this one, in words.
    pub(super) fn differences(&self, other: &Self) -> String {
        let compared = [
            ("type", self.kind == other.kind),
            ("mode", self.mode == other.mode),
            ("owner", (self.uid, self.gid) == (other.uid, other.gid)),
            ("modification time", self.mtime == other.mtime),
            ("size", self.size == other.size),
            ("link target", self.target == other.target),
            ("device number", self.rdev == other.rdev),
            ("hard links", self.link == other.link),
            ("extended attributes", self.xattrs == other.xattrs),
            ("content", self.sha256 == other.sha256),
        ];
        let different: Vec<&str> = compared.iter().filter(|(_, same)| !same).map(|(word, _)| *word).collect();
        different.join(", ")
    }
}

/// Bytes as text: what is not UTF-8, and the percent sign, becomes `%XX`.
pub(super) fn spell(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c == '%' { text.push_str("%25") } else { text.push(c) }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// The bytes that a text spells.
pub(super) fn read(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = (byte == b'%').then(|| after.get(..2)).flatten();
        let escaped = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        let escaped = escaped.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        bytes.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    bytes
}

/// One digest over names and values, none of which can run into the next.
pub(super) fn xattrs_digest(xattrs: &Xattrs) -> Option<String> {
    if xattrs.is_empty() {
        return None;
    }
    let mut context = Context::new(&SHA256);
    for part in xattrs.iter().flat_map(|(name, value)| [name, value]) {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    Some(hex(context.finish().as_ref()))
}

/// Bytes as hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_no_text_are_spelled_with_percent_signs() {
        assert_eq!(spell(b"100%/caf\xc3\xa9/\xff\x00"), "100%25/caf\u{e9}/%FF\0");
    }

    #[test]
    fn attributes_that_only_look_alike_when_glued_differ() {
        let one = Xattrs::from([(b"user.a".to_vec(), b"b".to_vec())]);
        let two = Xattrs::from([(b"user.ab".to_vec(), b"".to_vec())]);
        assert_ne!(xattrs_digest(&one), xattrs_digest(&two));
        assert_eq!(xattrs_digest(&Xattrs::new()), None);
    }

    proptest::proptest! {
        #[test]
        fn every_name_is_read_back_from_its_spelling(bytes: Vec<u8>) {
            proptest::prop_assert_eq!(read(&spell(&bytes)), bytes);
        }

        #[test]
        fn no_two_names_are_spelled_alike(
            a in proptest::collection::vec(proptest::sample::select(&b"%2F5f\xff\xc3\xa9"[..]), 0..6),
            b in proptest::collection::vec(proptest::sample::select(&b"%2F5f\xff\xc3\xa9"[..]), 0..6),
        ) {
            proptest::prop_assert_eq!(spell(&a) == spell(&b), a == b);
        }
    }
}
