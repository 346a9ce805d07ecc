//! A disk that is full, for real: an image of its own is filled to its last block, or its last inode, at every step of an
//! upgrade. No data may be lost, the app must serve, a person must be told, and space given back must heal the rest.

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
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{APP, Host, Ran};
use serde_json::json;

type Tree = Vec<(String, u32, Vec<u8>)>;

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";

/// A file system in an image of its own, mounted until this is dropped.
struct Image {
    dir: tempfile::TempDir,
}

impl Image {
    fn new(kind: Kind) -> Result<Self, String> {
        let image = Self { dir: tempfile::Builder::new().prefix("warmkeep-image-").tempdir().unwrap() };
        let file = image.dir.path().join("image");
        fs::File::create(&file).unwrap().set_len(kind.mib() << 20).unwrap();
        fs::create_dir(image.path()).unwrap();
        run(Command::new(kind.maker()).args(kind.options()).arg(&file))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&file).arg(image.path()))?;
        Ok(image)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let unmounted = common::eventually(Duration::from_secs(5), || {
            Command::new("umount").arg(self.path()).output().is_ok_and(|output| output.status.success())
        });
        if !unmounted {
            let _ = Command::new("umount").arg("-l").arg(self.path()).output();
        }
    }
}

/// Which file system, and what of it runs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ext4,
    Xfs,
    Ext4Inodes,
}

impl Kind {
    /// xfs takes no less than 300 MiB.
    fn mib(self) -> u64 {
        if self == Self::Xfs { 320 } else { 64 }
    }

    fn maker(self) -> &'static str {
        if self == Self::Xfs { "mkfs.xfs" } else { "mkfs.ext4" }
    }

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 | Self::Xfs => &["-q"],
            Self::Ext4Inodes => &["-q", "-N", "256"],
        }
    }

    /// A shell's words that take all that is left.
    fn filler(self, below: &Path) -> String {
        let below = below.display();
        match self {
            Self::Ext4Inodes => format!(
                "i=0; while : > {below}/filler.$$.$i; do i=$((i+1)); done 2>/dev/null; rm -f {below}/never; true"
            ),
            _ => format!(
                "for size in 1M 4k; do dd if=/dev/zero of={below}/filler.$$.$size bs=$size 2>/dev/null; sync -f {below}; \
                 done; true"
            ),
        }
    }

    /// Takes all that is left.
    fn fill(self, below: &Path) {
        if self == Self::Ext4Inodes {
            let mut files = (0..).map(|number| below.join(format!("filler.{number}")));
            while files.next().is_some_and(|file| fs::File::create(file).is_ok()) {}
            return;
        }
        // Both are made while there is room: on a full disk there may be no inode for the second one.
        let make = |size: usize| Some((size, fs::File::create(below.join(format!("filler.{size}"))).ok()?));
        for (size, mut file) in [1 << 20, 4096].into_iter().filter_map(make).collect::<Vec<_>>() {
            let zeros = vec![0; size];
            while file.write_all(&zeros).is_ok() {}
            let _ = file.sync_all();
        }
    }
}

/// When it runs out.
///
/// `Nearly` leaves a little: enough to write down that the upgrade has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    BeforeConverge,
    Nearly,
    Prepare,
    BeforeStop,
    AppStarts,
    AfterDeploy,
    BeforeRestore,
    /// The journal says that this step has begun on this leg.
    Begun(&'static str, &'static str),
}

/// What the new version is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Good,
    Rewrites,
    Sick,
}

impl Target {
    fn behaviour(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Rewrites => "rewrites",
            Self::Sick => "rewrites sick",
        }
    }
}

/// One upgrade on one small disk.
struct Setting {
    // Dropped in this order: the app, then the disk.
    host: Host,
    image: Image,
    kind: Kind,
    old_data: Tree,
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

impl Setting {
    fn new(image: Image, kind: Kind, moment: Moment, target: Target) -> Self {
        let dir = tempfile::Builder::new().prefix("warmkeep-test-").tempdir_in(image.path()).unwrap();
        let host = Host::in_dir(dir);
        let mut setting = Self { host, image, kind, old_data: Vec::new() };
        setting.configure(moment);
        setting.fill_data();
        let installed = setting.host.converge();
        assert_eq!(installed.outcome(APP), "installed", "{installed:?}");
        setting.host.write_note("written under the old version");
        setting.old_data = setting.host.data();
        setting.host.release(NEW, target.behaviour());
        if moment == Moment::AppStarts {
            fs::write(setting.host.path("releases").join(NEW).join("fills"), "").unwrap();
        }
        setting.leave_little();
        setting
    }

