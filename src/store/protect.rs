//! fs-verity on the objects of an image, before anything boots from them.

use super::{Result, Store};
use crate::model::Digest;
use crate::sys::Sys;

impl Store {
    /// Turns fs-verity on for an image and every object that it names, by as many threads as there are processors, and syncs. Gives how many
    /// were given it now. A file system without it is fine: the first boot's `/init` decides.
    pub fn protect(&self, sys: &Sys, image: &Digest) -> Result<u64> {
        let _ = (sys, image);
        todo!()
    }
}
