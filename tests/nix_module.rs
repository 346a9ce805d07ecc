//! The NixOS module under nixpkgs' own lib and its own types of systemd units. nixpkgs is not in the repository: say where
//! it is with `WARMKEEP_NIXPKGS`.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::evaluator::{self, Nix, repository};
use common::{Ran, binary};
use serde_json::{Value, json};

/// An app in a process: healthy configuration, as Nix.
const NOTES: &str = r#"services.warmkeep.settings.apps.notes = {
    driver.process.command = [ "{release}/bin/notes" "--data" "{data}" ];
    data.paths = [ "/var/lib/notes" ];
    versions.source.directory.path = "/srv/notes/releases";
    health.checks.http.http.url = "http://127.0.0.1:8081/healthz";
};"#;

/// An app in a swarm.
const KEYCLOAK: &str = r#"services.warmkeep.settings.apps.keycloak = {
    driver.swarm.files = [ "/srv/keycloak/stack.yml" ];
    data.discover = true;
    versions.source.list.versions = [ "26.0.0" ];
    health.checks.up.containers = { };
    after = [ "notes" ];
};"#;

const SINK: &str = r#"services.warmkeep.settings.alerts.sinks.phone.webhook = {
    url = "https://ntfy.example.org/warmkeep";
    bearerFile = "/run/secrets/ntfy";
};"#;

/// A NixOS host that imports the module.
struct Host {
    nix: Nix,
    nixpkgs: PathBuf,
}

impl Host {
    /// None, loudly, where Nix or nixpkgs is missing.
    fn for_test(test: &str) -> Option<Self> {
        let nixpkgs = evaluator::nixpkgs(test)?;
        let nix = Nix::for_test(test)?;
        let programs = nix.path("programs");
        fs::create_dir(&programs).unwrap();
        std::os::unix::fs::symlink(binary(), programs.join("warmkeep")).unwrap();
        Some(Self { nix, nixpkgs })
    }

    /// The host with these modules.
    fn with(&self, modules: &str, tail: &str) -> String {
        format!(
            "(import {}/tests/nix/host.nix {{ nixpkgs = {}; programs = {}; modules = [ {modules} ]; }}).{tail}",
            repository().display(),
            self.nixpkgs.display(),
            Value::String(self.nix.path("programs").display().to_string()),
        )
    }

    /// The host with warmkeep and this configuration.
    fn with_warmkeep(&self, configuration: &str, tail: &str) -> String {
        let module = repository().join("modules").display().to_string();
        self.with(&format!("{module} {{ services.warmkeep.enable = true; {configuration} }}"), tail)
    }

    fn eval(&self, configuration: &str, tail: &str) -> Value {
        self.nix.eval(&self.with_warmkeep(configuration, tail))
    }

    /// What evaluation refuses.
    fn refused(&self, configuration: &str) -> Vec<String> {
        serde_json::from_value(self.eval(configuration, "refused")).unwrap()
    }

    fn build(&self, configuration: &str) -> Ran {
        self.nix.build(&self.with_warmkeep(configuration, "config.services.warmkeep.generated"))
    }

    /// What the package wrote at build time.
    fn generated(&self, configuration: &str) -> PathBuf {
        let ran = self.build(configuration);
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        PathBuf::from(ran.stdout.trim())
    }

    /// Asserts that evaluation refuses a configuration, for one reason.
    fn refuses(&self, configuration: &str, reason: &str) {
        let refused = self.refused(configuration);
        assert!(refused.len() == 1 && refused[0].contains(reason), "{refused:#?}");
    }
}

/// The host of a test, or its end where something is missing.
macro_rules! host {
    ($test:literal) => {
        match Host::for_test($test) {
            Some(host) => host,
            None => return,
        }
    };
}

/// The units in a folder, by their names.
fn units(folder: &Path) -> BTreeMap<String, String> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.is_file());
    let text = |path: &Path| fs::read_to_string(path).unwrap();
    files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), text(&path))).collect()
}

