//! The configuration: from JSON files to [`model::Config`], or to everything that is wrong with them, each with its
//! place.
//!
//! A file goes through these hands: bytes to well-formed JSON (`syntax`), to a tree with positions (`spanned`), all
//! files to one tree (`merge`), the tree held to the shape of the wire types (`check`, `shape`, `wire`), and the
//! wire types read and held to all other rules (`resolve`, `graph`, `overlap`). What is wrong is mended for the
//! moment and reported, so that one run finds everything.

mod at;
mod check;
mod diagnostic;
mod graph;
mod load;
mod merge;
pub mod model;
mod overlap;
mod printable;
pub mod quantity;
mod reference;
mod render;
mod report;
mod resolve;
mod shape;
mod snippet;
mod source;
mod spanned;
mod suggest;
mod syntax;
mod wire;

pub use diagnostic::{Diagnostic, Invalid};
pub use load::load;
pub use reference::reference;

/// The JSON Schema of the configuration, draft 2020-12.
pub fn schema() -> serde_json::Value {
    shape::schema()
}
