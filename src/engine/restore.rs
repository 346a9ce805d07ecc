//! Taking data back: staged beside the volume, verified, exchanged; and the way to do it on a full disk.

use super::transaction::Runner;
use crate::error::{Error, Kind as ErrorKind, Result};
use crate::plan::progress::Record;
use crate::plan::transaction::Leg;
use crate::snapshot::{Exchange, SnapshotId};

impl Runner<'_, '_> {
    pub(super) fn restore(&mut self, leg: Leg) -> Result<()> {
        let id = self.source_of_restore(leg)?;
        let hooks = &self.subject.app.hooks;
        self.report_hook(leg, "beforeRestore", &hooks.before_restore);
        let exchanges = match self.progress().exchanges(leg) {
            Some(known) => known.to_vec(),
            None => self.stage_and_record(leg, &id)?,
        };
        for exchange in &exchanges {
            self.subject.store.exchange(exchange)?;
        }
        self.subject.store.keep_aside(&exchanges, &self.staging(leg))?;
        self.report_hook(leg, "afterRestore", &hooks.after_restore);
        Ok(())
    }

    fn source_of_restore(&self, leg: Leg) -> Result<SnapshotId> {
        let progress = self.progress();
        let id = if leg == Leg::Back { &progress.snapshot } else { &progress.transaction.restore };
        id.clone().ok_or_else(|| Error::new("there is no snapshot to take the data back from"))
    }

    /// Each leg stages under a name of its own.
    fn staging(&self, leg: Leg) -> String {
        let leg = if leg == Leg::Back { "back" } else { "forward" };
        format!("{}-{leg}", self.progress().txn)
    }

    fn stage_and_record(&mut self, leg: Leg, id: &SnapshotId) -> Result<Vec<Exchange>> {
        let exchanges = self.stage(leg, id)?;
        self.write(Record::Exchanges { leg, exchanges: exchanges.clone() })?;
        Ok(exchanges)
    }

    /// Stages the snapshot. On a full disk room is made in this order: what was set aside, an older failed version's
    /// data, and at last the failed version's own data, once the snapshot has been verified bit by bit.
    fn stage(&mut self, leg: Leg, id: &SnapshotId) -> Result<Vec<Exchange>> {
        let txn = self.staging(leg);
        let store = &self.subject.store;
        let attempt = || store.seal(id).and_then(|_| store.stage(id, &txn));
        let full =
            |result: &Result<Vec<Exchange>>| result.as_ref().is_err_and(|e| e.kind() == ErrorKind::DiskFull);
        let mut staged = attempt();
        if full(&staged) {
            self.give_up_reserve();
            store.drop_failed()?;
            staged = attempt();
        }
        if full(&staged) && leg == Leg::Back {
            for volume in &self.progress().transaction.volumes {
                store.discard_live(id, volume)?;
            }
            // There is nothing more to give up: whether it fits is seen by trying, an estimate must not refuse it.
            staged = store.stage_regardless(id, &txn);
        }
        staged
    }

    /// A restore hook that fails is reported; the rollback goes on.
    fn report_hook(&self, leg: Leg, name: &str, argv: &[String]) {
        if let Err(e) = self.run_hook(leg, name, argv) {
            let error = self.subject.redact.clean(&e.chain());
            tracing::warn!(name: "hook.failed", app = self.subject.app.name, hook = name, error);
        }
    }
}
