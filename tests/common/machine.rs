//! A machine for live tests: a real systemd as PID 1 with a real Nix, booted by systemd-nspawn from the root that
//! tests/live/provision makes.
//!
//! Its `/usr` is the cached root's own, read-only; everything else is a copy in a temporary folder, and so on a real file
//! system that outlives a reboot. It has loopback only, a control group of its own, and ends with the test.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Ran, binary, eventually, ran, say, skip};

/// The folder in the cache; tests/live/provision makes the same one.
const ROOT: &str = "trixie-1";

/// Where warmkeep is in the machine.
pub const WARMKEEP: &str = "/usr/local/bin/warmkeep";

/// The configuration that `Machine::warmkeep` runs with.
pub const CONFIG: &str = "/etc/warmkeep.json";

const PATH: &str = "/run/current-system/sw/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// PID 1 of the machine. A machine that has a system profile activates it before systemd starts, as the second stage of
/// NixOS's boot does.
const INIT: &str = r#"#!/bin/sh
export PATH=/usr/sbin:/usr/bin
system=/nix/var/nix/profiles/system
if [ -e "$system/activate" ]; then
  "$system/activate"
  ln -sfn "$(readlink -f "$system")" /run/booted-system
fi
exec /usr/lib/systemd/systemd
"#;

/// One user, no daemon, no sandbox, nothing fetched: all there is to build is shell scripts.
const NIX_CONF: &str = "build-users-group =\nsandbox = false\nsubstituters =\n\
experimental-features = nix-command flakes\nflake-registry =\nwarn-dirty = false\n";

/// A booted machine.
pub struct Machine {
    dir: tempfile::TempDir,
    name: String,
    running: Option<Running>,
}

/// Ends the machine when its standard input does, and so also where the test is killed; `$0` is its control group. Where
/// no line came before the end, nobody is there any more to remove the folder `$1`.
const KEEPER: &str = r#"
read -r _ && kept=yes
echo 1 >"$0/cgroup.kill"
tries=200
until find "$0" -depth -type d -exec rmdir {} + 2>/dev/null; do
  tries=$((tries - 1))
  if [ $tries -eq 0 ]; then echo "$0 is left behind" >&2; break; fi
  sleep 0.05
done
[ "${kept:-}" ] || rm -rf "$1"
"#;

/// What runs of it, as the host sees it.
struct Running {
    keeper: Child,
    nspawn: Child,
    /// The host's pid of the machine's PID 1.
    leader: i32,
    cgroup: PathBuf,
}

impl Machine {
    /// A machine with warmkeep installed that has finished booting; `None`, said loudly, where a part is missing.
    pub fn boot(test: &str) -> Option<Self> {
        let cached = match cached_root() {
            Ok(cached) => cached,
            Err(missing) => {
                skip(test, &missing, "run tests/live/provision as root");
                return None;
            }
        };
        let dir = tempfile::Builder::new().prefix("warmkeep-machine-").tempdir().unwrap();
        let name = dir.path().file_name().unwrap().to_string_lossy().to_lowercase().replace('_', "x");
        let mut machine = Self { dir, name, running: None };
        machine.copy_root(&cached);
        machine.start(&cached);
        Some(machine)
    }

