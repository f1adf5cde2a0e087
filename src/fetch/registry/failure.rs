//! What goes wrong between us and a registry, and whether waiting may help.

use std::io::{self, Read};
use std::time::Duration;

use serde::Deserialize;
use ureq::http::{header, HeaderMap, Response, StatusCode};
use ureq::{Body, Timeout};

use crate::fetch::Error;
use crate::model::reference::Reference;

/// How much of an error page is read, and how much of it is shown.
const WORDS_READ: u64 = 64 << 10;
const WORDS_SHOWN: usize = 300;

/// One attempt that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// In words.
    pub why: String,
    /// What kind it is.
    pub cause: Cause,
    /// How long the registry asks us to wait.
    pub after: Option<Duration>,
    /// It was an answer in HTTP, not silence or a broken connection.
    pub answered: bool,
}

/// What a failure comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Load, restarts, the network: another attempt may do.
    Passing,
    /// The registry does not have it.
    Missing,
    /// The registry does not give it to us.
    Denied,
    /// TLS cannot be agreed upon.
    Certificate,
    /// The bytes are not what they should be.
    Damaged,
    /// Anything else that stays as it is.
    Other,
}

impl Failure {
    /// One that no attempt will cure.
    pub(super) fn new(cause: Cause, why: impl Into<String>) -> Self {
        Self { why: why.into(), cause, after: None, answered: false }
    }

    /// An answer that is none of success.
    pub(super) fn status(status: StatusCode, headers: &HeaderMap, body: Body) -> Self {
        let cause = match status.as_u16() {
            401 | 403 => Cause::Denied,
            404 => Cause::Missing,
            408 | 425 | 429 | 500 | 502..=504 | 520..=530 => Cause::Passing,
            // Of a part: the registry's blob ends before it.
            416 => Cause::Damaged,
            _ => Cause::Other,
        };
        let mut page = Vec::new();
        // Without its words the number has to do.
        let _ = body.into_reader().take(WORDS_READ).read_to_end(&mut page);
        let why = match words(&page) {
            Some(words) => format!("{words} (HTTP {})", status.as_u16()),
            None => format!("HTTP {status}"),
        };
        Self { why, cause, after: retry_after(headers), answered: true }
    }

    /// A broken-off body.
    pub(super) fn body(error: &io::Error, idle: Duration) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
            Some(inner) => Self::new(Cause::Passing, in_words(inner, idle)),
            None => Self::new(Cause::Passing, error.to_string()),
        }
    }

    /// No answer at all.
    pub(super) fn transport(error: &ureq::Error, idle: Duration) -> Self {
        use ureq::Error::{BadUri, Der, Http, InvalidProxyUrl, LargeResponseHeader, NativeTls, Pem, Tls, TlsRequired};
        let cause = match error {
            NativeTls(_) | Tls(_) | Pem(_) | Der(_) | TlsRequired => Cause::Certificate,
            Http(_) | BadUri(_) | InvalidProxyUrl | LargeResponseHeader(..) => Cause::Other,
            _ => Cause::Passing,
        };
        Self::new(cause, in_words(error, idle))
    }

    /// For people: `told` says with which credentials it was tried.
    pub(super) fn explain(self, reference: &Reference, what: &str, host: &str, told: &str) -> Error {
        if self.cause == Cause::Damaged {
            return Error::Invalid { reference: reference.clone(), what: what.to_owned(), why: self.why };
        }
        let advice = match self.cause {
            Cause::Missing => format!("check the name and the tag, or log in with podman login {host}"),
            Cause::Denied => format!("log in with podman login {host}, or name your credentials with --authfile"),
            Cause::Certificate => format!(
                "put the certificate of its authority into /etc/containers/certs.d/{host}/ca.crt; \
                 allow insecure transport if you mean a registry without TLS"
            ),
            _ => "check the network and the name of the registry, then try again: \
                  what is here already is not fetched again"
                .to_owned(),
        };
        let told = match self.cause {
            Cause::Missing | Cause::Denied => format!("; {told}"),
            _ => String::new(),
        };
        Error::Registry { reference: reference.clone(), why: format!("{what}: {}{told}", self.why), advice }
    }
}

fn in_words(error: &ureq::Error, idle: Duration) -> String {
    match error {
        ureq::Error::Timeout(Timeout::PerRead | Timeout::PerWrite | Timeout::RecvResponse) => {
            format!("nothing came for {idle:?}")
        }
        ureq::Error::Timeout(Timeout::Connect | Timeout::Resolve) => "no connection could be made in time".to_owned(),
        ureq::Error::HostNotFound => "the host has no address".to_owned(),
        ureq::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

#[derive(Deserialize)]
struct Page {
    errors: Vec<PageError>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct PageError {
    code: String,
    message: String,
}

/// The first error of a registry's page, as the distribution specification has it.
fn words(page: &[u8]) -> Option<String> {
    let page: Page = serde_json::from_slice(page).ok()?;
    let PageError { code, message } = page.errors.into_iter().next()?;
    let words = if message.is_empty() { code } else { message };
    let shown: String = words.chars().filter(|letter| !letter.is_control()).take(WORDS_SHOWN).collect();
    (!shown.is_empty()).then_some(shown)
}

/// Seconds only: the other form, a date, is rare and needs a clock that is right.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Lets successes through.
pub(super) fn succeeded(response: Response<Body>) -> Result<Response<Body>, Failure> {
    if response.status().is_success() {
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    Err(Failure::status(parts.status, &parts.headers, body))
}

/// Reads a body that is small, or not what it should be.
pub(super) fn small(body: Body, limit: u64, what: &str, idle: Duration) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = body.into_reader().take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::body(&error, idle))?;
    if bytes.len() as u64 > limit {
        return Err(Failure::new(Cause::Damaged, format!("{what} is larger than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_registrys_words_are_shown_without_what_could_trick_a_terminal() {
        let page = "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest\\u001b unknown\"}]}";
        assert_eq!(words(page.as_bytes()).unwrap(), "manifest unknown");
        assert_eq!(words(br#"{"errors":[{"code":"DENIED"}]}"#).unwrap(), "DENIED");
        assert_eq!(words(b"<html>"), None);
        assert_eq!(words(br#"{"errors":[]}"#), None);
    }

    proptest! {
        #[test]
        fn any_page_is_read(page: Vec<u8>) {
            let _ = words(&page);
        }
    }
}
