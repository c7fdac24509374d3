//! When a usage limit ends, read out of what clients say. Pure: the clock and the local time zone are handed in.
//!
//! The words differ by client, version and plan (`…|1764000000`, `resets 3pm (Europe/Berlin)`, `resets Nov 25, 3am`,
//! `try again in 4 days 20 hours`, `retry after 600 seconds`), so nothing is taken for a moment that does not follow a
//! word about the end of a limit, or have the form of a full date; and nothing that lies in the past, or so far away
//! that a misread number would keep a fleet from work.

use chrono::{
    DateTime, Datelike, Duration, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Weekday,
};
use chrono_tz::Tz;

use crate::clock::Timestamp;

#[cfg(test)]
mod tests;

/// The longest window of any plan is a week, and clocks differ.
const FURTHEST_DAYS: i64 = 8;

/// The moment that a text names as the limit's end; none where it names none that can be believed.
pub fn parse(text: &str, now: Timestamp, local: Tz) -> Option<Timestamp> {
    let words = words(text);
    let candidates = [epoch(text), full_date(&words, local)].into_iter().flatten();
    let after_words = (0..words.len()).filter_map(|at| anchored(&words[at..], now, local));
    candidates.chain(after_words).find(|moment| {
        let away = *moment - now;
        Duration::zero() < away && away <= Duration::days(FURTHEST_DAYS)
    })
}

/// Words, without what stands around them.
fn words(text: &str) -> Vec<&str> {
    let between = |c: char| c.is_whitespace() || "(),;·∙•\"'[]{}=|".contains(c);
    let words = text.split(between).map(|word| word.trim_end_matches(['.', '!', '?', ':']));
    words.filter(|word| !word.is_empty()).collect()
}

fn same(word: &str, others: &[&str]) -> bool {
    others.iter().any(|other| word.eq_ignore_ascii_case(other))
}

/// `…|1764000000`: seconds, or milliseconds, since 1970.
fn epoch(text: &str) -> Option<Timestamp> {
    text.split('|').skip(1).find_map(|rest| {
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        let number: i64 = digits.parse().ok()?;
        match digits.len() {
            10 => DateTime::from_timestamp(number, 0),
            13 => DateTime::from_timestamp_millis(number),
            _ => None,
        }
    })
}

/// `2026-01-31T09:30:00Z`, `2026-01-31 09:30 UTC` and their like, anywhere.
fn full_date(words: &[&str], local: Tz) -> Option<Timestamp> {
    (0..words.len()).find_map(|at| {
        let word = words[at];
        if let Ok(moment) = DateTime::parse_from_rfc3339(word) {
            return Some(moment.to_utc());
        }
        let (date, time, next) = match word.split_once(['T', 't']) {
            Some((date, time)) => (date, time, at + 1),
            None => (word, *words.get(at + 1)?, at + 2),
        };
        let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
        let (time, zone) = match time.strip_suffix(['Z', 'z']) {
            Some(time) => (time, Tz::UTC),
            None => (time, words.get(next).and_then(|word| zone(word)).unwrap_or(local)),
        };
        moment(date.and_time(clock_time(time, None)?), zone)
    })
}

/// What follows a word about the end of a limit.
fn anchored(words: &[&str], now: Timestamp, local: Tz) -> Option<Timestamp> {
    let first = words.first()?.to_ascii_lowercase();
    let second = words.get(1).map(|word| word.to_ascii_lowercase()).unwrap_or_default();
    let is_retry_after = first.starts_with("retry-after") || (first == "retry" && second == "after");
    let is_anchor = is_retry_after
        || ["reset", "retrydelay", "retry-after"].iter().any(|word| first.starts_with(word))
        || (["try", "retry"].contains(&first.as_str()) && ["again", "in", "at"].contains(&second.as_str()))
        || ["available", "until"].contains(&first.as_str());
    if !is_anchor {
        return None;
    }
    let fillers =
        ["again", "after", "at", "on", "in", "about", "around", "approximately", "by", "is", "be", "time"];
    let rest = &words[1..];
    let skipped = rest.iter().take_while(|word| same(word, &fillers)).count();
    let rest = &rest[skipped..];
    if is_retry_after
        && let Some(seconds) = rest.first().and_then(|word| word.parse::<u32>().ok())
        && rest.get(1).is_none_or(|word| unit(word).is_none())
    {
        return Some(now + Duration::seconds(i64::from(seconds)));
    }
    duration(rest).map(|wait| now + wait).or_else(|| calendar(rest, now, local))
}

