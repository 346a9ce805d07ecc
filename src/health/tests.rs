//! Rounds of several checks.

use super::server::{Server, response};
use super::*;
use crate::config::model::Http;
use crate::sys::clock::sleep;

fn command(script: &str, critical: bool) -> Check {
    let run = ["sh", "-c", script].map(str::to_owned).into();
    Check { probe: Probe::Command { run, timeout: Duration::from_secs(10) }, critical }
}

fn health(checks: impl IntoIterator<Item = (&'static str, Check)>) -> Health {
    Health {
        checks: checks.into_iter().map(|(name, check)| (name.to_owned(), check)).collect(),
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(60),
        passes: 1,
        soak: Duration::ZERO,
    }
}

fn probe(health: &Health) -> Round {
    let containers = || Err("web has 1 of 2 replicas\nwaiting".to_owned());
    round(health, &Probing { env: &BTreeMap::new(), containers: &containers })
}

#[test]
fn a_failing_critical_check_makes_the_round_unhealthy() {
    let round = probe(&health([("a", command("exit 0", true)), ("b", command("exit 1", true))]));
    assert!(!round.healthy() && !round.degraded());
}

#[test]
fn a_failing_check_that_is_not_critical_makes_it_degraded() {
    let round = probe(&health([("a", command("exit 0", true)), ("b", command("exit 1", false))]));
    assert!(round.healthy() && round.degraded());
}

#[test]
fn an_app_without_checks_is_healthy() {
    let round = probe(&health([]));
    assert!(round.healthy() && !round.degraded() && round.failures().is_empty());
}

#[test]
fn failures_come_in_one_line_with_the_critical_ones_first() {
    let containers = Check { probe: Probe::Containers, critical: true };
    let checks =
        [("a", command("echo slow >&2; exit 1", false)), ("c", containers), ("d", command("exit 0", true))];
    let line = probe(&health(checks)).failures();
    assert_eq!(line, "c: web has 1 of 2 replicas waiting; a (not critical): exit code 1: slow");
}

#[test]
fn results_stand_in_the_order_of_their_names() {
    let slow_first = [("a", command("sleep 0.1", true)), ("b", command("exit 0", true))];
    let round = probe(&health(slow_first));
    let names: Vec<_> = round.results.iter().map(|result| result.name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
    assert!(round.results[0].ms >= 100, "{round:?}");
}

#[test]
fn checks_run_at_the_same_time() {
    let watch = Stopwatch::start();
    probe(&health(["a", "b", "c", "d", "e", "f"].map(|name| (name, command("sleep 0.3", true)))));
    assert!(watch.elapsed() < Duration::from_millis(1_500), "{:?}", watch.elapsed());
}

#[test]
fn no_check_takes_longer_than_what_is_left() {
    let server = Server::start(|_, _| {
        sleep(Duration::from_secs(5));
        Ok(())
    });
    let health = health([("web", http(server.url("/")))]);
    let probing = Probing { env: &BTreeMap::new(), containers: &|| Ok(()) };
    let round = round_within(&health, &probing, Duration::from_millis(100));
    assert_eq!(round.failures(), "web: timed out after 100ms");
}

fn http(url: String) -> Check {
    let probe = Probe::Http(Box::new(Http {
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
    }));
    Check { probe, critical: true }
}

#[test]
fn a_hundred_http_checks_cost_little_cpu() {
    let server = Server::fixed(&response("200 OK", "", ""));
    let health = health([("web", http(server.url("/")))]);
    let before = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    for _ in 0..100 {
        assert_eq!(probe(&health).failures(), "");
    }
    let after = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let micros = (after.tv_sec - before.tv_sec) * 1_000_000 + (after.tv_nsec - before.tv_nsec) / 1_000;
    println!("{} us a probe", micros / 100);
    assert!(micros < 300_000, "{micros} us");
}
