//! What the units of a configuration say.

use super::*;