    fn configure(&self, moment: Moment) {
        let filler = self.kind.filler(&self.image.path());
        let only_new = format!("[ \"$WARMKEEP_VERSION$WARMKEEP_FROM\" = {OLD} ] || {{ {filler}; }}");
        let mut config = self.host.config();
        let app = &mut config["apps"][APP];
        match moment {
            Moment::BeforeStop => app["hooks"]["beforeStop"] = json!(["sh", "-c", filler]),
            Moment::AfterDeploy => app["hooks"]["afterDeploy"] = json!(["sh", "-c", only_new]),
            Moment::BeforeRestore => app["hooks"]["beforeRestore"] = json!(["sh", "-c", filler]),
            Moment::Prepare => {
                let releases = self.host.path("releases").display().to_string();
                let list = format!("ls {releases}");
                let prepare = format!("cp -r {releases}/$1/. $2 && {{ [ $1 = {OLD} ] || {{ {filler}; }}; }}");
                app["versions"]["source"] = json!({ "command": { "run": ["sh", "-c", list] } });
                app["driver"]["process"]["prepare"] =
                    json!(["sh", "-c", prepare, "sh", "{version}", "{release}"]);
            }
            Moment::AppStarts => {
                let start = format!("[ -e {{release}}/fills ] && {{ {filler}; }}; exec \"$@\"");
                let argv = app["driver"]["process"]["command"].as_array().unwrap().clone();
                let wrapped = ["sh", "-c", &start, "sh"].map(|word| json!(word));
                app["driver"]["process"]["command"] = json!([wrapped.to_vec(), argv].concat());
            }
            Moment::BeforeConverge | Moment::Nearly | Moment::Begun(..) => {}
        }
        self.host.write_config(&config);
    }

    fn fill_data(&self) {
        let data = self.host.path("data");
        fs::create_dir_all(data.join("attachments")).unwrap();
        let scan: Vec<u8> =
            (0..4_u32 << 20).map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()[2]).collect();
        fs::write(data.join("attachments/scan"), scan).unwrap();
        for number in 0..10 {
            fs::write(data.join(format!("attachments/{number}")), format!("page {number}")).unwrap();
        }
    }

    /// What an upgrade and a rollback need is left, and little more: then the last of it is taken in no time.
    fn leave_little(&self) {
        if self.kind == Kind::Ext4Inodes {
            return;
        }
        run(Command::new("sync").arg("-f").arg(self.image.path())).unwrap();
        let free = available(&self.image.path());
        let ballast = fs::File::create(self.image.path().join("ballast")).unwrap();
        let zeros = vec![1; 1 << 20];
        for _ in 0..(free >> 20).saturating_sub(20) {
            (&ballast).write_all(&zeros).unwrap();
        }
        ballast.sync_all().unwrap();
    }

    /// Converges, and takes what is left of the disk at that moment.
    fn strike(&self, moment: Moment) -> (Ran, bool) {
        match moment {
            Moment::BeforeConverge => self.kind.fill(&self.image.path()),
            Moment::Nearly => {
                self.kind.fill(&self.image.path());
                self.give_a_little_back();
            }
            Moment::Begun(leg, step) => return self.strike_at(leg, step),
            _ => {}
        }
        (self.host.converge(), self.is_full())
    }

