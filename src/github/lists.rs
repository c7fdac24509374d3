//! A list of issues read whole, as fast as the server's links allow. Pure: pages go in, addresses come out.
//!
//! A list that is likely to be long is begun at both ends. Where its first page tells the last one (`rel="last"`), all
//! between are asked for at once; a page beyond it is never asked for, because long lists answer that with 422. Where
//! there is only a next one (a cursor), the list is read from both ends until they meet.
//!
//! New issues come last in the order of creation. An issue that leaves or joins the list meanwhile shifts the pages
//! behind it, and what stands at an edge between two pages can be on neither: [`List::gaps`] names the numbers there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use url::Url;

use super::client::Answer;

/// One list on its way.
#[derive(Debug)]
pub(super) struct List {
    first: Url,
    /// Numbers seen from each end.
    seen: BTreeMap<Way, BTreeSet<u64>>,
    met: bool,
    /// The pages have numbers: the way down is not gone on with.
    numbered: bool,
    /// The first page of the way down is asked for.
    has_other_end: bool,
    /// Where that way leads, if it was there before the first page.
    down_next: Option<Url>,
    /// Pages that are asked for, or wait to be.
    pub outstanding: usize,
    /// The last page that was promised.
    promised: u64,
    /// By page: the lowest and the highest number on it.
    edges: BTreeMap<u64, (u64, u64)>,
}

/// How a page was come by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// From the oldest on.
    Up,
    /// From the newest on.
    Down,
    /// By its number.
    Numbered(u64),
}

impl List {
    /// A list, by the address of its first page, ascending by creation; and the first jobs. One that is `long` is
    /// begun at its other end as well: a request more if it is short after all.
    pub(super) fn new(first: Url, long: bool) -> (Self, Vec<(Way, Url)>) {
        let mut jobs = vec![(Way::Numbered(1), first.clone())];
        if long {
            jobs.push((Way::Down, other_end(&first)));
        }
        let list = Self {
            first,
            seen: BTreeMap::new(),
            met: false,
            numbered: false,
            has_other_end: long,
            down_next: None,
            outstanding: jobs.len(),
            promised: 1,
            edges: BTreeMap::new(),
        };
        (list, jobs)
    }

    /// Takes a page; gives those to ask for next.
    pub(super) fn take(&mut self, way: Way, answer: &Answer) -> Vec<(Way, Url)> {
        self.outstanding -= 1;
        let items = answer.body.as_array().into_iter().flatten();
        let numbers: BTreeSet<u64> = items.filter_map(|item| item["number"].as_u64()).collect();
        let jobs = match way {
            Way::Numbered(page) => self.numbered(page, &numbers, answer),
            Way::Up => self.at_an_end(way, Way::Down, numbers, answer.next.as_ref()),
            Way::Down => self.at_an_end(way, Way::Up, numbers, answer.next.as_ref()),
        };
        self.outstanding += jobs.len();
        if let Some(down) = self.seen.get(&Way::Down).filter(|_| self.numbered)
            && let (Some(lowest), Some(highest)) = (down.first(), down.last())
        {
            self.edges.entry(u64::MAX).or_insert((*lowest, *highest));
        }
        jobs
    }

    fn numbered(&mut self, page: u64, numbers: &BTreeSet<u64>, answer: &Answer) -> Vec<(Way, Url)> {
        if let (Some(lowest), Some(highest)) = (numbers.first(), numbers.last()) {
            self.edges.insert(page, (*lowest, *highest));
        }
        let Some(next) = &answer.next else { return Vec::new() };
        let last = answer.last.as_ref().and_then(|last| Some((page_of(last)?, last)));
        match last {
            Some((count, last)) if page == 1 => {
                self.promised = count;
                self.numbered = true;
                // The page at the other end has whatever is on the last one.
                (2..=count - u64::from(self.has_other_end && count > 1))
                    .map(|page| (Way::Numbered(page), replaced(last, "page", &page.to_string())))
                    .collect()
            }
            _ if page == 1 => {
                self.edges.clear();
                let mut jobs = self.at_an_end(Way::Up, Way::Down, numbers.clone(), Some(next));
                if !self.has_other_end {
                    self.has_other_end = true;
                    jobs.push((Way::Down, other_end(&self.first)));
                } else if let Some(next) = self.down_next.take().filter(|_| !self.met) {
                    jobs.push((Way::Down, next));
                }
                jobs
            }
            // What was opened meanwhile has made the list longer than was promised.
            _ if page == self.promised => {
                self.promised += 1;
                vec![(Way::Numbered(self.promised), next.clone())]
            }
            _ => Vec::new(),
        }
    }

