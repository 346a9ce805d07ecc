//! A small HTTP server for the tests: every connection gets one request read and what a closure writes.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::sys::net::listen_loopback;

/// What a connection writes, given the request's head.
type Handler = dyn Fn(&str, &mut dyn Write) -> io::Result<()> + Send + Sync;

pub(super) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    /// The PEM of the authority that signed its certificate, where it speaks TLS.
    pub(super) authority: Option<String>,
}

impl Server {
    /// Answers in the plain with what `handler` writes.
    pub(super) fn start(
        handler: impl Fn(&str, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Arc::new(handler), None)
    }

    /// The same over TLS, with a certificate of its own authority for 127.0.0.1.
    pub(super) fn start_tls(
        handler: impl Fn(&str, &mut dyn Write) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        let (config, authority) = tls();
        Self { authority: Some(authority), ..Self::listen(Arc::new(handler), Some(config)) }
    }

    /// Answers the same to everybody.
    pub(super) fn fixed(response: &str) -> Self {
        let response = response.to_owned();
        Self::start(move |_, out| out.write_all(response.as_bytes()))
    }

    /// The address of a path on it.
    pub(super) fn url(&self, path: &str) -> String {
        let scheme = if self.authority.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The heads of the requests so far.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn listen(handler: Arc<Handler>, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = listen_loopback(0).unwrap();
        let server =
            Self { port: listener.local_addr().unwrap().port(), requests: Arc::default(), authority: None };
        let requests = Arc::clone(&server.requests);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (handler, requests, tls) = (Arc::clone(&handler), Arc::clone(&requests), tls.clone());
                // A client that hangs up early is what some tests are about.
                std::thread::spawn(move || drop(serve(stream, tls, &requests, &*handler)));
            }
        });
        server
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    requests: &Mutex<Vec<String>>,
    handler: &Handler,
) -> io::Result<()> {
    let Some(config) = tls else { return talk(stream, requests, handler) };
    let connection = ServerConnection::new(config).map_err(io::Error::other)?;
    talk(StreamOwned::new(connection, stream), requests, handler)
}

fn talk(mut stream: impl Read + Write, requests: &Mutex<Vec<String>>, handler: &Handler) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    requests.lock().unwrap().push(head.clone());
    handler(&head, &mut stream)?;
    stream.flush()
}

fn tls() -> (Arc<ServerConfig>, String) {
    let mut authority = CertificateParams::new(vec![]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.distinguished_name.push(DnType::CommonName, KeyPair::generate().unwrap().public_key_pem());
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (Arc::new(config), authority.pem())
}

/// A whole response with a body.
pub(super) fn response(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
}