/// The directives of a unit, each with its section, without what is empty or a comment. NixOS puts quotes around each
/// variable, needed or not.
fn directives(unit: &str) -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in unit.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with(['#', ';'])) {
        if line.starts_with('[') {
            section = line;
        } else {
            let bare = line.strip_prefix("Environment=\"").and_then(|rest| rest.strip_suffix('"'));
            let bare = bare.filter(|rest| !rest.contains([' ', '\\', '"']));
            let line = bare.map_or_else(|| line.to_owned(), |rest| format!("Environment={rest}"));
            found.insert(format!("{section} {line}"));
        }
    }
    found
}

#[test]
fn a_host_s_settings_become_one_checked_file_and_the_units() {
    let host = host!("a_host_s_settings_become_one_checked_file_and_the_units");
    let out = host.generated(&format!("{NOTES}{SINK}"));
    let file = fs::read(out.join("share/warmkeep/warmkeep.json")).unwrap();
    let written: Value = serde_json::from_slice(&file).unwrap();
    assert_eq!(
        written,
        json!({
            "schema": 1,
            "host": { "stateDir": "/var/lib/warmkeep", "runtimeDir": "/run/warmkeep" },
            "apps": { "notes": {
                "driver": { "process": { "command": ["{release}/bin/notes", "--data", "{data}"] } },
                "data": { "paths": ["/var/lib/notes"] },
                "versions": { "source": { "directory": { "path": "/srv/notes/releases" } } },
                "health": { "checks": { "http": { "http": { "url": "http://127.0.0.1:8081/healthz" } } } },
                "after": []
            } },
            "nightly": { "onCalendar": "03:00" },
            "alerts": { "sinks": { "phone": { "webhook": {
                "url": "https://ntfy.example.org/warmkeep", "bearerFile": "/run/secrets/ntfy"
            } } } }
        })
    );
    let names: Vec<String> = units(&out.join("lib/systemd/system")).into_keys().collect();
    assert_eq!(
        names,
        [
            "warmkeep-alerts.path",
            "warmkeep-alerts.service",
            "warmkeep-nightly.service",
            "warmkeep-nightly.timer",
            "warmkeep-notes.service"
        ]
    );
}

#[test]
fn what_the_documentation_shows_is_accepted_and_built() {
    let host = host!("what_the_documentation_shows_is_accepted_and_built");
    let files: Vec<PathBuf> =
        (0..).map(|number| host.nix.path(&format!("example-{number}.nix"))).take(2).collect();
    for (file, example) in files.iter().zip(evaluator::examples("docs/nix.md")) {
        fs::write(file, example).unwrap();
    }
    // The first is a flake, whose host has a configuration.nix that is not ours to write; the second a module.
    let modules = format!(
        "{{ imports = [ {} ] ++ builtins.tail ((import {}).outputs {{
            nixpkgs.lib.nixosSystem = system: system; warmkeep.nixosModules.default = {}/modules;
        }}).nixosConfigurations.host.modules; }}",
        files[1].display(),
        files[0].display(),
        repository().display()
    );
    assert_eq!(host.nix.eval(&host.with(&modules, "refused")), json!([]));
    let ran = host.nix.build(&host.with(&modules, "config.services.warmkeep.generated"));
    assert_eq!(ran.code, 0, "{}", ran.stderr);
}

#[test]
fn what_a_person_reads_by_hand_is_the_file_that_the_units_name() {
    let host = host!("what_a_person_reads_by_hand_is_the_file_that_the_units_name");
    let etc = host.eval(NOTES, "config.environment.etc.\"warmkeep/warmkeep.json\".source");
    let out = host.generated(NOTES);
    assert_eq!(etc, json!(out.join("share/warmkeep/warmkeep.json")));
    let nightly = &units(&out.join("lib/systemd/system"))["warmkeep-nightly.service"];
    assert!(nightly.contains("/etc/warmkeep/warmkeep.json"), "{nightly}");
}

