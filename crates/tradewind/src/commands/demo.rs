//! `tradewind demo`

mod caller;
mod cast;
mod page;
mod score;
mod screen;
mod state;
#[cfg(test)]
mod tests;

use std::time::Duration;

use anyhow::{Context, anyhow};
use clap::{Args, ValueEnum};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tradewind_core::{Clock, Moment, parse_duration};
use tradewind_egress::Roots;
use tradewind_runtime::SystemClock;
use tradewind_sim::Sim;

use self::cast::ROLES;
use self::score::Score;
use self::screen::Screen;
use self::state::State;
use super::client::Client;
use crate::{Document, Gateway};

/// Time between two calls: six a second.
const BETWEEN_CALLS: Duration = Duration::from_millis(167);
/// Time between two looks at the targets.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);
/// Without an end of its own the demo begins anew, and breaks a provider again, after this.
const ROUND: Duration = Duration::from_secs(40);
/// Where in the course of the demo the first provider breaks, and where it recovers, from 0 to 1.
const BREAKS: f64 = 0.2;
const RECOVERS: f64 = 0.55;
/// How long calls under way may go on at the end.
const DRAIN: Duration = Duration::from_secs(5);

/// Show the gateway at work with three simulated providers, one of which breaks
///
/// Nothing leaves this machine, and all files are temporary. Ends with Ctrl-C, or by itself with --calls or --for.
#[derive(Debug, Args)]
pub(super) struct Demo {
    /// Pick targets in this way
    #[arg(long, value_enum, value_name = "NAME", default_value_t = Strategy::LeastLatency)]
    strategy: Strategy,
    /// End after so many calls
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    calls: Option<u32>,
    /// End after this long, like 20s
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    lasting: Option<Duration>,
    /// Draw the providers' speeds and failures, and the gateway's choices, from this seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Strategy {
    Select,
    Fallback,
    Weighted,
    LeastLatency,
}

impl Demo {
    pub(super) fn run(self) -> anyhow::Result<()> {
        // Before the seed is set: its name is drawn at random too, and two demos are not to draw the same.
        let folder = tempfile::Builder::new().prefix("tradewind-demo-").tempdir().context("no temporary directory")?;
        // One thread, and all that is drawn at random on it comes from one seed: the same seed tells the same story, as
        // far as the timing of a real machine allows.
        fastrand::seed(self.seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(self.play(folder))
    }

    async fn play(self, folder: TempDir) -> anyhow::Result<()> {
        let strategy = self.strategy.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        let mut sims = Vec::new();
        for role in &ROLES {
            sims.push(role.start(self.seed).await.context("a simulated provider cannot start")?);
        }
        let text = cast::document(&sims, &strategy, folder.path());
        let document = Document::parse(&text).map_err(|problems| anyhow!("{}", problems.render("demo", &text)))?;
        let gateway = Gateway::start_with(document, cast::health()).await.map_err(|error| anyhow!("{error}"))?;
        let mut screen = Screen::open();
        for line in page::introduction(&strategy, self.seed) {
            screen.print(&line);
        }
        screen.print("");
        let mut show = Show {
            client: Client::new(&format!("http://{}", gateway.address), &Roots::none())?,
            score: Score::new(ROLES.iter().map(cast::Role::target).collect()),
            states: vec![State::default(); ROLES.len()],
            news: Vec::new(),
            screen,
            clock: SystemClock::new(),
            begun: Moment::START,
            calls_begun: 0,
            most_calls: self.calls.unwrap_or(u32::MAX) as usize,
            lasting: self.lasting,
            broken: false,
        };
        show.begun = show.clock.now();
        let played = show.perform(&gateway, &sims[0]).await;
        let elapsed = show.elapsed().as_secs_f64();
        show.screen.print(&format!("\n{}", page::summary(&show.score, elapsed).trim_end()));
        gateway.stop(DRAIN).await;
        for sim in sims {
            sim.stop().await;
        }
        folder.close().context("the temporary directory cannot be removed")?;
        played
    }
}

/// The demo while it runs.
struct Show {
    client: Client,
    score: Score,
    states: Vec<State>,
    /// The last things that happened other than calls, the newest last.
    news: Vec<String>,
    screen: Screen,
    clock: SystemClock,
    begun: Moment,
    calls_begun: usize,
    most_calls: usize,
    lasting: Option<Duration>,
    broken: bool,
}

impl Show {
    /// Makes calls until the end, or until the user has seen enough.
    async fn perform(&mut self, gateway: &Gateway, breaking: &Sim) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
        let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
        let mut calling = tokio::time::interval(BETWEEN_CALLS);
        let mut looking = tokio::time::interval(BETWEEN_LOOKS);
        calling.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut random = fastrand::Rng::new();
        let mut calls = JoinSet::new();
        loop {
            let over = self.is_over();
            if over && calls.is_empty() {
                break;
            }
            tokio::select! {
                _ = calling.tick(), if !over => {
                    self.tell_the_story(breaking)?;
                    self.calls_begun += 1;
                    let (stream, tokens) = (random.bool(), random.u32(8..40));
                    let call = caller::call(
                        self.client.clone(), gateway.journal().clone(), self.calls_begun, stream, tokens,
                    );
                    calls.spawn(call);
                }
                Some(done) = calls.join_next() => {
                    self.score.count(done.context("a call of the demo failed in itself")?);
                    self.show_call();
                }
                _ = looking.tick() => {
                    self.tell_the_story(breaking)?;
                    self.look(gateway).await;
                }
                _ = interrupt.recv() => break,
                _ = terminate.recv() => break,
                // The terminal was closed.
                _ = hangup.recv() => break,
            }
        }
        self.look(gateway).await;
        Ok(())
    }

