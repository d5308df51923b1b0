//! `geosite.dat`: categories of sites.
//!
//! The messages of v2ray's `app/router/config.proto`: `GeoSiteList { repeated GeoSite entry = 1 }`,
//! `GeoSite { string country_code = 1; repeated Domain domain = 2 }`,
//! `Domain { Type type = 1; string value = 2; repeated Attribute attribute = 3 }`, `Attribute { string key = 1; … }`, where
//! a type is 0 for a part of the name, 1 for an expression, 2 for a name and all under it, 3 for a name alone.

use std::sync::Arc;

use tradewind_policy::ways::Pattern;

use super::catalogue::Catalogue;
use super::protobuf::{Field, Fields, NoMessage};
use super::{GeoError, SiteList};
use crate::rules::names::DomainSetBuilder;

/// A file of categories.
#[derive(Debug)]
pub(super) struct Sites(Catalogue<SiteList>);

const FILE: &str = "geosite.dat";

impl Sites {
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, GeoError> {
        Catalogue::new(bytes, FILE).map(Self)
    }

    /// The sites of `google`, or those of `google@cn` that have the attribute, all of them where there are several.
    pub(super) fn category(&self, question: &str) -> Result<Arc<SiteList>, GeoError> {
        let mut parts = question.split('@').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| GeoError::NoListName(question.into()))?;
        let attributes: Vec<&str> = parts.filter(|attribute| !attribute.is_empty()).collect();
        self.0.get(name, question, |entry| {
            let mut names = DomainSetBuilder::new();
            let mut size = 0;
            for field in Fields(entry) {
                let Ok((number, field)) = field else { return Err(self.0.bad("a category is broken")) };
                let (2, Field::Bytes(domain)) = (number, field) else { continue };
                let site = site(domain).map_err(|NoMessage| self.0.bad("a site is broken"))?;
                if attributes.iter().all(|attribute| site.has(attribute)) {
                    size += 1;
                    site.add_to(&mut names).map_err(|why| self.0.bad(why))?;
                }
            }
            Ok(SiteList { names: names.build(), size })
        })
    }
}

/// One site.
struct Site<'a> {
    kind: u64,
    value: &'a str,
    attributes: Vec<&'a [u8]>,
}

fn site(message: &[u8]) -> Result<Site<'_>, NoMessage> {
    let mut site = Site { kind: 0, value: "", attributes: Vec::new() };
    for field in Fields(message) {
        match field? {
            (1, Field::Number(kind)) => site.kind = kind,
            (2, Field::Bytes(value)) => site.value = std::str::from_utf8(value).map_err(|_| NoMessage)?,
            (3, Field::Bytes(attribute)) => {
                for field in Fields(attribute) {
                    if let (1, Field::Bytes(key)) = field? {
                        site.attributes.push(key);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(site)
}

impl Site<'_> {
    fn has(&self, attribute: &str) -> bool {
        self.attributes.iter().any(|own| own.eq_ignore_ascii_case(attribute.as_bytes()))
    }

    fn add_to(&self, names: &mut DomainSetBuilder) -> Result<(), &'static str> {
        match self.kind {
            0 => names.keyword(self.value),
            1 => names.regex(Pattern::new(self.value).map_err(|_| "an expression in it looks around, or is too big")?),
            2 => names.suffix(self.value),
            3 => names.whole(self.value),
            _ => return Err("a site is of no known type"),
        }
        Ok(())
    }
}
