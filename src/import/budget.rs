//! What an image has used of its [`Limits`]: counted while its layers stream in, on whatever thread.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::limits::{Exceeded, Limit, Limits, RATIO_FREE};

/// One for all layers of an image.
#[derive(Debug, Default)]
pub struct Budget {
    limits: Limits,
    entries: AtomicU64,
    names: AtomicU64,
}

impl Budget {
    /// Nothing used yet.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// One more entry, whose name and extensions take this many bytes.
    pub(super) fn entry(&self, names: u64) -> Result<(), Exceeded> {
        let add = |counter: &AtomicU64, more| counter.fetch_add(more, Ordering::Relaxed).saturating_add(more);
        self.limits.check(Limit::Entries, add(&self.entries, 1))?;
        self.limits.check(Limit::Names, add(&self.names, names))
    }

    /// Extended headers of one entry take this many bytes.
    pub(super) fn header(&self, bytes: u64) -> Result<(), Exceeded> {
        self.limits.check(Limit::Header, bytes)
    }

    /// A file has this many bytes.
    pub(super) fn file(&self, bytes: u64) -> Result<(), Exceeded> {
        self.limits.check(Limit::Size, bytes)
    }

    /// Watches a layer grow.
    pub(super) fn growth(&self) -> Growth {
        Growth { limits: self.limits, packed: AtomicU64::new(0), unpacked: AtomicU64::new(0) }
    }
}

/// A layer's bytes before and after unpacking. Blob bytes that were read ahead count already.
#[derive(Debug)]
pub(super) struct Growth {
    limits: Limits,
    packed: AtomicU64,
    unpacked: AtomicU64,
}

impl Growth {
    /// So many more bytes of the blob were read.
    pub(super) fn packed(&self, bytes: u64) {
        self.packed.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many more bytes came of it: of the tar stream, or of the holes of a sparse file.
    pub(super) fn unpacked(&self, bytes: u64) -> Result<(), Exceeded> {
        let unpacked = self.unpacked.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if unpacked <= RATIO_FREE {
            return Ok(());
        }
        self.limits.check(Limit::Ratio, unpacked.div_ceil(self.packed.load(Ordering::Relaxed).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_count_together() {
        let limits = Limits::default().with("entries=3".parse().unwrap()).with("names=10".parse().unwrap());
        let budget = Budget::new(limits);
        budget.entry(5).unwrap();
        budget.entry(5).unwrap();
        assert_eq!(budget.entry(1).unwrap_err().limit, Limit::Names);
        assert_eq!(budget.entry(0).unwrap_err().limit, Limit::Entries);
    }

    #[test]
    fn growth_counts_from_64_mib_on() {
        let growth = Budget::default().growth();
        growth.packed(1);
        growth.unpacked(RATIO_FREE).unwrap();
        assert_eq!(growth.unpacked(1).unwrap_err().limit, Limit::Ratio);
        growth.packed(RATIO_FREE);
        growth.unpacked(900 * RATIO_FREE).unwrap();
        assert!(growth.unpacked(100 * RATIO_FREE).is_err());
        assert!(growth.unpacked(u64::MAX).is_err());
    }
}
