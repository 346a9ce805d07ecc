//! The system as it is: what runs, what the profile names, what has failed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::decide::Running;
use super::journal::{Before, Journal};
use crate::error::{Error, Result};
use crate::sys::clock::{self, Deadline};
use crate::sys::{files, nix, proc, systemd};

/// The link to the running system.
const RUNNING: &str = "/run/current-system";
/// The most that is read of a version, in bytes.
const LABEL: u64 = 4096;
/// How long systemd may be away: a switch starts it anew.
const AWAY: Duration = Duration::from_secs(90);

/// The store path of the running system.
pub(super) fn running() -> Result<PathBuf> {
    if !files::exists(Path::new(RUNNING)) {
        return Err(Error::new(format!("this is no NixOS: there is no {RUNNING}")).remedy(
            "`rebuild` is for NixOS hosts; elsewhere leave `nightly.rebuild` out of the configuration",
        ));
    }
    files::canonical(Path::new(RUNNING))
}

/// The system before it is touched.
pub(super) fn look() -> Result<Before> {
    let profile = nix::generation(&nix::system_profile())?;
    Ok(Before {
        running: running()?,
        generation: profile.as_ref().and_then(|generation| generation.number),
        profile: profile.map(|generation| generation.path),
        failed_units: failed_units()?,
    })
}

/// The units that have failed; none where there is no systemd.
pub(super) fn failed_units() -> Result<BTreeSet<String>> {
    if proc::init_is_systemd() { patiently(systemd::failed_units) } else { Ok(BTreeSet::new()) }
}

/// Asks systemd again for a while where it does not answer.
pub(super) fn patiently<T>(ask: impl Fn() -> Result<T>) -> Result<T> {
    let deadline = Deadline::after(AWAY);
    loop {
        match ask() {
            Err(e) if !deadline.passed() => {
                tracing::debug!(name: "systemd.away", error = e.chain());
                clock::sleep(Duration::from_secs(1));
            }
            other => return other,
        }
    }
}

/// Which of the two systems of a rebuild runs.
pub(super) fn which(journal: &Journal) -> Result<Running> {
    let running = running()?;
    Ok(if journal.to.as_ref() == Some(&running) {
        Running::Target
    } else if journal.before.running == running {
        Running::Previous
    } else {
        Running::Other
    })
}

/// The generation that the profile is at.
pub(super) fn generation() -> Result<Option<u64>> {
    Ok(nix::generation(&nix::system_profile())?.and_then(|generation| generation.number))
}

/// The program that activates a system.
pub(super) fn activator(system: &Path) -> PathBuf {
    system.join("bin/switch-to-configuration")
}

/// The version that NixOS calls a system by; nothing where it has none.
pub(super) fn label(system: &Path) -> Result<String> {
    let text = files::read_if_exists(&system.join("nixos-version"), LABEL)?;
    Ok(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned())
}

/// A system that cannot be activated is not begun with.
pub(super) fn check(system: &Path) -> Result<()> {
    let program = activator(system);
    if files::facts_followed(&program)?.is_some_and(|facts| facts.is_file && facts.mode & 0o111 != 0) {
        return Ok(());
    }
    Err(Error::new(format!(
        "{} cannot be activated: it has no bin/switch-to-configuration",
        system.display()
    ))
    .remedy("see that `system.switch.enable` is on in its NixOS configuration"))
}
