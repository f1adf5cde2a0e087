//! The kernel's command line must be the UKI's own (security rule 2).
//!
//! The stub passes the UKI's signed `.cmdline` and then appends what addons and SMBIOS strings say, even
//! under Secure Boot. So: the policy's arguments first and in order, after them only what the policy allows.

use crate::policy::Policy;
use crate::refusal::Refusal;

/// Checks `/proc/cmdline` against the policy.
pub fn check(proc_cmdline: &[u8], policy: &Policy) -> Result<(), Refusal> {
    let mut arguments = arguments(proc_cmdline.strip_suffix(b"\n").unwrap_or(proc_cmdline));
    for own in self::arguments(policy.cmdline.as_bytes()) {
        let found = arguments.next();
        if found != Some(own) {
            let (own, found) = (String::from_utf8_lossy(own), String::from_utf8_lossy(found.unwrap_or(b"nothing")));
            return Err(Refusal::new(
                2,
                format!("the kernel command line is not this UKI's: it has {found:?} where {own:?} belongs"),
            ));
        }
    }
    match arguments.find(|argument| !is_allowed(argument, policy)) {
        None => Ok(()),
        Some(argument) => Err(Refusal::new(
            2,
            format!(
                "the kernel command line has {:?}, which this UKI's policy does not allow: remove it where it is \
                 added (a UKI addon, an SMBIOS string, a boot entry)",
                String::from_utf8_lossy(argument)
            ),
        )),
    }
}

fn arguments(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&byte| byte == b' ').filter(|argument| !argument.is_empty())
}

/// Bytes that the kernel might take for a separator (its `isspace` knows 0xa0 too) or a quote would let
/// one argument hide another; after `--` the rest is for `init`.
fn is_allowed(argument: &[u8], policy: &Policy) -> bool {
    argument != b"--"
        && argument.iter().all(|&byte| byte.is_ascii_graphic() && byte != b'"')
        && policy.allowed_arguments.iter().any(|allowed| argument.starts_with(allowed.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::tests::example;
    use proptest::prelude::*;

    #[test]
    fn the_own_line_and_allowed_arguments_pass() {
        for good in [
            "ostree=latest panic=10\n",
            "ostree=latest panic=10",
            " ostree=latest  panic=10 console=ttyS0,115200 \n",
            "ostree=latest panic=10 console=ttyS0 console=tty0\n",
        ] {
            assert_eq!(check(good.as_bytes(), &example()), Ok(()), "{good:?}");
        }
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        for (bad, word) in [
            ("", "\"nothing\" where \"ostree=latest\""),
            ("ostree=latest", "\"nothing\" where \"panic=10\""),
            ("panic=10 ostree=latest", "\"panic=10\" where \"ostree=latest\""),
            ("init=/bin/sh ostree=latest panic=10", "\"init=/bin/sh\""),
            ("console=ttyS0 ostree=latest panic=10", "\"console=ttyS0\" where"),
            ("ostree=latest panic=1", "\"panic=1\""),
            ("ostree=latest panic=10 init=/bin/sh", "\"init=/bin/sh\""),
            ("ostree=latest panic=10 console=ttyS0 rdinit=/x", "\"rdinit=/x\""),
            ("ostree=latest panic=10 xconsole=ttyS0", "\"xconsole=ttyS0\""),
            ("ostree=latest panic=10 panic=0", "\"panic=0\""),
            ("ostree=latest panic=10 console=ttyS0,\"x", "does not allow"),
            ("ostree=latest panic=10 console=ttyS0\tinit=/x", "does not allow"),
            ("ostree=latest panic=10 console=ttyS0\ninit=/x", "does not allow"),
            ("ostree=latest panic=10 console=ttyS0\x0binit=/x", "does not allow"),
            ("ostree=latest panic=10 console=ttyS0\u{a0}init=/x", "does not allow"),
            ("ostree=latest panic=10 console=ttyS0\n\n", "does not allow"),
            ("ostree=latest panic=10 --", "does not allow"),
        ] {
            let refusal = check(bad.as_bytes(), &example()).expect_err(bad);
            assert!(refusal.rule == 2 && refusal.why.contains(word), "{bad:?}: {refusal}");
        }
        assert!(check(b"ostree=latest panic=10 console=\xa0init=/x\n", &example()).is_err());
    }

    #[test]
    fn two_dashes_are_refused_even_where_the_policy_allows_dashes() {
        let policy = Policy { allowed_arguments: vec!["-".into()], ..example() };
        assert!(check(b"ostree=latest panic=10 -x", &policy).is_ok());
        assert!(check(b"ostree=latest panic=10 --", &policy).is_err());
    }

    proptest! {
        #[test]
        fn nothing_passes_but_allowed_arguments(extra in "[ -~]{0,40}") {
            let line = format!("ostree=latest panic=10 {extra}\n");
            let allowed = extra.split(' ').all(|one| one.is_empty() || one.starts_with("console=") && !one.contains('"'));
            prop_assert_eq!(check(line.as_bytes(), &example()).is_ok(), allowed);
        }

        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            prop_assert!(check(&bytes, &example()).is_err());
        }
    }
}
