//! One thread writes, in groups: whatever has come while the last group was written becomes the next one, so that one sync
//! of the disk serves many.
//!
//! A caller that was just answered is often the next to ask. Where a sync takes long, the thread therefore waits a little
//! (an eighth of what the last group took) for as many as it has just answered, instead of going off with the first one and
//! leaving the others to the group after: with 64 callers, groups of 64 in place of groups of 1 and 63 in turn. Where it is
//! quick the callers take turns instead: while one half is brought to disk the other half is worked for, and the thread never
//! waits. A caller who is alone never waits either.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tokio::sync::oneshot;
use tradewind_core::{Clock, Moment};

use crate::embedded::task::{Job, Outcome, Task};
use crate::error::StoreError;

/// Tasks that may wait; more are refused as [`StoreError::Busy`].
const MOST_WAITING: usize = 8192;
/// Bytes that may wait, save that one task may always.
const MOST_BYTES: usize = 64 << 20;
/// Tasks that are written together at most.
const MOST_TOGETHER: usize = 1024;
/// Bytes that are written together at most, save that one task always is.
const BYTES_TOGETHER: usize = 8 << 20;
/// A writer with nothing to do looks after its files this often.
const REST: Duration = Duration::from_secs(5);
/// What a task takes of the time of its group, about; the rest of that time is what a group costs, however many there are.
const EACH: Duration = Duration::from_micros(12);
/// Where a group costs less, the next one is begun without waiting: while it is written the other callers come back.
const WORTH_WAITING: Duration = Duration::from_micros(500);
/// The longest that a group is waited for.
const MOST_PATIENCE: Duration = Duration::from_millis(2);

/// What an engine does with the tasks of one group.
pub(crate) trait Backend: Send + 'static {
    /// Does all of them, makes them as durable as was promised, lets readers see them, and answers: before it returns, or
    /// from another thread while it is at the next group already. Groups are answered in order.
    fn write(&mut self, tasks: Vec<Task>, waiting: Waiting);

    /// Waits until every group is answered.
    fn settle(&mut self) {}

    /// Looks after files, between groups: after each one, and every few seconds when there is nothing to write.
    fn tidy(&mut self, idle: bool);

    /// Finishes, after the last group.
    ///
    /// # Errors
    /// When something could not be finished; what was acknowledged is safe nevertheless.
    fn close(&mut self) -> Result<(), StoreError>;
}

/// Who waits for a group.
pub(crate) struct Waiting {
    replies: Vec<oneshot::Sender<Result<Outcome, StoreError>>>,
    begun: Moment,
    worked: Duration,
    paused: Duration,
    queue: Arc<Queue>,
    clock: Arc<dyn Clock>,
}

impl Waiting {
    /// Whether others wait as well, for the next group.
    pub(crate) fn others_wait(&self) -> bool {
        !self.queue.coming.lock().jobs.is_empty()
    }

    /// The group is worked out, which may have happened while another one was made durable; waits until this one may be. That
    /// is not counted as its time.
    pub(crate) fn worked_out<T>(&mut self, wait: impl FnOnce() -> T) -> T {
        let now = self.clock.now();
        self.worked = now.since(self.begun).saturating_sub(self.paused);
        let waited = wait();
        self.paused += self.clock.now().since(now);
        waited
    }

    /// Tells each how it went: one answer for each task, in order.
    pub(crate) fn answer(self, answers: Vec<Result<Outcome, StoreError>>) {
        let took = self.clock.now().since(self.begun).saturating_sub(self.paused);
        let answered = answers.len();
        self.queue.tasks.fetch_add(answered as u64, Ordering::Relaxed);
        self.queue.groups.fetch_add(1, Ordering::Relaxed);
        let asking = self.queue.coming.lock().jobs.len() + self.queue.taken.fetch_sub(answered, Ordering::Relaxed);
        *self.queue.pace.lock() = Pace { took, worked: self.worked, answered, asking };
        for (reply, answer) in self.replies.into_iter().zip(answers) {
            // Whoever has gone away does not want to know.
            reply.send(answer).ok();
        }
    }
}

/// The way to the writing thread. Ends it when it is dropped, and waits for that.
pub(crate) struct Writing {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writing {
    /// Starts the thread.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the system has no more threads.
    pub(crate) fn start(name: &str, backend: impl Backend, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let queue = Arc::new(Queue::default());
        let of_thread = queue.clone();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || run(&of_thread, backend, &clock))
            .map_err(|error| StoreError::Unavailable(format!("no thread could be started: {error}")))?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    /// Hands a task over and waits for how it went. It is done also when the caller does not wait.
    ///
    /// # Errors
    /// [`StoreError::Busy`], [`StoreError::Unavailable`] after the end, [`StoreError::Unknown`] when the thread has died, and
    /// those of the backend.
    pub(crate) async fn ask(&self, task: Task) -> Result<Outcome, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.queue.push(Job { task, reply })?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writing thread has ended".to_owned())))
    }

