//! TCP.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::Duration;

use super::clock::Deadline;

/// Connects to the first address of `address` (`host:port`) that answers, within `timeout` over all of them.
pub fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Deadline::after(timeout);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in address.to_socket_addrs()? {
        let left = deadline.left();
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match TcpStream::connect_timeout(&socket, left) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Listens on a loopback port; 0 lets the kernel choose.
pub fn listen_loopback(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
}
