//! Just enough of a client to talk to the demo's app.

use std::io::{Read, Write};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::net;

/// Sends one request; the answer's body.
pub(super) fn ask(port: u16, method: &str, path: &str, body: &str) -> Result<String> {
    let failed = |e| Error::new(format!("{method} {path} failed")).because(e);
    let mut stream = net::connect(&format!("127.0.0.1:{port}"), Duration::from_secs(2)).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).map_err(failed)?;
    let length = body.len();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(failed)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    if head.split_whitespace().nth(1).is_some_and(|status| status.starts_with('2')) {
        return Ok(body.to_owned());
    }
    Err(Error::new(format!("{method} {path} was answered: {}", head.lines().next().unwrap_or_default())))
}