    /// The machine's root folder, as the host sees it. `/usr`, and what is a tmpfs in the machine (`/run`, `/tmp`), are
    /// not in it: `read` and `write` see them.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// The host's path of a file in the machine's root folder.
    pub fn host_path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// A command in the machine, as root, with a clean environment.
    pub fn command(&self, argv: &[&str]) -> Command {
        let running = self.running.as_ref().expect("the machine runs");
        // The command belongs to the machine's control groups, as a login of an administrator does: systemd could not
        // move a process from outside into a scope.
        let group = running.cgroup.join("payload/harness/cgroup.procs");
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$ >\"$0\" && exec \"$@\""]).arg(group);
        command.args([
            "nsenter",
            "-t",
            &running.leader.to_string(),
            "-m",
            "-u",
            "-i",
            "-n",
            "-p",
            "-C",
            "-r",
        ]);
        command.args(["-w", "--"]).args(argv);
        command
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/root")
            .env("LANG", "C.UTF-8")
            .env("NO_COLOR", "1");
        command.stdin(Stdio::null());
        command
    }

    /// Runs a command in the machine.
    pub fn run(&self, argv: &[&str]) -> Ran {
        ran(self.command(argv).output().unwrap())
    }

    /// Runs a shell script in the machine that must succeed; what it printed.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let ran = self.run(&["bash", "-euo", "pipefail", "-c", script]);
        assert_eq!(ran.code, 0, "{script}: {ran:?}");
        ran.stdout.trim_end().to_owned()
    }

    /// Runs a verb of warmkeep in the machine.
    pub fn warmkeep(&self, arguments: &[&str]) -> Ran {
        self.run(&[&[WARMKEEP, "--config", CONFIG], arguments].concat())
    }

    /// Writes a file in the machine, with the folders above it.
    #[track_caller]
    pub fn write(&self, path: &str, text: &str) {
        let script = "mkdir -p \"${0%/*}/\" && cat >\"$0\"";
        let mut command = self.command(&["sh", "-c", script, path]);
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success(), "{path} cannot be written");
    }

    /// Writes a file into the machine's root folder from outside, with the folders above it: quicker, but neither links
    /// nor what is mounted in the machine count.
    pub fn write_on_host(&self, path: &str, text: &str) {
        let path = self.host_path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Reads a file in the machine.
    #[track_caller]
    pub fn read(&self, path: &str) -> String {
        let ran = self.run(&["cat", path]);
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    }

    /// A property of a unit.
    #[track_caller]
    pub fn property(&self, unit: &str, property: &str) -> String {
        self.sh(&format!("systemctl show --value -p {property} {unit}"))
    }

    /// Waits for a property of a unit to become what is wanted.
    #[track_caller]
    pub fn wait_for(&self, unit: &str, property: &str, wanted: &str) {
        let came = eventually(Duration::from_secs(30), || self.property(unit, property) == wanted);
        assert!(came, "{property}={} of {unit}\n{}", self.property(unit, property), self.journal(unit));
    }

    /// What a unit logged in this boot.
    pub fn journal(&self, unit: &str) -> String {
        self.run(&["journalctl", "--no-pager", "-o", "short-monotonic", "-b", "-u", unit]).stdout
    }

    /// Sends one HTTP request to a loopback port of the machine; the body of a 2xx answer.
    pub fn ask(&self, port: u16, method: &str, path: &str, body: &str) -> Option<String> {
        let script = "exec 3<>\"/dev/tcp/127.0.0.1/$0\" && printf '%s' \"$1\" >&3 && cat <&3";
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        let answer = self.run(&["timeout", "5", "bash", "-c", script, &port.to_string(), &request]).stdout;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.split_whitespace().nth(1)?.starts_with('2').then(|| body.to_owned())
    }

    /// Shuts down as an administrator would, and boots again.
    pub fn reboot(&mut self) {
        self.run(&["systemctl", "poweroff"]);
        let running = self.running.as_mut().expect("the machine runs");
        let off = eventually(Duration::from_secs(60), || running.nspawn.try_wait().unwrap().is_some());
        assert!(off, "the machine does not shut down\n{}", self.console());
        self.boot_again();
    }

    /// Ends every process at one blow, and boots again from what is in the files. It is a power cut to all but the
    /// kernel: what was written and not synced is there.
    pub fn reboot_hard(&mut self) {
        self.boot_again();
    }

    fn boot_again(&mut self) {
        self.stop();
        self.start(&cached_root().unwrap());
    }

    fn copy_root(&self, cached: &Path) {
        let root = self.root();
        fs::create_dir_all(root.join("usr/lib")).unwrap();
        fs::create_dir_all(self.dir.path().join("local/bin")).unwrap();
        let mut copy = Command::new("cp");
        copy.args(["-a", "--reflink=auto", "-t"]).arg(&root);
        for entry in fs::read_dir(cached).unwrap().flatten() {
            if entry.file_name() != "usr" {
                copy.arg(entry.path());
            }
        }
        assert!(copy.status().unwrap().success(), "the machine's root cannot be copied");
        // systemd-nspawn wants to see a system before it mounts `/usr`.
        fs::copy(cached.join("usr/lib/os-release"), root.join("usr/lib/os-release")).unwrap();
        // Debian's own timers (of apt and dpkg) would have work to do in a machine this old.
        let _ = fs::remove_dir_all(root.join("etc/systemd/system/timers.target.wants"));
        fs::create_dir_all(root.join("nix/var/nix/profiles")).unwrap();
        fs::create_dir_all(root.join("etc/nix")).unwrap();
        fs::write(root.join("etc/nix/nix.conf"), NIX_CONF).unwrap();
        fs::write(root.join("init"), INIT).unwrap();
        fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Boots, and waits until systemd has nothing left to do.
    fn start(&mut self, cached: &Path) {
        let cgroup = cgroup_home().unwrap().join(&self.name);
        fs::create_dir(&cgroup).unwrap();
        let keeper = self.keeper(&cgroup).spawn().unwrap();
        let mut nspawn = self.nspawn(cached, &cgroup).spawn().unwrap();
        let mut leader = None;
        let found = eventually(Duration::from_secs(20), || {
            leader = leader_of(&nspawn);
            leader.is_some() || nspawn.try_wait().unwrap().is_some()
        });
        assert!(found && leader.is_some(), "the machine does not start\n{}", self.console());
        self.running = Some(Running { keeper, nspawn, leader: leader.unwrap(), cgroup });
        self.wait_until_up();
    }

    fn keeper(&self, cgroup: &Path) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", KEEPER]).arg(cgroup).arg(self.dir.path());
        // Of a process group of its own: what interrupts the tests is not to end it before its work.
        command.stdin(Stdio::piped()).stdout(Stdio::null()).process_group(0);
        command
    }

    fn nspawn(&self, cached: &Path, cgroup: &Path) -> Command {
        let console = fs::File::create(self.dir.path().join("console")).unwrap();
        // The machine ends with the thread of its test, also where that is killed.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "sh", "-c", "echo $$ >\"$0/cgroup.procs\" && exec \"$@\""]);
        command.arg(cgroup).args([
            "systemd-nspawn",
            "--quiet",
            "--settings=no",
            "--register=no",
            "--keep-unit",
        ]);
        command.args([
            "--private-network",
            "--link-journal=no",
            "--console=read-only",
            "--kill-signal=SIGRTMIN+3",
        ]);
        command.arg(format!("--machine={}", self.name)).arg("-D").arg(self.root());
        command.arg(format!("--bind-ro={}:/usr", cached.join("usr").display()));
        command.arg(format!("--bind={}:/usr/local", self.dir.path().join("local").display()));
        command.arg(format!("--bind-ro={}:{WARMKEEP}", binary())).arg("/init");
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1").stdin(Stdio::null());
        command.stdout(console.try_clone().unwrap()).stderr(console);
        command
    }

    fn wait_until_up(&self) {
        let start = Instant::now();
        let listens = || Path::new(&format!("/proc/{}/root/run/systemd/private", self.leader())).exists();
        let listening = eventually(Duration::from_secs(30), listens);
        assert!(listening, "systemd does not come up\n{}", self.console());
        let group = self.running.as_ref().unwrap().cgroup.join("payload/harness");
        fs::create_dir_all(group).unwrap();
        let state = self.run(&["timeout", "120", "systemctl", "is-system-running", "--wait"]).stdout;
        let up = matches!(state.trim(), "running" | "degraded");
        assert!(up, "systemd is {state} after {:?}\n{}", start.elapsed(), self.console());
    }

    fn leader(&self) -> i32 {
        self.running.as_ref().expect("the machine runs").leader
    }

    /// The end of what PID 1 and systemd-nspawn printed.
    fn console(&self) -> String {
        let text = fs::read(self.dir.path().join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }

    /// Ends every process of the machine.
    fn stop(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let mut ask = running.keeper.stdin.take().unwrap();
        let _ = ask.write_all(b"kept\n");
        drop(ask);
        let _ = running.keeper.wait();
        let _ = running.nspawn.wait();
        let nspawn = Path::new("/run/systemd/nspawn");
        let _ = fs::remove_dir_all(nspawn.join("propagate").join(&self.name));
        if let Ok(root) = fs::metadata(self.root()) {
            let _ = fs::remove_file(nspawn.join(format!("locks/inode-{}:{}", root.dev(), root.ino())));
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() && self.running.is_some() {
            let journal = self.run(&["journalctl", "--no-pager", "-b", "-n", "80", "-o", "short-monotonic"]);
            say(&format!("--- console\n{}\n--- journal\n{}", self.console(), journal.stdout));
        }
        self.stop();
    }
}

/// The root that tests/live/provision made; what is missing, in words, where a machine cannot be booted.
fn cached_root() -> Result<PathBuf, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("root (to boot a machine)".to_owned());
    }
    for program in ["systemd-nspawn", "nsenter"] {
        which::which(program).map_err(|e| format!("{program} ({e})"))?;
    }
    cgroup_home()?;
    let cache = std::env::var_os("WARMKEEP_LIVE_CACHE").unwrap_or_else(|| "/var/cache/warmkeep-live".into());
    let root = PathBuf::from(cache).join(ROOT);
    if root.join("usr/bin/nix").exists() {
        Ok(root)
    } else {
        Err(format!("the machine's root {}", root.display()))
    }
}

/// The folder of this process's own control group, in the unified hierarchy.
fn cgroup_home() -> Result<PathBuf, String> {
    let mounts = fs::read_to_string("/proc/self/mounts").map_err(|e| e.to_string())?;
    let place = |line: &str| {
        let mut words = line.split_whitespace();
        let (place, kind) = (words.nth(1)?, words.next()?);
        (kind == "cgroup2").then(|| place.to_owned())
    };
    let mount = mounts.lines().find_map(place).ok_or("the unified control group hierarchy (cgroup2)")?;
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|e| e.to_string())?;
    let own = groups.lines().find_map(|line| line.strip_prefix("0::")).unwrap_or("/");
    Ok(Path::new(&mount).join(own.trim_start_matches('/')))
}

/// The child of systemd-nspawn that is PID 1 in its own namespace.
fn leader_of(nspawn: &Child) -> Option<i32> {
    let pid = nspawn.id();
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    let is_init = |child: &&str| {
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"))
    };
    children.split_whitespace().find(is_init)?.parse().ok()
}
