//! What an image calls itself.

/// The system's name for people: `PRETTY_NAME` of an os-release file, without its quotes and escapes.
pub fn system_name(os_release: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(os_release);
    let value = text.lines().rev().find_map(|line| line.trim().strip_prefix("PRETTY_NAME="))?;
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let name = match (quoted('"'), quoted('\'')) {
        (Some(inner), _) => unescaped(inner),
        (None, Some(inner)) => inner.to_owned(),
        (None, None) => value.to_owned(),
    };
    (!name.trim().is_empty()).then(|| name.trim().to_owned())
}

fn unescaped(text: &str) -> String {
    let mut escaped = false;
    text.chars()
        .filter(|&c| {
            escaped = c == '\\' && !escaped;
            !escaped
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_read_with_and_without_quotes() {
        for (text, name) in [
            ("ID=x\nPRETTY_NAME=\"Example OS 1\"\n", "Example OS 1"),
            ("PRETTY_NAME='Example $1'", "Example $1"),
            ("PRETTY_NAME=Plain", "Plain"),
            (r#"PRETTY_NAME="a \"b\" \\c""#, r#"a "b" \c"#),
            ("PRETTY_NAME=old\nPRETTY_NAME=new", "new"),
        ] {
            assert_eq!(system_name(text.as_bytes()).unwrap(), name);
        }
        for none in ["", "NAME=x", "PRETTY_NAME=", "PRETTY_NAME=\"\"", "PRETTY_NAME=\"  \""] {
            assert_eq!(system_name(none.as_bytes()), None, "{none}");
        }
    }
}
