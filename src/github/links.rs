//! The `Link` header (RFC 8288), as far as GitHub uses it.

use ureq::http::HeaderMap;
use url::Url;

/// Where `rel="next"` leads.
pub(super) fn next(headers: &HeaderMap) -> Option<Url> {
    headers.get_all("link").iter().filter_map(|value| value.to_str().ok()).find_map(next_in)
}

fn next_in(value: &str) -> Option<Url> {
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        // Parameters go on to the next link; a comma inside a target is behind us already.
        let parameters = after.split_once('<').map_or(after, |(before, _)| before);
        let is_next =
            parameters.split([';', ',']).map(str::trim).any(|p| p == "rel=\"next\"" || p == "rel=next");
        if is_next {
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
            assert_eq!(next_in(value).map(String::from).as_deref(), expected, "{value}");
        }
    }
}
