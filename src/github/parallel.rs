//! Several requests at once.

use std::collections::VecDeque;
use std::sync::mpsc;

use crate::error::Result;

/// GitHub asks for few at a time; this many keep a slow line full.
pub(super) const WIDTH: usize = 8;

/// Works on jobs, [`WIDTH`] at a time. Each result comes back to the caller's thread, which may answer with more
/// jobs; they queue up behind those that wait, the urgent before them. The first error ends it, as soon as what is under way has ended.
pub(super) fn run<J: Send, R: Send>(
    jobs: Vec<J>,
    urgent: impl Fn(&J) -> bool,
    work: impl Fn(J) -> Result<R> + Sync,
    mut take: impl FnMut(R) -> Result<Vec<J>>,
) -> Result<()> {
    let mut waiting = VecDeque::from(jobs);
    let mut free = WIDTH;
    let (sender, receiver) = mpsc::channel();
    let work = &work;
    std::thread::scope(|scope| {
        loop {
            while free > 0
                && let Some(job) = waiting.pop_front()
            {
                free -= 1;
                let sender = sender.clone();
                scope.spawn(move || {
                    // Nobody listens any more after an error.
                    let _ = sender.send(work(job));
                });
            }
            if free == WIDTH {
                return Ok(());
            }
            // One sender is kept here: there is always something to wait for.
            let Ok(result) = receiver.recv() else { return Ok(()) };
            free += 1;
            for job in take(result?)? {
                if urgent(&job) {
                    waiting.push_front(job);
                } else {
                    waiting.push_back(job);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, Kind};

    #[test]
    fn every_job_is_done_once_and_never_too_many_at_a_time() {
        let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = |job: u64| {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(1));
            now.fetch_sub(1, Ordering::SeqCst);
            Ok(job)
        };
        let mut done = Vec::new();
        // Each job below 30 asks for one a hundred further on.
        run(
            (0..60).collect(),
            |job| job % 2 == 0,
            work,
            |job| {
                done.push(job);
                Ok(if job < 30 { vec![job + 100] } else { Vec::new() })
            },
        )
        .unwrap();
        done.sort_unstable();
        assert_eq!(done, (0..60).chain(100..130).collect::<Vec<_>>());
        assert!(most.load(Ordering::SeqCst) <= WIDTH);
    }

    #[test]
    fn an_error_ends_it() {
        let fail = |job: u64| if job == 3 { Err(Error::new(Kind::Failed, "three")) } else { Ok(job) };
        let error = run((0..100).collect(), |_| false, fail, |_| Ok(Vec::new())).unwrap_err();
        assert_eq!(error.to_string(), "three");
    }
}
