use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat, utimensat,
};

use super::portrait::portrait;
use super::*;

fn root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("SKIPPED: owners, devices and capabilities (run the tests as root)");
    }
    root
}

struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::create_dir(dir.path().join("copy")).unwrap();
        Self { dir }
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn copied(&self) -> PathBuf {
        self.dir.path().join("copy")
    }

    fn copy(&self) -> crate::error::Result<Copied> {
        let (from, to) = (Dir::open(&self.data())?, Dir::open(&self.copied())?);
        copy(&from, &to, Purpose::Data, &mut |_, _| {})
    }

    #[track_caller]
    fn copies_exactly(&self) {
        self.copy().unwrap();
        assert_eq!(portrait(&self.data()), portrait(&self.copied()));
    }
}

/// The access time lies far ahead, so that reading the entry to compare it does not move it.
fn date(path: &Path, seconds: i64, nanos: i64) {
    let time = |seconds| Timespec { tv_sec: seconds, tv_nsec: nanos };
    let times = Timestamps { last_access: time(seconds + 5_000_000_000), last_modification: time(seconds) };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

#[test]
fn modes_and_times_are_kept_to_the_nanosecond() {
    let scene = Scene::new();
    let sub = scene.data().join("sub");
    fs::create_dir(&sub).unwrap();
    for (name, mode) in [("plain", 0o640), ("setuid", 0o4755), ("none", 0o400)] {
        fs::write(sub.join(name), name).unwrap();
        fs::set_permissions(sub.join(name), fs::Permissions::from_mode(mode)).unwrap();
        date(&sub.join(name), 1_000_000_007, 123_456_789);
    }
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o1777)).unwrap();
    date(&sub, 1_100_000_000, 1);
    date(&scene.data(), -5, 999_999_999);
    scene.copies_exactly();
}

#[test]
fn owners_are_kept_together_with_setuid() {
    let scene = Scene::new();
    if !root() {
        return;
    }
    fs::write(scene.data().join("tool"), "x").unwrap();
    chown(scene.data().join("tool"), Some(1234), Some(5678)).unwrap();
    fs::set_permissions(scene.data().join("tool"), fs::Permissions::from_mode(0o6755)).unwrap();
    symlink("tool", scene.data().join("link")).unwrap();
    lchown(scene.data().join("link"), Some(99), Some(98)).unwrap();
    date(&scene.data().join("link"), 1, 1);
    chown(scene.data(), Some(7), Some(8)).unwrap();
    scene.copies_exactly();
}

#[test]
fn links_keep_their_target_and_their_own_times() {
    let scene = Scene::new();
    for (name, target) in [("dangling", "/nowhere/at all"), ("up", "../../../etc"), ("self", "self")] {
        symlink(target, scene.data().join(name)).unwrap();
        date(&scene.data().join(name), 1_200_000_000, 42);
    }
    scene.copies_exactly();
}

#[test]
fn hard_links_stay_together_across_folders() {
    let scene = Scene::new();
    fs::create_dir_all(scene.data().join("z/deep")).unwrap();
    fs::write(scene.data().join("first"), "shared").unwrap();
    fs::hard_link(scene.data().join("first"), scene.data().join("z/deep/second")).unwrap();
    fs::hard_link(scene.data().join("first"), scene.data().join("third")).unwrap();
    fs::write(scene.dir.path().join("outside"), "has a name inside").unwrap();
    fs::hard_link(scene.dir.path().join("outside"), scene.data().join("inside")).unwrap();
    symlink("x", scene.data().join("link")).unwrap();
    date(&scene.data().join("link"), 1, 1);
    fs::hard_link(scene.data().join("link"), scene.data().join("link too")).unwrap();
    scene.copies_exactly();
}

#[test]
fn holes_stay_holes() {
    let scene = Scene::new();
    let file = fs::File::create(scene.data().join("sparse")).unwrap();
    file.write_all_at(b"head", 0).unwrap();
    file.write_all_at(b"middle", 3 << 20).unwrap();
    file.set_len(8 << 20).unwrap();
    file.sync_all().unwrap();
    fs::File::create(scene.data().join("all hole")).unwrap().set_len(1 << 30).unwrap();
    let copied = scene.copy().unwrap();
    assert!(copied.bytes < 1 << 20, "{copied:?}");
    Dir::open(&scene.copied()).unwrap().sync_file_system().unwrap();
    let allocated = |path: PathBuf| Dir::open(&path).and_then(|dir| measure(&dir)).unwrap();
    assert_eq!(allocated(scene.data()), allocated(scene.copied()));
}

