//! Whether an image may boot here: the signature over its digest, and what it claims (rules 10 to 13).
//!
//! The one place that turns untrusted bytes into [`Verified`]. `/init` runs it before it mounts, the command
//! line tool before it stages. Shape of the bytes: [`crate::profile`]; whom to believe: [`crate::certificate`].

use crate::certificate::{trusted, Trusted};
use crate::claims::{Claims, Role};
use crate::digest::Digest;
use crate::policy::Policy;
use crate::profile::{statements, Statement};
use crate::refusal::Refusal;

/// Claims that enough of the policy's signers made about one digest; only [`verify`] makes it.
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

    /// The names of the policy's signers that signed, one for each key.
    pub fn signers(&self) -> &[String] {
        &self.signers
    }
}

/// The digest that a signature claims to cover. UNVERIFIED: good for finding the object, for nothing else.
pub fn claimed_digest(signature: &[u8]) -> Result<Digest, Refusal> {
    let mut digests: Vec<Digest> = statements(signature)?.iter().map(|statement| statement.claims.digest).collect();
    digests.dedup();
    match digests.as_slice() {
        [digest] => Ok(*digest),
        _ => Err(Refusal::new(13, "the signers of the signature name different images")),
    }
}

/// Verifies that enough of the policy's signers signed this digest for this role, this product and this UKI.
pub fn verify(signature: &[u8], digest: &Digest, role: Role, policy: &Policy) -> Result<Verified, Refusal> {
    let trusted = trusted(policy)?;
    let mut agreed: Option<Claims> = None;
    let mut signers: Vec<&Trusted> = Vec::new();
    for statement in statements(signature)? {
        let Some(signer) = author(&statement, &trusted)? else { continue };
        if signer.key.message_digest(&digest.formatted()) != statement.message_digest {
            return Err(another_image(&statement.claims, digest));
        }
        if agreed.as_ref().is_some_and(|claims| *claims != statement.claims) {
            return Err(Refusal::new(13, "the signers of the signature do not make the same claims"));
        }
        agreed = Some(statement.claims);
        if !signers.iter().any(|counted| counted.key == signer.key) {
            signers.push(signer);
        }
    }
    let claims = agreed.ok_or_else(|| unknown_key(policy))?;
    if signers.len() < usize::from(policy.threshold) {
        let (have, need) = (signers.len(), policy.threshold);
        return Err(Refusal::new(13, format!("{have} of the policy's signers signed the image, {need} are needed")));
    }
    judge(&claims, digest, role, policy)?;
    Ok(Verified { claims, signers: signers.iter().map(|signer| signer.name.clone()).collect() })
}

/// Whether the policy's certificates can be used at all: `seal` asks before it writes a policy.
pub fn check_signers(policy: &Policy) -> Result<(), Refusal> {
    trusted(policy).map(|_| ())
}

/// Which trusted signer made the statement. A stranger's is ignored (`None`); one that names a trusted
/// signer whose key did not make it is a forgery or damage, and refused.
fn author<'a>(statement: &Statement, trusted: &'a [Trusted]) -> Result<Option<&'a Trusted>, Refusal> {
    let named: Vec<&Trusted> = trusted.iter().filter(|signer| signer.is_named_by(&statement.signer)).collect();
    let Some(first) = named.first() else { return Ok(None) };
    match named.iter().find(|signer| signer.key.signed(statement)) {
        Some(signer) => Ok(Some(signer)),
        None => Err(Refusal::new(
            13,
            format!("the signature in the name of {:?} is not valid: it was damaged or forged", first.name),
        )),
    }
}

/// The claims against what is asked (rules 5, 10, 11, 12).
fn judge(claims: &Claims, digest: &Digest, role: Role, policy: &Policy) -> Result<(), Refusal> {
    if claims.digest != *digest {
        return Err(another_image(claims, digest));
    }
    if claims.role != role {
        let (is, asked) = (claims.role.as_str(), role.as_str());
        return Err(Refusal::new(11, format!("{digest} is signed as {is}, not as {asked}")));
    }
    if claims.product != policy.product {
        let (is, asked) = (&claims.product, &policy.product);
        return Err(Refusal::new(11, format!("{digest} is signed for the product {is:?}, this UKI boots {asked:?}")));
    }
    if role == Role::HostBootable && !claims.uki_ids.contains(&policy.uki_id) {
        return Err(Refusal::new(
            12,
            format!("{digest} is not signed for this UKI ({}): boot it with the UKI it contains", policy.uki_id),
        ));
    }
    if claims.security_version < policy.minimum_security_version {
        let (is, least) = (claims.security_version, policy.minimum_security_version);
        return Err(Refusal::new(
            5,
            format!("{digest} has the security version {is}, this UKI boots {least} and later: update"),
        ));
    }
    if policy.revoked_images.contains(digest) {
        return Err(Refusal::new(5, format!("{digest} is revoked by this UKI's policy: update")));
    }
    Ok(())
}

fn another_image(claims: &Claims, digest: &Digest) -> Refusal {
    let why = format!("the signature is one of another image (it claims {}), not of {digest}", claims.digest);
    Refusal::new(10, why)
}

fn unknown_key(policy: &Policy) -> Refusal {
    let names: Vec<&str> = policy.signers.iter().map(|signer| signer.name.as_str()).collect();
    let why =
        format!("the image is signed by an unknown key: none of this UKI's signers ({}) signed", names.join(", "));
    Refusal::new(13, why)
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
