//! Which files of podman's storage a layer's contents are, and by which way objects can share them.

use std::sync::Arc;

use super::Fault;
use crate::fetch::Originals;
use crate::model::sharing::{Shared, Way};
use crate::store::{Sharer, Store};
use crate::sys::{Original, Sys};

const NOT_ROOTS: &str = "others than root may write some of podman's files";

/// A file that is to be an object.
pub(super) struct Share {
    pub original: Original,
    pub by: Arc<Sharer>,
}

/// The files of one layer, in the order of its stream.
pub(super) struct Sharing {
    originals: Option<Originals>,
    /// The next one, which the stream has not come to.
    next: Option<(u64, Original)>,
    /// Known since the first one.
    by: Option<Arc<Sharer>>,
    /// What was not shared, and why.
    pub refused: Shared,
}

impl Sharing {
    /// Nothing is asked for yet.
    pub fn of(originals: Option<Originals>) -> Self {
        Self { originals, next: None, by: None, refused: Shared::default() }
    }

    /// The file whose bytes are the next `size` bytes of the stream, if there is one that can be shared.
    pub fn take(&mut self, offset: u64, size: u64, store: &Store, sys: &Sys) -> Result<Option<Share>, Fault> {
        let Some(original) = self.at(offset).filter(|original| original.has(size)) else { return Ok(None) };
        let by = match &self.by {
            Some(by) => by,
            None => self.by.insert(Arc::new(store.sharer(sys, &original)?)),
        };
        let why = match **by {
            Sharer::Copy(why) => why,
            Sharer::Link(_) if !original.is_roots() => NOT_ROOTS,
            _ => return Ok(Some(Share { original, by: Arc::clone(by) })),
        };
        self.refused.add(Way::Copy(why), size);
        Ok(None)
    }

    /// Each was told before its bytes came, so what is not there now is none.
    fn at(&mut self, offset: u64) -> Option<Original> {
        let originals = self.originals.as_ref()?;
        loop {
            let (at, original) = self.next.take().or_else(|| originals.try_recv().ok())?;
            if at == offset {
                return Some(original);
            }
            if at > offset {
                self.next = Some((at, original));
                return None;
            }
        }
    }
}

#[cfg(test)]
#[path = "sharing_tests.rs"]
mod tests;
