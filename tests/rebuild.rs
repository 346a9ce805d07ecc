//! `rebuild` with the Nix that is installed here, however old, in a store and with a `/run` of its own. There is no systemd
//! there; `tests/live_rebuild.rs` has one.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{Host, Ran, binary, ran};
use serde_json::{Value, json};

/// A system of which the switch does what one of NixOS does first: it makes it the running one.
const FLAKE: &str = r##"{
  outputs = _: {
    nixosConfigurations.host.config.system.build.toplevel = derivation {
      name = "nixos-system-host-@version@";
      system = "@platform@";
      builder = "${./bin}/sh";
      args = [ "-c" ''
        ${./bin}/busybox mkdir -p $out/bin
        echo "#!/bin/sh
        if [ \$1 != boot ]; then ln -sfn $out /run/current-system; fi
        @switch@" > $out/bin/switch-to-configuration
        ${./bin}/busybox chmod +x $out/bin/switch-to-configuration
      '' ];
    };
  };
}"##;

/// A NixOS host as far as `rebuild` sees it.
struct Site {
    host: Host,
    first: PathBuf,
}

impl Site {
    /// `None`, said loudly, where a part is missing.
    fn new() -> Option<Self> {
        let missing = |program: &&str| which::which(program).is_err();
        let missing: Vec<&str> = ["nix", "busybox", "unshare", "git"].into_iter().filter(missing).collect();
        let root = rustix::process::geteuid().is_root();
        if !missing.is_empty() || !root {
            let what = if root { missing.join(", ") } else { "root (for a /run of its own)".to_owned() };
            common::skip("rebuild", &what, "run tests/live/provision as root");
            return None;
        }
        let mut site = Self { host: Host::new(), first: PathBuf::new() };
        for part in ["nix/store", "nix/state", "nix/log", "nix/conf", "flake/bin"] {
            fs::create_dir_all(site.path(part)).unwrap();
        }
        let conf = "build-users-group =\nsandbox = false\nsubstituters =\nflake-registry =\n";
        fs::write(site.path("nix/conf/nix.conf"), conf).unwrap();
        for name in ["busybox", "sh"] {
            fs::copy(which::which("busybox").unwrap(), site.path("flake/bin").join(name)).unwrap();
        }
        site.configure(&json!({}));
        site.write_flake("1", "exit 0");
        site.first = site.install();
        Some(site)
    }

    fn path(&self, part: &str) -> PathBuf {
        self.host.path(part)
    }

    fn configure(&self, keys: &Value) {
        let mut config = self.host.config();
        let mut rebuild = json!({ "flake": format!("{}#host", self.path("flake").display()) });
        rebuild.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        config["apps"] = json!({});
        config["nightly"] = json!({ "rebuild": rebuild });
        self.host.write_config(&config);
    }

    fn write_flake(&self, version: &str, switch: &str) {
        let platform = format!("{}-linux", std::env::consts::ARCH);
        let text =
            FLAKE.replace("@version@", version).replace("@platform@", &platform).replace("@switch@", switch);
        fs::write(self.path("flake/flake.nix"), text).unwrap();
    }

    /// A program in the namespace where `/run` is the host's own. What runs is in a file, so that it outlives the namespace.
    fn command(&self, argv: &[&str]) -> Command {
        let script = "mount -t tmpfs none /run && ln -s \"$(cat \"$0\")\" /run/current-system && \"$@\"; code=$?; \
                      readlink /run/current-system >\"$0\"; exit $code";
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", script]).arg(self.path("running")).args(argv);
        for (name, part) in [("STORE", "store"), ("STATE", "state"), ("LOG", "log"), ("CONF", "conf")] {
            command.env(format!("NIX_{name}_DIR"), self.path("nix").join(part));
        }
        command
            .env("HOME", self.path("nix"))
            .env("NO_COLOR", "1")
            .env_remove("NIX_REMOTE")
            .stdin(Stdio::null());
        command
    }

