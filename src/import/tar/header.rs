//! One tar header block: its fields as numbers and bytes, refused where they have none.

use super::BLOCK;

/// Who wrote it: the same bytes mean different things.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Before POSIX: no extensions, no devices.
    V7,
    /// POSIX; PAX is the same with extended headers.
    Ustar,
    /// GNU tar's own.
    Gnu,
}

/// A block that has the right checksum.
#[derive(Clone, Debug)]
pub(super) struct Header([u8; BLOCK]);

type Result<T> = std::result::Result<T, &'static str>;

impl Header {
    /// Checks the checksum, which is of the unsigned bytes.
    pub(super) fn new(block: [u8; BLOCK]) -> Result<Self> {
        let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
        let own: u64 = block[148..156].iter().map(|byte| u64::from(*byte)).sum();
        match number(&block[148..156]) {
            Ok(said) if said == i128::from(sum - own + 8 * 32) => Ok(Self(block)),
            _ => Err("a header has a wrong checksum: it is damaged, or no tar header"),
        }
    }

    pub(super) fn format(&self) -> Format {
        match &self.0[257..265] {
            b"ustar\x0000" => Format::Ustar,
            b"ustar  \0" => Format::Gnu,
            _ => Format::V7,
        }
    }

    /// The type flag. V7 knows no extensions: there, their letters are types of nobody.
    pub(super) fn kind(&self) -> u8 {
        self.0[156]
    }

    pub(super) fn size(&self) -> Result<u64> {
        unsigned(&self.0[124..136], "its size is no number, negative or out of range")
    }

    pub(super) fn mode(&self) -> Result<u32> {
        let mode = unsigned(&self.0[100..108], "its mode is no number or out of range")?;
        Ok((mode & 0o7777) as u32)
    }

    pub(super) fn uid(&self) -> Result<u64> {
        unsigned(&self.0[108..116], "its owner is no number or out of range")
    }

    pub(super) fn gid(&self) -> Result<u64> {
        unsigned(&self.0[116..124], "its group is no number or out of range")
    }

    pub(super) fn mtime(&self) -> Result<i64> {
        let time = number(&self.0[136..148]).ok().and_then(|time| time.try_into().ok());
        time.ok_or("its time is no number or out of range")
    }

    /// Major and minor number.
    pub(super) fn device(&self) -> Result<(u64, u64)> {
        const WRONG: &str = "its device number is missing or out of range";
        match self.format() {
            Format::V7 => Err(WRONG),
            _ => Ok((unsigned(&self.0[329..337], WRONG)?, unsigned(&self.0[337..345], WRONG)?)),
        }
    }

    pub(super) fn name(&self) -> Vec<u8> {
        let name = text(&self.0[..100]);
        match text(&self.0[345..500]) {
            prefix if self.format() == Format::Ustar && !prefix.is_empty() => [prefix, b"/", name].concat(),
            _ => name.to_vec(),
        }
    }

    pub(super) fn link(&self) -> &[u8] {
        text(&self.0[157..257])
    }

    /// GNU sparse: offsets and lengths, whether more follow, and the size with the holes.
    pub(super) fn sparse(&self) -> (&[u8], bool, Result<u64>) {
        let size = unsigned(&self.0[483..495], "its size with holes is no number or out of range");
        (&self.0[386..482], self.0[482] != 0, size)
    }
}

/// Bytes up to the first NUL.
fn text(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or(field)
}

fn unsigned(field: &[u8], why: &'static str) -> Result<u64> {
    number(field).ok().and_then(|number| number.try_into().ok()).ok_or(why)
}

/// Octal digits between blanks, or GNU's base 256 with sign; nothing at all is 0.
pub(super) fn number(field: &[u8]) -> std::result::Result<i128, ()> {
    if let Some((first, rest)) = field.split_first().filter(|(first, _)| **first >= 0x80) {
        // The first bit marks the form, the second one is the sign.
        let start = i128::from(first & 0x3f) - i128::from(first & 0x40);
        return rest.iter().try_fold(start, |sum, byte| sum.checked_mul(256)?.checked_add(i128::from(*byte))).ok_or(());
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0, |sum, digit| match digit {
        b'0'..=b'7' => Ok(sum * 8 + i128::from(digit - b'0')),
        _ => Err(()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_octal_or_base_256() {
        for (field, expected) in [
            (&b"0000644\0"[..], Ok(0o644)),
            (b"  644 \0x", Ok(0o644)),
            (b"\0\0\0\0\0\0\0\0", Ok(0)),
            (b"77777777", Ok(0o77777777)),
            (b"000089\0\0", Err(())),
            (b"-1\0\0\0\0\0\0", Err(())),
            (b"+1\0\0\0\0\0\0", Err(())),
            (b"\x80\0\0\0\0\0\x01\x02", Ok(258)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xff", Ok(-1)),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe\0\0\0\0", Ok(-2 << 32)),
        ] {
            assert_eq!(number(field), expected, "{field:?}");
        }
    }
}
