//! Metrics whose values are somebody else's: asked for at each scrape.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::labels::NAMES;

/// How the value is asked for.
pub(super) enum Reading {
    Gauge(Box<dyn Fn() -> i64 + Send + Sync>),
    /// One for each value of this label.
    Gauges(&'static str, Box<dyn Fn() -> Vec<(String, i64)> + Send + Sync>),
    Counter(Box<dyn Fn() -> u64 + Send + Sync>),
    /// One for each value of this label.
    Counters(&'static str, Box<dyn Fn() -> Vec<(String, u64)> + Send + Sync>),
}

pub(super) struct Outside {
    name: &'static str,
    /// With its full stop.
    help: String,
    reading: Reading,
}

impl Outside {
    pub(super) fn new(name: &'static str, help: &'static str, reading: Reading) -> Self {
        Self { name, help: format!("{help}."), reading }
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Collector for Outside {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let kind = match self.reading {
            Reading::Counter(_) | Reading::Counters(..) => MetricType::Counter,
            Reading::Gauge(_) | Reading::Gauges(..) => MetricType::Gauge,
        };
        let mut encoder = encoder.encode_descriptor(self.name, &self.help, None, kind)?;
        match &self.reading {
            Reading::Counter(read) => ConstCounter::new(read()).encode(encoder),
            Reading::Gauge(read) => ConstGauge::new(read()).encode(encoder),
            Reading::Gauges(label, read) => {
                for (value, number) in read().iter().take(NAMES) {
                    let labels = [(*label, value.as_str())];
                    ConstGauge::new(*number).encode(encoder.encode_family(&labels)?)?;
                }
                Ok(())
            }
            Reading::Counters(label, read) => {
                for (value, number) in read().iter().take(NAMES) {
                    let labels = [(*label, value.as_str())];
                    ConstCounter::new(*number).encode(encoder.encode_family(&labels)?)?;
                }
                Ok(())
            }
        }
    }
}
