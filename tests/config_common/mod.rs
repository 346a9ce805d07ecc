//! Configurations in temporary folders, for the tests of the configuration.
#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]
#![expect(clippy::disallowed_methods, reason = "tests drive the real system")]

use warmkeep::config::model::Config;
use warmkeep::config::{Invalid, load};

/// Loads one file that holds these bytes.
pub(crate) fn load_bytes(bytes: &[u8]) -> Result<Config, Invalid> {
    load_files(&[("warmkeep.json", bytes)]).map_err(|(invalid, _)| invalid)
}

/// Loads one file, or a folder of several. What is wrong comes with its report, without the folder's name.
pub(crate) fn load_files(files: &[(&str, &[u8])]) -> Result<Config, (Invalid, String)> {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = if files.len() == 1 { folder.path().join(files[0].0) } else { folder.path().to_owned() };
    load(&path).map_err(|invalid| {
        let report = invalid.render(false).replace(&format!("{}/", folder.path().display()), "");
        let lines: Vec<&str> = report.lines().map(str::trim_end).collect();
        (invalid, lines.join("\n"))
    })
}
