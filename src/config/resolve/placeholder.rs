//! `{version}`, `{release}`, `{data}` and `{app}` in programs and variables.

use super::Resolver;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::Driver;
use crate::config::suggest::closest;

const KNOWN: [&str; 4] = ["version", "release", "data", "app"];

impl Resolver<'_> {
    /// Looks for placeholders that nothing would fill, in each of several texts.
    pub(super) fn placeholders(&mut self, texts: &[String], at: &At<'_>) {
        for (index, text) in texts.iter().enumerate() {
            self.placeholder(text, &at.item(index));
        }
    }

    /// Looks for placeholders that nothing would fill: names that are nearly one. Other names in braces, and all those in
    /// a script that is written out in the text, are the program's own.
    pub(super) fn placeholder(&mut self, text: &str, at: &At<'_>) {
        if text.contains(char::is_whitespace) {
            return;
        }
        for name in names(text).filter(|name| !KNOWN.contains(name)) {
            let Some(meant) = closest(name, KNOWN) else { continue };
            let problem =
                Problem::new(format!("unknown placeholder `{{{}}}`", crate::config::printable::cut(name)));
            let problem =
                problem.expected("{version}, {release}, {data} or {app}").meant(Some(format!("{{{meant}}}")));
            self.report
                .value(at, problem.remedy("Where braces are meant as such, put the text into a script."));
        }
    }

    /// `{data}` stands for a declared folder; without one it would stand for nothing.
    pub(super) fn no_data_placeholder(&mut self, driver: &Driver, app: &At<'_>) {
        let at = app.key("driver");
        let at = at.key(driver.name());
        match driver {
            Driver::Process(process) => {
                self.no_data(&process.command, &at.key("command"));
                self.no_data(&process.prepare, &at.key("prepare"));
                let env = at.key("env");
                process.env.iter().for_each(|(name, value)| self.no_data_in(value, &env.key(name)));
                let directory = at.key("workingDirectory");
                process.working_directory.iter().for_each(|text| self.no_data_in(text, &directory));
            }
            Driver::Command(command) => {
                self.no_data(&command.deploy, &at.key("deploy"));
                self.no_data(&command.stop, &at.key("stop"));
                self.no_data(&command.status, &at.key("status"));
                self.no_data(&command.gone, &at.key("gone"));
                self.no_data(&command.volumes, &at.key("volumes"));
                self.no_data(&command.prefetch, &at.key("prefetch"));
            }
            _ => {}
        }
    }

    fn no_data(&mut self, texts: &[String], at: &At<'_>) {
        texts.iter().enumerate().for_each(|(index, text)| self.no_data_in(text, &at.item(index)));
    }

    fn no_data_in(&mut self, text: &str, at: &At<'_>) {
        if names(text).any(|name| name == "data") {
            let problem = Problem::new("`{data}` stands for nothing: the app has no `data.paths`");
            self.report
                .value(at, problem.remedy("Declare the folder in `data.paths`, or write it out here."));
        }
    }
}

/// The placeholders in a text: a plain name alone between single braces. JSON, shell variables such as `${x}` and doubled
/// braces are none.
fn names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('{').filter_map(|(open, _)| {
        let inner = text.get(open + 1..)?;
        let (name, after) = inner.split_once('}')?;
        let named = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let single = !text.get(..open)?.ends_with(['$', '{']) && !after.starts_with('}');
        (named && single).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_alone_in_single_braces_is_a_placeholder() {
        let found = |text| names(text).collect::<Vec<_>>();
        assert_eq!(found("{release}/bin {app}"), ["release", "app"]);
        let others = r#"{"a":1} ${HOME} {{version}} {} {a b} {1} { version } {{.Name}} {a"#;
        assert_eq!(found(others), Vec::<&str>::new());
    }
}
