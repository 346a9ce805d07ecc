//! How systemd wants values written.
//!
//! A line ends at its newline, and a `\` before that joins the next one to it; everywhere here, `%` begins a specifier
//! and is written `%%`. Beyond that, each directive is read in its own way; what is said here was tried on systemd 252 and 257
//! (`tests/live_unit_values.rs`).
//!
//! | directive | quotes | `\` |
//! |---|---|---|
//! | `ExecStart=`, `Environment=` | taken off | C escapes: `\n`, `\x01` |
//! | `RequiresMountsFor=`, `ReadWritePaths=` | taken off | the next character as it is |
//! | `LoadCredential=` (see `file`), `PathExistsGlob=`, `Description=`, `OnCalendar=` | kept | a character like any other |

use std::borrow::Cow;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// A command: each word exactly as the program is to receive it. In all but the program's path `$` would begin a variable.
pub(super) fn command(argv: &[String]) -> String {
    let mut out = String::with_capacity(argv.iter().map(|word| word.len() + 3).sum());
    for (at, word) in argv.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        write_word(&mut out, word, if at > 0 { "$$" } else { "$" });
    }
    out
}

/// A variable and its value, as one word.
pub(super) fn assignment(name: &str, value: &str) -> String {
    let mut out = String::new();
    write_word(&mut out, &[name, "=", value].concat(), "$");
    out
}

/// The value of a variable for NixOS, which puts it in quotes itself.
pub(super) fn variable(value: &str) -> String {
    specifiers(value.to_owned())
}

/// Writes a word whose quotes and C escapes systemd takes off, with this in the place of a `$`.
fn write_word(out: &mut String, word: &str, dollar: &str) {
    let quote = if is_plain(word) { "" } else { "\"" };
    *out += quote;
    for c in word.chars() {
        // Writing into a string cannot fail.
        let _ = match c {
            '%' => out.write_str("%%"),
            '$' => out.write_str(dollar),
            '"' | '\\' => write!(out, "\\{c}"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    *out += quote;
}

/// What needs no quotes. A lone `;` would separate commands, and `@`, `-`, `:`, `+` and `!` mean something before a program;
/// those stand before no path.
fn is_plain(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"%$_./:=@,+-".contains(&byte);
    !word.is_empty() && word.bytes().all(plain)
}

fn specifiers(text: String) -> String {
    if text.contains('%') { text.replace('%', "%%") } else { text }
}

/// Text in one line, which systemd reads as it stands: no quoting can carry a line break.
pub(super) fn text(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    specifiers(line.trim_start().trim_end_matches(|c: char| c == '\\' || c.is_whitespace()).to_owned())
}

/// Folders in a list, each in quotes where it needs them.
pub(super) fn folders(paths: &[PathBuf]) -> String {
    let mut out = String::with_capacity(paths.iter().map(|path| path.as_os_str().len() + 3).sum());
    for (at, path) in paths.iter().enumerate() {
        if at > 0 {
            out.push(' ');
        }
        write_folder(&mut out, path);
    }
    out
}

/// A folder in a list.
pub(super) fn folder(path: &Path) -> String {
    let mut out = String::new();
    write_folder(&mut out, path);
    out
}

/// Writes a folder of a list. A line break cannot be written: for a folder with one in its name, the one around it stands.
fn write_folder(out: &mut String, path: &Path) {
    let path = tidy(unbroken(path));
    let text = path.to_string_lossy();
    let quote = if text.contains(|c: char| c.is_whitespace() || "'\"\\".contains(c)) { "\"" } else { "" };
    *out += quote;
    for c in text.chars() {
        match c {
            '%' => *out += "%%",
            '"' | '\\' => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    *out += quote;
}

/// The longest beginning of a path that has no line break in it.
fn unbroken(path: &Path) -> &Path {
    let fits = |path: &&Path| !path.as_os_str().as_encoded_bytes().iter().any(|byte| b"\n\r".contains(byte));
    path.ancestors().find(fits).unwrap_or(Path::new("/"))
}

/// A path that systemd reads as it stands, to the end of the line.
pub(super) fn raw(path: &Path) -> String {
    specifiers(tidy(path).to_string_lossy().into_owned())
}

/// A path without `.` and doubled slashes; most have none.
fn tidy(path: &Path) -> Cow<'_, Path> {
    let text = path.as_os_str().as_encoded_bytes();
    let odd = text.windows(2).any(|pair| pair == b"//" || pair == b"/.") || text.ends_with(b"/");
    if odd { path.components().collect::<PathBuf>().into() } else { path.into() }
}

/// The path of a file that is loaded as a credential; `None` where systemd cannot be told of it. It reads any path in one
/// line, but from 255 on it hands the path to another process of its own in a way that spaces and `\` do not survive,
/// and the unit does not start.
pub(super) fn file(path: &Path) -> Option<String> {
    let text = raw(path);
    (!text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\')).then_some(text)
}

/// A folder in a glob: none of its own characters is a wildcard.
pub(super) fn glob(folder: &Path) -> String {
    raw(unbroken(folder)).chars().fold(String::new(), |mut out, c| {
        if "*?[]{},\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argv(words: &[&str]) -> String {
        command(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn plain_words_stay_plain() {
        assert_eq!(argv(&["/bin/app", "--port", "80", "a=b,c@d:e+f"]), "/bin/app --port 80 a=b,c@d:e+f");
    }

    #[test]
    fn words_that_mean_something_to_systemd_are_quoted() {
        assert_eq!(
            argv(&["/bin/app", "", ";", "a b", "it's", "say \"hi\"", "c:\\d", "x\ny\u{1}", "ü"]),
            r#"/bin/app "" ";" "a b" "it's" "say \"hi\"" "c:\\d" "x\ny\x01" "ü""#
        );
    }

    #[test]
    fn specifiers_and_variables_are_not_expanded() {
        assert_eq!(argv(&["/o$t/100%", "$HOME", "${X}", "50%n"]), "/o$t/100%% $$HOME \"$${X}\" 50%%n");
        assert_eq!(assignment("A", "$x 100%"), "\"A=$x 100%%\"");
    }

    #[test]
    fn a_path_is_written_as_its_directive_reads_it() {
        let hostile = Path::new("/a b/it's \"x\"/c\\d/%n");
        assert_eq!(folders(&[hostile.into(), "/data".into()]), r#""/a b/it's \"x\"/c\\d/%%n" /data"#);
        assert_eq!(glob(Path::new("/a*b/[c]\\d")), r"/a\*b/\[c\]\\d");
    }

    #[test]
    fn for_a_folder_with_a_line_break_the_one_around_it_stands() {
        assert_eq!(folders(&["/srv/a\nb/c".into()]), "/srv");
        assert_eq!(
            ["/srv/a\nb", "/srv/a ", "/srv/%"].map(|path| file(Path::new(path))),
            [None, None, Some("/srv/%%".into())]
        );
    }

    #[test]
    fn text_is_one_line() {
        assert_eq!(text(" 100% \n sure \\"), "100%%   sure");
    }
}
