//! Checks against a real server on the loopback.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;

use serde_json::json;

use super::super::server::{Server, response};
use super::*;
use crate::sys::clock::{Stopwatch, sleep};
use crate::sys::files;
use crate::sys::net::listen_loopback;

fn check(url: String) -> Http {
    Http {
        url,
        status: vec![200],
        body_contains: None,
        json_pointer: None,
        json_in: Vec::new(),
        headers: BTreeMap::new(),
        basic_auth: None,
        ca_file: None,
        timeout: Duration::from_secs(10),
        no_mixed_content: false,
    }
}

fn run(check: &Http) -> Result<(), String> {
    probe(check, check.timeout)
}

#[track_caller]
fn fails(check: &Http, with: &str) {
    assert_eq!(run(check), Err(with.to_owned()));
}

fn ok(body: &str) -> String {
    response("200 OK", "", body)
}

/// A temporary file that lives as long as the folder.
fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    files::write_cache(&path, content.as_bytes()).unwrap();
    (dir, path)
}

#[test]
fn a_wanted_status_passes_and_the_request_asks_for_no_cached_answer() {
    let server = Server::fixed(&ok(""));
    assert_eq!(run(&check(server.url("/healthz?deep=1"))), Ok(()));
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(request.starts_with("get /healthz?deep=1 http/1.1\r\n"), "{request}");
    for header in ["cache-control: no-cache\r\n", "pragma: no-cache\r\n", "user-agent: warmkeep/"] {
        assert!(request.contains(header), "{request}");
    }
}

#[test]
fn another_status_fails_with_both() {
    let server = Server::fixed(&response("503 Service Unavailable", "", "starting"));
    fails(&check(server.url("/")), "status 503, wanted 200");
    fails(&Http { status: vec![200, 204], ..check(server.url("/")) }, "status 503, wanted 200 or 204");
    assert_eq!(run(&Http { status: vec![503], ..check(server.url("/")) }), Ok(()));
}

#[test]
fn nobody_listening_is_told_with_the_place() {
    let port = listen_loopback(0).unwrap().local_addr().unwrap().port();
    let url = format!("http://user:s3cret@127.0.0.1:{port}/x?token=s3cret");
    fails(&check(url), &format!("connection refused (127.0.0.1:{port})"));
}

#[test]
fn an_answer_that_is_no_http_fails_in_words() {
    let server = Server::fixed("SSH-2.0-OpenSSH_9.2\r\n");
    let failure = run(&check(server.url("/"))).unwrap_err();
    assert!(failure.starts_with("the answer is not HTTP"), "{failure}");
}

#[test]
fn a_connection_that_is_closed_early_fails_in_words() {
    let closed = "the connection was closed before the whole answer came";
    for early in ["", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"] {
        let failure = run(&check(Server::fixed(early).url("/"))).unwrap_err();
        assert!(failure.starts_with(closed), "{failure}");
    }
}