    fn at_an_end(
        &mut self,
        way: Way,
        other: Way,
        numbers: BTreeSet<u64>,
        next: Option<&Url>,
    ) -> Vec<(Way, Url)> {
        if way == Way::Down && self.seen.is_empty() {
            // It was faster than the first page, which tells how to go on.
            self.down_next = next.cloned();
            self.seen.insert(Way::Down, numbers);
            return Vec::new();
        }
        let has_met = self.seen.get(&other).is_some_and(|seen| !seen.is_disjoint(&numbers));
        self.met |= has_met || next.is_none();
        self.seen.entry(way).or_default().extend(numbers);
        next.filter(|_| !self.met && !self.numbered).map(|next| (way, next.clone())).into_iter().collect()
    }

    /// Numbers between the end of one page and the beginning of the next: whoever stood there may have been shifted
    /// past the reader.
    pub(super) fn gaps(&self) -> Vec<u64> {
        let mut edges = self.edges.values();
        let mut gaps = Vec::new();
        let Some((_, mut end)) = edges.next().copied() else { return gaps };
        for (lowest, highest) in edges {
            gaps.extend(end + 1..*lowest);
            end = end.max(*highest);
        }
        gaps
    }
}

/// The number in `page=`.
fn page_of(url: &Url) -> Option<u64> {
    url.query_pairs().find(|(name, _)| name == "page").and_then(|(_, value)| value.parse().ok())
}

/// The same list, the newest first.
fn other_end(first: &Url) -> Url {
    replaced(first, "direction", "desc")
}

fn replaced(url: &Url, name: &str, value: &str) -> Url {
    let pairs: Vec<(String, String)> = url
        .query_pairs()
        .map(|(key, old)| {
            let value = if key == name { value.to_owned() } else { old.into_owned() };
            (key.into_owned(), value)
        })
        .collect();
    let mut changed = url.clone();
    changed.query_pairs_mut().clear().extend_pairs(pairs);
    changed
}

