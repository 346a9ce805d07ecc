//! The text of one configuration file, and where in it an offset is.

use std::ops::Range;

/// A stretch of one file: byte offsets into its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Which file, as an index into the list of sources.
    pub(super) file: usize,
    /// The first byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
}

/// How many bytes lie between two remembered character counts.
const BLOCK: usize = 1024;

/// The text of one file.
#[derive(Debug)]
pub(super) struct Source {
    /// How the file is called, safe to print.
    pub(super) name: String,
    /// What is in it.
    pub(super) text: String,
    /// Where each line begins.
    lines: Vec<usize>,
    /// How many characters begin before each block: columns stay cheap to count in a file that is one huge line.
    blocks: Vec<usize>,
}

impl Source {
    /// Takes a text and indexes it, in one pass each.
    pub(super) fn new(name: String, text: String) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let mut characters = 0;
        let mut blocks = Vec::with_capacity(text.len() / BLOCK + 1);
        for block in text.as_bytes().chunks(BLOCK) {
            blocks.push(characters);
            characters += begun(block);
        }
        Self { name, text, lines, blocks }
    }

    /// Line and column of an offset, both from 1; columns count characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        (line, self.characters_before(offset) - self.characters_before(start) + 1)
    }

    /// The bytes of a line (from 1), without its line break; `None` where there is no such line.
    pub(super) fn line(&self, line: usize) -> Option<Range<usize>> {
        let start = *self.lines.get(line.checked_sub(1)?)?;
        let end = self.lines.get(line).map_or(self.text.len(), |next| next - 1);
        let bare = self.text.get(start..end)?.trim_end_matches('\r');
        Some(start..start + bare.len())
    }

    /// Where a line (from 1) begins; the end of the text for one that is not there.
    pub(super) fn line_start(&self, line: usize) -> usize {
        self.lines.get(line.saturating_sub(1)).copied().unwrap_or(self.text.len())
    }

    fn characters_before(&self, offset: usize) -> usize {
        let Some(before) = self.blocks.get(offset / BLOCK) else {
            return self.blocks.last().copied().unwrap_or(0)
                + self.rest(self.blocks.len().saturating_sub(1), offset);
        };
        before + self.rest(offset / BLOCK, offset)
    }

    fn rest(&self, block: usize, offset: usize) -> usize {
        self.text.as_bytes().get(block * BLOCK..offset).map_or(0, begun)
    }
}

/// How many characters begin in these bytes of UTF-8.
fn begun(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0b1100_0000) != 0b1000_0000).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn naive(text: &str, offset: usize) -> (usize, usize) {
        let before = &text[..offset];
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
    }

    #[test]
    fn a_line_is_found_without_its_break() {
        let source = Source::new("x".into(), "one\r\ntwo\n".into());
        let lines: Vec<_> = (1..=4).map(|n| source.line(n).map(|range| &source.text[range])).collect();
        assert_eq!(lines, [Some("one"), Some("two"), Some(""), None]);
    }

    #[test]
    fn columns_count_characters_in_a_line_of_many_blocks() {
        let source = Source::new("x".into(), "ä".repeat(5000));
        assert_eq!(source.position(8192), (1, 4097));
        assert_eq!(source.position(10_000), (1, 5001));
    }

    proptest! {
        #[test]
        fn positions_are_those_that_counting_gives(text in "[aä\n☃\r]{0,1500}") {
            let source = Source::new("x".into(), text.clone());
            for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
                prop_assert_eq!(source.position(offset), naive(&text, offset));
            }
        }
    }
}
