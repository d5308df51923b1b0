//! `geoip.dat`: lists of ranges of addresses by country, or by whatever else has a name.
//!
//! The messages of v2ray's `app/router/config.proto`: `GeoIPList { repeated GeoIP entry = 1 }`,
//! `GeoIP { string country_code = 1; repeated CIDR cidr = 2; bool inverse_match = 3 }`,
//! `CIDR { bytes ip = 1; uint32 prefix = 2 }`.

use std::net::IpAddr;
use std::sync::Arc;

use tradewind_policy::ways::Cidr;

use super::catalogue::Catalogue;
use super::protobuf::{Field, Fields, NoMessage};
use super::{AddressList, GeoError};
use crate::rules::addresses::AddressSet;

/// A file of lists of addresses.
#[derive(Debug)]
pub(super) struct AddressLists(Catalogue<AddressList>);

const FILE: &str = "geoip.dat";

impl AddressLists {
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, GeoError> {
        Catalogue::new(bytes, FILE).map(Self)
    }

    /// The list of a country, in lower case.
    pub(super) fn list(&self, country: &str) -> Result<Arc<AddressList>, GeoError> {
        self.0.get(country, country, |entry| read(entry).map_err(|NoMessage| self.0.bad("a list is broken")))
    }
}

fn read(entry: &[u8]) -> Result<AddressList, NoMessage> {
    let mut ranges = Vec::new();
    let mut inverse = false;
    for field in Fields(entry) {
        match field? {
            (2, Field::Bytes(cidr)) => ranges.push(range(cidr)?),
            (3, Field::Number(number)) => inverse = number != 0,
            _ => {}
        }
    }
    Ok(AddressList { size: ranges.len(), addresses: AddressSet::of(ranges), inverse })
}

fn range(message: &[u8]) -> Result<Cidr, NoMessage> {
    let (mut address, mut length) = (None, 0);
    for field in Fields(message) {
        match field? {
            (1, Field::Bytes(bytes)) => address = address_of(bytes),
            (2, Field::Number(number)) => length = u8::try_from(number).map_err(|_| NoMessage)?,
            _ => {}
        }
    }
    Cidr::new(address.ok_or(NoMessage)?, length).ok_or(NoMessage)
}

fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
