//! HTTP requests, one at a time: through no proxy, following no redirect, keeping no cookie and no connection.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use ureq::http::{Request as Message, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, AsSendBody};

use super::{env, files};

/// The most that is read of a file of certificates, in bytes.
const CERTIFICATES_LIMIT: u64 = 16 << 20;

/// Where distributions keep the certificates that the whole system trusts.
const SYSTEM_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/ssl/certs/ca-bundle.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
];

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method<'a> {
    /// Reads.
    Get,
    /// Removes.
    Delete,
    /// Sends a body.
    Post(&'a [u8]),
    /// Replaces with a body.
    Put(&'a [u8]),
}

/// Whose certificates are trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roots<'a> {
    /// Those that the system trusts (`SSL_CERT_FILE` names others), or, where it has none, Mozilla's.
    System,
    /// Those in this PEM file alone.
    Only(&'a Path),
}

/// A request. It has no `Debug`, since its headers may be secret.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// What is done.
    pub method: Method<'a>,
    /// An `http` or `https` address.
    pub url: &'a str,
    /// Headers, by name and value.
    pub headers: &'a [(String, String)],
    /// Whose certificates are trusted; nothing is read where the address is not `https`.
    pub roots: Roots<'a>,
    /// How long all of it may take: name look-up, connection, request, response and body.
    pub timeout: Duration,
    /// The most that is read of the body, in bytes.
    pub body_limit: usize,
}

/// A response, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The headers in their order, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, up to the limit.
    pub body: Vec<u8>,
    /// Whether the body was longer.
    pub cut: bool,
}

impl Response {
    /// The first header of a name (in lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Why there is no response. No text of it holds a header, credentials or a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Nobody listens there.
    #[error("connection refused ({0})")]
    Refused(String),
    /// It took too long.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
    /// The certificate is not one that is trusted for this name.
    #[error("certificate not trusted: {0}")]
    Untrusted(String),
    /// Anything else, told in words.
    #[error("{0}")]
    Other(String),
}

/// Sends a request and reads the response.
///
/// # Errors
/// There was no whole response; a status such as 404 or 500 is no error.
pub fn send(request: &Request<'_>) -> Result<Response, Failure> {
    let uri: Uri = request
        .url
        .parse()
        .map_err(|_| Failure::Other("the address is no URL that can be asked".to_owned()))?;
    let failed = |error: ureq::Error| failure(error, &uri, request.timeout);
    let agent = agent(request, uri.scheme_str() == Some("https"))?;
    let mut answer = match request.method {
        Method::Get => run(&agent, request, "GET", ()),
        Method::Delete => run(&agent, request, "DELETE", ()),
        Method::Post(body) => run(&agent, request, "POST", body),
        Method::Put(body) => run(&agent, request, "PUT", body),
    }
    .map_err(failed)?;
    let (body, cut) =
        read(answer.body_mut().as_reader(), request.body_limit).map_err(|e| failed(e.into()))?;
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers =
        answer.headers().iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes())));
    Ok(Response { status: answer.status().as_u16(), headers: headers.collect(), body, cut })
}

fn run(
    agent: &Agent,
    request: &Request<'_>,
    method: &str,
    body: impl AsSendBody,
) -> Result<ureq::http::Response<ureq::Body>, ureq::Error> {
    let message = Message::builder().method(method).uri(request.url);
    let message = request.headers.iter().fold(message, |message, (name, value)| message.header(name, value));
    agent.run(message.body(body)?)
}

fn read(body: impl Read, limit: usize) -> io::Result<(Vec<u8>, bool)> {
    let mut bytes = Vec::new();
    body.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() > limit;
    bytes.truncate(limit);
    Ok((bytes, cut))
}

fn agent(request: &Request<'_>, https: bool) -> Result<Agent, Failure> {
    let config = Agent::config_builder()
        .timeout_global(Some(request.timeout))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .max_idle_connections(0)
        .accept_encoding("identity")
        .user_agent(concat!("warmkeep/", env!("CARGO_PKG_VERSION")));
    if !https {
        return Ok(config.build().into());
    }
    let roots = match request.roots {
        Roots::System => system_roots(),
        Roots::Only(path) => certificates(path)?,
    };
    Ok(config.tls_config(TlsConfig::builder().root_certs(roots).build()).build().into())
}

