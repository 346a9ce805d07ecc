//! A secret is read from systemd's copy of it where there is one, else from its own file.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests drive the real system"
)]

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use common::{APP, Host, ran};
use serde_json::json;

/// `u:copy` and `u:file` as HTTP basic authentication sends them.
const COPY: &str = "Basic dTpjb3B5";
const FILE: &str = "Basic dTpmaWxl";

/// A server that finds everybody healthy and remembers how they came; its port.
fn doorkeeper() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap();
            let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
            let header = |line: &str| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
            };
            book.lock().unwrap().extend(request.lines().find_map(header));
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (port, seen)
}

/// Installs the app while systemd's copy of its password is `copy`, and the file itself `file`; how the probes came, each
/// way once, and how the app fared.
fn probed_with(copy: Option<&str>, file: Option<&str>) -> (Vec<String>, String) {
    let (port, seen) = doorkeeper();
    let host = Host::new();
    let password = host.path("password");
    if let Some(file) = file {
        fs::write(&password, file).unwrap();
    }
    let credentials = host.path("credentials");
    fs::create_dir(&credentials).unwrap();
    if let Some(copy) = copy {
        fs::write(credentials.join(warmkeep::credential::id(&password)), copy).unwrap();
    }
    host.configure(|app| {
        let auth = json!({ "user": "u", "passwordFile": password });
        app["health"]["checks"] =
            json!({ "c": { "http": { "url": format!("http://127.0.0.1:{port}/"), "basicAuth": auth } } });
    });
    let mut command = host.command(&["converge", "--json"]);
    let ran = ran(command.env("CREDENTIALS_DIRECTORY", credentials).output().unwrap());
    let mut ways = seen.lock().unwrap().clone();
    ways.dedup();
    (ways, ran.app(APP).to_string())
}

#[test]
fn the_copy_is_read_where_there_is_one() {
    assert_eq!(probed_with(Some("copy\n"), Some("file\n")).0, [COPY]);
    assert_eq!(probed_with(Some("copy"), None).0, [COPY]);
}

#[test]
fn without_a_copy_or_with_a_blank_one_the_file_is_read() {
    assert_eq!(probed_with(None, Some("file\n")).0, [FILE]);
    assert_eq!(probed_with(Some("\n"), Some("file\n")).0, [FILE]);
}

#[test]
fn where_there_is_neither_the_file_is_named() {
    let (ways, report) = probed_with(Some("\n"), None);
    assert!(ways.is_empty());
    assert!(report.contains("c: cannot open /"), "{report}");
}