    fn elapsed(&self) -> Duration {
        self.clock.now().since(self.begun)
    }

    fn is_over(&self) -> bool {
        let in_time = self.lasting.is_none_or(|lasting| self.elapsed() < lasting);
        self.calls_begun >= self.most_calls || !in_time || self.screen.is_closed()
    }

    /// How far the demo has come, from 0 to 1; without an end, how far this round has.
    fn progress(&self) -> f64 {
        let by_time = |whole: Duration| self.elapsed().as_secs_f64() / whole.as_secs_f64().max(0.001);
        match (self.most_calls, self.lasting) {
            (usize::MAX, _) | (_, Some(_)) => by_time(self.lasting.unwrap_or(ROUND)) % 1.0,
            (calls, None) => self.calls_begun as f64 / calls as f64,
        }
    }

    /// Breaks the first provider, and lets it recover.
    fn tell_the_story(&mut self, breaking: &Sim) -> anyhow::Result<()> {
        let broken = (BREAKS..RECOVERS).contains(&self.progress());
        if broken == self.broken {
            return Ok(());
        }
        self.broken = broken;
        if broken {
            breaking.set_fault(cast::breakage()).context("the simulated provider cannot be broken")?;
            self.announce(&format!("** {} breaks: it takes calls and never answers", ROLES[0].target()));
        } else {
            breaking.clear_fault();
            self.announce(&format!("** {} is well again; the gateway has to find that out", ROLES[0].target()));
        }
        Ok(())
    }

    /// Looks at the targets, says what has changed, and draws the table anew.
    async fn look(&mut self, gateway: &Gateway) {
        let models = gateway.models().clone();
        let targets: Vec<String> = self.score.tallies.iter().map(|tally| tally.target.clone()).collect();
        let Ok(states) = tokio::task::spawn_blocking(move || state::look(&models, &targets)).await else { return };
        for (place, state) in states.iter().enumerate() {
            let before = self.states[place].word;
            if state.word != before {
                self.announce(&format!(" * {}: {before} -> {}", self.score.tallies[place].target, state.text()));
            }
        }
        self.states = states;
        self.draw();
    }

    fn announce(&mut self, text: &str) {
        let line = page::at(self.elapsed().as_secs_f64(), text);
        if self.screen.is_live() {
            self.news.push(line);
            let old = self.news.len().saturating_sub(page::NEWS);
            self.news.drain(..old);
            self.draw();
        } else {
            self.screen.print(&line);
        }
    }

    fn show_call(&mut self) {
        if self.screen.is_live() {
            return self.draw();
        }
        if let Some(told) = self.score.last.back() {
            let line = page::at(self.elapsed().as_secs_f64(), page::call(told).text.trim_end());
            self.screen.print(&line);
        }
    }

    fn draw(&mut self) {
        if self.screen.is_live() {
            let elapsed = self.elapsed().as_secs_f64();
            let table = page::table(&self.score, &self.states, &self.news, elapsed, self.screen.height());
            self.screen.draw(&table);
        }
    }
}
