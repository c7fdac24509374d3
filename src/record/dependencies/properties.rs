//! What holds for whatever waits for whatever.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Node, State, judge, mentioned};
use crate::record::Reference;

const MANY: usize = 9;

/// Who can get where, the slow way: take every issue in turn as a stop on the way.
fn reachable(waits: &BTreeSet<(usize, usize)>) -> Vec<[bool; MANY]> {
    let mut reach = vec![[false; MANY]; MANY];
    for (from, to) in waits {
        reach[*from][*to] = true;
    }
    for stop in 0..MANY {
        for from in 0..MANY {
            for to in 0..MANY {
                reach[from][to] |= reach[from][stop] && reach[stop][to];
            }
        }
    }
    reach
}

fn reference(number: usize) -> Reference {
    Reference::Here(number as u64 + 1)
}

proptest! {
    #[test]
    fn a_circle_is_named_where_there_is_one_and_only_there(
        edges in prop::collection::vec((0..MANY, 0..MANY, 0..4u8), 0..24),
        acyclic in any::<bool>(),
    ) {
        // Without the edges back no circle is possible.
        let edges: Vec<_> = edges.into_iter().filter(|(from, to, _)| !acyclic || from < to).collect();
        let mut nodes: Vec<Node> = (0..MANY)
            .map(|number| Node { reference: reference(number), blockers: vec![], open_sub_issues: vec![] })
            .collect();
        for (from, to, how) in &edges {
            match how {
                0 => nodes[*from].open_sub_issues.push(reference(*to)),
                1 => nodes[*from].blockers.push((reference(*to), State::Unknown)),
                2 => nodes[*from].blockers.push((reference(*to), State::Open)),
                _ => nodes[*from].blockers.push((reference(*to), State::Closed)),
            }
        }
        let waits: BTreeSet<(usize, usize)> =
            edges.iter().filter(|(_, _, how)| *how < 3).map(|(from, to, _)| (*from, *to)).collect();
        let reach = reachable(&waits);
        let judged = judge(&nodes);
        for number in 0..MANY {
            let reasons = &judged[&reference(number)];
            let circles: Vec<&String> = reasons.iter().filter(|reason| reason.contains("circle")).collect();
            prop_assert_eq!(!circles.is_empty(), reach[number][number], "#{}: {:?}", number + 1, reasons);
            prop_assert!(!acyclic || circles.is_empty());
            prop_assert_eq!(reasons.is_empty(), waits.iter().all(|(from, _)| *from != number));
            for circle in circles {
                let way = circle.split_once(": ").unwrap().1.split_once(';').unwrap().0;
                let way: Vec<usize> =
                    way.split(" → ").map(|at| at[1..].parse::<usize>().unwrap() - 1).collect();
                prop_assert!(way.windows(2).all(|step| waits.contains(&(step[0], step[1]))), "{}", circle);
                prop_assert_eq!((way[0], way.last()), (*way.iter().min().unwrap(), way.first()));
                prop_assert!(way.contains(&number));
                prop_assert_eq!(way.iter().collect::<BTreeSet<_>>().len(), way.len() - 1, "twice: {}", circle);
            }
        }
    }

    #[test]
    fn no_body_makes_the_reader_panic(body in "([a-z #>`\\-\\[\\]()!<&*_\n]|blocked by|depends-on:|o/r#7|#12|é){0,40}") {
        let found = mentioned(&body, "me/mine", 12, "github.com");
        prop_assert!(!found.contains(&Reference::Here(12)));
        prop_assert_eq!(found.iter().collect::<BTreeSet<_>>().len(), found.len());
    }
}
