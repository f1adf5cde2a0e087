//! Addresses that registries send us to: only HTTP, never with a password inside.

use ureq::http::Uri;

/// An address as it stands in a manifest or a challenge.
pub(super) fn absolute(text: &str) -> Result<Uri, String> {
    let bad = |why: &str| format!("{text:?} is no address to fetch from: {why}");
    let text = text.split('#').next().unwrap_or(text);
    let scheme = text.split("://").next().unwrap_or_default().to_ascii_lowercase();
    if scheme != "http" && scheme != "https" {
        return Err(bad("it is neither https nor http"));
    }
    let uri: Uri = text.parse().map_err(|error: ureq::http::uri::InvalidUri| bad(&error.to_string()))?;
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => Err(bad("it has a user inside")),
        Some(authority) if !authority.host().is_empty() => Ok(uri),
        _ => Err(bad("it has no host")),
    }
}

/// Where a `Location` leads from `base` (RFC 3986, 5.2; without the `..` that nobody sends).
pub(super) fn follow(base: &Uri, location: &str) -> Result<Uri, String> {
    let scheme = base.scheme_str().unwrap_or("https");
    let host = base.authority().map_or("", |authority| authority.as_str());
    let first = location.split(['/', '?', '#']).next().unwrap_or_default();
    if first.contains(':') {
        return absolute(location);
    }
    if location.starts_with("//") {
        return absolute(&format!("{scheme}:{location}"));
    }
    let path = base.path();
    let folder = path.rfind('/').map_or("/", |end| &path[..=end]);
    match location.chars().next() {
        Some('/') => absolute(&format!("{scheme}://{host}{location}")),
        Some('?') => absolute(&format!("{scheme}://{host}{path}{location}")),
        _ => absolute(&format!("{scheme}://{host}{folder}{location}")),
    }
}

/// Scheme, host and port.
pub(super) fn origin(uri: &Uri) -> (&str, String, u16) {
    let scheme = uri.scheme_str().unwrap_or_default();
    let port = uri.port_u16().unwrap_or(if scheme == "http" { 80 } else { 443 });
    (scheme, uri.host().unwrap_or_default().to_ascii_lowercase(), port)
}

/// A value for a query or a form.
pub(super) fn encode(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let byte = |byte: u8| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn locations_of_every_form_are_followed() {
        let base: Uri = "https://a.example:5000/v2/x/blobs/sha256:1?y".parse().unwrap();
        for (location, to) in [
            ("https://b.example/z?sig=1#frag", "https://b.example/z?sig=1"),
            ("//b.example/z", "https://b.example/z"),
            ("/z", "https://a.example:5000/z"),
            ("z?q=a:b", "https://a.example:5000/v2/x/blobs/z?q=a:b"),
            ("?q", "https://a.example:5000/v2/x/blobs/sha256:1?q"),
            ("http://b.example", "http://b.example/"),
        ] {
            assert_eq!(follow(&base, location).unwrap().to_string(), to, "{location}");
        }
        for bad in ["ftp://b.example/z", "file:///etc/passwd", "https://u:p@b.example/", "javascript:x", "https://"] {
            assert!(follow(&base, bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_has_a_port_and_a_value_no_letter_that_means_something() {
        assert_eq!(origin(&"https://A.example/x".parse().unwrap()), ("https", "a.example".to_owned(), 443));
        assert_eq!(origin(&"http://a.example:81/x".parse().unwrap()), ("http", "a.example".to_owned(), 81));
        assert_eq!(encode("repository:a/b:pull &é"), "repository%3Aa%2Fb%3Apull%20%26%C3%A9");
    }

    proptest! {
        #[test]
        fn any_location_is_http_or_refused(location in "[a-z:/?#@.\\[\\]% é]{0,30}") {
            let base: Uri = "https://a.example/v2/".parse().unwrap();
            if let Ok(to) = follow(&base, &location) {
                prop_assert!(matches!(to.scheme_str(), Some("http" | "https")));
                prop_assert!(to.host().is_some_and(|host| !host.is_empty()));
            }
        }
    }
}
