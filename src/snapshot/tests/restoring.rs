use super::*;

fn inode(path: &Path) -> u64 {
    files::facts(path).unwrap().unwrap().ino
}

/// A sealed snapshot of the first data, and other data live since.
fn upgraded() -> (Scene, Snapshot, BTreeMap<PathBuf, Portrait>) {
    let scene = Scene::new();
    let snapshot = scene.sealed("t1");
    let before = scene.live();
    scene.write("a", "migrated by the new version");
    scene.write("new", "x");
    (scene, snapshot, before)
}

#[test]
fn a_restore_brings_back_the_data_and_keeps_what_failed() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    assert_eq!(scene.live(), after);
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    let kept = scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap();
    assert_eq!(portrait(&kept.volumes[0].location), after);
    assert_eq!(scene.store.failed().unwrap(), [kept]);
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
    scene.store.verify(&snapshot.id).unwrap();
    assert_eq!(portrait(&snapshot.volumes[0].location), before);
}

#[test]
fn each_step_of_a_restore_can_be_done_again() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    scene.store.stage(&snapshot.id, "t2").unwrap();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    for _ in 0..3 {
        scene.store.exchange(&exchanges[0]).unwrap();
        assert_eq!(scene.live(), before);
    }
    let kept = scene.store.keep_aside(&exchanges, "t2").unwrap();
    assert_eq!(scene.store.keep_aside(&exchanges, "t2").unwrap(), kept);
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    assert_eq!(portrait(&kept.unwrap().volumes[0].location), after);
}

#[test]
fn a_live_folder_that_is_gone_is_put_back() {
    let (scene, snapshot, before) = upgraded();
    files::remove_tree(&scene.volume()).unwrap();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    assert_eq!(exchanges[0].live_inode, None);
    scene.store.exchange(&exchanges[0]).unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    assert_eq!(scene.store.keep_aside(&exchanges, "t2").unwrap(), None);
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
}

#[test]
fn a_live_folder_that_somebody_replaced_is_left_alone() {
    let (scene, snapshot, _) = upgraded();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    files::rename(&scene.volume(), &scene.path("moved")).unwrap();
    files::create_dir_private(&scene.volume()).unwrap();
    scene.write("precious", "x");
    assert!(complaint(scene.store.exchange(&exchanges[0])).contains("another folder has taken its place"));
    assert_eq!(text(&scene.volume().join("precious")), "x");
}

#[test]
fn nothing_is_kept_aside_that_was_not_exchanged() {
    let (scene, snapshot, _) = upgraded();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    assert!(complaint(scene.store.keep_aside(&exchanges, "t2")).contains("has not been exchanged"));
    scene.store.exchange(&exchanges[0]).unwrap();
}

#[test]
fn a_damaged_snapshot_is_never_staged() {
    let (scene, snapshot, _) = upgraded();
    flip_bit(&snapshot.volumes[0].location.join("a"), 0);
    assert!(complaint(scene.store.stage(&snapshot.id, "t2")).contains("damaged"));
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
}

#[test]
fn a_copy_damaged_after_it_was_proven_is_found_in_its_clone_and_nothing_is_left() {
    let (scene, snapshot, _) = upgraded();
    let copied = snapshot.volumes[0].location.join("a");
    let once = std::sync::Once::new();
    let store = scene.store.clone().with_progress(move |progress| {
        if progress.phase == Phase::Hashing {
            once.call_once(|| flip_bit(&copied, 0));
        }
    });
    let told = complaint(store.stage(&snapshot.id, "t2"));
    assert!(told.contains("staging/t2/0") && told.contains(r#""a": "#) && told.contains("content"), "{told}");
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
}

#[test]
fn an_unsealed_snapshot_is_never_staged() {
    let scene = Scene::new();
    let snapshot = scene.create("t1");
    assert!(complaint(scene.store.stage(&snapshot.id, "t2")).contains("not sealed"));
}

#[test]
fn live_data_that_was_exchanged_out_survives_a_restart_from_the_beginning() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    // Killed here, and begun anew.
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    let kept = scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap();
    assert_eq!(scene.live(), before);
    assert_eq!(portrait(&kept.volumes[0].location), after);
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
}

#[test]
fn a_sweep_keeps_live_data_that_was_exchanged_out_and_removes_clones() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    scene.store.sweep().unwrap();
    assert_eq!(portrait(&scene.store.failed().unwrap()[0].volumes[0].location), after);
    scene.store.stage(&snapshot.id, "t3").unwrap();
    scene.store.sweep().unwrap();
    assert_eq!(scene.live(), before);
    assert_eq!(scene.store.failed().unwrap()[0].txn, "t2");
    assert_eq!(scene.beside(), Vec::<PathBuf>::new());
}

