//! Folders and what is in them, relative to open folders: nothing here follows a link, leaves a tree through `..` or
//! crosses into another mount, whatever is swapped under it meanwhile.

mod attributes;
mod content;
mod copy;
mod dir;
mod entry;
mod levels;
mod newfile;
#[cfg(test)]
pub(crate) mod portrait;
mod remove;
#[cfg(test)]
mod tests;
mod walk;

pub use attributes::Xattrs;
pub use content::Content;
pub use copy::{Copied, copy};
pub use dir::{Dir, Rename, Renamed};
pub use entry::{Id, Kind, Meta, Time};
pub use newfile::NewFile;
pub use walk::{Entry, Event, Purpose, Totals, Walk, measure};

use std::path::Path;

use rustix::io::Errno;

use crate::error::Error;

fn failed(what: &str, path: &Path, errno: Errno) -> Error {
    let error = Error::new(format!("cannot {what} {}", path.display())).because(std::io::Error::from(errno));
    match errno {
        Errno::XDEV => {
            error.remedy("something is mounted inside it: unmount it, or keep it apart from the data")
        }
        Errno::LOOP | Errno::NOTDIR => error.remedy("a link stands where a folder was expected: remove it"),
        _ => error,
    }
}

fn changed(path: &Path) -> Error {
    Error::new(format!("{} was changed while it was read", path.display()))
        .remedy("stop whatever still writes to it, then try again")
}
