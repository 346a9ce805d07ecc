//! Nix, through its own programs. What they print is given back as it is; understanding it is done elsewhere.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::process::{Output, Program, Watch};
use super::{env, files};
use crate::error::{Error, Result};

/// Where Nix keeps its profiles, unless `NIX_STATE_DIR` says otherwise.
const STATE: &str = "/nix/var/nix";
/// How long what only looks something up may take.
const LOOK: Duration = Duration::from_secs(300);

/// The profile of the system.
pub fn system_profile() -> PathBuf {
    env::var("NIX_STATE_DIR").map_or_else(|| PathBuf::from(STATE), PathBuf::from).join("profiles/system")
}

/// A command of `nix`, which is still called experimental.
fn nix(arguments: &[&str]) -> Program {
    let always = ["nix", "--extra-experimental-features", "nix-command flakes"];
    Program::new(always.iter().chain(arguments).copied()).env("LC_ALL", "C")
}

/// `nix flake metadata --json`, taken from its source and from no cache. No lock file is written.
pub fn flake_metadata(flake: &str, limit: Duration, watch: &mut dyn Watch) -> Result<Output> {
    let words = ["flake", "metadata", "--json", "--refresh", "--no-write-lock-file", "--", flake];
    nix(&words).timeout(limit).run_watched(watch)
}

/// `nix build --json` of one installable; `root` becomes a link to the result, and keeps it from being collected. No
/// lock file is written.
pub fn build(installable: &str, root: &Path, limit: Duration, watch: &mut dyn Watch) -> Result<Output> {
    let root = root.to_string_lossy();
    let words = ["build", "--json", "--no-write-lock-file", "--out-link", &root, "--", installable];
    nix(&words).timeout(limit).run_watched(watch)
}

/// The closure of a store path: a line for each path, with its size in bytes.
pub fn closure(path: &Path) -> Result<String> {
    let list = nix(&["path-info", "-r", "-s", "--", &path.to_string_lossy()]);
    let output = list.timeout(LOOK).keep(64 << 20).run_ok()?;
    if output.stdout_cut {
        return Err(Error::new(format!("the closure of {} is too large to list", path.display())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Keeps a store path from being collected as long as the link `root` is there.
pub fn add_root(path: &Path, root: &Path) -> Result<()> {
    let (path, root) = (path.to_string_lossy(), root.to_string_lossy());
    Program::new(["nix-store", "--realise", &path, "--add-root", &root]).timeout(LOOK).run_ok().map(drop)
}

/// Makes a new generation of a profile; none where the newest is this path already.
pub fn set_profile(profile: &Path, path: &Path) -> Result<()> {
    let (profile, path) = (profile.to_string_lossy(), path.to_string_lossy());
    Program::new(["nix-env", "-p", &profile, "--set", &path]).timeout(LOOK).run_ok().map(drop)
}

/// Makes an earlier generation of a profile the current one.
pub fn switch_generation(profile: &Path, generation: u64) -> Result<()> {
    let (profile, number) = (profile.to_string_lossy(), generation.to_string());
    Program::new(["nix-env", "-p", &profile, "--switch-generation", &number]).timeout(LOOK).run_ok().map(drop)
}

/// A profile's current generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Its number; `None` where the profile's link does not name one.
    pub number: Option<u64>,
    /// The store path.
    pub path: PathBuf,
}

/// A profile's current generation; `None`: there is no profile yet.
pub fn generation(profile: &Path) -> Result<Option<Generation>> {
    let Some(link) = files::read_link(profile)? else { return Ok(None) };
    let number = link.file_name().and_then(|name| number_of(&name.to_string_lossy()));
    Ok(Some(Generation { number, path: files::canonical(profile)? }))
}

/// Whether a generation of a profile is there, and is this path.
pub fn holds(profile: &Path, number: u64, path: &Path) -> Result<bool> {
    let link = generation_link(profile, number);
    Ok(files::exists(&link) && files::canonical(&link)? == path)
}

/// The link of one generation of a profile.
fn generation_link(profile: &Path, number: u64) -> PathBuf {
    let name = profile.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    profile.with_file_name(format!("{name}-{number}-link"))
}

fn number_of(link: &str) -> Option<u64> {
    link.strip_suffix("-link")?.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_numbered_by_its_link() {
        assert_eq!(number_of("system-42-link"), Some(42));
        assert_eq!([number_of("system"), number_of("system-x-link")], [None, None]);
        let link = generation_link(Path::new("/nix/var/nix/profiles/system"), 7);
        assert_eq!(link, Path::new("/nix/var/nix/profiles/system-7-link"));
    }
}
