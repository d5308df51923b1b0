//! A Shadowsocks server: the AEAD ciphers of SIP004 and the editions of 2022 (SIP022), for streams and datagrams.
//!
//! The ciphers and key derivations are those of the crate shadowsocks-crypto; the framing is here, so that it runs over any
//! stream of ours, with buffers of a known size and faults in our words. The crate shadowsocks does the framing as well, and
//! was refused: its present version cannot do without aws-lc, a second cryptography beside ring.
//!
//! Such a server answers a wrong password, or a destination that it cannot reach, with silence or by closing: what is wrong
//! is not known here.

mod cipher;
mod frames;
mod packets;
mod stream;

use std::sync::Arc;

use tradewind_core::{Fault, FaultKind};
use tradewind_policy::ways::ShadowsocksProxy;

pub use self::cipher::SecretError;
use self::cipher::Secrets;
pub use self::frames::{StreamOutline, outline_stream};
pub(crate) use self::packets::Session;
use self::stream::Encrypted;
use super::{Outbound, OutboundError, sendable};
use crate::datagrams::Datagrams;
use crate::dialing::Way;
use crate::{Destination, Stream};

/// A proxy of the type `ss`.
pub(super) struct Shadowsocks {
    server: Destination,
    secrets: Arc<Secrets>,
}

impl Shadowsocks {
    pub(super) fn new(name: &Arc<str>, spec: &ShadowsocksProxy) -> Result<Self, OutboundError> {
        let secrets = Secrets::new(&spec.cipher, spec.password.expose());
        let secrets = secrets.map_err(|error| OutboundError::Secret(name.clone(), error))?;
        Ok(Self { server: Destination::new(&spec.server, spec.port), secrets: Arc::new(secrets) })
    }

    pub(super) const fn server(&self) -> &Destination {
        &self.server
    }

    /// Opens a stream; the destination goes out with the first bytes that are written, or at the first flush or read.
    pub(super) async fn connect(&self, own: &Outbound, to: &Destination, way: Way<'_>) -> Result<Stream, Fault> {
        sendable(to)?;
        let below = own.reach(&self.server, None, way).await?;
        let now = way.dialing.resolver.wall();
        let encrypted = Encrypted::new(below, own.label(), &self.secrets, to, now)
            .map_err(|error| Fault::new(FaultKind::Internal, format!("{}: {error}", own.label())).before_sending())?;
        Ok(Stream::Other(Box::new(encrypted)))
    }

    /// Opens a way for datagrams.
    pub(super) async fn datagrams(&self, own: &Outbound, way: Way<'_>) -> Result<Datagrams, Fault> {
        let carrier = own.carrier(&self.server, way).await?;
        let session = Session::new(carrier, self.secrets.clone(), way.dialing.resolver.clone());
        Ok(Datagrams::shadowsocks(session))
    }
}
