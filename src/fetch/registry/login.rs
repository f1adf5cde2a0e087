//! Who we are, in the way the registry asks for it: Basic, or Bearer with a token from its token server.

use std::sync::{Mutex, PoisonError};

use serde::Deserialize;
use ureq::http::{header, HeaderMap, Uri};

use super::challenge::{self, Challenge};
use super::client::Client;
use super::credentials::{Credentials, Secret};
use super::failure::{small, succeeded, Cause, Failure};
use super::url::{absolute, encode};

/// A token server's whole answer.
const TOKEN_MAX: u64 = 1 << 20;

/// Remembers what the registry took.
pub(super) struct Login {
    credentials: Credentials,
    /// What a token is asked for if the registry does not say: `repository:NAME:pull`.
    scope: String,
    /// The `Authorization` header.
    header: Mutex<Option<String>>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Token {
    token: String,
    access_token: String,
}

impl Login {
    /// Says nothing until it is asked.
    pub(super) fn new(credentials: Credentials, repository: &str) -> Self {
        Self { credentials, scope: format!("repository:{repository}:pull"), header: Mutex::default() }
    }

    /// Which credentials are used, for errors.
    pub(super) fn told(&self) -> &str {
        &self.credentials.told
    }

    /// What to send along.
    pub(super) fn header(&self) -> Option<String> {
        self.header.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers a 401 that `url` gave to `sent`. Tokens are valid for a while only: a new one is fetched then.
    pub(super) fn answer(
        &self,
        client: &Client,
        url: &Uri,
        headers: &HeaderMap,
        sent: Option<&str>,
    ) -> Result<(), Failure> {
        let lines = headers.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|line| line.to_str().ok());
        let challenges: Vec<Challenge> = lines.flat_map(challenge::parse).collect();
        let mut header = self.header.lock().unwrap_or_else(PoisonError::into_inner);
        if header.is_some() && header.as_deref() != sent {
            return Ok(()); // another thread was faster
        }
        let by = |scheme: &str| challenges.iter().find(|challenge| challenge.scheme == scheme);
        let value = match (by("bearer"), by("basic"), &self.credentials.secret) {
            (Some(bearer), ..) => format!("Bearer {}", self.token(client, url, bearer)?),
            (None, Some(_), Some(Secret::Basic(secret))) => format!("Basic {secret}"),
            (None, Some(_), _) => return Err(Failure::new(Cause::Denied, "it wants a user and a password")),
            (None, None, _) => return Err(Failure::new(Cause::Denied, "it does not say how to log in (HTTP 401)")),
        };
        *header = Some(value);
        Ok(())
    }

    fn token(&self, client: &Client, url: &Uri, bearer: &Challenge) -> Result<String, Failure> {
        let other = |why| Failure::new(Cause::Other, why);
        let realm = bearer.param("realm").ok_or_else(|| other("it names no token server".to_owned()))?;
        let to = absolute(realm).map_err(other)?;
        if to.scheme_str() == Some("http") && url.scheme_str() == Some("https") {
            return Err(other(format!("its token server {to} has no TLS")));
        }
        let scope = bearer.param("scope").unwrap_or(&self.scope);
        let mut query = format!("scope={}", encode(scope));
        if let Some(service) = bearer.param("service") {
            query.push_str(&format!("&service={}", encode(service)));
        }
        let response = match &self.credentials.secret {
            Some(Secret::Refresh(token)) => {
                let form =
                    format!("grant_type=refresh_token&client_id=cfs-host&refresh_token={}&{query}", encode(token));
                client.post(&to, &form)?
            }
            secret => {
                let basic = secret.as_ref().map(|secret| match secret {
                    Secret::Basic(text) | Secret::Refresh(text) => format!("Basic {text}"),
                });
                let separator = if to.query().is_some() { '&' } else { '?' };
                let ask = absolute(&format!("{to}{separator}{query}")).map_err(other)?;
                client.get(&ask, &[], basic.as_deref())?
            }
        };
        let body =
            succeeded(response).map_err(|failure| Failure { why: format!("{to}: {}", failure.why), ..failure })?;
        let bytes = small(body.into_body(), TOKEN_MAX, "its token", client.idle)?;
        parse(&bytes).ok_or_else(|| other(format!("{to} gave no token")))
    }
}

/// The token: nothing that could end a header line.
pub(super) fn parse(bytes: &[u8]) -> Option<String> {
    let Token { token, access_token } = serde_json::from_slice(bytes).ok()?;
    let token = if token.is_empty() { access_token } else { token };
    (!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic())).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_has_two_names_and_fits_into_a_header() {
        assert_eq!(parse(br#"{"token":"a.b_c","expires_in":60}"#).unwrap(), "a.b_c");
        assert_eq!(parse(br#"{"access_token":"x"}"#).unwrap(), "x");
        for bad in [r#"{"token":""}"#, "{}", "", r#"{"token":"a\r\nb"}"#, r#"{"token":"a b"}"#] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_answer_is_a_token_or_none(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }
    }
}
