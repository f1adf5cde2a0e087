//! The corpus.

use crate::fixture::raw_tar::{record, RawHeader, RawTar, DIRECTORY, FILE, HARD_LINK, SYMLINK};
use crate::fixture::Pack;

pub enum Expected {
    /// With all of these words.
    Refused(&'static [&'static str]),
    /// What lies at each path.
    Tree(Vec<(Vec<u8>, &'static str)>),
}

pub struct Case {
    pub name: &'static str,
    pub tar: Vec<u8>,
    pub pack: Pack,
    pub limits: &'static [&'static str],
    pub expected: Expected,
}

fn refused(name: &'static str, tar: RawTar, words: &'static [&'static str]) -> Case {
    Case { name, tar: tar.end(), pack: Pack::Plain, limits: &[], expected: Expected::Refused(words) }
}

fn accepted(name: &'static str, tar: RawTar, path: impl AsRef<[u8]>, what: &'static str) -> Case {
    let expected = Expected::Tree(vec![(path.as_ref().to_vec(), what)]);
    Case { name, tar: tar.end(), pack: Pack::Plain, limits: &[], expected }
}

impl Case {
    fn limits(self, limits: &'static [&'static str]) -> Self {
        Self { limits, ..self }
    }

    fn pack(self, pack: Pack) -> Self {
        Self { pack, ..self }
    }

    /// These bytes instead.
    fn bytes(self, tar: Vec<u8>) -> Self {
        Self { tar, ..self }
    }
}

fn tar() -> RawTar {
    RawTar::new()
}

fn file(name: &[u8]) -> RawTar {
    tar().file(name, b"x")
}

fn header() -> RawHeader {
    RawHeader::ustar(FILE, b"usr/f", 0)
}

/// A file whose name, target or else comes from an extended header.
fn pax(records: &[(&str, &[u8])]) -> RawTar {
    tar().pax(records).file(b"usr/f", b"x")
}

pub fn all() -> Vec<Case> {
    [names(), links(), numbers(), records(), gnu(), whiteouts(), structure(), sparse(), bombs()]
        .into_iter()
        .flatten()
        .collect()
}

fn names() -> Vec<Case> {
    let deep = "usr/".to_owned() + &"d/".repeat(256);
    let dirs = (1..=254).fold(tar(), |tar, depth| {
        let path = "usr/".to_owned() + &"d/".repeat(depth);
        tar.pax(&[("path", path.as_bytes())]).entry(DIRECTORY, b"d")
    });
    let at_the_limit = "usr/".to_owned() + &["d"; 254].join("/");
    let long_part = [b"usr/".to_vec(), vec![b'n'; 255]].concat();
    vec![
        refused("climb out with ..", file(b"../evil"), &["\"../evil\"", "\"..\""]),
        refused("climb out behind an honest name", file(b"usr/lib/../../../evil"), &["\"..\""]),
        refused("climb out behind doubled slashes", file(b"usr//..//../evil"), &["\"..\""]),
        refused("climb by PAX path", pax(&[("path", b"../../evil")]), &["\"../../evil\""]),
        refused("climb by GNU long name", tar().extended(b'L', b"../evil\0").file(b"f", b"x"), &["\"../evil\""]),
        refused("climb by the ustar prefix", tar().header(header().with(345, b"..")), &["\"../usr/f\""]),
        accepted("an absolute name", file(b"/usr/f"), "usr/f", "\"x\" of 7"),
        accepted("a name of dots and slashes", file(b".//./usr/./f"), "usr/f", "\"x\" of 7"),
        refused("NUL in a PAX path", pax(&[("path", b"usr/a\0b")]), &["path"]),
        refused("NUL in a GNU long name", tar().extended(b'L', b"usr/a\0b\0").file(b"f", b"x"), &["NUL"]),
        accepted("a newline in a name", file(b"usr/a\nb"), "usr/a\nb", "\"x\" of 7"),
        accepted("a terminal's escape in a name", file(b"usr/\x1b[2J"), "usr/\x1b[2J", "\"x\" of 7"),
        accepted("a name that is no UTF-8", file(b"usr/\xff\xfe"), b"usr/\xff\xfe", "\"x\" of 7"),
        accepted("a part of 255 bytes", pax(&[("path", &long_part)]), &long_part, "\"x\" of 7"),
        refused("a part of 256 bytes", pax(&[("path", &[&long_part[..], b"n"].concat())]), &["longer than 255 bytes"]),
        refused("a path of 5000 bytes", pax(&[("path", &b"usr/".repeat(1250))]), &["4095"]),
        refused("257 directories deep", pax(&[("path", deep.as_bytes())]).entry(DIRECTORY, b"x"), &["256 parts"]),
        accepted("255 directories deep", dirs, at_the_limit, "directory"),
        refused("no name at all", file(b""), &["empty"]),
        refused("an empty PAX path", pax(&[("path", b"")]), &["path"]),
        refused("a file with a directory's name", file(b"usr/f/"), &["\"usr/f/\"", "name of a directory"]),
        refused("the root as a file", file(b"./."), &["the root is not a directory"]),
    ]
}

