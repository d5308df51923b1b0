//! Choosing by metrics that are read now and then, the way to do it that scrapes of Prometheus suggest.
//!
//! The weighted sum is the usual one, 0.4 processor, 0.5 latency, 0.1 up, each 0 to 1, with its signs repaired: as it is
//! mostly written, load and a "latency penalty" *add* weight.

use std::fmt;

use fastrand::Rng;
use tradewind_decide::HealthView;

use super::world::SLOTS;

/// What was read of one server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scraped {
    in_flight: u32,
    /// The share of its slots in use, 0 to 1.
    pub(crate) used: f64,
    /// Mean seconds to the first byte.
    pub(crate) seconds: f64,
    up: f64,
}

impl Scraped {
    pub(crate) fn read(in_flight: u32, view: &HealthView) -> Self {
        Self {
            in_flight,
            used: (f64::from(in_flight) / SLOTS as f64).min(1.0),
            seconds: view.ttft_mean.map_or(0.0, |mean| mean.as_secs_f64()),
            up: 1.0 - view.error_rate,
        }
    }
}

/// How the metrics are used.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Rule {
    /// A draw by exp(sum / temperature).
    Softmax(f64),
    /// The fewest calls under way.
    Least,
    /// The fewer calls under way of two drawn at random.
    Two,
}

impl Rule {
    pub(crate) fn order(self, scraped: &[Scraped], random: &mut Rng) -> Vec<usize> {
        let mut order: Vec<usize> = (0..scraped.len()).collect();
        random.shuffle(&mut order);
        match self {
            Self::Least => order.sort_by_key(|server| scraped[*server].in_flight),
            Self::Two => {
                if scraped[order[1]].in_flight < scraped[order[0]].in_flight {
                    order.swap(0, 1);
                }
            }
            Self::Softmax(temperature) => {
                let slowest = scraped.iter().map(|scraped| scraped.seconds).fold(1e-9, f64::max);
                let mut keys = vec![0.0; scraped.len()];
                for (key, scraped) in keys.iter_mut().zip(scraped) {
                    let sum = 0.4 * (1.0 - scraped.used) + 0.5 * (1.0 - scraped.seconds / slowest) + 0.1 * scraped.up;
                    *key = sum / temperature - (-(1.0 - random.f64()).ln()).ln();
                }
                order.sort_by(|a, b| keys[*b].total_cmp(&keys[*a]));
            }
        }
        order
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Softmax(temperature) => write!(f, "softmax T={temperature}"),
            Self::Least => f.write_str("least loaded"),
            Self::Two => f.write_str("P2C"),
        }
    }
}
