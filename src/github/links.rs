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
}
