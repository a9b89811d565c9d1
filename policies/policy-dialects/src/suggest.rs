//! "Did you mean": the known word nearest to one that is not known.

/// The word of `known` that `word` is probably a misspelling of.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // Two slips in a long word, one in a short one; a difference in case alone always counts as near.
    let allowed = if word.chars().count() <= 4 { 1 } else { 2 };
    known
        .iter()
        .map(|candidate| {
            (
                distance(&word.to_ascii_lowercase(), &candidate.to_ascii_lowercase()),
                *candidate,
            )
        })
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance; words longer than any field name are never near.
fn distance(a: &str, b: &str) -> usize {
    const LONGEST: usize = 64;
    let b: Vec<char> = b.chars().collect();
    if a.len() > LONGEST || b.len() > LONGEST {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use test_case::test_case;

    use super::nearest;

    const KNOWN: &[&str] = &["toFQDNs", "toPorts", "toCIDR", "toCIDRSet", "to", "ports"];

    #[test_case("toFQDN", Some("toFQDNs"); "a missing letter")]
    #[test_case("toFqdns", Some("toFQDNs"); "another case")]
    #[test_case("toCDIR", Some("toCIDR"); "letters swapped")]
    #[test_case("port", Some("ports"); "a short word")]
    #[test_case("egress", None; "nothing near")]
    #[test_case("", None; "no word")]
    fn suggestions(word: &str, expected: Option<&str>) {
        assert_eq!(nearest(word, KNOWN), expected);
    }
}