#[test]
fn a_wrong_setting_fails_the_build_with_its_own_message() {
    let host = host!("a_wrong_setting_fails_the_build_with_its_own_message");
    let ran = host.build(&format!("{NOTES} services.warmkeep.settings.apps.notes.health.pases = 2;"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("apps.notes.health.pases"), "{}", ran.stderr);
    assert!(ran.stderr.contains("passes"), "no suggestion: {}", ran.stderr);
}

#[test]
fn a_calendar_that_systemd_cannot_read_fails_the_build() {
    let host = host!("a_calendar_that_systemd_cannot_read_fails_the_build");
    let ran = host.build(&format!("{NOTES} services.warmkeep.settings.nightly.onCalendar = \"25:61\";"));
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("25:61"), "{}", ran.stderr);
}

#[test]
fn nixos_adds_to_units_that_warmkeep_wrote_and_to_no_others() {
    let host = host!("nixos_adds_to_units_that_warmkeep_wrote_and_to_no_others");
    for configuration in [NOTES.to_owned(), format!("{NOTES}{SINK}")] {
        let written = units(&host.generated(&configuration).join("lib/systemd/system"));
        let added = host.eval(&configuration, "units");
        let added: BTreeSet<&String> = added.as_object().unwrap().keys().collect();
        assert_eq!(added, written.keys().collect());
    }
}

#[test]
fn what_install_sections_say_is_said_to_nixos_which_does_not_read_them() {
    let host = host!("what_install_sections_say_is_said_to_nixos_which_does_not_read_them");
    let configuration = format!("{NOTES}{SINK}");
    let written = units(&host.generated(&configuration).join("lib/systemd/system"));
    let added: BTreeMap<String, String> = serde_json::from_value(host.eval(&configuration, "units")).unwrap();
    let install = |unit: &String| -> BTreeSet<String> {
        directives(unit).into_iter().filter(|line| line.starts_with("[Install]")).collect()
    };
    for (name, unit) in &written {
        assert_eq!(install(&added[name]), install(unit), "{name}");
    }
}

#[test]
fn the_nightly_run_has_the_environment_of_nixos_own_upgrade() {
    let host = host!("the_nightly_run_has_the_environment_of_nixos_own_upgrade");
    let configuration = format!(
        "{NOTES} nix.envVars.NIX_SSL_CERT_FILE = \"/etc/ssl/ca.crt\";
         networking.proxy.envVars.https_proxy = \"http://proxy:3128\";"
    );
    let environment = host.eval(&configuration, "config.systemd.services.warmkeep-nightly.environment");
    let mut environment = environment.as_object().unwrap().clone();
    let path = environment.remove("PATH").unwrap();
    assert_eq!(
        Value::Object(environment),
        json!({
            "HOME": "/root",
            "NIX_PATH": "nixpkgs=/nix/var/nix/profiles/per-user/root/channels/nixos",
            "NIX_SSL_CERT_FILE": "/etc/ssl/ca.crt",
            "https_proxy": "http://proxy:3128"
        })
    );
    for program in ["nix/", "gitMinimal/", "openssh/", "gnutar/", "xz/", "gzip/", "coreutils/"] {
        assert!(path.as_str().unwrap().contains(program), "{program} in {path}");
    }
}

#[test]
fn an_app_of_docker_finds_docker_and_others_do_not() {
    let host = host!("an_app_of_docker_finds_docker_and_others_do_not");
    let docker = "virtualisation.docker.enable = true;";
    let path = "config.systemd.services.warmkeep-notes.environment.PATH";
    let without = host.eval(NOTES, path).to_string();
    let with = host.eval(&format!("{NOTES}{KEYCLOAK}{docker}"), path).to_string();
    assert!(!without.contains("docker") && with.contains("docker"), "{without}\n{with}");
}

