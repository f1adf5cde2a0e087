//! `registries.conf`, version 2 (containers-registries.conf(5)): which names mean which places.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::name::{is_short, split_tag, Name};
use super::places::{read, unusable, Places};
use crate::fetch::Result;

/// All files, merged.
#[derive(Debug, Default)]
pub(super) struct Registries {
    search: Vec<String>,
    mode: Mode,
    rules: Vec<Rule>,
    aliases: BTreeMap<String, String>,
}

/// One place to try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Location {
    /// The image's name there.
    pub name: Name,
    /// Plain HTTP or any certificate will do.
    pub insecure: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    short_name_mode: Option<Mode>,
    registry: Vec<Rule>,
    aliases: BTreeMap<String, String>,
    /// Of version 1, whose rules would silently not hold.
    registries: Option<toml::Value>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Enforcing,
    #[default]
    #[serde(alias = "")]
    Permissive,
    Disabled,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Rule {
    prefix: String,
    location: String,
    insecure: bool,
    blocked: bool,
    mirror_by_digest_only: bool,
    mirror: Vec<Mirror>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Mirror {
    location: String,
    insecure: bool,
    pull_from_mirror: PullFrom,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum PullFrom {
    #[default]
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

impl Registries {
    /// Reads what this host has.
    pub(super) fn load(places: &Places) -> Result<Self> {
        let mut all = Self::default();
        for file in places.registries()?.into_iter().chain([places.short_names()]) {
            if let Some(text) = read(&file)? {
                all.merge(&text).map_err(|why| unusable(&file, why))?;
            }
        }
        Ok(all)
    }

    /// One file alone.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let mut all = Self::default();
        all.merge(text).map(|()| all)
    }

    /// Adds a file; where it says something again, it wins.
    fn merge(&mut self, text: &str) -> std::result::Result<(), String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        if file.registries.is_some() {
            return Err("it is of version 1, which is no longer read: write [[registry]] tables".to_owned());
        }
        self.search = file.unqualified_search_registries.unwrap_or_else(|| std::mem::take(&mut self.search));
        self.mode = file.short_name_mode.unwrap_or(self.mode);
        for mut rule in file.registry {
            if rule.prefix.is_empty() {
                rule.prefix.clone_from(&rule.location);
            }
            if rule.prefix.is_empty() {
                return Err("a [[registry]] has neither prefix nor location".to_owned());
            }
            self.rules.retain(|known| known.prefix != rule.prefix);
            self.rules.push(rule);
        }
        for (short, name) in file.aliases {
            match name.is_empty() {
                true => self.aliases.remove(&short),
                false => self.aliases.insert(short, name),
            };
        }
        Ok(())
    }

    /// The names that the text may stand for, in the order in which they are tried.
    pub(super) fn names(&self, text: &str) -> std::result::Result<Vec<Name>, String> {
        if !is_short(text) {
            return Ok(vec![Name::parse(text)?]);
        }
        let name = text.split_once('@').map_or(text, |(name, _)| name);
        let (short, _) = split_tag(name);
        let rest = &text[short.len()..];
        if let Some(full) = self.aliases.get(short) {
            return Ok(vec![Name::parse(&format!("{full}{rest}"))?]);
        }
        match (self.search.len(), self.mode) {
            (0, _) => Err(format!(
                "{text} names no registry, and registries.conf has neither an alias for it nor registries to search; \
                 write it in full, such as docker.io/library/{text}"
            )),
            (2.., Mode::Enforcing) => Err(format!(
                "{text} could be an image of {}; write its registry, or add an alias to registries.conf",
                self.search.join(", ")
            )),
            _ => self.search.iter().map(|registry| Name::parse(&format!("{registry}/{text}"))).collect(),
        }
    }

    /// Mirrors first, the registry itself last.
    pub(super) fn locations(&self, name: &Name) -> std::result::Result<Vec<Location>, String> {
        let text = name.to_string();
        let matching = self.rules.iter().filter_map(|rule| Some((rule, matched(&text, &rule.prefix)?)));
        let Some((rule, length)) = matching.max_by_key(|(rule, _)| rule.prefix.len()) else {
            return Ok(vec![Location { name: name.clone(), insecure: false }]);
        };
        if rule.blocked {
            return Err(format!("registries.conf blocks {}", rule.prefix));
        }
        let by_digest = name.digest.is_some();
        let wanted = |mirror: &&Mirror| match mirror.pull_from_mirror {
            _ if rule.mirror_by_digest_only && !by_digest => false,
            PullFrom::All => true,
            PullFrom::DigestOnly => by_digest,
            PullFrom::TagOnly => !by_digest,
        };
        let moved = |location: &str| match location {
            "" => Ok(name.clone()),
            location => Name::parse(&format!("{location}{}", &text[length..])),
        };
        let mirrors = rule.mirror.iter().filter(wanted).map(|mirror| (&mirror.location, mirror.insecure));
        let all = mirrors.chain([(&rule.location, rule.insecure)]);
        all.map(|(location, insecure)| Ok(Location { name: moved(location)?, insecure })).collect()
    }
}

/// How much of the name the prefix covers: whole parts only; `*.example.org` covers one host or more below that domain.
fn matched(name: &str, prefix: &str) -> Option<usize> {
    let length = match prefix.strip_prefix('*') {
        Some(domain) if domain.starts_with('.') => {
            let at = name.find(domain)?;
            (!name[..at].contains('/')).then_some(at + domain.len())?
        }
        _ => name.starts_with(prefix).then_some(prefix.len())?,
    };
    name[length..].chars().next().is_none_or(|next| ":/@".contains(next)).then_some(length)
}

#[cfg(test)]
#[path = "registries_tests.rs"]
mod tests;
