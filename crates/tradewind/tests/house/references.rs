//! The references under `docs/reference` are made from the code: the configuration from its JSON Schema, the command line
//! from clap, the error codes from `Code::ALL`. The metrics have a file of their own, `metrics.rs`.

use std::fmt::Write as _;
use std::process::Command;

use clap::CommandFactory;
use serde_json::{Map, Value};
use tradewind::commands::Cli;
use tradewind_core::Code;

use crate::tree::{has_to_be, list, read, text};

pub(crate) const MADE: &str =
    "<!-- Generated: change the code, then run `UPDATE_DOCS=1 cargo nextest run -p tradewind --test house`. -->\n";

#[test]
fn the_reference_of_errors_is_what_the_code_says() {
    let mut made = format!(
        "# Error codes\n\n{MADE}\nEach error that Tradewind answers with or prints carries a code; its page says what happened, \
         what to check and how to fix it.\n"
    );
    let parts = [
        ('1', "Calls that are refused"),
        ('2', "The gateway cannot answer now"),
        ('3', "The provider"),
        ('4', "Configuration and start"),
        ('5', "Ways out"),
        ('6', "Modules"),
        ('7', "State"),
    ];
    for (digit, title) in parts {
        let _ = write!(made, "\n## {title}\n\n| code | HTTP status | what happened |\n|---|---|---|\n");
        for code in Code::ALL.iter().filter(|code| code.name().as_bytes()[2] == digit as u8) {
            let status = if digit == '4' { "–".to_owned() } else { code.status().to_string() };
            let _ = writeln!(made, "| [{code}](../errors/{code}.md) | {status} | {} |", code.title());
        }
    }
    has_to_be("docs/reference/errors.md", &made);
}

#[test]
fn the_reference_of_commands_is_what_clap_says() {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut made = format!("# Command line\n\n{MADE}");
    describe(&mut command, "tradewind", &mut made);
    has_to_be("docs/reference/cli.md", &made);
}

fn describe(command: &mut clap::Command, name: &str, made: &mut String) {
    let help = command.render_long_help().to_string();
    let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
    let _ = write!(made, "\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    for inner in command.get_subcommands_mut().filter(|inner| inner.get_name() != "help" && !inner.is_hide_set()) {
        let name = format!("{name} {}", inner.get_name());
        describe(inner, &name, made);
    }
}

#[test]
fn the_reference_of_the_configuration_is_what_the_schema_says() {
    let schema = schema();
    let mut made = format!(
        "# Configuration\n\n{MADE}\nEvery key of `tradewind.yaml`. `tradewind schema` prints the same as JSON Schema, for \
         editors; `tradewind check FILE` says what is wrong with a file. How the parts belong together is in the \
         [guide](../guide.md).\n\nA time span is written `250ms`, `8s`, `5m`, `1h` or `30d`, a bare number is seconds. A size \
         is written `64KiB`, `32MiB` or `1GiB`, a bare number is bytes. In any text `${{NAME}}` stands for an environment \
         variable, `${{NAME:-default}}` for one with a default, and `$$` for a dollar. Top-level keys that begin with `x-` are \
         not looked at. An unknown key is an error.\n"
    );
    let reference = Reference { definitions: &schema["$defs"] };
    let properties = schema["properties"].as_object().expect("the schema has properties");
    let single: Vec<&String> =
        properties.keys().filter(|key| reference.table(&properties[*key], key).is_none()).collect();
    made.push_str("\n## Top level\n\n");
    made.push_str(HEAD);
    for key in single {
        reference.row(key, &properties[key], false, &mut made);
    }
    for (key, property) in properties {
        reference.section(property, key, 2, &mut made);
    }
    has_to_be("docs/reference/configuration.md", &made);
}

