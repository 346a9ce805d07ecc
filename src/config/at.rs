//! Where in the configuration something is, as a path of keys.

/// One step of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step<'a> {
    /// Into an object.
    Key(&'a str),
    /// Into a list, from 0.
    Item(usize),
}

/// A path, as a chain of borrowed steps: it costs nothing until it must be printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    step: Option<(&'a At<'a>, Step<'a>)>,
}

impl<'a> At<'a> {
    /// The whole configuration.
    pub(super) const ROOT: At<'static> = At { step: None };

    /// One key further down.
    pub(super) fn key(&'a self, key: &'a str) -> At<'a> {
        At { step: Some((self, Step::Key(key))) }
    }

    /// One list element further down.
    pub(super) fn item(&'a self, index: usize) -> At<'a> {
        At { step: Some((self, Step::Item(index))) }
    }

    /// All steps, from the top.
    pub(super) fn steps(&self) -> Vec<Step<'a>> {
        let mut steps = Vec::new();
        let mut here = self.step;
        while let Some((parent, step)) = here {
            steps.push(step);
            here = parent.step;
        }
        steps.reverse();
        steps
    }
}

/// A path as people write it: `apps.notes.after[0]`. A key that is not a plain word stands in quotes.
pub(super) fn written(steps: &[Step<'_>]) -> String {
    let mut text = String::new();
    for step in steps {
        match step {
            Step::Item(index) => text.extend(["[", &index.to_string(), "]"]),
            Step::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&written_key(key));
            }
        }
    }
    text
}

fn written_key(key: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$');
    if !key.is_empty() && key.len() <= 80 && key.chars().all(plain) {
        key.to_owned()
    } else {
        super::printable::quoted(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_would_be_written() {
        let apps = At::ROOT.key("apps");
        let app = apps.key("my.app");
        let after = app.key("after");
        assert_eq!(written(&after.item(2).steps()), r#"apps."my.app".after[2]"#);
        assert_eq!(written(&At::ROOT.steps()), "");
    }

    #[test]
    fn a_hostile_key_is_escaped_and_cut() {
        let key = format!("\u{1b}[2J{}", "x".repeat(5000));
        let text = written(&[Step::Key(&key)]);
        assert!(text.len() < 120 && !text.contains('\u{1b}'), "{text}");
    }
}
