//! Logically bound images: which container image a quadlet file of `bound-images.d` names. Pure.

use crate::model::reference::Reference;

/// The largest file that is read.
const MAX_BYTES: usize = 64 << 10;

/// The image that a quadlet file names: `Image=` in `[Image]` of an `.image`, in `[Container]` of a `.container` file.
/// Whatever else it says is podman's. `file` is its path, for the messages.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Reference, String> {
    let fail = |why: &str| format!("/{file} of the image binds no image: {why}");
    let section = match file.rsplit_once('.') {
        Some((_, "image")) => "[Image]",
        Some((_, "container")) => "[Container]",
        _ => return Err(fail("its name ends neither in .image nor in .container")),
    };
    let text = std::str::from_utf8(bytes).ok().filter(|_| bytes.len() <= MAX_BYTES);
    let text = text.ok_or_else(|| fail(&format!("it is no text of at most {MAX_BYTES} bytes")))?;
    let image = image(text, section).ok_or_else(|| fail(&format!("{section} has no Image=")))?;
    if image.contains('%') {
        return Err(fail(&format!("Image={image} has a systemd specifier (%), which has no value before the boot")));
    }
    if image.ends_with(".image") || image.ends_with(".build") {
        return Err(fail(&format!("Image={image} names another quadlet file: link that one, if it is an .image file")));
    }
    let reference: Reference = image.parse().map_err(|error| fail(&format!("{error}")))?;
    match is_full(&reference) {
        true => Ok(reference),
        false => Err(fail(&format!("Image={image} is relative: write the whole name, with its registry or from /"))),
    }
}

/// The last `Image=` of the section: as in systemd's files, a later one replaces it, and an empty one takes it back.
fn image<'a>(text: &'a str, section: &str) -> Option<&'a str> {
    let (mut inside, mut found) = (false, None);
    for line in text.lines().map(str::trim) {
        match line.split_once('=') {
            _ if line.starts_with(['#', ';']) => {}
            _ if line.starts_with('[') => inside = line == section,
            Some((key, value)) if inside && key.trim_end() == "Image" => found = Some(value.trim()),
            _ => {}
        }
    }
    found.filter(|value| !value.is_empty())
}

/// Whether it means the same image wherever it is read.
fn is_full(reference: &Reference) -> bool {
    match reference {
        Reference::Registry(name) => name
            .split_once('/')
            .is_some_and(|(host, rest)| !rest.is_empty() && (host == "localhost" || host.contains(['.', ':']))),
        Reference::OciDir { path, .. } | Reference::OciArchive { path, .. } => path.is_absolute(),
        Reference::ContainersStorage(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "usr/lib/bootc/bound-images.d/app";

    fn of(ending: &str, text: &str) -> Result<String, String> {
        parse(&format!("{FILE}.{ending}"), text.as_bytes()).map(|reference| reference.to_string())
    }

    #[test]
    fn the_image_is_that_of_the_files_own_section() {
        let app = Ok("docker://example.org/app:v1".to_owned());
        assert_eq!(of("image", "[Unit]\nImage=x\n[Image]\n# Image=y\nImage = example.org/app:v1\n"), app);
        assert_eq!(of("container", "[Container]\nExec=a=b\nImage=example.org/app:v1\n[Image]\nImage=z"), app);
        assert_eq!(of("image", "[Image]\nImage=old\nImage=docker://example.org/app:v1"), app);
    }

    #[test]
    fn what_names_no_image_is_refused_with_the_files_name() {
        for (ending, text, why) in [
            ("image", "[Container]\nImage=example.org/app", "no Image="),
            ("image", "[Image]\nImage=example.org/app\nImage=", "no Image="),
            ("image", "[Image]\nImage=example.org/app:%v", "specifier"),
            ("image", "[Image]\nImage=app", "relative"),
            ("image", "[Image]\nImage=library/app", "relative"),
            ("image", "[Image]\nImage=oci:app", "relative"),
            ("container", "[Container]\nImage=other.image", "another quadlet file"),
            ("volume", "[Image]\nImage=example.org/app", "ends neither"),
        ] {
            let error = of(ending, text).unwrap_err();
            assert!(error.contains(why) && error.contains(FILE), "{text}: {error}");
        }
        assert!(of("image", &"#".repeat(MAX_BYTES + 1)).unwrap_err().contains("at most"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_or_refused(bytes: Vec<u8>, file in "[a-z./]{0,12}") {
            let _ = parse(&file, &bytes);
        }

        #[test]
        fn what_is_accepted_is_whole_and_is_read_back(name in "[a-z0-9./:%@-]{1,24}") {
            if let Ok(text) = of("image", &format!("[Image]\nImage={name}\n")) {
                prop_assert!(!text.contains('%'));
                prop_assert_eq!(of("container", &format!("[Container]\nImage={text}")), Ok(text.clone()));
            }
        }
    }
}
