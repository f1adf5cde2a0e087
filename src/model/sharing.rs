//! How the files of podman's storage become objects of the store.

use serde::Serialize;

/// The way that is taken for a layer's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A file of its own that shares the bytes on disk (`FICLONE`): xfs, btrfs.
    Clone,
    /// The same file, with one more name.
    Link,
    /// Its bytes are written again, and why.
    Copy(&'static str),
}

/// Objects that came from files of podman's storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Shared {
    /// Objects that are clones.
    pub objects_cloned: u64,
    /// Objects that are second names.
    pub objects_linked: u64,
    /// Bytes of both: they take no space of their own.
    pub bytes_shared: u64,
    /// Why others were copied.
    pub copied_because: Option<&'static str>,
}

impl Shared {
    /// One more object, of so many bytes.
    pub fn add(&mut self, way: Way, bytes: u64) {
        match way {
            Way::Clone => self.objects_cloned += 1,
            Way::Link => self.objects_linked += 1,
            Way::Copy(why) => {
                self.copied_because.get_or_insert(why);
                return;
            }
        }
        self.bytes_shared += bytes;
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self {
            objects_cloned: self.objects_cloned + other.objects_cloned,
            objects_linked: self.objects_linked + other.objects_linked,
            bytes_shared: self.bytes_shared + other.bytes_shared,
            copied_because: self.copied_because.or(other.copied_because),
        }
    }

    /// In words: which ways were taken; nothing where there was nothing to share.
    pub fn text(&self) -> Option<String> {
        let ways = [(self.objects_cloned, "by reflink"), (self.objects_linked, "by hard link")];
        let taken = ways.into_iter().filter(|(count, _)| *count > 0);
        let mut parts: Vec<String> = taken.map(|(count, way)| format!("{count} objects {way}")).collect();
        parts.extend(self.copied_because.map(|why| match parts.is_empty() {
            true => format!("all objects copied: {why}"),
            false => format!("some copied: {why}"),
        }));
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_are_told_in_words() {
        let mut shared = Shared::default();
        assert_eq!(shared.text(), None);
        shared.add(Way::Copy("it is elsewhere"), 7);
        assert_eq!(shared.text().unwrap(), "all objects copied: it is elsewhere");
        shared.add(Way::Link, 5);
        assert_eq!(shared.and(shared).text().unwrap(), "2 objects by hard link, some copied: it is elsewhere");
        assert_eq!(shared.bytes_shared, 5);
    }
}