    /// Makes the flake's system the one that runs, and the profile's.
    fn install(&self) -> PathBuf {
        fs::write(self.path("running"), "/nowhere").unwrap();
        let root = self.path("first");
        let installable =
            format!("{}#nixosConfigurations.host.config.system.build.toplevel", self.path("flake").display());
        let nix = ["nix", "--extra-experimental-features", "nix-command flakes", "build", "--out-link"];
        let built = ran(self
            .command(&[&nix[..], &[root.to_str().unwrap(), &installable]].concat())
            .output()
            .unwrap());
        assert_eq!(built.code, 0, "{built:?}");
        let first = fs::canonicalize(root).unwrap();
        let set = ["nix-env", "-p", self.profile().to_str().unwrap(), "--set", first.to_str().unwrap()]
            .map(str::to_owned);
        let set = ran(self.command(&set.each_ref().map(String::as_str)).output().unwrap());
        assert_eq!(set.code, 0, "{set:?}");
        fs::write(self.path("running"), first.to_str().unwrap()).unwrap();
        first
    }

    fn profile(&self) -> PathBuf {
        self.path("nix/state/profiles/system")
    }

    fn rebuild(&self) -> Ran {
        self.rebuild_with(&[])
    }

    fn rebuild_with(&self, options: &[&str]) -> Ran {
        self.warmkeep(&[&["rebuild", "--json"], options].concat())
    }

    fn nightly(&self) -> Ran {
        self.warmkeep(&["nightly", "--json"])
    }

    fn warmkeep(&self, verb: &[&str]) -> Ran {
        let config = self.path("warmkeep.json");
        ran(self
            .command(&[&[binary(), "--config", config.to_str().unwrap()], verb].concat())
            .output()
            .unwrap())
    }

    /// No rebuild is configured any more.
    fn forget_rebuild(&self) {
        let mut config = self.host.config();
        config["apps"] = json!({});
        self.host.write_config(&config);
    }

    /// The build does this first.
    fn build_does(&self, script: &str) {
        let flake = fs::read_to_string(self.path("flake/flake.nix")).unwrap();
        let first = "${./bin}/busybox mkdir -p";
        fs::write(self.path("flake/flake.nix"), flake.replacen(first, &format!("{script}\n{first}"), 1))
            .unwrap();
    }

    /// The system of the flake has this for its warmkeep.
    fn with_warmkeep(&self, script: &str) {
        self.build_does(&format!(
            "${{./bin}}/busybox mkdir -p $out/sw/bin; echo '#!/bin/sh\n{script}' >$out/sw/bin/warmkeep; \
             ${{./bin}}/busybox chmod +x $out/sw/bin/warmkeep"
        ));
    }

    /// A system that cannot be activated while `broken` is there, and then one that fails and puts it there.
    fn get_stuck(&self, action: &str) {
        let broken = self.path("broken");
        self.write_flake("2", &format!("test ! -e {}", broken.display()));
        outcome(&self.rebuild(), 0, "switched");
        self.configure(&json!({ "action": action }));
        self.write_flake("3", &format!("touch {}; exit 1", broken.display()));
        let report = outcome(&self.rebuild(), 5, "stuck");
        assert!(report["remedy"].as_str().unwrap().contains("way back"), "{report}");
    }

    /// What runs, and what the profile is.
    fn systems(&self) -> (PathBuf, PathBuf) {
        let running = fs::read_to_string(self.path("running")).unwrap();
        (running.trim().into(), fs::canonicalize(self.profile()).unwrap())
    }
}

#[track_caller]
fn outcome(ran: &Ran, code: i32, outcome: &str) -> Value {
    let report = ran.json()["rebuild"].clone();
    assert_eq!((ran.code, report["outcome"].as_str()), (code, Some(outcome)), "{ran:?}");
    report
}

#[test]
fn a_system_is_switched_to_and_then_is_the_newest() {
    let Some(site) = Site::new() else { return };
    outcome(&site.rebuild(), 0, "noop");
    site.write_flake("2", "exit 0");
    let report = outcome(&site.rebuild(), 0, "switched");
    let to = Path::new(report["to"].as_str().unwrap());
    assert_eq!(site.systems(), (to.into(), to.into()));
    assert_eq!(report["diff"]["changed"][0]["name"], "nixos-system-host");
    outcome(&site.rebuild(), 0, "noop");
}

