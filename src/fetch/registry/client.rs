//! HTTP: connections to all hosts that a fetch needs, redirects, time-outs. Knows nothing of registries.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ureq::http::{header, Response, Uri};
use ureq::{Agent, Body};

use super::certs;
use super::failure::{Cause, Failure};
use super::places::Places;
use super::proxy::proxy;
use super::url::{follow, origin};
use crate::fetch::Result;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(30);
const REDIRECTS_MAX: usize = 10;
/// A large piece each time the network is asked.
const BUFFER: usize = 256 << 10;

/// A request's headers.
pub(super) type Headers<'a> = &'a [(header::HeaderName, &'a str)];

/// Keeps connections open between requests; for any number of threads.
pub(super) struct Client {
    places: Places,
    /// Of the registry; others that it sends us to are met the same way.
    insecure: bool,
    /// How long silence may last.
    pub idle: Duration,
    agents: Mutex<HashMap<String, Agent>>,
}

impl Client {
    /// Nothing is connected yet.
    pub(super) fn new(places: &Places, insecure: bool, idle: Duration) -> Self {
        Self { places: places.clone(), insecure, idle, agents: Mutex::default() }
    }

    /// Reads the certificates for a host: an error in them is better told before anything is asked.
    pub(super) fn prepare(&self, host: &str) -> Result<()> {
        certs::check(&self.places, host)
    }

    /// Asks, and follows redirects; what comes back may be any other answer. Credentials stay with the first host.
    pub(super) fn get(
        &self,
        url: &Uri,
        headers: Headers<'_>,
        authorization: Option<&str>,
    ) -> std::result::Result<Response<Body>, Failure> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let mut request = self.agent(&at)?.get(&at);
            for (name, value) in headers {
                request = request.header(name, *value);
            }
            if let Some(authorization) = authorization.filter(|_| origin(&at) == origin(url)) {
                request = request.header(header::AUTHORIZATION, authorization);
            }
            let response = request.call().map_err(|error| Failure::transport(&error, self.idle))?;
            match redirect(&response) {
                Some(location) => at = self.redirected(&at, &location)?,
                None => return Ok(response),
            }
        }
        Err(Failure::new(Cause::Other, format!("{url} leads from one address to the next without an end")))
    }

    /// Sends a form; a redirect of it is an answer like any other.
    pub(super) fn post(&self, url: &Uri, form: &str) -> std::result::Result<Response<Body>, Failure> {
        let request = self.agent(url)?.post(url).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        request.send(form).map_err(|error| Failure::transport(&error, self.idle))
    }

    fn redirected(&self, from: &Uri, location: &str) -> std::result::Result<Uri, Failure> {
        let to = follow(from, location).map_err(|why| Failure::new(Cause::Other, why))?;
        if from.scheme_str() == Some("https") && to.scheme_str() == Some("http") && !self.insecure {
            let why = format!("{} leads to {to}, where anybody can listen", from.host().unwrap_or_default());
            return Err(Failure::new(Cause::Other, why));
        }
        Ok(to)
    }

    /// Each host has certificates and a proxy of its own.
    fn agent(&self, url: &Uri) -> std::result::Result<Agent, Failure> {
        let (scheme, host, port) = origin(url);
        let key = format!("{scheme}://{host}:{port}");
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let authority = url.authority().map_or(host.as_str(), |authority| authority.as_str());
        let other = |why: String| Failure::new(Cause::Other, why);
        let tls = certs::tls(&self.places, authority, self.insecure).map_err(|error| other(error.to_string()))?;
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(proxy(scheme, &host, port).map_err(other)?)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("cfs-host/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(self.idle))
            .timeout_per_write(Some(self.idle))
            .input_buffer_size(BUFFER)
            .build();
        let agent = Agent::new_with_config(config);
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

fn redirect(response: &Response<Body>) -> Option<String> {
    let leads_on = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get(header::LOCATION).filter(|_| leads_on)?;
    // What is no text is no address; following it says so.
    Some(String::from_utf8_lossy(location.as_bytes()).into_owned())
}
