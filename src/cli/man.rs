//! `man`: the manual page.

use super::output;
use crate::error::{Error, Result};

pub(super) fn run() -> Result<u8> {
    let mut page = Vec::new();
    clap_mangen::Man::new(super::command())
        .render(&mut page)
        .map_err(|e| Error::new("cannot write the manual page").because(e))?;
    output::line(String::from_utf8_lossy(&page).trim_end())?;
    Ok(0)
}
