//! The JSON Schema of the whole document, for editors and for the reference.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::root::{EXTENSION, SectionInfo};
use crate::shared::SHARED_SECTIONS;
use crate::ways;

/// The JSON Schema (draft 2020-12) of a document with the shared sections and these. Descriptions and defaults are
/// those of the types.
#[must_use]
pub fn schema(sections: &[SectionInfo]) -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut properties = Map::new();
    for section in SHARED_SECTIONS.iter().chain(ways::SECTIONS).chain(sections) {
        let mut property = (section.schema)(&mut generator);
        property.insert("description".to_owned(), section.about.into());
        properties.insert(section.key.to_owned(), property.to_value());
    }
    let definitions = generator.take_definitions(true);
    // What mihomo knows and has no effect here is no mistake.
    let without_effect: Vec<&str> = ways::idle_names().collect();
    let patterns = json!({
        format!("^{EXTENSION}"): true,
        format!("^({})$", without_effect.join("|")): true,
        "^cfw-": true,
    });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tradewind configuration",
        "type": "object",
        "properties": properties,
        "patternProperties": patterns,
        "additionalProperties": false,
        "$defs": definitions,
    })
}
