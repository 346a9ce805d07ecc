use std::sync::{Arc, Mutex};

use super::*;
use crate::sys::tree::Dir;

#[test]
fn a_snapshot_is_a_copy_of_the_volume_that_leaves_nothing_beside_it() {
    let scene = Scene::new();
    let before = scene.live();
    let snapshot = scene.create("t1");
    assert_eq!(portrait(&snapshot.volumes[0].location), before);
    assert_eq!(scene.live(), before);
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
    assert_eq!((snapshot.seq, snapshot.sealed, snapshot.volumes[0].entries), (1, false, 4));
    assert_eq!(scene.store.load(&snapshot.id).unwrap(), snapshot);
}

#[test]
fn a_sequence_number_is_never_given_twice_even_when_all_snapshots_are_gone() {
    let scene = Scene::new();
    let first = scene.create("t1");
    let second = scene.create("t2");
    scene.store.discard(&second.id).unwrap();
    scene.store.discard(&first.id).unwrap();
    let third = scene.create("t3");
    assert_eq!(third.seq, 3);
    assert_eq!(scene.store.list().unwrap().snapshots, [third]);
}

#[test]
fn a_transaction_run_again_replaces_what_it_left_unpublished() {
    let scene = Scene::new();
    let partial = scene.store.app_dir.join("snapshots/.partial-t1/0/data");
    files::create_dir_private(&partial).unwrap();
    files::write_cache(&partial.join("torn"), b"x").unwrap();
    let snapshot = scene.create("t1");
    assert_eq!(portrait(&snapshot.volumes[0].location), scene.live());
    let names: Vec<_> = files::list(&scene.store.app_dir.join("snapshots")).unwrap();
    assert_eq!(names.len(), 2, "the ledger and the snapshot: {names:?}");
}

#[test]
fn a_failure_leaves_nothing_of_the_snapshot() {
    let scene = Scene::new();
    let mut request = scene.request("t1");
    // The second volume's copy cannot begin: somebody made a file where its staging goes.
    request.volumes.push(scene.path("other/data"));
    files::create_dir_private(&scene.path("other/data")).unwrap();
    files::write_cache(&scene.path("other/.warmkeep"), b"in the way").unwrap();
    assert!(complaint(scene.store.create(&request)).contains(".warmkeep"));
    assert_eq!(scene.store.list().unwrap(), Listing::default());
    let left = files::list(&scene.store.app_dir.join("snapshots")).unwrap();
    assert!(left.iter().all(|path| path.ends_with(".ledger.json")), "{left:?}");
}

#[test]
fn sealing_twice_is_sealing_once() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    assert!(sealed.sealed && sealed.volumes[0].root_digest.is_some());
    let manifest = text(&scene.index(&sealed).join("manifest-0.jsonl"));
    assert_eq!(scene.store.seal(&sealed.id).unwrap(), sealed);
    assert_eq!(text(&scene.index(&sealed).join("manifest-0.jsonl")), manifest);
}

#[test]
fn sealing_that_was_killed_half_way_is_done_again() {
    let scene = Scene::new();
    let snapshot = scene.create("t1");
    files::write_cache(&scene.index(&snapshot).join(".manifest-0.jsonl.tmp"), b"torn").unwrap();
    files::write_cache(&scene.index(&snapshot).join("manifest-0.jsonl"), b"from before").unwrap();
    scene.store.seal(&snapshot.id).unwrap();
    scene.store.verify(&snapshot.id).unwrap();
}

#[test]
fn a_copy_that_lost_an_entry_is_not_sealed() {
    let scene = Scene::new();
    let snapshot = scene.create("t1");
    files::remove_file(&snapshot.volumes[0].location.join("a")).unwrap();
    assert!(complaint(scene.store.seal(&snapshot.id)).contains("4 entries were copied, 3 are there"));
    assert!(!scene.store.load(&snapshot.id).unwrap().sealed);
}