#[test]
fn configured_headers_are_sent_and_replace_ours() {
    let server = Server::fixed(&ok(""));
    let headers = [("Host", "app.example.org"), ("X-Probe", "yes"), ("cache-control", "max-age=0")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    assert_eq!(run(&Http { headers, ..check(server.url("/")) }), Ok(()));
    let request = server.requests()[0].to_ascii_lowercase();
    assert!(request.contains("\r\nhost: app.example.org\r\n") && !request.contains("127.0.0.1"), "{request}");
    assert!(
        request.contains("\r\nx-probe: yes\r\n") && !request.contains("cache-control: no-cache"),
        "{request}"
    );
}

#[test]
fn a_header_that_cannot_be_sent_fails_without_showing_it() {
    let headers = [("X-Key".to_owned(), "s3cret\r\nX: y".to_owned())].into();
    fails(
        &Http { headers, ..check("http://127.0.0.1:9/".to_owned()) },
        "a header has a name or value that cannot be sent",
    );
}

#[test]
fn basic_auth_sends_the_password_of_the_file_as_it_is_now() {
    let server = Server::fixed(&ok(""));
    let (_dir, password_file) = file("pass\n");
    let auth = BasicAuth { user: "me".to_owned(), password_file: password_file.clone() };
    let check = Http { basic_auth: Some(auth), ..check(server.url("/")) };
    assert_eq!(run(&check), Ok(()));
    files::write_cache(&password_file, b"new").unwrap();
    assert_eq!(run(&check), Ok(()));
    let sent: Vec<bool> = ["bWU6cGFzcw==", "bWU6bmV3"]
        .iter()
        .zip(server.requests())
        .map(|(encoded, request)| {
            request
                .to_ascii_lowercase()
                .contains(&format!("authorization: basic {encoded}").to_ascii_lowercase())
        })
        .collect();
    assert_eq!(sent, [true, true]);
}

#[test]
fn a_password_file_that_is_not_there_fails_and_is_named() {
    let auth = BasicAuth { user: "me".to_owned(), password_file: "/nonexistent/password".into() };
    let failure =
        run(&Http { basic_auth: Some(auth), ..check("http://127.0.0.1:9/".to_owned()) }).unwrap_err();
    assert!(failure.contains("/nonexistent/password"), "{failure}");
}

#[test]
fn credentials_in_the_url_are_sent_as_a_header() {
    let server = Server::fixed(&ok(""));
    assert_eq!(run(&check(server.url("/").replacen("127", "me:p%61ss@127", 1))), Ok(()));
    assert!(server.requests()[0].contains("Basic bWU6cGFzcw=="), "{:?}", server.requests());
}

#[test]
fn a_redirect_is_followed_with_the_headers_of_its_host() {
    let server = Server::start(|request, out| {
        let moved = response("302 Found", "Location: ../there\r\n", "");
        out.write_all(if request.contains("/a/b") { moved } else { ok("") }.as_bytes())
    });
    let url = server.url("/a/b").replacen("127", "me:pass@127", 1);
    assert_eq!(run(&check(url)), Ok(()));
    let requests = server.requests();
    assert!(requests[1].starts_with("GET /there "), "{requests:?}");
    assert!(requests.iter().all(|request| request.contains("Basic ")), "{requests:?}");
}

#[test]
fn another_host_gets_none_of_the_configured_headers() {
    let other = Server::fixed(&ok(""));
    let location = format!("Location: http://localhost:{}/\r\n", other.port());
    let server = Server::fixed(&response("301 Moved Permanently", &location, ""));
    let headers = [("X-Key".to_owned(), "s3cret".to_owned())].into();
    let url = server.url("/").replacen("127", "me:pass@127", 1);
    assert_eq!(run(&Http { headers, ..check(url) }), Ok(()));
    let request = &other.requests()[0];
    assert!(!request.contains("Basic") && !request.contains("s3cret"), "{request}");
    assert!(request.to_ascii_lowercase().contains("host: localhost"), "{request}");
}

#[test]
fn a_redirect_that_is_wanted_is_not_followed() {
    let server = Server::fixed(&response("302 Found", "Location: /login\r\n", ""));
    assert_eq!(run(&Http { status: vec![302], ..check(server.url("/")) }), Ok(()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_redirect_to_nowhere_is_judged_by_its_status() {
    let server = Server::fixed(&response("302 Found", "", ""));
    fails(&check(server.url("/")), "status 302, wanted 200");
}

#[test]
fn a_redirect_loop_ends_after_ten() {
    let server = Server::fixed(&response("307 Temporary Redirect", "Location: /again?token=s3cret\r\n", ""));
    let last = server.url("/again");
    fails(&check(server.url("/")), &format!("it redirects more than 10 times, the last time to {last}"));
    assert_eq!(server.requests().len(), 11);
}

#[test]
fn a_redirect_to_another_protocol_fails() {
    let server = Server::fixed(&response("302 Found", "Location: ftp://a/\r\n", ""));
    fails(&check(server.url("/")), "it redirects to something that is no http address");
}

#[track_caller]
fn times_out(server: &Server) {
    let watch = Stopwatch::start();
    let check = Http { timeout: Duration::from_millis(300), ..check(server.url("/")) };
    fails(&check, "timed out after 300ms");
    assert!((250..2_000).contains(&watch.ms()), "{} ms", watch.ms());
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    times_out(&Server::start(|_, _| {
        sleep(Duration::from_secs(5));
        Ok(())
    }));
}

#[test]
fn a_body_that_drips_is_given_up_in_time() {
    times_out(&Server::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
        (0..100).try_for_each(|_| {
            sleep(Duration::from_millis(50));
            out.write_all(b"x")
        })
    }));
}

#[test]
fn headers_that_drip_are_given_up_in_time() {
    times_out(&Server::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nX: ")?;
        (0..100).try_for_each(|_| {
            sleep(Duration::from_millis(50));
            out.write_all(b"x")
        })
    }));
}

