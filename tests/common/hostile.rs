//! Text that breaks what is not escaped with care.

use proptest::prelude::*;

/// Pieces that mean something to Nix, to systemd, or to both.
const PIECES: [&str; 40] = [
    "\"",
    "'",
    "''",
    "\\",
    "\\n",
    "\\x41",
    "$",
    "$$",
    "${",
    "$${",
    "}",
    "${HOME}",
    "$HOME",
    "%",
    "%%",
    "%n",
    "%h",
    ";",
    " ",
    "  ",
    "\t",
    "\n",
    "\r",
    "\r\n",
    "\u{1}",
    "\u{1b}[31m",
    "\u{7f}",
    "\u{85}",
    "ü",
    "日本",
    "🦀",
    "\u{200b}",
    "#",
    "=",
    ":",
    "-",
    "@",
    "*",
    "[x]",
    "{a,b}",
];

/// Any text but one with a NUL, which neither an argument nor a variable can hold.
pub fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(&PIECES[..]).prop_map(str::to_owned),
        1 => "[a-z0-9/._-]{1,5}",
        1 => any::<char>().prop_filter("no NUL", |c| *c != '\0').prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The name of a file or folder.
pub fn name() -> impl Strategy<Value = String> {
    let fits = |name: &String| !matches!(name.as_str(), "" | "." | "..");
    text().prop_map(|text| text.replace('/', "")).prop_filter("a name", fits)
}

/// An absolute path.
pub fn path() -> impl Strategy<Value = std::path::PathBuf> {
    prop::collection::vec(name(), 1..4).prop_map(|names| format!("/{}", names.join("/")).into())
}
