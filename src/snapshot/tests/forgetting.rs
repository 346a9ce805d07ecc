use super::*;

#[test]
fn a_discarded_snapshot_is_gone_and_discarding_it_again_is_fine() {
    let scene = Scene::new();
    let (one, two) = (scene.create("t1"), scene.create("t2"));
    scene.store.discard(&one.id).unwrap();
    scene.store.discard(&one.id).unwrap();
    assert_eq!(scene.store.list().unwrap().snapshots, [two]);
    assert_eq!(files::list(&scene.store.app_dir.join(".trash")).unwrap(), Vec::<PathBuf>::new());
}

#[test]
fn a_sweep_removes_what_a_crash_left_and_no_snapshot() {
    let scene = Scene::new();
    let snapshot = scene.sealed("t1");
    let app_dir = &scene.store.app_dir;
    let leftovers = [
        app_dir.join("snapshots/.partial-t9/0/data"),
        app_dir.join(".trash/20261121T030004Z-0001/0"),
        app_dir.join(".probe"),
        scene.path("srv/.warmkeep/notes/staging/t9/0/half"),
        scene.path("srv/.warmkeep/notes/.probe"),
        scene.path("srv/.warmkeep/notes/.trash/t9"),
    ];
    for folder in &leftovers {
        files::create_dir_private(folder).unwrap();
    }
    let torn = scene.index(&snapshot).join(".snapshot.json.123.tmp");
    files::write_cache(&torn, b"torn").unwrap();
    let swept = scene.store.sweep().unwrap();
    assert_eq!(swept.left, []);
    assert!(swept.removed.contains(&torn));
    assert!(leftovers.iter().all(|path| !files::exists(path)), "{swept:?}");
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
    assert_eq!(scene.store.list().unwrap().snapshots, std::slice::from_ref(&snapshot));
    scene.store.verify(&snapshot.id).unwrap();
    assert_eq!(scene.store.sweep().unwrap(), Swept::default());
}

#[test]
fn a_copy_beside_a_volume_goes_only_if_its_publication_or_removal_was_interrupted() {
    let scene = Scene::new();
    scene.create("t1");
    let pending = SnapshotId::parse("20261121T030004Z-0001").unwrap();
    let [interrupted, unknown] = ["20261121T030004Z-0001", "20261121T030004Z-0002"]
        .map(|id| scene.path("srv/.warmkeep/notes/snapshots").join(id).join("0/data"));
    for copy in [&interrupted, &unknown] {
        files::create_dir_private(copy).unwrap();
    }
    scene.store.note(|ledger| ledger.pending.extend([pending])).unwrap();
    scene.store.sweep().unwrap();
    assert!(!files::exists(&interrupted));
    // Its index may be on a disk that is not mounted: it is nobody's leftover.
    assert!(files::exists(&unknown));
}

#[test]
fn a_sweep_follows_no_planted_link() {
    let scene = Scene::new();
    scene.create("t1");
    files::create_dir_private(&scene.path("outside/.trash/kept")).unwrap();
    files::create_dir_private(&scene.path("srv/.warmkeep")).unwrap();
    rustix::fs::symlink(scene.path("outside"), scene.path("srv/.warmkeep/notes")).unwrap();
    let swept = scene.store.sweep().unwrap();
    assert!(!swept.left.is_empty());
    assert!(files::exists(&scene.path("outside/.trash/kept")));
}

#[test]
fn a_damaged_ledger_is_an_error_with_a_remedy() {
    let scene = Scene::new();
    scene.create("t1");
    files::write_cache(&scene.store.app_dir.join("snapshots/.ledger.json"), b"{").unwrap();
    let error = scene.store.create(&scene.request("t2")).unwrap_err();
    assert!(error.hint().unwrap().contains("made anew"), "{}", error.chain());
}