fn links() -> Vec<Case> {
    let target = |length: usize| tar().pax(&[("linkpath", &vec![b't'; length])]).link(SYMLINK, b"usr/l", b"t");
    let below = tar().link(SYMLINK, b"usr/out", b"/tmp").file(b"usr/out/evil", b"x");
    let data =
        tar().file(b"usr/f", b"x").header(RawHeader::ustar(HARD_LINK, b"usr/l", 5).link(b"usr/f")).data(b"other");
    vec![
        refused(
            "a hard link out of the tree",
            tar().link(HARD_LINK, b"usr/l", b"../../etc/passwd"),
            &["\"usr/l\"", "\"..\""],
        ),
        refused("a hard link to itself", tar().link(HARD_LINK, b"usr/l", b"./usr/l"), &["to itself"]),
        refused(
            "a loop of hard links",
            tar().link(HARD_LINK, b"usr/a", b"usr/b").link(HARD_LINK, b"usr/b", b"usr/a"),
            &["\"usr/a\"", "usr/b"],
        ),
        refused("a hard link to nothing", tar().link(HARD_LINK, b"usr/l", b"usr/none"), &["usr/none"]),
        refused("a hard link to a directory", tar().link(HARD_LINK, b"usr/l", b"usr/lib"), &["usr/lib"]),
        refused("a hard link to the root", tar().link(HARD_LINK, b"usr/l", b"/"), &["usr/l"]),
        refused("a hard link with data of its own", data, &["\"usr/l\"", "has data"]),
        refused("a symlink without a target", tar().entry(SYMLINK, b"usr/l"), &["without a target"]),
        refused(
            "a symlink with data",
            tar().header(RawHeader::ustar(SYMLINK, b"usr/l", 9).link(b"t")).data(b"123456789"),
            &["has data"],
        ),
        refused("a target of 4096 bytes", target(4096), &["4095"]),
        accepted("a target of 4095 bytes", target(4095), "usr/l", "link of 4095"),
        refused("NUL in a target", tar().extended(b'K', b"a\0b\0").link(SYMLINK, b"usr/l", b"a"), &["NUL"]),
        refused("a file through a symlink out of the tree", below, &["\"usr/out/evil\"", "is not one"]),
        refused(
            "a directory through a symlink to the root",
            tar().link(SYMLINK, b"usr/r", b"/").entry(DIRECTORY, b"usr/r/etc"),
            &["usr/r"],
        ),
        accepted(
            "a symlink that points far out",
            tar().link(SYMLINK, b"usr/l", b"../../../../etc"),
            "usr/l",
            "link of 15",
        ),
    ]
}

