//! Telling how far a long operation has come, but not at every file.

use super::model::{Phase, Progress};

/// How often it is told.
const ENTRIES: u64 = 256;
const BYTES: u64 = 16 << 20;

/// Adds up progress and passes it on now and then, and at the end.
pub(super) struct Meter<'a> {
    listener: Option<&'a (dyn Fn(Progress) + Send + Sync)>,
    now: Progress,
    told: Progress,
}

impl<'a> Meter<'a> {
    pub(super) fn new(listener: Option<&'a (dyn Fn(Progress) + Send + Sync)>, phase: Phase) -> Self {
        let start = Progress { phase, bytes: 0, entries: 0 };
        Self { listener, now: start, told: start }
    }

    pub(super) fn add(&mut self, bytes: u64, entries: u64) {
        self.now.bytes += bytes;
        self.now.entries += entries;
        let (bytes, entries) = (self.now.bytes - self.told.bytes, self.now.entries - self.told.entries);
        if bytes >= BYTES || entries >= ENTRIES {
            self.tell();
        }
    }

    fn tell(&mut self) {
        self.told = self.now;
        if let Some(listener) = self.listener {
            listener(self.now);
        }
    }
}

impl Drop for Meter<'_> {
    fn drop(&mut self) {
        if self.told != self.now {
            self.tell();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn progress_is_told_now_and_then_and_at_the_end() {
        let told = Mutex::new(Vec::new());
        let listener = |progress: Progress| told.lock().unwrap().push((progress.bytes, progress.entries));
        let mut meter = Meter::new(Some(&listener), Phase::Copying);
        for _ in 0..300 {
            meter.add(10, 1);
        }
        drop(meter);
        assert_eq!(*told.lock().unwrap(), [(2560, 256), (3000, 300)]);
    }
}
