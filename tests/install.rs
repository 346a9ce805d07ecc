//! The first converge of an app.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests drive the real system")]

mod common;

use std::os::unix::fs::PermissionsExt;

use common::{APP, Host};

#[test]
fn an_install_makes_the_data_folder_that_is_not_there_yet() {
    let host = Host::new();
    std::fs::remove_dir(host.path("data")).unwrap();
    let plan = host.run(&["plan", "--json"]);
    assert_eq!(plan.code, 0, "{plan:?}");
    let installed = host.converge();
    assert_eq!((installed.code, installed.outcome(APP)), (0, "installed".into()), "{installed:?}");
    let mode = std::fs::metadata(host.path("data")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    host.write_note("kept");
    assert_eq!(host.converge().outcome(APP), "noop");
}
