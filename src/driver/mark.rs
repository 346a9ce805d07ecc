//! How an app's processes are known, whoever started them and however long ago: by a variable in their environment.

use crate::record::layout::AppLayout;
use crate::sys::{files, hash};

/// Marks the processes of an app.
pub const OWNER: &str = "WARMKEEP_OWNER";
/// Marks the programs that warmkeep runs for an app and waits for: `prepare`, hooks, a driver's own.
pub const HELPER: &str = "WARMKEEP_HELPER";

/// The value of both: the same for the same state folder and app, another for any other.
pub fn owner(layout: &AppLayout) -> String {
    let folder = files::canonical(layout.dir()).unwrap_or_else(|_| layout.dir().to_owned());
    hash::short(folder.as_os_str().as_encoded_bytes(), 12)
}