/// Milliseconds of a unit of time.
fn unit(word: &str) -> Option<f64> {
    Some(match word.to_ascii_lowercase().as_str() {
        "ms" => 1.0,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600_000.0,
        "d" | "day" | "days" => 86_400_000.0,
        _ => return None,
    })
}

/// `4 days 20 hours 9 minutes`, `13h21m4s`, `34.07s`.
fn duration(words: &[&str]) -> Option<Duration> {
    let mut sum = 0.0;
    let mut number: Option<f64> = None;
    let mut found = false;
    'words: for word in words.iter().filter(|word| !same(word, &["and"])) {
        let mut rest = *word;
        while !rest.is_empty() {
            let is_part = |c: char| c.is_ascii_digit() || c == '.';
            let end = rest.find(|c| is_part(c) != rest.starts_with(is_part)).unwrap_or(rest.len());
            let (part, after) = rest.split_at(end);
            if part.starts_with(is_part) {
                let Ok(value) = part.parse() else { break 'words };
                if number.replace(value).is_some() {
                    break 'words;
                }
            } else {
                let (Some(value), Some(unit)) = (number.take(), unit(part)) else { break 'words };
                sum += value * unit;
                found = true;
            }
            rest = after;
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "no more than a century, which is refused later")]
    found.then(|| Duration::milliseconds(sum.clamp(0.0, 3.2e12).ceil() as i64))
}

/// A day, as people say it.
#[derive(Debug, Clone, Copy)]
enum Day {
    Unsaid,
    Today,
    Tomorrow,
    Of(Weekday),
    Date { year: Option<i32>, month: u32, day: u32 },
}

/// `3pm (Europe/Berlin)`, `at 14:30`, `Nov 25, 3am`, `tomorrow at 9:00`.
fn calendar(words: &[&str], now: Timestamp, local: Tz) -> Option<Timestamp> {
    let (day, used) = day(words);
    let rest = &words[used..];
    let skipped = rest.iter().take_while(|word| same(word, &["at", "on", "by"])).count();
    let rest = &rest[skipped..];
    let half = rest.get(1).copied().filter(|word| same(word, &["am", "pm", "a.m", "p.m"]));
    let time = rest.first().and_then(|word| clock_time(word, half));
    let time = match (time, day) {
        (Some(time), _) => time,
        (None, Day::Of(_) | Day::Date { .. }) => NaiveTime::MIN,
        (None, _) => return None,
    };
    let zone = rest.iter().take(3).find_map(|word| zone(word)).unwrap_or(local);
    let today = now.with_timezone(&zone).date_naive();
    let on = |date: NaiveDate| moment(date.and_time(time), zone);
    let next = |days: i64| today.checked_add_signed(Duration::days(days)).and_then(on);
    match day {
        Day::Today => next(0),
        Day::Tomorrow => next(1),
        Day::Unsaid => next(0).filter(|moment| *moment > now).or_else(|| next(1)),
        Day::Of(weekday) => {
            let away = weekday.days_since(today.weekday());
            next(away.into()).filter(|moment| *moment > now).or_else(|| next(i64::from(away) + 7))
        }
        Day::Date { year: Some(year), month, day } => NaiveDate::from_ymd_opt(year, month, day).and_then(on),
        Day::Date { year: None, month, day } => {
            let of = |year| NaiveDate::from_ymd_opt(year, month, day).and_then(on);
            // At the turn of the year the next one is meant.
            of(today.year()).filter(|moment| *moment > now).or_else(|| of(today.year() + 1))
        }
    }
}

/// The day that some words begin with, and how many of them it took.
fn day(words: &[&str]) -> (Day, usize) {
    let Some(first) = words.first() else { return (Day::Unsaid, 0) };
    if same(first, &["today", "tomorrow"]) {
        return (if same(first, &["today"]) { Day::Today } else { Day::Tomorrow }, 1);
    }
    if let Some(weekday) = first.parse().ok().filter(|_| first.len() >= 3) {
        // `Monday, Nov 25`: the date says more.
        return match day(&words[1..]) {
            (date @ Day::Date { .. }, used) => (date, used + 1),
            _ => (Day::Of(weekday), 1),
        };
    }
    let month = |word: &&str| Some(word.parse::<chrono::Month>().ok()?.number_from_month());
    let number = |word: &&str| -> Option<u32> {
        let digits = ["st", "nd", "rd", "th"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word);
        digits.parse().ok().filter(|day| (1..=31).contains(day))
    };
    let pair = words
        .get(1)
        .and_then(|second| month(first).zip(number(second)).or_else(|| month(second).zip(number(first))));
    let Some((month, day)) = pair else { return (Day::Unsaid, 0) };
    let year = words.get(2).and_then(|word| word.parse().ok()).filter(|year| (2000..2100).contains(year));
    (Day::Date { year, month, day }, if year.is_some() { 3 } else { 2 })
}

/// `14:30`, `3pm`, `3:05 PM` with the half of the day apart. A bare number is no time.
fn clock_time(word: &str, half: Option<&str>) -> Option<NaiveTime> {
    let word = word.to_ascii_lowercase();
    let (digits, of_word) = match word.find(|c: char| c != ':' && !c.is_ascii_digit()) {
        Some(at) => (&word[..at], Some(&word[at..])),
        None => (word.as_str(), None),
    };
    let half = of_word.or(half).map(|half| half.replace('.', "").to_ascii_lowercase());
    let mut parts = digits.split(':').map(|part| part.parse::<u32>().ok());
    let hour = parts.next()??;
    let (minute, second) = (parts.next().unwrap_or(Some(0))?, parts.next().unwrap_or(Some(0))?);
    let hour = match half.as_deref() {
        Some("am") if (1..=12).contains(&hour) => hour % 12,
        Some("pm") if (1..=12).contains(&hour) => hour % 12 + 12,
        None if digits.contains(':') => hour,
        _ => return None,
    };
    NaiveTime::from_hms_opt(hour, minute, second)
}

/// A time zone by its name, or by an abbreviation that means one place wherever these clients are used.
fn zone(word: &str) -> Option<Tz> {
    if word.contains('/') {
        return word.parse().ok();
    }
    Some(match word.to_ascii_uppercase().as_str() {
        "UTC" | "GMT" | "Z" => Tz::UTC,
        "PT" | "PST" | "PDT" => Tz::America__Los_Angeles,
        "MT" | "MST" | "MDT" => Tz::America__Denver,
        "CT" | "CST" | "CDT" => Tz::America__Chicago,
        "ET" | "EST" | "EDT" => Tz::America__New_York,
        "CET" | "CEST" => Tz::Europe__Berlin,
        _ => return None,
    })
}

/// A local time as a moment; the later one where the clock is put back, an hour later where it is put forward.
fn moment(local: NaiveDateTime, zone: Tz) -> Option<Timestamp> {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::Single(moment) | MappedLocalTime::Ambiguous(_, moment) => Some(moment.to_utc()),
        MappedLocalTime::None => {
            zone.from_local_datetime(&(local + Duration::hours(1))).latest().map(|moment| moment.to_utc())
        }
    }
}