#[test]
fn verifying_records_when() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    let verified = scene.store.verify(&sealed.id).unwrap();
    assert_eq!(verified.entries, 4);
    assert_eq!(scene.store.load(&sealed.id).unwrap().verified_at, Some(verified.at));
}

#[test]
fn an_unsealed_snapshot_cannot_be_verified() {
    let scene = Scene::new();
    let snapshot = scene.create("t1");
    assert!(complaint(scene.store.verify(&snapshot.id)).contains("not sealed"));
}

#[test]
fn a_flipped_bit_in_the_data_is_found_and_the_snapshot_no_longer_counts_as_verified() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    scene.store.verify(&sealed.id).unwrap();
    flip_bit(&sealed.volumes[0].location.join("sub/b"), 2);
    let told = complaint(scene.store.verify(&sealed.id));
    assert!(told.contains(r#""sub/b": "#) && told.contains("content"), "{told}");
    assert_eq!(scene.store.load(&sealed.id).unwrap().verified_at, None);
}

#[test]
fn a_flipped_bit_in_the_manifest_is_found() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    flip_bit(&scene.index(&sealed).join("manifest-0.jsonl"), 40);
    assert!(complaint(scene.store.verify(&sealed.id)).contains("damaged"));
}

#[test]
fn a_missing_manifest_is_found() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    files::remove_file(&scene.index(&sealed).join("manifest-0.jsonl")).unwrap();
    assert!(complaint(scene.store.verify(&sealed.id)).contains("manifest-0.jsonl is missing"));
}

#[test]
fn another_digit_in_the_recorded_digest_is_found() {
    let scene = Scene::new();
    let sealed = scene.sealed("t1");
    let path = scene.index(&sealed).join("snapshot.json");
    let digest = sealed.volumes[0].root_digest.clone().unwrap();
    let other = if digest.starts_with('0') { "1" } else { "0" };
    let forged = text(&path).replacen(&digest, &format!("{other}{}", &digest[1..]), 1);
    files::write_cache(&path, forged.as_bytes()).unwrap();
    assert!(complaint(scene.store.verify(&sealed.id)).contains("does not match its own check"));
}

#[test]
fn damaged_and_newer_records_are_listed_apart_and_stay() {
    let scene = Scene::new();
    let good = scene.create("t1");
    let snapshots = scene.store.app_dir.join("snapshots");
    for (name, record) in
        [("20261121T030004Z-0001", "{\"schema\":2}"), ("20261121T030004Z-0002", "not json"), ("odd", "")]
    {
        files::create_dir_private(&snapshots.join(name)).unwrap();
        files::write_cache(&snapshots.join(name).join("snapshot.json"), record.as_bytes()).unwrap();
    }
    files::create_dir_private(&snapshots.join("20261121T030004Z-0003")).unwrap();
    let listing = scene.store.list().unwrap();
    assert_eq!(listing.snapshots, [good]);
    let why: Vec<&str> = listing.unreadable.iter().map(|(_, why)| why.as_str()).collect();
    assert_eq!(why.len(), 4);
    assert!(why[0].contains("schema 2") && why[2].contains("no snapshot.json"), "{why:?}");
    let newer = SnapshotId::parse("20261121T030004Z-0001").unwrap();
    assert!(scene.store.discard(&newer).unwrap_err().hint().unwrap().contains("newer warmkeep"));
    scene.store.sweep().unwrap();
    assert_eq!(scene.store.list().unwrap().unreadable.len(), 4);
}

#[test]
fn progress_is_told() {
    let scene = Scene::new();
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let store = scene.store.clone().with_progress(move |progress| listener.lock().unwrap().push(progress));
    let snapshot = store.create(&scene.request("t1")).unwrap();
    store.seal(&snapshot.id).unwrap();
    let told = told.lock().unwrap();
    assert_eq!((told[0].phase, told[0].entries), (Phase::Copying, 4));
    assert_eq!((told[1].phase, told[1].entries, told[1].bytes), (Phase::Hashing, 4, 9));
}

