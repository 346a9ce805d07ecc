//! The app that the demo keeps warm: notes over HTTP, kept in a folder. A file `behaviour` in its release makes it a bad
//! one, by words: `crashes`, `sick`, `rewrites`, `slow`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys::{clock, files, net};

/// How the app is started.
#[derive(Debug, Clone, clap::Args)]
#[command(hide = true)]
pub struct Options {
    /// The loopback port.
    #[arg(long)]
    port: u16,
    /// The folder that it keeps its notes in.
    #[arg(long)]
    data: PathBuf,
    /// Its own release.
    #[arg(long)]
    release: PathBuf,
    /// Its version.
    #[arg(long)]
    version_name: String,
}

const NOTES: &str = "notes.txt";
/// The most that is read of a request's body.
const BODY_LIMIT: u64 = 64 << 10;

/// Serves until it is ended.
pub fn run(options: &Options) -> Result<()> {
    let behaviour = files::read_if_exists(&options.release.join("behaviour"), 1024)?.unwrap_or_default();
    let behaviour = String::from_utf8_lossy(&behaviour).into_owned();
    let is = |word: &str| behaviour.split_whitespace().any(|w| w == word);
    if is("crashes") {
        return Err(Error::new(format!("notes {} cannot find its library", options.version_name)));
    }
    if is("rewrites") {
        files::write_atomic(&options.data.join(NOTES), b"MIGRATED TO A FORMAT THAT ONLY I CAN READ\n")?;
    }
    if is("slow") {
        clock::sleep(Duration::from_millis(1500));
    }
    let failed = |e| Error::new(format!("cannot listen on port {}", options.port)).because(e);
    let listener = net::listen_loopback(options.port).map_err(failed)?;
    let sick = is("sick");
    loop {
        let (stream, _) = listener.accept().map_err(failed)?;
        // A client that goes away is its own affair.
        let _ = serve(&stream, options, sick);
    }
}

fn serve(mut stream: &TcpStream, options: &Options, sick: bool) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut reader = BufReader::new(stream);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let body = read_body(&mut reader)?;
    let notes = options.data.join(NOTES);
    let (status, text) = match request.split_whitespace().take(2).collect::<Vec<_>>().as_slice() {
        ["GET", "/healthz"] if sick => ("500 Internal Server Error", "the index is gone\n".to_owned()),
        ["GET", "/healthz"] => ("200 OK", "ok\n".to_owned()),
        ["GET", "/version"] => ("200 OK", options.version_name.clone()),
        ["GET", "/notes"] => ("200 OK", read_notes(&notes)),
        ["POST", "/notes"] => match add(&notes, &body) {
            Ok(()) => ("201 Created", "kept\n".to_owned()),
            Err(e) => ("507 Insufficient Storage", e.chain()),
        },
        _ => ("404 Not Found", "there is no such page\n".to_owned()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", text.len());
    stream.write_all(head.as_bytes())?;
    stream.write_all(text.as_bytes())
}

fn read_body(reader: &mut BufReader<&TcpStream>) -> std::io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    let mut body = Vec::new();
    reader.take(BODY_LIMIT.min(length)).read_to_end(&mut body)?;
    Ok(body)
}

fn read_notes(path: &Path) -> String {
    let bytes = files::read_if_exists(path, 1 << 20).ok().flatten().unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn add(path: &Path, note: &[u8]) -> Result<()> {
    let mut notes = files::read_if_exists(path, 1 << 20)?.unwrap_or_default();
    notes.extend_from_slice(note);
    notes.push(b'\n');
    files::write_atomic(path, &notes)
}
