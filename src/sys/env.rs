//! The environment of this process.

use std::ffi::OsString;
use std::path::PathBuf;

/// One variable, where it is set to something.
pub fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The arguments of this process, without its own name; what is no valid text with marks in its place.
pub fn arguments() -> impl Iterator<Item = String> {
    std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned())
}

/// All variables that are valid text.
pub fn vars() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The running binary. The link names the inode, so it works even after the file was replaced by an update.
pub fn own_binary() -> PathBuf {
    PathBuf::from("/proc/self/exe")
}

/// The running binary by the path it was started as, for commands that people read.
pub fn own_binary_path() -> Option<PathBuf> {
    std::env::current_exe().ok()
}

/// The running binary by a name that stands for it in other processes too: its path, unless an update has put another
/// file there since.
pub fn own_binary_for_others() -> PathBuf {
    let replaced = |path: &PathBuf| path.to_string_lossy().ends_with(" (deleted)");
    let path = own_binary_path().filter(|path| !replaced(path));
    path.unwrap_or_else(|| PathBuf::from(format!("/proc/{}/exe", super::proc::own_pid())))
}

/// This machine's name.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// The folder for temporary files.
pub fn temp_dir() -> PathBuf {
    std::env::temp_dir()
}
