//! One error type for what a person reads: what failed, why (the source chain), and what to do about it.

use std::error::Error as StdError;
use std::fmt;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of failure it is; decides the exit code and, inside a transaction, the way back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work failed (exit 1).
    Failed,
    /// The command line or the configuration is wrong (exit 2).
    Usage,
    /// Somebody else is at work (exit 75).
    Busy,
    /// No space or no inodes are left on a device.
    DiskFull,
    /// The host is shutting down, and has taken away what the work needed (exit 75).
    CutShort,
}

/// An error with its cause and its remedy. It is printed once, at the top.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    what: String,
    remedy: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure, told as what could not be done.
    pub fn new(what: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, what: what.into(), remedy: None, source: None }
    }

    /// A wrong command line or configuration.
    pub fn usage(what: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new(what) }
    }

    /// Another process holds what is needed.
    pub fn busy(what: impl Into<String>) -> Self {
        Self { kind: Kind::Busy, ..Self::new(what) }
    }

    /// The host is shutting down: what failed says nothing.
    pub fn cut_short(what: impl Into<String>) -> Self {
        Self { kind: Kind::CutShort, ..Self::new(what) }
    }

    /// Adds the underlying cause. A full disk, however deep in the chain, stays known as one.
    #[must_use]
    pub fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        if self.kind == Kind::Failed && is_disk_full(&source) {
            self.kind = Kind::DiskFull;
        }
        self.source = Some(Box::new(source));
        self
    }

    /// Adds what the reader can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// What sort of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The nearest remedy, this error's or one further down its chain. A full disk always has one.
    pub fn hint(&self) -> Option<&str> {
        let here = self.remedy.as_deref();
        let below = || self.source.as_deref()?.downcast_ref::<Error>()?.hint();
        let full = || (self.kind == Kind::DiskFull).then_some("free some space there, then try again");
        here.or_else(below).or_else(full)
    }

    /// The whole chain in one line: `what: why: why`. A cause that only repeats the one before is left out.
    pub fn chain(&self) -> String {
        let mut line = self.what.clone();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            next = cause.source();
        }
        line
    }
}

fn is_disk_full(error: &(dyn StdError + 'static)) -> bool {
    let here = error.downcast_ref::<std::io::Error>().is_some_and(|e| {
        matches!(e.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    }) || error.downcast_ref::<Error>().is_some_and(|e| e.kind == Kind::DiskFull);
    here || error.source().is_some_and(is_disk_full)
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_names_every_cause_once() {
        let low = Error::new("no route to host");
        let mid = Error::new("probe http failed: no route to host").because(low);
        let top = Error::new("gate failed").because(mid);
        assert_eq!(top.chain(), "gate failed: probe http failed: no route to host");
    }

    #[test]
    fn a_full_disk_is_known_through_the_chain() {
        let io = std::io::Error::from(std::io::ErrorKind::StorageFull);
        let top = Error::new("snapshot failed").because(Error::new("copy failed").because(io));
        assert_eq!(top.kind(), Kind::DiskFull);
    }

    #[test]
    fn a_full_disk_has_a_remedy_of_its_own_unless_a_better_one_is_known() {
        let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
        assert_eq!(Error::new("a").because(full()).hint(), Some("free some space there, then try again"));
        assert_eq!(
            Error::new("a").because(Error::new("b").because(full()).remedy("do c")).hint(),
            Some("do c")
        );
    }

    #[test]
    fn the_nearest_remedy_is_found() {
        let top = Error::new("a").because(Error::new("b").remedy("do c"));
        assert_eq!(top.hint(), Some("do c"));
    }
}
