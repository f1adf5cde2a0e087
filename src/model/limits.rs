//! How much of an image is read before it is refused: no real host image comes near, and no hostile one gets far.

use std::fmt;
use std::str::FromStr;

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Entries of all layers.
    Entries,
    /// Bytes of all names, link targets, attributes and other header extensions.
    Names,
    /// Bytes that come before one entry in extended headers, or after the end marker of a layer.
    Header,
    /// Bytes of one file.
    Size,
    /// How many times as large a layer is as its blob; counted after [`RATIO_FREE`] bytes.
    Ratio,
}

/// Small layers may be packed as well as they like.
pub const RATIO_FREE: u64 = 64 << 20;

impl Limit {
    /// All, with the names that the command line knows.
    pub const ALL: [(Self, &'static str); 5] = [
        (Self::Entries, "entries"),
        (Self::Names, "names"),
        (Self::Header, "header"),
        (Self::Size, "size"),
        (Self::Ratio, "ratio"),
    ];
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(limit, _)| limit == self).map_or("", |(_, name)| name);
        f.write_str(name)
    }
}

/// The most of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; Limit::ALL.len()]);

impl Default for Limits {
    fn default() -> Self {
        Self([2_000_000, 512 << 20, 1 << 20, 1 << 40, 1000])
    }
}

impl Limits {
    /// For what was let in before.
    pub fn none() -> Self {
        Self([u64::MAX; Limit::ALL.len()])
    }

    /// The most there may be.
    pub fn most(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }

    /// The same with another value of one.
    #[must_use]
    pub fn with(mut self, Raised { limit, most }: Raised) -> Self {
        self.0[limit as usize] = most;
        self
    }

    /// Whether that much is allowed.
    pub fn check(&self, limit: Limit, found: u64) -> Result<(), Exceeded> {
        match self.most(limit) {
            most if found > most => Err(Exceeded { limit, most }),
            _ => Ok(()),
        }
    }
}

/// `NAME=VALUE`, as the command line has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Which one.
    pub limit: Limit,
    /// The most from now on.
    pub most: u64,
}

/// It is no `NAME=VALUE`.
#[derive(Debug, thiserror::Error)]
#[error("expected NAME=VALUE, with a whole number and one of the names {}", Limit::ALL.map(|(_, name)| name).join(", "))]
pub struct BadLimit;

impl FromStr for Raised {
    type Err = BadLimit;

    fn from_str(text: &str) -> Result<Self, BadLimit> {
        let (name, most) = text.split_once('=').ok_or(BadLimit)?;
        let (limit, _) = Limit::ALL.into_iter().find(|(_, known)| *known == name).ok_or(BadLimit)?;
        Ok(Self { limit, most: most.parse().map_err(|_| BadLimit)? })
    }
}

/// The image has more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} the limit {limit}={most} (if the image may have that, raise it: --limit {limit}=N)", what(*.limit))]
pub struct Exceeded {
    /// Of what.
    pub limit: Limit,
    /// The most there may be.
    pub most: u64,
}

fn what(limit: Limit) -> &'static str {
    match limit {
        Limit::Entries => "the image has more entries than",
        Limit::Names => "the image's names, links and attributes take more bytes than",
        Limit::Header => "extended headers or data after the end marker take more bytes than",
        Limit::Size => "it has more bytes than",
        Limit::Ratio => "the layer grows, when it is unpacked, by more than",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_raised_by_name_and_value() {
        let raised: Raised = "ratio=5000".parse().unwrap();
        let limits = Limits::default().with(raised);
        assert_eq!((limits.most(Limit::Ratio), limits.most(Limit::Entries)), (5000, 2_000_000));
        for wrong in ["ratio", "ratio=", "ratio=-1", "ratio=1k", "files=3", "=1", ""] {
            assert!(wrong.parse::<Raised>().unwrap_err().to_string().contains("entries, names, header"), "{wrong}");
        }
    }

    #[test]
    fn what_exceeds_a_limit_is_told_with_its_name_its_value_and_the_option() {
        let limits = Limits::default();
        limits.check(Limit::Entries, 2_000_000).unwrap();
        let words = limits.check(Limit::Entries, 2_000_001).unwrap_err().to_string();
        assert!(words.contains("entries=2000000") && words.contains("--limit entries=N"), "{words}");
    }
}
