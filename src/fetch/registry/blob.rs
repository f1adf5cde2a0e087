//! A blob on its way: a connection that breaks is taken up again at the byte where it broke.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ureq::http::{header, Response};
use ureq::{Body, BodyReader};

use super::failure::{Cause, Failure};
use super::retry::Attempts;
use crate::fetch::{Error, Patience};

/// So much must come between two failures, or they count as failures in a row.
const PROGRESS: u64 = 1 << 20;
/// What is read over, where a registry does not know ranges.
const SKIP: usize = 64 << 10;

/// Asks for the bytes from a position on.
pub(super) type Ask<'a> = Box<dyn Fn(u64) -> Result<Response<Body>, Failure> + Send + Sync + 'a>;
/// Says it to people.
pub(super) type Explain<'a> = Box<dyn Fn(Failure) -> Error + Send + Sync + 'a>;

/// How one is read.
pub(super) struct Way<'a> {
    pub ask: Ask<'a>,
    pub explain: Explain<'a>,
    pub patience: &'a Patience,
    /// Counts the bytes that came for the second time.
    pub again: &'a AtomicU64,
}

/// The reader. Size and digest are checked by who reads it.
pub(super) struct Blob<'a> {
    way: Way<'a>,
    size: u64,
    at: u64,
    /// Where the last failure was.
    failed_at: u64,
    attempts: Attempts<'a>,
    body: Option<BodyReader<'static>>,
}

impl<'a> Blob<'a> {
    /// Opens it: what the registry does not have is told at once.
    pub(super) fn open(way: Way<'a>, size: u64) -> Result<Self, Error> {
        let attempts = Attempts::new(way.patience);
        let mut blob = Self { way, size, at: 0, failed_at: 0, attempts, body: None };
        while let Err(failure) = blob.connect() {
            blob.again(failure)?;
        }
        Ok(blob)
    }

    fn connect(&mut self) -> Result<(), Failure> {
        let idle = self.way.patience.idle;
        let response = (self.way.ask)(self.at)?;
        let start = start(&response, self.at)?;
        let mut body = response.into_body().into_reader();
        self.skip(&mut body, self.at - start).map_err(|error| Failure::body(&error, idle))?;
        self.body = Some(body);
        Ok(())
    }

    fn skip(&self, body: &mut impl Read, mut bytes: u64) -> io::Result<()> {
        let mut buffer = [0; SKIP];
        while bytes > 0 {
            let length = body.read(&mut buffer[..bytes.min(SKIP as u64) as usize])?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.way.again.fetch_add(length as u64, Ordering::Relaxed);
            bytes -= length as u64;
        }
        Ok(())
    }

    /// Waits for the next attempt, or gives up.
    fn again(&mut self, failure: Failure) -> Result<(), Error> {
        self.body = None;
        if self.at - self.failed_at >= PROGRESS {
            self.attempts.progressed();
        }
        self.failed_at = self.at;
        self.attempts.wait(failure).map_err(|failure| (self.way.explain)(failure))
    }

    fn advance(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        if self.body.is_none() {
            self.connect()?;
        }
        let Some(body) = &mut self.body else { return Ok(0) };
        match body.read(buffer) {
            Ok(0) if self.at < self.size && !buffer.is_empty() => {
                Err(Failure::new(Cause::Passing, format!("it is cut off after {} of {} bytes", self.at, self.size)))
            }
            Ok(length) => Ok(length),
            // Nothing is missing: how the connection ends does not matter.
            Err(_) if self.at >= self.size => Ok(0),
            Err(error) => Err(broken(&error, self.at, self.size, self.way.patience.idle)),
        }
    }
}

fn broken(error: &io::Error, at: u64, size: u64, idle: Duration) -> Failure {
    let failure = Failure::body(error, idle);
    Failure { why: format!("{} after {at} of {size} bytes", failure.why), ..failure }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.advance(buffer) {
                Ok(length) => {
                    self.at += length as u64;
                    return Ok(length);
                }
                Err(failure) => self.again(failure).map_err(io::Error::other)?,
            }
        }
    }
}

/// Where an answer begins: at what was asked for, or, where ranges are not known, at the first byte.
fn start(response: &Response<Body>, at: u64) -> Result<u64, Failure> {
    if response.status().as_u16() != 206 {
        return Ok(0);
    }
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    match range.and_then(first_byte) {
        Some(first) if first == at => Ok(at),
        _ => {
            let why = format!("it was asked for the bytes from {at} on and gives {}", range.unwrap_or("others"));
            Err(Failure::new(Cause::Damaged, why))
        }
    }
}

/// Of `bytes FIRST-LAST/SIZE` (RFC 9110, 14.4).
pub(super) fn first_byte(range: &str) -> Option<u64> {
    let (first, rest) = range.trim().strip_prefix("bytes ")?.split_once('-')?;
    let (last, size) = rest.split_once('/')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let holds = first <= last && (size == "*" || size.parse::<u64>().is_ok_and(|size| last < size));
    holds.then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_range_that_holds_has_a_first_byte() {
        assert_eq!(first_byte("bytes 5-9/10"), Some(5));
        assert_eq!(first_byte("bytes 5-9/*"), Some(5));
        for bad in ["bytes 5-10/10", "bytes 9-5/10", "bytes */10", "5-9/10", "bytes -5/10", "bytes 5-9"] {
            assert_eq!(first_byte(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_range_is_read(text in "(bytes )?[0-9*/-]{0,30}") {
            let _ = first_byte(&text);
        }
    }
}