#[test]
fn a_switch_that_fails_is_taken_back() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "echo no such user >&2; exit 2");
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("no such user"), "{report}");
    assert_eq!(site.systems(), (site.first.clone(), site.first.clone()));
    assert_eq!(report["generation"], json!({ "before": 1, "after": 1 }));
}

#[test]
fn what_was_built_of_a_git_repository_is_its_locked_revision() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "exit 0");
    let flake = site.path("flake");
    let script =
        "git init -q && git add -A && git -c user.name=Host -c user.email=host@example.org commit -qm system";
    let committed = Command::new("sh").args(["-c", script]).current_dir(&flake).output().unwrap();
    assert!(committed.status.success(), "{committed:?}");
    let report = outcome(&site.rebuild(), 0, "switched");
    let revision = report["flake"]["revision"].as_str().unwrap();
    assert!(report["flake"]["url"].as_str().unwrap().contains(revision), "{report}");
}

#[test]
fn a_flake_behind_a_link_is_found() {
    let Some(site) = Site::new() else { return };
    std::os::unix::fs::symlink(site.path("flake"), site.path("linked")).unwrap();
    site.configure(&json!({ "flake": format!("{}#host", site.path("linked").display()) }));
    outcome(&site.rebuild(), 0, "noop");
}

#[test]
fn a_build_that_takes_too_long_is_ended_and_touches_nothing() {
    let Some(site) = Site::new() else { return };
    site.configure(&json!({ "buildTimeout": "2s" }));
    site.write_flake("2", "exit 0");
    site.build_does("${./bin}/busybox sleep 60");
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("did not end within 2s"), "{report}");
    assert_eq!(site.systems(), (site.first.clone(), site.first.clone()));
}

#[test]
fn a_host_that_is_no_nixos_is_told_so() {
    let Some(site) = Site::new() else { return };
    let config = site.path("warmkeep.json");
    let argv = ["sh", "-c", "rm /run/current-system; exec \"$@\"", "sh", binary(), "--config"];
    let verb = [config.to_str().unwrap(), "rebuild", "--json"];
    let ran = ran(site.command(&[&argv[..], &verb].concat()).output().unwrap());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.json()["error"]["message"].as_str().unwrap().contains("no NixOS"), "{ran:?}");
}

#[test]
fn a_rebuild_that_is_not_configured_names_the_key() {
    let host = Host::new();
    let ran = host.run(&["rebuild"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("nightly.rebuild") && ran.stderr.contains("\"flake\""), "{ran:?}");
}

#[test]
fn a_rebuild_waits_for_no_other_run() {
    let host = Host::new();
    let mut config = host.config();
    config["nightly"] = json!({ "rebuild": { "flake": "/nowhere#host" } });
    host.write_config(&config);
    host.install();
    let lock = fs::File::open(host.path("state/host.lock")).unwrap();
    lock.lock_shared().unwrap();
    let report = outcome(&host.run(&["rebuild", "--json"]), 75, "busy");
    assert!(report["reason"].as_str().unwrap().contains("host lock"), "{report}");
}

#[test]
fn a_profile_that_somebody_has_set_during_the_build_is_theirs() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "exit 0");
    let second = PathBuf::from(outcome(&site.rebuild(), 0, "switched")["to"].as_str().unwrap());
    site.write_flake("3", "exit 0");
    site.build_does(&format!("${{./bin}}/busybox ln -sfn system-1-link {}", site.profile().display()));
    let report = outcome(&site.rebuild(), 1, "failed");
    assert!(report["cause"].as_str().unwrap().contains("somebody else"), "{report}");
    assert_eq!(site.systems(), (second, site.first.clone()));
}

#[test]
fn what_has_failed_is_no_profile_where_there_was_none_before() {
    let Some(site) = Site::new() else { return };
    fs::remove_file(site.profile()).unwrap();
    site.write_flake("2", "exit 2");
    outcome(&site.rebuild(), 4, "rolledBack");
    assert_eq!(site.systems(), (site.first.clone(), site.first.clone()));
}

