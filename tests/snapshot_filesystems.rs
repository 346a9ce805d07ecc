//! Snapshots on real file systems, each in an image of its own: what only they can show.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests drive the real system")]
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "helpers of tests, outside of any test function"
)]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use warmkeep::error::Kind;
use warmkeep::snapshot::{Phase, Request, Snapshot, Store};
use warmkeep::version::Version;

/// A file system in an image, mounted until this is dropped.
struct Mounted {
    dir: tempfile::TempDir,
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            let lazily = Command::new("umount").arg("-l").arg(self.path()).status();
            eprintln!("{} had to be unmounted lazily: {lazily:?}", self.path().display());
        }
    }
}

impl Mounted {
    /// `None` where a part is missing, which is said aloud; an error instead where all parts are required.
    fn new(kind: &str, size: &str) -> Option<Self> {
        match Self::try_new(kind, size) {
            Ok(mounted) => Some(mounted),
            Err(missing) => {
                assert!(std::env::var_os("WARMKEEP_REQUIRE_LIVE").is_none(), "required, but {missing}");
                let told = format!("SKIPPED: {kind}: {missing}\n");
                std::io::stderr().write_all(told.as_bytes()).unwrap();
                None
            }
        }
    }

    fn try_new(kind: &str, size: &str) -> Result<Self, String> {
        let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
        let image = dir.path().join("image");
        let file = fs::File::create(&image).map_err(|e| e.to_string())?;
        file.set_len(bytes(size)).map_err(|e| e.to_string())?;
        fs::create_dir(dir.path().join("mounted")).map_err(|e| e.to_string())?;
        run(
            Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image),
            "install e2fsprogs, xfsprogs, btrfs-progs",
        )?;
        let mounted = dir.path().join("mounted");
        run(
            Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&mounted),
            "run as root, with loop devices",
        )?;
        Ok(Self { dir })
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("mounted")
    }

    fn volume(&self) -> PathBuf {
        self.path().join("srv/data")
    }

    /// A store on the same file system as the volume.
    fn store(&self) -> Store {
        Store::new("notes", &self.path().join("state/notes"))
    }

    fn fill(&self) {
        fs::create_dir_all(self.volume().join("sub")).unwrap();
        fs::write(self.volume().join("big"), vec![7; 4 << 20]).unwrap();
        fs::write(self.volume().join("sub/small"), "small").unwrap();
        let sparse = fs::File::create(self.volume().join("sparse")).unwrap();
        sparse.write_all_at(b"end", 64 << 20).unwrap();
        fs::hard_link(self.volume().join("big"), self.volume().join("sub/linked")).unwrap();
    }

    /// What is on it but the file system's own.
    fn names(&self, folder: &str) -> Vec<String> {
        let listed = fs::read_dir(self.path().join(folder)).unwrap();
        let mut names: Vec<_> = listed.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lost+found");
        names.sort();
        names
    }

    fn free(&self) -> u64 {
        run(Command::new("sync").arg("-f").arg(self.path()), "").unwrap();
        let output = Command::new("stat").args(["-f", "-c", "%f"]).arg(self.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }
}

fn bytes(size: &str) -> u64 {
    size.strip_suffix('M').unwrap().parse::<u64>().unwrap() << 20
}

