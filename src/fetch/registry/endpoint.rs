//! One repository of one registry: requests below `/v2/NAME/`, with the login that it asks for.

use std::path::PathBuf;
use std::sync::OnceLock;

use ureq::http::{Response, Uri};
use ureq::Body;

use super::client::{Client, Headers};
use super::credentials::Credentials;
use super::failure::{succeeded, Cause, Failure};
use super::login::Login;
use super::name::Name;
use super::places::Places;
use super::registries::Location;
use super::url::absolute;
use crate::fetch::{Options, Result};

/// Where to ask.
pub(super) struct Endpoint {
    /// Of the image, there.
    pub name: Name,
    /// To ask other hosts through.
    pub client: Client,
    login: Login,
    insecure: bool,
    /// Known at once, but for insecure registries: the first answer tells.
    scheme: OnceLock<&'static str>,
}

impl Endpoint {
    /// Nothing is asked yet.
    pub(super) fn new(location: Location, places: &Places, options: &Options) -> Result<Self> {
        let Location { name, insecure } = location;
        let insecure = insecure || options.insecure_transport;
        let authfile: Option<&PathBuf> = options.authfile.as_ref();
        let client = Client::new(places, insecure, options.patience.idle);
        client.prepare(name.api())?;
        let login = Login::new(Credentials::find(places, authfile, &name)?, &name.repository);
        let scheme = if insecure { OnceLock::new() } else { OnceLock::from("https") };
        Ok(Self { name, client, login, insecure, scheme })
    }

    /// Which credentials are used, for errors.
    pub(super) fn told(&self) -> &str {
        self.login.told()
    }

    /// One attempt for `/v2/NAME/PATH`; nothing but success comes back.
    pub(super) fn get(&self, path: &str, headers: Headers<'_>) -> std::result::Result<Response<Body>, Failure> {
        if let Some(scheme) = self.scheme.get() {
            return self.by(scheme, path, headers);
        }
        let secure = self.by("https", path, headers);
        let Err(silence) = secure.as_ref().map_err(|failure| !failure.answered) else {
            return self.settle("https", secure);
        };
        if !silence || !self.insecure {
            return self.settle("https", secure);
        }
        let plain = self.by("http", path, headers);
        match &plain {
            // Nobody there either, or a server that wants TLS: the first error tells more.
            Err(failure) if !failure.answered || failure.cause == Cause::Other => secure,
            _ => self.settle("http", plain),
        }
    }

    fn settle<T>(&self, scheme: &'static str, answer: T) -> T {
        self.scheme.get_or_init(|| scheme);
        answer
    }

    fn by(&self, scheme: &str, path: &str, headers: Headers<'_>) -> std::result::Result<Response<Body>, Failure> {
        let url = format!("{scheme}://{}/v2/{}/{path}", self.name.api(), self.name.repository);
        let url: Uri = absolute(&url).map_err(|why| Failure::new(Cause::Other, why))?;
        let sent = self.login.header();
        let response = self.client.get(&url, headers, sent.as_deref())?;
        if response.status().as_u16() != 401 {
            return succeeded(response);
        }
        // A connection is kept only if its answer was read to the end.
        let (parts, body) = response.into_parts();
        let refused = Failure::status(parts.status, &parts.headers, body);
        let answer = self.login.answer(&self.client, &url, &parts.headers, sent.as_deref());
        answer.map_err(|failure| Failure {
            answered: true,
            why: format!("{}; {}", refused.why, failure.why),
            ..failure
        })?;
        succeeded(self.client.get(&url, headers, self.login.header().as_deref())?)
    }
}
