//! Works through apps on several threads: dependencies first, and nobody waits for work that broke off.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;

use crate::plan::order::Ready;
use crate::record::report::{AppReport, Outcome};

/// Reports by the names of their apps.
pub(super) type Reports = BTreeMap<String, AppReport>;

/// What is done to one app, given the reports of all that were done before it.
type Work<'a> = dyn Fn(&str, &Reports) -> AppReport + Sync + 'a;

struct Pool<'a> {
    board: Mutex<Board>,
    changed: Condvar,
    work: &'a Work<'a>,
}

struct Board {
    ready: Ready,
    reports: Reports,
}

/// Does the work on each app once, at most `jobs` (at least one) at once. Work that panics is reported as failed.
pub(super) fn work_through(ready: Ready, jobs: usize, work: &Work<'_>) -> Reports {
    let board = Mutex::new(Board { ready, reports: Reports::new() });
    let pool = Pool { board, changed: Condvar::new(), work };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            if let Err(e) = Builder::new().spawn_scoped(scope, || pool.run()) {
                tracing::warn!(name: "run.fewerJobs", error = e.to_string(), "a thread could not be started");
                break;
            }
        }
        pool.run();
    });
    pool.board.into_inner().unwrap_or_else(PoisonError::into_inner).reports
}

impl Pool<'_> {
    fn run(&self) {
        while let Some((name, before)) = self.next() {
            let report = caught(|| (self.work)(&name, &before)).unwrap_or_else(|why| broken(&name, &why));
            let mut board = self.locked();
            board.ready.done(&name);
            board.reports.insert(name, report);
            self.changed.notify_all();
        }
    }

    /// Waits for an app that can begin; `None`: all have begun.
    fn next(&self) -> Option<(String, Reports)> {
        let mut board = self.locked();
        loop {
            if let Some(name) = board.ready.take() {
                return Some((name, board.reports.clone()));
            }
            if board.ready.is_finished() {
                self.changed.notify_all();
                return None;
            }
            board = self.changed.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work's report, or what it panicked with. Nothing that the work shares with others is left half-changed: what it
/// leaves of an app is what a run leaves that was killed, and the next run finishes it.
pub(super) fn caught(work: impl FnOnce() -> AppReport) -> Result<AppReport, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message(&*panic))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("it did not say why").to_owned()
}

/// The report of work that panicked.
pub(super) fn broken(name: &str, why: &str) -> AppReport {
    AppReport {
        cause: Some(format!("warmkeep itself failed while working on {name}: {why}")),
        remedy: Some(format!(
            "`warmkeep converge {name}` finishes what was begun; this is a fault in warmkeep, please report it"
        )),
        ..AppReport::new(name, Outcome::Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::config::model::App;
    use crate::plan::order::Selection;

    fn ready(waits: &[(&str, &[&str])]) -> Ready {
        let app = |(name, after): &(&str, &[&str])| {
            let after = after.iter().map(ToString::to_string).collect();
            ((*name).to_owned(), App { after, ..App::undeclared(name, &[]) })
        };
        let apps: BTreeMap<String, App> = waits.iter().map(app).collect();
        Ready::new(&apps, &Selection::of(&apps, &[]).unwrap())
    }

    fn fine(name: &str) -> AppReport {
        AppReport::new(name, Outcome::Noop)
    }

    fn outcomes(reports: &Reports) -> Vec<(&str, Outcome)> {
        reports.iter().map(|(name, report)| (name.as_str(), report.outcome)).collect()
    }

    #[test]
    fn work_that_panics_is_a_failed_app_and_those_that_wait_for_it_go_on() {
        for jobs in [1, 4] {
            let reports =
                work_through(ready(&[("db", &[]), ("notes", &["db"]), ("other", &[])]), jobs, &|name, _| {
                    assert!(name != "db", "index out of range");
                    fine(name)
                });
            assert_eq!(
                outcomes(&reports),
                [("db", Outcome::Failed), ("notes", Outcome::Noop), ("other", Outcome::Noop)]
            );
            let cause = reports["db"].cause.as_deref();
            assert_eq!(cause, Some("warmkeep itself failed while working on db: index out of range"));
        }
    }

    #[test]
    fn an_app_sees_the_reports_of_those_it_comes_after() {
        let reports =
            work_through(ready(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])]), 3, &|name, before| {
                AppReport { reason: Some(before.len().to_string()), ..fine(name) }
            });
        let seen: Vec<_> = reports.values().map(|report| report.reason.as_deref().unwrap()).collect();
        assert_eq!(seen, ["0", "1", "2"]);
    }

    #[test]
    fn no_more_than_the_jobs_work_at_once_and_each_app_is_worked_on_once() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let names: Vec<String> = (0..20).map(|number| format!("app-{number}")).collect();
        let apps: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &[][..])).collect();
        let reports = work_through(ready(&apps), 3, &|name, _| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            crate::sys::clock::sleep(std::time::Duration::from_millis(1));
            now.fetch_sub(1, Ordering::SeqCst);
            fine(name)
        });
        assert_eq!(reports.len(), 20);
        assert!((1..=3).contains(&most.load(Ordering::SeqCst)));
    }
}
