//! A toy NixOS for a `Machine`: a flake whose `nixosConfigurations.host` is a real derivation, built by the machine's Nix
//! and switched to by a script that does to units what NixOS does. tests/live/system holds the parts and says what is
//! modelled.

use std::collections::BTreeMap;

use super::machine::Machine;

/// Where the flake is in the machine.
pub const FLAKE: &str = "/etc/nixos";

/// What the flake calls the closure of the system.
pub const TOPLEVEL: &str = "/etc/nixos#nixosConfigurations.host.config.system.build.toplevel";

/// What a system closure is made of. Values, so that a test changes one thing of the system before.
#[derive(Debug, Clone)]
pub struct System {
    /// The files of the flake's folder `system`.
    files: BTreeMap<String, String>,
}

impl System {
    /// A system that switches well: no units, one package.
    pub fn new(version: &str) -> Self {
        let system = Self { files: BTreeMap::new() };
        let system = system.version(version).file("init-interface-version", "2").file("warmkeep", "");
        let system = system.file("platform", &format!("{}-linux", std::env::consts::ARCH));
        let scripts = ["check", "bootloader", "activation"];
        let system = scripts.iter().fold(system, |system, name| system.script(name, "exit 0"));
        system.file("etc/systemd/system/.keep", "").package("base-1.0", "base")
    }

    /// The version of NixOS; it is part of the closure's name.
    pub fn version(self, version: &str) -> Self {
        self.file("nixos-version", version)
    }

    /// A unit file.
    pub fn unit(self, name: &str, text: &str) -> Self {
        self.file(&format!("etc/systemd/system/{name}"), text)
    }

    /// A unit that is started at boot, and with each switch where it does not run.
    pub fn wanted_unit(self, name: &str, text: &str) -> Self {
        // The build makes a link of it.
        self.unit(name, text).unit(&format!("multi-user.target.wants/{name}"), "")
    }

    /// Without a unit that it had.
    pub fn without_unit(mut self, name: &str) -> Self {
        let gone = |path: &String| path.ends_with(&format!("/{name}"));
        self.files.retain(|path, _| !gone(path));
        self
    }

    /// A file in `/etc`.
    pub fn etc(self, path: &str, text: &str) -> Self {
        self.file(&format!("etc/{path}"), text)
    }

    /// A package, `name-version`, with one file in it.
    pub fn package(self, name: &str, text: &str) -> Self {
        self.file(&format!("packages/{name}"), text)
    }

    /// Without a package that it had.
    pub fn without_package(mut self, name: &str) -> Self {
        self.files.remove(&format!("packages/{name}"));
        self
    }

    /// A warmkeep in a store path of this version's own, instead of a link to the installed one.
    pub fn warmkeep(self, version: &str) -> Self {
        self.file("warmkeep", version)
    }

    /// A shell script that the switch runs, with the closure's path as its argument: `check` (fails: exit code 1, nothing
    /// is touched), `bootloader` (1 as well), `activation` (fails: exit code 2, and the rest of the switch goes on).
    pub fn script(self, name: &str, text: &str) -> Self {
        self.file(&format!("scripts/{name}"), &format!("{text}\n"))
    }

    /// Another init than the running system's: a switch touches nothing and exits 100.
    pub fn needs_reboot(self) -> Self {
        self.file("init-interface-version", "3")
    }

    fn file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.to_owned(), text.to_owned());
        self
    }
}

const PARTS: [(&str, &str); 3] = [
    ("flake.nix", include_str!("../live/system/flake.nix")),
    ("activate", include_str!("../live/system/activate")),
    ("switch-to-configuration", include_str!("../live/system/switch-to-configuration")),
];

impl Machine {
    /// Writes the flake of a system. It is a plain folder; `commit_system` makes a git repository of it.
    pub fn write_system(&self, system: &System) {
        self.sh(&format!("rm -rf {FLAKE}/system && mkdir -p {FLAKE}"));
        for (name, text) in PARTS {
            self.write_on_host(&format!("{FLAKE}/{name}"), text);
        }
        for (path, text) in &system.files {
            self.write_on_host(&format!("{FLAKE}/system/{path}"), text);
        }
    }

    /// Commits the flake as it is; a date (`2026-11-21T03:00:00Z`) makes it as old as a test wants.
    pub fn commit_system(&self, date: &str) -> String {
        self.sh(&format!(
            "cd {FLAKE} && git init -q && git config user.name Host && git config user.email host@example.org && \
             git add -A && GIT_AUTHOR_DATE={date} GIT_COMMITTER_DATE={date} git commit -q --allow-empty -m system && \
             git rev-parse HEAD"
        ))
    }

    /// Builds what the flake says; its store path.
    pub fn build_system(&self) -> String {
        self.sh(&format!("nix build --no-link --print-out-paths '{TOPLEVEL}'"))
    }

    /// Makes a system the machine's first generation: built, in the profile, active, its units started.
    pub fn install_system(&self, system: &System) -> String {
        self.write_system(system);
        let built = self.build_system();
        self.sh(&format!(
            "nix-env -p /nix/var/nix/profiles/system --set {built} && {built}/activate && \
             systemctl daemon-reload && systemctl start multi-user.target && ln -sfn {built} /run/booted-system"
        ));
        built
    }

    /// The system that is active.
    pub fn current_system(&self) -> String {
        self.sh("readlink -f /run/current-system")
    }

    /// The system that the profile's newest, and so the next boot's, generation is.
    pub fn profile(&self) -> String {
        self.sh("readlink -f /nix/var/nix/profiles/system")
    }
}