#[test]
fn slow_redirects_share_one_timeout() {
    times_out(&Server::start(|_, out| {
        sleep(Duration::from_millis(80));
        out.write_all(response("302 Found", "Location: /\r\n", "").as_bytes())
    }));
}

#[test]
fn a_tls_handshake_that_hangs_is_given_up_in_time() {
    let listener = listen_loopback(0).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    fails(&Http { timeout: Duration::from_millis(200), ..check(url) }, "timed out after 200ms");
}

#[test]
fn of_an_endless_body_the_first_4_mib_are_read() {
    let server = Server::start(|_, out| {
        out.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nready")?;
        (0..1_000).try_for_each(|_| out.write_all(&vec![b'x'; 65_536]))
    });
    assert_eq!(run(&Http { body_contains: Some("ready".to_owned()), ..check(server.url("/")) }), Ok(()));
    fails(
        &Http { body_contains: Some("never".to_owned()), ..check(server.url("/")) },
        "the body does not contain \"never\" in its first 4 MiB",
    );
    fails(
        &Http { json_pointer: Some("/a".to_owned()), ..check(server.url("/")) },
        "the body is longer than 4 MiB, too long to be read as JSON",
    );
}

#[test]
fn text_that_must_be_in_the_body_is_looked_for() {
    let server = Server::fixed(&ok("all systems go"));
    assert_eq!(run(&Http { body_contains: Some("systems".to_owned()), ..check(server.url("/")) }), Ok(()));
    fails(
        &Http { body_contains: Some("error".to_owned()), ..check(server.url("/")) },
        "the body does not contain \"error\"",
    );
}

