//! The only room that touches the operating system: processes, files, clocks, locks, the network, the environment.
//!
//! Everything here is a thin, honest wrapper: it does one effect, reports the path or program it was about, and decides
//! nothing. `clippy.toml` bans the wrapped functions everywhere else.
#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "this room is the wrapper")]

pub mod clock;
pub mod daemon;
pub mod env;
pub mod fault;
pub mod files;
pub mod hash;
pub mod http;
pub mod lock;
pub mod mounts;
pub mod net;
pub mod nix;
pub mod proc;
pub mod process;
pub mod publish;
pub mod random;
pub mod scope;
pub mod signals;
pub mod successor;
pub mod systemd;
pub mod tree;