/// The guide says the defaults of limits in its own words; they have to be the right ones.
#[test]
fn the_guide_names_every_limit_with_its_default() {
    let schema = schema();
    let guide = read("docs/guide.md");
    let mut wrong = Vec::new();
    for (definition, prefix) in [("Limits", "limits."), ("Journal", "journal."), ("Timeouts", "")] {
        let keys = schema["$defs"][definition]["properties"].as_object().expect("the section has keys");
        for (key, property) in keys {
            let default = property["default"].as_str().map_or_else(|| property["default"].to_string(), str::to_owned);
            let name = format!("`{prefix}{key}`");
            let row = guide.lines().find(|line| line.starts_with('|') && line.contains(&name));
            let cells = row.unwrap_or_default().split('|').map(|cell| cell.replace([' ', ','], ""));
            if default != "null" && !cells.into_iter().any(|cell| cell == default) {
                wrong.push(format!("docs/guide.md has no row for {name} with its default {default}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn schema() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tradewind")).arg("schema").output().expect("the binary runs");
    serde_json::from_slice(&output.stdout).expect("the schema is JSON")
}

const HEAD: &str = "| key | type | default | meaning |\n|---|---|---|---|\n";

/// Renders a JSON Schema as tables.
struct Reference<'a> {
    definitions: &'a Value,
}

impl Reference<'_> {
    /// The schema that `schema` refers to, null aside.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        if let Some(name) = schema["$ref"].as_str() {
            return self.resolved(&self.definitions[name.trim_start_matches("#/$defs/")]);
        }
        let is_null = |one: &&Value| one["type"] == "null";
        match list(&schema["anyOf"]) {
            [one, null] if is_null(&null) => self.resolved(one),
            _ => schema,
        }
    }

    /// The path and the keys of a map, or of the entries of a list, that has keys of its own.
    fn table<'a>(&'a self, schema: &'a Value, path: &str) -> Option<(String, &'a Value)> {
        let schema = self.resolved(schema);
        if schema["type"] == "array" {
            return self.table(&schema["items"], &format!("{path}[]"));
        }
        if schema["additionalProperties"]["properties"].is_object() {
            return Some((format!("{path}.NAME"), &schema["additionalProperties"]));
        }
        schema["properties"].is_object().then(|| (path.to_owned(), schema))
    }

    /// A heading, a table and the tables below it.
    fn section(&self, schema: &Value, path: &str, level: usize, made: &mut String) {
        let Some((path, inner)) = self.table(schema, path) else { return };
        let about = schema["description"].as_str().unwrap_or_else(|| text(&inner["description"]));
        let _ = write!(made, "\n{} `{path}`\n\n{}\n\n{HEAD}", "#".repeat(level), in_one_line(about));
        let none = Map::new();
        let properties = inner["properties"].as_object().unwrap_or(&none);
        let required = |key: &str| list(&inner["required"]).iter().any(|one| one == key);
        let (must, may): (Vec<_>, Vec<_>) = properties.iter().partition(|(key, _)| required(key));
        for (key, property) in must.into_iter().chain(may) {
            self.row(key, property, required(key), made);
        }
        for (key, property) in properties {
            self.section(property, &format!("{path}.{key}"), level + 1, made);
        }
    }

    fn row(&self, key: &str, property: &Value, required: bool, made: &mut String) {
        let default = match &property["default"] {
            _ if required => "required".to_owned(),
            Value::Null | Value::Object(_) => "–".to_owned(),
            Value::Array(entries) if entries.is_empty() => "–".to_owned(),
            Value::String(text) => format!("`{text}`"),
            other => format!("`{other}`"),
        };
        let mut meaning = in_one_line(text(&property["description"]));
        for variant in list(&self.resolved(property)["oneOf"]) {
            let about = in_one_line(text(&variant["description"]));
            let _ = write!(meaning, "<br>`{}`: {about}", text(&variant["const"]));
        }
        let cell = |text: &str| text.replace('|', "\\|");
        let _ =
            writeln!(made, "| `{key}` | {} | {} | {} |", cell(&self.kind(property)), cell(&default), cell(&meaning));
    }

    /// The type, for a person.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = schema["$ref"].as_str() {
            match name.trim_start_matches("#/$defs/") {
                "TimeSpan" => return "time span".to_owned(),
                "ByteSize" => return "size".to_owned(),
                _ => {}
            }
        }
        let variants = list(&schema["oneOf"]);
        if !variants.is_empty() {
            return variants.iter().map(|one| format!("`{}`", text(&one["const"]))).collect::<Vec<_>>().join(" | ");
        }
        let choices: Vec<&Value> = list(&schema["anyOf"]).iter().filter(|one| one["type"] != "null").collect();
        if !choices.is_empty() {
            return choices.into_iter().map(|one| self.kind(one)).collect::<Vec<_>>().join(" | ");
        }
        if let Some(constant) = schema["const"].as_str() {
            return format!("`{constant}`");
        }
        if schema["$ref"].is_string() {
            return self.kind(self.resolved(schema));
        }
        let words = list(&schema["enum"]);
        if !words.is_empty() {
            return words.iter().map(|word| format!("`{}`", text(word))).collect::<Vec<_>>().join(" | ");
        }
        let kind = schema["type"].as_str().or_else(|| list(&schema["type"]).first().and_then(Value::as_str));
        match kind {
            Some("string") => "text".to_owned(),
            Some("integer") => "whole number".to_owned(),
            Some("boolean") => "`true` | `false`".to_owned(),
            Some("array") => format!("list of {}", self.kind(&schema["items"])),
            Some("object") if schema["properties"].is_object() || schema["additionalProperties"].is_null() => {
                "map".to_owned()
            }
            Some("object") if schema["additionalProperties"]["type"] == "array" => "map of lists".to_owned(),
            Some("object") if schema["additionalProperties"]["type"] == "object" => "map of maps".to_owned(),
            Some("object") => "map of texts".to_owned(),
            other => other.unwrap_or_default().to_owned(),
        }
    }
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
