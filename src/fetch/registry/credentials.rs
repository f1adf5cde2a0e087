//! Who we are to a registry: `auth.json` in podman's places, and the programs that keep credentials.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use base64::engine::general_purpose::STANDARD;
use base64::Engine as _;
use serde::Deserialize;

use super::name::Name;
use super::places::{read, unusable, Places};
use crate::fetch::Result;

/// What a helper may answer.
const ANSWER_MAX: u64 = 1 << 20;
/// The name by which a helper says that its secret is a refresh token.
const TOKEN_USER: &str = "<token>";

/// What a registry wants to know. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Secret {
    /// For HTTP's Basic, as base64.
    Basic(String),
    /// For OAuth 2: gives access tokens.
    Refresh(String),
}

/// What was found, and where.
pub(super) struct Credentials {
    /// If any.
    pub secret: Option<Secret>,
    /// For errors: the file, or those without.
    pub told: String,
}

#[derive(Deserialize)]
#[serde(default, rename_all = "camelCase")]
#[derive(Default)]
struct AuthFile {
    auths: BTreeMap<String, Entry>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Entry {
    auth: String,
    identitytoken: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What a file says to a name.
pub(super) enum Found {
    Secret(Secret),
    /// A program, for this host or for all.
    Helper {
        name: String,
        common: bool,
    },
}

impl Credentials {
    /// Looks through the files; `authfile` is `--authfile`.
    pub(super) fn find(places: &Places, authfile: Option<&PathBuf>, name: &Name) -> Result<Self> {
        let named = authfile.or(places.auth_file.as_ref());
        let files = named.map_or_else(|| places.credentials(), |file| vec![file.clone()]);
        let mut looked = Vec::new();
        for file in &files {
            let text = match read(file)? {
                Some(text) => text,
                None if named.is_some() => return Err(unusable(file, "there is no such file".to_owned())),
                None => String::from("{}"),
            };
            let mut note = String::new();
            for found in find_in(&text, name).map_err(|why| unusable(file, why))? {
                let (secret, from) = match found {
                    Found::Secret(secret) => (Some(secret), String::new()),
                    Found::Helper { name: helper, common } => match ask(&helper, &name.host) {
                        Ok(secret) => (secret, format!(" by docker-credential-{helper}")),
                        // Many registries need no login: a helper for all of them is not worth a failure.
                        Err(why) if common => {
                            note = format!(" ({why})");
                            (None, String::new())
                        }
                        Err(why) => return Err(unusable(file, why)),
                    },
                };
                if secret.is_some() {
                    return Ok(Self {
                        secret,
                        told: format!("asked with the credentials in {}{from}", file.display()),
                    });
                }
            }
            looked.push(format!("{}{note}", file.display()));
        }
        let told = format!("asked without credentials: there are none for {} in {}", name.host, looked.join(", "));
        Ok(Self { secret: None, told })
    }
}

/// In the order in which they count: the host's own helper, the longest name that covers the image, the common helper.
pub(super) fn find_in(text: &str, name: &Name) -> std::result::Result<Vec<Found>, String> {
    let file: AuthFile = serde_json::from_str(text).map_err(|error| format!("it is no credentials file ({error})"))?;
    let helper = |name: &String, common| Found::Helper { name: name.clone(), common };
    let mut found: Vec<Found> = file.cred_helpers.get(&name.host).map(|name| helper(name, false)).into_iter().collect();
    for key in keys(name) {
        let fits = |written: &&String| plain(written) == key;
        let Some(entry) = file.auths.get(&key).or_else(|| Some(&file.auths[file.auths.keys().find(fits)?])) else {
            continue;
        };
        if !entry.identitytoken.is_empty() {
            found.push(Found::Secret(Secret::Refresh(entry.identitytoken.clone())));
        } else if !entry.auth.is_empty() {
            let decoded = STANDARD.decode(entry.auth.trim()).ok().filter(|bytes| bytes.contains(&b':'));
            let secret = decoded.ok_or_else(|| format!("its \"auth\" for {key} is no USER:PASSWORD in base64"))?;
            // Some programs pad the password with zeros.
            let end = secret.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            found.push(Found::Secret(Secret::Basic(STANDARD.encode(&secret[..end]))));
        }
    }
    found.extend(Some(&file.creds_store).filter(|name| !name.is_empty()).map(|name| helper(name, true)));
    Ok(found)
}

/// The names that cover the image, from the longest.
fn keys(name: &Name) -> Vec<String> {
    let mut keys = Vec::new();
    let mut path = name.bare();
    while let Some(end) = path.rfind('/') {
        keys.push(path.clone());
        path.truncate(end);
    }
    keys.push(path);
    keys
}

/// Docker writes hosts as URLs too: `https://index.docker.io/v1/`.
fn plain(written: &str) -> String {
    let rest = ["https://", "http://"].iter().find_map(|scheme| written.strip_prefix(scheme));
    let Some(rest) = rest else { return written.to_owned() };
    match rest.split('/').next().unwrap_or(rest) {
        "index.docker.io" => "docker.io".to_owned(),
        host => host.to_owned(),
    }
}

/// The `get` of docker-credential-helpers: the host in, JSON out; a helper that has nothing says so and fails.
fn ask(helper: &str, host: &str) -> std::result::Result<Option<Secret>, String> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !helper.chars().all(harmless) {
        return Err(format!("{helper:?} is no name of a credential helper"));
    }
    let program = format!("docker-credential-{helper}");
    let server = if host == "docker.io" { "https://index.docker.io/v1/" } else { host };
    let failed = |error: std::io::Error| format!("{program}: {error}");
    let mut command = Command::new(&program);
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let output = talk(&mut child, server);
    let status = child.wait().map_err(failed)?;
    let output = output.map_err(failed)?;
    if !status.success() {
        let words = String::from_utf8_lossy(&output).trim().chars().take(200).collect::<String>();
        let nothing = words.contains("credentials not found");
        return if nothing { Ok(None) } else { Err(format!("{program} failed: {words}")) };
    }
    parse_answer(&output).map(Some).ok_or_else(|| format!("{program} gave no credentials"))
}

fn talk(child: &mut Child, server: &str) -> std::io::Result<Vec<u8>> {
    if let Some(mut stdin) = child.stdin.take() {
        // A helper that does not read is no failure; what it says is looked at.
        let _ = writeln!(stdin, "{server}");
    }
    let mut output = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        stdout.take(ANSWER_MAX).read_to_end(&mut output)?;
    }
    Ok(output)
}

