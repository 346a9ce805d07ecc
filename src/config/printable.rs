//! Text from a configuration made safe to print: nothing that moves a cursor, nothing without end.

/// The most characters that are shown of any one text.
const LONGEST: usize = 80;

/// A text in double quotes, escaped, and cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", cut(text))
}

/// A text escaped, and cut where it is long.
pub(super) fn cut(text: &str) -> String {
    let mut shown = String::new();
    let mut count = 0;
    for c in text.chars() {
        if count >= LONGEST {
            shown.push('…');
            break;
        }
        let piece = visible(c);
        count += piece.chars().count();
        shown.push_str(&piece);
    }
    shown
}

/// One character as it is shown: itself, unless it would not be seen or would garble a terminal.
pub(super) fn visible(c: char) -> String {
    match c {
        '\'' | '"' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_direction_characters_are_escaped() {
        assert_eq!(quoted("a\0b\u{1b}c\u{202e}d\u{9b}"), r#""a\0b\u{1b}c\u{202e}d\u{9b}""#);
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        assert_eq!(quoted("größe 雪 don't"), r#""größe 雪 don't""#);
    }

    #[test]
    fn a_long_text_is_cut() {
        assert_eq!(cut(&"x".repeat(1000)).chars().count(), LONGEST + 1);
    }
}