#[test]
fn an_exchange_by_two_renames_that_was_killed_in_between_is_finished() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    let staged = &exchanges[0].staged;
    // What a file system without RENAME_EXCHANGE leaves after the first rename.
    files::rename(&scene.volume(), &staged.with_file_name("0.old")).unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    let kept = scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap();
    assert_eq!(portrait(&kept.volumes[0].location), after);
}

#[test]
fn live_data_between_two_renames_survives_a_restart_from_the_beginning() {
    let (scene, snapshot, before) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    files::rename(&scene.volume(), &exchanges[0].staged.with_file_name("0.old")).unwrap();
    let exchanges = scene.store.stage(&snapshot.id, "t3").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    assert_eq!(portrait(&scene.store.failed().unwrap()[0].volumes[0].location), after);
}

#[test]
fn a_torn_clone_of_an_older_transaction_is_removed() {
    let (scene, snapshot, _) = upgraded();
    let torn = scene.path("srv/.warmkeep/notes/staging/t0/0");
    files::create_dir_private(&torn.join("half")).unwrap();
    scene.store.stage(&snapshot.id, "t2").unwrap();
    assert!(!files::exists(&torn));
    assert_eq!(scene.store.failed().unwrap(), []);
}

#[test]
fn what_an_older_transaction_kept_goes_when_a_newer_one_has_kept_its_own() {
    let (scene, snapshot, _) = upgraded();
    for txn in ["t2", "t3"] {
        scene.write("txn", txn);
        let exchanges = scene.store.stage(&snapshot.id, txn).unwrap();
        scene.store.exchange(&exchanges[0]).unwrap();
        scene.store.keep_aside(&exchanges, txn).unwrap();
    }
    let failed = scene.store.failed().unwrap();
    assert_eq!(failed.len(), 1);
    assert_eq!(text(&failed[0].volumes[0].location.join("txn")), "t3");
    scene.store.drop_failed().unwrap();
    scene.store.drop_failed().unwrap();
    assert_eq!(scene.store.failed().unwrap(), []);
    assert!(!files::exists(&scene.store.app_dir.join("failed")));
}

#[test]
fn keeping_aside_that_was_killed_before_the_move_is_finished() {
    let (scene, snapshot, _) = upgraded();
    let after = scene.live();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    let kept = scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap();
    // Back to the moment when only the record was there.
    files::create_dir_private(exchanges[0].staged.parent().unwrap()).unwrap();
    files::rename(&kept.volumes[0].location, &exchanges[0].staged).unwrap();
    assert_eq!(scene.store.failed().unwrap()[0].volumes, []);
    let again = scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap();
    assert_eq!(again, kept);
    assert_eq!(portrait(&kept.volumes[0].location), after);
}

#[test]
fn two_volumes_are_exchanged_each_on_its_own() {
    let scene = Scene::new();
    let other = scene.path("other/data");
    files::create_dir_private(&other).unwrap();
    files::write_cache(&other.join("o"), b"other").unwrap();
    let mut request = scene.request("t1");
    request.volumes.push(other.clone());
    let snapshot = scene.store.create(&request).unwrap();
    scene.store.seal(&snapshot.id).unwrap();
    scene.write("a", "changed");
    files::write_cache(&other.join("o"), b"changed").unwrap();
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!((text(&scene.volume().join("a")), text(&other.join("o"))), ("alpha".into(), "changed".into()));
    // Killed between the two: recovery does both again.
    for exchange in &exchanges {
        scene.store.exchange(exchange).unwrap();
    }
    assert_eq!((text(&scene.volume().join("a")), text(&other.join("o"))), ("alpha".into(), "other".into()));
    assert_eq!(scene.store.keep_aside(&exchanges, "t2").unwrap().unwrap().volumes.len(), 2);
}

#[test]
fn a_live_folder_is_emptied_only_when_its_snapshot_is_proven() {
    let (scene, snapshot, before) = upgraded();
    let folder = inode(&scene.volume());
    scene.store.discard_live(&snapshot.id, &scene.volume()).unwrap();
    scene.store.discard_live(&snapshot.id, &scene.volume()).unwrap();
    assert_eq!((scene.live().len(), inode(&scene.volume())), (1, folder));
    let exchanges = scene.store.stage(&snapshot.id, "t2").unwrap();
    scene.store.exchange(&exchanges[0]).unwrap();
    assert_eq!(scene.live(), before);
    flip_bit(&snapshot.volumes[0].location.join("a"), 0);
    assert!(complaint(scene.store.discard_live(&snapshot.id, &scene.volume())).contains("damaged"));
    assert_eq!(scene.live(), before);
}

#[test]
fn a_folder_that_the_snapshot_does_not_hold_is_never_emptied() {
    let (scene, snapshot, _) = upgraded();
    let other = scene.path("other");
    files::create_dir_private(&other.join("kept")).unwrap();
    assert!(complaint(scene.store.discard_live(&snapshot.id, &other)).contains("has no copy"));
    assert!(files::exists(&other.join("kept")));
}
