//! The shared area of extended attributes, and the attributes of one inode in it and beside the inode.

use std::collections::HashMap;

use composefs::erofs::format::InodeXAttrHeader;
use composefs::tree::{LeafContent, RegularFile};
use zerocopy::IntoBytes;

use super::inodes::{Inodes, Source};
use super::xattr::{attributes, Attribute, WORD};
use super::{Error, Result, BLOCK};

const HEADER: u64 = size_of::<InodeXAttrHeader>() as u64;

/// Which attributes are shared.
#[derive(Debug)]
pub(super) struct Shared<'a> {
    /// In the order on disk.
    list: Vec<Attribute<'a>>,
    places: HashMap<Attribute<'a>, u32>,
    /// By leaf id: another leaf has the same object.
    twins: Vec<bool>,
    /// Some attribute is an access control list.
    pub(super) acl: bool,
}

impl<'a> Shared<'a> {
    /// Counts all attributes. Those of an object that one inode alone has (nearly all) are not looked at.
    pub(super) fn of(inodes: &'a Inodes<'_>) -> Result<Self> {
        let twins = twins(inodes);
        let mut counts = HashMap::new();
        let mut acl = false;
        let mut found = Vec::new();
        for (inode, source) in inodes.table.iter().enumerate() {
            attributes(inodes, *source, &mut found);
            for attribute in found.drain(..).filter(|attribute| may_be_shared(&twins, *source, attribute)) {
                if let Some(what) = attribute.misfit() {
                    return Err(Error::Inode { path: inodes.path_of(inode), what });
                }
                acl |= attribute.is_acl();
                *counts.entry(attribute).or_insert(0u32) += 1;
            }
        }
        let often = counts.into_iter().filter(|(_, count)| *count > 1);
        let mut list: Vec<_> = often.map(|(attribute, _)| attribute).collect();
        list.sort_unstable_by(|one, other| other.cmp(one));
        let places = list.iter().cloned().zip(0..).collect();
        Ok(Self { list, places, twins, acl })
    }

    /// The attributes of one inode.
    pub(super) fn split(&self, inodes: &'a Inodes<'_>, source: Source, set: &mut Set<'a>) {
        attributes(inodes, source, &mut set.local);
        set.shared.clear();
        set.filter = set.local.iter().fold(0, |filter, attribute| filter | attribute.filter_bit());
        set.local.retain(|attribute| {
            let place = match may_be_shared(&self.twins, source, attribute) {
                true => self.places.get(attribute),
                false => None,
            };
            set.shared.extend(place);
            place.is_none()
        });
    }

    /// Size of the area.
    pub(super) fn size(&self) -> u64 {
        self.list.iter().map(Attribute::size).sum()
    }

    /// The references to its entries if it starts at `start`: in words from the start of that block.
    pub(super) fn references(&self, start: u64) -> Option<Vec<u32>> {
        let mut at = start % BLOCK;
        let mut next = |attribute: &Attribute<'_>| {
            let reference = u32::try_from(at / WORD).ok();
            at += attribute.size();
            reference
        };
        self.list.iter().map(&mut next).collect()
    }

    /// Appends one entry of the area after the other.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Attribute<'a>> {
        self.list.iter()
    }
}

/// Those of an object that one leaf alone has are not.
fn may_be_shared(twins: &[bool], source: Source, attribute: &Attribute<'_>) -> bool {
    match source {
        Source::Leaf(id) if attribute.is_of_object() => twins[id as usize],
        _ => true,
    }
}

/// Leaves whose object another leaf has, too.
fn twins(inodes: &Inodes<'_>) -> Vec<bool> {
    let mut twins = vec![false; inodes.leaves()];
    let object = |source: &Source| match source {
        Source::Leaf(leaf) => match &inodes.leaf(*leaf).content {
            LeafContent::Regular(RegularFile::External(id, _) | RegularFile::ExternalNoVerity(id, _)) => {
                Some((id.as_bytes(), *leaf as usize))
            }
            _ => None,
        },
        _ => None,
    };
    let mut objects: Vec<_> = inodes.table.iter().filter_map(object).collect();
    objects.sort_unstable();
    for pair in objects.windows(2) {
        if pair[0].0 == pair[1].0 {
            twins[pair[0].1] = true;
            twins[pair[1].1] = true;
        }
    }
    twins
}

/// The attributes of one inode.
#[derive(Debug, Default)]
pub(super) struct Set<'a> {
    /// Which of the shared area.
    shared: Vec<u32>,
    local: Vec<Attribute<'a>>,
    filter: u32,
}

impl Set<'_> {
    /// Size behind the inode.
    pub(super) fn size(&self) -> u64 {
        match self.filter {
            0 => 0,
            _ => HEADER + WORD * self.shared.len() as u64 + self.local.iter().map(Attribute::size).sum::<u64>(),
        }
    }

    /// `i_xattr_icount`: 0 without attributes, else one for the header and one for each word behind it.
    pub(super) fn icount(&self) -> Option<u16> {
        if self.shared.len() > usize::from(u8::MAX) {
            return None;
        }
        match self.size() {
            0 => Some(0),
            size => u16::try_from(1 + (size - HEADER) / WORD).ok(),
        }
    }

    /// Appends `struct erofs_xattr_ibody_header`, the references, and the entries that are not shared.
    pub(super) fn write(&self, references: &[u32], bytes: &mut Vec<u8>) {
        if self.filter == 0 {
            return;
        }
        let header = InodeXAttrHeader {
            name_filter: (!self.filter).into(),
            shared_count: self.shared.len() as u8,
            ..InodeXAttrHeader::default()
        };
        bytes.extend_from_slice(header.as_bytes());
        for shared in &self.shared {
            bytes.extend_from_slice(&references[*shared as usize].to_le_bytes());
        }
        for attribute in &self.local {
            attribute.write(bytes);
        }
    }
}
