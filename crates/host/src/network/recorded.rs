//! A sampler that plays back what it is given: for tests of whatever follows the network.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;

use super::{Change, Changes, Sample, SampleError, Sampler};

/// Plays back samples. Clones are one and the same network.
#[derive(Clone, Debug)]
pub struct Recorded {
    present: Arc<watch::Sender<Option<Sample>>>,
}

impl Recorded {
    /// A network that looks like this.
    #[must_use]
    pub fn new(sample: Sample) -> Self {
        Self { present: Arc::new(watch::Sender::new(Some(sample))) }
    }

    /// Changes it, and tells those who listen.
    pub fn set(&self, sample: Sample) {
        self.present.send_replace(Some(sample));
    }

    /// Lets the operating system be silent from now on, and tells those who listen that something has changed.
    pub fn fail(&self) {
        self.present.send_replace(None);
    }
}

impl Sampler for Recorded {
    fn sample(&self) -> Result<Sample, SampleError> {
        let present = self.present.borrow().clone();
        present.ok_or_else(|| SampleError::new("look at the recorded network", io::ErrorKind::TimedOut.into()))
    }

    fn changes(&self) -> Result<Box<dyn Changes>, SampleError> {
        Ok(Box::new(RecordedChanges { present: self.present.subscribe(), _keep: Arc::clone(&self.present) }))
    }
}

/// Tells that the recorded network was changed; changes that follow each other at once are one.
struct RecordedChanges {
    present: watch::Receiver<Option<Sample>>,
    /// So that the channel never closes while somebody listens.
    _keep: Arc<watch::Sender<Option<Sample>>>,
}

impl Changes for RecordedChanges {
    fn next(&mut self) -> Pin<Box<dyn Future<Output = Result<Change, SampleError>> + Send + '_>> {
        Box::pin(async {
            self.present.changed().await.expect("this keeps the sender");
            Ok(Change::Any)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Interface, Kind};

    #[tokio::test]
    async fn what_is_set_is_sampled_and_told() {
        let network = Recorded::new(Sample::default());
        let mut changes = network.changes().expect("can be listened to");
        let sample = Sample { interfaces: vec![Interface::new("en0", Kind::Wifi)], ..Sample::default() };
        network.set(sample.clone());
        assert_eq!(changes.next().await.expect("goes on"), Change::Any);
        assert_eq!(network.sample().expect("is there"), sample);
        network.clone().fail();
        drop(network.clone());
        assert_eq!(changes.next().await.expect("goes on"), Change::Any);
        let error = network.sample().expect_err("is silent").to_string();
        assert!(error.starts_with("could not look at the recorded network: "), "{error}");
    }
}
