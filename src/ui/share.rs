//! What podman sees of a store, for people.

use super::plain;
use super::table::Table;
use crate::model::share::{Because, Form, Shared, SharedImage};

/// An image was shown.
pub fn shown(name: &str) -> String {
    format!("podman sees it as {}", plain(name))
}

/// podman does not look where images are shown.
pub fn unread(shared: &Shared) -> String {
    let directory = plain(&shared.directory);
    format!(
        "podman does not look there: its storage.conf has no line `additionalimagestores = [\"{directory}\"]` below [storage.options]"
    )
}

/// Each image, then how and why.
pub fn list(shared: &Shared) -> String {
    let mut text: String = shared.images.iter().map(image).collect();
    for (manifest, why) in &shared.broken {
        text += &format!("NOT SHOWN: {}: {}\n", plain(manifest), plain(why));
    }
    if text.is_empty() {
        text += "no image is shown to podman\n";
    }
    let mut table = Table::default();
    table
        .row("directory", &shared.directory)
        .row("podman", shared.podman.as_deref().unwrap_or("not installed"))
        .row("configured", if shared.configured { "yes".to_owned() } else { format!("no: {}", unread(shared)) })
        .row("users", &shared.users);
    for considered in &shared.considered {
        let verdict = if considered.chosen { "used: " } else { "" };
        table.row(form(considered.form), format!("{verdict}{}", considered.why));
    }
    text + "\n" + &table.render()
}

fn form(form: Form) -> &'static str {
    match form {
        Form::Mounts => "mounts",
        Form::Blobs => "blobs",
        Form::Reflinks => "reflinks",
        Form::HardLinks => "hard links",
    }
}

fn image(image: &SharedImage) -> String {
    let name = if image.names.is_empty() { "<none>".to_owned() } else { image.names.join(", ") };
    let why: Vec<&str> = image.because.iter().map(|because| reason(*because)).collect();
    let mut notes = Vec::new();
    if !image.listed {
        notes.push("podman has the same image itself, and lists that".to_owned());
    }
    if !image.in_place {
        notes.push("NOT IN PLACE: run `cfs-host image share`".to_owned());
    }
    notes.extend(image.hidden_names.iter().map(|name| format!("podman has another image as {name}")));
    let notes: String = notes.iter().map(|note| format!("; {}", plain(note))).collect();
    let id: String = image.id.chars().take(12).collect();
    format!("{}  {id}  {} layers, {}{notes}\n", plain(&name), image.layers, why.join(", "))
}

fn reason(because: Because) -> &'static str {
    match because {
        Because::Asked => "published",
        Because::Booted => "runs",
        Because::Staged => "staged",
        Because::Bound => "bound to what runs or is staged",
        Because::Needed => "something of podman's builds on it",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::share::Considered;

    #[test]
    fn an_image_is_a_line_and_the_form_says_why() {
        let image = SharedImage {
            id: "ab".repeat(32),
            manifest_digest: "sha256:00".into(),
            names: vec!["localhost/app:v1".into()],
            hidden_names: vec!["localhost/b:v1".into()],
            because: vec![Because::Asked, Because::Booted],
            layers: 2,
            listed: true,
            in_place: false,
        };
        let shared = Shared {
            directory: "/run/x".into(),
            form: Some(Form::Mounts),
            considered: vec![Considered { form: Form::Mounts, chosen: true, why: "good".into() }],
            verity: true,
            podman: Some("5.4.2".into()),
            configured: false,
            users: "root".into(),
            images: vec![image],
            broken: [("sha256:11".to_owned(), "gone".to_owned())].into(),
        };
        let text = list(&shared);
        assert!(text.starts_with("localhost/app:v1  abababababab  2 layers, published, runs; NOT IN PLACE"), "{text}");
        assert!(text.contains("used: good") && text.contains("additionalimagestores"), "{text}");
        assert!(text.contains("NOT SHOWN: sha256:11: gone"), "{text}");
        assert!(list(&Shared { images: vec![], broken: Default::default(), ..shared }).starts_with("no image"));
    }
}