#[test]
fn a_json_pointer_is_followed_to_a_wanted_value() {
    let server = Server::fixed(&ok(r#"{"status":"starting","n":1,"null":null,"a":[{"b/c":true}]}"#));
    let outcome = |pointer: &str, wanted: Value| {
        let json_in = wanted.as_array().unwrap().clone();
        run(&Http { json_pointer: Some(pointer.to_owned()), json_in, ..check(server.url("/")) })
    };
    assert_eq!(outcome("/status", json!(["ok", "starting"])), Ok(()));
    assert_eq!(outcome("/n", json!([1.0])), Ok(()));
    assert_eq!(outcome("/a/0/b~1c", json!([true])), Ok(()));
    assert_eq!(outcome("/status", json!([])), Ok(()));
    assert_eq!(outcome("/null", json!([null])), Ok(()));
    let failed = |pointer: &str, wanted: Value| outcome(pointer, wanted).unwrap_err();
    assert_eq!(failed("/status", json!(["ok"])), r#"/status is "starting", wanted one of "ok""#);
    assert_eq!(failed("/n", json!(["1", true])), r#"/n is 1, wanted one of "1", true"#);
    assert_eq!(failed("/null", json!([])), "/null is null");
    assert_eq!(failed("/gone", json!([])), "the JSON body has no /gone");
}

#[test]
fn a_body_that_is_no_json_is_told() {
    let server = Server::fixed(&ok("<html>"));
    let failure = run(&Http { json_pointer: Some("/a".to_owned()), ..check(server.url("/")) }).unwrap_err();
    assert!(failure.starts_with("the body is not JSON: "), "{failure}");
}

#[test]
fn a_private_authority_is_trusted_when_it_is_named() {
    let server = Server::start_tls(|_, out| out.write_all(ok("").as_bytes()));
    let other = Server::start_tls(|_, out| out.write_all(ok("").as_bytes()));
    let both = [other.authority.as_deref().unwrap(), server.authority.as_deref().unwrap()].concat();
    let (_dir, ca_file) = file(&both);
    assert_eq!(run(&Http { ca_file: Some(ca_file), ..check(server.url("/")) }), Ok(()));
}

#[test]
fn an_unknown_authority_is_not_trusted() {
    let server = Server::start_tls(|_, out| out.write_all(ok("").as_bytes()));
    let other = Server::start_tls(|_, out| out.write_all(ok("").as_bytes()));
    fails(&check(server.url("/")), "certificate not trusted: its issuer is unknown");
    let (_dir, ca_file) = file(other.authority.as_deref().unwrap());
    fails(
        &Http { ca_file: Some(ca_file), ..check(server.url("/")) },
        "certificate not trusted: its issuer is unknown",
    );
}

#[test]
fn a_certificate_for_another_name_is_not_trusted() {
    let server = Server::start_tls(|_, out| out.write_all(ok("").as_bytes()));
    let (_dir, ca_file) = file(server.authority.as_deref().unwrap());
    let url = format!("https://localhost:{}/", server.port());
    let failure = run(&Http { ca_file: Some(ca_file), ..check(url) }).unwrap_err();
    assert!(
        failure.starts_with("certificate not trusted: certificate not valid for name \"localhost\""),
        "{failure}"
    );
}

#[test]
fn a_ca_file_without_a_certificate_is_told() {
    for (content, why) in
        [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n???", "is not a PEM file")]
    {
        let (_dir, ca_file) = file(content);
        let wanted = format!("{} {why}", ca_file.display());
        fails(&Http { ca_file: Some(ca_file), ..check("https://127.0.0.1:9/".to_owned()) }, &wanted);
    }
}

#[test]
fn plain_http_where_tls_is_wanted_fails_in_words() {
    let listener = listen_loopback(0).unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    std::thread::spawn(move || listener.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let failure = run(&check(url)).unwrap_err();
    assert!(failure.starts_with("TLS failed: "), "{failure}");
}

#[test]
fn an_answer_out_of_a_cache_is_asked_for_once_more_past_it() {
    for header in ["Age: 17", "X-Cache: HIT from edge", "X-Cache-Status: HIT", "x-cache: TCP_HIT"] {
        let cached = response("200 OK", &format!("{header}\r\n"), "old");
        let server = Server::start(move |request, out| {
            let fresh = response("503 Service Unavailable", "Age: 0\r\n", "down");
            out.write_all(if request.contains("_warmkeep=") { &fresh } else { &cached }.as_bytes())
        });
        fails(&check(server.url("/x?a=b")), "status 503, wanted 200");
        let requests = server.requests();
        assert!(requests[1].starts_with("GET /x?a=b&_warmkeep="), "{requests:?}");
    }
}

#[test]
fn a_cache_that_never_lets_go_is_asked_only_once_more() {
    let server = Server::fixed(&response("200 OK", "Age: 5\r\n", ""));
    assert_eq!(run(&check(server.url("/"))), Ok(()));
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn an_answer_that_missed_the_cache_is_taken_as_it_is() {
    let server = Server::fixed(&response("200 OK", "Age: 0\r\nX-Cache: MISS\r\nX-Cache-Hits: 0\r\n", ""));
    assert_eq!(run(&check(server.url("/"))), Ok(()));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_page_over_https_with_plain_resources_fails() {
    let page = |body: &'static str| Server::start_tls(move |_, out| out.write_all(ok(body).as_bytes()));
    let outcome = |server: &Server| {
        let (_dir, ca_file) = file(server.authority.as_deref().unwrap());
        run(&Http { ca_file: Some(ca_file), no_mixed_content: true, ..check(server.url("/")) })
    };
    assert_eq!(outcome(&page("<img src=//a/x><a href=http://a/>")), Ok(()));
    let failure = outcome(&page("<script src=http://a/x.js></script>")).unwrap_err();
    assert_eq!(failure, "the page loads over plain http: http://a/x.js");
}

#[test]
fn a_page_that_is_not_https_in_the_end_fails_the_check_for_mixed_content() {
    let server = Server::fixed(&ok(""));
    let failure = format!("the page is not https: it ended at {}", server.url("/"));
    fails(&Http { no_mixed_content: true, ..check(server.url("/")) }, &failure);
}

#[test]
fn an_address_that_is_none_fails() {
    fails(&check("localhost:8080/x".to_owned()), "the url is not an http or https address");
}
