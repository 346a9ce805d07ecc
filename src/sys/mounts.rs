//! What is mounted where, from the kernel's own table.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::files;
use crate::error::Result;

/// Every mount point this process sees.
pub fn points() -> Result<Vec<PathBuf>> {
    let table = files::read(std::path::Path::new("/proc/self/mountinfo"), 64 << 20)?;
    Ok(table.split(|byte| *byte == b'\n').filter_map(point).collect())
}

/// The fifth field of a line, with its octal escapes read.
fn point(line: &[u8]) -> Option<PathBuf> {
    let field = line.split(|byte| *byte == b' ').nth(4)?;
    let mut path = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let escaped =
            (byte == b'\\').then(|| after.first_chunk::<3>()).flatten().and_then(|digits| octal(*digits));
        path.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[3..] } else { after };
    }
    Some(PathBuf::from(OsString::from_vec(path)))
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_in_a_mount_point_are_read() {
        let line = br"36 35 98:0 /mnt1 /data/two\040words\134x rw,noatime master:1 - ext3 /dev/root rw";
        assert_eq!(point(line).unwrap(), PathBuf::from(r"/data/two words\x"));
    }

    #[test]
    fn the_root_is_always_mounted() {
        assert!(points().unwrap().contains(&PathBuf::from("/")));
    }
}
