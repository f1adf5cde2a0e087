//! PKCS#7 over the formatted digest.

use crate::claims::{Claims, Role};
use crate::digest::Digest;
use crate::policy::Policy;
use crate::refusal::Refusal;

/// Claims that a quorum of the policy's signers made about one digest; only [`verify`] makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    claims: Claims,
    signers: Vec<String>,
}

impl Verified {
    /// What was signed.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The names of the policy's signers that signed.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

/// The digest that a signature claims to cover.
pub fn claimed_digest(_signature: &[u8]) -> Result<Digest, Refusal> {
    Err(Refusal::new(13, "not yet"))
}

/// Verifies.
pub fn verify(_signature: &[u8], _digest: &Digest, _role: Role, _policy: &Policy) -> Result<Verified, Refusal> {
    Err(Refusal::new(13, "not yet"))
}

/// Checks the certificates.
pub fn check_signers(_policy: &Policy) -> Result<(), Refusal> {
    Err(Refusal::new(13, "not yet"))
}