fn numbers() -> Vec<Case> {
    let minus_one = [0xff; 12];
    let huge: &[u8] = &[0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    let with = |at: usize, bytes: &[u8]| tar().header(header().with(at, bytes));
    let device =
        |major: &[u8]| tar().header(RawHeader::ustar(b'3', b"usr/d", 0).with(329, major).with(337, b"0000001"));
    let block = RawHeader::gnu(b'4', b"usr/d", 0).with(257, &[0; 8]).with(329, b"0000001");
    vec![
        refused("a negative size", with(124, &minus_one), &["\"usr/f\"", "size"]),
        refused("a size of 2^64 and more", with(124, huge), &["size"]),
        refused("a size that is no number", with(124, b"12a45678901"), &["size"]),
        refused("a size with a sign", with(124, b"-0000000001"), &["size"]),
        refused("a negative PAX size", pax(&[("size", b"-1")]), &["\"-1\"", "size"]),
        refused("a PAX size of 2^64", pax(&[("size", b"18446744073709551616")]), &["size"]),
        refused("a PAX size of 2^63", pax(&[("size", b"9223372036854775808")]), &["--limit size=N"]),
        refused(
            "a PAX size of 2^64 - 1, which no padding fits",
            pax(&[("size", b"18446744073709551615")]),
            &["--limit size=N"],
        )
        .limits(&["size=18446744073709551614"]),
        refused("a PAX size beyond the stream", pax(&[("size", b"100000000")]), &["cut off"]),
        refused("a negative owner", with(108, &[0xff; 8]), &["owner"]),
        refused("an owner of 2^32 - 1", pax(&[("uid", b"4294967295")]), &["owner"]),
        refused("a group of 2^32", pax(&[("gid", b"4294967296")]), &["group"]),
        accepted("a time before 1970", with(136, &minus_one), "usr/f", "\"\" of -1"),
        accepted("a PAX time before 1970", pax(&[("mtime", b"-2.5")]), "usr/f", "\"x\" of -3"),
        accepted("a time beyond 2038", pax(&[("mtime", b"99999999999.999999999999")]), "usr/f", "\"x\" of 99999999999"),
        refused("a time of 2^63", pax(&[("mtime", b"9223372036854775808")]), &["mtime"]),
        refused("a time with an exponent", pax(&[("mtime", b"1e9")]), &["\"1e9\""]),
        refused("a time that is not a number", pax(&[("mtime", b"nan")]), &["\"nan\""]),
        refused("a device number that no kernel has", device(b"0010000"), &["\"usr/d\"", "device number"]),
        refused("a negative device number", device(&[0xff; 8]), &["device number"]),
        refused("a device without a number", tar().header(block), &["device number"]),
        refused("a mode that is no number", with(100, b"rwxr-xr"), &["mode"]),
    ]
}

fn records() -> Vec<Case> {
    let raw = |data: &[u8]| tar().extended(b'x', data).file(b"usr/f", b"x");
    let name = format!("SCHILY.xattr.user.{}", "n".repeat(251));
    let four: Vec<_> = (0..5).map(|at| (format!("SCHILY.xattr.user.{at}"), vec![b'v'; 60_000])).collect();
    let four: Vec<_> = four.iter().map(|(key, value)| (key.as_str(), value.as_slice())).collect();
    let many: Vec<_> = (0..30_000).map(|at| format!("SCHILY.xattr.{at:05}")).collect();
    let many: Vec<_> = many.iter().map(|key| (key.as_str(), &b"v"[..])).collect();
    let global = |key, value| tar().extended(b'g', &record(key, value)).file(b"usr/f", b"x");
    let between =
        pax(&[("path", b"usr/g")]).extended(b'x', &record("path", b"usr/h")).extended(b'g', &record("comment", b"c"));
    vec![
        refused("a PAX record without its newline", raw(b"9 path=ab"), &["malformed"]),
        refused("a PAX record longer than its header", raw(b"99 path=usr/a\n"), &["malformed"]),
        refused("a PAX record shorter than its length", raw(b"3 path=usr/a\n"), &["malformed"]),
        refused("a PAX record of no length", raw(b"0 path=usr/a\n"), &["malformed"]),
        refused("a PAX record whose length is no number", raw(b"ff path=usr/a\n"), &["malformed"]),
        refused("a PAX record whose length overflows", raw(b"18446744073709551617 path=a\n"), &["malformed"]),
        refused("a PAX record without a key", raw(b"5 =a\n"), &["malformed"]),
        refused("a PAX header of garbage", raw(&[0xa5; 700]), &["malformed"]),
        refused("a PAX path twice", pax(&[("path", b"usr/a"), ("path", b"usr/b")]), &["twice"]),
        refused("a PAX header of 2 MiB", pax(&[("comment", &vec![b'c'; 2 << 20])]), &["--limit header=N"]),
        refused(
            "two PAX headers",
            tar().pax(&[("path", b"usr/a")]).pax(&[("path", b"usr/b")]).file(b"f", b"x"),
            &["twice"],
        ),
        refused("a PAX header before the end marker", tar().pax(&[("path", b"usr/a")]), &["belongs to no entry"]),
        refused("an attribute's name of 256 bytes", pax(&[(&name, b"v")]), &["extended attribute"]),
        refused("an attribute without a name", pax(&[("SCHILY.xattr.", b"v")]), &["extended attribute"]),
        refused(
            "an attribute of 64 KiB",
            pax(&[("SCHILY.xattr.user.a", &vec![b'v'; 65_536])]),
            &["extended attribute"],
        ),
        refused("attributes of 300 000 bytes", pax(&four), &["extended attributes"]),
        accepted("thirty thousand attributes", pax(&many), "usr/f", "\"x\" of 7"),
        refused("an attribute twice", pax(&[("SCHILY.xattr.user.a", b"1"), ("SCHILY.xattr.user.a", b"2")]), &["twice"]),
        refused(
            "a capability of 5000 bytes",
            pax(&[("SCHILY.xattr.security.capability", &[1; 5000])]),
            &["capability"],
        ),
        refused("a global path", global("path", b"usr/g"), &["global header", "\"path\""]),
        refused("a global owner", global("uid", b"1000"), &["global header", "\"uid\""]),
        refused("a global attribute", global("SCHILY.xattr.security.capability", b"x"), &["global header"]),
        accepted("a global comment", global("comment", b"of git"), "usr/f", "\"x\" of 7"),
        refused(
            "a global header between an entry and its own",
            between.file(b"usr/i", b"x"),
            &["after entry \"usr/g\"", "global header"],
        ),
    ]
}

fn gnu() -> Vec<Case> {
    let long = |data: &[u8]| tar().extended(b'L', data).file(b"usr/f", b"x");
    let both = |name: &[u8]| tar().extended(b'L', name).pax(&[("path", b"usr/a")]).file(b"usr/f", b"x");
    let old = RawHeader::gnu(b'L', b"././@LongLink", 6).with(257, &[0; 8]);
    vec![
        accepted("a long name without its NUL", long(b"usr/g"), "usr/g", "\"x\" of 7"),
        refused(
            "two long names",
            tar().extended(b'L', b"usr/a\0").extended(b'L', b"usr/b\0").file(b"f", b"x"),
            &["twice"],
        ),
        refused(
            "two long targets",
            tar().extended(b'K', b"a\0").extended(b'K', b"b\0").link(SYMLINK, b"usr/l", b"c"),
            &["twice"],
        ),
        refused("a long name of 5000 bytes", long(&b"usr/".repeat(1250)), &["4095"]),
        refused("a long name of 2 MiB", long(&vec![b'n'; 2 << 20]), &["--limit header=N"]),
        refused(
            "a long name of 2^60 bytes",
            tar().header(RawHeader::gnu(b'L', b"x", 0).with(124, &[0x80, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0])),
            &["--limit header=N"],
        ),
        refused("an empty long name", long(b"\0"), &["empty"]),
        refused("a long name and a PAX path that differ", both(b"usr/b\0"), &["two names"]),
        accepted("a long name and a PAX path that agree", both(b"usr/a\0"), "usr/a", "\"x\" of 7"),
        refused("a long name before the end marker", tar().extended(b'L', b"usr/a\0"), &["belongs to no entry"]),
        refused(
            "a long name in a format without",
            tar().header(old).data(b"usr/g\0").file(b"usr/f", b"x"),
            &["format"],
        ),
        refused(
            "a long target for a file",
            tar().extended(b'K', b"../evil\0").entry(b'9', b"usr/f"),
            &["not supported"],
        ),
    ]
}

fn whiteouts() -> Vec<Case> {
    let odd = |name: &'static str, path: &[u8]| refused(name, tar().file(path, b""), &["tools disagree"]);
    vec![
        odd("a whiteout of nothing", b"usr/.wh."),
        odd("a whiteout of the directory itself", b"usr/.wh.."),
        odd("a whiteout of the parent", b"usr/.wh..."),
        odd("a whiteout of a whiteout", b"usr/.wh..wh.x"),
        odd("a name of AUFS", b".wh..wh.plnk"),
        accepted("a whiteout of what is not there", tar().file(b"usr/.wh.none", b""), "usr/none", "nothing"),
        accepted("a whiteout that is a directory", tar().entry(DIRECTORY, b"usr/.wh.bin/"), "usr/bin", "nothing"),
        accepted(
            "an opaque marker of the root's directory",
            tar().file(b"usr/.wh..wh..opq", b""),
            "usr/bin",
            "nothing",
        ),
        refused("a file below a whiteout", file(b"usr/.wh.bin/x"), &["usr/.wh.bin"]),
        refused("a whiteout in a directory that is not there", tar().file(b"usr/none/.wh.x", b""), &["usr/none"]),
        refused("an opaque marker where nothing is", tar().file(b"usr/none/.wh..wh..opq", b""), &["usr/none"]),
        refused("a whiteout of what the layer brought", file(b"usr/a").file(b"usr/.wh.a", b""), &["tools disagree"]),
        refused(
            "an opaque marker after the layer's file",
            file(b"usr/a").file(b"usr/.wh..wh..opq", b""),
            &["tools disagree"],
        ),
        refused("a whiteout that climbs", tar().file(b"usr/.wh.x/../../..", b""), &["\"..\""]),
    ]
}

fn structure() -> Vec<Case> {
    let whole = tar().file(b"usr/f", &[7; 1000]);
    let odd = |name, kind| refused(name, tar().entry(kind, b"usr/f"), &["\"usr/f\"", "not supported"]);
    let damaged = tar().bytes(&RawHeader::ustar(FILE, b"usr/f", 0).0);
    vec![
        refused("a wrong checksum", damaged, &["checksum"]),
        refused("bytes that are no tar stream", tar().bytes(&[0x55; 2048]), &["checksum"]),
        refused("a header that is cut off", tar(), &["cut off"]).bytes(whole.clone().cut(1524)),
        refused("data that are cut off", tar(), &["cut off"]).bytes(whole.clone().cut(600)),
        refused("padding that is cut off", tar(), &["cut off"]).bytes(whole.clone().cut(10)),
        refused("a PAX header that is cut off", tar(), &["cut off"]).bytes(tar().pax(&[("path", b"usr/a")]).cut(3)),
        refused("a PAX header that is the last", tar(), &["cut off"]).bytes(tar().pax(&[("path", b"usr/a")]).cut(0)),
        refused(
            "a single block of zeros",
            file(b"usr/a").bytes(&[0; 512]).file(b"usr/b", b"x"),
            &["after entry \"usr/a\"", "end marker"],
        ),
        accepted(
            "an entry behind the end marker",
            file(b"usr/a").bytes(&[0; 1024]).file(b"usr/b", b"x"),
            "usr/b",
            "nothing",
        ),
        refused(
            "2 MiB behind the end marker",
            file(b"usr/a").bytes(&[0; 1024]).bytes(&vec![1; 2 << 20]),
            &["--limit header=N"],
        ),
        accepted(
            "2 MiB of zeros behind the end marker",
            file(b"usr/a").bytes(&vec![0; 2 << 20]),
            "usr/a",
            "\"x\" of 7",
        ),
        accepted("an empty layer", tar(), "usr", "directory"),
        accepted("not one byte", tar(), "usr", "directory").bytes(Vec::new()),
        odd("a volume header of GNU tar", b'V'),
        odd("the rest of a file of another volume", b'M'),
        odd("a directory with a list", b'D'),
        odd("a type of nobody", 0xff),
        refused(
            "a directory with data",
            tar().header(RawHeader::ustar(DIRECTORY, b"usr/d", 4)).data(b"data"),
            &["has data"],
        ),
        refused("a FIFO with data", tar().header(RawHeader::ustar(b'6', b"usr/p", 4)).data(b"data"), &["has data"]),
        accepted("a path twice", tar().file(b"usr/f", b"1").file(b"usr/f", b"2"), "usr/f", "\"2\" of 7"),
        accepted("a directory over a directory", tar().entry(DIRECTORY, b"usr"), "usr/lib", "directory"),
        accepted("a file over a directory", file(b"usr/lib"), "usr/lib", "\"x\" of 7"),
        refused("a file below a file", file(b"usr/f").file(b"usr/f/g", b"x"), &["\"usr/f/g\"", "is not one"]),
        refused("a file below nothing", file(b"usr/none/f"), &["\"usr/none/f\"", "no", "entry for its directory"]),
    ]
}

fn sparse() -> Vec<Case> {
    const NAME: &[u8] = b"usr/f";
    let old = |map: &[u8], size: &str| {
        let fields = map.to_vec();
        RawHeader::gnu(b'S', NAME, 1).with(386, &fields).with(483, size.as_bytes())
    };
    let extent = |offset: u64, length: u64| format!("{offset:011o}\0{length:011o}\0").into_bytes();
    let list = |map: &[u8], size: &[u8]| pax(&[("GNU.sparse.map", map), ("GNU.sparse.size", size)]);
    let lines = |text: &[u8], size: u64| {
        let records: [(&str, &[u8]); 4] = [
            ("GNU.sparse.major", b"1"),
            ("GNU.sparse.minor", b"0"),
            ("GNU.sparse.realsize", b"9"),
            ("GNU.sparse.name", NAME),
        ];
        tar().pax(&records).header(RawHeader::ustar(FILE, b"usr/x", size)).data(text)
    };
    let endless = (0..2100).fold(tar().header(old(&extent(0, 1), "11").with(482, b"\x01")), |tar, _| {
        let mut block = [0; 512];
        block[504] = 1;
        tar.bytes(&block)
    });
    let version = pax(&[("GNU.sparse.major", b"2"), ("GNU.sparse.minor", b"0"), ("GNU.sparse.realsize", b"9")]);
    let count = pax(&[("GNU.sparse.numblocks", b"7"), ("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9")]);
    let name = pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"2"), ("GNU.sparse.name", b"../../evil")]);
    let directory = tar().pax(&[("GNU.sparse.map", b"0,0"), ("GNU.sparse.size", b"9")]).entry(DIRECTORY, b"usr/d");
    let both =
        tar().pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9")]).header(old(&extent(0, 1), "11")).data(b"x");
    vec![
        accepted("holes at both ends", list(b"3,1", b"9"), NAME, "\"\\0\\0\\0x\\0\\0\\0\\0\\0\" of 7"),
        accepted("nothing but holes", list(b"3,1,1000000,0", b"1000000"), NAME, "1000000 bytes"),
        accepted("an old map", tar().header(old(&extent(1, 1), "3")).data(b"x"), NAME, "\"\\0x\\0\" of 7"),
        accepted(
            "a map before the data",
            lines(b"1\n8\n1\n", 513).bytes(b"x").data(&[0; 511]),
            NAME,
            "\"\\0\\0\\0\\0\\0\\0\\0\\0x\" of 7",
        ),
        refused("a map that goes backwards", list(b"5,1,0,0", b"9"), &["backwards"]),
        refused("a map that overlaps itself", list(b"0,1,0,0", b"9"), &["backwards"]),
        refused("a map that leaves the file", list(b"9,1", b"9"), &["larger than it"]),
        refused("a map that overflows", list(b"18446744073709551615,1", b"9"), &["larger than it"]),
        refused("a map of half a pair", list(b"0,1,5", b"9"), &["malformed"]),
        refused("a map with a sign", list(b"-1,1", b"9"), &["malformed"]),
        refused("a map of more data than there is", list(b"0,5", b"9"), &["does not fit"]),
        refused("a map without a size", pax(&[("GNU.sparse.map", b"0,1")]), &["unknown form"]),
        refused("a map of another length than it says", count, &["as many parts"]),
        refused(
            "an offset without a length",
            pax(&[("GNU.sparse.offset", b"1"), ("GNU.sparse.size", b"9")]),
            &["without a length"],
        ),
        refused("a version of the future", version, &["unknown form"]),
        refused("climb by the sparse name", name, &["\"../../evil\""]),
        refused("a sparse name alone", pax(&[("GNU.sparse.name", NAME)]), &["unknown form"]),
        refused("a sparse directory", directory, &["map of holes"]),
        refused("two maps", both, &["two maps"]),
        refused("a map before the data that has no end", lines(&vec![b'1'; 2 << 20], 2 << 20), &["--limit header=N"]),
        refused("a map of 2^64 parts", lines(b"18446744073709551615\n", 512), &["malformed"]),
        refused("a map of 2^62 parts", lines(b"4611686018427387904\n", 512), &["cut off"]),
        refused("a map of words", lines(b"one\ntwo\n", 512), &["malformed"]),
        refused("an old map without an end", endless, &["--limit header=N"]),
        refused(
            "an old map with a negative offset",
            tar().header(old(&[[0xff; 12].as_slice(), b"00000000001\0"].concat(), "11")).data(b"x"),
            &["malformed"],
        ),
        refused("a tebibyte of holes", list(b"0,1", b"1099511627776"), &["--limit ratio=N"]),
        refused("more holes than a file may have", list(b"0,1", b"1099511627777"), &["--limit size=N"]),
        refused(
            "many files of holes",
            (0..9).fold(tar(), |tar, _| {
                tar.pax(&[("GNU.sparse.map", b"0,1"), ("GNU.sparse.size", b"9000000")]).file(NAME, b"x")
            }),
            &["--limit ratio=N"],
        ),
    ]
}