pub(super) fn parse_answer(output: &[u8]) -> Option<Secret> {
    let Answer { username, secret } = serde_json::from_slice(output).ok()?;
    Some(match username.as_str() {
        TOKEN_USER => Secret::Refresh(secret),
        user => Secret::Basic(STANDARD.encode(format!("{user}:{secret}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(text: &str, name: &str) -> Vec<String> {
        let decode = |text: &str| String::from_utf8(STANDARD.decode(text).unwrap()).unwrap();
        let tell = |found| match found {
            Found::Secret(Secret::Basic(text)) => decode(&text),
            Found::Secret(Secret::Refresh(token)) => format!("refresh {token}"),
            Found::Helper { name, .. } => format!("helper {name}"),
        };
        find_in(text, &Name::parse(name).unwrap()).unwrap().into_iter().map(tell).collect()
    }

    #[test]
    fn the_longest_name_counts_and_helpers_have_their_turn() {
        let auth = |text: &str| STANDARD.encode(text);
        let text = serde_json::json!({
            "auths": {
                "a.example": {"auth": auth("host:1")},
                "a.example/team": {"auth": auth("team:2\0\0")},
                "https://index.docker.io/v1/": {"auth": auth("hub:3")},
                "b.example": {},
                "c.example": {"auth": auth("u:p"), "identitytoken": "t"},
            },
            "credHelpers": {"b.example": "own"}, "credsStore": "common",
        })
        .to_string();
        assert_eq!(found(&text, "a.example/team/x"), ["team:2", "host:1", "helper common"]);
        assert_eq!(found(&text, "a.example/teams/x"), ["host:1", "helper common"]);
        assert_eq!(found(&text, "docker.io/debian"), ["hub:3", "helper common"]);
        assert_eq!(found(&text, "b.example/x"), ["helper own", "helper common"]);
        assert_eq!(found(&text, "c.example/x"), ["refresh t", "helper common"]);
        assert!(find_in(r#"{"auths":{"a.example":{"auth":"%"}}}"#, &Name::parse("a.example/x").unwrap()).is_err());
    }

    #[test]
    fn a_helper_is_a_program_of_that_name_and_no_path() {
        assert!(ask("../sh", "a").err().unwrap().contains("no name"));
        assert!(ask("no-such-helper", "a").err().unwrap().contains("docker-credential-no-such-helper"));
        let secret = parse_answer(br#"{"ServerURL":"a","Username":"u","Secret":"p"}"#);
        assert!(secret == Some(Secret::Basic(STANDARD.encode("u:p"))));
        let secret = parse_answer(br#"{"ServerURL":"a","Username":"<token>","Secret":"p"}"#);
        assert!(secret == Some(Secret::Refresh("p".to_owned())));
    }

    proptest! {
        #[test]
        fn any_text_is_credentials_or_none(text: String, bytes: Vec<u8>) {
            let _ = find_in(&text, &Name::parse("a.example/x").unwrap());
            let _ = parse_answer(&bytes);
        }
    }
}
