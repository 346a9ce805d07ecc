//! The little of Nix that modules need, written as nixfmt (the style of RFC 166) writes it.

use std::borrow::Cow;

/// nixfmt's line.
const WIDTH: usize = 100;

/// Words that name no attribute without quotes.
const KEYWORDS: [&str; 10] = ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];

/// An expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr<'a> {
    /// A string.
    Text(Cow<'a, str>),
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Number(u32),
    /// A path, such as `./file.nix`.
    Path(String),
    /// Nix as it is.
    Code(&'static str),
    /// A list.
    List(Vec<Expr<'a>>),
    /// An attribute set.
    Set(Vec<Binding<'a>>),
    /// Sets joined by `//`.
    Update(Vec<Expr<'a>>),
}

/// One line of an attribute set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Binding<'a> {
    /// An attribute by its path, and its value.
    Is(Cow<'a, str>, Expr<'a>),
    /// `inherit`, and what it inherits.
    Inherit(&'static str),
}

impl<'a> Binding<'a> {
    /// An attribute.
    pub(super) fn new(name: &'a str, value: Expr<'a>) -> Self {
        Self::Is(attribute(name), value)
    }

    /// An attribute in an attribute.
    pub(super) fn at(path: &[&str], value: Expr<'a>) -> Self {
        let names: Vec<Cow<'_, str>> = path.iter().map(|name| attribute(name)).collect();
        Self::Is(names.join(".").into(), value)
    }
}

impl<'a> Expr<'a> {
    /// A list of strings.
    pub(super) fn texts(texts: &'a [String]) -> Self {
        Self::List(texts.iter().map(|text| Self::Text(text.into())).collect())
    }

    /// The expression as it stands at the beginning of a file.
    pub(super) fn written(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    /// Writes it; further lines of it are indented by so much.
    fn write(&self, out: &mut String, indent: usize) {
        match self {
            Self::Set(bindings) => {
                let lines = bindings.iter().map(|binding| move |out: &mut String, at| binding.write(out, at));
                enclosed(out, indent, ['{', '}'], lines);
            }
            Self::List(items) => write_list(out, indent, items),
            Self::Update(sets) => write_update(out, indent + 2, sets),
            Self::Text(text) => write_string(out, text),
            Self::Flag(flag) => *out += if *flag { "true" } else { "false" },
            Self::Number(number) => *out += &number.to_string(),
            Self::Path(path) => *out += path,
            Self::Code(code) => *out += code,
        }
    }
}

/// nixfmt gives each item of a list its line, unless there is only one and it fits.
fn write_list(out: &mut String, indent: usize, items: &[Expr<'_>]) {
    match items {
        [] => *out += "[ ]",
        [only] if in_line(out, only) => {}
        items => {
            let lines = items.iter().map(|item| move |out: &mut String, at| item.write(out, at));
            enclosed(out, indent, ['[', ']'], lines);
        }
    }
}

/// Writes a list of one in its line, if it fits; nothing if not.
fn in_line(out: &mut String, only: &Expr<'_>) -> bool {
    let before = out.len();
    let line = out.rfind('\n').map_or(0, |at| at + 1);
    *out += "[ ";
    only.write(out, 0);
    *out += " ]";
    // The semicolon is on the line as well.
    let fits = out[line..].chars().count() < WIDTH;
    if !fits {
        out.truncate(before);
    }
    fits
}

impl Binding<'_> {
    fn write(&self, out: &mut String, indent: usize) {
        match self {
            Self::Is(name, value) => {
                *out += name;
                // A set or a list begins on the line of its name; what is joined begins below.
                *out += if matches!(value, Expr::Update(_)) { " =" } else { " = " };
                value.write(out, indent);
            }
            Self::Inherit(what) => *out += &format!("inherit {what}"),
        }
        out.push(';');
    }
}

/// Lines between brackets, each with its own line and indented.
fn enclosed<W: FnOnce(&mut String, usize)>(
    out: &mut String,
    indent: usize,
    [open, close]: [char; 2],
    lines: impl Iterator<Item = W>,
) {
    out.push(open);
    for line in lines {
        new_line(out, indent + 2);
        line(out, indent + 2);
    }
    new_line(out, indent);
    out.push(close);
}

fn write_update(out: &mut String, indent: usize, sets: &[Expr<'_>]) {
    for (index, set) in sets.iter().enumerate() {
        new_line(out, indent);
        if index > 0 {
            *out += "// ";
        }
        set.write(out, indent);
    }
}

fn new_line(out: &mut String, indent: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n(' ', indent));
}

/// A name of an attribute, in quotes where it needs them.
fn attribute(name: &str) -> Cow<'_, str> {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-'".contains(&byte));
    if starts && fits && !KEYWORDS.contains(&name) {
        return name.into();
    }
    let mut quoted = String::new();
    write_string(&mut quoted, name);
    quoted.into()
}

/// Writes a string in quotes. A carriage return that is not escaped would be read as a new line.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '\n', '\r', '\t', '$']) {
        let (plain, special) = rest.split_at(at);
        *out += plain;
        *out += match special.as_bytes() {
            [b'"', ..] => "\\\"",
            [b'\\', ..] => "\\\\",
            [b'\n', ..] => "\\n",
            [b'\r', ..] => "\\r",
            [b'\t', ..] => "\\t",
            [_, b'{', ..] => "\\$",
            _ => "$",
        };
        rest = &special[1..];
    }
    *out += rest;
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped() {
        let mut escaped = String::new();
        write_string(&mut escaped, "a\"b\\c${d}$${e}$f''\n\r\t%ü");
        assert_eq!(escaped, r#""a\"b\\c\${d}$\${e}$f''\n\r\t%ü""#);
    }

    #[test]
    fn attributes_are_quoted_where_they_must_be() {
        let names = ["RestartSec", "X-Stop", "a'b", "1st", "a.b", "if", "or", "", "ü", "${x}"].map(attribute);
        let quoted = [
            "RestartSec",
            "X-Stop",
            "a'b",
            "\"1st\"",
            "\"a.b\"",
            "\"if\"",
            "\"or\"",
            "\"\"",
            "\"ü\"",
            r#""\${x}""#,
        ];
        assert_eq!(names, quoted);
    }

    #[test]
    fn only_a_list_of_one_stays_in_its_line_and_only_if_it_fits() {
        let of = |items: &[&str]| {
            let items = items.iter().map(|item| Expr::Text((*item).into())).collect();
            Expr::Set(vec![Binding::new("a", Expr::List(items))]).written()
        };
        assert_eq!(of(&[]), "{\n  a = [ ];\n}");
        assert_eq!(of(&["x"]), "{\n  a = [ \"x\" ];\n}");
        assert_eq!(of(&["x", "y"]), "{\n  a = [\n    \"x\"\n    \"y\"\n  ];\n}");
        let fits = "x".repeat(WIDTH - 13);
        assert_eq!(of(&[&fits]).lines().nth(1).map(str::len), Some(WIDTH));
        assert_eq!(of(&[&format!("{fits}x")]).lines().count(), 5);
    }

    #[test]
    fn sets_are_joined_below_their_name() {
        let set = Expr::Set(vec![Binding::Inherit("(a) b"), Binding::at(&["c", "d.e"], Expr::Number(1))]);
        let joined = Expr::Update(vec![Expr::Code("x"), set, Expr::Code("y")]);
        let written = Expr::Set(vec![Binding::new("all", joined)]).written();
        insta::assert_snapshot!(written, @r#"
        {
          all =
            x
            // {
              inherit (a) b;
              c."d.e" = 1;
            }
            // y;
        }
        "#);
    }
}