#[test]
fn a_survey_measures_and_leaves_nothing() {
    let scene = Scene::new();
    let survey = scene.store.survey(&[scene.volume()]).unwrap();
    assert_eq!((survey.volumes[0].entries, survey.volumes[0].apparent_bytes), (4, 9));
    assert_eq!(survey.volumes[0].place, scene.store.app_dir.join(""));
    assert!(survey.file_systems[0].needed_bytes >= 1 << 20);
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
    let left = files::list(&scene.store.app_dir).unwrap();
    assert!(left.iter().all(|path| path.ends_with("snapshots")), "{left:?}");
}

#[test]
fn what_cannot_be_a_volume_is_refused_with_its_name_and_a_remedy() {
    let scene = Scene::new();
    files::write_cache(&scene.path("srv/file"), b"x").unwrap();
    rustix::fs::symlink(scene.volume(), scene.path("srv/link")).unwrap();
    let cases = [
        (vec![], "no volume"),
        (vec![scene.path("srv/nothing")], "is missing"),
        (vec![scene.path("no/where")], "is missing"),
        (vec![scene.path("srv/file")], "is not a folder"),
        (vec![scene.path("srv/link")], "is a symbolic link"),
        (vec![scene.path("srv/../srv/data")], "cannot be a volume"),
        (vec![PathBuf::from("/")], "cannot be a volume"),
        (vec![PathBuf::from("/proc")], "is itself a mount point"),
        (vec![scene.volume(), scene.volume().join("sub")], "is inside"),
        (vec![scene.volume(), scene.volume()], "is inside"),
        (vec![scene.path("state")], "warmkeep's own state"),
    ];
    files::create_dir_private(&scene.store.app_dir).unwrap();
    for (volumes, said) in cases {
        let error = scene.store.survey(&volumes).unwrap_err();
        assert!(error.to_string().contains(said), "{volumes:?}: {}", error.chain());
        assert!(error.hint().is_some(), "{volumes:?}");
    }
    assert_eq!(files::list(&scene.store.app_dir).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn mounts_inside_a_volume_are_refused_by_name() {
    // Wherever these tests run, /proc is mounted below the root; its parent cannot be a volume, so look one up.
    let mounted = crate::sys::mounts::points().unwrap();
    let Some(inner) = mounted.iter().find(|path| path.components().count() > 2) else {
        eprintln!("SKIPPED: no mount point below a folder of the root (mount one, say /dev/shm)");
        return;
    };
    let outer: PathBuf = inner.components().take(2).collect();
    if mounted.contains(&outer) || !files::is_dir(&outer) {
        eprintln!("SKIPPED: {} is a mount point itself", outer.display());
        return;
    }
    let scene = Scene::new();
    let told = complaint(scene.store.survey(&[outer]));
    assert!(told.contains(&inner.display().to_string()), "{told}");
}

#[test]
fn links_in_the_path_to_a_volume_are_fine() {
    let scene = Scene::new();
    rustix::fs::symlink(scene.path("srv"), scene.path("linked")).unwrap();
    let mut request = scene.request("t1");
    request.volumes = vec![scene.path("linked/data")];
    let snapshot = scene.store.create(&request).unwrap();
    assert_eq!(portrait(&snapshot.volumes[0].location), scene.live());
}

#[test]
fn a_planted_link_beside_the_volume_is_not_followed() {
    let scene = Scene::new();
    files::create_dir_private(&scene.path("outside")).unwrap();
    rustix::fs::symlink(scene.path("outside"), scene.path("srv/.warmkeep")).unwrap();
    assert!(complaint(scene.store.create(&scene.request("t1"))).contains(".warmkeep"));
    assert_eq!(Dir::open(&scene.path("outside")).unwrap().names().unwrap().len(), 0);
}

#[test]
fn a_transaction_that_could_name_another_folder_is_refused() {
    let scene = Scene::new();
    for txn in ["", "..", ".hidden", "a/b", "a\0b"] {
        assert!(complaint(scene.store.create(&scene.request(txn))).contains("cannot name a transaction"));
    }
}
