//! Tags below `streams/refs/`: read as text, and removed.

use std::collections::BTreeMap;

use super::gc::STREAMS;
use super::refs::{encode, list, REFS};
use super::{Result, Store};
use crate::model::Digest;
use crate::sys::Sys;

/// A tag of a stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    /// As it was given; the end of a very long one is lost.
    pub text: String,
    /// The name of the stream that it keeps.
    pub stream: String,
}

impl Store {
    /// The tags in one folder of `streams/refs/`, sorted.
    pub fn tags(&self, folder: &str) -> Result<Vec<Tag>> {
        let folder = self.path.join(STREAMS).join(REFS).join(folder);
        let mut found = Vec::new();
        for path in self.tag_links(STREAMS)?.into_iter().filter(|path| path.parent() == Some(&folder)) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            found.push(Tag { text: decode(&name), stream: self.name_behind(STREAMS, &path)? });
        }
        found.sort();
        Ok(found)
    }

    /// The folders of tags whose names begin so, sorted: what follows in each name. One stays when its last tag is gone.
    pub fn tag_folders(&self, prefix: &str) -> Result<Vec<String>> {
        let refs = self.path.join(STREAMS).join(REFS);
        let folders = list(&refs)?.into_iter().filter(|(_, _, kind)| kind.is_dir());
        let mut found: Vec<String> =
            folders.filter_map(|(_, name, _)| name.strip_prefix(prefix).map(str::to_owned)).collect();
        found.sort();
        Ok(found)
    }

    /// Whether this tag is there and keeps this stream.
    pub fn is_tagged(&self, folder: &str, tag: &str, stream: &str) -> bool {
        let path = self.path.join(STREAMS).join(REFS).join(folder).join(encode(tag));
        self.name_behind(STREAMS, &path).is_ok_and(|name| name == stream)
    }

    /// Removes a tag, which may be gone; that is durable on return. What it kept goes with the next sweep.
    pub fn untag(&self, sys: &Sys, folder: &str, tag: &str) -> Result<()> {
        let folder = self.path.join(STREAMS).join(REFS).join(folder);
        sys.remove_file(&folder.join(encode(tag)))?;
        Ok(sys.sync_dir(&folder)?)
    }

    /// All names of streams, and the objects that they lead to, which may be gone.
    pub fn stream_names(&self) -> Result<BTreeMap<String, Digest>> {
        self.names(STREAMS)
    }
}

/// What [`encode`] made a file name of.
fn decode(name: &str) -> String {
    name.replace("%2F", "/").replace("%25", "%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_listed_as_they_were_given_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let (sys, store) = (Sys::real(), Store::open_or_create(dir.path(), &Sys::real()).unwrap());
        let object = store.put(&sys, b"1").unwrap();
        store.name_stream(&sys, "s", &object).unwrap();
        let tags = ["docker://example.org/a:v1", "oci:/b%2F"];
        tags.iter().for_each(|tag| store.tag_stream(&sys, "oci", tag, "s").unwrap());
        store.tag_stream(&sys, "other", "x", "s").unwrap();
        let texts = |store: &Store| -> Vec<String> {
            store
                .tags("oci")
                .unwrap()
                .into_iter()
                .inspect(|tag| assert_eq!(tag.stream, "s"))
                .map(|tag| tag.text)
                .collect()
        };
        assert_eq!(texts(&store), tags);
        assert!(store.is_tagged("oci", tags[0], "s") && !store.is_tagged("oci", tags[0], "t"));
        store.untag(&sys, "oci", tags[0]).unwrap();
        store.untag(&sys, "oci", tags[0]).unwrap();
        assert_eq!(texts(&store), tags[1..]);
        assert_eq!(store.tag_folders("o").unwrap(), ["ci", "ther"]);
        assert!(!store.is_tagged("oci", tags[0], "s"));
    }

    proptest! {
        #[test]
        fn a_short_tag_is_read_back_as_it_was_given(tag in "[a-z%/2F5:.@]{1,60}") {
            prop_assert_eq!(decode(&encode(&tag)), tag);
        }
    }
}
