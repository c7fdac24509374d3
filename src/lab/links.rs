//! Pages of a list, and the `Link` header that leads through them.

use std::collections::BTreeMap;
use std::ops::Range;

use axum::http::{HeaderValue, StatusCode, Uri, header};
use serde_json::Value;
use url::form_urlencoded;

use super::answer::{Answer, Failure, ok};
use super::server::Lab;
use super::store::Repository;

/// The query as sent, in order.
pub(super) fn pairs(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect()
}

/// The query by name; the last of a name counts.
pub(super) fn query(uri: &Uri) -> BTreeMap<String, String> {
    pairs(uri).into_iter().collect()
}

/// A list on its way to becoming a page.
pub(super) struct List<'a> {
    /// The server's address, without a final slash.
    pub base: &'a str,
    /// As sent, `/repos/OWNER/NAME/…`.
    pub uri: &'a Uri,
    pub repository_id: u64,
    /// Paged by cursor (no numbers, no last page): the issues' numbers in the list's order.
    pub cursors: Option<Vec<u64>>,
}

impl<'a> List<'a> {
    /// A list of a repository that is paged by number.
    pub(super) fn of(lab: &'a Lab, uri: &'a Uri, repository: &Repository) -> Self {
        List { base: &lab.base, uri, repository_id: repository.id, cursors: None }
    }

    /// The page that was asked for.
    pub(super) fn page<T>(&self, items: &[T], shape: impl Fn(&T) -> Value) -> Answer {
        let query = query(self.uri);
        let number = |name: &str| query.get(name).and_then(|value| value.parse::<usize>().ok());
        let size = number("per_page").unwrap_or(30).clamp(1, 100);
        let page = number("page").unwrap_or(1).max(1);
        // `/repos/OWNER/NAME/rest`: GitHub's own links go by the repository's id.
        let rest = self.uri.path().splitn(5, '/').nth(4).unwrap_or_default();
        let address = format!("{}/repositories/{}/{rest}", self.base, self.repository_id);
        let (window, link) = if let Some(numbers) = &self.cursors {
            if page > 1 {
                return Err(unsupported());
            }
            by_cursor(&address, &pairs(self.uri), size, numbers)
        } else if page > items.len().div_ceil(size).max(1) && items.len() >= LARGE {
            return Err(unsupported());
        } else {
            (window(page, size, items.len()), by_number(&address, &pairs(self.uri), page, size, items.len()))
        };
        let values: Vec<Value> = items[window].iter().map(shape).collect();
        let mut response = ok(&Value::Array(values))?;
        if let Some(link) = link.and_then(|link| HeaderValue::try_from(link).ok()) {
            response.headers_mut().insert(header::LINK, link);
        }
        Ok(response)
    }
}

/// A list that long has no page after its last: GitHub wants to be asked by cursor there.
const LARGE: usize = 1000;

fn unsupported() -> Failure {
    let message = "Pagination with the page parameter is not supported for large datasets, please use cursor \
                   based pagination (after/before)";
    Failure::message(StatusCode::UNPROCESSABLE_ENTITY, message)
}

fn window(page: usize, size: usize, total: usize) -> Range<usize> {
    let start = (page - 1).saturating_mul(size).min(total);
    start..(start + size).min(total)
}

fn address(path: &str, query: &[(String, String)], without: &[&str], name: &str, value: &str) -> String {
    let mut text = form_urlencoded::Serializer::new(String::new());
    text.extend_pairs(query.iter().filter(|(key, _)| !without.contains(&key.as_str())));
    text.append_pair(name, value);
    format!("<{path}?{}>", text.finish())
}