    /// How many tasks were written, and in how many groups.
    pub(crate) fn written(&self) -> (u64, u64) {
        (self.queue.tasks.load(Ordering::Relaxed), self.queue.groups.load(Ordering::Relaxed))
    }

    /// Writes what was handed over before, and ends the thread.
    ///
    /// # Errors
    /// Those of [`Backend::close`].
    pub(crate) async fn close(&self) -> Result<(), StoreError> {
        let (reply, answer) = oneshot::channel();
        if !self.queue.close(Some(reply)) {
            return Ok(());
        }
        let result =
            answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the writing thread died".to_owned())));
        self.join();
        result
    }

    /// Ends the thread and waits until it is gone, with its files.
    pub(crate) fn join(&self) {
        self.queue.close(None);
        if let Some(thread) = self.thread.lock().take() {
            // A panic was reported when it happened, and those who waited were told.
            thread.join().ok();
        }
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.join();
    }
}

/// How long the last group took: what a sync costs here, and how many ask at once.
#[derive(Clone, Copy, Default)]
struct Pace {
    took: Duration,
    /// Of that, what went by while another group may have been made durable.
    worked: Duration,
    answered: usize,
    /// How many asked when it was answered, these among them.
    asking: usize,
}

impl Pace {
    /// How many to wait for, and how long.
    fn hope(&self) -> (usize, Duration) {
        let each = u32::try_from(self.answered).map_or(Duration::MAX, |count| EACH * count);
        // What is left of the group's time is worth another group's work when that is as long: half of all who ask are
        // brought to disk while the other half is worked for, in place of all of them at once.
        let rest = self.took.saturating_sub(self.worked);
        let goes_by = rest.as_secs_f64() * (self.answered as f64) < self.worked.as_secs_f64() * (self.asking as f64);
        if self.answered < 2 || goes_by || self.took.saturating_sub(each) < WORTH_WAITING {
            (1, Duration::ZERO)
        } else {
            (self.answered, (self.took / 8).min(MOST_PATIENCE))
        }
    }
}

/// Closes the queue when the thread ends, also by a panic, so that nobody waits for ever.
struct Gone<'a>(&'a Queue);

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        let mut coming = self.0.coming.lock();
        coming.closed = true;
        coming.jobs.clear();
        coming.last = None;
    }
}

fn run(queue: &Arc<Queue>, mut backend: impl Backend, clock: &Arc<dyn Clock>) {
    let gone = Gone(queue);
    loop {
        if queue.hope().0 > 1 {
            // They cannot come before they are answered.
            backend.settle();
        }
        match queue.take(queue.hope()) {
            Taken::Jobs(jobs) => {
                let (tasks, replies) = jobs.into_iter().map(|job| (job.task, job.reply)).unzip();
                let (queue, clock) = (queue.clone(), clock.clone());
                let waiting = Waiting {
                    replies,
                    begun: clock.now(),
                    worked: Duration::ZERO,
                    paused: Duration::ZERO,
                    queue,
                    clock,
                };
                backend.write(tasks, waiting);
                backend.tidy(false);
            }
            Taken::Nothing => backend.tidy(true),
            Taken::Closed(reply) => {
                backend.settle();
                let result = backend.close();
                // The files are let go of before anybody is told.
                drop(backend);
                drop(gone);
                if let Some(reply) = reply {
                    reply.send(result).ok();
                }
                return;
            }
        }
    }
}

enum Taken {
    Jobs(Vec<Job>),
    /// Nothing came for a while.
    Nothing,
    /// There is nothing left, and nothing more will come.
    Closed(Option<oneshot::Sender<Result<(), StoreError>>>),
}

/// Bounded in tasks and in bytes.
#[derive(Default)]
struct Queue {
    coming: Mutex<Coming>,
    filled: Condvar,
    pace: Mutex<Pace>,
    /// Tasks that were taken and are not answered.
    taken: AtomicUsize,
    /// Groups that were written, and the tasks in them.
    groups: AtomicU64,
    tasks: AtomicU64,
}

