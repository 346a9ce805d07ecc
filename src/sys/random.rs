//! Randomness for ids.

use ring::rand::{SecureRandom, SystemRandom};

use crate::error::{Error, Result};

/// Fills a fixed number of bytes from the kernel's generator.
pub fn bytes<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| Error::new("the kernel gave no random bytes"))?;
    Ok(bytes)
}
