use super::*;

fn at(seconds: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

const READ: Demand = Demand { resource: Resource::Core, effect: Effect::Read };
const WRITE: Demand = Demand { resource: Resource::Core, effect: Effect::Write };
const CREATE: Demand = Demand { resource: Resource::Core, effect: Effect::Create };
const QUERY: Demand = Demand { resource: Resource::GraphQl, effect: Effect::Read };

/// Failures, one a second.
fn failures(count: i64) -> Vec<(Resource, Lesson, i64)> {
    (0..count).map(|second| (Resource::Core, Lesson::Failed, second)).collect()
}

/// When a request that waits as long as it must is sent, from a moment on.
fn sent(budget: &mut Budget, demand: Demand, from: i64) -> i64 {
    sent_at_pace(budget, demand, from, TimeDelta::seconds(1))
}

fn sent_at_pace(budget: &mut Budget, demand: Demand, from: i64, pause: TimeDelta) -> i64 {
    let (mut now, mut turn) = (at(from), Turn::default());
    for _ in 0..1000 {
        match budget.ask(demand, &mut turn, now, pause, TimeDelta::days(9)) {
            Leave::Granted => return (now - at(0)).num_seconds(),
            Leave::NotBefore(then, _) => now = then,
        }
    }
    panic!("never sent");
}

#[test]
fn each_limit_forbids_what_it_is_about_and_no_longer_than_it_says() {
    type Case = (&'static str, Vec<(Resource, Lesson, i64)>, Demand, i64, i64);
    let primary = Lesson::Primary(at(100));
    let secondary = Lesson::Secondary(None);
    let cases: Vec<Case> = vec![
        ("nothing is known", vec![], READ, 0, 0),
        ("the primary limit waits for its reset", vec![(Resource::Core, primary, 0)], READ, 5, 101),
        ("it is over after that", vec![(Resource::Core, primary, 0)], READ, 200, 200),
        ("another resource has its own", vec![(Resource::Core, primary, 0)], QUERY, 5, 5),
        ("GraphQL too", vec![(Resource::GraphQl, primary, 0)], QUERY, 5, 101),
        (
            "the last request of a window",
            vec![(Resource::Core, Lesson::Answered(Some(Quota { remaining: 0, reset: at(50) })), 0)],
            READ,
            5,
            51,
        ),
        ("a secondary limit is a minute at least", vec![(Resource::Core, secondary, 0)], QUERY, 5, 60),
        (
            "a shorter retry-after is not believed",
            vec![(Resource::Core, Lesson::Secondary(Some(3)), 0)],
            READ,
            5,
            60,
        ),
        ("a longer one is", vec![(Resource::Core, Lesson::Secondary(Some(300)), 0)], READ, 5, 300),
        (
            "the second time it is two minutes",
            vec![(Resource::Core, secondary, 0), (Resource::Core, secondary, 60)],
            READ,
            61,
            180,
        ),
        (
            "requests refused together count once",
            vec![(Resource::Core, secondary, 0), (Resource::Core, secondary, 1)],
            READ,
            2,
            121,
        ),
        (
            "a quiet time forgives",
            vec![
                (Resource::Core, secondary, 0),
                (Resource::Core, Lesson::Answered(None), 700),
                (Resource::Core, secondary, 800),
            ],
            READ,
            801,
            860,
        ),
        ("four failures change nothing", failures(4), READ, 4, 4),
        ("five open the circuit", failures(5), READ, 5, 34),
        ("six for twice as long", failures(6), READ, 6, 65),
        ("what was under way together fails once", vec![(Resource::Core, Lesson::Failed, 0); 9], READ, 2, 2),
        (
            "what was on its way when another was refused knows nothing of it",
            vec![
                (Resource::Core, primary, 10),
                (Resource::Core, Lesson::Answered(Some(Quota { remaining: 9, reset: at(100) })), 10),
            ],
            READ,
            11,
            101,
        ),
        (
            "an answer closes it",
            [failures(5), vec![(Resource::Core, Lesson::Answered(None), 5)]].concat(),
            READ,
            6,
            6,
        ),
    ];
    for (what, lessons, demand, from, expected) in cases {
        let mut budget = Budget::default();
        for (resource, lesson, when) in lessons {
            budget.learn(resource, lesson, at(when), at(when));
        }
        assert_eq!(sent(&mut budget, demand, from), expected, "{what}");
    }
}

#[test]
fn writes_are_a_second_apart_and_content_is_created_80_times_a_minute_500_times_an_hour() {
    let mut budget = Budget::default();
    let times: Vec<i64> = (0..600).map(|_| sent(&mut budget, CREATE, 0)).collect();
    assert_eq!(&times[..3], [0, 1, 2]);
    assert!(times.windows(2).all(|pair| pair[1] > pair[0]), "a second between writes");
    let mut unpaced = Budget::default();
    let mut crowd: Vec<i64> =
        (0..600).map(|_| sent_at_pace(&mut unpaced, CREATE, 0, TimeDelta::zero())).collect();
    crowd.sort_unstable();
    assert_eq!((crowd[79], crowd[80], crowd[499]), (0, 60, 360));
    for times in [times, crowd] {
        for (length, allowed) in [(60, 80), (3600, 500)] {
            for start in &times {
                let within = times.iter().filter(|time| (*start..*start + length).contains(time)).count();
                assert!(within <= allowed, "{within} in {length} s from {start}");
            }
        }
    }
    // What creates nothing only keeps the second.
    let mut budget = Budget::default();
    assert_eq!((0..100).map(|_| sent(&mut budget, WRITE, 0)).max(), Some(99));
}

#[test]
fn a_minute_holds_900_points() {
    let mut budget = Budget::default();
    let mut at_once = (0..900).map(|_| sent(&mut budget, READ, 0));
    assert!(at_once.all(|time| time == 0));
    assert_eq!(sent(&mut budget, READ, 0), 60);
    assert_eq!(sent(&mut budget, QUERY, 0), 0, "GraphQL counts for itself");
}

#[test]
fn one_probe_goes_alone() {
    let mut budget = Budget::default();
    for (resource, lesson, when) in failures(5) {
        budget.learn(resource, lesson, at(when), at(when));
    }
    let ask = |budget: &mut Budget, now| {
        budget.ask(READ, &mut Turn::default(), at(now), TimeDelta::seconds(1), TimeDelta::days(1))
    };
    assert_eq!(ask(&mut budget, 34), Leave::Granted, "the probe");
    assert!(matches!(ask(&mut budget, 35), Leave::NotBefore(_, Why::Trouble)), "the others wait");
    assert_eq!(ask(&mut budget, 35 + PROBE_SECONDS), Leave::Granted, "a probe that was killed is replaced");
    budget.learn(Resource::Core, Lesson::Answered(None), at(199), at(200));
    assert_eq!(ask(&mut budget, 200), Leave::Granted);
    assert_eq!(ask(&mut budget, 200), Leave::Granted, "closed again");
}

#[test]
fn whoever_will_not_wait_leaves_nothing_behind() {
    let mut budget = Budget::default();
    sent(&mut budget, CREATE, 0);
    let before = budget.clone();
    let leave = budget.ask(CREATE, &mut Turn::default(), at(0), TimeDelta::seconds(1), TimeDelta::zero());
    assert_eq!(leave, Leave::NotBefore(at(1), Why::Pace));
    assert_eq!(budget.next_write, before.next_write);
    assert_eq!(budget.creations, before.creations);
}

#[test]
fn a_turn_is_kept_while_others_come() {
    let mut budget = Budget::default();
    let ask = |budget: &mut Budget, turn: &mut Turn, now| {
        budget.ask(WRITE, turn, at(now), TimeDelta::seconds(1), TimeDelta::days(1))
    };
    let (mut first, mut second, mut third) = (Turn::default(), Turn::default(), Turn::default());
    assert_eq!(ask(&mut budget, &mut first, 0), Leave::Granted);
    assert_eq!(ask(&mut budget, &mut second, 0), Leave::NotBefore(at(1), Why::Pace));
    assert_eq!(ask(&mut budget, &mut third, 0), Leave::NotBefore(at(2), Why::Pace));
    assert_eq!(ask(&mut budget, &mut second, 1), Leave::Granted, "the second does not go to the end again");
    // A limit that comes meanwhile holds for those that wait as well.
    budget.learn(Resource::Core, Lesson::Secondary(None), at(1), at(1));
    assert_eq!(ask(&mut budget, &mut third, 2), Leave::NotBefore(at(61), Why::Secondary));
}

/// Answers overtake one another, and know nothing of what is still under way: nobody sends more than is left.
#[test]
fn what_is_under_way_is_used_up_already() {
    let mut budget = Budget::default();
    let quota = |remaining| Lesson::Answered(Some(Quota { remaining, reset: at(3600) }));
    let ask = |budget: &mut Budget, second: i64| {
        let leave = budget.ask(READ, &mut Turn::default(), at(second), TimeDelta::zero(), TimeDelta::zero());
        leave == Leave::Granted
    };
    assert!(ask(&mut budget, 0));
    budget.learn(Resource::Core, quota(3), at(0), at(1));
    for second in [2, 3] {
        assert!(ask(&mut budget, second));
    }
    // The second to be sent is answered first, and saw both; the answer to the first saw only itself.
    budget.learn(Resource::Core, quota(1), at(3), at(4));
    assert!(!ask(&mut budget, 4), "one is left, and may be that which is under way");
    budget.learn(Resource::Core, quota(2), at(2), at(5));
    assert!(!ask(&mut budget, 5), "an older answer");
    budget.learn(Resource::Core, quota(5000), at(3601), at(3602));
    assert!(ask(&mut budget, 3603));
}