fn bombs() -> Vec<Case> {
    let zeros = || tar().file(b"usr/f", &vec![0; 100 << 20]);
    let many = || (0..200).fold(tar(), |tar, at| tar.file(format!("usr/f{at}").as_bytes(), b""));
    let globals = (0..200).fold(tar(), |tar, _| tar.extended(b'g', &record("comment", b"c")));
    vec![
        refused("a zstd bomb", zeros(), &["--limit ratio=N", "ratio=1000"]).pack(Pack::Zstd),
        refused("a gzip bomb", zeros(), &["--limit ratio=N", "ratio=100"]).pack(Pack::Gzip).limits(&["ratio=100"]),
        accepted("a bomb that the user wants", zeros(), "usr/f", "104857600 bytes")
            .pack(Pack::Zstd)
            .limits(&["ratio=100000"]),
        refused("more entries than allowed", many(), &["--limit entries=N", "entries=100"]).limits(&["entries=100"]),
        refused("longer names than allowed", many(), &["--limit names=N", "names=1000"]).limits(&["names=1000"]),
        refused("a file larger than allowed", file(b"usr/f"), &["\"usr/f\"", "--limit size=N"]).limits(&["size=0"]),
        refused("global headers without end", globals, &["--limit entries=N"]).limits(&["entries=100"]),
    ]
}
