/// Whether a container port can have this name: Kubernetes' `IsValidPortName`.
pub(crate) fn is_port_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && !text.contains("--")
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::*;

    #[test_case("http", true; "letters")]
    #[test_case("serve-80-tcp", true; "digits and hyphens")]
    #[test_case("443", false; "a number in quotes")]
    #[test_case("HTTP", false; "capitals")]
    #[test_case("a--b", false; "two hyphens")]
    #[test_case("-a", false; "a hyphen first")]
    #[test_case("sixteen-letters-", false; "a hyphen last")]
    #[test_case("abcdefghijklmnop", false; "sixteen letters")]
    #[test_case("", false; "nothing")]
    fn port_names(text: &str, expected: bool) {
        assert_eq!(is_port_name(text), expected);
    }
}
