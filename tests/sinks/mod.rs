//! A host with sinks and alerts; a real server that takes alerts, or fails to in every way that a server can.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::missing_panics_doc,
    unreachable_pub,
    dead_code,
    reason = "tests drive the real system, and each test file uses its own part"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{APP, Host, Ran, eventually};

/// What a sink does with a request that it has read.
#[derive(Debug, Clone)]
pub enum Answer {
    /// The bytes, then it closes.
    Bytes(String),
    /// Nothing, for as long as the asker waits.
    Hang,
    /// The first half now, the rest never; the connection stays open.
    Stall(String),
    /// The bytes after a while.
    Slow(Duration, String),
    /// 500 where the body has this in it, else 200.
    Unless(String),
}

pub fn status(line: &str, body: &str) -> Answer {
    Answer::Bytes(http(line, "", body))
}

pub fn http(line: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {line}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

pub fn ok() -> Answer {
    status("200 OK", "ok")
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    pub head: String,
    pub body: String,
}

impl Asked {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// A real server on a real port.
pub struct Sink {
    pub port: u16,
    answer: Arc<Mutex<Answer>>,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Sink {
    pub fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answer = Arc::new(Mutex::new(answer));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let ended = Arc::new(AtomicBool::new(false));
        let shared = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&ended));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.2.load(Ordering::SeqCst) {
                    return;
                }
                let (answer, asked, ended) = shared.clone();
                std::thread::spawn(move || drop(serve(stream.unwrap(), &answer, &asked, &ended)));
            }
        });
        Self { port, answer, asked, ended, thread: Some(thread) }
    }

    pub fn now(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn titles(&self) -> Vec<String> {
        self.asked().iter().map(|asked| asked.json()["title"].as_str().unwrap().to_owned()).collect()
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub fn webhook(&self) -> Value {
        json!({ "webhook": { "url": self.url(), "timeout": "2s" } })
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    answer: &Mutex<Answer>,
    asked: &Mutex<Vec<Asked>>,
    ended: &AtomicBool,
) -> std::io::Result<()> {
    let request = read(&mut stream)?;
    asked.lock().unwrap().push(request.clone());
    let answer = answer.lock().unwrap().clone();
    let wait = || eventually(Duration::from_secs(30), || ended.load(Ordering::SeqCst));
    match answer {
        Answer::Bytes(bytes) => stream.write_all(bytes.as_bytes()),
        Answer::Hang => {
            wait();
            Ok(())
        }
        Answer::Stall(bytes) => {
            stream.write_all(bytes.as_bytes())?;
            wait();
            Ok(())
        }
        Answer::Slow(time, bytes) => {
            std::thread::sleep(time);
            stream.write_all(bytes.as_bytes())
        }
        Answer::Unless(text) => {
            let line = if request.body.contains(&text) { "500 Internal Server Error" } else { "200 OK" };
            stream.write_all(http(line, "", "").as_bytes())
        }
    }
}

fn read(stream: &mut TcpStream) -> std::io::Result<Asked> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let asked = Asked { head: head.to_owned(), body: body.to_owned() };
            let length = asked.header("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
            if bytes.len() >= head.len() + 4 + length {
                return Ok(asked);
            }
        }
        match stream.read(&mut buffer)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// A host with these sinks and no app.
pub fn host(sinks: &Value) -> Host {
    let host = Host::new();
    let mut config = host.config();
    config["apps"] = json!({});
    config["alerts"] = json!({ "sinks": sinks });
    host.write_config(&config);
    fs::create_dir_all(host.path("state/alerts")).unwrap();
    host
}

pub fn name(number: usize) -> String {
    format!("failed-notes-{number:06}.json")
}

pub fn id(number: usize) -> String {
    format!("01a1ee56-5e00-7000-8000-{number:012}")
}

/// An open alert, as warmkeep writes it.
pub fn raise(host: &Host, number: usize) {
    raise_as(host, number, &id(number));
}

pub fn raise_as(host: &Host, number: usize, id: &str) {
    let alert = json!({
        "schema": 1, "id": id, "at": "2026-11-21T03:00:00Z", "kind": "failed", "severity": "warning",
        "app": APP, "version": "1.1.0", "title": format!("alert {number}"), "body": "it failed",
        "command": "warmkeep plan notes", "dedupeKey": format!("failed/notes/1.1.0/{number}")
    });
    fs::write(host.path("state/alerts").join(name(number)), alert.to_string()).unwrap();
}

pub fn relay(host: &Host) -> Ran {
    host.run(&["alerts", "relay", "--json"])
}

pub fn relay_now(host: &Host) -> Ran {
    host.run(&["alerts", "relay", "--now", "--json"])
}

/// The report of one sink.
pub fn sink(ran: &Ran, name: &str) -> Value {
    let report = ran.json();
    let sinks = report["sinks"].as_array().unwrap_or_else(|| panic!("{ran:?}"));
    sinks.iter().find(|sink| sink["sink"] == name).unwrap_or_else(|| panic!("{ran:?}")).clone()
}

pub fn in_folder(host: &Host, folder: &str) -> Vec<String> {
    let entries = fs::read_dir(host.path(folder)).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| std::path::Path::new(name).extension().is_some_and(|e| e == "json"));
    names.sort();
    names
}

pub fn open(host: &Host) -> Vec<String> {
    in_folder(host, "state/alerts")
}

pub fn seen(host: &Host) -> Vec<String> {
    in_folder(host, "state/alerts/seen")
}