#[derive(Default)]
struct Coming {
    jobs: VecDeque<(Job, usize)>,
    bytes: usize,
    /// With how many the thread wants to be woken; 0 while it does not sleep.
    wanted: usize,
    closed: bool,
    last: Option<oneshot::Sender<Result<(), StoreError>>>,
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), StoreError> {
        let bytes = job.task.bytes();
        let mut coming = self.coming.lock();
        if coming.closed {
            return Err(StoreError::Unavailable("the store is closed".to_owned()));
        }
        let full = coming.jobs.len() >= MOST_WAITING || coming.bytes + bytes > MOST_BYTES;
        if full && !coming.jobs.is_empty() {
            return Err(StoreError::Busy);
        }
        coming.jobs.push_back((job, bytes));
        coming.bytes += bytes;
        if coming.wanted > 0 && coming.jobs.len() >= coming.wanted {
            coming.wanted = 0;
            drop(coming);
            self.filled.notify_one();
        }
        Ok(())
    }

    /// False when it was closed before.
    fn close(&self, last: Option<oneshot::Sender<Result<(), StoreError>>>) -> bool {
        let mut coming = self.coming.lock();
        let first = !coming.closed;
        if first {
            coming.closed = true;
            coming.last = last;
        }
        drop(coming);
        self.filled.notify_one();
        first
    }

    fn hope(&self) -> (usize, Duration) {
        self.pace.lock().hope()
    }

    fn take(&self, (hope, patience): (usize, Duration)) -> Taken {
        let mut coming = self.coming.lock();
        if coming.jobs.is_empty() && !coming.closed {
            coming.wanted = 1;
            self.filled.wait_for(&mut coming, REST);
        }
        if !coming.jobs.is_empty() && coming.jobs.len() < hope && coming.bytes < BYTES_TOGETHER && !coming.closed {
            coming.wanted = hope;
            self.filled.wait_for(&mut coming, patience);
        }
        coming.wanted = 0;
        let most = match self.taken.load(Ordering::Relaxed) {
            0 => MOST_TOGETHER,
            // A group is on its way to the disk: halves that are equal leave neither side waiting for the other.
            taken => (taken + coming.jobs.len()).div_ceil(2).min(MOST_TOGETHER),
        };
        let mut group = Vec::new();
        let mut bytes = 0;
        while group.len() < most
            && let Some((job, size)) =
                coming.jobs.pop_front_if(|(_, size)| group.is_empty() || bytes + *size <= BYTES_TOGETHER)
        {
            bytes += size;
            group.push(job);
        }
        coming.bytes -= bytes;
        self.taken.fetch_add(group.len(), Ordering::Relaxed);
        match (group.is_empty(), coming.closed) {
            (false, _) => Taken::Jobs(group),
            (true, true) => Taken::Closed(coming.last.take()),
            (true, false) => Taken::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use futures_util::FutureExt;
    use tradewind_core::UnixMillis;

    use super::*;
    use crate::name::Key;

    /// Every look at it is two milliseconds later: a slow disk.
    #[derive(Default)]
    struct SlowClock(Mutex<u64>);

    impl Clock for SlowClock {
        fn now(&self) -> Moment {
            let mut micros = self.0.lock();
            *micros += 2_000;
            Moment::from_micros(*micros)
        }

        fn wall(&self) -> UnixMillis {
            UnixMillis(0)
        }
    }

    /// Tells how many tasks each group had, and goes on when it may.
    struct Counting {
        groups: mpsc::Sender<usize>,
        go_on: mpsc::Receiver<()>,
    }

    impl Backend for Counting {
        fn write(&mut self, tasks: Vec<Task>, waiting: super::Waiting) {
            self.groups.send(tasks.len()).unwrap();
            self.go_on.recv().unwrap();
            waiting.answer(tasks.iter().map(|_| Ok(Outcome::Was(true))).collect());
        }

        fn tidy(&mut self, _idle: bool) {}

        fn close(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    fn task() -> Task {
        Task::Prune { key: Key::parse("n", "k").unwrap(), keep: 1 }
    }

    /// A thread that writes, what it tells, and what lets it go on.
    fn start() -> (Arc<Writing>, mpsc::Receiver<usize>, mpsc::Sender<()>) {
        let (groups, told) = mpsc::channel();
        let (go, go_on) = mpsc::channel();
        let writing = Writing::start("test", Counting { groups, go_on }, Arc::new(SlowClock::default())).unwrap();
        (Arc::new(writing), told, go)
    }

    #[test]
    fn callers_are_waited_for_where_a_sync_takes_long() {
        let pace = |took, worked, answered, asking| {
            let [took, worked] = [took, worked].map(Duration::from_micros);
            Pace { took, worked, answered, asking }.hope()
        };
        let hope = |took, answered| pace(took, 0, answered, answered);
        assert_eq!(hope(4_000, 1), (1, Duration::ZERO), "a caller who is alone");
        assert_eq!(hope(900, 64), (1, Duration::ZERO), "most of it was work");
        assert_eq!(hope(4_000, 64), (64, Duration::from_micros(500)));
        assert_eq!(hope(60_000, 2), (2, MOST_PATIENCE));
        assert_eq!(pace(1_700, 600, 32, 64), (1, Duration::ZERO), "the other half is worked for meanwhile");
        assert_eq!(
            pace(1_900, 600, 32, 64),
            (32, Duration::from_nanos(237_500)),
            "two syncs would take longer than one"
        );
        assert_eq!(
            pace(4_600, 400, 64, 64),
            (64, Duration::from_micros(575)),
            "that would leave most of a sync unused"
        );
    }

    /// Answers nobody by itself: a disk that takes its time.
    struct Holding(mpsc::Sender<(usize, super::Waiting)>);

    impl Backend for Holding {
        fn write(&mut self, tasks: Vec<Task>, waiting: super::Waiting) {
            self.0.send((tasks.len(), waiting)).unwrap();
        }

        fn tidy(&mut self, _idle: bool) {}

        fn close(&mut self) -> Result<(), StoreError> {
            Ok(())
        }
    }

    #[test]
    fn while_a_group_goes_to_disk_half_of_all_callers_are_the_next() {
        let (groups, told) = mpsc::channel();
        let writing = Writing::start("test", Holding(groups), Arc::new(SlowClock::default())).unwrap();
        let answer = |(count, waiting): (usize, super::Waiting)| {
            waiting.answer((0..count).map(|_| Ok(Outcome::Was(true))).collect());
        };
        let jobs =
            |count| -> Vec<_> { (0..count).map(|_| Job { task: task(), reply: oneshot::channel().0 }).collect() };
        let push_all = |jobs: Vec<Job>| {
            let mut coming = writing.queue.coming.lock();
            coming.bytes += jobs.len();
            coming.jobs.extend(jobs.into_iter().map(|job| (job, 1)));
            drop(coming);
            writing.queue.filled.notify_one();
        };
        push_all(jobs(8));
        let first = told.recv().unwrap();
        assert_eq!(first.0, 8, "nothing is on its way");
        push_all(jobs(24));
        let second = told.recv().unwrap();
        assert_eq!(second.0, 16, "half of 8 and 24");
        let third = told.recv().unwrap();
        assert_eq!(third.0, 8, "the rest");
        [first, second, third].into_iter().for_each(answer);
        assert_eq!(writing.queue.taken.load(Ordering::Relaxed), 0);
        assert_eq!(writing.queue.pace.lock().asking, 8);
    }

    #[test]
    fn what_comes_while_a_group_is_written_is_the_next_one() {
        let (writing, told, go) = start();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut first = Box::pin(writing.ask(task()));
        let mut others: Vec<_> = (0..5).map(|_| Box::pin(writing.ask(task()))).collect();
        runtime.block_on(async {
            assert!(first.as_mut().now_or_never().is_none());
            assert_eq!(told.recv().unwrap(), 1);
            for other in &mut others {
                assert!(other.as_mut().now_or_never().is_none());
            }
            go.send(()).unwrap();
            assert_eq!(told.recv().unwrap(), 5);
            go.send(()).unwrap();
            assert!(first.await.is_ok());
            for other in others {
                assert!(other.await.is_ok());
            }
            writing.close().await.unwrap();
            assert!(matches!(writing.ask(task()).await, Err(StoreError::Unavailable(_))));
            writing.close().await.unwrap();
        });
    }

    #[test]
    fn more_than_may_wait_is_refused() {
        let (writing, told, go) = start();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let mut waiting: Vec<_> = (0..=MOST_WAITING).map(|_| Box::pin(writing.ask(task()))).collect();
            for (number, ask) in waiting.iter_mut().enumerate() {
                assert!(ask.as_mut().now_or_never().is_none());
                if number == 0 {
                    assert_eq!(told.recv().unwrap(), 1);
                }
            }
            assert_eq!(writing.ask(task()).await.unwrap_err(), StoreError::Busy);
            drop(go);
            // The thread dies of it: nobody waits for ever, and nobody is told that nothing has happened.
            for ask in waiting {
                assert!(matches!(ask.await, Err(StoreError::Unknown(_))));
            }
            assert!(matches!(writing.ask(task()).await, Err(StoreError::Unavailable(_))));
        });
    }
}
