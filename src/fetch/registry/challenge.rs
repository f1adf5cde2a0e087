//! `WWW-Authenticate` (RFC 9110, 11.6.1): how a registry wants to be told who we are.

/// One scheme of those that a registry offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Challenge {
    /// In small letters: `basic`, `bearer`.
    pub scheme: String,
    /// Names in small letters.
    params: Vec<(String, String)>,
}

impl Challenge {
    /// The value of a parameter.
    pub(super) fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// All challenges of one header line. What makes no sense ends it.
pub(super) fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let (word, after) = token(rest);
        if word.is_empty() {
            return found;
        }
        let after = after.trim_start_matches([' ', '\t']);
        match (after.strip_prefix('='), found.last_mut()) {
            (Some(value), Some(challenge)) => {
                let Some((value, next)) = parameter(value.trim_start_matches([' ', '\t'])) else { return found };
                challenge.params.push((word.to_ascii_lowercase(), value));
                rest = next;
            }
            (Some(_), None) => return found,
            (None, _) => {
                found.push(Challenge { scheme: word.to_ascii_lowercase(), params: Vec::new() });
                rest = after;
            }
        }
    }
}

/// A token and a rest.
fn token(text: &str) -> (&str, &str) {
    let ends = |c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c));
    text.split_at(text.find(ends).unwrap_or(text.len()))
}

/// A token or a quoted string, and a rest.
fn parameter(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let (word, rest) = token(text);
        return (!word.is_empty()).then(|| (word.to_owned(), rest));
    };
    let mut value = String::new();
    let mut letters = quoted.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            letter => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn challenges_of_registries_are_understood() {
        let text = r#"Bearer realm="https://auth.example/token",service="registry.example", scope="repository:a/b:pull,push", Basic realm=x"#;
        let found = parse(text);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].scheme, "bearer");
        assert_eq!(found[0].param("realm"), Some("https://auth.example/token"));
        assert_eq!(found[0].param("service"), Some("registry.example"));
        assert_eq!(found[0].param("scope"), Some("repository:a/b:pull,push"));
        assert_eq!((found[1].scheme.as_str(), found[1].param("realm")), ("basic", Some("x")));
        assert_eq!(parse(r#"Basic realm="a \"b\"""#)[0].param("realm"), Some("a \"b\""));
        assert_eq!(parse("NEGOTIATE")[0].scheme, "negotiate");
    }

    #[test]
    fn what_makes_no_sense_ends_the_list() {
        assert_eq!(parse(""), []);
        assert_eq!(parse("=x"), []);
        assert_eq!(parse("realm=x"), []);
        assert_eq!(parse("Bearer realm=\"open").len(), 1);
        assert_eq!(parse("Bearer realm=\"open")[0].param("realm"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_to_an_end(text in "[a-zA-Z \t,=\"\\\\é:/]{0,80}") {
            parse(&text);
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[ -~]{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            let found = parse(&format!("Bearer realm=\"{quoted}\""));
            prop_assert_eq!(found[0].param("realm"), Some(value.as_str()));
        }
    }
}