/// Whether an item of the list is a pull request.
pub(super) fn is_pull_request(item: &Value) -> bool {
    item.get("pull_request").is_some_and(|value| !value.is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::links;
    use super::*;

    const FIRST: &str = "https://x/issues?direction=asc&per_page=2";

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn page(numbers: &[u64], next: Option<&str>, last: Option<&str>) -> Answer {
        let body = numbers.iter().map(|number| json!({ "number": number })).collect::<Vec<_>>();
        Answer { body: json!(body), next: next.map(url), last: last.map(url), ..Answer::default() }
    }

    /// Reads a list of the numbers 1 to `total`, two a page, as a server of either kind pages it.
    fn read(total: u64, cursors: bool, long: bool) -> (BTreeSet<u64>, usize) {
        let (mut list, mut jobs) = List::new(url(FIRST), long);
        let (mut seen, mut asked) = (BTreeSet::new(), 0);
        let mut order = 7;
        while !jobs.is_empty() {
            // Answers come in any order.
            order = order * 31 % 1009;
            let (way, address) = jobs.remove(order % jobs.len());
            asked += 1;
            let parameter =
                |name: &str| address.query_pairs().find(|(key, _)| key == name).map(|(_, v)| v.into_owned());
            let from: u64 = match (parameter("page"), parameter("after")) {
                (Some(page), _) => (page.parse::<u64>().unwrap() - 1) * 2,
                (_, Some(after)) => after.parse().unwrap(),
                _ => 0,
            };
            let down = parameter("direction").as_deref() == Some("desc");
            let nth = |index: u64| if down { total - index } else { index + 1 };
            let numbers: Vec<u64> = (from..(from + 2).min(total)).map(nth).collect();
            let more = from + 2 < total;
            let direction = if down { "desc" } else { "asc" };
            let link = |rest: String| {
                format!("https://x/repositories/1/issues?direction={direction}&per_page=2&{rest}")
            };
            let next = if cursors { format!("after={}", from + 2) } else { format!("page={}", from / 2 + 2) };
            let end = (!cursors && more).then(|| link(format!("page={}", total.div_ceil(2))));
            let answer = page(&numbers, more.then(|| link(next)).as_deref(), end.as_deref());
            seen.extend(numbers);
            jobs.extend(list.take(way, &answer));
        }
        assert_eq!(list.outstanding, 0);
        (seen, asked)
    }

    #[test]
    fn a_list_is_read_whole_in_either_way_of_paging() {
        for total in 0..40 {
            let whole: BTreeSet<u64> = (1..=total).collect();
            let pages = usize::try_from(total.div_ceil(2).max(1)).unwrap();
            assert_eq!(read(total, false, false), (whole.clone(), pages), "{total} by number");
            let (seen, asked) = read(total, false, true);
            assert_eq!(seen, whole, "{total} by number, from both ends");
            assert!(asked == pages || pages == 1, "{total} by number: {asked} requests");
            for long in [false, true] {
                let (seen, asked) = read(total, true, long);
                assert_eq!(seen, whole, "{total} by cursor");
                assert!(asked <= pages + 2, "{total} by cursor: {asked} requests");
            }
        }
    }

    #[test]
    fn a_list_that_grows_is_followed_beyond_its_promised_end() {
        let (mut list, _) = List::new(url(FIRST), false);
        let end = "https://x/issues?page=2";
        assert_eq!(list.take(Way::Numbered(1), &page(&[1, 2], Some(end), Some(end))).len(), 1);
        let more = list.take(Way::Numbered(2), &page(&[3, 4], Some("https://x/issues?page=3"), None));
        assert_eq!(more, [(Way::Numbered(3), url("https://x/issues?page=3"))]);
        assert!(list.take(Way::Numbered(3), &page(&[5], None, None)).is_empty());
    }

    #[test]
    fn what_a_shift_may_have_hidden_stands_between_two_pages() {
        let (mut list, _) = List::new(url(FIRST), false);
        let end = "https://x/issues?page=3";
        list.take(Way::Numbered(1), &page(&[1, 2], Some("https://x/issues?page=2"), Some(end)));
        // 2 was closed, and 3 moved to the first page after that had been read.
        list.take(Way::Numbered(2), &page(&[4, 6], Some(end), Some(end)));
        list.take(Way::Numbered(3), &page(&[7, 8], None, None));
        assert_eq!(list.gaps(), [3]);
    }

    /// The pages that the real service once gave (tests/data/github/recorded), whose links name the repository by
    /// its number.
    #[test]
    fn recorded_links_lead_to_every_page_at_once() {
        let recorded: Vec<Value> =
            serde_json::from_str(include_str!("../../tests/data/github/recorded/paginate-issues.json"))
                .unwrap();
        let answer = |exchange: &Value| {
            let link = exchange["headers"]["link"].as_str().unwrap().parse().unwrap();
            let headers = [(ureq::http::header::LINK, link)].into_iter().collect();
            let (next, last) = (links::to(&headers, "next"), links::to(&headers, "last"));
            Answer { body: exchange["response"].clone(), next, last, ..Answer::default() }
        };
        let address = |exchange: &Value| {
            url("https://api.github.com").join(exchange["path"].as_str().unwrap()).unwrap()
        };
        let (mut list, first) = List::new(address(&recorded[0]), false);
        assert_eq!(first, [(Way::Numbered(1), address(&recorded[0]))]);
        let jobs = list.take(Way::Numbered(1), &answer(&recorded[0]));
        let asked: Vec<Url> = jobs.iter().map(|(_, url)| url.clone()).collect();
        assert_eq!(asked, recorded[1..].iter().map(address).collect::<Vec<_>>());
        for ((way, _), exchange) in jobs.into_iter().zip(&recorded[1..]) {
            assert!(list.take(way, &answer(exchange)).is_empty());
        }
        assert_eq!(list.outstanding, 0);
    }
}
