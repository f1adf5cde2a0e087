//! A layer back out of the store: the entries of its splitstream.

use std::io;

use super::budget::Budget;
use super::entry::{Entry, Item};
use super::expand;
use super::layer::LAYER_STREAM;
use super::tar::{entries, padding, Data, Map, TarStream, INLINE_MAX};
use super::{Error, Fault};
use crate::model::limits::Limits;
use crate::model::Digest;
use crate::store::stream::{Body, Reader};
use crate::store::Store;

/// Reads a layer's entries back. `None` if an object that it needs is not there: it is to be imported again.
pub fn read_back(store: &Store, stream: &Digest, diff_id: &[u8; 32]) -> Result<Option<Vec<Entry>>, Error> {
    let fail = |fault| Error { layer: format!("sha256:{}", hex::encode(diff_id)), fault };
    let reader = store.read_stream(stream, LAYER_STREAM).map_err(|error| fail(error.into()))?;
    let body = reader.body().map_err(|error| fail(error.into()))?;
    let sparse = expand::stored(&reader, store).map_err(fail)?;
    let sparse = sparse.as_ref().map(Reader::body).transpose().map_err(|error| fail(error.into()))?;
    let entries = entries(&mut Split { body, sparse }, &Budget::new(Limits::none())).map_err(fail)?;
    let complete = entries.iter().all(|entry| match &entry.item {
        Item::Object { digest, size } => store.has(digest, *size),
        _ => true,
    });
    Ok(complete.then_some(entries))
}

/// A tar stream that lies in the store.
struct Split<'a> {
    body: Body<'a>,
    /// The objects of its sparse files.
    sparse: Option<Body<'a>>,
}

impl TarStream for Split<'_> {
    fn header(&mut self, buffer: &mut [u8]) -> io::Result<bool> {
        self.body.inline(buffer)
    }

    fn data(&mut self, size: u64, object: bool) -> Result<Data, Fault> {
        let padding = padding(size);
        if object {
            let digest =
                self.body.object()?.ok_or_else(|| Fault::Malformed("a large file is not an object".to_owned()))?;
            self.skip(padding)?;
            return Ok(Data::Object(digest));
        }
        let size = usize::try_from(size).map_err(|_| Fault::Truncated)?;
        let mut bytes = vec![0; size];
        if size > 0 && !self.body.inline(&mut bytes)? {
            return Err(Fault::Truncated);
        }
        self.skip(padding)?;
        Ok(Data::Inline(bytes))
    }

    fn sparse(&mut self, map: &Map, object: bool) -> Result<Data, Fault> {
        let packed = self.data(map.packed(), map.packed() > INLINE_MAX)?;
        match (packed, &mut self.sparse) {
            (Data::Inline(packed), _) if !object => Ok(Data::Inline(map.expanded(&packed)?)),
            (_, Some(sparse)) => match sparse.object()? {
                Some(digest) => Ok(Data::Object(digest)),
                None => Err(Fault::Malformed("its contents with holes are not in the store".to_owned())),
            },
            _ => Err(Fault::Malformed("its contents with holes are not in the store".to_owned())),
        }
    }
}

impl Split<'_> {
    fn skip(&mut self, padding: u64) -> Result<(), Fault> {
        let mut zeros = [0; 512];
        match self.body.inline(&mut zeros[..padding as usize])? {
            false if padding > 0 => Err(Fault::Truncated),
            _ => Ok(()),
        }
    }
}
