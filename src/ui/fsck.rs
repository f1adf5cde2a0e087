//! What a check of a store found, for people.

use super::{bytes, plain};
use crate::model::fsck::Checked;

/// A line for each finding, and one that says what was looked at.
pub fn checked(checked: &Checked) -> String {
    let line = |path: &str, what: &str, advice: &str| format!("{}: {} ({})\n", plain(path), plain(what), plain(advice));
    let findings = checked.findings.iter();
    let mut text: String = findings.map(|finding| line(&finding.path, &finding.what, &finding.advice)).collect();
    let read = checked.objects.saturating_sub(checked.measured);
    text += &format!(
        "{} objects, {} ({} measured by fs-verity, {read} read), {} streams, {} images, {} tags, {} deployments\n",
        checked.objects,
        bytes(checked.bytes),
        checked.measured,
        checked.streams,
        checked.images,
        checked.tags,
        checked.deployments
    );
    if checked.temporary > 0 {
        let count = checked.temporary;
        text += &format!("{count} temporary files: of a program at work, or left by one that was killed; they go with the next pull\n");
    }
    text += &match checked.findings.len() {
        0 => "clean\n".to_owned(),
        1 => "1 finding\n".to_owned(),
        more => format!("{more} findings\n"),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fsck::Finding;

    #[test]
    fn each_finding_is_a_line_that_cannot_drive_the_terminal() {
        assert!(checked(&Checked::default()).ends_with("\nclean\n"));
        let finding = Finding { path: "a\x1b".into(), what: "is\nbad".into(), advice: "mend it".into() };
        let text = checked(&Checked { findings: vec![finding], temporary: 2, ..Checked::default() });
        assert!(text.starts_with("a : is bad (mend it)\n0 objects") && text.ends_with("\n1 finding\n"), "{text}");
        assert!(text.contains("2 temporary files"));
    }
}
