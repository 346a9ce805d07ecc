//! What units say that is not in the configuration: which program they run, and where its configuration is.

use std::path::Path;

use crate::error::{Error, Result};

/// What units say that is not in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    program: String,
    config: String,
}

impl Settings {
    /// The path of warmkeep, and that of the configuration; both absolute, and such that systemd can run them.
    pub fn new(program: &Path, config: &Path) -> Result<Self> {
        let program = text(program, "program")?;
        // systemd runs no program whose path has one of these, however it is quoted.
        if let Some(c) = program.chars().find(|c| c.is_ascii_control() || matches!(c, '"' | '\'' | '\\')) {
            let what = format!("systemd runs no program with {c:?} in its path: {program:?}");
            return Err(Error::usage(what).remedy("name another with --program, say a link to it"));
        }
        Ok(Self { program, config: text(config, "configuration")? })
    }

    /// The argv of a verb.
    pub(super) fn argv(&self, verb: &[&str]) -> Vec<String> {
        let own = [self.program.as_str(), "--config", self.config.as_str()];
        own.iter().chain(verb).map(|&word| word.to_owned()).collect()
    }

    /// The files that a unit must be able to reach.
    pub(super) fn paths(&self) -> [&Path; 2] {
        [Path::new(&self.program), Path::new(&self.config)]
    }
}

fn text(path: &Path, what: &str) -> Result<String> {
    let wrong = |why: &str| Error::usage(format!("the {what}'s path {why}: {}", path.display()));
    if !path.is_absolute() {
        return Err(
            wrong("is not absolute").remedy("units are started without a folder; write the whole path")
        );
    }
    let text = path.to_str().ok_or_else(|| wrong("is no valid text, which unit files are"))?;
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(program: &str, config: &str) -> String {
        Settings::new(Path::new(program), Path::new(config)).unwrap_err().chain()
    }

    #[test]
    fn what_systemd_cannot_run_is_refused() {
        assert!(refused("warmkeep", "/etc/warmkeep").starts_with("the program's path is not absolute"));
        assert!(refused("/bin/warmkeep", "etc").starts_with("the configuration's path is not absolute"));
        assert!(
            refused("/opt/it's/warmkeep", "/etc/warmkeep").contains("systemd runs no program with '\\''")
        );
    }

    #[test]
    fn an_odd_configuration_path_is_fine() {
        let settings = Settings::new(Path::new("/bin/w k"), Path::new("/etc/it's \"x\"\n")).unwrap();
        assert_eq!(settings.argv(&["check"]), ["/bin/w k", "--config", "/etc/it's \"x\"\n", "check"]);
    }
}
