//! Versions: how they are ordered, where they are listed, and which one may be taken unattended.
//!
//! [`source::list`] asks the outside, [`gate::choose`] is pure and decides over what was listed.

pub mod gate;
pub mod source;
