//! The little of Nix that modules need, written as nixfmt (the style of RFC 166) writes it.

/// nixfmt's line.
const WIDTH: usize = 100;

/// Words that name no attribute without quotes.
const KEYWORDS: [&str; 10] = ["assert", "else", "if", "in", "inherit", "let", "or", "rec", "then", "with"];

/// What stands in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A string.
    Text(&'a str),
    /// Nix as it is: a name, a path.
    Code(&'a str),
}

/// Writes attributes, one a line.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut String,
    indent: usize,
}

impl<'a> Writer<'a> {
    /// Writes an attribute set at the end of a text, and a line's end.
    pub(super) fn set(out: &'a mut String, attributes: impl FnOnce(&mut Self)) {
        let mut writer = Self { out, indent: 0 };
        writer.enclosed('{', '}', attributes);
        writer.out.push('\n');
    }

    /// An attribute that is a set, by its path.
    pub(super) fn attributes(&mut self, path: &[&str], attributes: impl FnOnce(&mut Self)) {
        self.begin(path);
        self.enclosed('{', '}', attributes);
        self.end();
    }

    /// An attribute that is a string.
    pub(super) fn text(&mut self, name: &str, text: &str) {
        self.begin(&[name]);
        write_string(self.out, text);
        self.end();
    }

    /// An attribute that is written as it is: `true`, a number.
    pub(super) fn code(&mut self, name: &str, code: &str) {
        self.begin(&[name]);
        *self.out += code;
        self.end();
    }

    /// What is taken over from elsewhere.
    pub(super) fn inherit(&mut self, what: &str) {
        self.new_line();
        *self.out += "inherit ";
        *self.out += what;
        self.end();
    }

    /// An attribute that is a list. nixfmt gives each item its line, unless there is only one and it fits.
    pub(super) fn list<'i>(&mut self, name: &str, items: impl ExactSizeIterator<Item = Item<'i>> + Clone) {
        self.begin(&[name]);
        match items.len() {
            0 => *self.out += "[ ]",
            1 if self.fits_in_line(items.clone()) => {}
            _ => self.enclosed('[', ']', |list| {
                for item in items {
                    list.new_line();
                    item.write(list.out);
                }
            }),
        }
        self.end();
    }

    /// An attribute that is a set, joined with others before and after it.
    pub(super) fn joined(
        &mut self,
        name: &str,
        before: &str,
        after: &str,
        attributes: impl FnOnce(&mut Self),
    ) {
        self.new_line();
        *self.out += name;
        *self.out += " =";
        self.indent += 2;
        self.new_line();
        *self.out += before;
        self.new_line();
        *self.out += "// ";
        self.enclosed('{', '}', attributes);
        self.new_line();
        *self.out += "// ";
        *self.out += after;
        self.indent -= 2;
        self.end();
    }

    /// Writes a list of one in its line, if it fits there; nothing if not.
    fn fits_in_line<'i>(&mut self, items: impl Iterator<Item = Item<'i>>) -> bool {
        let before = self.out.len();
        let line = self.out.rfind('\n').map_or(0, |at| at + 1);
        *self.out += "[ ";
        items.for_each(|item| item.write(self.out));
        *self.out += " ]";
        // The semicolon is on the line as well.
        let fits = self.out[line..].chars().count() < WIDTH;
        if !fits {
            self.out.truncate(before);
        }
        fits
    }

    fn begin(&mut self, path: &[&str]) {
        self.new_line();
        for (at, name) in path.iter().enumerate() {
            if at > 0 {
                self.out.push('.');
            }
            write_name(self.out, name);
        }
        *self.out += " = ";
    }

    fn end(&mut self) {
        self.out.push(';');
    }

    /// Lines between brackets, indented.
    fn enclosed(&mut self, open: char, close: char, lines: impl FnOnce(&mut Self)) {
        self.out.push(open);
        self.indent += 2;
        lines(self);
        self.indent -= 2;
        self.new_line();
        self.out.push(close);
    }

    fn new_line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n(' ', self.indent));
    }
}

impl Item<'_> {
    fn write(self, out: &mut String) {
        match self {
            Self::Text(text) => write_string(out, text),
            Self::Code(code) => *out += code,
        }
    }
}

/// A name of an attribute, in quotes where it needs them.
fn write_name(out: &mut String, name: &str) {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let fits = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-'".contains(&byte));
    if starts && fits && !KEYWORDS.contains(&name) {
        *out += name;
    } else {
        write_string(out, name);
    }
}

/// Writes a string in quotes. A carriage return that is not escaped would be read as a new line.
fn write_string(out: &mut String, text: &str) {
    let special = |byte: &u8| b"\"\\\n\r\t$".contains(byte);
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.as_bytes().iter().position(special) {
        let (plain, from) = rest.split_at(at);
        *out += plain;
        *out += match from.as_bytes() {
            [b'"', ..] => "\\\"",
            [b'\\', ..] => "\\\\",
            [b'\n', ..] => "\\n",
            [b'\r', ..] => "\\r",
            [b'\t', ..] => "\\t",
            [_, b'{', ..] => "\\$",
            _ => "$",
        };
        rest = &from[1..];
    }
    *out += rest;
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(attributes: impl FnOnce(&mut Writer<'_>)) -> String {
        let mut out = String::new();
        Writer::set(&mut out, attributes);
        out
    }

    #[test]
    fn strings_are_escaped() {
        let mut escaped = String::new();
        write_string(&mut escaped, "a\"b\\c${d}$${e}$f''\n\r\t%ü");
        assert_eq!(escaped, r#""a\"b\\c\${d}$\${e}$f''\n\r\t%ü""#);
    }

    #[test]
    fn attributes_are_quoted_where_they_must_be() {
        let written = set(|all| {
            for name in ["RestartSec", "X-Stop", "a'b", "1st", "a.b", "if", "or", "", "ü", "${x}"] {
                all.code(name, "1");
            }
        });
        let names: Vec<&str> = written.lines().filter_map(|line| line.trim().strip_suffix(" = 1;")).collect();
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
        let of = |items: &[&str]| set(|all| all.list("a", items.iter().map(|item| Item::Text(item))));
        assert_eq!(of(&[]), "{\n  a = [ ];\n}\n");
        assert_eq!(of(&["x"]), "{\n  a = [ \"x\" ];\n}\n");
        assert_eq!(of(&["x", "y"]), "{\n  a = [\n    \"x\"\n    \"y\"\n  ];\n}\n");
        let fits = "x".repeat(WIDTH - 13);
        assert_eq!(of(&[&fits]).lines().nth(1).map(str::len), Some(WIDTH));
        assert_eq!(of(&[&format!("{fits}x")]).lines().count(), 5);
    }

    #[test]
    fn sets_are_joined_below_their_name() {
        let written = set(|all| {
            all.joined("all", "x", "y", |all| {
                all.inherit("(a) b");
                all.attributes(&["c", "d.e"], |inner| inner.text("f", "g"));
            });
        });
        insta::assert_snapshot!(written, @r#"
        {
          all =
            x
            // {
              inherit (a) b;
              c."d.e" = {
                f = "g";
              };
            }
            // y;
        }
        "#);
    }
}