    /// Holds warmkeep still while the disk is filled.
    fn strike_at(&self, leg: &str, step: &str) -> (Ran, bool) {
        let mut command = self.host.command(&["converge", "--json"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let journal = self.host.path("state/apps").join(APP).join("journal.jsonl");
        let wanted = format!("\"record\":\"begun\",\"leg\":\"{leg}\",\"step\":\"{step}\"");
        let mut struck = false;
        while child.try_wait().unwrap().is_none() {
            if fs::read_to_string(&journal).is_ok_and(|text| text.contains(&wanted)) {
                signal(&child, "-STOP");
                self.kind.fill(&self.image.path());
                signal(&child, "-CONT");
                struck = true;
                break;
            }
        }
        (common::ran(child.wait_with_output().unwrap()), struck)
    }

    /// Room for the records of a run, not for a snapshot.
    fn give_a_little_back(&self) {
        let keep = self.image.path().join("filler.1048576");
        match fs::OpenOptions::new().write(true).open(&keep) {
            Ok(file) => {
                file.set_len(file.metadata().unwrap().len() - (6 << 20)).unwrap();
                file.sync_all().unwrap();
            }
            Err(_) => {
                (0..40).for_each(|n| fs::remove_file(self.image.path().join(format!("filler.{n}"))).unwrap());
            }
        }
    }

    fn is_full(&self) -> bool {
        fs::read_dir(self.image.path())
            .unwrap()
            .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("filler"))
    }

    fn free(&self) {
        for entry in fs::read_dir(self.image.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if name.starts_with("filler") || name == "ballast" {
                fs::remove_file(path).unwrap();
            }
        }
        run(Command::new("sync").arg("-f").arg(self.image.path())).unwrap();
    }

    /// What must hold while the disk is still full.
    fn judge(&self, what: &str, ran: &Ran) {
        let outcome = ran.outcome(APP);
        let code = match outcome.as_str() {
            "noop" | "upgraded" | "held" | "recovered" => 0,
            "rolledBack" => 4,
            "failed" => 1,
            other => panic!("{what}: {other}: {ran:?}"),
        };
        assert_eq!(ran.code, code, "{what}: {outcome}: {ran:?}");
        let serving = self.assert_serves(what, ran);
        assert_eq!(serving == NEW, outcome == "upgraded", "{what}: {outcome}, {serving} serves: {ran:?}");
        let alerts = self.host.alerts();
        if !matches!(outcome.as_str(), "noop" | "upgraded") {
            assert!(!alerts.is_empty(), "{what}: {outcome} was not told: {ran:?}");
        }
    }

    fn assert_serves(&self, what: &str, ran: &Ran) -> String {
        let serving = self.host.serving().unwrap_or_else(|| panic!("{what}: the app is down: {ran:?}"));
        assert!(self.host.ask("GET", "/healthz", "").is_some(), "{what}: {serving} is sick: {ran:?}");
        let data = self.host.data();
        let right = data == self.old_data || (serving == NEW && data == rewritten(&self.old_data));
        assert!(right, "{what}: {serving} does not have its data: {:?}: {ran:?}", names(&data));
        assert_eq!(self.host.processes().len(), 1, "{what}: {ran:?}");
        serving
    }

    /// With space again, one converge brings it to where it should be.
    fn heal(&self, what: &str, target: Target) -> String {
        self.free();
        // What fills the disk by itself does so no more.
        self.host.write_config(&self.unarmed());
        let healed = self.host.converge();
        assert!(matches!(healed.code, 0 | 4), "{what}, healed: {healed:?}");
        let serving = self.assert_serves(what, &healed);
        let again = self.host.converge();
        assert!(matches!(again.outcome(APP).as_str(), "noop" | "held"), "{what}, settled: {again:?}");
        if target != Target::Sick && again.outcome(APP) == "noop" {
            assert_eq!(serving, NEW, "{what}: {healed:?}, {again:?}");
        }
        assert_eq!(self.host.leftovers(), Vec::<String>::new(), "{what}: {healed:?}");
        healed.outcome(APP)
    }

    fn unarmed(&self) -> serde_json::Value {
        let now: serde_json::Value =
            serde_json::from_slice(&fs::read(self.host.path("warmkeep.json")).unwrap()).unwrap();
        let mut config = self.host.config();
        let fills = self.host.path("releases").join(NEW).join("fills");
        let _ = fs::remove_file(fills);
        for key in ["driver", "versions"] {
            config["apps"][APP][key] = now["apps"][APP][key].clone();
        }
        if let Some(prepare) = config["apps"][APP]["driver"]["process"].get_mut("prepare") {
            let releases = self.host.path("releases").display().to_string();
            *prepare = json!(["cp", "-r", format!("{releases}/{{version}}/."), "{release}"]);
        }
        config
    }
}

fn available(path: &Path) -> u64 {
    let output = Command::new("stat").args(["-f", "-c", "%a %S"]).arg(path).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().map(|number| number.parse::<u64>().unwrap()).product()
}

fn signal(child: &Child, which: &str) {
    run(Command::new("kill").args([which, &child.id().to_string()])).unwrap();
}

fn names(data: &Tree) -> Vec<(&str, usize)> {
    data.iter().map(|(name, _, bytes)| (name.as_str(), bytes.len())).collect()
}

/// What the demo's app makes of its notes when it rewrites them.
fn rewritten(data: &Tree) -> Tree {
    let text = b"MIGRATED TO A FORMAT THAT ONLY I CAN READ\n".to_vec();
    let change = |(name, mode, bytes): &(String, u32, Vec<u8>)| {
        (name.clone(), *mode, if name == "notes.txt" { text.clone() } else { bytes.clone() })
    };
    data.iter().map(change).collect()
}

fn image(kind: Kind) -> Option<Image> {
    let how = "run as root with loop devices; tests/live/provision installs e2fsprogs and xfsprogs";
    Image::new(kind).map_err(|missing| common::skip("disk_full", &missing, how)).ok()
}

/// Fills one disk at each of these moments; prints what came of it.
fn fill_at(kind: Kind, moments: &[(Moment, Target)]) {
    let mut struck_at_all = 0;
    for (moment, target) in moments {
        let Some(image) = image(kind) else { return };
        let what = format!("{kind:?}, {moment:?}, {target:?}");
        let setting = Setting::new(image, kind, *moment, *target);
        let (ran, struck) = setting.strike(*moment);
        struck_at_all += usize::from(struck);
        setting.judge(&what, &ran);
        setting.heal(&what, *target);
    }
    assert_eq!(struck_at_all, moments.len(), "every moment must be met");
    common::say(&format!(
        "{kind:?}: the disk was filled at {struck_at_all} moments, nothing was lost at any"
    ));
}

fn by_the_upgrade_itself() -> Vec<(Moment, Target)> {
    vec![
        (Moment::BeforeConverge, Target::Good),
        (Moment::Nearly, Target::Good),
        (Moment::Prepare, Target::Good),
        (Moment::BeforeStop, Target::Good),
        (Moment::AppStarts, Target::Good),
        (Moment::AppStarts, Target::Rewrites),
        (Moment::AppStarts, Target::Sick),
        (Moment::AfterDeploy, Target::Good),
        (Moment::AfterDeploy, Target::Rewrites),
        (Moment::AfterDeploy, Target::Sick),
        (Moment::BeforeRestore, Target::Sick),
    ]
}

fn forward(target: Target) -> Vec<(Moment, Target)> {
    ["prefetch", "stop", "waitGone", "snapshot", "deploy", "seal", "gate", "commit", "tidy"]
        .map(|step| (Moment::Begun("forward", step), target))
        .to_vec()
}

fn back() -> Vec<(Moment, Target)> {
    ["stop", "waitGone", "restore", "deploy", "gate", "commit", "tidy"]
        .map(|step| (Moment::Begun("back", step), Target::Sick))
        .to_vec()
}

#[test]
fn ext4_filled_from_within_the_upgrade_loses_nothing() {
    fill_at(Kind::Ext4, &by_the_upgrade_itself());
}

#[test]
fn ext4_filled_at_each_step_forward_loses_nothing() {
    fill_at(Kind::Ext4, &forward(Target::Good));
}

#[test]
fn ext4_filled_at_each_step_back_loses_nothing() {
    fill_at(Kind::Ext4, &back());
}

#[test]
fn xfs_filled_from_within_the_upgrade_loses_nothing() {
    fill_at(Kind::Xfs, &by_the_upgrade_itself());
}

#[test]
fn xfs_filled_at_each_step_loses_nothing() {
    fill_at(Kind::Xfs, &[forward(Target::Good), back()].concat());
}

#[test]
fn a_disk_without_inodes_loses_nothing() {
    fill_at(Kind::Ext4Inodes, &by_the_upgrade_itself());
    fill_at(Kind::Ext4Inodes, &[forward(Target::Good), back()].concat());
}

/// An app that is healthy and current on a full disk, and one that died on it.
fn serve_on(kind: Kind) {
    let Some(image) = image(kind) else { return };
    let host =
        Host::in_dir(tempfile::Builder::new().prefix("warmkeep-test-").tempdir_in(image.path()).unwrap());
    assert_eq!(host.converge().outcome(APP), "installed");
    host.write_note("before the disk was full");
    let data = host.data();
    kind.fill(&image.path());

    let nothing = host.converge();
    assert_eq!((nothing.code, nothing.outcome(APP)), (0, "noop".into()), "{kind:?}: {nothing:?}");

    for pid in host.processes() {
        run(Command::new("kill").args(["-9", &pid.to_string()])).unwrap();
    }
    assert!(common::eventually(Duration::from_secs(5), || host.processes().is_empty()));
    let repaired = host.converge();
    assert_eq!((repaired.code, repaired.outcome(APP)), (0, "repaired".into()), "{kind:?}: {repaired:?}");
    assert_eq!(host.serving().as_deref(), Some(OLD), "{kind:?}: {repaired:?}");
    assert_eq!(host.data(), data, "{kind:?}");
    assert_eq!(host.leftovers(), Vec::<String>::new(), "{kind:?}: {repaired:?}");
    assert_eq!(host.converge().outcome(APP), "noop", "{kind:?}");
    drop(host);
}

#[test]
fn an_app_is_kept_up_on_a_full_disk() {
    [Kind::Ext4, Kind::Xfs, Kind::Ext4Inodes].into_iter().for_each(serve_on);
}
