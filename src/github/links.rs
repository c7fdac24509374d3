//! The `Link` header (RFC 8288), as far as GitHub uses it.

use ureq::http::HeaderMap;
use url::Url;

/// Where the link of a relation (`next`, `last`) leads.
pub(super) fn to(headers: &HeaderMap, relation: &str) -> Option<Url> {
    let values = headers.get_all("link").iter().filter_map(|value| value.to_str().ok());
    values.into_iter().find_map(|value| find(value, relation))
}

fn find(value: &str, relation: &str) -> Option<Url> {
    let (quoted, bare) = (format!("rel=\"{relation}\""), format!("rel={relation}"));
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        // Parameters go on to the next link; a comma inside a target is behind us already.
        let parameters = after.split_once('<').map_or(after, |(before, _)| before);
        if parameters.split([';', ',']).map(str::trim).any(|part| part == quoted || part == bare) {
            return Url::parse(target).ok();
        }
        rest = after;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_wherever_it_stands() {
        let cases = [
            (
                r#"<https://x/a?page=2>; rel="next", <https://x/a?page=5>; rel="last""#,
                Some("https://x/a?page=2"),
            ),
            (
                r#"<https://x/a?page=1>; rel="prev", <https://x/a?l=a,b&page=3>; rel="next""#,
                Some("https://x/a?l=a,b&page=3"),
            ),
            (r#"<https://x/a?page=1>; rel="first", <https://x/a?page=4>; rel="prev""#, None),
            (r#"<https://x/a?after=Y3>; rel="next""#, Some("https://x/a?after=Y3")),
            ("", None),
            ("<broken", None),
        ];
        for (value, expected) in cases {
            assert_eq!(find(value, "next").map(String::from).as_deref(), expected, "{value}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_header_is_too_strange(
            values in proptest::collection::vec("[<>;,\"= a-z/:?&é\\x00-\\x7f]{0,80}", 0..4),
            relation in "[a-z]{0,5}",
        ) {
            let mut headers = HeaderMap::new();
            for value in values {
                if let Ok(value) = ureq::http::HeaderValue::from_bytes(value.as_bytes()) {
                    headers.append("link", value);
                }
            }
            if let Some(url) = to(&headers, &relation) {
                proptest::prop_assert!(headers.get_all("link").iter().any(|value| {
                    value.to_str().is_ok_and(|text| text.contains('<') && text.contains(&relation))
                }), "{url}");
            }
        }

        #[test]
        fn what_is_written_as_a_link_is_found(
            targets in proptest::collection::vec("https://[a-z]{1,9}/[a-z/]{0,9}(\\?[a-z0-9=&,;]{1,20})?", 1..5),
            relations in proptest::collection::vec("(next|prev|first|last)", 5),
        ) {
            let links: Vec<String> =
                targets.iter().zip(&relations).map(|(target, name)| format!("<{target}>; rel=\"{name}\"")).collect();
            let headers: HeaderMap =
                [(ureq::http::header::LINK, links.join(", ").parse().unwrap())].into_iter().collect();
            let expected = targets.iter().zip(&relations).find(|(_, name)| *name == "next");
            let expected = expected.map(|(target, _)| Url::parse(target).unwrap());
            proptest::prop_assert_eq!(to(&headers, "next"), expected);
        }
    }
}
