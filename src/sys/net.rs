//! TCP.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::clock::Deadline;

/// Connects to the first address of `address` (`host:port`) that answers, within `timeout` over the look-up of the name
/// and all its addresses.
pub fn connect(address: &str, timeout: Duration) -> io::Result<TcpStream> {
    let deadline = Deadline::after(timeout);
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for socket in resolve(address, deadline)? {
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

/// The system's resolver knows no timeout of ours: a name is looked up aside, and the look-up left behind when it is
/// too slow.
fn resolve(address: &str, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    if let Ok(socket) = address.parse() {
        return Ok(vec![socket]);
    }
    let (sender, receiver) = mpsc::channel();
    let name = address.to_owned();
    thread::Builder::new().spawn(move || {
        // Nobody listens any more when it was too slow.
        let _ = sender.send(name.to_socket_addrs().map(Iterator::collect));
    })?;
    receiver.recv_timeout(deadline.left()).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Listens on a loopback port; 0 lets the kernel choose.
pub fn listen_loopback(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up() {
        let listener = listen_loopback(0).unwrap();
        let address = format!("localhost:{}", listener.local_addr().unwrap().port());
        assert!(connect(&address, Duration::from_secs(5)).is_ok());
    }
}