/// The header in GitHub's order: prev, next, last, first. None when one page is enough.
fn by_number(
    path: &str,
    query: &[(String, String)],
    page: usize,
    size: usize,
    total: usize,
) -> Option<String> {
    let last = total.div_ceil(size).max(1);
    let link = |page: usize, rel: &str| {
        address(path, query, &["page"], "page", &page.to_string()) + "; rel=\"" + rel + "\""
    };
    let mut links = Vec::new();
    if page > 1 {
        links.push(link((page - 1).min(last), "prev"));
    }
    if page < last {
        links.push(link(page + 1, "next"));
        links.push(link(last, "last"));
    }
    if page > 1 {
        links.push(link(1, "first"));
    }
    (!links.is_empty()).then(|| links.join(", "))
}

/// A window after the cursor, and the link to the next one. A cursor names the last item of its page, not a place in
/// the list: what comes and goes before it shifts nothing.
fn by_cursor(
    path: &str,
    query: &[(String, String)],
    size: usize,
    numbers: &[u64],
) -> (Range<usize>, Option<String>) {
    let after = query.iter().find(|(key, _)| key == "after");
    let after: Option<u64> = after.and_then(|(_, value)| value.strip_prefix('c')?.parse().ok());
    let start = after.map_or(0, |after| behind(numbers, after));
    let end = (start + size).min(numbers.len());
    let last = numbers[start..end].last().filter(|_| end < numbers.len());
    let next = last.map(|last| {
        address(path, query, &["page", "after"], "after", &format!("c{last}")) + "; rel=\"next\""
    });
    (start..end, next)
}

/// The place behind a number that may have left the list, which runs up or down.
fn behind(numbers: &[u64], after: u64) -> usize {
    if let Some(place) = numbers.iter().position(|number| *number == after) {
        return place + 1;
    }
    let up = numbers.first() < numbers.last();
    let beyond = |number: &u64| if up { *number > after } else { *number < after };
    numbers.iter().position(beyond).unwrap_or(numbers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Vec<(String, String)> {
        form_urlencoded::parse(text.as_bytes()).into_owned().collect()
    }

    #[test]
    fn links_come_in_githubs_order() {
        let cases = [
            (1, 13, Some(vec![(2, "next"), (5, "last")])),
            (2, 13, Some(vec![(1, "prev"), (3, "next"), (5, "last"), (1, "first")])),
            (5, 13, Some(vec![(4, "prev"), (1, "first")])),
            (9, 13, Some(vec![(5, "prev"), (1, "first")])),
            (1, 3, None),
            (1, 0, None),
        ];
        for (page, total, expected) in cases {
            let expected = expected.map(|links| {
                let one = |(page, rel): &(u32, &str)| {
                    format!(
                        "<http://h/repositories/1/issues?labels=a%2Cb&per_page=3&page={page}>; rel=\"{rel}\""
                    )
                };
                links.iter().map(one).collect::<Vec<_>>().join(", ")
            });
            let query = sent("labels=a,b&page=7&per_page=3");
            assert_eq!(
                by_number("http://h/repositories/1/issues", &query, page, 3, total),
                expected,
                "{page}"
            );
        }
    }

    #[test]
    fn windows_never_leave_the_list() {
        assert_eq!(window(1, 30, 7), 0..7);
        assert_eq!(window(3, 3, 7), 6..7);
        assert_eq!(window(4, 3, 7), 7..7);
        assert_eq!(window(usize::MAX, 100, 7), 7..7);
    }

    #[test]
    fn cursors_lead_to_the_end() {
        let (first, next) = by_cursor("u", &sent("per_page=2"), 2, &[3, 5, 8]);
        assert_eq!((first, next.as_deref()), (0..2, Some("<u?per_page=2&after=c5>; rel=\"next\"")));
        assert_eq!(by_cursor("u", &sent("after=c5"), 2, &[3, 5, 8]), (2..3, None));
        assert_eq!(by_cursor("u", &sent("after=c5"), 2, &[3, 8]), (1..2, None), "5 has left");
        assert_eq!(by_cursor("u", &sent("after=c5"), 2, &[8, 3]), (1..2, None), "downwards");
        assert_eq!(by_cursor("u", &sent("after=c8"), 2, &[3, 5]), (2..2, None));
    }
}