#[test]
fn only_a_changed_app_is_looked_at_when_a_change_is_activated() {
    let host = host!("only_a_changed_app_is_looked_at_when_a_change_is_activated");
    let configuration = format!("{NOTES}{KEYCLOAK}");
    let triggers = |more: &str| -> Vec<Value> {
        ["notes", "keycloak"]
            .map(|app| {
                let unit = format!("config.systemd.services.warmkeep-{app}.restartTriggers");
                host.eval(&format!("{configuration}{more}"), &unit)
            })
            .into()
    };
    let (before, after) =
        (triggers(""), triggers("services.warmkeep.settings.apps.notes.health.soak = \"1s\";"));
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
}

#[test]
fn a_sound_host_is_refused_nothing() {
    let host = host!("a_sound_host_is_refused_nothing");
    let rebuild = "services.warmkeep.settings.nightly.rebuild.flake = \"/etc/nixos#host\";";
    let docker = "virtualisation.docker.enable = true;";
    let refused = host.refused(&format!("{NOTES}{KEYCLOAK}{SINK}{rebuild}{docker}"));
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn after_an_app_that_there_is_not_is_refused() {
    let host = host!("after_an_app_that_there_is_not_is_refused");
    let configuration = format!("{NOTES} services.warmkeep.settings.apps.notes.after = [ \"traefik\" ];");
    host.refuses(&configuration, "notes (after traefik)");
}

#[test]
fn a_name_that_makes_no_unit_is_refused() {
    let host = host!("a_name_that_makes_no_unit_is_refused");
    for name in ["nightly", "alerts", "-x", "a b", ".x", "a/b"] {
        host.refuses(&NOTES.replacen("notes", &format!("\"{name}\""), 1), "app names cannot be used");
    }
}

#[test]
fn two_that_switch_the_system_are_refused() {
    let host = host!("two_that_switch_the_system_are_refused");
    let rebuild = "services.warmkeep.settings.nightly.rebuild.flake = \"/etc/nixos#host\";";
    host.refuses(&format!("{NOTES}{rebuild} system.autoUpgrade.enable = true;"), "system.autoUpgrade");
}

#[test]
fn an_app_of_docker_without_docker_is_refused() {
    let host = host!("an_app_of_docker_without_docker_is_refused");
    host.refuses(&format!("{NOTES}{KEYCLOAK}"), "these apps run in it: keycloak");
}

#[test]
fn a_swarm_with_live_restore_is_refused() {
    let host = host!("a_swarm_with_live_restore_is_refused");
    for live in ["liveRestore = true;", "daemon.settings.live-restore = true;"] {
        let docker = format!("virtualisation.docker = {{ enable = true; {live} }};");
        host.refuses(&format!("{NOTES}{KEYCLOAK}{docker}"), "live restore");
    }
}

#[test]
fn a_prune_that_deletes_volumes_is_refused() {
    let host = host!("a_prune_that_deletes_volumes_is_refused");
    let docker = "virtualisation.docker = { enable = true;
        autoPrune = { enable = true; flags = [ \"--all --volumes\" ]; }; };";
    host.refuses(&format!("{NOTES}{KEYCLOAK}{docker}"), "`--volumes`");
}

#[test]
fn an_env_file_in_the_store_is_refused() {
    let host = host!("an_env_file_in_the_store_is_refused");
    let docker = "virtualisation.docker.enable = true;";
    let stack = KEYCLOAK.replace("\"/srv/keycloak/stack.yml\"", "./Cargo.toml");
    host.refuses(&format!("{NOTES}{docker}{stack}"), "`envFile`");
}

#[test]
fn a_secret_in_the_store_is_refused_wherever_it_is_written() {
    let host = host!("a_secret_in_the_store_is_refused_wherever_it_is_written");
    let literal = SINK.replace("\"/run/secrets/ntfy\"", "./Cargo.toml");
    host.refuses(&format!("{NOTES}{literal}"), "alerts.sinks.phone.webhook.bearerFile");
    let copied = "services.warmkeep.settings.apps.notes.health.checks.http.http.basicAuth = {
        user = \"probe\"; passwordFile = \"${builtins.toFile \"password\" \"hunter2\"}\"; };";
    host.refuses(&format!("{NOTES}{copied}"), "apps.notes.health.checks.http.http.basicAuth.passwordFile");
}

#[test]
fn a_key_that_only_has_the_name_of_a_secret_is_left_to_warmkeep() {
    let host = host!("a_key_that_only_has_the_name_of_a_secret_is_left_to_warmkeep");
    let refused = host.refused(&NOTES.replacen("notes", "bearerFile", 1));
    assert!(refused.is_empty(), "{refused:#?}");
    let number = "services.warmkeep.settings.apps.notes.health.checks.http.http.basicAuth = {
        user = \"probe\"; passwordFile = 5; };";
    let ran = host.build(&format!("{NOTES}{number}"));
    assert!(ran.code != 0 && ran.stderr.contains("basicAuth.passwordFile: "), "{}", ran.stderr);
}

#[test]
fn an_app_on_another_host_needs_no_docker_on_this_one() {
    let host = host!("an_app_on_another_host_needs_no_docker_on_this_one");
    let app = |server: &str| {
        format!(
            "services.warmkeep.settings.apps.wiki = {{
                driver.abra = {{ domain = \"wiki.example.org\"; {server} }};
                versions.source.recipe = {{ }};
                health.checks.http.http.url = \"https://wiki.example.org/\";
            }};"
        )
    };
    let refused = host.refused(&app("server = \"other.example.org\";"));
    assert!(refused.is_empty(), "{refused:#?}");
    for here in ["", "server = null;", "server = \"default\";"] {
        host.refuses(&app(here), "these apps run in it: wiki");
    }
}

#[test]
fn two_drivers_for_one_app_are_refused_by_their_type() {
    let host = host!("two_drivers_for_one_app_are_refused_by_their_type");
    let second = "services.warmkeep.settings.apps.notes.driver.compose.files = [ \"/srv/compose.yml\" ];";
    let ran = host.nix.try_eval(&host.with_warmkeep(&format!("{NOTES}{second}"), "refused"));
    assert!(ran.code != 0 && ran.stderr.contains("apps.notes.driver"), "{}", ran.stderr);
}

#[test]
fn the_flake_s_module_brings_its_package_and_may_be_imported_twice() {
    let host = host!("the_flake_s_module_brings_its_package_and_may_be_imported_twice");
    let module = format!(
        "(let
            self = (import {}/flake.nix).outputs {{ inherit self; nixpkgs = {{ }}; }} // {{
              packages.${{builtins.currentSystem}}.default = derivation {{
                name = \"from-the-flake\"; system = \"none\"; builder = \"none\"; }};
            }};
            flake = import {0}/flake.nix;
            module = (flake.outputs {{ inherit self; nixpkgs = {{ }}; }}).nixosModules.default;
          in {{ imports = [ module {{ imports = [ module ]; }} ]; }})",
        repository().display()
    );
    let name = host.nix.eval(&host.with(&module, "config.services.warmkeep.package.name"));
    assert_eq!(name, json!("from-the-flake"));
}

#[test]
fn a_host_that_does_not_enable_it_is_left_alone() {
    let host = host!("a_host_that_does_not_enable_it_is_left_alone");
    let units =
        host.nix.eval(&host.with(&format!("{}/modules", repository().display()), "config.systemd.services"));
    assert_eq!(units, json!({}));
}

/// What NixOS itself sets for every service, or only for those that rebuild the system.
const NIXOS_OWN: [&str; 4] = ["LOCALE_ARCHIVE", "NIX_PATH", "PATH", "TZDIR"];

fn is_nixos_own(directive: &str) -> bool {
    NIXOS_OWN.iter().any(|name| directive.starts_with(&format!("[Service] Environment={name}=")))
}

/// What `generate` writes for an example of the repository.
fn generate(host: &Host, example: &str, format: &str) -> PathBuf {
    let out = host.nix.path(&format!("{example}-{format}"));
    let mut command = Command::new(binary());
    command.arg("--config").arg(repository().join(format!("examples/{example}.json")));
    command.args(["generate", "--format", format, "--program", "/run/current-system/sw/bin/warmkeep"]);
    let ran = command.args(["--settings", "/etc/warmkeep/warmkeep.json", "--out"]).arg(&out).output();
    assert!(ran.as_ref().unwrap().status.success(), "{ran:?}");
    out
}

#[test]
fn nixos_writes_of_the_generated_modules_what_the_plain_units_say() {
    let host = host!("nixos_writes_of_the_generated_modules_what_the_plain_units_say");
    for example in ["notes", "shared-host"] {
        let plain = units(&generate(&host, example, "systemd"));
        let modules = generate(&host, example, "nixos").join("default.nix").display().to_string();
        let nixos: BTreeMap<String, String> =
            serde_json::from_value(host.nix.eval(&host.with(&modules, "units"))).unwrap();
        assert_eq!(plain.keys().collect::<Vec<_>>(), nixos.keys().collect::<Vec<_>>());
        for (name, unit) in plain {
            let mut written = directives(&nixos[&name]);
            written.retain(|directive| !is_nixos_own(directive));
            assert_eq!(written, directives(&unit), "{name}");
        }
    }
}

#[test]
fn the_module_gives_the_nightly_run_the_environment_that_the_generated_one_gives_it() {
    let host = host!("the_module_gives_the_nightly_run_the_environment_that_the_generated_one_gives_it");
    let modules = generate(&host, "notes", "nixos").join("default.nix").display().to_string();
    let environment = "config.systemd.services.warmkeep-nightly.environment";
    let generated = host.nix.eval(&host.with(&modules, environment));
    assert_eq!(host.eval(NOTES, environment), generated);
}

#[test]
fn the_package_is_built_from_sources_and_nothing_else() {
    let test = "the_package_is_built_from_sources_and_nothing_else";
    let Some(host) = Host::for_test(test) else { return };
    // What nixpkgs' filesets are made with is younger than Debian 12's Nix.
    if host.nix.eval("builtins ? readFileType") == json!(false) {
        return common::say(&format!("SKIPPED {test}: Nix is older than 2.14"));
    }
    let package = format!(
        "let lib = import {}/lib; in (import {}/nix/package.nix {{
            inherit lib; stdenv.buildPlatform.canExecute = _: true; stdenv.hostPlatform = {{ }};
            rustPlatform.buildRustPackage = attributes: attributes;
            installShellFiles = null; makeBinaryWrapper = null;
            coreutils = \"c\"; gitMinimal = \"g\"; nix = \"n\"; openssh = \"o\"; systemd = \"s\"; procps = null; util-linux = null;
        }})",
        host.nixpkgs.display(),
        repository().display()
    );
    assert_eq!(host.nix.eval(&format!("{package}.pname")), json!("warmkeep"));
    assert_eq!(host.nix.eval(&format!("{package}.version")), json!(env!("CARGO_PKG_VERSION")));
    let source = PathBuf::from(host.nix.copied(&format!("\"${{{package}.src}}\"")));
    for there in ["Cargo.toml", "Cargo.lock", "src/main.rs", "tests/cli.rs", "benches", "examples"] {
        assert!(source.join(there).exists(), "{there}");
    }
    for absent in ["target", ".git", "modules", "flake.nix"] {
        assert!(!source.join(absent).exists(), "{absent}");
    }
}