/// Read once: they change with the system, and then warmkeep is started anew.
fn system_roots() -> RootCerts {
    static ROOTS: OnceLock<RootCerts> = OnceLock::new();
    let read = || {
        let named = ["NIX_SSL_CERT_FILE", "SSL_CERT_FILE"].into_iter().filter_map(env::var);
        let mut paths = named.chain(SYSTEM_ROOTS.into_iter().map(Into::into));
        paths.find_map(|path| certificates(Path::new(&path)).ok()).unwrap_or(RootCerts::WebPki)
    };
    ROOTS.get_or_init(read).clone()
}

fn certificates(path: &Path) -> Result<RootCerts, Failure> {
    let failed = |why: &str| Failure::Other(format!("{} {why}", path.display()));
    let pem = files::read(path, CERTIFICATES_LIMIT).map_err(|error| Failure::Other(error.chain()))?;
    let items: Vec<_> = parse_pem(&pem).collect::<Result<_, _>>().map_err(|_| failed("is not a PEM file"))?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let certificates: Vec<_> = certificates.collect();
    if certificates.is_empty() {
        return Err(failed("holds no certificate"));
    }
    Ok(certificates.into())
}

fn failure(error: ureq::Error, uri: &Uri, timeout: Duration) -> Failure {
    match error {
        ureq::Error::Timeout(_) => Failure::TimedOut(timeout),
        ureq::Error::Io(error) => io_failure(&error, uri, timeout),
        ureq::Error::Rustls(error) => tls_failure(&error.to_string()),
        ureq::Error::HostNotFound => Failure::Other(format!("no address found for {}", Place(uri))),
        // These two may quote what was sent.
        ureq::Error::BadUri(_) => Failure::Other("the address is no URL that can be asked".to_owned()),
        ureq::Error::Http(_) => Failure::Other("a header has a name or value that cannot be sent".to_owned()),
        ureq::Error::Protocol(error) => Failure::Other(format!("the answer is not HTTP: {error}")),
        other => Failure::Other(other.to_string()),
    }
}

fn io_failure(error: &io::Error, uri: &Uri, timeout: Duration) -> Failure {
    let text = error.to_string();
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Failure::Refused(Place(uri).to_string()),
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Failure::TimedOut(timeout),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Failure::Other(format!("the connection was closed before the whole answer came ({})", Place(uri)))
        }
        // What rustls complains of comes as invalid data.
        io::ErrorKind::InvalidData => tls_failure(&text),
        _ => Failure::Other(format!("{} ({})", text.split(" (os error").next().unwrap_or(""), Place(uri))),
    }
}

fn tls_failure(text: &str) -> Failure {
    match text.strip_prefix("invalid peer certificate: ") {
        Some("UnknownIssuer" | "BadSignature") => Failure::Untrusted("its issuer is unknown".to_owned()),
        Some(why) => Failure::Untrusted(why.to_owned()),
        None => Failure::Other(format!("TLS failed: {text}")),
    }
}

/// Host and port, without credentials.
struct Place<'a>(&'a Uri);

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = if self.0.scheme_str() == Some("https") { 443 } else { 80 };
        write!(f, "{}:{}", self.0.host().unwrap_or(""), self.0.port_u16().unwrap_or(default))
    }
}

/// The value of an `Authorization` header for HTTP basic authentication.
pub fn basic_authorization(user: &str, password: &str) -> String {
    format!("Basic {}", base64(format!("{user}:{password}").as_bytes()))
}

/// Base64 as RFC 4648 has it, with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let index = (bits >> (18 - 6 * at)) & 63;
            text.push(if at <= chunk.len() { char::from(ALPHABET[index as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        let known = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
            ("~~~?", "fn5+Pw=="),
        ];
        for (plain, encoded) in known {
            assert_eq!(base64(plain.as_bytes()), encoded);
        }
    }

    proptest! {
        #[test]
        fn base64_has_four_characters_for_three_bytes(bytes in prop::collection::vec(any::<u8>(), 0..50)) {
            let text = base64(&bytes);
            prop_assert_eq!(text.len(), bytes.len().div_ceil(3) * 4);
            prop_assert_eq!(text.matches('=').count(), (3 - bytes.len() % 3) % 3);
        }
    }
}
