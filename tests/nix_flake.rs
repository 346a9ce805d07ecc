//! The flake, as far as it can be evaluated without nixpkgs: a real Nix reads every file.
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::fs;
use std::path::PathBuf;

use common::evaluator::{Nix, examples, repository};
use serde_json::{Value, json};

/// Every Nix file of the repository.
fn nix_files() -> Vec<PathBuf> {
    let mut files = vec![repository().join("flake.nix")];
    for folder in ["modules", "nix", "nix/tests", "tests/nix"] {
        let entries = fs::read_dir(repository().join(folder)).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        files.extend(paths.filter(|path| path.extension().is_some_and(|end| end == "nix")));
    }
    files.sort();
    files
}

fn outputs(tail: &str) -> String {
    let flake = repository().join("flake.nix");
    format!(
        "let flake = import {}; self = flake.outputs {{ inherit self; nixpkgs = {{ }}; }}; in {tail}",
        flake.display()
    )
}

#[test]
fn every_nix_file_is_understood_by_nix() {
    let Some(nix) = Nix::for_test("every_nix_file_is_understood_by_nix") else { return };
    for file in nix_files() {
        let ran = nix.run("nix-instantiate", &["--parse", file.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{}\n{}", file.display(), ran.stderr);
    }
}

#[test]
fn the_flake_says_what_it_offers_before_nixpkgs_is_there() {
    let Some(nix) = Nix::for_test("the_flake_says_what_it_offers_before_nixpkgs_is_there") else { return };
    let names = "builtins.mapAttrs (_: builtins.attrNames) self";
    let systems = json!(["aarch64-linux", "x86_64-linux"]);
    assert_eq!(
        nix.eval(&outputs(names)),
        json!({
            "packages": systems, "apps": systems, "checks": systems, "devShells": systems, "formatter": systems,
            "nixosModules": ["default"], "overlays": ["default"]
        })
    );
}

#[test]
fn the_overlay_adds_the_package_and_nothing_else() {
    let Some(nix) = Nix::for_test("the_overlay_adds_the_package_and_nothing_else") else { return };
    let overlaid = "self.overlays.default { callPackage = file: _: baseNameOf file; } { }";
    assert_eq!(nix.eval(&outputs(overlaid)), json!({ "warmkeep": "package.nix" }));
}

#[test]
fn the_module_takes_nothing_but_what_every_module_is_given() {
    let Some(nix) = Nix::for_test("the_module_takes_nothing_but_what_every_module_is_given") else { return };
    for module in ["default", "options", "assertions"] {
        let file = repository().join(format!("modules/{module}.nix"));
        let arguments =
            nix.eval(&format!("builtins.attrNames (builtins.functionArgs (import {}))", file.display()));
        let given = ["config", "lib", "pkgs"];
        for argument in arguments.as_array().unwrap() {
            assert!(given.contains(&argument.as_str().unwrap()), "{module}: {argument}");
        }
    }
}

#[test]
fn the_lock_file_is_what_nix_would_write_and_up_to_date() {
    let Some(nix) = Nix::for_test("the_lock_file_is_what_nix_would_write_and_up_to_date") else { return };
    let text = fs::read_to_string(repository().join("flake.lock")).unwrap();
    let lock: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        text,
        format!("{}\n", serde_json::to_string_pretty(&lock).unwrap()),
        "sorted keys, two spaces"
    );

    // Nix itself reads it, and finds nothing in the flake that it would have to lock anew.
    let flake = nix.path("flake");
    fs::create_dir(&flake).unwrap();
    for file in ["flake.nix", "flake.lock"] {
        fs::copy(repository().join(file), flake.join(file)).unwrap();
    }
    let url = format!("path:{}", flake.display());
    let ran = nix.run("nix", &["flake", "metadata", "--json", "--no-update-lock-file", &url]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.json()["locks"], lock);
}

#[test]
fn every_nix_example_of_the_documentation_is_understood_by_nix() {
    let Some(nix) = Nix::for_test("every_nix_example_of_the_documentation_is_understood_by_nix") else {
        return;
    };
    let examples = examples("docs/nix.md");
    assert!(examples.len() >= 2, "{examples:?}");
    for (number, example) in examples.iter().enumerate() {
        let file = nix.path(&format!("example-{number}.nix"));
        fs::write(&file, example).unwrap();
        let ran = nix.run("nix-instantiate", &["--parse", file.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{example}\n{}", ran.stderr);
    }
}
