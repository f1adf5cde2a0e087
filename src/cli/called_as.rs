//! The name that the program was started under: `bootc` is a link to it, for programs that ask bootc.

use std::ffi::OsStr;
use std::path::Path;

/// The command line is the same; only what `status` prints by itself differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CalledAs {
    /// Its own name, or any other.
    CfsHost,
    /// `bootc`.
    Bootc,
}

impl CalledAs {
    /// From the first word of the command line.
    pub fn of(program: Option<&OsStr>) -> Self {
        match program.and_then(|path| Path::new(path).file_name()) {
            Some(name) if name == "bootc" => Self::Bootc,
            _ => Self::CfsHost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_part_of_the_path_counts() {
        for (path, name) in [
            ("bootc", CalledAs::Bootc),
            ("/usr/bin/bootc", CalledAs::Bootc),
            ("/opt/bootc/cfs-host", CalledAs::CfsHost),
            ("", CalledAs::CfsHost),
        ] {
            assert_eq!(CalledAs::of(Some(OsStr::new(path))), name, "{path}");
        }
        assert_eq!(CalledAs::of(None), CalledAs::CfsHost);
    }
}
