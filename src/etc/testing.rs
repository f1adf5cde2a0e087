//! Listings for the tests, short to write.

use super::{Item, Kind, Listing};
use crate::model::Digest;

pub(super) fn item(kind: Kind, mode: u32) -> Item {
    Item { kind, mode, owner: (0, 0), xattrs: Vec::new() }
}

pub(super) fn file(content: u8) -> Item {
    item(Kind::File(Digest::new([content; 32])), 0o644)
}

pub(super) fn directory() -> Item {
    item(Kind::Directory, 0o755)
}

pub(super) fn link(target: &str) -> Item {
    item(Kind::Symlink(target.into()), 0)
}

pub(super) fn mode(item: Item, mode: u32) -> Item {
    Item { mode, ..item }
}

/// These paths in `/etc`.
pub(super) fn listing(items: &[(&str, Item)]) -> Listing {
    let mut listing: Listing = items.iter().map(|(path, item)| (path.as_bytes().to_vec(), item.clone())).collect();
    listing.entry(Vec::new()).or_insert_with(directory);
    listing
}
