//! How a simulated provider behaves: identity, speed, reliability.

use std::time::Duration;

use crate::Injection;

/// What a simulated provider is like. `SimOptions::default()` answers at once and never fails.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// Stands in every answer, so that a test sees who answered.
    pub name: String,
    /// Everything random comes from here.
    pub seed: u64,
    /// Port on 127.0.0.1; 0 takes a free one.
    pub port: u16,
    /// Time from the end of the request to the first token.
    pub first_token: Delay,
    /// Speed after the first token; `None` means as fast as the connection takes it.
    pub tokens_per_second: Option<f64>,
    /// Tokens in an answer, where the request does not ask for fewer.
    pub answer_tokens: usize,
    /// Share of calls, 0 to 1, that get one of `error_faults`.
    pub error_rate: f64,
    /// What these calls get, each with the same chance.
    pub error_faults: Vec<Injection>,
    /// The standing fault, which every `POST` gets. Can be changed at run time, save for those of the listener.
    pub fault: Option<Injection>,
    /// Speak TLS, with a certificate for `localhost` and 127.0.0.1 from [`crate::Sim::ca_pem`].
    pub tls: Option<TlsOptions>,
    /// The models that exist. Empty: every name is taken, and the list shows `sim`.
    pub models: Vec<String>,
    /// The keys that are accepted, as Bearer or `x-api-key`. `None`: no key is asked for.
    pub keys: Option<Vec<String>>,
    /// Refuse, with 400, what the real providers refuse in a request: unknown fields, tool results without their call,
    /// empty texts and so on. Off: anything that has a model and messages is answered.
    pub strict: bool,
    /// Have `/v1/responses`; without it that path is 404, as with most providers.
    pub responses: bool,
}

/// How TLS is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Offer HTTP/2 by ALPN.
    pub http2: bool,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self {
            name: "sim".to_owned(),
            seed: 1,
            port: 0,
            first_token: Delay::default(),
            tokens_per_second: None,
            answer_tokens: 24,
            error_rate: 0.0,
            error_faults: Vec::new(),
            fault: None,
            tls: None,
            models: Vec::new(),
            keys: None,
            strict: false,
            responses: true,
        }
    }
}

impl SimOptions {
    /// The defaults under another name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Time between two tokens.
    pub(crate) fn token_interval(&self) -> Duration {
        self.tokens_per_second
            .filter(|rate| *rate > 0.0)
            .map_or(Duration::ZERO, |rate| Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX))
    }
}

/// A random duration.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Evenly between the two.
    Uniform(Duration, Duration),
    /// Log-normal, as real first-token times are.
    LogNormal {
        /// Half of the draws are below.
        median: Duration,
        /// 99 % of the draws are below.
        p99: Duration,
    },
}

impl Default for Delay {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

/// The 99 % quantile of the standard normal distribution.
const Z99: f64 = 2.326_347_874;

impl Delay {
    /// Half of the draws are below it.
    #[must_use]
    pub fn median(&self) -> Duration {
        match *self {
            Self::Fixed(time) => time,
            Self::Uniform(low, high) => low + high.saturating_sub(low) / 2,
            Self::LogNormal { median, .. } => median,
        }
    }

    /// One draw.
    #[must_use]
    pub fn draw(&self, random: &mut fastrand::Rng) -> Duration {
        match *self {
            Self::Fixed(time) => time,
            Self::Uniform(low, high) => low + high.saturating_sub(low).mul_f64(random.f64()),
            Self::LogNormal { median, p99 } => {
                let ratio = (p99.as_secs_f64() / median.as_secs_f64().max(1e-9)).max(1.0);
                // Box-Muller; `1 - f64()` is never 0.
                let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
                let normal = radius * (std::f64::consts::TAU * random.f64()).cos();
                let factor = (normal * ratio.ln() / Z99).exp().min(1e6);
                Duration::try_from_secs_f64(median.as_secs_f64() * factor).unwrap_or(median)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_normal_hits_its_median_and_p99() {
        let delay = Delay::LogNormal { median: Duration::from_millis(100), p99: Duration::from_millis(900) };
        let mut random = fastrand::Rng::with_seed(7);
        let mut draws: Vec<u128> = (0..20_000).map(|_| delay.draw(&mut random).as_micros()).collect();
        draws.sort_unstable();
        assert!((95_000..105_000).contains(&draws[10_000]), "{}", draws[10_000]);
        assert!((800_000..1_000_000).contains(&draws[19_800]), "{}", draws[19_800]);
    }

    #[test]
    fn draws_stay_in_their_bounds_and_repeat_by_seed() {
        let delay = Delay::Uniform(Duration::from_millis(2), Duration::from_millis(5));
        let draw = |seed| -> Vec<Duration> {
            let mut random = fastrand::Rng::with_seed(seed);
            (0..100).map(|_| delay.draw(&mut random)).collect()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert!(draw(3).iter().all(|time| (2..=5).contains(&time.as_millis())));
    }
}