#[test]
fn pipes_are_copied_without_blocking_and_sockets_are_left_out() {
    let scene = Scene::new();
    mknodat(CWD, scene.data().join("pipe"), FileType::Fifo, Mode::from_raw_mode(0o622), 0).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(scene.data().join("socket")).unwrap();
    scene.copies_exactly();
    assert!(scene.copied().join("pipe").exists());
    assert!(!scene.copied().join("socket").exists());
}

#[test]
fn devices_are_copied_and_never_opened() {
    let scene = Scene::new();
    if !root() {
        return;
    }
    // No driver has this number: opening it would fail.
    let nowhere = makedev(4000, 12);
    mknodat(CWD, scene.data().join("c"), FileType::CharacterDevice, Mode::RUSR, nowhere).unwrap();
    mknodat(CWD, scene.data().join("b"), FileType::BlockDevice, Mode::RUSR, nowhere).unwrap();
    scene.copies_exactly();
}

#[test]
fn odd_names_are_copied() {
    let scene = Scene::new();
    let long = vec![b'l'; 255];
    for name in [b"\xff\xfe not text".as_slice(), b"...", b"..x", b" ", b"new\nline", b"-rf", b"%41", &long] {
        fs::write(scene.data().join(OsStr::from_bytes(name)), name).unwrap();
    }
    scene.copies_exactly();
}

#[test]
fn extended_attributes_and_acls_are_kept() {
    let scene = Scene::new();
    let sub = scene.data().join("sub");
    fs::create_dir(&sub).unwrap();
    fs::write(sub.join("file"), "x").unwrap();
    lsetxattr(sub.join("file"), c"user.note", b"\0any\xff", XattrFlags::empty()).unwrap();
    lsetxattr(sub.join("file"), c"system.posix_acl_access", &acl(0o6), XattrFlags::empty()).unwrap();
    lsetxattr(&sub, c"system.posix_acl_default", &acl(0o7), XattrFlags::empty()).unwrap();
    scene.copies_exactly();
}

#[test]
fn capabilities_are_kept_although_a_chown_drops_them() {
    let scene = Scene::new();
    if !root() {
        return;
    }
    fs::write(scene.data().join("tool"), "x").unwrap();
    chown(scene.data().join("tool"), Some(12), Some(13)).unwrap();
    // cap_net_bind_service=ep, revision 2.
    let capability = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    lsetxattr(scene.data().join("tool"), c"security.capability", &capability, XattrFlags::empty()).unwrap();
    symlink("tool", scene.data().join("link")).unwrap();
    lsetxattr(scene.data().join("link"), c"trusted.note", b"on a link", XattrFlags::empty()).unwrap();
    date(&scene.data().join("link"), 1, 1);
    scene.copies_exactly();
}

#[test]
fn a_default_acl_above_the_copy_is_not_inherited() {
    let scene = Scene::new();
    fs::create_dir(scene.data().join("sub")).unwrap();
    fs::write(scene.data().join("sub/file"), "x").unwrap();
    lsetxattr(scene.copied(), c"system.posix_acl_default", &acl(0o7), XattrFlags::empty()).unwrap();
    scene.copies_exactly();
}

/// An ACL that lets user 4321 in: version 2, then tag, permissions and id of each entry.
fn acl(permissions: u16) -> Vec<u8> {
    const NOBODY: u32 = u32::MAX;
    let entries = [
        (1, 0o6, NOBODY),
        (2, permissions, 4321),
        (4, 0o4, NOBODY),
        (16, permissions, NOBODY),
        (32, 0, NOBODY),
    ];
    let mut bytes = 2_u32.to_le_bytes().to_vec();
    for (tag, permissions, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(u16::to_le_bytes(permissions));
        bytes.extend(u32::to_le_bytes(id));
    }
    bytes
}

