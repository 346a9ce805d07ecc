//! How an app's processes are known, whoever started them and however long ago: by a variable in their environment.

use std::collections::BTreeMap;

use crate::record::layout::AppLayout;
use crate::sys::proc::Mark;
use crate::sys::{files, hash};

/// Marks the processes of an app.
pub const OWNER: &str = "WARMKEEP_OWNER";
/// Marks the programs that warmkeep runs for an app and waits for: `prepare`, hooks, checks, a driver's own.
pub const HELPER: &str = "WARMKEEP_HELPER";

/// What carries one of these with another value is another app's, even where an app of its own started warmkeep.
const CLAIMS: &[&str] = &[OWNER, HELPER];

/// The value of both: the same for the same state folder and app, another for any other.
pub fn owner(layout: &AppLayout) -> String {
    let folder = files::canonical(layout.dir()).unwrap_or_else(|_| layout.dir().to_owned());
    hash::short(folder.as_os_str().as_encoded_bytes(), 12)
}

/// The processes of an app, with the session of its supervisor where that is known.
pub fn of_app(owner: &str, session: Option<i32>) -> Mark<'_> {
    Mark { session, name: OWNER, value: owner, claims: CLAIMS }
}

/// The programs that were run for an app.
pub fn of_helpers(owner: &str) -> Mark<'_> {
    Mark { session: None, name: HELPER, value: owner, claims: CLAIMS }
}

/// What a program that is run for an app gets into its environment. It is no part of an app that warmkeep may itself have
/// been started by.
pub fn for_helper(owner: String) -> BTreeMap<String, String> {
    BTreeMap::from([(HELPER.to_owned(), owner), (OWNER.to_owned(), String::new())])
}
