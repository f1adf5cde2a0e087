//! Why the boot stops: one line that names the rule it rests on (`docs/security.md`).

/// A failed check (rule 16): a dead end in enforce mode.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rule {rule}: {why}")]
pub struct Refusal {
    /// The number of the trust rule.
    pub rule: u8,
    /// What was refused, why, and what to do: one line.
    pub why: String,
}

impl Refusal {
    /// Control characters (the text may quote untrusted bytes) become spaces: one line stays one line.
    pub fn new(rule: u8, why: impl AsRef<str>) -> Self {
        let why = why.as_ref().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Self { rule, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_line_that_names_its_rule() {
        assert_eq!(Refusal::new(7, "two disks\n\x1b[2Jclaim").to_string(), "rule 7: two disks  [2Jclaim");
    }
}
