//! PAX extended headers: records of length, keyword and value.
//!
//! A keyword that we know comes once and has a value: where it is repeated or empty, tools read different things.

use super::sparse::Sparse;

const XATTR: &[u8] = b"SCHILY.xattr.";
const SPARSE: &[u8] = b"GNU.sparse.";
const XATTR_NAME_MAX: usize = 255;
const XATTR_VALUE_MAX: usize = 65535;
/// Of one file, with the names.
const XATTRS_MAX: usize = 256 << 10;

/// What the extended header of one entry says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pax {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    /// Seconds and nanoseconds.
    pub mtime: Option<(i64, u32)>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

type Result<T> = std::result::Result<T, String>;

impl Pax {
    pub(super) fn parse(data: &[u8]) -> Result<Self> {
        let mut pax = Self::default();
        for record in records(data) {
            let (key, value) = record?;
            pax.record(key, value)?;
        }
        pax.check_xattrs()?;
        Ok(pax)
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        match key {
            b"path" => once(&mut self.path, key, name(key, value)?),
            b"linkpath" => once(&mut self.link, key, name(key, value)?),
            b"size" => once(&mut self.size, key, number(key, value)?),
            b"uid" => once(&mut self.uid, key, number(key, value)?),
            b"gid" => once(&mut self.gid, key, number(key, value)?),
            b"mtime" => once(&mut self.mtime, key, time(value).ok_or_else(|| wrong(key, value))?),
            _ => {
                if let Some(name) = key.strip_prefix(XATTR) {
                    return self.xattr(name, value);
                }
                match key.strip_prefix(SPARSE) {
                    Some(field) => self.sparse.record(field, value),
                    None => Ok(()),
                }
            }
        }
    }

    fn xattr(&mut self, name: &[u8], value: &[u8]) -> Result<()> {
        if name.is_empty() || name.len() > XATTR_NAME_MAX || value.len() > XATTR_VALUE_MAX {
            return Err("it has an extended attribute that no file system could hold".to_owned());
        }
        self.xattrs.push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    /// Of all together: their size, and that none comes twice.
    fn check_xattrs(&self) -> Result<()> {
        if self.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > XATTRS_MAX {
            return Err(format!("its extended attributes take more than {XATTRS_MAX} bytes"));
        }
        let mut names: Vec<_> = self.xattrs.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(format!("its extended header says {} twice", shown(pair[0]))),
            None => Ok(()),
        }
    }
}

/// Whether a global header says something of entries that only some tools would listen to.
pub(super) fn check_global(data: &[u8]) -> Result<()> {
    const MEANINGFUL: [&[u8]; 6] = [b"path", b"linkpath", b"size", b"uid", b"gid", b"mtime"];
    for record in records(data) {
        let (key, _) = record?;
        if MEANINGFUL.contains(&key) || key.starts_with(XATTR) || key.starts_with(SPARSE) {
            return Err(format!("a global header sets {} of all entries; tools disagree about that", shown(key)));
        }
    }
    Ok(())
}

/// `LENGTH KEY=VALUE\n`, one after the other and nothing else.
fn records(mut data: &[u8]) -> impl Iterator<Item = Result<(&[u8], &[u8])>> {
    std::iter::from_fn(move || {
        if data.is_empty() {
            return None;
        }
        let record = first_record(data);
        data = record.map_or(&[], |(_, _, rest)| rest);
        Some(record.map(|(key, value, _)| (key, value)).ok_or_else(|| "its extended header is malformed".to_owned()))
    })
}

fn first_record(data: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = data.iter().take(20).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&data[..space])?).ok()?;
    let (record, rest) = data.split_at_checked(length)?;
    let record = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = (&record[..equals], &record[equals + 1..]);
    (!key.is_empty() && !key.contains(&0)).then_some((key, value, rest))
}

fn once<T>(slot: &mut Option<T>, key: &[u8], value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("its extended header says {} twice", shown(key))),
    }
}

fn name(key: &[u8], value: &[u8]) -> Result<Vec<u8>> {
    match value.is_empty() || value.contains(&0) {
        true => Err(wrong(key, value)),
        false => Ok(value.to_vec()),
    }
}

fn number(key: &[u8], value: &[u8]) -> Result<u64> {
    decimal(value).ok_or_else(|| wrong(key, value))
}

/// Digits and nothing else.
pub(super) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Seconds with sign and fraction; what is finer than a nanosecond is cut off. The nanoseconds count upwards, also before 1970.
fn time(value: &[u8]) -> Option<(i64, u32)> {
    let (negative, digits) = match value.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, value),
    };
    let mut halves = digits.splitn(2, |byte| *byte == b'.');
    let seconds = i64::try_from(decimal(halves.next()?)?).ok()?;
    let fraction = halves.next().unwrap_or_default();
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let padded = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanoseconds = padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Some(match (negative, nanoseconds) {
        (false, _) => (seconds, nanoseconds),
        (true, 0) => (-seconds, 0),
        (true, _) => (-seconds - 1, 1_000_000_000 - nanoseconds),
    })
}

fn wrong(key: &[u8], value: &[u8]) -> String {
    let value = &value[..value.len().min(64)];
    format!("its extended header has {} as {}", shown(value), shown(key))
}

fn shown(bytes: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_sign_and_a_fraction() {
        for (value, expected) in [
            ("0", Some((0, 0))),
            ("12.0345", Some((12, 34_500_000))),
            ("12.", Some((12, 0))),
            ("-1", Some((-1, 0))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.000000001", Some((-1, 999_999_999))),
            ("1.1234567899", Some((1, 123_456_789))),
            ("9223372036854775807", Some((i64::MAX, 0))),
            ("-9223372036854775807.9", Some((i64::MIN, 100_000_000))),
            ("9223372036854775808", None),
            ("1.x", None),
            (".5", None),
            ("1e3", None),
            ("+1", None),
            ("", None),
        ] {
            assert_eq!(time(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn records_are_whole_and_say_a_thing_once() {
        let read = |text: &str| Pax::parse(text.as_bytes());
        assert_eq!(read("9 path=a\n18 comment=path=b\n").unwrap().path.unwrap(), b"a");
        assert_eq!(read("").unwrap(), Pax::default());
        for broken in [
            "9 path=a",
            "11 path=a\n",
            "8 path=a\n",
            "x path=a\n",
            "9path==a\n",
            "5 =a\n",
            "99999999999999999999999 x=y\n",
            "0 \n",
            "\0\0",
        ] {
            assert!(read(broken).is_err(), "{broken}");
        }
        assert!(read("9 path=a\n9 path=b\n").unwrap_err().contains("twice"));
        assert!(read("8 path=\n").unwrap_err().contains("path"));
        assert!(read("11 size=-1\n").unwrap_err().contains("\"-1\""));
    }
}
