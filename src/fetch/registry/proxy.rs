//! `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, as podman reads them: which proxy leads to a host.

use std::env::var;
use std::net::IpAddr;

use ureq::Proxy;

/// The proxy on the way to a host, if there is one; an error names the variable.
pub(super) fn proxy(scheme: &str, host: &str, port: u16) -> Result<Option<Proxy>, String> {
    let upper = format!("{}_PROXY", scheme.to_ascii_uppercase());
    let given = |name: &str| var(name).or_else(|_| var(name.to_ascii_lowercase())).unwrap_or_default();
    let proxy = given(&upper);
    if proxy.is_empty() || goes_straight(host, port, &given("NO_PROXY")) {
        return Ok(None);
    }
    Proxy::new(&proxy).map(Some).map_err(|error| format!("{upper} is {proxy:?}: {error}"))
}

/// Whether the list covers the host: a name covers itself and all below it, `.name` what is below it, an address
/// itself, a network its addresses, `*` everything. This machine needs no proxy to reach itself.
fn goes_straight(host: &str, port: u16, list: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let (entry, wanted) = match entry.rsplit_once(':') {
            Some((name, port)) if !name.contains(':') && port.parse::<u16>().is_ok() => (name, port.parse().ok()),
            _ => (entry.as_str(), None),
        };
        wanted.is_none_or(|wanted: u16| wanted == port) && covers(entry, &host, address)
    })
}

fn covers(entry: &str, host: &str, address: Option<IpAddr>) -> bool {
    if entry == "*" {
        return true;
    }
    if let Some(address) = address {
        return match entry.split_once('/') {
            Some((network, bits)) => in_network(address, network, bits).unwrap_or(false),
            None => entry.parse() == Ok(address),
        };
    }
    let domain = entry.strip_prefix('*').unwrap_or(entry);
    match domain.strip_prefix('.') {
        Some(_) => host.ends_with(domain),
        None => host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
    }
}

fn in_network(address: IpAddr, network: &str, bits: &str) -> Option<bool> {
    let bits: u32 = bits.parse().ok()?;
    match (address, network.parse().ok()?) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            let shift = 32u32.checked_sub(bits)?;
            let cut = |address: std::net::Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
            Some(cut(address) == cut(network))
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => {
            let shift = 128u32.checked_sub(bits)?;
            let cut = |address: std::net::Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
            Some(cut(address) == cut(network))
        }
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_list_of_hosts_without_a_proxy_is_read_as_podman_reads_it() {
        for (host, list, straight) in [
            ("localhost", "", true),
            ("127.0.0.9", "", true),
            ("[::1]", "", true),
            ("example.org", "", false),
            ("example.org", "*", true),
            ("example.org", "a.net, EXAMPLE.org", true),
            ("a.example.org", "example.org", true),
            ("anexample.org", "example.org", false),
            ("example.org", ".example.org", false),
            ("a.example.org", ".example.org", true),
            ("a.example.org", "*.example.org", true),
            ("example.org", "example.org:443", true),
            ("example.org", "example.org:5000", false),
            ("10.1.2.3", "10.0.0.0/8", true),
            ("11.1.2.3", "10.0.0.0/8", false),
            ("11.1.2.3", "0.0.0.0/0", true),
            ("10.1.2.3", "10.0.0.0/99", false),
            ("fd00::7", "fd00::/8", true),
            ("10.1.2.3", "fd00::/8", false),
        ] {
            assert_eq!(goes_straight(host, 443, list), straight, "{host} {list}");
        }
    }

    proptest! {
        #[test]
        fn any_list_is_read(host in "[a-f0-9.:\\[\\]]{0,20}", list in "[a-f0-9.:/*, ]{0,40}") {
            goes_straight(&host, 443, &list);
        }
    }
}
