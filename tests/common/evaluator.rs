//! A real Nix with a store of its own: it needs no daemon, no network and no root, and leaves nothing behind.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::{Ran, ran};

const CONFIGURATION: &str = "sandbox = false\nbuild-users-group =\nsubstituters =\nflake-registry =\n\
                             experimental-features = nix-command flakes\n";

/// A Nix of this machine's, with its own store, state and configuration.
pub struct Nix {
    dir: tempfile::TempDir,
}

impl Nix {
    /// None, loudly, where Nix is not installed.
    pub fn for_test(test: &str) -> Option<Self> {
        if Command::new("nix-instantiate").arg("--version").output().is_err() {
            super::skip(test, "Nix", "apt-get install nix-bin");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("warmkeep-nix-").tempdir().unwrap();
        fs::create_dir_all(dir.path().join("etc")).unwrap();
        fs::write(dir.path().join("etc/nix.conf"), CONFIGURATION).unwrap();
        Some(Self { dir })
    }

    pub fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    /// Runs one of Nix's programs.
    pub fn run(&self, program: &str, arguments: &[&str]) -> Ran {
        let mut command = Command::new(program);
        command.args(arguments).env("HOME", self.dir.path()).env_remove("NIX_PATH").env_remove("NIX_REMOTE");
        for (variable, part) in [
            ("NIX_STORE_DIR", "store"),
            ("NIX_STATE_DIR", "var"),
            ("NIX_LOG_DIR", "log"),
            ("NIX_CONF_DIR", "etc"),
        ] {
            command.env(variable, self.path(part));
        }
        ran(command.output().unwrap())
    }

    /// The value of an expression, as JSON.
    pub fn eval(&self, expression: &str) -> Value {
        let ran = self.try_eval(expression);
        assert_eq!(ran.code, 0, "{expression}\n{}", ran.stderr);
        ran.json()
    }

    pub fn try_eval(&self, expression: &str) -> Ran {
        self.run("nix-instantiate", &["--eval", "--strict", "--json", "--expr", expression])
    }

    /// The path in the store of what an expression copies there.
    pub fn copied(&self, expression: &str) -> String {
        let arguments = ["--eval", "--read-write-mode", "--json", "--expr", expression];
        let ran = self.run("nix-instantiate", &arguments);
        assert_eq!(ran.code, 0, "{expression}\n{}", ran.stderr);
        ran.json().as_str().unwrap().to_owned()
    }

    /// Builds an expression; what it printed is on stderr.
    pub fn build(&self, expression: &str) -> Ran {
        self.run("nix-build", &["--no-out-link", "--expr", expression])
    }
}

impl Drop for Nix {
    fn drop(&mut self) {
        // A store is read-only, so that the temporary folder could not remove it.
        let _ = Command::new("chmod").arg("-R").arg("u+w").arg(self.dir.path()).output();
    }
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The blocks of a page that are marked as Nix.
pub fn examples(page: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join(page)).unwrap();
    let blocks = text.split("```nix\n").skip(1);
    blocks.filter_map(|rest| rest.split_once("```").map(|(block, _)| block.to_owned())).collect()
}

/// The folder that holds nixpkgs' `lib` and `nixos/lib`; none, loudly, where it is not at hand.
pub fn nixpkgs(test: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("WARMKEEP_NIXPKGS").map(PathBuf::from);
    if folder.is_none() {
        super::say(&format!(
            "SKIPPED {test}: nixpkgs is missing; set WARMKEEP_NIXPKGS to a folder with its lib/ and nixos/lib/"
        ));
    }
    folder
}