#[test]
fn a_tree_deeper_than_any_path_is_copied_with_its_hard_links() {
    let scene = Scene::new();
    let deep = PathBuf::from(std::iter::repeat_n("d".repeat(200), 60).collect::<Vec<_>>().join("/"));
    let bottom = Dir::open(&scene.data()).unwrap().make(&deep).unwrap();
    let file = bottom.new_file(OsStr::new("a")).unwrap();
    file.publish().unwrap();
    rustix::fs::linkat(bottom.fd(), c"a", bottom.fd(), c"b", AtFlags::empty()).unwrap();
    let copied = scene.copy().unwrap();
    assert_eq!(copied.entries, 1 + 60 + 2);
    let bottom = Dir::open(&scene.copied()).unwrap().beneath(&deep).unwrap().unwrap();
    let id = |name: &str| bottom.look(OsStr::new(name)).unwrap().unwrap().id;
    assert_eq!(id("a"), id("b"));
    for name in ["data", "copy"] {
        Dir::open(scene.dir.path()).unwrap().remove(OsStr::new(name)).unwrap();
    }
}

#[test]
fn a_folder_swapped_for_a_link_after_it_was_listed_is_never_followed() {
    let scene = Scene::new();
    let outside = scene.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "x").unwrap();
    fs::create_dir(scene.data().join("sub")).unwrap();
    let mut walk = Walk::new(&Dir::open(&scene.data()).unwrap(), Purpose::Data).unwrap();
    assert!(matches!(walk.step().unwrap(), Some(Event::Enter(_))));
    fs::remove_dir(scene.data().join("sub")).unwrap();
    symlink(&outside, scene.data().join("sub")).unwrap();
    let Some(Event::Leaf(entry)) = walk.step().unwrap() else { panic!("it was entered") };
    assert_eq!(entry.meta.kind, Kind::Symlink);
    // And the folder it was in has changed, which fails the copy as a whole.
    assert!(walk.step().unwrap_err().to_string().contains("was changed"));
}

#[test]
fn a_file_swapped_for_another_after_it_was_seen_is_refused() {
    let scene = Scene::new();
    fs::write(scene.data().join("file"), "x").unwrap();
    let mut walk = Walk::new(&Dir::open(&scene.data()).unwrap(), Purpose::Data).unwrap();
    walk.step().unwrap();
    let Some(Event::Leaf(entry)) = walk.step().unwrap() else { panic!("no leaf") };
    fs::remove_file(scene.data().join("file")).unwrap();
    mknodat(CWD, scene.data().join("file"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    assert!(walk.open(&entry).unwrap_err().to_string().contains("was changed"));
}

#[test]
fn what_vanishes_while_it_is_measured_is_passed_over_and_while_it_is_copied_is_an_error() {
    for (purpose, fine) in [(Purpose::Measure, true), (Purpose::Data, false)] {
        let scene = Scene::new();
        fs::write(scene.data().join("file"), "x").unwrap();
        let mut walk = Walk::new(&Dir::open(&scene.data()).unwrap(), purpose).unwrap();
        walk.step().unwrap();
        fs::remove_file(scene.data().join("file")).unwrap();
        assert_eq!(walk.step().is_ok(), fine);
    }
}

#[test]
fn reading_our_own_copy_leaves_the_access_times_of_links_alone() {
    let scene = Scene::new();
    let link = scene.data().join("link");
    symlink("somewhere", &link).unwrap();
    let old = Timespec { tv_sec: 1000, tv_nsec: 7 };
    let times = Timestamps { last_access: old, last_modification: old };
    utimensat(CWD, &link, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    let (from, to) = (Dir::open(&scene.data()).unwrap(), Dir::open(&scene.copied()).unwrap());
    copy(&from, &to, Purpose::Copy, &mut |_, _| {}).unwrap();
    for dir in [&from, &to] {
        let meta = dir.look(OsStr::new("link")).unwrap().unwrap();
        assert_eq!((meta.accessed.seconds, meta.accessed.nanos), (1000, 7));
    }
}

#[test]
fn a_file_with_two_names_is_measured_once() {
    let scene = Scene::new();
    fs::write(scene.data().join("a"), vec![1; 10_000]).unwrap();
    fs::hard_link(scene.data().join("a"), scene.data().join("b")).unwrap();
    let totals = measure(&Dir::open(&scene.data()).unwrap()).unwrap();
    assert_eq!((totals.apparent, totals.entries, totals.inodes), (10_000, 3, 2));
}
