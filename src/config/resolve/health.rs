//! `apps.<name>.health`.

use std::collections::BTreeMap;

use super::Resolver;
use crate::config::at::At;
use crate::config::diagnostic::Problem;
use crate::config::model::{Check, Health, Http, Probe};
use crate::config::printable::quoted;
use crate::config::quantity::format_duration;
use crate::config::wire;

/// Headers, by name.
type Headers = BTreeMap<String, String>;

/// Whether an app's driver has containers to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Containers {
    /// It has.
    Some,
    /// It has none, and is called so.
    None(&'static str),
}

impl Resolver<'_> {
    /// Reads the checks, and holds the times of the gate to each other.
    pub(super) fn health(&mut self, health: wire::Health, containers: Containers, at: &At<'_>) -> Health {
        self.gate_fits(&health, at);
        let checks_at = at.key("checks");
        let mut checks = BTreeMap::new();
        for (name, check) in health.checks {
            let here = checks_at.key(&name);
            self.label(&name, &here);
            if let Some(check) = self.check(check, containers, &here) {
                checks.insert(name, check);
            }
        }
        Health {
            checks,
            interval: self.some_time(health.interval, &at.key("interval")),
            timeout: self.some_time(health.timeout, &at.key("timeout")),
            passes: health.passes,
            soak: health.soak.0,
        }
    }

    /// A gate that cannot be passed in time would take back every upgrade.
    fn gate_fits(&mut self, health: &wire::Health, at: &At<'_>) {
        let needed =
            health.interval.0.saturating_mul(health.passes.saturating_sub(1)).saturating_add(health.soak.0);
        if health.checks.is_empty() || health.timeout.0.is_zero() || health.timeout.0 >= needed {
            return;
        }
        let sound =
            ["interval", "timeout", "passes", "soak"].iter().all(|key| self.report.is_sound(&at.key(key)));
        if !sound {
            return;
        }
        let problem = Problem::new(format!(
            "no app can be proven healthy in {}: {} passes {} apart and a soak of {} take {}",
            format_duration(health.timeout.0),
            health.passes,
            format_duration(health.interval.0),
            format_duration(health.soak.0),
            format_duration(needed),
        ));
        let problem = problem.expected(format!("a `timeout` of at least {}", format_duration(needed)));
        let key = self.report.first_written(at, &["timeout", "soak", "passes", "interval"]);
        self.report.value(&at.key(key), problem.remedy("Give the gate more time, or ask less of it."));
    }

    fn check(&mut self, check: wire::Check, containers: Containers, at: &At<'_>) -> Option<Check> {
        let probe = match check {
            wire::Check { http: Some(http), .. } => Probe::Http(Box::new(self.http(http, &at.key("http")))),
            wire::Check { tcp: Some(tcp), .. } => {
                let at = at.key("tcp");
                self.address(&tcp.address, &at.key("address"));
                Probe::Tcp { address: tcp.address, timeout: self.some_time(tcp.timeout, &at.key("timeout")) }
            }
            wire::Check { command: Some(command), .. } => {
                let at = at.key("command");
                let timeout = self.some_time(command.timeout, &at.key("timeout"));
                Probe::Command { run: self.program(command.run, &at.key("run")), timeout }
            }
            wire::Check { containers: Some(_), .. } => self.containers(containers, &at.key("containers")),
            _ => return None,
        };
        Some(Check { probe, critical: check.critical })
    }

    fn containers(&mut self, containers: Containers, at: &At<'_>) -> Probe {
        if let Containers::None(driver) = containers {
            let problem = Problem::new(format!("the driver `{driver}` has no containers to look at"));
            self.report.key(at, problem.remedy("Use a check of another sort: `http`, `tcp` or `command`."));
        }
        Probe::Containers
    }

    fn http(&mut self, http: wire::HttpCheck, at: &At<'_>) -> Http {
        if http.status.is_empty() {
            let problem = Problem::new("no status would pass").expected("at least one status, such as 200");
            self.report.value(&at.key("status"), problem);
        }
        self.pointer(&http, at);
        let keys = http.basic_auth.as_ref().map(|_| "basicAuth");
        self.one_authorization(keys.as_slice(), &http.headers, at);
        Http {
            url: self.url(http.url, &at.key("url")),
            status: http.status,
            body_contains: http.body_contains,
            json_pointer: http.json_pointer,
            json_in: http.json_in,
            headers: self.headers(http.headers, &at.key("headers")),
            basic_auth: http.basic_auth.map(|auth| self.basic_auth(auth, &at.key("basicAuth"))),
            ca_file: self.path_if(http.ca_file, &at.key("caFile")),
            timeout: self.some_time(http.timeout, &at.key("timeout")),
            no_mixed_content: http.no_mixed_content,
        }
    }

    fn pointer(&mut self, http: &wire::HttpCheck, at: &At<'_>) {
        let Some(pointer) = &http.json_pointer else {
            if !http.json_in.is_empty() && self.report.is_sound(&at.key("jsonPointer")) {
                let problem = Problem::new("`jsonIn` says nothing without `jsonPointer`");
                let remedy = "Add `jsonPointer`, such as \"/status\"; \"\" is the whole body.";
                self.report.key(&at.key("jsonIn"), problem.remedy(remedy));
            }
            return;
        };
        let odd_escape = pointer.split('~').skip(1).any(|rest| !rest.starts_with(['0', '1']));
        if (!pointer.is_empty() && !pointer.starts_with('/')) || odd_escape {
            let problem =
                Problem::new("this is no JSON pointer").expected("a JSON pointer such as \"/status\"");
            let problem = problem.meant((!odd_escape).then(|| format!("/{}", pointer.replace('.', "/"))));
            let remedy = "Begin with `/`, put `/` between keys, and write `~` in a key as `~0`, `/` as `~1`.";
            self.report.value(&at.key("jsonPointer"), problem.remedy(remedy));
        }
    }

    /// Of two ways to authorize one request, one would be dropped.
    pub(super) fn one_authorization(&mut self, keys: &[&str], headers: &Headers, at: &At<'_>) {
        let header = headers.keys().find(|name| name.eq_ignore_ascii_case("authorization"));
        let mut ways: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
        ways.extend(header.map(|name| format!("the header {}", quoted(name))));
        if let ([_, .., _], Some(key)) = (ways.as_slice(), keys.last()) {
            let problem = Problem::new(format!("{} both authorize the request", ways.join(" and ")));
            self.report
                .key(&at.key(key), problem.remedy("Keep one; one with a file keeps the secret out of here."));
        }
    }

    fn address(&mut self, address: &str, at: &At<'_>) {
        let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
        let bracketed = host.starts_with('[') && host.ends_with(']');
        let ported = port.parse::<u16>().is_ok_and(|port| port > 0);
        let wrong = if !ported {
            "the address has no port from 1 to 65535"
        } else if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            "the address has no host"
        } else if host.contains(':') && !bracketed {
            "an IPv6 address stands in brackets, as in \"[::1]:80\""
        } else {
            return;
        };
        let problem = Problem::new(wrong).expected("host:port");
        self.report.value(at, problem.remedy("Write host and port, as in \"127.0.0.1:5432\"."));
    }
}
