//! `policy.json` (containers-policy.json(5)): which registries this host fetches from at all. Its signatures are not
//! ours: a policy that asks for one is refused, for we could not keep it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::name::Name;
use super::places::{read, unusable, Places};
use crate::fetch::Result;

#[derive(Debug, Deserialize)]
struct Policy {
    default: Vec<Requirement>,
    #[serde(default)]
    transports: BTreeMap<String, BTreeMap<String, Vec<Requirement>>>,
}

#[derive(Debug, Deserialize)]
struct Requirement {
    #[serde(rename = "type")]
    kind: String,
}

/// What the first policy file that exists says to the name; the error says who forbids it. Without one, all is allowed:
/// what boots is decided by the image's signature.
pub(super) fn check(places: &Places, name: &Name) -> Result<std::result::Result<(), (PathBuf, String)>> {
    for file in places.policies() {
        if let Some(text) = read(&file)? {
            let verdict = verdict(&text, name).map_err(|why| unusable(&file, why))?;
            return Ok(verdict.map_err(|why| (file, why)));
        }
    }
    Ok(Ok(()))
}

/// The outer error: the text is no policy; the inner one: it forbids the name.
pub(super) fn verdict(text: &str, name: &Name) -> std::result::Result<std::result::Result<(), String>, String> {
    let policy: Policy = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let none = BTreeMap::new();
    let docker = policy.transports.get("docker").unwrap_or(&none);
    let found = scopes(name).into_iter().find_map(|scope| Some((docker.get(&scope)?, scope)));
    let (requirements, scope) = found.unwrap_or((&policy.default, "default".to_owned()));
    if requirements.is_empty() {
        return Err(format!("{scope:?} has no requirements"));
    }
    let refused = requirements.iter().find(|requirement| requirement.kind != "insecureAcceptAnything");
    Ok(match refused.map(|requirement| requirement.kind.as_str()) {
        None => Ok(()),
        Some("reject") => Err(format!("{scope:?} is rejected")),
        Some(kind) => Err(format!("{scope:?} asks for {kind}, a signature that is not checked here")),
    })
}

/// From the narrowest to the widest, as containers-policy.json(5) has them for docker.
fn scopes(name: &Name) -> Vec<String> {
    let mut scopes = vec![name.to_string()];
    let mut path = name.bare();
    loop {
        scopes.push(path.clone());
        match path.rfind('/') {
            Some(end) => path.truncate(end),
            None => break,
        }
    }
    let domains = name.host.match_indices('.').map(|(at, _)| format!("*{}", &name.host[at..]));
    scopes.extend(domains);
    scopes.push(String::new());
    scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ask(text: &str, name: &str) -> String {
        match verdict(text, &Name::parse(name).unwrap()) {
            Ok(Ok(())) => "yes".to_owned(),
            Ok(Err(why)) | Err(why) => why,
        }
    }

    #[test]
    fn the_narrowest_scope_decides() {
        let text = r#"{"default": [{"type": "reject"}], "transports": {"docker": {
            "a.example": [{"type": "insecureAcceptAnything"}],
            "a.example/signed": [{"type": "insecureAcceptAnything"}, {"type": "sigstoreSigned", "keyPath": "/k"}],
            "*.b.example": [{"type": "insecureAcceptAnything"}],
            "a.example/x:bad": [{"type": "reject"}]}}}"#;
        assert_eq!(ask(text, "a.example/x:v1"), "yes");
        assert_eq!(ask(text, "sub.b.example:5000/x"), "\"default\" is rejected");
        assert_eq!(ask(text, "sub.b.example/x"), "yes");
        assert_eq!(ask(text, "a.example/x:bad"), "\"a.example/x:bad\" is rejected");
        assert!(ask(text, "a.example/signed/y:v1").contains("asks for sigstoreSigned"));
        assert_eq!(ask(text, "c.example/x"), "\"default\" is rejected");
    }

    #[test]
    fn a_policy_without_a_default_or_with_an_empty_rule_allows_nothing() {
        for bad in ["{}", "", r#"{"default": []}"#, r#"{"default": [{}]}"#] {
            assert_ne!(ask(bad, "a.example/x"), "yes", "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_none(text: String) {
            let _ = verdict(&text, &Name::parse("a.example/x").unwrap());
        }
    }
}
