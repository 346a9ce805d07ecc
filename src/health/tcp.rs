//! A TCP connection: it opens, that is all.

use std::io::ErrorKind;
use std::time::Duration;

use crate::sys::net;

/// Connects to `address` (`host:port`) and hangs up.
pub(super) fn probe(address: &str, timeout: Duration) -> Result<(), String> {
    match net::connect(address, timeout) {
        Ok(_) => Ok(()),
        Err(e) => Err(match e.kind() {
            ErrorKind::ConnectionRefused => format!("connection refused ({address})"),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => format!("timed out after {timeout:?} ({address})"),
            _ => format!("{} ({address})", e.to_string().split(" (os error").next().unwrap_or("")),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_listens_passes() {
        let listener = net::listen_loopback(0).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert_eq!(probe(&address, Duration::from_secs(5)), Ok(()));
    }

    #[test]
    fn a_port_where_nobody_listens_is_refused() {
        let address = net::listen_loopback(0).unwrap().local_addr().unwrap().to_string();
        let refused = probe(&address, Duration::from_secs(5)).unwrap_err();
        assert_eq!(refused, format!("connection refused ({address})"));
    }

    #[test]
    fn an_address_without_a_port_is_told() {
        assert!(probe("127.0.0.1", Duration::from_secs(5)).unwrap_err().ends_with("(127.0.0.1)"));
    }
}