fn run(command: &mut Command, remedy: &str) -> Result<(), String> {
    let said = |what: String| format!("{what} ({remedy})");
    let output = command.output().map_err(|e| said(format!("{command:?}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(said(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

fn request(volume: &Path, txn: &str) -> Request {
    Request {
        version: Version::new("1.2.0").unwrap(),
        reason: "upgrade".into(),
        volumes: vec![volume.to_owned()],
        txn: txn.into(),
    }
}

fn sealed(store: &Store, volume: &Path) -> Snapshot {
    let snapshot = store.create(&request(volume, "t1")).unwrap();
    let sealed = store.seal(&snapshot.id).unwrap();
    store.verify(&snapshot.id).unwrap();
    sealed
}

fn restore(store: &Store, snapshot: &Snapshot) {
    let exchanges = store.stage(&snapshot.id, "t2").unwrap();
    for exchange in &exchanges {
        store.exchange(exchange).unwrap();
        store.exchange(exchange).unwrap();
    }
    store.keep_aside(&exchanges, "t2").unwrap().unwrap();
}

/// The whole round: a snapshot, damage, the data back.
fn round(kind: &str) {
    let Some(disk) = Mounted::new(kind, "320M") else { return };
    disk.fill();
    let store = disk.store();
    let snapshot = sealed(&store, &disk.volume());
    assert!(snapshot.volumes[0].location.starts_with(disk.path().join("state")));
    fs::write(disk.volume().join("big"), "ruined").unwrap();
    fs::remove_file(disk.volume().join("sub/small")).unwrap();
    restore(&store, &snapshot);
    assert_eq!(fs::read(disk.volume().join("big")).unwrap(), vec![7; 4 << 20]);
    let inode = |name: &str| fs::metadata(disk.volume().join(name)).unwrap();
    assert_eq!(inode("big").ino(), inode("sub/linked").ino());
    assert!(inode("sparse").blocks() < 1000, "the hole was filled");
    assert_eq!(disk.names("srv"), ["data"]);
    store.verify(&snapshot.id).unwrap();
    store.drop_failed().unwrap();
    store.discard(&snapshot.id).unwrap();
    assert_eq!(disk.names("state/notes"), [".trash", "snapshots"]);
    assert_eq!(disk.names("state/notes/.trash"), Vec::<String>::new());
}

#[test]
fn data_comes_back_on_ext4() {
    round("ext4");
}

#[test]
fn data_comes_back_on_xfs() {
    round("xfs");
}

#[test]
fn data_comes_back_on_btrfs() {
    round("btrfs");
}

#[test]
fn blocks_are_shared_on_xfs() {
    let Some(disk) = Mounted::new("xfs", "320M") else { return };
    fs::create_dir_all(disk.volume()).unwrap();
    fs::write(disk.volume().join("big"), vec![7; 64 << 20]).unwrap();
    let store = disk.store();
    let survey = store.survey(&[disk.volume()]).unwrap();
    assert!(survey.volumes[0].reflink);
    assert!(survey.file_systems[0].needed_bytes < 4 << 20, "{survey:?}");
    let before = disk.free();
    sealed(&store, &disk.volume());
    let used = (before - disk.free()) * 4096;
    assert!(used < 8 << 20, "the snapshot of 64 MiB took {used} bytes");
}

#[test]
fn a_volume_on_a_file_system_of_its_own_keeps_its_copies_beside_it() {
    let Some(disk) = Mounted::new("ext4", "64M") else { return };
    disk.fill();
    let state = tempfile::tempdir().unwrap();
    let store = Store::new("notes", &state.path().join("notes"));
    let snapshot = sealed(&store, &disk.volume());
    assert!(snapshot.volumes[0].location.starts_with(disk.path().join("srv/.warmkeep/notes/snapshots")));
    fs::write(disk.volume().join("big"), "ruined").unwrap();
    restore(&store, &snapshot);
    assert_eq!(fs::metadata(disk.volume().join("big")).unwrap().len(), 4 << 20);
    let kept = &store.failed().unwrap()[0].volumes[0];
    assert_eq!(fs::read(kept.location.join("big")).unwrap(), b"ruined");
    assert_eq!(disk.names("srv/.warmkeep/notes"), [".trash", "failed", "snapshots"]);
    store.drop_failed().unwrap();
    store.discard(&snapshot.id).unwrap();
    assert_eq!(disk.names("srv"), ["data"]);
    assert!(store.sweep().unwrap().removed.is_empty());
}

#[test]
fn a_publication_killed_between_the_copy_and_its_index_is_swept() {
    let Some(disk) = Mounted::new("ext4", "64M") else { return };
    disk.fill();
    let state = tempfile::tempdir().unwrap();
    let store = Store::new("notes", &state.path().join("notes"));
    let snapshot = store.create(&request(&disk.volume(), "t1")).unwrap();
    // The copy has its name, the index has not: as after the first of the two renames.
    let index = state.path().join("notes/snapshots");
    fs::rename(index.join(snapshot.id.as_str()), index.join(".partial-t1")).unwrap();
    store.sweep().unwrap();
    assert_eq!(disk.names("srv"), ["data"]);
    assert_eq!(store.list().unwrap().snapshots, []);
}

#[test]
fn a_bind_mount_of_the_same_file_system_is_not_taken_as_reachable() {
    let Some(disk) = Mounted::new("ext4", "64M") else { return };
    disk.fill();
    fs::create_dir_all(disk.path().join("bound")).unwrap();
    let bound = disk.path().join("bound");
    run(Command::new("mount").arg("--bind").arg(disk.path().join("srv")).arg(&bound), "").unwrap();
    let unbind = Unbind(bound.clone());
    let store = disk.store();
    let snapshot = sealed(&store, &bound.join("data"));
    assert!(snapshot.volumes[0].location.starts_with(bound.join(".warmkeep")));
    store.discard(&snapshot.id).unwrap();
    drop(unbind);
    assert_eq!(disk.names("srv"), ["data"]);
}

/// Takes a mount away even when the test fails.
struct Unbind(PathBuf);

impl Drop for Unbind {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn mounts_inside_a_volume_are_refused_by_name() {
    let Some(disk) = Mounted::new("ext4", "64M") else { return };
    disk.fill();
    let inside = disk.volume().join("sub");
    run(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&inside), "").unwrap();
    let _unbind = Unbind(inside.clone());
    let error = disk.store().survey(&[disk.volume()]).unwrap_err();
    assert!(error.to_string().contains(&inside.display().to_string()), "{error}");
    // And one that appears after that look is not copied either.
    let hidden = warmkeep::sys::tree::Dir::open(&disk.volume()).unwrap();
    let told = warmkeep::sys::tree::measure(&hidden).unwrap_err();
    assert!(told.hint().unwrap().contains("mounted"), "{}", told.chain());
}

#[test]
fn a_full_disk_fails_a_snapshot_and_leaves_nothing() {
    let Some(disk) = Mounted::new("ext4", "32M") else { return };
    disk.fill();
    fs::write(disk.volume().join("more"), vec![9; 10 << 20]).unwrap();
    let state = tempfile::tempdir().unwrap();
    let store = Store::new("notes", &state.path().join("notes"));
    let survey = store.survey(&[disk.volume()]).unwrap();
    let short = survey.shortfall().expect("there is no room for it");
    assert!(short.lacks[0].bytes > 0, "{short}");
    let before = disk.free();
    let error = store.create(&request(&disk.volume(), "t1")).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskFull, "{}", error.chain());
    assert_eq!(disk.names("srv"), ["data"]);
    assert_eq!(disk.free(), before);
    assert_eq!(fs::read(disk.volume().join("more")).unwrap(), vec![9; 10 << 20]);
    assert_eq!(store.list().unwrap().snapshots, []);
}

#[test]
fn a_full_disk_fails_a_restore_before_anything_is_touched_and_an_emptied_volume_makes_room() {
    let Some(disk) = Mounted::new("ext4", "32M") else { return };
    disk.fill();
    let store = disk.store();
    let snapshot = sealed(&store, &disk.volume());
    let filler = fs::File::create(disk.volume().join("filler")).unwrap();
    while filler.write_all_at(&[1; 4096], filler.metadata().unwrap().len()).is_ok() {}
    drop(filler);
    let error = store.stage(&snapshot.id, "t2").unwrap_err();
    assert_eq!(error.kind(), Kind::DiskFull, "{}", error.chain());
    assert_eq!(disk.names("srv"), ["data"]);
    assert!(fs::exists(disk.volume().join("filler")).unwrap());
    store.discard_live(&snapshot.id, &disk.volume()).unwrap();
    restore(&store, &snapshot);
    assert_eq!(disk.names("srv/data"), ["big", "sparse", "sub"]);
}

#[test]
fn a_disk_that_fills_up_during_a_restore_leaves_nothing_of_it() {
    let Some(disk) = Mounted::new("ext4", "64M") else { return };
    disk.fill();
    for number in 0..300 {
        fs::write(disk.volume().join(format!("a{number}")), [1; 2000]).unwrap();
    }
    let snapshot = sealed(&disk.store(), &disk.volume());
    let filler = disk.path().join("filler");
    let store = disk.store().with_progress(move |progress| {
        if progress.phase == Phase::Copying {
            let file = fs::File::create(&filler).unwrap();
            let mut at = 0;
            while file.write_all_at(&[1; 4096], at).is_ok() {
                at += 4096;
            }
        }
    });
    let error = store.stage(&snapshot.id, "t2").unwrap_err();
    assert_eq!(error.kind(), Kind::DiskFull, "{}", error.chain());
    assert_eq!(disk.names("srv"), ["data"]);
    fs::remove_file(disk.path().join("filler")).unwrap();
    store.verify(&snapshot.id).unwrap();
}

#[test]
fn no_inodes_left_is_known_before_it_happens() {
    let Some(disk) = Mounted::new("ext4", "16M") else { return };
    fs::create_dir_all(disk.volume()).unwrap();
    let mut count = 0;
    while fs::write(disk.volume().join(count.to_string()), "").is_ok() {
        count += 1;
    }
    for name in 0..count / 4 {
        fs::remove_file(disk.volume().join(name.to_string())).unwrap();
    }
    let store = disk.store();
    let short = store.survey(&[disk.volume()]).unwrap().shortfall().expect("there are too few inodes");
    assert!(short.lacks[0].inodes > 0, "{short}");
    let error = store.create(&request(&disk.volume(), "t1")).unwrap_err();
    assert_eq!(error.kind(), Kind::DiskFull, "{}", error.chain());
    assert_eq!(disk.names("state/notes/snapshots"), [".ledger.json"]);
}

#[test]
fn a_volume_that_is_a_btrfs_subvolume_is_given_back() {
    let Some(disk) = Mounted::new("btrfs", "320M") else { return };
    fs::create_dir_all(disk.path().join("srv")).unwrap();
    run(Command::new("btrfs").args(["subvolume", "create"]).arg(disk.volume()), "install btrfs-progs")
        .unwrap();
    disk.fill();
    let store = disk.store();
    let snapshot = sealed(&store, &disk.volume());
    fs::write(disk.volume().join("big"), "ruined").unwrap();
    restore(&store, &snapshot);
    assert_eq!(fs::metadata(disk.volume().join("big")).unwrap().len(), 4 << 20);
    store.drop_failed().unwrap();
    assert_eq!(disk.names("srv"), ["data"]);
}
