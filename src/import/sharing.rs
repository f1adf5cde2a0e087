//! Which files of podman's storage a layer's contents are, and by which way objects can share them.

use super::Fault;
use crate::fetch::Originals;
use crate::model::sharing::{Shared, Way};
use crate::store::Store;
use crate::sys::{Original, Sys};

const NOT_ROOTS: &str = "others than root may write some of podman's files";

/// A file that is to be an object.
pub(super) struct Share {
    pub original: Original,
    pub way: Way,
}

/// The files of one layer, in the order of its stream.
pub(super) struct Sharing {
    originals: Option<Originals>,
    /// The next one, which the stream has not come to.
    next: Option<(u64, Original)>,
    /// Known since the first one.
    way: Option<Way>,
    /// What was not shared, and why.
    pub refused: Shared,
}

impl Sharing {
    /// Nothing is asked for yet.
    pub fn of(originals: Option<Originals>) -> Self {
        Self { originals, next: None, way: None, refused: Shared::default() }
    }

    /// The file whose bytes are the next `size` bytes of the stream, if there is one that can be shared.
    pub fn take(&mut self, offset: u64, size: u64, store: &Store, sys: &Sys) -> Result<Option<Share>, Fault> {
        let Some(original) = self.at(offset).filter(|original| original.has(size)) else { return Ok(None) };
        let way = match self.way {
            Some(way) => way,
            None => *self.way.insert(store.way(sys, &original)?),
        };
        let way = match way {
            Way::Link if !original.is_roots() => Way::Copy(NOT_ROOTS),
            way => way,
        };
        match way {
            Way::Copy(_) => {
                self.refused.add(way, size);
                Ok(None)
            }
            way => Ok(Some(Share { original, way })),
        }
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