#[test]
fn a_rebuild_that_is_stuck_is_no_success_because_it_is_no_longer_configured() {
    let Some(site) = Site::new() else { return };
    site.get_stuck("switch");
    site.forget_rebuild();
    assert_eq!(outcome(&site.nightly(), 5, "stuck")["action"], "switch");
    outcome(&site.rebuild(), 5, "stuck");
    fs::remove_file(site.path("broken")).unwrap();
    outcome(&site.nightly(), 4, "rolledBack");
    let night = site.nightly();
    assert_eq!((night.code, &night.json()["rebuild"]), (0, &Value::Null), "{night:?}");
    assert_eq!(site.rebuild().code, 2);
}

#[test]
fn a_boot_loader_that_cannot_be_put_back_is_tried_again() {
    let Some(site) = Site::new() else { return };
    site.get_stuck("boot");
    outcome(&site.rebuild(), 5, "stuck");
    fs::remove_file(site.path("broken")).unwrap();
    outcome(&site.rebuild(), 4, "rolledBack");
    let (running, profile) = site.systems();
    assert_eq!(running, profile);
}

#[test]
fn an_end_that_nobody_can_be_told_of_is_no_other_end_and_is_told_again() {
    let Some(site) = Site::new() else { return };
    let alerts = site.path("state/alerts");
    site.write_flake("2", &format!("rm -r {0}; touch {0}; exit 2", alerts.display()));
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["notes"][0].as_str().unwrap().contains("nobody could be alerted"), "{report}");
    fs::remove_file(&alerts).unwrap();
    outcome(&site.rebuild(), 4, "rolledBack");
    let told = site.warmkeep(&["alerts", "list", "--json"]).json();
    assert_eq!(told["alerts"][0]["kind"], "rollback", "{told}");
}

#[test]
fn a_new_warmkeep_that_refuses_the_configuration_does_not_carry_the_night_on() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "exit 0");
    site.with_warmkeep("case $1 in --version) exit 0;; esac; exit 2");
    outcome(&site.nightly(), 0, "switched");
}

#[test]
fn a_new_warmkeep_that_cannot_be_executed_in_the_end_does_not_carry_the_night_on() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "exit 0");
    site.with_warmkeep(&format!("{}/busybox chmod -x $0", site.path("flake/bin").display()));
    let night = site.nightly();
    outcome(&night, 0, "switched");
    assert!(night.stderr.contains("cannot execute"), "{night:?}");
}

#[test]
fn a_new_warmkeep_that_is_this_one_under_another_name_carries_the_night_on_once() {
    let Some(site) = Site::new() else { return };
    site.write_flake("2", "exit 0");
    let count = site.path("count");
    site.with_warmkeep(&format!("echo $3 >>{}; exec {} \"$@\"", count.display(), binary()));
    outcome(&site.nightly(), 0, "switched");
    assert_eq!(fs::read_to_string(count).unwrap(), "check\nnightly\n");
}

#[test]
fn a_night_that_is_handed_a_lock_of_somebody_else_is_busy() {
    let host = Host::new();
    host.install();
    let path = host.path("state/host.lock");
    let theirs = fs::File::open(&path).unwrap();
    theirs.lock_shared().unwrap();
    let night = host.command(&["nightly", "--json"]).stdin(fs::File::open(&path).unwrap()).output().unwrap();
    let night = ran(night);
    assert_eq!(night.code, 75, "{night:?}");
    theirs.lock_shared().unwrap();
}

#[test]
fn an_activation_that_was_interrupted_is_taken_back_where_it_cannot_be_repeated() {
    let Some(site) = Site::new() else { return };
    let begun = site.path("begun");
    let script = format!(
        "if [ ! -e {0} ]; then touch {0}; kill -9 \\$PPID; fi; echo Could not acquire lock; exit 11",
        begun.display()
    );
    site.write_flake("2", &script);
    assert_ne!(site.rebuild().code, 0);
    assert_ne!(site.systems().0, site.first, "the new system runs, in part");
    let report = outcome(&site.rebuild(), 4, "rolledBack");
    assert!(report["cause"].as_str().unwrap().contains("lock"), "{report}");
    assert_eq!(site.systems(), (site.first.clone(), site.first.clone()));
}
