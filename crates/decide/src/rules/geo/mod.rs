//! Data about addresses and sites, from the files that mihomo and its relatives use.
//!
//! Countries come from a MaxMind file (`country.mmdb`, `geoip.metadb`) or from a file of lists (`geoip.dat`), autonomous
//! systems from a MaxMind file, categories of sites from `geosite.dat`. The bytes are handed in; nothing is fetched.

mod catalogue;
mod lists;
mod mmdb;
mod protobuf;
mod sites;

use std::net::IpAddr;
use std::sync::Arc;

use thiserror::Error;

use self::lists::AddressLists;
use self::mmdb::Mmdb;
use self::sites::Sites;
use super::addresses::AddressSet;
use super::domains::Host;
use super::names::DomainSet;

/// Where countries are looked for in the folder of the configuration, in this order.
pub const COUNTRY_FILES: [&str; 6] =
    ["geoip.metadb", "country.mmdb", "Country.mmdb", "GeoLite2-Country.mmdb", "geoip.dat", "GeoIP.dat"];
/// Where autonomous systems are looked for.
pub const ASN_FILES: [&str; 3] = ["ASN.mmdb", "GeoLite2-ASN.mmdb", "asn.mmdb"];
/// Where categories of sites are looked for.
pub const SITE_FILES: [&str; 2] = ["geosite.dat", "GeoSite.dat"];

/// What is known about addresses and sites. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub struct Geo {
    country: Option<Countries>,
    asn: Option<Arc<Mmdb>>,
    sites: Option<Arc<Sites>>,
}

#[derive(Clone, Debug)]
enum Countries {
    Mmdb(Arc<Mmdb>),
    Lists(Arc<AddressLists>),
}

/// Data that is not there, or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GeoError {
    /// No file of this kind.
    #[error("this rule needs a data file and none is there: put {} into the folder of the configuration", files.join(" or "))]
    NoFile {
        /// The names that are looked for.
        files: &'static [&'static str],
    },
    /// The file has no such list.
    #[error("list {name} not found in {file}")]
    NoList {
        /// As the rule has it.
        name: Arc<str>,
        /// `geosite.dat`.
        file: &'static str,
    },
    /// The rule has attributes alone.
    #[error("empty listname in rule: {0}")]
    NoListName(Arc<str>),
    /// A file that is not what its name says.
    #[error("{file} cannot be read: {why}")]
    BadFile {
        /// What it should be.
        file: &'static str,
        /// What is wrong.
        why: &'static str,
    },
}

impl Geo {
    /// Takes countries from a file: MaxMind's format, or lists, whichever the bytes are.
    ///
    /// # Errors
    /// [`GeoError::BadFile`].
    pub fn set_countries(&mut self, bytes: Vec<u8>) -> Result<(), GeoError> {
        self.country = Some(if mmdb::is_mmdb(&bytes) {
            Countries::Mmdb(Arc::new(Mmdb::new(bytes, "country.mmdb")?))
        } else {
            Countries::Lists(Arc::new(AddressLists::new(bytes)?))
        });
        Ok(())
    }

    /// Takes autonomous systems from a file in MaxMind's format.
    ///
    /// # Errors
    /// [`GeoError::BadFile`].
    pub fn set_asn(&mut self, bytes: Vec<u8>) -> Result<(), GeoError> {
        self.asn = Some(Arc::new(Mmdb::new(bytes, "ASN.mmdb")?));
        Ok(())
    }

    /// Takes categories of sites from `geosite.dat`.
    ///
    /// # Errors
    /// [`GeoError::BadFile`].
    pub fn set_sites(&mut self, bytes: Vec<u8>) -> Result<(), GeoError> {
        self.sites = Some(Arc::new(Sites::new(bytes)?));
        Ok(())
    }

    pub(super) fn site(&self, category: &str, negated: bool) -> Result<SiteTest, GeoError> {
        let sites = self.sites.as_ref().ok_or(GeoError::NoFile { files: &SITE_FILES })?;
        Ok(SiteTest { sites: sites.category(category)?, negated })
    }

    pub(super) fn country(&self, country: &str, negated: bool) -> Result<CountryTest, GeoError> {
        if country == "lan" && !negated {
            return Ok(CountryTest::Lan);
        }
        match self.country.as_ref().ok_or(GeoError::NoFile { files: &COUNTRY_FILES })? {
            Countries::Mmdb(file) => Ok(CountryTest::Country { file: file.clone(), country: country.into(), negated }),
            Countries::Lists(lists) => Ok(CountryTest::List { list: lists.list(country)?, negated }),
        }
    }

    pub(super) fn asn(&self, number: &str) -> Result<AsnTest, GeoError> {
        let file = self.asn.as_ref().ok_or(GeoError::NoFile { files: &ASN_FILES })?;
        Ok(AsnTest { file: file.clone(), number: number.parse().ok() })
    }
}

/// A category of sites, or the part of it that has some attributes.
#[derive(Debug)]
pub(crate) struct SiteList {
    names: DomainSet,
    size: usize,
}

/// Whether a name is in a category.
#[derive(Clone, Debug)]
pub(crate) struct SiteTest {
    sites: Arc<SiteList>,
    negated: bool,
}

impl SiteTest {
    pub(super) fn fits(&self, host: &Host<'_>) -> bool {
        self.sites.names.contains(host) != self.negated
    }

    /// How many sites the category has.
    pub(super) fn size(&self) -> usize {
        self.sites.size
    }
}

/// A list of addresses.
#[derive(Debug)]
pub(crate) struct AddressList {
    addresses: AddressSet,
    size: usize,
    /// The list is of those that are not in it.
    inverse: bool,
}

/// Whether an address is in a country.
#[derive(Clone, Debug)]
pub(crate) enum CountryTest {
    Lan,
    /// With a file of countries `!cn` is the name of a country that does not exist, as with mihomo.
    Country {
        file: Arc<Mmdb>,
        country: Arc<str>,
        negated: bool,
    },
    List {
        list: Arc<AddressList>,
        negated: bool,
    },
}

impl CountryTest {
    pub(super) fn fits(&self, address: IpAddr) -> bool {
        match self {
            Self::Lan => is_lan(address),
            Self::Country { file, country, negated } => !negated && file.is_in_country(address, country),
            Self::List { list, negated } => list.addresses.contains(address) != (list.inverse != *negated),
        }
    }

    /// How many ranges its list has; 0 with a file of countries.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::List { list, .. } => list.size,
            Self::Lan | Self::Country { .. } => 0,
        }
    }
}

/// Whether an address belongs to an autonomous system.
#[derive(Clone, Debug)]
pub(crate) struct AsnTest {
    file: Arc<Mmdb>,
    /// `None` for what is no number, which fits nothing.
    number: Option<u32>,
}

impl AsnTest {
    pub(super) fn fits(&self, address: IpAddr) -> bool {
        self.number.is_some() && self.file.asn(address) == self.number
    }
}

/// What `GEOIP,lan` means: private (RFC 1918, RFC 4193), loopback, link-local, multicast and unspecified addresses.
fn is_lan(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let of_family = match address {
        IpAddr::V4(four) => four.is_private() || four.is_link_local(),
        IpAddr::V6(six) => six.is_unique_local() || six.is_unicast_link_local(),
    };
    of_family || address.is_loopback() || address.is_multicast() || address.is_unspecified()
}

#[cfg(test)]
mod tests;
